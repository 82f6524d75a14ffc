package blobs

import (
	"errors"
	"net"
	"sync"
	"time"
)

// errBusy: another request for the same upload did not let go in time.
var errBusy = errors.New("blobs: the upload is in use")

// turns lets one request at a time work on an upload, and the newest one have it. A phone that lost its network comes back on a new
// connection while the server still waits on the old one; making it wait for a time-out there, or answering with the offset from before
// the old connection's last bytes, would lose what had arrived. So whoever holds the turn is asked to yield: it still takes what lies in
// the socket, stores it, and lets go.
type turns struct {
	mu     sync.Mutex
	held   map[string]*turn
	closed bool
}

// turn is the right to work on one upload until done is called.
type turn struct {
	of   *turns
	id   string
	over chan struct{}

	mu      sync.Mutex
	conn    net.Conn
	stall   time.Duration
	yielded time.Time // when the holder was asked to let go, or zero
}

const (
	// yieldGap is how long a holder that was asked to let go waits for a byte: what has arrived lies in the socket already.
	yieldGap = 200 * time.Millisecond
	// yieldTotal bounds how long it goes on reading at all.
	yieldTotal = 3 * time.Second
	// takeTimeout bounds the wait for a turn; a holder may be storing a finished blob.
	takeTimeout = 20 * time.Second
)

func newTurns() *turns { return &turns{held: map[string]*turn{}} }

// take waits for the turn of an upload. stall bounds the silence of conn while its body is read.
func (s *turns) take(id string, conn net.Conn, stall time.Duration) (*turn, error) {
	timeout := time.NewTimer(takeTimeout)
	defer timeout.Stop()
	mine := &turn{of: s, id: id, over: make(chan struct{}), conn: conn, stall: stall}
	for {
		s.mu.Lock()
		holder := s.held[id]
		if s.closed {
			s.mu.Unlock()
			return nil, errBusy
		}
		if holder == nil {
			s.held[id] = mine
			s.mu.Unlock()
			return mine, nil
		}
		s.mu.Unlock()
		holder.yield()
		select {
		case <-holder.over:
		case <-timeout.C:
			return nil, errBusy
		}
	}
}

// done gives the turn back. Nobody touches the connection's deadline for it any more: the connection may serve another request next.
func (t *turn) done() {
	t.mu.Lock()
	t.conn = nil
	t.mu.Unlock()
	t.of.mu.Lock()
	delete(t.of.held, t.id)
	t.of.mu.Unlock()
	close(t.over)
}

func (t *turn) yield() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.yielded.IsZero() {
		t.yielded = time.Now()
	}
	if t.conn != nil {
		// A read that waits now is woken early; an error means that the connection is gone, and the read fails anyway.
		_ = t.setDeadline(t.conn)
	}
}

// arm sets the deadline of the holder's next read.
func (t *turn) arm(conn net.Conn) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.setDeadline(conn)
}

// setDeadline uses the wall clock, as the connection does.
func (t *turn) setDeadline(conn net.Conn) error {
	if t.yielded.IsZero() {
		return conn.SetReadDeadline(time.Now().Add(t.stall))
	}
	until := time.Now().Add(yieldGap)
	if last := t.yielded.Add(yieldTotal); until.After(last) {
		until = last
	}
	return conn.SetReadDeadline(until)
}

// close asks every holder to yield and gives no more turns.
func (s *turns) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, holder := range s.held {
		holder.yield()
	}
}
