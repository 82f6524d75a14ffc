package mobileapi

import (
	"context"
	"strings"

	"github.com/gofiber/fiber/v2"

	"aidloop/server/edge"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// chunk answers GET /sync/v1/chunks/<sha256>: a part of a snapshot, packed as it is kept. Its name is its content, so a
// phone may keep the answer for as long as it likes, and nobody but the phone.
func (a *API) chunk(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(c.UserContext(), a.Limits.Exchange)
	defer cancel()
	leave, err := a.gate.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	reader, _, err := a.standing(ctx, c)
	if err != nil {
		return err
	}
	edge.SetDevice(c, reader.Device)
	sha := strings.Clone(c.Params("sha"))
	packed, err := a.Loop.Chunk(ctx, *reader, sha)
	if err != nil {
		return err
	}
	etag := `W/"` + sha + `"` // weak: the same rows, whatever they are packed with
	c.Set(fiber.HeaderETag, etag)
	c.Set(fiber.HeaderCacheControl, "private, max-age=31536000, immutable")
	c.Set(fiber.HeaderVary, fiber.HeaderAcceptEncoding+", "+fiber.HeaderAuthorization)
	if c.Get(fiber.HeaderIfNoneMatch) == etag {
		return c.SendStatus(fiber.StatusNotModified)
	}
	c.Set(fiber.HeaderContentType, SyncType)
	return sendPacked(c, packed)
}

// sendPacked sends what is kept in zstd in an encoding that the phone takes.
func sendPacked(c *fiber.Ctx, packed []byte) error {
	encoding := acceptEncoding(c.Get(fiber.HeaderAcceptEncoding))
	if encoding != "zstd" {
		plain, err := loop.Decompress("zstd", packed, syncproto.MaxChunkBytes)
		if err != nil {
			return err
		}
		packed = loop.Compress(encoding, plain)
	}
	if encoding != "" {
		c.Set(fiber.HeaderContentEncoding, encoding)
	}
	c.Response().SetBodyRaw(packed) // nobody writes to it any more
	return nil
}
