package blobs

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"aidloop/storage/blob"
)

var errVersion = errors.New("blobs: unsupported tus version")

// refuse answers what uploader refused.
func (h *Handler) refuse(c *fiber.Ctx, err error) error {
	if errors.Is(err, errVersion) {
		return problemVersion.send(c)
	}
	return h.fail(c, err)
}

// create begins an upload: 201 and its Location. A device that may read the blob already hears so instead (200 and the blob's own
// Location, where HEAD reports all bytes); to others an existing blob looks like a missing one, and they upload it again.
func (h *Handler) create(c *fiber.Ctx, b *body) error {
	device, err := h.uploader(c)
	if err != nil {
		return h.refuse(c, err)
	}
	if c.Get("Upload-Concat") != "" {
		return problemConcat.send(c)
	}
	length, err := strconv.ParseInt(c.Get(headerLength), 10, 64)
	if err != nil || length < 0 {
		return problemLength.send(c)
	}
	metadata := strings.Clone(c.Get(headerMetadata))
	sha, ok := parseMetadata(metadata)
	if !ok {
		return problemMetadata.send(c)
	}
	ctx := c.UserContext()
	if size, exists, err := h.cfg.Store.Has(ctx, sha); err == nil && exists && size == length && h.cfg.Access.CanRead(ctx, token(c), sha) == nil {
		return h.alreadyHere(c, sha, size)
	}
	up, err := h.cfg.Store.Create(ctx, blob.Info{ID: h.cfg.NewID(), Owner: device, SHA256: sha, Length: length, Metadata: metadata})
	if err != nil {
		return h.fail(c, err)
	}
	info := up.Info()
	c.Location(uploadsPath + info.ID)
	c.Set(headerExpires, info.Expires.UTC().Format(http.TimeFormat))
	if c.Get(fiber.HeaderContentType) != chunkType && length > 0 {
		c.Status(fiber.StatusCreated)
		return nil
	}
	return h.append(c, b, up, 0, fiber.StatusCreated)
}

func (h *Handler) alreadyHere(c *fiber.Ctx, sha string, size int64) error {
	c.Location(Base + "/" + sha)
	c.Set(headerOffset, strconv.FormatInt(size, 10))
	c.Set(headerLength, strconv.FormatInt(size, 10))
	c.Status(fiber.StatusOK)
	return nil
}

// own finds an upload of the token's own device. Other devices' uploads look like missing ones.
func (h *Handler) own(c *fiber.Ctx, device string) (blob.Upload, error) {
	up, err := h.cfg.Store.Upload(c.UserContext(), strings.Clone(c.Params("id")))
	if err == nil && up.Info().Owner != device {
		return nil, blob.ErrNotFound
	}
	return up, err
}

// patch adds bytes to an upload at Upload-Offset: 204 and the new offset.
func (h *Handler) patch(c *fiber.Ctx, b *body) error {
	device, err := h.uploader(c)
	if err != nil {
		return h.refuse(c, err)
	}
	if c.Get(fiber.HeaderContentType) != chunkType {
		return problemContentType.send(c)
	}
	offset, err := strconv.ParseInt(c.Get(headerOffset), 10, 64)
	if err != nil || offset < 0 {
		return problemOffset.send(c)
	}
	up, err := h.own(c, device)
	if err != nil {
		return h.fail(c, err)
	}
	return h.append(c, b, up, offset, fiber.StatusNoContent)
}

