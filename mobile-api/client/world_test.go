package client_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"aidloop/fixtures/netproxy"
	"aidloop/mobile-api/client"
	"aidloop/server/casework"
	"aidloop/server/cmd/aidloop/app"
	"aidloop/server/loop"
	"aidloop/syncproto"
	"aidloop/syncproto/device"
)

const grid = "430681101200-001"

// noon is when every clock of these tests stands, unless a test moves it.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// clockwork is a clock that only tests move.
type clockwork struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clockwork) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clockwork) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *clockwork) phone() syncproto.Clock { return syncproto.Clock{Wall: c.time().UnixMilli()} }

func options() device.Options { return device.Options{Random: rand.Reader, Catalog: 1} }

// fake is a server that answers as a test tells it.
type fake struct {
	*httptest.Server
	t      *testing.T
	mu     sync.Mutex
	paths  []string
	tokens []string // that came with exchanges
	answer func(w http.ResponseWriter, r *http.Request)
}

func newFake(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) *fake {
	t.Helper()
	f := &fake{t: t, answer: answer}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // a body that breaks off is not what these tests are about
	f.mu.Lock()
	f.paths = append(f.paths, r.URL.Path)
	if r.URL.Path == "/sync/v1" {
		f.tokens = append(f.tokens, r.Header.Get("Authorization"))
	}
	f.mu.Unlock()
	f.answer(w, r)
}

// seen are the paths and tokens that came.
func (f *fake) seen() (paths, tokens []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.paths...), append([]string{}, f.tokens...)
}

// frames answers an exchange with nothing new, and with a fault where a code is given.
func frames(t *testing.T, w http.ResponseWriter, fault syncproto.Code) {
	b := syncproto.AppendJSON(nil, syncproto.FrameHelloReply, syncproto.HelloReply{Version: 1, Catalog: 1, Incarnation: "life", Now: noon.UnixMilli()})
	n := 1
	if fault != "" {
		b = syncproto.AppendJSON(b, syncproto.FrameFault, syncproto.Fault{Code: fault})
		n++
	}
	if _, err := w.Write(syncproto.AppendJSON(b, syncproto.FrameEnd, syncproto.End{Frames: n})); err != nil {
		t.Error(err)
	}
}

func reply(t *testing.T, w http.ResponseWriter, v any) {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		t.Error(err)
	}
}

// phone is a phone that was enrolled somewhere else, connected to the fake server.
func (f *fake) phone(tokens client.Tokens) *client.Client {
	f.t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	s := device.NewMemory()
	if err := device.Enrol(s, device.Identity{Device: "d-1", User: "u-1", Region: grid, Role: "grid_worker", Private: key}); err != nil {
		f.t.Fatal(err)
	}
	e, err := device.Open(s, options())
	if err != nil {
		f.t.Fatal(err)
	}
	c := client.New(e, f.URL, tokens, (&clockwork{now: noon}).phone)
	c.HTTP = f.Client()
	c.Sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return c
}

// world is the real server with one phone, over a line that a test can spoil.
type world struct {
	*testing.T
	app    *app.App
	data   string
	server *clockwork
	clock  *clockwork // the phone's
	line   *netproxy.Proxy
	client *client.Client
	groups int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, data: t.TempDir(), server: &clockwork{now: noon}, clock: &clockwork{now: noon}}
	var err error
	w.app, err = app.Open(t.Context(), app.Config{Addr: "127.0.0.1:0", Data: w.data, Clock: w.server.time})
	w.must(err)
	t.Cleanup(func() { w.must(w.app.Close()) })
	w.must(w.app.Listen())
	_, err = w.app.Loop.CreateUsers(t.Context(), casework.System, loop.NewUser{ID: "u-1", Login: "u-1", Name: "网格员", Role: "grid_worker", Region: grid})
	w.must(err)
	w.must(w.app.Loop.Grant(t.Context(), casework.System, loop.GridGrant{User: "u-1", Grid: grid}))
	code, err := w.app.Loop.NewEnrolCode(t.Context(), casework.System, "u-1")
	w.must(err)
	w.line, err = netproxy.Start(netproxy.Options{Upstream: w.app.URL[len("http://"):]})
	w.must(err)
	t.Cleanup(w.line.Close)
	h := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	w.client, err = client.EnrolPhone(t.Context(), device.NewMemory(), h, w.line.URL(), code, "手机", options(), w.clock.phone)
	w.must(err)
	w.client.Sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	_, err = w.client.Sync(t.Context()) // it pulls the key of its grid
	w.must(err)
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// capture captures a new household.
func (w *world) capture() {
	w.Helper()
	w.groups++
	ref := syncproto.Ref{Kind: "household", ID: "h-" + string(rune('a'+w.groups))}
	_, err := w.client.Engine.Capture(ref, []device.Draft{{Op: syncproto.OpPut, Ref: ref, Bucket: syncproto.BucketGrid + grid,
		Fields: syncproto.Fields(map[string]any{"code": "H-" + ref.ID, "members_count": 3})}}, w.clock.phone())
	w.must(err)
}

// settled insists that everything that was captured is on record once, and that the phone knows.
func (w *world) settled() {
	w.Helper()
	st, err := w.client.Engine.Status(0)
	w.must(err)
	if st.OnlyHere > 0 || st.Photos > 0 || st.Trouble != "" || len(st.Held)+len(st.Rejected)+len(st.Incidents) > 0 {
		w.Errorf("not everything came through: %+v", st)
	}
	checked, err := w.app.Loop.Check(w.Context(), w.app.Blobs.Verify)
	w.must(err)
	if len(checked.Findings) > 0 || checked.Groups != w.groups {
		w.Errorf("%d groups were captured: %+v", w.groups, checked)
	}
}
