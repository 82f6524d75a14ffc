// Package loop holds the verbs of the closed loop, one transaction each: receive, feed, import, dispatch, assign,
// review, propose, verify, refer, feed back. The file names are the verbs. Rules are server/casework's, bytes are
// syncproto's; this package brings them together and says in ports.go what it needs from a store.
package loop

import (
	"crypto/ed25519"
	"log/slog"

	"aidloop/syncproto"
)

// Secrets are the server's own keys. They live beside the database, never in it.
type Secrets struct {
	Master  syncproto.Key      // every bucket's, user's and index's key is derived from it
	Signing ed25519.PrivateKey // signs receipts and tokens
}

// Options are what a Loop is made of. All members but Poke and Log are needed.
type Options struct {
	Store   Store
	Clock   Clock
	Secrets Secrets
	NewID   func() string               // mints UUIDv7 ids
	Poke    func([]syncproto.BucketSeq) // told, after the commit, which buckets have grown
	// KeyBatch is how many key records a rotation wraps anew in one transaction; 0 stands for 200.
	KeyBatch int
	Log      *slog.Logger
}

// Loop runs the verbs. It keeps no state of its own and is safe for concurrent use.
type Loop struct {
	store   Store
	clock   Clock
	secrets Secrets
	newID   func() string
	poke    func([]syncproto.BucketSeq)
	log     *slog.Logger

	keyBatch int
}

// New makes a Loop.
func New(o Options) *Loop {
	if o.Poke == nil {
		o.Poke = func([]syncproto.BucketSeq) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.KeyBatch <= 0 {
		o.KeyBatch = rewrapBatch
	}
	return &Loop{o.Store, o.Clock, o.Secrets, o.NewID, o.Poke, o.Log, o.KeyBatch}
}

// ServerKey is the public key that devices check receipts with.
func (l *Loop) ServerKey() ed25519.PublicKey { return l.secrets.Signing.Public().(ed25519.PublicKey) }
