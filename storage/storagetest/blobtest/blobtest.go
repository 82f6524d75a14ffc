// Package blobtest is the conformance suite of blob stores: whatever keeps blobs passes all of it.
package blobtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"sync"
	"testing"
	"time"

	"aidloop/storage/blob"
)

// Backend is one empty store under test.
type Backend struct {
	// Open opens the store with what is left to fill in of the configuration (all but the folder). Called again it opens the same data, as
	// a new process would; the stores opened before are not used any more then.
	Open func(t *testing.T, c blob.StagingConfig) blob.Store
	// Rewrite replaces the raw bytes of a visible object.
	Rewrite func(t *testing.T, sha string, edit func([]byte) []byte)
	// AtRest returns every byte string that the store holds, staged or visible.
	AtRest func(t *testing.T) [][]byte
}

// Run runs the suite; each test gets a backend of its own.
func Run(t *testing.T, newBackend func(t *testing.T) Backend) {
	tests := map[string]func(*world){
		"upload in one go":                   testWhole,
		"empty blob":                         testEmpty,
		"chunks across restarts":             testRestarts,
		"what arrived before an error stays": testBrokenReader,
		"discarded chunk leaves no trace":    testDiscard,
		"append at a wrong offset":           testWrongOffset,
		"more bytes than declared":           testTooLong,
		"finish before the end":              testIncomplete,
		"wrong hash":                         testWrongHash,
		"failing hook is called again":       testHookAgain,
		"abort":                              testAbort,
		"limits of an owner":                 testLimits,
		"limit of a blob":                    testMaxBlob,
		"a repeated create finds the upload": testCreateAgain,
		"arguments that cannot be":           testInvalid,
		"expiry":                             testExpiry,
		"nothing readable at rest":           testAtRest,
		"a damaged blob is refused":          testDamage,
		"a damaged blob heals":               testHeal,
		"walk":                               testWalk,
		"sweep":                              testSweep,
		"missing blobs":                      testMissing,
		"import":                             testImport,
		"many at once":                       testConcurrent,
		"seeking":                            testSeek,
		"any cut of any upload":              testAnyCut,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := &world{T: t, backend: newBackend(t), now: time.Now().UTC().Truncate(time.Second), ctx: t.Context()}
			w.limits = blob.DefaultLimits()
			w.restart()
			test(w)
		})
	}
}

// world is what a test sees: one store, a clock and a device that uploads.
type world struct {
	*testing.T
	ctx     context.Context
	backend Backend
	store   blob.Store
	limits  blob.Limits

	mu   sync.Mutex
	now  time.Time
	next int
}

const owner = "device-1"

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// restart opens the store's data again.
func (w *world) restart() {
	w.Helper()
	keys, err := blob.NewKeys(bytes.Repeat([]byte{7}, blob.MasterKeySize))
	w.must(err)
	w.store = w.backend.Open(w.T, blob.StagingConfig{Keys: keys, Limits: w.limits, Now: w.clock, Random: rand.Reader})
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) wants(err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Fatalf("got error %v, want %v", err, want)
	}
}

// content makes n bytes from a seed.
func content(seed uint64, n int) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	p := make([]byte, n)
	_, _ = mathrand.NewChaCha8(key).Read(p)
	return p
}

func (w *world) info(data []byte) blob.Info {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	return blob.Info{ID: fmt.Sprintf("upload-%d", w.next), Owner: owner, SHA256: blob.Sum(data), Length: int64(len(data)), Metadata: "filename c2Vla3JldA=="}
}

func (w *world) create(data []byte) blob.Upload {
	w.Helper()
	up, err := w.store.Create(w.ctx, w.info(data))
	w.must(err)
	return up
}

func (w *world) find(id string) blob.Upload {
	w.Helper()
	up, err := w.store.Upload(w.ctx, id)
	w.must(err)
	return up
}

func (w *world) append(up blob.Upload, offset int64, data []byte) {
	w.Helper()
	n, err := up.Append(w.ctx, offset, bytes.NewReader(data))
	w.must(err)
	if n != int64(len(data)) {
		w.Fatalf("kept %d of %d bytes", n, len(data))
	}
}

func (w *world) atOffset(up blob.Upload, want int64, wantFinished bool) {
	w.Helper()
	offset, finished, err := up.Offset(w.ctx)
	w.must(err)
	if offset != want || finished != wantFinished {
		w.Fatalf("upload at %d finished %v, want %d %v", offset, finished, want, wantFinished)
	}
}

// put uploads data and returns its name.
func (w *world) put(data []byte) string {
	w.Helper()
	up := w.create(data)
	w.append(up, 0, data)
	w.must(up.Finish(w.ctx, nil))
	return blob.Sum(data)
}

func (w *world) holds(data []byte) {
	w.Helper()
	r, size, err := w.store.Open(w.ctx, blob.Sum(data))
	w.must(err)
	got, err := io.ReadAll(r)
	w.must(errors.Join(err, r.Close()))
	if size != int64(len(data)) || !bytes.Equal(got, data) {
		w.Fatalf("read %d bytes, announced %d; want the %d put", len(got), size, len(data))
	}
	size, ok, err := w.store.Has(w.ctx, blob.Sum(data))
	if err != nil || !ok || size != int64(len(data)) {
		w.Fatalf("Has = %d, %v, %v", size, ok, err)
	}
	w.must(w.store.Verify(w.ctx, blob.Sum(data)))
}

func (w *world) lacks(sha string) {
	w.Helper()
	_, _, err := w.store.Open(w.ctx, sha)
	w.wants(err, blob.ErrNotFound)
	w.wants(w.store.Verify(w.ctx, sha), blob.ErrNotFound)
	if _, ok, err := w.store.Has(w.ctx, sha); ok || err != nil {
		w.Fatalf("Has = %v, %v", ok, err)
	}
	w.must(w.store.Walk(w.ctx, func(found string, _ int64) error {
		if found == sha {
			w.Errorf("Walk shows %s", sha)
		}
		return nil
	}))
}

// broken delivers data and then fails, as a connection does.
type broken struct {
	data io.Reader
	err  error
}

func (b broken) Read(p []byte) (int, error) {
	n, err := b.data.Read(p)
	if errors.Is(err, io.EOF) {
		err = b.err
	}
	return n, err
}
