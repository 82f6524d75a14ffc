package syncproto

import (
	"crypto/sha256"
	"io"
	"strings"
)

// CapSnapshot in a hello's caps says that the device fetches chunks. Without it every bucket is paged.
const CapSnapshot = "snapshot"

// CursorNone asks for a bucket from its beginning, as if it had not been named, and lets the server say that it is out
// of scope. No incarnation has this name.
const CursorNone = "none:0"

// Snapshot offers a large bucket that starts afresh in chunks, to be fetched one by one under their names, in any
// order, over any number of connections. Together they are the bucket's Count live rows, in order of seq, as they stood
// at Seq; Digest is over them. When all are there, they replace the bucket like a fresh checkpoint, and the device goes
// on from Seq.
type Snapshot struct {
	Bucket      string  `json:"bucket"`
	Incarnation string  `json:"incarnation"`
	Seq         uint64  `json:"seq"`
	Count       int64   `json:"count"`
	Digest      string  `json:"digest"`
	Chunks      []Chunk `json:"chunks"`
}

// Chunk names a part of a snapshot: Rows row frames one after another, Bytes long, by the SHA-256 of those bytes.
type Chunk struct {
	SHA256 string `json:"sha256"`
	Bytes  int    `json:"bytes"`
	Rows   int    `json:"rows"`
}

// ChunkedBucket reports whether a bucket may be offered as a snapshot. A person's own bucket may not: a snapshot may be
// some minutes old, and a device that gets its user: bucket afresh reads from it what became of its groups.
func ChunkedBucket(name string) bool {
	return DeviceBucket(name) && !strings.HasPrefix(name, BucketUser)
}

// ChunkName is what a chunk is called by: the SHA-256 of its bytes, in 64 lower-case hex digits.
func ChunkName(chunk []byte) string { return Hash(sha256.Sum256(chunk)).String() }

// Check looks at a snapshot's form: names, bounds and sums.
func (s *Snapshot) Check() error {
	rows := int64(0)
	for _, c := range s.Chunks {
		if _, err := ParseHash(c.SHA256); err != nil || c.Bytes < 1 || c.Bytes > MaxChunkBytes || c.Rows < 1 {
			return Refuse(CodeMalformed, "a snapshot with a chunk that cannot be")
		}
		rows += int64(c.Rows)
	}
	if !ChunkedBucket(s.Bucket) || !ValidID(s.Incarnation) || rows != s.Count || len(s.Chunks) > MaxChunks {
		return Refuse(CodeMalformed, "a snapshot that cannot be")
	}
	return nil
}

// EachRow hands over the payloads of a chunk's row frames in order. They alias the chunk.
func EachRow(chunk []byte, fn func(payload []byte) error) error {
	for {
		f, rest, err := NextFrame(chunk)
		if err == io.EOF {
			return nil
		}
		if err == nil && f.Type != FrameRow {
			err = Refuse(CodeMalformed, "a chunk holds row frames only")
		}
		if err == nil {
			err = fn(f.Payload)
		}
		if err != nil {
			return err
		}
		chunk = rest
	}
}