// append stores the body at offset, finishes the upload if it is complete, and answers with status and the new offset. A creation that
// found an upload begun earlier stores nothing and tells how far that one is.
func (h *Handler) append(c *fiber.Ctx, b *body, up blob.Upload, offset int64, status int) error {
	turn, err := h.turns.take(up.Info().ID, b.conn, h.cfg.Stall)
	if err != nil {
		return h.fail(c, err)
	}
	defer turn.done()
	b.deadline = turn.arm
	ctx := c.UserContext()
	have, finished, err := up.Offset(ctx)
	if err != nil {
		return h.fail(c, err)
	}
	if status == fiber.StatusCreated && have > 0 {
		return h.settle(c, up, have, finished, status)
	}
	if b.length > up.Info().Length-offset && offset == have {
		return problemTooLarge.send(c)
	}
	reader, ok := withChecksum(b, c.Get("Upload-Checksum"))
	if !ok {
		return problemChecksum.send(c)
	}
	kept, err := up.Append(ctx, offset, reader)
	if err != nil {
		c.Set(headerOffset, strconv.FormatInt(have+kept, 10))
		return h.fail(c, err)
	}
	return h.settle(c, up, have+kept, finished, status)
}

// settle finishes an upload whose bytes are all here and answers with its offset. Also an upload that was complete before is finished
// here if it was not yet: its process may have died in between, or the backend or the hook may have failed.
func (h *Handler) settle(c *fiber.Ctx, up blob.Upload, offset int64, finished bool, status int) error {
	info := up.Info()
	if offset == info.Length && !finished {
		err := up.Finish(c.UserContext(), func(ctx context.Context) error {
			return h.cfg.Completed(ctx, info.Owner, info.SHA256, info.Length)
		})
		if err != nil {
			return h.fail(c, err)
		}
	}
	c.Set(headerOffset, strconv.FormatInt(offset, 10))
	if offset < info.Length {
		c.Set(headerExpires, info.Expires.UTC().Format(http.TimeFormat))
	}
	c.Status(status)
	return nil
}

// offset answers a HEAD with how many bytes are durable.
func (h *Handler) offset(c *fiber.Ctx, b *body) error {
	device, err := h.uploader(c)
	if err != nil {
		return h.refuse(c, err)
	}
	up, err := h.own(c, device)
	if err != nil {
		return h.fail(c, err)
	}
	turn, err := h.turns.take(up.Info().ID, b.conn, h.cfg.Stall)
	if err != nil {
		return h.fail(c, err)
	}
	defer turn.done()
	have, finished, err := up.Offset(c.UserContext())
	if err != nil {
		return h.fail(c, err)
	}
	c.Set(headerLength, strconv.FormatInt(up.Info().Length, 10))
	c.Set(headerMetadata, up.Info().Metadata)
	return h.settle(c, up, have, finished, fiber.StatusOK)
}

// terminate gives an upload up: 204. A blob that it completed stays.
func (h *Handler) terminate(c *fiber.Ctx, b *body) error {
	device, err := h.uploader(c)
	if err != nil {
		return h.refuse(c, err)
	}
	up, err := h.own(c, device)
	if err != nil {
		return h.fail(c, err)
	}
	turn, err := h.turns.take(up.Info().ID, b.conn, h.cfg.Stall)
	if err != nil {
		return h.fail(c, err)
	}
	defer turn.done()
	if err := up.Abort(c.UserContext()); err != nil {
		return h.fail(c, err)
	}
	c.Status(fiber.StatusNoContent)
	return nil
}

// maxMetadataKeys bounds the pairs of an Upload-Metadata header.
const maxMetadataKeys = 16

// parseMetadata reads an Upload-Metadata header, pairs of a key and a base64 value ("key dmFsdWU=,flag"), and returns the blob's name in
// it. It refuses what the protocol forbids: duplicate or empty keys, other base64.
func parseMetadata(header string) (sha string, ok bool) {
	if len(header) > blob.MaxMetadata {
		return "", false
	}
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(header, ",") {
		key, encoded, _ := strings.Cut(strings.TrimSpace(pair), " ")
		value, err := base64.StdEncoding.DecodeString(encoded)
		if key == "" || seen[key] || err != nil || len(seen) == maxMetadataKeys {
			return "", false
		}
		seen[key] = true
		if key == "sha256" {
			sha = string(value)
		}
	}
	return sha, blob.ValidSHA(sha)
}

var _ io.Reader = (*body)(nil)
