// Package token makes and reads the access tokens of phones and desks: JWTs (RFC 7519) signed with EdDSA over
// Ed25519 (RFC 8037), good for fifteen minutes. They only say who somebody is; that his session still lives is for
// loop.Standing to say, at every request.
package token

import (
	"crypto/ed25519"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"aidloop/server/loop"
	"aidloop/syncproto"
)

// Audiences. A token for one of them opens nothing of the other.
const (
	Phone = "phone"
	Desk  = "desk"
)

// Life is how long a token is good for, Leeway how far the clocks of two server processes may differ.
const (
	Life   = 15 * time.Minute
	Leeway = 30 * time.Second
)

const (
	issuer   = "aidloop"
	maxToken = 2048 // bytes; ours have fewer than 600
)

// ErrInvalid is wrapped by every refusal of a token.
var ErrInvalid = syncproto.Refuse(syncproto.CodeTokenInvalid, "")

// Claims are what a token says.
type Claims struct {
	ID      string // of this token
	User    string
	Session string
	Device  string // "" at a desk
	Expires time.Time
}

// Signer signs tokens and checks them. It is safe for concurrent use.
type Signer struct {
	key   ed25519.PrivateKey
	newID func() string
}

// New makes a Signer from the key's seed (loop.Secrets.TokenSeed); newID mints the tokens' ids.
func New(seed syncproto.Key, newID func() string) *Signer {
	return &Signer{ed25519.NewKeyFromSeed(seed[:]), newID}
}

// wire is the token's payload.
type wire struct {
	jwt.RegisteredClaims
	Session string `json:"sid"`
	Device  string `json:"dev"`
}

// Issue makes a token for somebody whom the loop let in. It says for how many seconds the token is good.
func (s *Signer) Issue(who loop.Signed, audience string, now time.Time) (token string, expiresIn int, err error) {
	w := wire{Session: who.Session, Device: who.Device, RegisteredClaims: jwt.RegisteredClaims{
		Issuer: issuer, Subject: who.User.ID, Audience: jwt.ClaimStrings{audience}, ID: s.newID(),
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(Life)),
	}}
	if err := w.fits(audience); err != nil {
		return "", 0, err
	}
	token, err = jwt.NewWithClaims(jwt.SigningMethodEdDSA, w).SignedString(s.key)
	if err != nil {
		return "", 0, fmt.Errorf("sign token: %w", err)
	}
	return token, int(Life / time.Second), nil
}

// Parse reads a token of an audience. It takes no algorithm but EdDSA, no other issuer, no token from the future, and
// base64 in one spelling only. Every error wraps ErrInvalid.
func (s *Signer) Parse(token, audience string, now time.Time) (Claims, error) {
	if len(token) > maxToken {
		return Claims{}, fmt.Errorf("%w: too long", ErrInvalid)
	}
	// Base64 decoders pass over line ends, strict or not: the same token would have many spellings.
	if strings.ContainsAny(token, "\r\n") {
		return Claims{}, fmt.Errorf("%w: line end inside", ErrInvalid)
	}
	var w wire
	p := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithStrictDecoding(),
		jwt.WithIssuer(issuer), jwt.WithAudience(audience), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithLeeway(Leeway), jwt.WithTimeFunc(func() time.Time { return now }))
	_, err := p.ParseWithClaims(token, &w, func(*jwt.Token) (any, error) { return s.key.Public(), nil })
	if err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := w.fits(audience); err != nil {
		return Claims{}, err
	}
	return Claims{ID: w.ID, User: w.Subject, Session: w.Session, Device: w.Device, Expires: w.ExpiresAt.Time}, nil
}

// fits checks what must be said to an audience: phones have a device, desks have none.
func (w *wire) fits(audience string) error {
	switch {
	case w.Subject == "" || w.Session == "" || w.ID == "":
		return fmt.Errorf("%w: a claim is missing", ErrInvalid)
	case len(w.Audience) != 1 || (audience != Phone && audience != Desk):
		return fmt.Errorf("%w: other audience", ErrInvalid)
	case (audience == Phone) != (w.Device != ""):
		return fmt.Errorf("%w: only phones have a device", ErrInvalid)
	}
	return nil
}
