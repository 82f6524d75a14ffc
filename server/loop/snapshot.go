package loop

import (
	"context"
	"errors"
	"slices"
	"time"

	"aidloop/syncproto"
)

// Chunks keeps snapshots of large buckets for a while, so that one that was built serves every device that starts
// afresh in the next minutes, over as many connections as it needs. Everything in it can be built again, so it may
// forget anything at any time.
type Chunks interface {
	// Snapshot returns the bucket's snapshot where one is kept with all its chunks and good accepts it, and otherwise
	// keeps and returns what build makes. Builds never run at the same time, and whoever asks meanwhile waits and gets
	// what was built.
	Snapshot(bucket string, good func(*Snapshot) bool, build func(maxBytes int) (*Snapshot, error)) (*Snapshot, error)
	// Chunk returns a chunk as it was packed, with the buckets whose snapshots it was in; nil where it is not kept.
	Chunk(sha256 string) (buckets []string, packed []byte)
}

// Snapshot is a snapshot with its chunks, packed with zstd, in the same order. Without chunks it only remembers that
// the bucket is not worth one.
type Snapshot struct {
	syncproto.Snapshot
	BuiltAt int64
	Packed  [][]byte
}

// snapshotLife is how long a snapshot is offered to devices that begin. What changed since costs them an incremental
// pull, which is cheaper than a snapshot for each.
const snapshotLife = 10 * time.Minute

// snapshot offers a bucket that starts afresh in chunks, where it is large and the device fetches those: one that is not
// older than what the device has seen. It reports whether it did.
func (f *feeding) snapshot(head Bucket, seen uint64) (bool, error) {
	l := f.loop
	if !f.chunks || l.chunks == nil || !syncproto.ChunkedBucket(head.Name) || head.Count <= int64(l.snapshotRows) {
		return false, nil
	}
	now := l.clock().UnixMilli()
	good := func(s *Snapshot) bool {
		return s.Incarnation == f.inc && s.Seq >= max(head.Floor, seen) && now-s.BuiltAt < snapshotLife.Milliseconds() && now >= s.BuiltAt
	}
	s, err := l.chunks.Snapshot(head.Name, good, func(maxBytes int) (*Snapshot, error) { return buildSnapshot(f.tx, head, now, l.chunkBytes, maxBytes) })
	if err != nil || len(s.Chunks) == 0 {
		return false, err
	}
	f.json(syncproto.FrameSnapshot, s.Snapshot)
	return true, nil
}

// buildSnapshot cuts a bucket's live rows into chunks. It gives up on one that grows beyond maxBytes, packed, or whose
// rows are not as many as its head says: paging it, devices find out and report it.
func buildSnapshot(tx ReadTx, head Bucket, now int64, chunkBytes, maxBytes int) (*Snapshot, error) {
	s := &Snapshot{BuiltAt: now, Snapshot: syncproto.Snapshot{Bucket: head.Name, Incarnation: tx.Incarnation(), Seq: head.Seq, Count: head.Count, Digest: head.Digest.String()}}
	var chunk []byte
	rows, size := 0, 0
	cut := func() {
		if rows > 0 {
			s.Chunks = append(s.Chunks, syncproto.Chunk{SHA256: syncproto.ChunkName(chunk), Bytes: len(chunk), Rows: rows})
			packed := Compress("zstd", chunk)
			s.Packed = append(s.Packed, packed)
			size += len(packed)
		}
		chunk, rows = chunk[:0], 0
	}
	err := tx.Feed(head.Name, 0, func(e Entry) (bool, error) {
		if e.Exit || e.Deleted {
			return true, nil
		}
		chunk = syncproto.AppendRow(chunk, e.Seq, e.Env, e.Body)
		if rows++; len(chunk) >= chunkBytes {
			cut()
		}
		return size <= maxBytes, nil
	})
	cut()
	if err != nil {
		return nil, err
	}
	if size > maxBytes || s.Check() != nil {
		s.Chunks, s.Packed = nil, nil
	}
	return s, nil
}

// Chunk returns a part of a snapshot under the SHA-256 of its bytes, packed with zstd. A chunk that is not kept any
// more and one of a bucket outside of the reader's scope are refused alike, with chunk_gone: the device asks for the
// bucket again and hears whether it may have it.
func (l *Loop) Chunk(ctx context.Context, r Reader, sha256 string) (packed []byte, err error) {
	var buckets []string
	if l.chunks != nil {
		buckets, packed = l.chunks.Chunk(sha256)
	}
	err = l.store.Read(ctx, func(tx ReadTx) error {
		dev, err := tx.Device(r.Device)
		if errors.Is(err, ErrNotFound) {
			return syncproto.Refuse(syncproto.CodeUnknownDevice, "")
		}
		if err != nil {
			return err
		}
		if code := mayPull(&r, dev); code != "" {
			return syncproto.Refuse(code, "")
		}
		scope, err := l.scope(tx, r.User)
		if err == nil && !slices.ContainsFunc(buckets, func(b string) bool { return slices.Contains(scope, b) }) {
			err = syncproto.Refuse(syncproto.CodeChunkGone, "")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return packed, nil
}
