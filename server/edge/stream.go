package edge

import (
	"errors"
	"io"
	"time"

	"github.com/gofiber/fiber/v2"

	"aidloop/syncproto"
)

// BodyStream reads a request's body as it arrives, for bodies that are too large for memory: at most limit bytes, within
// a time in all, and no longer silent than any other body. Its errors are *syncproto.Error; a body that breaks ends the
// connection, and what is left unread of any other, Around discards.
func BodyStream(c *fiber.Ctx, limit int64, within time.Duration) io.Reader {
	return &bodyStream{c: c, left: limit, length: int64(c.Request().Header.ContentLength()), last: time.Now().Add(within)}
}

type bodyStream struct {
	c      *fiber.Ctx
	left   int64
	length int64 // announced; -1 with chunked encoding
	read   int64
	last   time.Time
	err    error
}

func (b *bodyStream) Read(p []byte) (int, error) {
	stream := b.c.Context().RequestBodyStream()
	switch {
	case b.err != nil:
		return 0, b.err
	case b.length > b.left+b.read:
		return 0, b.fail(syncproto.CodeTooLarge, "the body is larger than allowed")
	case stream == nil || b.read == b.length:
		return 0, io.EOF
	}
	conn := b.c.Context().Conn()
	if err := conn.SetReadDeadline(earlier(time.Now().Add(stallTime), b.last)); err != nil {
		return 0, b.fail(syncproto.CodeTruncated, err.Error())
	}
	n, err := stream.Read(p)
	b.read, b.left = b.read+int64(n), b.left-int64(n)
	switch {
	case b.left < 0:
		return 0, b.fail(syncproto.CodeTooLarge, "the body is larger than allowed")
	case b.read == b.length, b.length < 0 && errors.Is(err, io.EOF):
		if err := conn.SetReadDeadline(time.Time{}); err != nil {
			return n, b.fail(syncproto.CodeTruncated, err.Error())
		}
		b.err = io.EOF
		return n, nil
	case err != nil: // io.EOF, too: within a body of known length fasthttp tells a closed connection so
		return n, b.fail(syncproto.CodeTruncated, "the connection broke within the body: "+err.Error())
	}
	return n, nil
}

func (b *bodyStream) fail(code syncproto.Code, detail string) error {
	if code == syncproto.CodeTruncated {
		b.c.Context().SetConnectionClose() // behind an error the stream would take anything for the body's next part
	}
	b.err = syncproto.Refuse(code, detail)
	return b.err
}
