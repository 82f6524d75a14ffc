package loop

import (
	"context"
	"errors"
	"time"

	"aidloop/syncproto"
)

// trimAtOnce bounds how many tombstones one transaction trims, give or take those of one seq.
const trimAtOnce = 2000

// Trim takes the entries of deletions and exits that are older than Options.TombstoneAge (400 days) out of every
// bucket's feed and raises the bucket's floor to the newest of them, one bounded transaction per bucket. A cursor below
// the floor starts afresh: rows that the fresh bucket lacks are dropped, so no deletion is ever missed. Deleted records
// stay on record, so what comes late still loses against them; digests, ledgers and live rows are not touched. It
// returns how many buckets had something to trim; whoever gets more than 0 may call it again at once.
//
// The feed has no times. The ledger's entries say at what time the bucket stood at which seq, so the age of a seq is
// the time of the first entry that reaches it. Where the server's clock was once wrong, entries go early or late:
// that costs a device a fresh start and nothing else, since it is the floor that keeps it right, not the age.
func (l *Loop) Trim(ctx context.Context) (buckets int, err error) {
	before := l.clock().Add(-l.tombstoneAge).UnixMilli()
	var names []string
	err = l.store.Read(ctx, func(tx ReadTx) error {
		names = nil
		return tx.Buckets(func(b Bucket) error {
			floor, err := tombstonesBefore(tx, b, before)
			if floor > b.Floor {
				names = append(names, b.Name)
			}
			return err
		})
	})
	for _, name := range names {
		if err == nil {
			err = l.store.Write(ctx, func(tx Tx) error { return trimBucket(tx, name, before) })
		}
	}
	return len(names), err
}

func trimBucket(tx Tx, name string, before int64) error {
	b, err := tx.Bucket(name)
	if err != nil {
		return err
	}
	floor, err := tombstonesBefore(tx, b, before)
	if err != nil || floor <= b.Floor {
		return err
	}
	b.Floor = floor
	return errors.Join(tx.Trim(name, floor), tx.PutBucket(b))
}

// tombstonesBefore is the seq of the newest tombstone that was written before a time, or of the last one that goes
// into one transaction; 0 where there is none.
func tombstonesBefore(tx ReadTx, b Bucket, before int64) (floor uint64, err error) {
	end, n := uint64(0), 0
	err = tx.Tombstones(b.Name, func(seq uint64) (bool, error) {
		if n == 0 { // looked up only for buckets that have a tombstone at all
			var err error
			if end, err = seqBefore(tx, b, before); err != nil {
				return false, err
			}
		}
		if seq > end || n >= trimAtOnce && seq != floor {
			return false, nil
		}
		floor = seq
		n++
		return true, nil
	})
	return floor, err
}

// seqBefore is where a bucket stood at a time: the seq of its last ledger entry before it, 0 where there was none. It
// halves its way through the ledger.
func seqBefore(tx ReadTx, b Bucket, before int64) (seq uint64, err error) {
	lo, hi := uint64(1), b.Entries+1
	for lo < hi && err == nil {
		mid := lo + (hi-lo)/2
		var e syncproto.Object
		if e, err = ledgerEntry(tx, b.Name, mid); err != nil {
			break
		}
		if e.Int("at") < before {
			seq, lo = uint64(e.Int("seq")), mid+1
		} else {
			hi = mid
		}
	}
	return seq, err
}

var errEnough = errors.New("one entry is enough")

// ledgerEntry reads one entry of a ledger.
func ledgerEntry(tx ReadTx, bucket string, n uint64) (syncproto.Object, error) {
	var raw syncproto.Raw
	err := tx.Ledger(bucket, n, func(e LedgerEntry) error {
		if e.N == n {
			raw = append(raw, e.Bytes...)
		}
		return errEnough
	})
	switch {
	case err != nil && !errors.Is(err, errEnough):
		return nil, err
	case raw == nil:
		return nil, ErrNotFound
	}
	return syncproto.ParseObject(raw)
}

// tombstoneAge is how long deletions and exits stay in the feed.
const tombstoneAge = syncproto.TombstoneDays * 24 * time.Hour
