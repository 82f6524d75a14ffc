package mobileapi

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"aidloop/server/casework"
	"aidloop/server/edge"
	"aidloop/server/loop"
	"aidloop/server/token"
	"aidloop/syncproto"
)

// SyncType is the media type of requests and responses of /sync/v1: frames.
const SyncType = "application/vnd.aidloop.sync"

// worthPacking is the size, in bytes, from which a response is compressed. Below it one hello is mostly hashes and ids,
// and what compression takes off it the header that names the encoding adds again.
const worthPacking = 512

// exchange answers POST /sync/v1. It is half-duplex: the whole request is read and committed before the response
// begins.
func (a *API) exchange(c *fiber.Ctx) error {
	if !hasType(c, SyncType) {
		return syncproto.Refuse(syncproto.CodeUnsupportedType, "want "+SyncType)
	}
	encoding, err := contentEncoding(c.Get(fiber.HeaderContentEncoding))
	if err != nil {
		return err
	}
	body, done, err := edge.ReadBody(c, syncproto.MaxPushBytes, a.bodies)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(c.UserContext(), a.Limits.Exchange)
	defer cancel()
	leave, err := a.gate.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	push, err := unpack(encoding, body)
	if err != nil {
		return err
	}
	reader, err := a.reader(ctx, c)
	if err != nil {
		return err
	}
	out, err := a.Loop.Exchange(ctx, push, reader)
	if err != nil {
		return err
	}
	edge.SetDevice(c, push.Request.Hello.Device) // it is known now to be one
	return sendFrames(c, out)
}

// unpack decompresses a body and reads its frames.
func unpack(encoding string, body []byte) (loop.Push, error) {
	frames, err := loop.Decompress(encoding, body, syncproto.MaxPushBytes)
	if err != nil {
		return loop.Push{}, err
	}
	req, err := syncproto.ParseRequest(frames)
	return loop.Push{Request: req, Size: len(frames), Body: body, Encoding: encoding}, err
}

// reader is who pulls, or nil where no valid token came along: a push is taken all the same.
func (a *API) reader(ctx context.Context, c *fiber.Ctx) (*loop.Reader, error) {
	r, _, err := a.standing(ctx, c)
	if errors.Is(err, token.ErrInvalid) || casework.CodeOf(err) == loop.ErrSession.Code {
		return nil, nil
	}
	return r, err
}

// contentEncoding reads a Content-Encoding into the word that a push is kept with.
func contentEncoding(h string) (string, error) {
	switch h = strings.ToLower(strings.TrimSpace(h)); h {
	case "", "identity":
		return "", nil
	case "gzip", "zstd":
		return h, nil
	}
	return "", syncproto.Refuse(syncproto.CodeUnsupportedType, "Content-Encoding: want zstd, gzip or identity")
}

// acceptEncoding chooses from an Accept-Encoding (RFC 9110, section 12.5.3): zstd where it is allowed, then gzip.
func acceptEncoding(h string) string {
	allowed := map[string]bool{}
	for part := range strings.SplitSeq(strings.ToLower(h), ",") {
		name, params, _ := strings.Cut(part, ";")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			f, err := strconv.ParseFloat(v, 64)
			if err != nil {
				continue
			}
			q = f
		}
		allowed[strings.TrimSpace(name)] = q > 0
	}
	for _, name := range []string{"zstd", "gzip"} {
		if ok, named := allowed[name]; ok || !named && allowed["*"] {
			return name
		}
	}
	return ""
}

func sendFrames(c *fiber.Ctx, frames []byte) error {
	c.Set(fiber.HeaderContentType, SyncType)
	c.Set(fiber.HeaderVary, fiber.HeaderAcceptEncoding)
	c.Set(fiber.HeaderCacheControl, "no-store")
	if enc := acceptEncoding(c.Get(fiber.HeaderAcceptEncoding)); enc != "" && len(frames) > worthPacking {
		c.Set(fiber.HeaderContentEncoding, enc)
		packed := loop.Compress(enc, frames)
		loop.Recycle(frames)
		frames = packed
	}
	c.Response().SetBodyRaw(frames) // ours alone from here on
	return nil
}
