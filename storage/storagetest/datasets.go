package storagetest

import (
	"errors"
	"reflect"
	"testing"

	"aidloop/server/loop"
	"aidloop/syncproto"
)

// datasets: a load counts once it is done, the newest one wins, and rows come in order of arrival.
func datasets(t *testing.T, s loop.Store) {
	first := loop.Load{Dataset: "medical", SHA256: "a", By: "u", At: 1, Rows: 2}
	rows := []loop.LoadRow{{Line: 3, Key: "k", Cells: []string{"x", ""}, Subject: syncproto.Raw(`{"$s":"y"}`)}, {Line: 2, Key: "k", Cells: []string{}}}
	write(t, s, func(tx loop.Tx) error {
		if _, err := tx.LastLoad("medical"); !errors.Is(err, loop.ErrNotFound) {
			t.Errorf("before any load: %v", err)
		}
		return errors.Join(tx.PutLoad(&first), tx.PutLoadRow(first.N, rows[0]), tx.PutLoadRow(first.N, rows[1]))
	})
	read(t, s, func(tx loop.ReadTx) error {
		if _, err := tx.LastLoad("medical"); !errors.Is(err, loop.ErrNotFound) {
			t.Errorf("a load that is not done: %v", err)
		}
		return nil
	})
	first.Done = true
	begun := loop.Load{Dataset: "medical", SHA256: "b", By: "u", At: 2}
	other := loop.Load{Dataset: "deaths", SHA256: "c", By: "u", At: 3, Done: true}
	write(t, s, func(tx loop.Tx) error {
		return errors.Join(tx.PutLoad(&first), tx.PutLoad(&begun), tx.PutLoad(&other),
			tx.PutFoundMatch(loop.FoundMatch{ID: "m", Print: "p", Lead: "l", At: 1}), tx.PutFoundMatch(loop.FoundMatch{ID: "m", Print: "q", Lead: "k", At: 2}),
			tx.PutBlind(syncproto.Ref{Kind: "person", ID: "z"}, "id_no", "zz"), tx.PutBlind(syncproto.Ref{Kind: "lead", ID: "z"}, "subject_id_no", "zz"))
	})
	read(t, s, func(tx loop.ReadTx) error {
		last, e1 := tx.LastLoad("medical")
		if !reflect.DeepEqual(last, &first) {
			t.Errorf("%+v", last)
		}
		var got []loop.LoadRow
		e2 := tx.LoadRows(first.N, func(r loop.LoadRow) error { got = append(got, r); return nil })
		if !reflect.DeepEqual(got, rows) {
			t.Errorf("%+v", got)
		}
		got = nil
		e5 := tx.LoadRowsOf(first.N, []string{"nobody", rows[0].Key}, func(r loop.LoadRow) error { got = append(got, r); return nil })
		if !reflect.DeepEqual(got, rows) { // both are of one key
			t.Errorf("of a key: %+v", got)
		}
		m, e3 := tx.FoundMatch("m")
		if !reflect.DeepEqual(m, &loop.FoundMatch{ID: "m", Print: "q", Lead: "k", At: 2}) {
			t.Errorf("%+v", m)
		}
		if _, err := tx.FoundMatch("n"); !errors.Is(err, loop.ErrNotFound) {
			t.Errorf("what was never found: %v", err)
		}
		seen := map[string]string{}
		e4 := tx.EachBlind("person", "id_no", func(index, id string) error { seen[id] = index; return nil })
		if seen["z"] != "zz" {
			t.Errorf("%v", seen)
		}
		return errors.Join(e1, e2, e3, e4, e5)
	})
}
