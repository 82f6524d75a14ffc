package blobtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"pgregory.net/rapid"

	"aidloop/storage/blob"
)

var errCut = errors.New("the network is gone")

func testWhole(w *world) {
	data := content(1, 3*blob.SegmentSize+17)
	w.put(data)
	w.holds(data)
	w.restart()
	w.holds(data)
}

func testEmpty(w *world) {
	w.put(nil)
	w.holds(nil)
}

func testRestarts(w *world) {
	data := content(2, 200_000)
	info := w.info(data)
	_, err := w.store.Create(w.ctx, info)
	w.must(err)
	cuts := []int64{0, 1, 65_536, 65_537, 131_000, int64(len(data))}
	for i, from := range cuts[:len(cuts)-1] {
		w.restart()
		up := w.find(info.ID)
		w.atOffset(up, from, false)
		w.append(up, from, data[from:cuts[i+1]])
	}
	w.restart()
	up := w.find(info.ID)
	got := up.Info()
	if got.Owner != info.Owner || got.SHA256 != info.SHA256 || got.Length != info.Length || got.Metadata != info.Metadata || !got.Created.Equal(w.now) {
		w.Fatalf("after a restart the upload says %+v, want %+v", got, info)
	}
	w.lacks(info.SHA256)
	w.must(up.Finish(w.ctx, nil))
	w.holds(data)
	// A client that lost the last answer asks again and hears that all is there.
	w.restart()
	up = w.find(info.ID)
	w.atOffset(up, info.Length, true)
	w.append(up, info.Length, nil)
	w.must(up.Finish(w.ctx, func(context.Context) error { return errors.New("the hook ran for a finished upload") }))
}

func testBrokenReader(w *world) {
	data := content(3, 150_000)
	up := w.create(data)
	n, err := up.Append(w.ctx, 0, broken{bytes.NewReader(data[:100_001]), errCut})
	w.wants(err, errCut)
	if n != 100_001 {
		w.Fatalf("kept %d bytes of 100001", n)
	}
	w.restart()
	up = w.find(up.Info().ID)
	w.atOffset(up, 100_001, false)
	w.append(up, 100_001, data[100_001:])
	w.must(up.Finish(w.ctx, nil))
	w.holds(data)
}

func testDiscard(w *world) {
	data := content(4, 150_000)
	up := w.create(data)
	w.append(up, 0, data[:10])
	n, err := up.Append(w.ctx, 10, broken{bytes.NewReader(data[10:]), blob.ErrDiscard})
	w.wants(err, blob.ErrDiscard)
	if n != 0 {
		w.Fatalf("kept %d bytes of a discarded chunk", n)
	}
	w.atOffset(up, 10, false)
	w.restart()
	up = w.find(up.Info().ID)
	w.atOffset(up, 10, false)
	w.append(up, 10, data[10:])
	w.must(up.Finish(w.ctx, nil))
	w.holds(data)
}

func testWrongOffset(w *world) {
	data := content(5, 1000)
	up := w.create(data)
	w.append(up, 0, data[:400])
	for _, offset := range []int64{0, 399, 401, 1000, -1} {
		_, err := up.Append(w.ctx, offset, bytes.NewReader(data))
		var wrong *blob.OffsetError
		if !errors.As(err, &wrong) || wrong.Have != 400 || wrong.Got != offset {
			w.Fatalf("append at %d: %v", offset, err)
		}
	}
	w.append(up, 400, data[400:])
	w.must(up.Finish(w.ctx, nil))
	w.holds(data)
}

func testTooLong(w *world) {
	data := content(6, 100_000)
	up := w.create(data)
	w.append(up, 0, data[:50_000])
	_, err := up.Append(w.ctx, 50_000, io.MultiReader(bytes.NewReader(data[50_000:]), bytes.NewReader([]byte{0})))
	w.wants(err, blob.ErrTooLong)
	w.atOffset(up, 50_000, false)
	w.append(up, 50_000, data[50_000:])
	_, err = up.Append(w.ctx, 100_000, bytes.NewReader([]byte{0}))
	w.wants(err, blob.ErrTooLong)
	w.must(up.Finish(w.ctx, nil))
	w.holds(data)
}

