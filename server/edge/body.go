package edge

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"

	"aidloop/syncproto"
)

// Bounds of reading a body. A phone on a weak network sends slowly; one that is silent has gone.
const (
	stallTime  = 30 * time.Second
	bodyTime   = 5 * time.Minute
	drainTime  = 10 * time.Second
	drainBytes = 2 * syncproto.MaxPushBytes
	firstRead  = 16 << 10
)

// Budget bounds the memory that all bodies together take while they are read and worked on, in bytes.
type Budget struct{ left atomic.Int64 }

// NewBudget makes a budget of n bytes.
func NewBudget(n int64) *Budget {
	b := &Budget{}
	b.left.Store(n)
	return b
}

func (b *Budget) take(n int) bool {
	if b.left.Add(-int64(n)) >= 0 {
		return true
	}
	b.left.Add(int64(n))
	return false
}

func (b *Budget) give(n int) { b.left.Add(int64(n)) }

// Left is what the budget still allows.
func (b *Budget) Left() int64 { return b.left.Load() }

// ReadBody reads a whole request body of at most limit bytes, in its content encoding. Memory is taken from the budget
// as bytes arrive, never for what a header announces; done gives it back. A body that is cut short or falls silent is an
// error that ends the connection; of one that is too large, Around discards the rest.
func ReadBody(c *fiber.Ctx, limit int, budget *Budget) (body []byte, done func(), err error) {
	r := reading{c: c, limit: limit, budget: budget, length: c.Request().Header.ContentLength()}
	if err := r.all(); err != nil {
		budget.give(r.taken)
		return nil, func() {}, err
	}
	return r.buf, func() { budget.give(r.taken) }, nil
}

type reading struct {
	c      *fiber.Ctx
	limit  int
	budget *Budget
	length int // announced; -1 with chunked encoding
	buf    []byte
	taken  int
}

func (r *reading) all() error {
	if r.length > r.limit {
		return syncproto.Refuse(syncproto.CodeTooLarge, "the body is larger than allowed")
	}
	stream := r.c.Context().RequestBodyStream()
	if stream == nil || r.length == 0 {
		return nil // Config has every body streamed
	}
	conn := r.c.Context().Conn()
	last := time.Now().Add(bodyTime)
	for {
		if err := r.grow(); err != nil {
			return err
		}
		if err := conn.SetReadDeadline(earlier(time.Now().Add(stallTime), last)); err != nil {
			return r.cut(err)
		}
		n, err := stream.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		switch {
		case len(r.buf) > r.limit:
			return syncproto.Refuse(syncproto.CodeTooLarge, "the body is larger than allowed")
		case len(r.buf) == r.length, r.length < 0 && errors.Is(err, io.EOF):
			return conn.SetReadDeadline(time.Time{})
		case err != nil: // io.EOF, too: within a body of known length fasthttp tells a closed connection so
			return r.cut(err)
		}
	}
}

// grow makes room for the next read, at most one byte beyond the limit, so that a body that is too large is noticed.
func (r *reading) grow() error {
	if len(r.buf) < cap(r.buf) {
		return nil
	}
	n := max(firstRead, 2*cap(r.buf))
	if r.length > 0 {
		n = min(n, r.length)
	}
	n = min(n, r.limit+1)
	if !r.budget.take(n - cap(r.buf)) {
		return syncproto.Refuse(syncproto.CodeUnavailable, "too many requests are being received")
	}
	r.taken += n - cap(r.buf)
	r.buf = append(make([]byte, 0, n), r.buf...)
	return nil
}

// cut also ends the connection: behind an error the stream would take anything for the body's next part.
func (r *reading) cut(err error) error {
	r.c.Context().SetConnectionClose()
	return syncproto.Refuse(syncproto.CodeTruncated, "the connection broke within the body: "+err.Error())
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// drain puts the connection in order behind a handler: fasthttp would take what was left of a body for the next
// request. What is left is read and thrown away, so that a client that sends first and listens later hears why it was
// refused, instead of a broken connection.
func drain(c *fiber.Ctx) {
	stream := c.Context().RequestBodyStream()
	if stream == nil || c.Response().Header.ConnectionClose() {
		return
	}
	conn := c.Context().Conn()
	if conn.SetReadDeadline(time.Now().Add(drainTime)) != nil {
		c.Context().SetConnectionClose()
		return
	}
	// A length of -1 is a chunked body, which the stream ends by itself.
	n, err := io.CopyN(io.Discard, stream, drainBytes)
	if !errors.Is(err, io.EOF) || n == drainBytes || conn.SetReadDeadline(time.Time{}) != nil {
		c.Context().SetConnectionClose()
	}
}
