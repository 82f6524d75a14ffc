package mobileapi

import (
	"net/http"

	"github.com/gofiber/fiber/v2"

	"aidloop/server/edge"
	"aidloop/server/loop"
)

// refreshReply are new tokens with the user's newest key, base64 of 32 bytes: it is rotated when a phone of his is lost.
type refreshReply struct {
	tokens
	UserKey []byte `json:"user_key"`
}

// refresh answers POST /auth/v1/refresh. A phone keeps the token it sent until it holds the answer: the server takes
// it once more.
func (a *API) refresh(c *fiber.Ctx) error {
	var in struct {
		RefreshToken string `json:"refresh_token"`
	}
	if err := a.readJSON(c, &in); err != nil {
		return err
	}
	right, err := a.renewed.Try(edge.Remote(c, a.Proxies))
	if err != nil {
		return err
	}
	s, err := a.Loop.Refresh(c.UserContext(), in.RefreshToken)
	if err != nil {
		return err
	}
	if s.Device == "" {
		return loop.ErrSession // a desk's session opens nothing here
	}
	right()
	edge.SetDevice(c, s.Device)
	t, err := a.tokens(*s)
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, refreshReply{t, s.UserKey[:]})
}

// logout answers POST /auth/v1/logout: it ends the session that the access token belongs to. The device stays
// enrolled, and what it pushes is still taken.
func (a *API) logout(c *fiber.Ctx) error {
	claims, err := a.bearer(c)
	if err != nil {
		return err
	}
	edge.SetDevice(c, claims.Device)
	if err := a.Loop.Logout(c.UserContext(), claims.Session); err != nil {
		return err
	}
	return c.SendStatus(http.StatusNoContent)
}
