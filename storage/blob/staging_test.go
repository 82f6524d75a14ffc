package blob

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var testNow = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

func openStaging(t testing.TB, dir string) *Staging {
	t.Helper()
	keys, err := NewKeys(make([]byte, MasterKeySize))
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewStaging(StagingConfig{Dir: dir, Keys: keys, Limits: DefaultLimits(), Now: func() time.Time { return testNow }, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// stage makes an upload of data that holds all its bytes, in two frames, and returns the staging folder.
func stage(t testing.TB, data []byte) string {
	t.Helper()
	dir := t.TempDir()
	p, err := openStaging(t, dir).create(Info{ID: "u", Owner: "d", SHA256: Sum(data), Length: int64(len(data))})
	if err != nil {
		t.Fatal(err)
	}
	half := int64(len(data) / 2)
	if _, err := p.append(t.Context(), 0, bytes.NewReader(data[:half])); err != nil {
		t.Fatal(err)
	}
	if _, err := p.append(t.Context(), half, bytes.NewReader(data[half:])); err != nil {
		t.Fatal(err)
	}
	return dir
}

func offsetIn(t testing.TB, dir string) int64 {
	t.Helper()
	p, err := openStaging(t, dir).find("u")
	if err != nil {
		t.Fatal(err)
	}
	offset, _, err := p.currentOffset()
	if err != nil {
		t.Fatal(err)
	}
	return offset
}

// resume appends what is missing after a crash and checks that the upload then finishes with its own content.
func resume(t *testing.T, dir string, data []byte) {
	t.Helper()
	p, err := openStaging(t, dir).find("u")
	if err != nil {
		t.Fatal(err)
	}
	offset, _, err := p.currentOffset()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.append(t.Context(), offset, bytes.NewReader(data[offset:])); err != nil {
		t.Fatal(err)
	}
	published := false
	publish := func(context.Context, string) error { published = true; return nil }
	if err := p.finish(t.Context(), publish, nil); err != nil || !published {
		t.Fatalf("finish: %v, published %v", err, published)
	}
}

// A crash may leave any prefix of the frames. Whole frames count, the torn one does not.
func TestEveryTornUploadResumes(t *testing.T) {
	data := testBytes(400)
	dir := stage(t, data)
	path := filepath.Join(dir, "u.part")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) + 1 {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		want := int64(0)
		if n >= len(whole)/2 {
			want = 200
		}
		if n == len(whole) {
			want = 400
		}
		if got := offsetIn(t, dir); got != want {
			t.Fatalf("after %d of %d bytes: offset %d, want %d", n, len(whole), got, want)
		}
	}
	if err := os.WriteFile(path, whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	resume(t, dir, data)
}

func TestEveryFlippedBitOfAnUploadIsSentAgain(t *testing.T) {
	data := testBytes(60)
	dir := stage(t, data)
	path := filepath.Join(dir, "u.part")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(whole) * 8 {
		damaged := bytes.Clone(whole)
		damaged[i/8] ^= 1 << (i % 8)
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		want := int64(0)
		if i/8 >= len(whole)/2 {
			want = 30
		}
		if got := offsetIn(t, dir); got != want {
			t.Fatalf("bit %d: offset %d, want %d", i, got, want)
		}
	}
	resume(t, dir, data)
}

// Bytes that were counted and are gone when the upload finishes are asked for again, not reported as a wrong hash.
func TestBytesLostBeforeTheFinish(t *testing.T) {
	data := testBytes(400)
	dir := stage(t, data)
	p, err := openStaging(t, dir).find("u")
	if err != nil {
		t.Fatal(err)
	}
	if offset, _, err := p.currentOffset(); offset != 400 || err != nil {
		t.Fatal(offset, err)
	}
	if err := os.Truncate(filepath.Join(dir, "u.part"), 300); err != nil {
		t.Fatal(err)
	}
	publish := func(context.Context, string) error { return errors.New("published") }
	if err := p.finish(t.Context(), publish, nil); !errors.Is(err, ErrIncomplete) {
		t.Fatalf("finish: %v", err)
	}
	if offset, _, err := p.currentOffset(); offset != 200 || err != nil {
		t.Fatalf("offset %d, %v", offset, err)
	}
	resume(t, dir, data)
}

func TestUnreadableSidecarsAreNoUploads(t *testing.T) {
	dir := stage(t, testBytes(100))
	path := filepath.Join(dir, "u.json")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	spoiled := map[string][]byte{
		"long":          append(bytes.Clone(good), bytes.Repeat([]byte(" "), maxSidecar)...),
		"other id":      bytes.Replace(good, []byte(`"id":"u"`), []byte(`"id":"v"`), 1),
		"other version": bytes.Replace(good, []byte(`"v":1`), []byte(`"v":2`), 1),
		"no owner":      bytes.Replace(good, []byte(`"owner":"d"`), []byte(`"owner":""`), 1),
		"short hash":    bytes.Replace(good, []byte(`"sha256":"`), []byte(`"sha256":"0`), 1),
		"length":        bytes.Replace(good, []byte(`"length":100`), []byte(`"length":-100`), 1),
		"huge":          bytes.Replace(good, []byte(`"length":100`), []byte(`"length":9000000000000`), 1),
		"metadata":      bytes.Replace(good, []byte(`"metadata":"`), []byte(`"metadata":"AAAA`), 1),
		"no base64":     bytes.Replace(good, []byte(`"metadata":"`), []byte(`"metadata":"!`), 1),
	}
	for n := range good {
		spoiled["a prefix of "+strings.Repeat("i", n)] = good[:n]
	}
	for name, data := range spoiled {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openStaging(t, dir).find("u"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	expired, leftovers, err := openStaging(t, dir).sweep(time.Now().Add(2 * leftoverAge))
	if expired != 0 || leftovers != 2 || err != nil {
		t.Fatalf("sweep: %d expired, %d leftovers, %v", expired, leftovers, err)
	}
}

func TestSweepRemovesLeftovers(t *testing.T) {
	dir := stage(t, testBytes(100))
	for _, name := range []string{"gone.part", "gone.seal", "u.temp", "stray"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := openStaging(t, dir)
	now := time.Now() // the files' own times are the wall clock's
	s.uploads["u"].info.Expires = now.Add(48 * time.Hour)
	if _, leftovers, err := s.sweep(now); leftovers != 0 || err != nil {
		t.Fatalf("took %d young files, %v", leftovers, err)
	}
	if expired, leftovers, err := s.sweep(now.Add(2 * leftoverAge)); expired != 0 || leftovers != 4 || err != nil {
		t.Fatalf("took %d uploads and %d files, %v", expired, leftovers, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Fatalf("%d files are left, %v", len(entries), err)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	if _, err := NewStaging(StagingConfig{Dir: t.TempDir()}); !errors.Is(err, ErrInvalid) {
		t.Fatalf("an empty configuration: %v", err)
	}
}

func FuzzFrames(f *testing.F) {
	keys, err := NewKeys(make([]byte, MasterKeySize))
	if err != nil {
		f.Fatal(err)
	}
	aead := keys.upload("u").aead()
	one, err := appendFrame(nil, aead, rand.Reader, 0, []byte("first"))
	if err != nil {
		f.Fatal(err)
	}
	two, err := appendFrame(bytes.Clone(one), aead, rand.Reader, 5, []byte("second"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(two)
	f.Add(one[:len(one)-1])
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		frames := newFrameReader(bytes.NewReader(data), aead)
		if err := frames.skip(); err != nil {
			t.Fatal(err)
		}
		if frames.end > int64(len(data)) || frames.offset > frames.end {
			t.Fatalf("%d plaintext bytes in %d of %d", frames.offset, frames.end, len(data))
		}
	})
}
