package blobs

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"aidloop/storage/blob"
)

// open opens a blob that the token's holder may read. Whoever may not gets the same ErrNotFound as for a missing one.
func (h *Handler) open(c *fiber.Ctx) (r io.ReadSeekCloser, sha string, size int64, err error) {
	sha = strings.Clone(c.Params("sha"))
	if !blob.ValidSHA(sha) {
		return nil, "", 0, blob.ErrNotFound
	}
	err = h.cfg.Access.CanRead(c.UserContext(), token(c), sha)
	if errors.Is(err, ErrForbidden) {
		err = blob.ErrNotFound
	}
	if err != nil {
		return nil, "", 0, err
	}
	r, size, err = h.cfg.Store.Open(c.UserContext(), sha)
	return r, sha, size, err
}

// describe answers a HEAD: 200 with the blob's length if it exists. To a tus client a blob looks like a finished upload.
func (h *Handler) describe(c *fiber.Ctx, _ *body) error {
	r, sha, size, err := h.open(c)
	if err != nil {
		return h.fail(c, err)
	}
	if err := r.Close(); err != nil {
		return h.fail(c, err)
	}
	c.Set(fiber.HeaderETag, `"`+sha+`"`)
	c.Set(fiber.HeaderAcceptRanges, "bytes")
	c.Set(headerOffset, strconv.FormatInt(size, 10))
	c.Set(headerLength, strconv.FormatInt(size, 10))
	c.Response().SkipBody = true
	c.Response().Header.SetContentLength(int(size))
	return nil
}

// download serves a blob or one range of it. Nothing of it may be cached outside the app: it is evidence about a household.
func (h *Handler) download(c *fiber.Ctx, _ *body) error {
	r, sha, size, err := h.open(c)
	if err != nil {
		return h.fail(c, err)
	}
	etag := `"` + sha + `"`
	c.Set(fiber.HeaderETag, etag)
	c.Set(fiber.HeaderAcceptRanges, "bytes")
	if c.Get(fiber.HeaderIfNoneMatch) == etag {
		c.Status(fiber.StatusNotModified)
		return r.Close()
	}
	wanted := c.Get(fiber.HeaderRange)
	if condition := c.Get(fiber.HeaderIfRange); condition != "" && condition != etag {
		wanted = ""
	}
	part, partial, ok := parseRange(wanted, size)
	if !ok {
		c.Set(fiber.HeaderContentRange, fmt.Sprintf("bytes */%d", size))
		return errors.Join(r.Close(), problemRange.send(c))
	}
	if err := prepare(c, r, part); err != nil {
		return errors.Join(r.Close(), h.fail(c, err))
	}
	if partial {
		c.Status(fiber.StatusPartialContent)
		c.Set(fiber.HeaderContentRange, fmt.Sprintf("bytes %d-%d/%d", part.start, part.start+part.length-1, size))
	}
	// The stream is read, and closed, when the response is written; damage found then breaks the connection before the announced length.
	c.Context().SetBodyStream(stream{io.LimitReader(r, part.length), r}, int(part.length))
	return nil
}

type stream struct {
	io.Reader
	io.Closer
}

// shown are the types that a browser may show. The store knows no types and the uploader's word is not taken for it.
var shown = map[string]bool{"image/jpeg": true, "image/png": true, "image/webp": true, "image/gif": true}

// prepare sets the content's type from its first bytes and moves r to the range's start.
func prepare(c *fiber.Ctx, r io.ReadSeeker, part span) error {
	head := make([]byte, 512)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	kind, disposition := http.DetectContentType(head[:n]), "inline"
	if !shown[kind] {
		kind, disposition = fiber.MIMEOctetStream, "attachment"
	}
	c.Set(fiber.HeaderContentType, kind)
	c.Set(fiber.HeaderContentDisposition, disposition)
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; sandbox")
	_, err = r.Seek(part.start, io.SeekStart)
	return err
}

// span is a range of bytes.
type span struct{ start, length int64 }

// parseRange reads a Range header of one range: "bytes=a-b", "bytes=a-" or "bytes=-n". A header that is empty, in another unit or asks for
// several ranges means the whole (RFC 9110, section 14.2 allows that); one that lies beyond the content is refused.
func parseRange(header string, size int64) (part span, partial, ok bool) {
	whole := span{0, size}
	set, found := strings.CutPrefix(header, "bytes=")
	from, to, dash := strings.Cut(strings.TrimSpace(set), "-")
	if !found || !dash || strings.Contains(set, ",") {
		return whole, false, true
	}
	if from == "" {
		n, valid := position(to)
		n = min(n, size)
		return span{size - n, n}, true, valid && n > 0
	}
	start, valid := position(from)
	if !valid || start >= size {
		return span{}, false, false
	}
	if to == "" {
		return span{start, size - start}, true, true
	}
	end, valid := position(to)
	if !valid || end < start {
		return span{}, false, false
	}
	return span{start, min(end, size-1) - start + 1}, true, true
}

// position reads digits only: ParseInt alone would take signs.
func position(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err == nil
}
