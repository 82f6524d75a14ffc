package loop

import (
	"crypto/ed25519"
	"errors"
	"slices"
	"time"

	"aidloop/syncproto"
)

// sealCheck follows the seals from the first one and keeps what they say of every bucket.
type sealCheck struct {
	c     *Checked
	tx    ReadTx
	key   ed25519.PublicKey
	prev  syncproto.Hash
	names []string // of sealed buckets, in order: the leaves of tree
	last  map[string]sealedHead
	tree  *syncproto.Merkle
	grown bool            // buckets came that the tree has no leaves for yet
	found map[string]bool // buckets that something was said of already
}

// seals follows the chain of seals, checks their signatures and roots, and insists that every ledger leads through every
// head that was sealed of it.
func (c *Checked) seals(tx ReadTx, key ed25519.PublicKey) error {
	k := &sealCheck{c: c, tx: tx, key: key, last: map[string]sealedHead{}, tree: syncproto.NewMerkle(nil), found: map[string]bool{}}
	broken := false
	err := tx.Seals(1, func(s Seal) error {
		if broken {
			return nil // the chain is cut; what follows cannot be told apart
		}
		ok, err := k.seal(&s)
		broken = !ok
		return err
	})
	if err != nil || broken {
		return err
	}
	return tx.Buckets(func(b Bucket) error {
		if b.Sealed != k.last[b.Name].entries {
			k.find(b.Name, "%d entries count as sealed, and the seals say %d", b.Sealed, k.last[b.Name].entries)
		}
		return nil
	})
}

// seal checks one seal against the one before; ok says whether the chain goes on.
func (k *sealCheck) seal(s *Seal) (ok bool, err error) {
	where := "seals"
	x, err := parseSeal(s)
	switch {
	case s.N != uint64(k.c.Seals)+1:
		k.c.find(where, "seal %d is missing", k.c.Seals+1)
		return false, nil
	case !syncproto.VerifySeal(k.key, s.Bytes, s.Sig):
		k.c.find(where, "seal %d is not signed by this server", s.N)
		return false, nil
	case err != nil || x.prev != k.prev.String():
		k.c.find(where, "seal %d does not follow from the one before", s.N)
		return false, nil
	}
	for _, h := range x.heads {
		if err := k.head(x, h); err != nil {
			return false, err
		}
	}
	if k.grown {
		k.plant()
	}
	if k.tree.Root().String() != x.root || int64(len(k.names)) != x.buckets {
		k.c.find(where, "the heads up to seal %d lead to another root than the one that was signed", s.N)
		return false, nil
	}
	k.prev = syncproto.SealHash(s.Bytes)
	k.c.Seals++
	k.c.Root = x.root
	return true, nil
}

// head compares a sealed head with the ledger as it is now, and puts it into the tree.
func (k *sealCheck) head(x *sealed, h sealedHead) error {
	at := time.UnixMilli(x.at).UTC().Format(time.RFC3339)
	now, err := ledgerHead(k.tx, h.bucket, h.entries)
	switch {
	case errors.Is(err, ErrNotFound):
		k.find(h.bucket, "entry %d was sealed at %s and is gone: the ledger was cut", h.entries, at)
	case err != nil:
		return err
	case now != h.head:
		k.find(h.bucket, "entry %d is not the one that was sealed at %s: the ledger was written anew", h.entries, at)
	case h.entries <= k.last[h.bucket].entries:
		k.find(h.bucket, "entry %d was sealed again at %s", h.entries, at)
	}
	k.last[h.bucket] = h
	i, known := slices.BinarySearch(k.names, h.bucket)
	if !known {
		k.names = slices.Insert(k.names, i, h.bucket)
	}
	if k.grown = k.grown || !known; !k.grown {
		k.tree.Set(i, leafOf(h))
	}
	return nil
}

// plant makes the tree anew where buckets came.
func (k *sealCheck) plant() {
	leaves := make([]syncproto.Hash, len(k.names))
	for i, name := range k.names {
		leaves[i] = leafOf(k.last[name])
	}
	k.tree, k.grown = syncproto.NewMerkle(leaves), false
}

func leafOf(h sealedHead) syncproto.Hash {
	return syncproto.SealLeaf(syncproto.BucketHead{Bucket: h.bucket, Head: h.head})
}

// find says one thing of a bucket, since everything behind it follows from that.
func (k *sealCheck) find(bucket, format string, args ...any) {
	if !k.found[bucket] {
		k.found[bucket] = true
		k.c.find("ledger of "+bucket, format, args...)
	}
}

// ledgerHead is the head that a ledger's entry led to.
func ledgerHead(tx ReadTx, bucket string, n uint64) (head syncproto.Hash, err error) {
	found := false
	err = tx.Ledger(bucket, n, func(e LedgerEntry) error {
		head, found = e.Head, e.N == n
		return errEnough
	})
	if err == nil || errors.Is(err, errEnough) {
		if err = nil; !found {
			err = ErrNotFound
		}
	}
	return head, err
}
