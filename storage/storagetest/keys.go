package storagetest

import (
	"errors"
	"reflect"
	"testing"

	"aidloop/server/loop"
)

func keyVersions(t *testing.T, s loop.Store) {
	a := loop.KeyVersion{Bucket: "grid:a", Version: 2, Cases: true, Pending: true, After: 7, Done: 3, Begun: 9}
	b := loop.KeyVersion{Bucket: "user:b", Version: 4, Begun: 1}
	c := loop.KeyVersion{Bucket: "grid:c", Version: 2, Pending: true}
	write(t, s, func(tx loop.Tx) error {
		return errors.Join(tx.PutKeyVersion(a), tx.PutKeyVersion(b), tx.PutKeyVersion(c))
	})
	a.Done, a.After = 4, 8
	write(t, s, func(tx loop.Tx) error { return tx.PutKeyVersion(a) })
	read(t, s, func(tx loop.ReadTx) error {
		one, e1 := tx.KeyVersion("grid:a")
		never, e2 := tx.KeyVersion("grid:never")
		all, e3 := tx.KeyVersions(false, "", 10)
		open, e4 := tx.KeyVersions(true, "", 1)
		rest, e5 := tx.KeyVersions(true, "grid:a", 10)
		if one != a || never != (loop.KeyVersion{Bucket: "grid:never", Version: 1}) || !reflect.DeepEqual(all, []loop.KeyVersion{a, c, b}) ||
			!reflect.DeepEqual(open, []loop.KeyVersion{a}) || !reflect.DeepEqual(rest, []loop.KeyVersion{c}) {
			t.Errorf("%+v, %+v, %+v, %+v, %+v", one, never, all, open, rest)
		}
		return errors.Join(e1, e2, e3, e4, e5)
	})
	h := loop.Holding{Bucket: "grid:a", Cursor: "i:7", Count: -1, At: 1}
	other := loop.Holding{Bucket: "ref", Cursor: "i:1", Count: 3, Digest: "d", At: 1}
	write(t, s, func(tx loop.Tx) error {
		return errors.Join(tx.PutHolding("d", h), tx.PutHolding("d", other), tx.PutHolding("e", h))
	})
	h.Gone, h.Count, h.Digest, h.At = true, 5, "x", 2
	write(t, s, func(tx loop.Tx) error { return tx.PutHolding("d", h) })
	read(t, s, func(tx loop.ReadTx) error {
		list, err := tx.Holdings("d")
		if !reflect.DeepEqual(list, []loop.Holding{h, other}) {
			t.Errorf("%+v", list)
		}
		return err
	})
}
