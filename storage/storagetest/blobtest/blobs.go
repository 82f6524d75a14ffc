package blobtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"pgregory.net/rapid"

	"aidloop/storage/blob"
)

func testAtRest(w *world) {
	secret := []byte("张三的身份证在这张照片里")
	data := bytes.Repeat(secret, 5000)
	up := w.create(data)
	w.append(up, 0, data[:100_000])
	w.put(append([]byte("another "), data...))
	rest := w.backend.AtRest(w.T)
	if len(rest) < 3 {
		w.Fatalf("%d things at rest; want at least a sidecar, its frames and a blob", len(rest))
	}
	for _, raw := range rest {
		for _, plain := range [][]byte{secret, []byte("filename"), []byte("c2Vla3JldA==")} {
			if bytes.Contains(raw, plain) {
				w.Errorf("%d bytes at rest contain %q", len(raw), plain)
			}
		}
	}
}

// damages are ways in which a disk or a person may spoil an object of at least two segments.
var damages = map[string]func([]byte) []byte{
	"first bit":         func(p []byte) []byte { p[0] ^= 1; return p },
	"a bit inside":      func(p []byte) []byte { p[blob.SegmentSize+100] ^= 0x80; return p },
	"last bit":          func(p []byte) []byte { p[len(p)-1] ^= 1; return p },
	"one byte missing":  func(p []byte) []byte { return p[:len(p)-1] },
	"one byte more":     func(p []byte) []byte { return append(p, 0) },
	"a segment missing": func(p []byte) []byte { return p[:blob.SegmentSize+16] },
	"a segment twice":   func(p []byte) []byte { return append(p[:blob.SegmentSize+16:blob.SegmentSize+16], p...) },
	"empty":             func([]byte) []byte { return []byte{} },
}

func (w *world) refuses(sha, damage string) {
	w.Helper()
	if err := w.store.Verify(w.ctx, sha); !errors.Is(err, blob.ErrCorrupt) {
		w.Errorf("%s: Verify says %v", damage, err)
	}
	r, _, err := w.store.Open(w.ctx, sha)
	if err == nil {
		_, err = io.Copy(io.Discard, r)
		err = errors.Join(err, r.Close())
	}
	if !errors.Is(err, blob.ErrCorrupt) {
		w.Errorf("%s: reading says %v", damage, err)
	}
}

func testDamage(w *world) {
	seed := uint64(20)
	for name, damage := range damages {
		seed++
		sha := w.put(content(seed, 2*blob.SegmentSize+100))
		w.backend.Rewrite(w.T, sha, damage)
		w.refuses(sha, name)
	}
	one, two := w.put(content(50, 1000)), w.put(content(51, 1000))
	var raw []byte
	w.backend.Rewrite(w.T, one, func(p []byte) []byte { raw = bytes.Clone(p); return p })
	w.backend.Rewrite(w.T, two, func([]byte) []byte { return raw })
	w.refuses(two, "another blob's bytes")
}

func testHeal(w *world) {
	data := content(60, 2*blob.SegmentSize+100)
	for name, damage := range damages {
		sha := w.put(data)
		w.backend.Rewrite(w.T, sha, damage)
		w.refuses(sha, name)
		w.put(data)
		w.holds(data)
	}
}

func testWalk(w *world) {
	want := map[string]int64{}
	for i := range 20 {
		data := content(uint64(70+i), i*10_000)
		want[w.put(data)] = int64(len(data))
	}
	last, count := "", 0
	w.must(w.store.Walk(w.ctx, func(sha string, size int64) error {
		if sha <= last {
			w.Errorf("%s comes after %s", sha, last)
		}
		if expected, ok := want[sha]; !ok || size != expected {
			w.Errorf("%s: size %d, want %d (%v)", sha, size, expected, ok)
		}
		last, count = sha, count+1
		return nil
	}))
	if count != len(want) {
		w.Fatalf("walked over %d of %d", count, len(want))
	}
	w.wants(w.store.Walk(w.ctx, func(string, int64) error { return errCut }), errCut)
	w.backend.Rewrite(w.T, last, func([]byte) []byte { return []byte("x") })
	w.must(w.store.Walk(w.ctx, func(sha string, size int64) error {
		if sha == last && size != -1 {
			w.Errorf("a blob of one byte has size %d", size)
		}
		return nil
	}))
}

