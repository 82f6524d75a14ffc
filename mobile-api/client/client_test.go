package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"aidloop/fixtures/netproxy"
	"aidloop/mobile-api/client"
	"aidloop/syncproto"
)

// refreshing answers every refresh with the next pair of tokens, and exchanges with nothing.
func refreshing(t *testing.T) *fake {
	n := 0 // requests of a phone come one by one
	return newFake(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/sync/v1" {
			frames(t, w, "")
			return
		}
		n++
		reply(t, w, map[string]any{"access_token": fmt.Sprintf("access-%d", n), "access_expires_in": 900, "refresh_token": fmt.Sprintf("refresh-%d", n)})
	})
}

func expired() client.Tokens {
	return client.Tokens{Access: "old", Expires: noon.UnixMilli() - 1, Refresh: "refresh-0"}
}

func TestAnExpiredTokenIsRefreshedAndSavedBeforeItIsUsed(t *testing.T) {
	f := refreshing(t)
	c := f.phone(expired())
	var saved []client.Tokens
	c.Save = func(n client.Tokens) error {
		if _, used := f.seen(); len(used) > 0 {
			t.Error("a token was used before it was saved")
		}
		saved = append(saved, n)
		return nil
	}
	for range 2 { // the second time the token is still good
		if _, err := c.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := client.Tokens{Access: "access-1", Expires: noon.UnixMilli() + 900_000, Refresh: "refresh-1"}
	paths, used := f.seen()
	if len(saved) != 1 || saved[0] != want || !slices.Equal(paths, []string{"/auth/v1/refresh", "/sync/v1", "/sync/v1"}) ||
		!slices.Equal(used, []string{"Bearer access-1", "Bearer access-1"}) {
		t.Errorf("saved %+v, asked for %v with %v", saved, paths, used)
	}
}

// A phone that cannot keep a token does not use it: after a restart it would be left with one that is too old.
func TestATokenThatCannotBeSavedIsNotUsed(t *testing.T) {
	f := refreshing(t)
	c := f.phone(expired())
	full := errors.New("the phone is full")
	c.Save = func(client.Tokens) error { return full }
	if _, err := c.Sync(t.Context()); !errors.Is(err, full) {
		t.Error(err)
	}
	if _, used := f.seen(); len(used) > 0 {
		t.Errorf("used %v", used)
	}
}

func TestALostRefreshAnswer(t *testing.T) {
	w := newWorld(t)
	for _, k := range []netproxy.Kind{netproxy.DropAfter, netproxy.CutResponse, netproxy.DropBefore, netproxy.Duplicate} {
		w.clock.pass(20 * time.Minute)
		w.server.pass(20 * time.Minute)
		w.capture()
		w.line.Script(netproxy.Plan{Kind: k, At: 0.5})
		for range 2 {
			done, err := w.client.Sync(t.Context())
			if err != nil || done.Fault != nil {
				t.Fatalf("%s: %v %+v", k, err, done.Fault)
			}
		}
	}
	w.settled()
}

// By its own clock, which was set back, the phone's token never expires.
func TestATokenThatTheServerDoesNotTakeIsRenewed(t *testing.T) {
	w := newWorld(t)
	w.clock.pass(-48 * time.Hour)
	w.server.pass(time.Hour)
	w.capture()
	done, err := w.client.Sync(t.Context())
	if err != nil || done.Fault != nil {
		t.Fatalf("%v %+v", err, done.Fault)
	}
	w.settled()
	w.server.pass(time.Hour)
	if _, err := w.client.Engine.AddBlob([]byte(strings.Repeat("photo", 1000)), "image/jpeg"); err != nil {
		t.Fatal(err)
	}
	if done, err := w.client.Sync(t.Context()); err != nil || done.Photos != 1 {
		t.Errorf("the photo: %v %+v", err, done)
	}
}

func TestARenewedTokenThatIsNotTakenEither(t *testing.T) {
	f := newFake(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/sync/v1" {
			frames(t, w, syncproto.CodeTokenInvalid)
			return
		}
		reply(t, w, map[string]any{"access_token": "new", "access_expires_in": 900, "refresh_token": "next"})
	})
	done, err := f.phone(client.Tokens{Access: "good", Expires: noon.UnixMilli() + 900_000, Refresh: "r"}).Sync(t.Context())
	if _, used := f.seen(); err != nil || done.Fault == nil || !slices.Equal(used, []string{"Bearer good", "Bearer new"}) {
		t.Errorf("%v %+v, used %v", err, done, used)
	}
}

