package mobileapi

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"

	"aidloop/server/edge"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// live answers GET /sync/v1/live: server-sent events (WHATWG HTML, section 9.2), each an event "poke" with data
// {"bucket":"…","seq":n} for a bucket of the caller's scope, and a comment as heartbeat. A poke carries no data of the
// bucket: the phone exchanges. It exchanges once, too, whenever the connection was made anew, since pokes in between
// are not repeated. The stream ends with the token that it was opened with.
func (a *API) live(c *fiber.Ctx) error {
	ctx := c.UserContext()
	reader, claims, err := a.standing(ctx, c)
	if err != nil {
		return err
	}
	edge.SetDevice(c, reader.Device)
	l, err := a.Hub.listen(reader.Device)
	if err != nil {
		return err
	}
	a.Hub.follow(l, []string{syncproto.BucketUser + reader.User}) // first, so that no change of the scope goes unheard
	scope, err := a.Loop.Scope(ctx, reader.User)
	if err != nil {
		a.Hub.leave(l)
		return err
	}
	a.Hub.follow(l, scope)
	s := &stream{api: a, listener: l, conn: c.Context().Conn(), reader: *reader, session: claims.Session, expires: claims.Expires,
		out: []byte("retry: 5000\n: ready\n\n")}
	s.beat, s.stopBeat = a.Beat()
	c.Set(fiber.HeaderContentType, "text/event-stream; charset=utf-8")
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set("X-Accel-Buffering", "no") // proxies that collect answers before they pass them on
	c.Context().SetConnectionClose()
	c.Context().SetBodyStream(s, -1)
	return nil
}

// stream is a live connection's body. The connection's own goroutine reads it and writes and flushes what it read, so
// that an idle phone costs one goroutine and no buffer of ours.
type stream struct {
	api      *API
	listener *listener
	conn     net.Conn
	reader   loop.Reader
	session  string
	expires  time.Time
	beat     <-chan time.Time
	stopBeat func()
	out      []byte
}

// writeTime bounds how long one event may take into the connection: a phone that reads nothing is gone.
const writeTime = 30 * time.Second

// Read waits for the next event.
func (s *stream) Read(p []byte) (int, error) {
	for len(s.out) == 0 {
		if !s.next() {
			return 0, io.EOF
		}
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return 0, err
	}
	n := copy(p, s.out)
	if s.out = s.out[n:]; len(s.out) == 0 {
		s.out = nil
	}
	return n, nil
}

// Close is called when the response ended, however it did.
func (s *stream) Close() error {
	s.stopBeat()
	s.api.Hub.leave(s.listener)
	return nil
}

// next waits until there is something to write; false ends the stream.
func (s *stream) next() bool {
	select {
	case <-s.listener.end:
		return false
	case <-s.beat:
		s.out = []byte(":\n\n")
		return s.api.Clock().Before(s.expires)
	case <-s.listener.wake:
		return s.api.Clock().Before(s.expires) && s.pokes()
	}
}

// pokes writes what is pending. A change in the user's own bucket may be a grant, given or taken, so the session and
// the scope are looked at anew before anything is said.
func (s *stream) pokes() bool {
	list := s.listener.take()
	if slices.ContainsFunc(list, func(g syncproto.BucketSeq) bool { return g.Bucket == syncproto.BucketUser+s.reader.User }) {
		scope, err := s.rescope()
		if err != nil {
			return false // the phone connects again and hears why
		}
		list = slices.DeleteFunc(list, func(g syncproto.BucketSeq) bool { return !slices.Contains(scope, g.Bucket) })
	}
	for _, g := range list {
		data, err := json.Marshal(g)
		if err != nil {
			return false
		}
		s.out = append(s.out, "event: poke\ndata: "...)
		s.out = append(append(s.out, data...), "\n\n"...)
	}
	return true
}

func (s *stream) rescope() ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.api.Limits.Exchange)
	defer cancel()
	if _, err := s.api.Loop.Standing(ctx, s.session); err != nil {
		return nil, err
	}
	scope, err := s.api.Loop.Scope(ctx, s.reader.User)
	if err == nil {
		s.api.Hub.follow(s.listener, scope)
	}
	return scope, err
}

// beatTime is below the 30 seconds after which mobile networks begin to forget idle connections.
const beatTime = 25 * time.Second

func everyBeat() (<-chan time.Time, func()) {
	t := time.NewTicker(beatTime)
	return t.C, t.Stop
}
