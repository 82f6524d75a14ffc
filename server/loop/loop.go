// Package loop holds the verbs of the closed loop, one transaction each: receive, feed, import, dispatch, assign,
// review, propose, verify, refer, feed back, apply. The file names are the verbs. Rules are server/casework's, bytes are
// syncproto's; this package brings them together and says in ports.go what it needs from a store.
package loop

import (
	"crypto/ed25519"
	"log/slog"
	"time"

	"aidloop/syncproto"
)

// Secrets are the server's own keys. They live beside the database, never in it.
type Secrets struct {
	Master  syncproto.Key      // every bucket's, user's and index's key is derived from it
	Signing ed25519.PrivateKey // signs receipts and tokens
}

// Options are what a Loop is made of. The members up to NewID are needed.
type Options struct {
	Store   Store
	Clock   Clock
	Secrets Secrets
	NewID   func() string               // mints UUIDv7 ids
	Poke    func([]syncproto.BucketSeq) // told, after the commit, which buckets have grown
	Log     *slog.Logger
	// RepairRows is from how many rows on a bucket is repaired by leaves; 0 stands for the protocol's number.
	RepairRows int
	// TombstoneAge is how long deletions and exits stay in the feed; 0 for 400 days.
	TombstoneAge time.Duration
	// Chunks keeps snapshots; without it every bucket is paged.
	Chunks Chunks
	// SnapshotRows is how many live rows a bucket has that is paged at most; 0 for 5,000. ChunkBytes is the size of a
	// snapshot's chunks, 0 for the largest, 1 MiB.
	SnapshotRows, ChunkBytes int
	// KeyBatch is how many key records a rotation wraps anew in one transaction; 0 stands for 200.
	KeyBatch int
}

// Loop runs the verbs. It keeps no state of its own and is safe for concurrent use.
type Loop struct {
	store    Store
	clock    Clock
	secrets  Secrets
	renewals *renewals
	newID    func() string
	poke     func([]syncproto.BucketSeq)
	log      *slog.Logger
	repair   int64

	tombstoneAge time.Duration
	chunks       Chunks
	snapshotRows int
	chunkBytes   int
	keyBatch     int
}

// New makes a Loop.
func New(o Options) *Loop {
	if o.Poke == nil {
		o.Poke = func([]syncproto.BucketSeq) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.RepairRows <= 0 {
		o.RepairRows = syncproto.RepairRows
	}
	if o.TombstoneAge == 0 {
		o.TombstoneAge = tombstoneAge
	}
	if o.SnapshotRows == 0 {
		o.SnapshotRows = syncproto.SnapshotRows
	}
	if o.ChunkBytes == 0 || o.ChunkBytes > syncproto.ChunkBytes {
		o.ChunkBytes = syncproto.ChunkBytes
	}
	if o.KeyBatch <= 0 {
		o.KeyBatch = rewrapBatch
	}
	return &Loop{store: o.Store, clock: o.Clock, secrets: o.Secrets, renewals: &renewals{secrets: o.Secrets}, newID: o.NewID, poke: o.Poke, log: o.Log, repair: int64(o.RepairRows),
		tombstoneAge: o.TombstoneAge, chunks: o.Chunks, snapshotRows: o.SnapshotRows, chunkBytes: o.ChunkBytes, keyBatch: o.KeyBatch}
}

// ServerKey is the public key that devices check receipts with.
func (l *Loop) ServerKey() ed25519.PublicKey { return l.secrets.Signing.Public().(ed25519.PublicKey) }
