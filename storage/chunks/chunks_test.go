package chunks_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"aidloop/server/loop"
	"aidloop/storage/chunks"
	"aidloop/syncproto"
)

// snapshot has chunks under these names, of so many bytes each.
func snapshot(size int, names ...string) *loop.Snapshot {
	s := &loop.Snapshot{}
	for _, n := range names {
		s.Chunks = append(s.Chunks, syncproto.Chunk{SHA256: n})
		s.Packed = append(s.Packed, bytes.Repeat([]byte{n[0]}, size))
	}
	return s
}

func keep(t *testing.T, m *chunks.Memory, bucket string, s *loop.Snapshot) {
	t.Helper()
	got, err := m.Snapshot(bucket, func(*loop.Snapshot) bool { return false }, func(int) (*loop.Snapshot, error) { return s, nil })
	if err != nil || got != s {
		t.Fatal(got, err)
	}
}

// kept are the names that are found, and whether the bucket's snapshot is offered.
func kept(m *chunks.Memory, bucket string, names ...string) (list []string, offered bool) {
	for _, n := range names {
		if b, packed := m.Chunk(n); packed != nil && slices.Contains(b, bucket) {
			list = append(list, n)
		}
	}
	no := errors.New("it would have to be built")
	_, err := m.Snapshot(bucket, func(*loop.Snapshot) bool { return true }, func(int) (*loop.Snapshot, error) { return nil, no })
	return list, err == nil
}

// What was used last stays, within the bound; a snapshot that lacks a chunk is not offered any more, though what is
// left of it can still be fetched.
func TestTheLastUsedChunksAreKept(t *testing.T) {
	m := chunks.New(100)
	keep(t, m, "a", snapshot(20, "a1", "a2"))
	keep(t, m, "b", snapshot(20, "b1", "b2"))
	if list, offered := kept(m, "a", "a1", "a2"); len(list) != 2 || !offered { // and so they were used
		t.Errorf("%v, %v", list, offered)
	}
	keep(t, m, "c", snapshot(20, "c1", "c2"))
	if list, offered := kept(m, "b", "b1", "b2"); fmt.Sprint(list) != "[b2]" || offered {
		t.Errorf("of b %v are kept, offered %v", list, offered)
	}
	for b, names := range map[string][]string{"a": {"a1", "a2"}, "c": {"c1", "c2"}} {
		if list, offered := kept(m, b, names...); len(list) != 2 || !offered {
			t.Errorf("of %s %v are kept, offered %v", b, list, offered)
		}
	}
}

// Chunks that the next snapshot has, too, are kept once, and one that two buckets share is known to both.
func TestSharedChunks(t *testing.T) {
	m := chunks.New(100)
	keep(t, m, "a", snapshot(30, "x", "y"))
	keep(t, m, "a", snapshot(30, "x", "z"))
	if list, _ := kept(m, "a", "x", "y", "z"); len(list) != 3 {
		t.Errorf("%v", list)
	}
	keep(t, m, "b", snapshot(30, "x"))
	if b, packed := m.Chunk("x"); !slices.Equal(b, []string{"a", "b"}) || len(packed) != 30 {
		t.Errorf("%v", b)
	}
	if b, packed := m.Chunk("nothing"); b != nil || packed != nil {
		t.Error("it made something up")
	}
}

// Whoever asks while a snapshot is built gets that one; a failed build is nobody's.
func TestOneBuildServesAll(t *testing.T) {
	m := chunks.New(1000)
	fault := errors.New("no")
	if _, err := m.Snapshot("a", nil, func(int) (*loop.Snapshot, error) { return nil, fault }); !errors.Is(err, fault) {
		t.Error(err)
	}
	builds := 0
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			s, err := m.Snapshot("a", func(*loop.Snapshot) bool { return true }, func(limit int) (*loop.Snapshot, error) {
				builds++
				if limit != 500 {
					t.Errorf("a snapshot may have %d bytes", limit)
				}
				return snapshot(10, "a1"), nil
			})
			if err != nil || len(s.Chunks) != 1 {
				t.Error(s, err)
			}
		})
	}
	wg.Wait()
	if builds != 1 {
		t.Errorf("built %d times", builds)
	}
}
