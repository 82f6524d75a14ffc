package token_test

import (
	"testing"
	"time"

	"aidloop/server/loop"
	"aidloop/server/token"
	"aidloop/syncproto"
)

// No text but the one that was issued is a token.
func FuzzToken(f *testing.F) {
	now := time.Unix(1764000000, 0)
	s := token.New(syncproto.Key{1}, func() string { return "id" })
	good, _, err := s.Issue(loop.Signed{User: loop.User{ID: "u"}, Session: "s", Device: "d"}, token.Phone, now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("..")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := s.Parse(text, token.Phone, now); err == nil && text != good {
			t.Fatalf("forged: %q", text)
		}
		if _, err := s.Parse(text, token.Desk, now); err == nil {
			t.Fatalf("a phone's token opens the desk: %q", text)
		}
	})
}