func testIncomplete(w *world) {
	data := content(7, 1000)
	up := w.create(data)
	w.append(up, 0, data[:999])
	w.wants(up.Finish(w.ctx, nil), blob.ErrIncomplete)
	w.lacks(blob.Sum(data))
	w.append(up, 999, data[999:])
	w.must(up.Finish(w.ctx, nil))
	w.holds(data)
}

func testWrongHash(w *world) {
	data := content(8, 100_000)
	info := w.info(data)
	info.SHA256 = blob.Sum([]byte("something else"))
	up, err := w.store.Create(w.ctx, info)
	w.must(err)
	w.append(up, 0, data)
	w.wants(up.Finish(w.ctx, func(context.Context) error { return errors.New("the hook ran") }), blob.ErrMismatch)
	w.lacks(info.SHA256)
	w.lacks(blob.Sum(data))
	_, err = w.store.Upload(w.ctx, info.ID)
	w.wants(err, blob.ErrNotFound)
	_, _, err = up.Offset(w.ctx)
	w.wants(err, blob.ErrNotFound)
	if rest := w.backend.AtRest(w.T); len(rest) != 0 {
		w.Fatalf("%d files are left of a refused upload", len(rest))
	}
}

func testHookAgain(w *world) {
	data := content(9, 1000)
	up := w.create(data)
	w.append(up, 0, data)
	w.wants(up.Finish(w.ctx, func(context.Context) error { return errCut }), errCut)
	w.restart()
	up = w.find(up.Info().ID)
	w.atOffset(up, 1000, false)
	calls := 0
	w.must(up.Finish(w.ctx, func(ctx context.Context) error {
		calls++
		if _, ok, err := w.store.Has(ctx, blob.Sum(data)); !ok || err != nil {
			w.Errorf("the hook runs before the blob is visible: %v, %v", ok, err)
		}
		return nil
	}))
	if calls != 1 {
		w.Fatalf("the hook ran %d times", calls)
	}
	w.holds(data)
}

func testAbort(w *world) {
	data := content(10, 1000)
	up := w.create(data)
	w.append(up, 0, data[:500])
	w.must(up.Abort(w.ctx))
	w.must(up.Abort(w.ctx))
	_, err := up.Append(w.ctx, 500, bytes.NewReader(data[500:]))
	w.wants(err, blob.ErrNotFound)
	w.restart()
	_, err = w.store.Upload(w.ctx, up.Info().ID)
	w.wants(err, blob.ErrNotFound)
	w.lacks(blob.Sum(data))

	done := w.create(data)
	w.append(done, 0, data)
	w.must(done.Finish(w.ctx, nil))
	w.must(done.Abort(w.ctx))
	w.holds(data)
}

func testLimits(w *world) {
	w.limits.MaxOpen, w.limits.MaxOpenBytes = 3, 1000
	w.restart()
	first := w.create(content(1, 100))
	w.create(content(2, 100))
	w.create(content(3, 100))
	_, err := w.store.Create(w.ctx, w.info(content(4, 100)))
	w.wants(err, blob.ErrTooMany)
	other := w.info(content(4, 100))
	other.Owner = "device-2"
	_, err = w.store.Create(w.ctx, other)
	w.must(err)
	w.restart()
	_, err = w.store.Create(w.ctx, w.info(content(4, 100)))
	w.wants(err, blob.ErrTooMany)
	first = w.find(first.Info().ID)
	w.append(first, 0, content(1, 100))
	w.must(first.Finish(w.ctx, nil))
	_, err = w.store.Create(w.ctx, w.info(content(5, 801)))
	w.wants(err, blob.ErrTooMany)
	w.create(content(5, 800))
}

func testMaxBlob(w *world) {
	w.limits.MaxBlob = 1000
	w.restart()
	_, err := w.store.Create(w.ctx, w.info(make([]byte, 1001)))
	w.wants(err, blob.ErrTooLong)
	w.put(content(1, 1000))
}

