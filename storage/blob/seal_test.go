package blob

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func testKey(t testing.TB) Key {
	t.Helper()
	keys, err := NewKeys(bytes.Repeat([]byte{9}, MasterKeySize))
	if err != nil {
		t.Fatal(err)
	}
	return keys.Blob(Sum([]byte("x")))
}

func testBytes(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(p)
	return p
}

func seal(t testing.TB, key Key, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := Seal(&out, key)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func sourceOf(sealed []byte) Source {
	return func(offset int64) (io.ReadCloser, error) {
		if offset > int64(len(sealed)) {
			return nil, errors.New("beyond the end")
		}
		return io.NopCloser(bytes.NewReader(sealed[offset:])), nil
	}
}

func unseal(key Key, sealed []byte) ([]byte, error) {
	r, size, err := Open(sourceOf(sealed), int64(len(sealed)), key)
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(r)
	if err == nil && int64(len(plain)) != size {
		return nil, errors.New("announced another size")
	}
	return plain, errors.Join(err, r.Close())
}

var edges = []int{0, 1, 15, 16, 17, SegmentSize - 1, SegmentSize, SegmentSize + 1, 2*SegmentSize - 1, 2 * SegmentSize, 3*SegmentSize + 5}

func TestSealedBytesOpen(t *testing.T) {
	key := testKey(t)
	for _, n := range edges {
		plain := testBytes(n)
		sealed := seal(t, key, plain)
		if int64(len(sealed)) != SealedSize(int64(n)) {
			t.Errorf("%d bytes seal to %d, SealedSize says %d", n, len(sealed), SealedSize(int64(n)))
		}
		got, err := unseal(key, sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: opened %d, %v", n, len(got), err)
		}
	}
}

func TestSealingInPiecesGivesTheSameBytes(t *testing.T) {
	key := testKey(t)
	plain := testBytes(2*SegmentSize + 99)
	want := seal(t, key, plain)
	rapid.Check(t, func(t *rapid.T) {
		var out bytes.Buffer
		w := Seal(&out, key)
		for rest := plain; len(rest) > 0; {
			n := min(rapid.IntRange(0, 100_000).Draw(t, "n"), len(rest))
			if _, err := w.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Fatal("other bytes")
		}
	})
}

func TestEveryTruncatedPrefixIsRefused(t *testing.T) {
	key := testKey(t)
	small := seal(t, key, testBytes(1000))
	for n := range small {
		if _, err := unseal(key, small[:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("a prefix of %d of %d bytes: %v", n, len(small), err)
		}
	}
	// Of a blob of several segments, Open alone refuses every prefix near a segment's edge and a sample of the others.
	large := seal(t, key, testBytes(3*SegmentSize))
	for n := range large {
		if edge := n % sealedStep; edge > 40 && edge < sealedStep-40 && n%4999 != 0 {
			continue
		}
		if _, _, err := Open(sourceOf(large[:n]), int64(n), key); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("a prefix of %d of %d bytes: %v", n, len(large), err)
		}
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	key := testKey(t)
	sealed := seal(t, key, testBytes(300))
	for i := range len(sealed) * 8 {
		sealed[i/8] ^= 1 << (i % 8)
		if _, err := unseal(key, sealed); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("bit %d: %v", i, err)
		}
		sealed[i/8] ^= 1 << (i % 8)
	}
}

func TestSegmentsCannotBeMoved(t *testing.T) {
	key := testKey(t)
	sealed := seal(t, key, testBytes(3*SegmentSize))
	a, b, c := sealed[:sealedStep], sealed[sealedStep:2*sealedStep], sealed[2*sealedStep:]
	for name, parts := range map[string][][]byte{
		"swapped": {b, a, c}, "repeated": {a, a, b, c}, "first missing": {b, c}, "middle missing": {a, c}, "last missing": {a, b}, "last twice": {a, b, c, c},
	} {
		if _, err := unseal(key, bytes.Join(parts, nil)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := unseal(Key{}, sealed); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another key: %v", err)
	}
}

func TestSourceFailuresAreNotCorruption(t *testing.T) {
	key, broken := testKey(t), errors.New("the disk is away")
	sealed := seal(t, key, testBytes(3*SegmentSize))
	opens := 0
	r, _, err := Open(func(offset int64) (io.ReadCloser, error) {
		if opens++; opens > 1 {
			return nil, broken
		}
		return sourceOf(sealed)(offset)
	}, int64(len(sealed)), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, broken) || errors.Is(err, ErrCorrupt) {
		t.Fatalf("reading: %v", err)
	}
}

type failingWriter struct{ left int }

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

func TestSealReportsItsWritersFailure(t *testing.T) {
	plain := testBytes(3 * SegmentSize)
	for _, room := range []int{0, sealedStep, 2 * sealedStep} {
		w := Seal(&failingWriter{left: room}, testKey(t))
		_, err := w.Write(plain)
		if err = errors.Join(err, w.Close()); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("room for %d bytes: %v", room, err)
		}
	}
	w := Seal(io.Discard, testKey(t))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err == nil {
		t.Error("a closed sealer took more bytes")
	}
}

func TestKeys(t *testing.T) {
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := NewKeys(make([]byte, n)); !errors.Is(err, ErrInvalid) {
			t.Errorf("a master key of %d bytes: %v", n, err)
		}
	}
	one, err := NewKeys(make([]byte, MasterKeySize))
	if err != nil {
		t.Fatal(err)
	}
	if one.Blob(Sum(nil)) == one.Blob(Sum([]byte{0})) || one.Blob("a") == one.upload("a") || one.Blob(Sum(nil)) == testKey(t) {
		t.Error("two purposes share a key")
	}
}

func FuzzOpen(f *testing.F) {
	key := testKey(f)
	plain := testBytes(SegmentSize + 10)
	sealed := seal(f, key, plain)
	f.Add(sealed)
	f.Add(sealed[:sealedStep])
	f.Add(seal(f, key, nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := unseal(key, data)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("not reported as corrupt: %v", err)
			}
			return
		}
		if !bytes.Equal(seal(t, key, got), data) {
			t.Fatal("opened bytes that sealing does not give")
		}
	})
}
