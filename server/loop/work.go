package loop

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"aidloop/syncproto"
)

// work is one write transaction of one verb. It loads records once, gives every group one seq per bucket, keeps
// digests and counts, and closes each touched bucket with one ledger entry.
type work struct {
	l           *Loop
	tx          Tx
	now         int64
	incarnation string
	by          string // who the ledger names: a device, or the incarnation
	cache       map[syncproto.Ref]*Stored
	buckets     map[string]*openBucket
	rings       map[syncproto.Ref]*syncproto.Keyring
	first       uint64 // the server's change numbers used so far
	last        uint64
	audit       []Audit
	groups      int // opened so far
}

// openBucket is a bucket that the transaction writes to.
type openBucket struct {
	Bucket
	name  string
	group int // the group that the present seq was given to
	spans []span
}

// span says which groups got which seqs: n groups, whose numbers and seqs both go up by one.
type span struct{ dseq, seq, n uint64 }

// run executes a verb in one write transaction and tells listeners afterwards which buckets grew.
func (l *Loop) run(ctx context.Context, fn func(*work) error) error {
	var grown []syncproto.BucketSeq
	err := l.store.Write(ctx, func(tx Tx) error {
		w := &work{l: l, tx: tx, now: l.clock().UnixMilli(), incarnation: tx.Incarnation(), by: tx.Incarnation(),
			cache: map[syncproto.Ref]*Stored{}, buckets: map[string]*openBucket{}, rings: map[syncproto.Ref]*syncproto.Keyring{}}
		if err := fn(w); err != nil {
			return err
		}
		var err error
		grown, err = w.flush()
		return err
	})
	if err == nil && len(grown) > 0 {
		l.poke(grown)
	}
	return err
}

// stored returns a record as this transaction sees it, or nil where there is none.
func (w *work) stored(ref syncproto.Ref) (*Stored, error) {
	if s, ok := w.cache[ref]; ok {
		return s, nil
	}
	s, err := w.tx.Record(ref)
	if errors.Is(err, ErrNotFound) {
		s, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	w.cache[ref] = s
	return s, nil
}

func (w *work) bucket(name string) (*openBucket, error) {
	if b, ok := w.buckets[name]; ok {
		return b, nil
	}
	h, err := w.tx.Bucket(name)
	if err != nil {
		return nil, err
	}
	if h.Entries == 0 {
		h.Name, h.Head = name, syncproto.LedgerStart(name)
	}
	b := &openBucket{Bucket: h, name: name}
	w.buckets[name] = b
	return b, nil
}

// number reserves the stamp of one server change.
func (w *work) number() (syncproto.Stamp, error) {
	n, err := w.tx.NextNumbers(1)
	if err != nil {
		return "", err
	}
	if w.first == 0 {
		w.first = n
	}
	w.last = n
	return syncproto.MakeStamp(w.incarnation, n), nil
}

// flush closes the transaction's books: a ledger entry and a new head for every bucket that was written to.
func (w *work) flush() ([]syncproto.BucketSeq, error) {
	names := make([]string, 0, len(w.buckets))
	for name, b := range w.buckets {
		if len(b.spans) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	grown := make([]syncproto.BucketSeq, 0, len(names))
	for _, name := range names {
		b := w.buckets[name]
		entry := w.entry(b)
		b.Entries++
		b.Head = syncproto.LedgerNext(b.Head, entry)
		if err := w.tx.AppendLedger(name, LedgerEntry{b.Entries, entry, b.Head}); err != nil {
			return nil, err
		}
		if err := w.tx.PutBucket(b.Bucket); err != nil {
			return nil, err
		}
		grown = append(grown, syncproto.BucketSeq{Bucket: name, Seq: b.Seq})
	}
	for _, a := range w.audit {
		if err := w.tx.AppendAudit(a); err != nil {
			return nil, err
		}
	}
	return grown, nil
}

// entry writes a ledger entry: who wrote, which groups got which seqs, and what the bucket looks like afterwards.
//
//	{"at":ms,"by":"…","catalog":1,"count":n,"digest":"hex","groups":[[dseq,seq,n],…],"numbers":[first,last]?,"seq":n}
func (w *work) entry(b *openBucket) syncproto.Raw {
	groups := make([]any, len(b.spans))
	for i, s := range b.spans {
		groups[i] = []any{s.dseq, s.seq, s.n}
	}
	m := map[string]any{"at": w.now, "by": w.by, "catalog": catalogVersion, "count": b.Count,
		"digest": b.Digest.String(), "groups": groups, "seq": b.Seq}
	if w.first > 0 {
		m["numbers"] = []any{w.first, w.last}
	}
	return syncproto.Fields(m).Bytes()
}

// note keeps an audit entry for the end of the transaction.
func (w *work) note(a Audit) {
	a.At = w.now
	w.audit = append(w.audit, a)
}

// seqFor gives the group its seq in the bucket: the next one at first touch, the same one afterwards.
func (b *openBucket) seqFor(g *group) uint64 {
	if b.group == g.n {
		return b.Seq
	}
	b.group = g.n
	b.Seq++
	if k := len(b.spans) - 1; k >= 0 && g.dseq > 0 && b.spans[k].dseq+b.spans[k].n == g.dseq && b.spans[k].seq+b.spans[k].n == b.Seq {
		b.spans[k].n++
	} else {
		b.spans = append(b.spans, span{g.dseq, b.Seq, 1})
	}
	return b.Seq
}

// put writes a record's new version: the old bytes are kept, digests and counts follow, and a record that moves
// leaves an exit behind.
func (w *work) put(g *group, s *Stored) error {
	old, err := w.stored(s.Ref)
	if err != nil {
		return err
	}
	b, err := w.bucket(s.Bucket)
	if err != nil {
		return err
	}
	s.Seq = b.seqFor(g)
	if old != nil {
		if err := w.leave(g, old, s); err != nil {
			return err
		}
	}
	if !s.Deleted {
		b.Count++
		b.Digest = b.Digest.Add(syncproto.RowHash(s.Env, s.Body))
	}
	w.cache[s.Ref] = s
	if err := w.tx.PutRecord(s); err != nil {
		return fmt.Errorf("store %s: %w", s.Ref.Kind, err)
	}
	return nil
}

func (w *work) leave(g *group, old, next *Stored) error {
	b, err := w.bucket(old.Bucket)
	if err != nil {
		return err
	}
	if !old.Deleted {
		b.Count--
		b.Digest = b.Digest.Sub(syncproto.RowHash(old.Env, old.Body))
	}
	if old.Bucket != next.Bucket {
		if err := w.tx.PutExit(old.Bucket, b.seqFor(g), old.Ref); err != nil {
			return err
		}
	}
	if string(old.Env) == string(next.Env) && string(old.Body) == string(next.Body) {
		return nil
	}
	return w.tx.PutPast(Past{Ref: old.Ref, Env: old.Env, Body: old.Body, By: g.lastStamp, At: w.now})
}
