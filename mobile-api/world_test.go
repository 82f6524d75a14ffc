package mobileapi_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	mobileapi "aidloop/mobile-api"
	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/server/problem"
	"aidloop/server/token"
	"aidloop/storage/chunks"
	"aidloop/storage/sqlite"
	"aidloop/syncproto"
)

// Two grids of one village, and who works in them.
const (
	gridA = "430681101200-001"
	gridB = "430681101200-002"
	anna  = "worker-anna" // has grid A
	bao   = "worker-bao"  // has grid B
	chen  = "worker-chen" // has grid A, too
)

// world is a server over a real store, on the loopback, with a clock that only tests move.
type world struct {
	*testing.T
	url    string
	loop   *loop.Loop
	store  *sqlite.Store
	tokens *token.Signer
	api    *mobileapi.API
	app    *fiber.App
	client *http.Client
	served chan error

	mu    sync.Mutex
	now   time.Time
	next  int
	beats []chan time.Time // of each live connection, in the order of their opening
	logs  bytes.Buffer
}

func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.logs.Write(p)
}

func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.logs.String()
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) newID() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	return fmt.Sprintf("id-%06d", w.next)
}

func (w *world) newBeat() (<-chan time.Time, func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	beat := make(chan time.Time)
	w.beats = append(w.beats, beat)
	return beat, func() {}
}

// beat gives the n-th live connection its heartbeat.
func (w *world) beat(n int) {
	w.mu.Lock()
	beat := w.beats[n]
	w.mu.Unlock()
	beat <- w.clock()
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func newWorld(t *testing.T, limits ...mobileapi.Limits) *world {
	w := &world{T: t, now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), served: make(chan error, 1), client: &http.Client{}}
	log := slog.New(slog.NewJSONHandler(w, nil))
	store, err := sqlite.Open(context.Background(), sqlite.Options{Dir: t.TempDir(), Logger: log, Clock: w.clock, NewID: w.newID})
	w.must(err)
	w.store = store
	secrets := loop.Secrets{Master: syncproto.Key{7}, Signing: ed25519.NewKeyFromSeed(make([]byte, 32))}
	hub := mobileapi.NewHub()
	w.loop = loop.New(loop.Options{Store: store, Clock: w.clock, Secrets: secrets, NewID: w.newID, Poke: hub.Poke, Log: log,
		Chunks: chunks.New(1 << 20), SnapshotRows: 10, ChunkBytes: 1000}) // offered to phones that fetch them
	w.tokens = token.New(secrets.TokenSeed(), w.newID)
	o := mobileapi.Options{Loop: w.loop, Tokens: w.tokens, Clock: w.clock, Hub: hub, Log: log, NewID: w.newID,
		Beat: w.newBeat}
	if len(limits) > 0 {
		o.Limits = limits[0]
	}
	w.api = mobileapi.New(o)
	w.app = fiber.New(mobileapi.AppConfig(log))
	w.api.Mount(w.app)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	w.url = "http://" + ln.Addr().String()
	go func() { w.served <- w.app.Listener(ln) }()
	t.Cleanup(func() {
		w.client.CloseIdleConnections()
		w.stop()
		w.must(store.Close())
	})
	w.staff()
	return w
}

func (w *world) stop() {
	w.api.Close()
	w.must(w.app.Shutdown())
}

func (w *world) staff() {
	for user, grid := range map[string]string{anna: gridA, bao: gridB, chen: gridA} {
		_, err := w.loop.CreateUsers(context.Background(), casework.System,
			loop.NewUser{ID: user, Login: user, Name: "网格员", Role: string(casework.RoleGridWorker), Region: grid})
		w.must(err)
		w.must(w.loop.Grant(context.Background(), casework.System, loop.GridGrant{User: user, Grid: grid}))
	}
}

// answer is an HTTP response, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request; headers are pairs of names and values.
func (w *world) do(method, path string, body []byte, headers ...string) answer {
	w.Helper()
	req, err := http.NewRequest(method, w.url+path, bytes.NewReader(body))
	w.must(err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := w.client.Do(req)
	w.must(err)
	b, err := io.ReadAll(resp.Body)
	w.must(err)
	w.must(resp.Body.Close())
	return answer{resp.StatusCode, resp.Header, b}
}

func (w *world) post(path string, v any, headers ...string) answer {
	w.Helper()
	b, err := json.Marshal(v)
	w.must(err)
	return w.do(http.MethodPost, path, b, append([]string{"Content-Type", "application/json"}, headers...)...)
}

// refused checks that an answer is a problem with a status and a code.
func (w *world) refused(a answer, status int, code syncproto.Code) problem.Problem {
	w.Helper()
	var p problem.Problem
	if err := json.Unmarshal(a.body, &p); err != nil || a.status != status || p.Status != status || p.Code != string(code) || p.Title == "" || p.RequestID == "" ||
		p.RequestID != a.header.Get("X-Request-Id") || !strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+json") {
		w.Fatalf("got %d %s %v, want %d %s", a.status, a.body, a.header, status, code)
	}
	return p
}
