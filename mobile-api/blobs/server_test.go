package blobs_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"aidloop/mobile-api/blobs"
	"aidloop/storage/blob"
	"aidloop/storage/blob/dir"
)

// phone is the token of the device that tests upload with; spy is another device's.
const (
	phone = "phone-token"
	spy   = "spy-token"
)

// world is a server over a real store, on the loopback.
type world struct {
	*testing.T
	url     string
	root    string
	store   blob.Store
	limits  blob.Limits
	stop    func()
	handler *blobs.Handler

	mu        sync.Mutex
	now       time.Time
	next      int
	readable  map[string]bool // token + sha
	completed []string        // device, sha and size of each call of the hook
	hookError error
	tamper    func(blob.Store) blob.Store
}

// CanUpload and CanRead make the world the server's Access.
func (w *world) CanUpload(_ context.Context, token string) (string, error) {
	switch token {
	case phone:
		return "device-phone", nil
	case spy:
		return "device-spy", nil
	case "reader":
		return "", blobs.ErrForbidden
	case "outage":
		return "", io.ErrClosedPipe
	}
	return "", blobs.ErrUnauthenticated
}

func (w *world) CanRead(_ context.Context, token, sha string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case token == "":
		return blobs.ErrUnauthenticated
	case token == "outage":
		return io.ErrClosedPipe
	case w.readable[token+sha]:
		return nil
	}
	return blobs.ErrForbidden
}

func (w *world) allow(token string, data []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.readable[token+blob.Sum(data)] = true
}

func (w *world) onCompleted(_ context.Context, device, sha string, size int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.completed = append(w.completed, fmt.Sprintf("%s %s %d", device, sha, size))
	return w.hookError
}

func (w *world) newID() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	return fmt.Sprintf("up-%d", w.next)
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, root: t.TempDir(), now: time.Now(), readable: map[string]bool{}, limits: blob.DefaultLimits()}
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

// start starts a server over what is in root, as a new process would.
func (w *world) start() {
	w.Helper()
	keys, err := blob.NewKeys(bytes.Repeat([]byte{3}, blob.MasterKeySize))
	w.must(err)
	w.store, err = dir.Open(filepath.Join(w.root, "store"), blob.StagingConfig{Keys: keys, Limits: w.limits, Now: w.clock, Random: rand.Reader})
	w.must(err)
	served := w.store
	if w.tamper != nil {
		served = w.tamper(served)
	}
	w.handler, err = blobs.New(blobs.Config{
		Store: served, Access: w, Completed: w.onCompleted, NewID: w.newID, MaxBlob: w.limits.MaxBlob, Log: slog.New(slog.DiscardHandler),
	})
	w.must(err)
	app := fiber.New(fiber.Config{StreamRequestBody: true, DisableStartupMessage: true})
	w.must(w.handler.Mount(app))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	w.url = "http://" + listener.Addr().String()
	served2 := make(chan error, 1)
	go func() { served2 <- app.Listener(listener) }()
	// A server that has not begun to listen cannot be shut down: it would begin afterwards.
	res, err := http.Get(w.url + "/none")
	w.must(err)
	w.must(res.Body.Close())
	w.stop = func() {
		w.handler.Close()
		http.DefaultClient.CloseIdleConnections()
		w.must(app.Shutdown())
		w.must(<-served2)
	}
}

func (w *world) restart() {
	w.Helper()
	w.stop()
	w.start()
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// answer is a response whose body has been read.
type answer struct {
	*http.Response
	body []byte
}

// send sends a request as tus clients do; headers are pairs and override what send sets.
func (w *world) send(method, path, token string, data []byte, headers ...string) answer {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), method, w.url+path, bytes.NewReader(data))
	w.must(err)
	req.Header.Set("Tus-Resumable", "1.0.0")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if data != nil {
		req.Header.Set("Content-Type", "application/offset+octet-stream")
	}
	for i := 0; i < len(headers); i += 2 {
		if req.Header.Set(headers[i], headers[i+1]); headers[i+1] == "" {
			req.Header.Del(headers[i])
		}
	}
	res, err := http.DefaultClient.Do(req)
	w.must(err)
	body, err := io.ReadAll(res.Body)
	w.must(err)
	w.must(res.Body.Close())
	return answer{res, body}
}

// wants checks a status and, for problems, the code and a Chinese title.
func (w *world) wants(got answer, status int, code string) answer {
	w.Helper()
	if got.StatusCode != status {
		w.Fatalf("%s %s: status %d, want %d: %s", got.Request.Method, got.Request.URL.Path, got.StatusCode, status, got.body)
	}
	if got.Header.Get("Tus-Resumable") != "1.0.0" {
		w.Fatalf("no Tus-Resumable in %v", got.Header)
	}
	if code == "" || got.Request.Method == http.MethodHead {
		return got
	}
	var problem struct {
		Code, Title string
		Status      int
	}
	w.must(json.Unmarshal(got.body, &problem))
	kind := got.Header.Get("Content-Type")
	if problem.Code != code || problem.Status != status || !strings.ContainsAny(problem.Title, "上传的文件请登录暂") || !strings.HasPrefix(kind, "application/problem+json") {
		w.Fatalf("problem %+v (%s), want %d %s", problem, kind, status, code)
	}
	return got
}

func metadata(pairs ...string) string {
	var all []string
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, pairs[i]+" "+base64.StdEncoding.EncodeToString([]byte(pairs[i+1])))
	}
	return strings.Join(all, ",")
}

func (w *world) post(token string, data []byte, headers ...string) answer {
	w.Helper()
	headers = append([]string{"Upload-Length", strconv.Itoa(len(data)), "Upload-Metadata", metadata("sha256", blob.Sum(data), "filename", "门口.jpg")}, headers...)
	return w.send("POST", "/blobs/v1", token, nil, headers...)
}

// create begins an upload of data and returns its path.
func (w *world) create(data []byte) string {
	w.Helper()
	got := w.wants(w.post(phone, data), 201, "")
	path := got.Header.Get("Location")
	if !strings.HasPrefix(path, "/blobs/v1/uploads/") {
		w.Fatalf("Location %q", path)
	}
	return path
}

func (w *world) patch(path string, offset int, data []byte, headers ...string) answer {
	w.Helper()
	return w.send("PATCH", path, phone, data, append([]string{"Upload-Offset", strconv.Itoa(offset)}, headers...)...)
}

// offset asks how many bytes of an upload are durable.
func (w *world) offset(path string) int {
	w.Helper()
	got := w.wants(w.send("HEAD", path, phone, nil), 200, "")
	offset, err := strconv.Atoi(got.Header.Get("Upload-Offset"))
	w.must(err)
	return offset
}

func (w *world) upload(data []byte) {
	w.Helper()
	got := w.wants(w.patch(w.create(data), 0, data), 204, "")
	if got.Header.Get("Upload-Offset") != strconv.Itoa(len(data)) {
		w.Fatalf("after the upload the offset is %q", got.Header.Get("Upload-Offset"))
	}
	w.must(w.store.Verify(w.Context(), blob.Sum(data)))
}

func (w *world) stored(data []byte) bool {
	w.Helper()
	_, ok, err := w.store.Has(w.Context(), blob.Sum(data))
	w.must(err)
	return ok
}

// photo makes n bytes that no other test makes.
func (w *world) photo(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*7 + i/251 + i/65_537)
	}
	copy(p, w.Name())
	return p
}
