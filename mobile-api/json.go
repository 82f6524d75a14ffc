package mobileapi

import (
	"encoding/json"
	"mime"
	"strings"

	"github.com/gofiber/fiber/v2"

	"aidloop/server/edge"
	"aidloop/syncproto"
)

// maxJSON bounds the small bodies of enrolment and tokens, in bytes.
const maxJSON = 8 << 10

// readJSON reads a small JSON body. Members that it does not know are left alone, so that newer apps can send more.
func (a *API) readJSON(c *fiber.Ctx, v any) error {
	if !hasType(c, fiber.MIMEApplicationJSON) {
		return syncproto.Refuse(syncproto.CodeUnsupportedType, "want "+fiber.MIMEApplicationJSON)
	}
	body, done, err := edge.ReadBody(c, maxJSON, a.bodies)
	if err != nil {
		return err
	}
	defer done()
	if err := json.Unmarshal(body, v); err != nil {
		// The error could quote the body, in which there are codes and tokens.
		return syncproto.Refuse(syncproto.CodeMalformed, "the body is not the JSON that was expected")
	}
	return nil
}

// hasType reports whether the request's body is of a media type, whatever its parameters.
func hasType(c *fiber.Ctx, want string) bool {
	got, _, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType))
	return err == nil && strings.EqualFold(got, want)
}

// sendJSON answers with something that no cache may keep.
func sendJSON(c *fiber.Ctx, status int, v any) error {
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.Status(status).JSON(v)
}
