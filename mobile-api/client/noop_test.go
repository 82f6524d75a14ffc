package client_test

import (
	"io"
	"net/http"
	"testing"

	"aidloop/mobile-api/client"
	"aidloop/server/casework"
	"aidloop/server/cmd/aidloop/app"
	"aidloop/server/loop"
	"aidloop/syncproto"
	"aidloop/syncproto/device"
)

// scale is a transport that weighs bodies as they cross the wire.
type scale struct {
	trips    int
	up, down int
}

func (s *scale) RoundTrip(r *http.Request) (*http.Response, error) {
	s.trips++
	s.up += int(r.ContentLength)
	res, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		res.Body = &weighed{res.Body, s}
	}
	return res, err
}

type weighed struct {
	io.ReadCloser
	s *scale
}

func (w *weighed) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.s.down += n
	return n, err
}

// maxNoop is what a phone with nothing to say and nothing to hear may send and receive, in bytes of body each way.
const maxNoop = 400

// A phone that stands at the head of its three buckets syncs with one round trip of small bodies, however long its ids
// and cursors are.
func TestASyncOfNothingIsSmall(t *testing.T) {
	for _, boot := range []string{"", app.NewID()} {
		clock, user := &clockwork{now: noon}, app.NewID()
		a, err := app.Open(t.Context(), app.Config{Addr: "127.0.0.1:0", Data: t.TempDir(), Clock: clock.time})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		})
		phone := theirPhone(t, a, user, boot, clock)
		s := &scale{}
		phone.HTTP = &http.Client{Transport: s}
		for n := range 2 { // the first one brings what the phone captured
			*s = scale{}
			if done, err := phone.Sync(t.Context()); err != nil || done.Fault != nil {
				t.Fatal(err, done.Fault)
			}
			buckets, err := phone.Engine.Buckets()
			if err != nil || len(buckets) != 3 {
				t.Fatalf("%d: the phone holds %v, want three buckets: %v", n, buckets, err)
			}
		}
		if s.trips != 1 || s.up > maxNoop || s.down > maxNoop || s.up == 0 || s.down == 0 {
			t.Errorf("%d round trips, %d bytes up and %d down, want one of at most %d", s.trips, s.up, s.down, maxNoop)
		}
		t.Logf("%d bytes up, %d down", s.up, s.down)
	}
}

func theirPhone(t *testing.T, a *app.App, user, boot string, clock *clockwork) *client.Client {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(a.Listen())
	_, err := a.Loop.CreateUsers(t.Context(), casework.System, loop.NewUser{ID: user, Login: "u-1", Name: "网格员", Role: "grid_worker", Region: grid})
	must(err)
	must(a.Loop.Grant(t.Context(), casework.System, loop.GridGrant{User: user, Grid: grid}))
	must(a.Loop.PutReference(t.Context(), casework.System, "region", map[string]map[string]any{grid[:12]: {"code": grid[:12], "name": "村", "level": "village"}}))
	code, err := a.Loop.NewEnrolCode(t.Context(), casework.System, user)
	must(err)
	clockOf := func() syncproto.Clock {
		c := clock.phone()
		c.Mono, c.Boot = 86_400_000, boot
		return c
	}
	c, err := client.EnrolPhone(t.Context(), device.NewMemory(), http.DefaultClient, a.URL, code, "手机", options(), clockOf)
	must(err)
	_, err = c.Sync(t.Context()) // it brings the key of the grid
	must(err)
	ref := syncproto.Ref{Kind: "household", ID: app.NewID()}
	_, err = c.Engine.Capture(ref, []device.Draft{{Op: syncproto.OpPut, Ref: ref, Bucket: syncproto.BucketGrid + grid,
		Fields: syncproto.Fields(map[string]any{"code": "H-1", "members_count": 3})}}, clockOf())
	must(err)
	return c
}
