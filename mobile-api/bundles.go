package mobileapi

import (
	"bytes"
	"context"
	"time"

	"github.com/gofiber/fiber/v2"

	"aidloop/server/edge"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// BundleType is the media type of bundles and of the replies to them: .aidsync files.
const BundleType = "application/vnd.aidloop.bundle"

// bundle answers POST /bundles/v1. Whoever carries a bundle needs no token: its groups are signed, the file is encrypted
// to the server, and the reply to the phone that made it. The body is not held in memory; a slot is taken only once the
// file is known to be an enrolled phone's own.
func (a *API) bundle(c *fiber.Ctx) error {
	if !hasType(c, BundleType) {
		return syncproto.Refuse(syncproto.CodeUnsupportedType, "want "+BundleType)
	}
	if c.Get(fiber.HeaderContentEncoding) != "" {
		return syncproto.Refuse(syncproto.CodeUnsupportedType, "a bundle is encrypted and cannot be compressed")
	}
	right, err := a.bundled.Try(edge.Remote(c, a.Proxies))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.UserContext(), a.Limits.Bundle)
	defer cancel()
	var reply bytes.Buffer
	i, err := a.Loop.ImportBundle(ctx, edge.BodyStream(c, a.Limits.BundleBytes, a.Limits.Bundle), loop.BundleOptions{Photos: a.Photos, Admit: a.bundles.enter, Reply: &reply})
	if i != nil {
		edge.SetDevice(c, i.Device)
		right()
	}
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, BundleType)
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Response().SetBodyRaw(reply.Bytes())
	return nil
}

// bundleTime is the default of Limits.Bundle: a morning's photos over a town's line.
const bundleTime = 30 * time.Minute