func testCreateAgain(w *world) {
	data := content(11, 1000)
	up := w.create(data)
	w.append(up, 0, data[:300])
	again := w.create(data)
	if again.Info().ID != up.Info().ID {
		w.Fatal("a repeated create made a second upload")
	}
	w.atOffset(again, 300, false)
	other := w.info(data)
	other.Owner = "device-2"
	theirs, err := w.store.Create(w.ctx, other)
	w.must(err)
	w.atOffset(theirs, 0, false)
	w.append(again, 300, data[300:])
	w.must(again.Finish(w.ctx, nil))
	if third := w.create(data); third.Info().ID == up.Info().ID {
		w.Fatal("a finished upload was handed out as a new one")
	}
}

func testInvalid(w *world) {
	good := w.info(content(12, 10))
	bad := map[string]func(*blob.Info){
		"no id":            func(i *blob.Info) { i.ID = "" },
		"a path as id":     func(i *blob.Info) { i.ID = "../x" },
		"capital id":       func(i *blob.Info) { i.ID = "A" },
		"long id":          func(i *blob.Info) { i.ID = blob.Sum(nil) },
		"no owner":         func(i *blob.Info) { i.Owner = "" },
		"a space in owner": func(i *blob.Info) { i.Owner = "a b" },
		"short hash":       func(i *blob.Info) { i.SHA256 = i.SHA256[1:] },
		"capital hash":     func(i *blob.Info) { i.SHA256 = "A" + i.SHA256[1:] },
		"negative length":  func(i *blob.Info) { i.Length = -1 },
		"long metadata":    func(i *blob.Info) { i.Metadata = string(make([]byte, blob.MaxMetadata+1)) },
	}
	for name, spoil := range bad {
		info := good
		spoil(&info)
		if _, err := w.store.Create(w.ctx, info); !errors.Is(err, blob.ErrInvalid) {
			w.Errorf("%s: %v", name, err)
		}
	}
	_, err := w.store.Create(w.ctx, good)
	w.must(err)
	taken := w.info(content(13, 10))
	taken.ID = good.ID
	_, err = w.store.Create(w.ctx, taken)
	w.wants(err, blob.ErrInvalid)
}

func testExpiry(w *world) {
	data := content(14, 1000)
	up := w.create(data)
	w.append(up, 0, data[:500])
	w.now = up.Info().Expires.Add(-time.Second)
	w.atOffset(w.find(up.Info().ID), 500, false)
	w.now = up.Info().Expires
	_, err := w.store.Upload(w.ctx, up.Info().ID)
	w.wants(err, blob.ErrExpired)
	_, err = up.Append(w.ctx, 500, bytes.NewReader(data[500:]))
	w.wants(err, blob.ErrExpired)
	w.restart()
	_, err = w.store.Upload(w.ctx, up.Info().ID)
	w.wants(err, blob.ErrExpired)
	if again := w.create(data); again.Info().ID == up.Info().ID {
		w.Fatal("an expired upload was handed out")
	}
}

// testAnyCut draws uploads that break, are discarded and survive restarts at random places, and checks that the content always arrives.
func testAnyCut(w *world) {
	seed := uint64(100)
	rapid.Check(w.T, func(t *rapid.T) {
		seed++
		data := content(seed, rapid.IntRange(0, 150_000).Draw(t, "length"))
		up := w.create(data)
		offset := int64(0)
		for step := 0; offset < int64(len(data)); step++ {
			end := offset + rapid.Int64Range(0, int64(len(data))-offset).Draw(t, "end")
			if step == 8 {
				end = int64(len(data))
			}
			ending := rapid.SampledFrom([]error{nil, errCut, blob.ErrDiscard}).Draw(t, "ending")
			if step >= 8 {
				ending = nil
			}
			reader := io.Reader(bytes.NewReader(data[offset:end]))
			if ending != nil {
				reader = broken{reader, ending}
			}
			if _, err := up.Append(w.ctx, offset, reader); !errors.Is(err, ending) {
				t.Fatalf("append: %v, want %v", err, ending)
			}
			if !errors.Is(ending, blob.ErrDiscard) {
				offset = end
			}
			if rapid.Bool().Draw(t, "restart") {
				w.restart()
				up = w.find(up.Info().ID)
			}
			if at, _, err := up.Offset(w.ctx); at != offset || err != nil {
				t.Fatalf("at %d, %v; want %d", at, err, offset)
			}
		}
		w.must(up.Finish(w.ctx, nil))
		w.holds(data)
	})
}
