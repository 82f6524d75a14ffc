package blobs

import (
	"crypto/sha1" //nolint:gosec // tus demands that servers offer it; it guards against line noise only
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"aidloop/storage/blob"
)

// errInterrupted is how a body ends whose connection broke, fell silent or was taken over.
var errInterrupted = errors.New("blobs: the upload was interrupted")

// body reads a request's body as it arrives.
type body struct {
	stream io.Reader
	conn   net.Conn
	length int64 // announced; -1 with chunked encoding
	read   int64
	err    error // sticky: fasthttp would parse the next request's bytes as a chunk
	// deadline arms the connection for the next read. While an upload has the turn, the turn decides.
	deadline func(net.Conn) error
}

// withBody hands a handler the request's body and puts the connection in order after it.
func (h *Handler) withBody(handle func(*fiber.Ctx, *body) error) fiber.Handler {
	return func(c *fiber.Ctx) error {
		c.Set("Tus-Resumable", tusVersion)
		c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
		c.Set(fiber.HeaderCacheControl, "no-store")
		request := c.Context()
		b := &body{stream: request.RequestBodyStream(), conn: request.Conn(), length: int64(c.Request().Header.ContentLength())}
		b.deadline = func(conn net.Conn) error { return conn.SetReadDeadline(time.Now().Add(h.cfg.Stall)) }
		if b.stream == nil || b.length == 0 || b.length < -1 {
			b.err = io.EOF
		}
		err := handle(c, b)
		if !b.release() {
			request.SetConnectionClose()
		}
		return err
	}
}

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	if err := b.deadline(b.conn); err != nil {
		b.err = fmt.Errorf("%w: %w", errInterrupted, err)
		return 0, b.err
	}
	n, err := b.stream.Read(p)
	b.read += int64(n)
	switch {
	case b.read == b.length:
		b.err = io.EOF
	case errors.Is(err, io.EOF) && b.length < 0:
		b.err = io.EOF
	case errors.Is(err, io.EOF):
		// Within a body of known length fasthttp reports a closed connection as a plain end.
		b.err = fmt.Errorf("%w after %d bytes", errInterrupted, b.read)
	case err != nil:
		b.err = fmt.Errorf("%w after %d bytes: %w", errInterrupted, b.read, err)
	}
	return n, b.err
}

// Bounds of what release reads of a body that nobody wanted, so that a client which sends first and listens later still hears the answer.
const (
	drainBytes = 256 << 10
	drainTime  = 2 * time.Second
)

// release reads the rest of a small body and says whether the connection can serve another request.
func (b *body) release() bool {
	if b.err == nil {
		until := time.Now().Add(drainTime)
		b.deadline = func(conn net.Conn) error { return conn.SetReadDeadline(until) }
		_, _ = io.CopyN(io.Discard, b, drainBytes) // b.err says how it went
	}
	// The server sets deadlines of its own, if it has any, before it reads the next request.
	return errors.Is(b.err, io.EOF) && b.conn.SetReadDeadline(time.Time{}) == nil
}

// errChunk has a chunk discarded whose checksum does not match.
var errChunk = fmt.Errorf("blobs: chunk checksum mismatch: %w", blob.ErrDiscard)

const checksumNames = "sha1,sha256"

// checksummed is a body that ends in errChunk if its bytes do not have the announced checksum. A body that breaks before its end keeps
// what arrived: the checksum says nothing about a part, and the whole upload's hash is checked at the end.
type checksummed struct {
	*body
	h    hash.Hash
	want []byte
}

// withChecksum wraps b as an Upload-Checksum header demands, which may be empty: "<algorithm> <base64 of the digest>".
func withChecksum(b *body, header string) (io.Reader, bool) {
	if header == "" {
		return b, true
	}
	name, encoded, _ := strings.Cut(header, " ")
	want, err := base64.StdEncoding.DecodeString(encoded)
	var h hash.Hash
	switch name {
	case "sha1":
		h = sha1.New() //nolint:gosec // see the import
	case "sha256":
		h = sha256.New()
	default:
		return nil, false
	}
	if err != nil || len(want) != h.Size() {
		return nil, false
	}
	return &checksummed{body: b, h: h, want: want}, true
}

func (r *checksummed) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	r.h.Write(p[:n])
	if errors.Is(err, io.EOF) && subtle.ConstantTimeCompare(r.h.Sum(nil), r.want) != 1 {
		err = errChunk
	}
	return n, err
}
