package token_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"pgregory.net/rapid"

	"aidloop/server/loop"
	"aidloop/server/token"
	"aidloop/syncproto"
)

var (
	seed  = syncproto.Key{1, 2, 3}
	start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	phone = loop.Signed{User: loop.User{ID: "user-1"}, Device: "device-1", Session: "session-1"}
	desk  = loop.Signed{User: loop.User{ID: "user-2"}, Session: "session-2"}
)

func signer() *token.Signer {
	n := 0
	return token.New(seed, func() string { n++; return "token-" + strconv.Itoa(n) })
}

func issue(t interface{ Fatal(...any) }, s *token.Signer, who loop.Signed, aud string) string {
	raw, in, err := s.Issue(who, aud, start)
	if err != nil || in != 900 {
		t.Fatal(in, err)
	}
	return raw
}

func TestTokenSaysWhoItWasIssuedTo(t *testing.T) {
	s := signer()
	got, err := s.Parse(issue(t, s, phone, token.Phone), token.Phone, start)
	want := token.Claims{ID: "token-1", User: "user-1", Session: "session-1", Device: "device-1", Expires: start.Add(15 * time.Minute)}
	if err != nil || !got.Expires.Equal(want.Expires) {
		t.Fatalf("%+v %v", got, err)
	}
	got.Expires = want.Expires
	if got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	if _, err := s.Parse(issue(t, s, desk, token.Desk), token.Desk, start); err != nil {
		t.Fatal(err)
	}
}

func TestTokenIsGoodFromIssueToExpiryWithinTheLeeway(t *testing.T) {
	s := signer()
	raw := issue(t, s, phone, token.Phone)
	rapid.Check(t, func(t *rapid.T) {
		at := start.Add(time.Duration(rapid.Int64Range(-3600, 7200).Draw(t, "seconds")) * time.Second)
		good := !at.Before(start.Add(-token.Leeway)) && at.Before(start.Add(token.Life+token.Leeway))
		if _, err := s.Parse(raw, token.Phone, at); (err == nil) != good || err != nil && !errors.Is(err, token.ErrInvalid) {
			t.Fatalf("at %v: %v", at.Sub(start), err)
		}
	})
}

func TestAlteredTokenIsRefused(t *testing.T) {
	s := signer()
	raw := issue(t, s, phone, token.Phone)
	rapid.Check(t, func(t *rapid.T) {
		b := []byte(raw)
		switch rapid.IntRange(0, 2).Draw(t, "how") {
		case 0:
			i := rapid.IntRange(0, len(b)-1).Draw(t, "at")
			b[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
		case 1:
			b = b[:rapid.IntRange(0, len(b)-1).Draw(t, "length")]
		case 2:
			b = append(b, rapid.SliceOfN(rapid.Byte(), 1, 4000).Draw(t, "more")...)
		}
		if _, err := s.Parse(string(b), token.Phone, start); !errors.Is(err, token.ErrInvalid) {
			t.Fatalf("accepted %q: %v", b, err)
		}
	})
}

// A decoder of base64 ignores these, so that only a rule of our own refuses them.
func TestTokenWithLineEndsIsRefused(t *testing.T) {
	s := signer()
	raw := issue(t, s, phone, token.Phone)
	for _, altered := range []string{raw + "\r", raw + "\n", "\n" + raw, raw[:len(raw)-9] + "\r\n" + raw[len(raw)-9:]} {
		if _, err := s.Parse(altered, token.Phone, start); !errors.Is(err, token.ErrInvalid) {
			t.Fatalf("accepted %q: %v", altered, err)
		}
	}
}

func TestTokenOfAnotherAudienceOrKeyIsRefused(t *testing.T) {
	s := signer()
	for _, c := range []struct {
		who     loop.Signed
		aud, as string
	}{{phone, token.Phone, token.Desk}, {desk, token.Desk, token.Phone}, {phone, token.Phone, ""}} {
		if _, err := s.Parse(issue(t, s, c.who, c.aud), c.as, start); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%s token taken as %q: %v", c.aud, c.as, err)
		}
	}
	other := token.New(syncproto.Key{9}, func() string { return "x" })
	if _, err := s.Parse(issue(t, other, phone, token.Phone), token.Phone, start); !errors.Is(err, token.ErrInvalid) {
		t.Error("a stranger's token was accepted:", err)
	}
}

func TestOnlyPhonesHaveADevice(t *testing.T) {
	s := signer()
	for _, c := range []struct {
		who loop.Signed
		aud string
	}{{desk, token.Phone}, {phone, token.Desk}, {phone, "elsewhere"}, {loop.Signed{Device: "d", Session: "s"}, token.Phone}} {
		if raw, _, err := s.Issue(c.who, c.aud, start); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("issued %q to %+v", raw, c.who)
		}
	}
}

// claims are those of a good token, for forgers to start from.
func claims() jwt.MapClaims {
	return jwt.MapClaims{"iss": "aidloop", "sub": "user-1", "sid": "session-1", "dev": "device-1", "aud": []string{"phone"},
		"jti": "1", "iat": start.Unix(), "exp": start.Add(time.Hour).Unix()}
}

func TestForgedAlgorithmsAreRefused(t *testing.T) {
	key := ed25519.NewKeyFromSeed(seed[:])
	public := key.Public().(ed25519.PublicKey)
	none, err := jwt.NewWithClaims(jwt.SigningMethodNone, claims()).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	hmac, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims()).SignedString([]byte(public))
	if err != nil {
		t.Fatal(err)
	}
	good, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims()).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	unsigned := good[:strings.LastIndexByte(good, '.')+1]
	for name, raw := range map[string]string{"none": none, "HS256 with the public key": hmac, "no signature": unsigned, "": ""} {
		if _, err := signer().Parse(raw, token.Phone, start); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := signer().Parse(good, token.Phone, start); err != nil {
		t.Error("the forgers' claims are not good to begin with:", err)
	}
}

func TestEveryClaimIsNeeded(t *testing.T) {
	key := ed25519.NewKeyFromSeed(seed[:])
	change := map[string]any{"iss": "elsewhere", "aud": []string{"phone", "desk"}, "iat": start.Add(time.Hour).Unix(), "exp": start.Add(-time.Hour).Unix()}
	for name := range claims() {
		for _, drop := range []bool{true, false} {
			c := claims()
			delete(c, name)
			if v, ok := change[name]; ok && !drop {
				c[name] = v
			} else if name == "iat" {
				continue // without it a token is merely of unknown age; exp bounds it
			}
			raw, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, c).SignedString(key)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := signer().Parse(raw, token.Phone, start); !errors.Is(err, token.ErrInvalid) {
				t.Errorf("%s (dropped: %v): %v", name, drop, err)
			}
		}
	}
}

func TestPayloadHoldsNothingElse(t *testing.T) {
	s := signer()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(issue(t, s, phone, token.Phone), ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(payload, &m); err != nil {
		t.Fatal(err)
	}
	for name := range claims() {
		delete(m, name)
	}
	if len(m) > 0 {
		t.Errorf("the token also says %v", m)
	}
}