func testSweep(w *world) {
	kept, orphan := content(90, 1000), content(91, 1000)
	w.put(kept)
	w.put(orphan)
	open := w.create(content(92, 1000))
	w.append(open, 0, content(92, 1000)[:10])
	keep := func(sha string) bool { return sha == blob.Sum(kept) }

	_, err := w.store.Sweep(w.ctx, keep, time.Hour, w.now)
	w.wants(err, blob.ErrInvalid)
	swept, err := w.store.Sweep(w.ctx, keep, blob.MinGrace, w.now.Add(blob.MinGrace-time.Hour))
	w.must(err)
	if swept != (blob.Swept{}) {
		w.Fatalf("a sweep took what is young: %+v", swept)
	}
	w.holds(orphan)

	w.now = w.now.Add(w.limits.Lifetime + time.Hour)
	swept, err = w.store.Sweep(w.ctx, keep, blob.MinGrace, w.now)
	w.must(err)
	if swept.Blobs != 1 || swept.Uploads != 3 {
		w.Fatalf("swept %+v, want 1 blob and 3 uploads", swept)
	}
	w.lacks(blob.Sum(orphan))
	w.holds(kept)
	_, err = w.store.Upload(w.ctx, open.Info().ID)
	w.wants(err, blob.ErrNotFound)
	if rest := w.backend.AtRest(w.T); len(rest) != 1 {
		w.Fatalf("%d things at rest after the sweep, want the kept blob", len(rest))
	}
}

func testMissing(w *world) {
	w.lacks(blob.Sum([]byte("never")))
	for _, name := range []string{"", "..", "../../etc/passwd", blob.Sum(nil)[1:]} {
		w.lacks(name)
	}
	_, err := w.store.Upload(w.ctx, "never")
	w.wants(err, blob.ErrNotFound)
}

func testImport(w *world) {
	data := content(95, 100_000)
	w.must(blob.Import(w.ctx, w.store, w.info(data), bytes.NewReader(data)))
	w.holds(data)

	other := content(96, 1000)
	w.wants(blob.Import(w.ctx, w.store, w.info(other), bytes.NewReader(other[:999])), blob.ErrIncomplete)
	w.wants(blob.Import(w.ctx, w.store, w.info(other), bytes.NewReader(append(other, 1))), blob.ErrTooLong)
	w.wants(blob.Import(w.ctx, w.store, w.info(other), bytes.NewReader(content(97, 1000))), blob.ErrMismatch)
	w.lacks(blob.Sum(other))

	up := w.create(other)
	w.append(up, 0, other[:600])
	w.must(blob.Import(w.ctx, w.store, w.info(other), bytes.NewReader(other)))
	w.holds(other)
}

// testConcurrent lets several devices send the same few photos at once, while someone reads and sweeps.
func testConcurrent(w *world) {
	var photos [][]byte
	for i := range 3 {
		photos = append(photos, content(uint64(110+i), 70_000))
	}
	var wait sync.WaitGroup
	failed := make(chan error, 64)
	run := func(f func() error) {
		wait.Add(1)
		go func() {
			defer wait.Done()
			if err := f(); err != nil {
				failed <- err
			}
		}()
	}
	for device := range 4 {
		for _, photo := range photos {
			info := w.info(photo)
			info.Owner = string(rune('a' + device))
			run(func() error { return blob.Import(w.ctx, w.store, info, bytes.NewReader(photo)) })
		}
	}
	run(func() error {
		_, err := w.store.Sweep(w.ctx, func(string) bool { return false }, blob.MinGrace, w.clock())
		return err
	})
	run(func() error { return w.store.Walk(w.ctx, func(string, int64) error { return nil }) })
	wait.Wait()
	close(failed)
	for err := range failed {
		w.Error(err)
	}
	for _, photo := range photos {
		w.holds(photo)
	}

	// Appends to one upload take turns: exactly one of two at the same offset wins.
	data := content(120, 1000)
	up := w.create(data)
	results := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := up.Append(context.WithoutCancel(w.ctx), 0, bytes.NewReader(data))
			results <- err
		}()
	}
	first, second := <-results, <-results
	var wrong *blob.OffsetError
	if (first == nil) == (second == nil) || !errors.As(errors.Join(first, second), &wrong) {
		w.Fatalf("two appends at once: %v and %v", first, second)
	}
	w.must(up.Finish(w.ctx, nil))
	w.holds(data)
}

func testSeek(w *world) {
	data := content(130, 3*blob.SegmentSize+1000)
	w.put(data)
	r, size, err := w.store.Open(w.ctx, blob.Sum(data))
	w.must(err)
	rapid.Check(w.T, func(t *rapid.T) {
		at := rapid.Int64Range(0, size+10).Draw(t, "at")
		n := rapid.IntRange(1, 100_000).Draw(t, "n")
		whence := rapid.IntRange(0, 2).Draw(t, "whence")
		offset := at
		switch whence {
		case io.SeekCurrent:
			here, _ := r.Seek(0, io.SeekCurrent)
			offset -= here
		case io.SeekEnd:
			offset -= size
		}
		if got, err := r.Seek(offset, whence); got != at || err != nil {
			t.Fatalf("seek to %d: %d, %v", at, got, err)
		}
		got, err := io.ReadAll(io.LimitReader(r, int64(n)))
		if want := data[min(at, size):min(at+int64(n), size)]; err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes at %d: got %d, %v", n, at, len(got), err)
		}
	})
	if _, err := r.Seek(-1, io.SeekStart); !errors.Is(err, blob.ErrInvalid) {
		w.Fatalf("seek before the start: %v", err)
	}
	w.must(r.Close())
}
