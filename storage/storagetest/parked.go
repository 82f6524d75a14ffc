package storagetest

import (
	"errors"
	"reflect"
	"testing"

	"aidloop/server/loop"
	"aidloop/syncproto"
)

func parked(t *testing.T, s loop.Store) {
	b := loop.Parked{Device: "d", First: 9, Last: 12, Prev: syncproto.Hash{1}, Head: syncproto.Hash{2}, At: 5, Bytes: 7, Encoding: "zstd", Data: []byte{0, 255}}
	a, other := b, b
	a.First, a.Last, a.Data = 4, 6, []byte("x")
	other.Device = "c"
	write(t, s, func(tx loop.Tx) error { return errors.Join(tx.PutParked(&b), tx.PutParked(&a), tx.PutParked(&other)) })
	plain := func(list ...loop.Parked) []loop.Parked {
		for i := range list {
			list[i].Data = nil
		}
		return list
	}
	read(t, s, func(tx loop.ReadTx) error {
		of, e1 := tx.Parked("d")
		all, e2 := tx.Parked("")
		none, e3 := tx.Parked("nobody")
		if !reflect.DeepEqual(of, plain(a, b)) || !reflect.DeepEqual(all, plain(other, a, b)) || len(none) > 0 {
			t.Errorf("%+v, %+v, %+v", of, all, none)
		}
		got, e4 := tx.ParkedData(b.N)
		if e4 == nil && !reflect.DeepEqual(*got, b) {
			t.Errorf("%+v", got)
		}
		if _, err := tx.ParkedData(99); !errors.Is(err, loop.ErrNotFound) {
			t.Errorf("a part that is not there: %v", err)
		}
		return errors.Join(e1, e2, e3, e4)
	})
	write(t, s, func(tx loop.Tx) error { return tx.DeleteParked(b.N) })
	read(t, s, func(tx loop.ReadTx) error {
		left, err := tx.Parked("d")
		if len(left) != 1 || left[0].N != a.N {
			t.Errorf("%+v", left)
		}
		return err
	})
}
