package loop

import (
	"context"
	"errors"

	"aidloop/syncproto"
)

// Seal signs where all ledgers stand: a Merkle root over their heads in order of buckets, chained to the seal before.
// It is called every minute and writes nothing where nothing was written since. It returns whether it sealed.
//
// A ledger is a chain, so whoever writes to the database can cut its end off, or write it anew from any entry on, and
// it is consistent in itself. A seal fixes it: Check finds every sealed head that its ledger does not lead through any
// more. What a seal does not protect from is whoever holds the signing key, which lies beside the database and not in
// it, and whoever cuts the newest seals off together with what they cover: for that, a root that was noted elsewhere
// and the receipts that devices hold are the only witnesses.
//
// It reads the heads of all buckets and nothing else, so that its cost does not grow with rows, groups or entries.
func (l *Loop) Seal(ctx context.Context) (sealed bool, err error) {
	open := false
	err = l.store.Read(ctx, func(tx ReadTx) error {
		open = false
		return tx.Buckets(func(b Bucket) error { open = open || b.Sealed != b.Entries; return nil })
	})
	if err != nil || !open {
		return false, err
	}
	return true, l.store.Write(ctx, l.seal)
}

func (l *Loop) seal(tx Tx) error {
	var leaves []syncproto.Hash
	var changed []Bucket
	err := tx.Buckets(func(b Bucket) error {
		if b.Entries > 0 {
			leaves = append(leaves, syncproto.SealLeaf(syncproto.BucketHead{Bucket: b.Name, Head: b.Head}))
		}
		if b.Sealed != b.Entries {
			changed = append(changed, b)
		}
		return nil
	})
	if err != nil || len(changed) == 0 {
		return err
	}
	last, err := tx.LastSeal()
	if errors.Is(err, ErrNotFound) {
		last, err = &Seal{}, nil
	}
	if err != nil {
		return err
	}
	s := Seal{N: last.N + 1}
	s.Bytes = sealBytes(s.N, l.clock().UnixMilli(), tx.Incarnation(), prevSeal(last), leaves, changed)
	s.Sig = syncproto.SignSeal(l.secrets.Signing, s.Bytes)
	if err := tx.AppendSeal(s); err != nil {
		return err
	}
	for _, b := range changed {
		b.Sealed = b.Entries
		if err := tx.PutBucket(b); err != nil {
			return err
		}
	}
	return nil
}

func prevSeal(last *Seal) syncproto.Hash {
	if last.N == 0 {
		return syncproto.Hash{}
	}
	return syncproto.SealHash(last.Bytes)
}

// sealBytes writes a seal. The root is over all buckets that have a ledger; heads names only those that have grown
// since the seal before, with the number of their last entry, so that all seals together tell every leaf of every root.
//
//	{"at":ms,"buckets":n,"heads":[["bucket",entries,"hex"],…],"incarnation":"…","n":n,"prev":"hex","root":"hex"}
func sealBytes(n uint64, at int64, incarnation string, prev syncproto.Hash, leaves []syncproto.Hash, changed []Bucket) syncproto.Raw {
	heads := make([]any, len(changed))
	for i, b := range changed {
		heads[i] = []any{b.Name, b.Entries, b.Head.String()}
	}
	return syncproto.Fields(map[string]any{"at": at, "buckets": len(leaves), "heads": heads, "incarnation": incarnation, "n": n,
		"prev": prev.String(), "root": syncproto.NewMerkle(leaves).Root().String()}).Bytes()
}

// sealed is a seal as it is read back.
type sealed struct {
	at      int64
	buckets int64
	prev    string
	root    string
	heads   []sealedHead
}

// sealedHead says that a bucket's ledger had so many entries, which led to this head.
type sealedHead struct {
	bucket  string
	entries uint64
	head    syncproto.Hash
}

var errSeal = errors.New("this is no seal")

func parseSeal(s *Seal) (*sealed, error) {
	o, err := syncproto.ParseObject(s.Bytes)
	if err != nil {
		return nil, err
	}
	out := &sealed{at: o.Int("at"), buckets: o.Int("buckets"), prev: o.Str("prev"), root: o.Str("root")}
	if uint64(o.Int("n")) != s.N {
		return nil, errSeal
	}
	for _, h := range o.Get("heads").Items() {
		parts := h.Items()
		if len(parts) != 3 || parts[1].Int() < 1 {
			return nil, errSeal
		}
		head, err := syncproto.ParseHash(parts[2].Str())
		if err != nil {
			return nil, err
		}
		out.heads = append(out.heads, sealedHead{parts[0].Str(), uint64(parts[1].Int()), head})
	}
	return out, nil
}
