package mobileapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
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
	s := &stream{api: a, listener: l, conn: c.Context().Conn(), reader: *reader, session: claims.Session, expires: claims.Expires}
	s.beat, s.stopBeat = a.Beat()
	c.Set(fiber.HeaderContentType, "text/event-stream; charset=utf-8")
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set("X-Accel-Buffering", "no") // proxies that collect answers before they pass them on
	c.Context().SetConnectionClose()
	c.Response().Header.SetContentLength(-1) // chunked
	s.takeOver(c, append(c.Response().Header.Header(), chunk("retry: 5000\n: ready\n\n")...))
	return nil
}

// stream is a live connection. It is taken over from fasthttp, which would keep a reader, a writer and a request's whole
// context for as long as it is open, beside a goroutine whose stack the token's check has made deep: together about four
// times what is left so.
type stream struct {
	api      *API
	listener *listener
	conn     net.Conn
	reader   loop.Reader
	session  string
	expires  time.Time
	beat     <-chan time.Time
	stopBeat func()
}

// writeTime bounds how long one event may take into the connection: a phone that reads nothing is gone.
const writeTime = 30 * time.Second

// takeOver lets the stream begin once fasthttp has let go of the connection. It may never do so, for instance where an
// answer before this one cannot be written; the stream ends then, too.
func (s *stream) takeOver(c *fiber.Ctx, head []byte) {
	var begun atomic.Bool
	never := time.AfterFunc(writeTime, func() {
		if begun.CompareAndSwap(false, true) {
			s.close()
		}
	})
	c.Context().HijackSetNoResponse(true)
	c.Context().Hijack(func(net.Conn) {
		never.Stop()
		if begun.CompareAndSwap(false, true) {
			go s.serve(head)
		}
	})
}

// serve writes what happens until the stream ends.
func (s *stream) serve(out []byte) {
	defer s.close()
	for s.write(out) {
		var ok bool
		if out, ok = s.next(); !ok {
			s.write([]byte("0\r\n\r\n"))
			return
		}
	}
}

// write reports whether everything went out.
func (s *stream) write(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if s.conn.SetWriteDeadline(time.Now().Add(writeTime)) != nil {
		return false
	}
	_, err := s.conn.Write(b)
	return err == nil
}

func (s *stream) close() {
	s.stopBeat()
	s.api.Hub.leave(s.listener)
	_ = s.conn.Close() // nobody is left to hear of an error
}

// chunk frames a part of a body of unknown length (RFC 9112, section 7.1).
func chunk(b string) []byte { return fmt.Appendf(nil, "%x\r\n%s\r\n", len(b), b) }

// next waits until there is something to write; false ends the stream.
func (s *stream) next() (out []byte, ok bool) {
	select {
	case <-s.listener.end:
		return nil, false
	case <-s.beat:
		return chunk(":\n\n"), s.api.Clock().Before(s.expires)
	case <-s.listener.wake:
		if !s.api.Clock().Before(s.expires) {
			return nil, false
		}
		return s.pokes()
	}
}

// pokes writes what is pending. A change in the user's own bucket may be a grant, given or taken, so the session and
// the scope are looked at anew before anything is said.
func (s *stream) pokes() (out []byte, ok bool) {
	list := s.listener.take()
	if slices.ContainsFunc(list, func(g syncproto.BucketSeq) bool { return g.Bucket == syncproto.BucketUser+s.reader.User }) {
		scope, err := s.rescope()
		if err != nil {
			return nil, false // the phone connects again and hears why
		}
		list = slices.DeleteFunc(list, func(g syncproto.BucketSeq) bool { return !slices.Contains(scope, g.Bucket) })
	}
	for _, g := range list {
		data, err := json.Marshal(g)
		if err != nil {
			return nil, false
		}
		out = append(out, chunk("event: poke\ndata: "+string(data)+"\n\n")...)
	}
	return out, true
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