func TestAPushGoesOutWithoutATokenWhenTheRefreshIsRefused(t *testing.T) {
	w := newWorld(t)
	w.capture()
	c := client.New(w.client.Engine, w.line.URL(), client.Tokens{Refresh: "nobody.knows"}, w.clock.phone)
	c.HTTP = w.client.HTTP
	done, err := c.Sync(t.Context())
	if err != nil || done.Fault == nil || done.Fault.Code != syncproto.CodeTokenInvalid {
		t.Fatalf("%v %+v", err, done)
	}
	if done, err := w.client.Sync(t.Context()); err != nil || done.Fault != nil { // with the token that is good
		t.Fatalf("%v %+v", err, done)
	}
	w.settled()
}

// Whatever part of an answer arrives, and whatever part of a request, the next try brings the rest, once.
func TestCutsLoseNothing(t *testing.T) {
	for _, k := range []netproxy.Kind{netproxy.CutResponse, netproxy.CutRequest} {
		t.Run(k.String(), func(t *testing.T) {
			w := newWorld(t)
			for _, at := range []float64{0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999} {
				w.capture()
				w.line.Script(netproxy.Plan{Kind: k, At: at}, netproxy.Plan{Kind: k, At: at})
				done, err := w.client.Sync(t.Context())
				for try := 0; err != nil && try < 2; try++ { // a cut within the header is answered with 400, which ends a sync
					done, err = w.client.Sync(t.Context())
				}
				if err != nil || done.Fault != nil {
					t.Fatalf("cut at %v: %v %+v", at, err, done)
				}
			}
			w.settled()
			if n := w.line.Counts()[k]; n != 16 {
				t.Errorf("%d cuts", n)
			}
		})
	}
}

// An upload that breaks off goes on where it was, in the next sync.
func TestAPhotoThatBreaksOff(t *testing.T) {
	w := newWorld(t)
	data := []byte(strings.Repeat("0123456789abcdef", 40<<10)) // three requests
	if _, err := w.client.Engine.AddBlob(data, "image/jpeg"); err != nil {
		t.Fatal(err)
	}
	pass := netproxy.Plan{Kind: netproxy.Pass}
	w.line.Script(pass, pass, pass, netproxy.Plan{Kind: netproxy.CutRequest, At: 0.5}) // exchange, create, a part, a broken part
	if _, err := w.client.Sync(t.Context()); err == nil {
		t.Fatal("the photo came through")
	}
	b, err := w.client.Engine.NextBlob()
	if err != nil || b == nil || b.Offset == 0 || b.Offset == b.Size {
		t.Fatalf("%v %+v", err, b)
	}
	if done, err := w.client.Sync(t.Context()); err != nil || done.Photos != 1 {
		t.Fatalf("%v %+v", err, done)
	}
	w.settled()
}

func TestPausesBetweenTries(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name   string
		status int
		after  string
		pauses []time.Duration
	}{
		{"unavailable", 503, "7", []time.Duration{7 * s, 7 * s, 7 * s, 8 * s, 16 * s}},
		{"too many", 429, "60", []time.Duration{60 * s, 60 * s, 60 * s, 60 * s, 60 * s}},
		{"nothing said", 503, "", []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s}},
		{"a gateway without its server", 502, "", []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s}},
		{"nonsense", 503, "-5", []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s}},
		{"tomorrow", 429, "3600", nil},
		{"no passing trouble", 403, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", c.after)
				w.WriteHeader(c.status)
			})
			phone := f.phone(client.Tokens{})
			var pauses []time.Duration
			phone.Sleep = func(_ context.Context, d time.Duration) error { pauses = append(pauses, d); return nil }
			_, err := phone.Sync(t.Context())
			var p *client.Problem
			if !errors.As(err, &p) || p.Status != c.status || p.Title == "" || !slices.Equal(pauses, c.pauses) {
				t.Errorf("%v, pauses %v, want %v", err, pauses, c.pauses)
			}
		})
	}
}

// Trouble that passes is over for the phone as soon as it is over for the server.
func TestTroublePasses(t *testing.T) {
	n := 0
	f := newFake(t, func(w http.ResponseWriter, _ *http.Request) {
		if n++; n < 3 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		frames(t, w, "")
	})
	if done, err := f.phone(client.Tokens{}).Sync(t.Context()); err != nil || done.Exchanges != 3 {
		t.Errorf("%v %+v", err, done)
	}
}

// The pauses are the real ones here: a call that did not heed its context would keep the test for an hour.
func TestACancelledContextReturnsAtOnce(t *testing.T) {
	for _, where := range []string{"request", "pause"} {
		t.Run(where, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			f := newFake(t, func(w http.ResponseWriter, r *http.Request) {
				if cancel(); where == "request" {
					<-r.Context().Done() // the phone has left
					return
				}
				w.Header().Set("Retry-After", "120")
				w.WriteHeader(http.StatusServiceUnavailable)
			})
			c := f.phone(client.Tokens{})
			c.Sleep = client.New(nil, "", client.Tokens{}, nil).Sleep
			if _, err := c.Sync(ctx); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if paths, _ := f.seen(); len(paths) != 1 {
				t.Errorf("asked %d times", len(paths))
			}
		})
	}
}
