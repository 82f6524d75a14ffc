package storagetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"aidloop/server/loop"
	"aidloop/syncproto"
)

func indexes(t *testing.T, s loop.Store) {
	a, b := syncproto.Ref{Kind: "person", ID: "a"}, syncproto.Ref{Kind: "person", ID: "b"}
	write(t, s, func(tx loop.Tx) error {
		return errors.Join(tx.PutBlind(a, "id_no", "x"), tx.PutBlind(b, "id_no", "x"), tx.PutBlind(b, "id_no", "y"), tx.PutBlobRef("sha", a), tx.PutBlobRef("sha", a))
	})
	read(t, s, func(tx loop.ReadTx) error {
		x, e1 := tx.ByBlind("x")
		y, e2 := tx.ByBlind("y")
		p, e3 := tx.ByBlob("sha")
		if !slices.Equal(x, []syncproto.Ref{a}) || !slices.Equal(y, []syncproto.Ref{b}) || !slices.Equal(p, []syncproto.Ref{a}) {
			t.Errorf("%v %v %v", x, y, p)
		}
		return errors.Join(e1, e2, e3)
	})
	twins(t, s)
	witnesses(t, s)
	gaps(t, s)
	incidents(t, s)
	lifeEnds(t, s)
	write(t, s, func(tx loop.Tx) error { return tx.PutBlind(a, "id_no", "") })
	read(t, s, func(tx loop.ReadTx) error {
		x, err := tx.ByBlind("x")
		if len(x) != 0 {
			t.Errorf("%v", x)
		}
		return err
	})
}

// witnesses are kept once each and listed in order.
func witnesses(t *testing.T, s loop.Store) {
	one := loop.Witness{Device: "d1", At: 1, Ref: syncproto.Ref{Kind: "lead", ID: "l"}, Env: syncproto.Raw(`{"a":1}`), Body: syncproto.Raw(`{}`)}
	two := one
	two.Device, two.Body = "d2", syncproto.Raw(`{"b":1}`)
	again := one
	again.Device = "d3"
	write(t, s, func(tx loop.Tx) error {
		return errors.Join(tx.PutWitness(one), tx.PutWitness(two), tx.PutWitness(again))
	})
	read(t, s, func(tx loop.ReadTx) error {
		all, e1 := tx.Witnesses(0, 10)
		if len(all) != 2 || all[0].N >= all[1].N {
			t.Fatalf("%+v", all)
		}
		one.N, two.N = all[0].N, all[1].N
		rest, e2 := tx.Witnesses(all[0].N, 10)
		if !reflect.DeepEqual(all, []loop.Witness{one, two}) || !reflect.DeepEqual(rest, all[1:]) {
			t.Errorf("%+v, %+v", all, rest)
		}
		return errors.Join(e1, e2)
	})
}

// twins lists values that several records of one kind carry, a page at a time.
func twins(t *testing.T, s loop.Store) {
	person := func(id string) syncproto.Ref { return syncproto.Ref{Kind: "person", ID: id} }
	write(t, s, func(tx loop.Tx) error {
		return errors.Join(tx.PutBlind(person("p1"), "id_no", "t1"), tx.PutBlind(person("p2"), "id_no", "t1"), tx.PutBlind(person("p3"), "id_no", "t2"),
			tx.PutBlind(syncproto.Ref{Kind: "lead", ID: "l"}, "subject_id_no", "t2"),
			tx.PutBlind(person("p5"), "id_no", "t3"), tx.PutBlind(person("p4"), "id_no", "t3"), tx.PutBlind(person("p6"), "id_no", "t3"))
	})
	read(t, s, func(tx loop.ReadTx) error {
		all, e1 := tx.Twins("person", "", 10)
		first, e2 := tx.Twins("person", "", 1)
		rest, e3 := tx.Twins("person", "t1", 10)
		want := []loop.Twin{{Index: "t1", Refs: []syncproto.Ref{person("p1"), person("p2")}}, {Index: "t3", Refs: []syncproto.Ref{person("p4"), person("p5"), person("p6")}}}
		if !reflect.DeepEqual(all, want) || !reflect.DeepEqual(first, want[:1]) || !reflect.DeepEqual(rest, want[1:]) {
			t.Errorf("%v, %v, %v", all, first, rest)
		}
		return errors.Join(e1, e2, e3)
	})
}

