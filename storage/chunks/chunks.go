// Package chunks keeps the chunks of snapshots in memory. They are copies of rows, made again in a moment from one read
// of a bucket, so nothing is gained by keeping them on disk but files with people's data to be erased. A server that
// restarts has forgotten them: devices hear chunk_gone, ask again, and keep what chunks the new snapshot has in common
// with the old one. Several servers in front of one database each keep their own, so that a balancer should send a
// device's requests to one of them for as long as it can.
package chunks

import (
	"container/list"
	"sync"

	"aidloop/server/loop"
)

// maxSnapshots bounds how many buckets are remembered; those that are not worth a snapshot cost no bytes.
const maxSnapshots = 10_000

// Memory implements loop.Chunks with a bounded number of bytes, of which the chunks that were used last are kept.
type Memory struct {
	limit    int
	building sync.Mutex // one build at a time bounds what they need together

	mu        sync.Mutex
	size      int
	used      *list.List // of *chunk, the one used last in front
	chunks    map[string]*list.Element
	snapshots map[string]*loop.Snapshot
}

type chunk struct {
	sha     string
	packed  []byte
	buckets []string
}

var _ loop.Chunks = (*Memory)(nil)

// New makes a Memory of at most so many bytes. One snapshot may take half of it.
func New(limit int) *Memory {
	return &Memory{limit: limit, used: list.New(), chunks: map[string]*list.Element{}, snapshots: map[string]*loop.Snapshot{}}
}

// Snapshot finds a snapshot or has it built.
func (m *Memory) Snapshot(bucket string, good func(*loop.Snapshot) bool, build func(maxBytes int) (*loop.Snapshot, error)) (*loop.Snapshot, error) {
	if s := m.find(bucket); s != nil && good(s) {
		return s, nil
	}
	m.building.Lock()
	defer m.building.Unlock()
	if s := m.find(bucket); s != nil && good(s) {
		return s, nil // somebody built it while we waited
	}
	s, err := build(m.limit / 2)
	if err != nil {
		return nil, err
	}
	m.keep(bucket, s)
	return s, nil
}

func (m *Memory) find(bucket string) *loop.Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.snapshots[bucket]
}

func (m *Memory) keep(bucket string, s *loop.Snapshot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.snapshots) >= maxSnapshots {
		clear(m.snapshots) // their chunks stay
	}
	m.snapshots[bucket] = s
	for i, c := range s.Chunks {
		m.add(bucket, c.SHA256, s.Packed[i])
	}
	for m.size > m.limit {
		m.evict()
	}
}

func (m *Memory) add(bucket, sha string, packed []byte) {
	if e, ok := m.chunks[sha]; ok { // the former snapshot had the same rows here
		m.used.MoveToFront(e)
		c := e.Value.(*chunk)
		for _, b := range c.buckets {
			if b == bucket {
				return
			}
		}
		c.buckets = append(c.buckets[:len(c.buckets):len(c.buckets)], bucket)
		return
	}
	m.chunks[sha] = m.used.PushFront(&chunk{sha, packed, []string{bucket}})
	m.size += len(packed)
}

// evict forgets the chunk that was not used for the longest time, and no longer offers a snapshot that has lost it.
func (m *Memory) evict() {
	e := m.used.Back()
	c := e.Value.(*chunk)
	m.used.Remove(e)
	delete(m.chunks, c.sha)
	m.size -= len(c.packed)
	for _, b := range c.buckets {
		if s := m.snapshots[b]; s != nil && has(s, c.sha) {
			delete(m.snapshots, b)
		}
	}
}

func has(s *loop.Snapshot, sha string) bool {
	for _, c := range s.Chunks {
		if c.SHA256 == sha {
			return true
		}
	}
	return false
}

// Chunk finds a chunk.
func (m *Memory) Chunk(sha string) (buckets []string, packed []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.chunks[sha]
	if !ok {
		return nil, nil
	}
	m.used.MoveToFront(e)
	c := e.Value.(*chunk)
	return c.buckets, c.packed
}
