package storagetest

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"aidloop/server/loop"
	"aidloop/syncproto"
)

// trim takes tombstones out of the feed; what was deleted is still known, and enters the feed again when it is written.
func trim(t *testing.T, s loop.Store) {
	gone := func(id, bucket string, seq uint64) *loop.Stored {
		r := rec(id, bucket, seq)
		r.Deleted, r.Body = true, syncproto.Raw("{}")
		return r
	}
	ref := syncproto.Ref{Kind: "visit", ID: "b"}
	write(t, s, func(tx loop.Tx) error {
		return errors.Join(tx.PutRecord(rec("a", "grid:g", 1)), tx.PutRecord(gone("b", "grid:g", 2)), tx.PutRecord(rec("c", "grid:g", 2)),
			tx.PutExit("grid:g", 3, syncproto.Ref{Kind: "visit", ID: "x"}), tx.PutExit("grid:g", 4, syncproto.Ref{Kind: "visit", ID: "y"}),
			tx.PutRecord(gone("d", "grid:g", 5)), tx.PutRecord(gone("e", "grid:h", 1)), tx.PutExit("grid:h", 1, syncproto.Ref{Kind: "visit", ID: "z"}),
			tx.PutBucket(loop.Bucket{Name: "grid:g", Seq: 5, Floor: 3, Sealed: 2}))
	})
	tombstones(t, s, "grid:g", 2, 3, 4, 5)
	write(t, s, func(tx loop.Tx) error { return errors.Join(tx.Trim("grid:g", 3), tx.Trim("grid:nobody", 9)) })
	same(t, entries(t, s, "grid:g", 0), "1 row a", "2 row c", "4 exit y", "5 deleted d")
	same(t, entries(t, s, "grid:h", 0), "1 deleted e", "1 exit z")
	tombstones(t, s, "grid:g", 4, 5)
	tombstones(t, s, "grid:nobody")
	read(t, s, func(tx loop.ReadTx) error {
		b, e1 := tx.Bucket("grid:g")
		if b.Floor != 3 || b.Sealed != 2 {
			t.Errorf("%+v", b)
		}
		r, e2 := tx.Record(ref)
		if e2 == nil && (!r.Deleted || string(r.Env) != string(gone("b", "grid:g", 2).Env)) {
			t.Errorf("%+v", r)
		}
		live := 0
		e3 := tx.ByRoot(syncproto.Ref{Kind: "household", ID: "h"}, "", func(r *loop.Stored) error { live++; return nil })
		if live != 2 {
			t.Errorf("%d live records", live)
		}
		return errors.Join(e1, e2, e3)
	})
	write(t, s, func(tx loop.Tx) error { return tx.PutRecord(gone("b", "grid:g", 6)) })
	same(t, entries(t, s, "grid:g", 4), "5 deleted d", "6 deleted b")
}

func tombstones(t *testing.T, s loop.Store, bucket string, want ...uint64) {
	t.Helper()
	read(t, s, func(tx loop.ReadTx) error {
		var got []uint64
		err := tx.Tombstones(bucket, func(seq uint64) (bool, error) { got = append(got, seq); return true, nil })
		if !reflect.DeepEqual(got, want) {
			t.Errorf("tombstones of %s at %v, want %v", bucket, got, want)
		}
		first := 0
		err2 := tx.Tombstones(bucket, func(uint64) (bool, error) { first++; return false, nil })
		if first > 1 {
			t.Errorf("it went on %d times after a stop", first)
		}
		return errors.Join(err, err2)
	})
}

func seals(t *testing.T, s loop.Store) {
	read(t, s, func(tx loop.ReadTx) error {
		if _, err := tx.LastSeal(); !errors.Is(err, loop.ErrNotFound) {
			t.Errorf("a seal of nothing: %v", err)
		}
		return nil
	})
	seal := func(n uint64) loop.Seal {
		return loop.Seal{N: n, Bytes: syncproto.Raw(fmt.Sprint(n)), Sig: []byte{byte(n), 0, 255}}
	}
	for n := range uint64(4) {
		write(t, s, func(tx loop.Tx) error { return tx.AppendSeal(seal(n + 1)) })
	}
	read(t, s, func(tx loop.ReadTx) error {
		last, e1 := tx.LastSeal()
		if want := seal(4); e1 == nil && !reflect.DeepEqual(*last, want) {
			t.Errorf("%+v", last)
		}
		var list []loop.Seal
		e2 := tx.Seals(3, func(s loop.Seal) error { list = append(list, s); return nil })
		if !reflect.DeepEqual(list, []loop.Seal{seal(3), seal(4)}) {
			t.Errorf("%+v", list)
		}
		return errors.Join(e1, e2)
	})
}