// gaps are listed in order of declaration, of one device or of all.
func gaps(t *testing.T, s loop.Store) {
	one := loop.Gap{Device: "d1", From: 4, To: 9, Head: syncproto.Hash{1}, Sig: []byte{2}, At: 3}
	two := loop.Gap{Device: "d2", From: 1, To: 1, Head: syncproto.Hash{4}, Sig: []byte{5}, At: 6}
	write(t, s, func(tx loop.Tx) error { return errors.Join(tx.PutGap(one), tx.PutGap(two)) })
	read(t, s, func(tx loop.ReadTx) error {
		all, e1 := tx.Gaps("", 0, 10)
		if len(all) != 2 || all[0].N >= all[1].N {
			t.Fatalf("%+v", all)
		}
		one.N, two.N = all[0].N, all[1].N
		mine, e2 := tx.Gaps("d2", 0, 10)
		rest, e3 := tx.Gaps("", one.N, 10)
		first, e4 := tx.Gaps("", 0, 1)
		if !reflect.DeepEqual(all, []loop.Gap{one, two}) || !reflect.DeepEqual(mine, all[1:]) || !reflect.DeepEqual(rest, all[1:]) || !reflect.DeepEqual(first, all[:1]) {
			t.Errorf("%+v, %+v, %+v, %+v", all, mine, rest, first)
		}
		return errors.Join(e1, e2, e3, e4)
	})
}

// incidents are kept once each, newest first, and of a device the newest ones.
func incidents(t *testing.T, s loop.Store) {
	at := func(device string, n int) loop.Incident {
		return loop.Incident{At: int64(n), Device: device, Bucket: "grid:g", Cursor: fmt.Sprint("i:", n), Count: 2, Digest: syncproto.Digest{1}, Seq: 3, ServerCount: 4,
			ServerDigest: syncproto.Digest{2}, Leaves: syncproto.LeafSet{1}.String()}
	}
	write(t, s, func(tx loop.Tx) error {
		again := at("d1", 1)
		again.At = 9
		return errors.Join(tx.PutIncident(at("d1", 1)), tx.PutIncident(at("d2", 1)), tx.PutIncident(again))
	})
	read(t, s, func(tx loop.ReadTx) error {
		all, e1 := tx.Incidents(0, 10)
		if len(all) != 2 || all[0].ID <= all[1].ID {
			t.Fatalf("%+v", all)
		}
		want := at("d1", 1)
		want.ID = all[1].ID
		first, e2 := tx.Incidents(0, 1)
		rest, e3 := tx.Incidents(all[0].ID, 10)
		if !reflect.DeepEqual(first, all[:1]) || !reflect.DeepEqual(rest, []loop.Incident{want}) {
			t.Errorf("%+v, %+v", first, rest)
		}
		return errors.Join(e1, e2, e3)
	})
	write(t, s, func(tx loop.Tx) error {
		for n := range loop.MaxIncidents + 5 {
			if err := tx.PutIncident(at("d1", n+1)); err != nil {
				return err
			}
		}
		return nil
	})
	read(t, s, func(tx loop.ReadTx) error {
		all, err := tx.Incidents(0, 2*loop.MaxIncidents)
		if len(all) != loop.MaxIncidents+1 || all[0].Cursor != fmt.Sprint("i:", loop.MaxIncidents+5) || all[len(all)-1].Device != "d2" {
			t.Errorf("%d are kept, from %+v to %+v", len(all), all[0], all[len(all)-1])
		}
		return err
	})
}

// lifeEnds: the present life ends at the buckets' heads, and one that never was is not found.
func lifeEnds(t *testing.T, s loop.Store) {
	write(t, s, func(tx loop.Tx) error { return tx.PutBucket(loop.Bucket{Name: "grid:life", Seq: 4}) })
	read(t, s, func(tx loop.ReadTx) error {
		end, e1 := tx.LifeEnd(tx.Incarnation(), "grid:life")
		none, e2 := tx.LifeEnd(tx.Incarnation(), "grid:nobody")
		if end != 4 || none != 0 {
			t.Errorf("%d, %d", end, none)
		}
		if _, err := tx.LifeEnd("nobody", "grid:life"); !errors.Is(err, loop.ErrNotFound) {
			t.Errorf("a life that never was: %v", err)
		}
		return errors.Join(e1, e2)
	})
}
