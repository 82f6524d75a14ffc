package mobileapi

import (
	"encoding/base64"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"aidloop/server/edge"
	"aidloop/server/loop"
	"aidloop/server/token"
	"aidloop/syncproto"
)

// enrolRequest is what a phone sends for a one-time code.
type enrolRequest struct {
	Code      string `json:"code"`
	PublicKey string `json:"public_key"` // base64 of 32 bytes, Ed25519
	Name      string `json:"name"`       // what the phone calls itself, for the list of devices
	App       string `json:"app"`        // the app's version
	Catalog   int    `json:"catalog"`    // the catalog's version that the app was built with
}

// enrolReply is everything that a phone begins with. Keys are base64 of 32 bytes.
type enrolReply struct {
	Device   string `json:"device"`
	User     string `json:"user"`
	UserName string `json:"user_name"`
	Region   string `json:"region"`
	Role     string `json:"role"`
	tokens
	UserKey     []byte `json:"user_key"`   // opens the grants in the user's bucket
	ServerKey   []byte `json:"server_key"` // checks receipts, Ed25519
	Incarnation string `json:"incarnation"`
	Recipient   string `json:"bundle_recipient"` // bundles are encrypted to it: an age recipient
}

// tokens let a phone in.
type tokens struct {
	Access    string `json:"access_token"`
	ExpiresIn int    `json:"access_expires_in"` // seconds
	Refresh   string `json:"refresh_token"`
}

func (a *API) tokens(s loop.Signed) (tokens, error) {
	access, in, err := a.Tokens.Issue(s, token.Phone, a.Clock())
	return tokens{access, in, s.Refresh}, err
}

// enrol answers POST /enrol/v1. The same code with the same key is answered again, since the first answer may have
// been lost.
func (a *API) enrol(c *fiber.Ctx) error {
	var in enrolRequest
	if err := a.readJSON(c, &in); err != nil {
		return err
	}
	key, err := base64.StdEncoding.Strict().DecodeString(in.PublicKey)
	if err != nil {
		return syncproto.Refuse(syncproto.CodeMalformed, "public_key: want base64 of 32 bytes")
	}
	right, err := a.enrolled.Try(edge.Remote(c, a.Proxies))
	if err != nil {
		return err
	}
	e, err := a.Loop.Enrol(c.UserContext(), in.Code, key, in.Name)
	if err != nil {
		return err
	}
	right()
	edge.SetDevice(c, e.Device)
	t, err := a.tokens(e.Signed)
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusCreated, enrolReply{Device: e.Device, User: e.User.ID, UserName: e.User.Name, Region: e.User.Region,
		Role: e.User.Role, tokens: t, UserKey: e.UserKey[:], ServerKey: e.ServerKey, Incarnation: e.Incarnation, Recipient: e.Recipient})
}
