// Package storagetest is what every loop.Store must do: the comments of server/loop/ports.go, sentence by sentence.
package storagetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"aidloop/server/loop"
	"aidloop/syncproto"
)

// Run checks a kind of store. open opens a new, empty one and closes it when the test ends.
func Run(t *testing.T, open func(t *testing.T) loop.Store) {
	for name, fn := range map[string]func(*testing.T, loop.Store){
		"a failed write leaves nothing":   failedWrite,
		"a panic is an error":             panicking,
		"a read is one snapshot":          snapshot,
		"many writers lose nothing":       manyWriters,
		"the feed has the latest entries": feed,
		"a move leaves an exit":           move,
		"tombstones can be trimmed":       trim,
		"seals in order":                  seals,
		"lists page in a stable order":    find,
		"numbers have no gaps":            numbers,
		"what was is kept":                past,
		"batches are found by any change": batches,
		"open groups":                     held,
		"reissued groups":                 reissued,
		"parts that wait":                 parked,
		"accounts, sessions and codes":    accounts,
		"indexes of numbers and photos":   indexes,
		"datasets and what they led to":   datasets,
		"key versions and holdings":       keyVersions,
		"ledger and audit in order":       ledger,
		"missing things":                  missing,
		"a context that has ended":        ended,
	} {
		t.Run(name, func(t *testing.T) { fn(t, open(t)) })
	}
}

var errBack = errors.New("take it back")

func write(t *testing.T, s loop.Store, fn func(loop.Tx) error) {
	t.Helper()
	if err := s.Write(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, s loop.Store, fn func(loop.ReadTx) error) {
	t.Helper()
	if err := s.Read(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

// rec is a record with distinct bytes.
func rec(id, bucket string, seq uint64) *loop.Stored {
	ref := syncproto.Ref{Kind: "visit", ID: id}
	return &loop.Stored{Ref: ref, Root: syncproto.Ref{Kind: "household", ID: "h"}, Bucket: bucket, Seq: seq,
		Env: syncproto.Raw(fmt.Sprintf(`{"id":%q,"s":"d:%d"}`, id, seq)), Body: syncproto.Raw(`{"note":"家里有狗` + strings.Repeat("x", int(seq)) + `"}`),
		Index: loop.Index{State: "submitted", Region: "430681102212-001", Owner: "u1", Parent: "lead-1", Due: fmt.Sprintf("2026-01-%02d", 1+seq%28)}}
}

func failedWrite(t *testing.T, s loop.Store) {
	err := s.Write(context.Background(), func(tx loop.Tx) error {
		return errors.Join(tx.PutRecord(rec("a", "grid:g", 1)), tx.PutBucket(loop.Bucket{Name: "grid:g", Seq: 1}), errBack)
	})
	if !errors.Is(err, errBack) {
		t.Errorf("the error came back as %v", err)
	}
	read(t, s, func(tx loop.ReadTx) error {
		if _, err := tx.Record(syncproto.Ref{Kind: "visit", ID: "a"}); !errors.Is(err, loop.ErrNotFound) {
			t.Errorf("the record is there: %v", err)
		}
		b, err := tx.Bucket("grid:g")
		if b.Seq != 0 || b.Head != syncproto.LedgerStart("grid:g") {
			t.Errorf("the bucket is %+v", b)
		}
		return err
	})
	write(t, s, func(tx loop.Tx) error { return tx.PutRecord(rec("a", "grid:g", 1)) })
}

func panicking(t *testing.T, s loop.Store) {
	if err := s.Write(context.Background(), func(tx loop.Tx) error { panic("in a verb") }); err == nil {
		t.Error("a panic went by in silence")
	}
	write(t, s, func(tx loop.Tx) error { return tx.PutSetting("after", "1") })
}

func snapshot(t *testing.T, s loop.Store) {
	read(t, s, func(tx loop.ReadTx) error {
		write(t, s, func(w loop.Tx) error { return w.PutSetting("a", "1") })
		v, err := tx.Setting("a")
		if v != "" {
			t.Error("a later write is visible")
		}
		return err
	})
}

func manyWriters(t *testing.T, s loop.Store) {
	const writers, each = 16, 25
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				fail := (w+i)%5 == 0
				err := s.Write(context.Background(), func(tx loop.Tx) error {
					b, err := tx.Bucket("grid:g")
					if err != nil {
						return err
					}
					b.Seq++
					b.Count++
					if err := errors.Join(tx.PutBucket(b), tx.PutRecord(rec(fmt.Sprintf("%d-%d", w, i), "grid:g", b.Seq))); err != nil || !fail {
						return err
					}
					return errBack
				})
				if fail != errors.Is(err, errBack) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	read(t, s, func(tx loop.ReadTx) error {
		b, err := tx.Bucket("grid:g")
		if err != nil {
			return err
		}
		seen := uint64(0)
		err = tx.Feed("grid:g", 0, func(e loop.Entry) (bool, error) { seen++; return e.Seq == seen, nil })
		if want := uint64(writers * each * 4 / 5); b.Seq != want || seen != want {
			t.Errorf("the head is at %d with %d entries, want %d", b.Seq, seen, want)
		}
		return err
	})
}

// entries writes a feed down as text.
func entries(t *testing.T, s loop.Store, bucket string, after uint64) (list []string) {
	t.Helper()
	read(t, s, func(tx loop.ReadTx) error {
		return tx.Feed(bucket, after, func(e loop.Entry) (bool, error) {
			kind := "row"
			if e.Exit {
				kind = "exit"
			} else if e.Deleted {
				kind = "deleted"
			}
			list = append(list, fmt.Sprintf("%d %s %s", e.Seq, kind, e.Ref.ID))
			return true, nil
		})
	})
	return list
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func feed(t *testing.T, s loop.Store) {
	write(t, s, func(tx loop.Tx) error {
		gone := rec("b", "grid:g", 4)
		gone.Deleted, gone.Body = true, syncproto.Raw("{}")
		return errors.Join(tx.PutRecord(rec("a", "grid:g", 1)), tx.PutRecord(rec("b", "grid:g", 2)), tx.PutRecord(rec("c", "grid:g", 2)),
			tx.PutRecord(rec("a", "grid:g", 3)), tx.PutRecord(gone), tx.PutRecord(rec("z", "grid:other", 9)))
	})
	same(t, entries(t, s, "grid:g", 0), "2 row c", "3 row a", "4 deleted b")
	same(t, entries(t, s, "grid:g", 3), "4 deleted b")
	same(t, entries(t, s, "grid:g", 4))
	same(t, entries(t, s, "grid:nobody", 0))
	read(t, s, func(tx loop.ReadTx) error {
		n := 0
		err := tx.Feed("grid:g", 0, func(loop.Entry) (bool, error) { n++; return false, nil })
		if n != 1 {
			t.Errorf("it went on %d times after a stop", n)
		}
		got, err2 := tx.Record(syncproto.Ref{Kind: "visit", ID: "a"})
		if want := rec("a", "grid:g", 3); err2 == nil && (string(got.Env) != string(want.Env) || string(got.Body) != string(want.Body) || got.Root != want.Root || got.Index != want.Index) {
			t.Errorf("%+v", got)
		}
		live := 0
		err3 := tx.ByRoot(syncproto.Ref{Kind: "household", ID: "h"}, "", func(r *loop.Stored) error { live++; return nil })
		if live != 3 {
			t.Errorf("%d live records of the root", live)
		}
		for kind, want := range map[string]int{"visit": live, "lead": 0} {
			of := 0
			if err := tx.ByRoot(syncproto.Ref{Kind: "household", ID: "h"}, kind, func(r *loop.Stored) error { of++; return nil }); err != nil || of != want {
				t.Errorf("%d %ss of the root, want %d: %v", of, kind, want, err)
			}
		}
		return errors.Join(err, err2, err3)
	})
}

func move(t *testing.T, s loop.Store) {
	ref := syncproto.Ref{Kind: "visit", ID: "a"}
	write(t, s, func(tx loop.Tx) error { return tx.PutRecord(rec("a", "grid:old", 1)) })
	write(t, s, func(tx loop.Tx) error {
		return errors.Join(tx.PutExit("grid:old", 2, ref), tx.PutRecord(rec("a", "grid:new", 7)))
	})
	same(t, entries(t, s, "grid:old", 0), "2 exit a")
	same(t, entries(t, s, "grid:new", 0), "7 row a")
	write(t, s, func(tx loop.Tx) error {
		return errors.Join(tx.PutExit("grid:new", 8, ref), tx.PutRecord(rec("a", "grid:old", 3)))
	})
	same(t, entries(t, s, "grid:old", 0), "3 row a")
	same(t, entries(t, s, "grid:new", 0), "8 exit a")
}

func find(t *testing.T, s loop.Store) {
	write(t, s, func(tx loop.Tx) error {
		for i := range 25 {
			r := rec(fmt.Sprintf("v%02d", i), "grid:g", uint64(i+1))
			if i%5 == 0 {
				r.Index.State = "approved"
			}
			if i%2 == 0 {
				r.Index.Region = "430681101200-001"
			}
			if err := tx.PutRecord(r); err != nil {
				return err
			}
		}
		return nil
	})
	pages := func(q loop.Query) (ids []string) {
		for {
			var p loop.Page
			read(t, s, func(tx loop.ReadTx) (err error) { p, err = tx.Find(q); return err })
			for _, r := range p.Items {
				ids = append(ids, r.Ref.ID)
			}
			if len(p.Items) > q.Limit {
				t.Fatalf("a page of %d", len(p.Items))
			}
			if p.Next == "" {
				return ids
			}
			q.After = p.Next
		}
	}
	all := pages(loop.Query{Kind: "visit", Limit: 4})
	if len(all) != 25 || !slices.IsSortedFunc(all, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Errorf("newest first: %v", all)
	}
	if byDue := pages(loop.Query{Kind: "visit", Limit: 3, ByDue: true}); len(byDue) != 25 || byDue[0] != "v00" || byDue[24] != "v24" {
		t.Errorf("by due: %v", byDue)
	}
	for n, q := range map[int]loop.Query{5: {States: []string{"approved"}}, 13: {Region: "430681101"}, 25: {Region: "430681"}, 0: {Owner: "u2"}, 10: {DueTo: "2026-01-11"}} {
		q.Kind, q.Limit = "visit", 7
		if got := pages(q); len(got) != n {
			t.Errorf("%+v: %d of %d", q, len(got), n)
		}
	}
	read(t, s, func(tx loop.ReadTx) error {
		c, err := tx.Count("visit", "430681101")
		if c["approved"]+c["submitted"] != 13 {
			t.Errorf("counted %v", c)
		}
		return err
	})
}

func numbers(t *testing.T, s loop.Store) {
	next := func(n int, back bool) (first uint64) {
		err := s.Write(context.Background(), func(tx loop.Tx) (err error) {
			if first, err = tx.NextNumbers(n); err == nil && back {
				err = errBack
			}
			return err
		})
		if back != errors.Is(err, errBack) {
			t.Fatal(err)
		}
		return first
	}
	a := next(1, false)
	next(5, true)
	if b, c := next(3, false), next(1, false); b != a+1 || c != a+4 {
		t.Errorf("%d, %d, %d", a, b, c)
	}
}

func past(t *testing.T, s loop.Store) {
	ref := syncproto.Ref{Kind: "visit", ID: "a"}
	write(t, s, func(tx loop.Tx) error {
		for i := range 3 {
			if err := tx.PutPast(loop.Past{Ref: ref, Env: syncproto.Raw(`{}`), Body: syncproto.Raw(fmt.Sprint(i)), By: "d:1", At: int64(i)}); err != nil {
				return err
			}
		}
		return nil
	})
	read(t, s, func(tx loop.ReadTx) error {
		n := int64(0)
		return tx.History(ref, func(p loop.Past) error {
			if p.At != n || string(p.Body) != fmt.Sprint(n) || p.By != "d:1" {
				t.Errorf("%+v at place %d", p, n)
			}
			n++
			return nil
		})
	})
}

func batches(t *testing.T, s loop.Store) {
	write(t, s, func(tx loop.Tx) error {
		for _, b := range []*loop.Batch{{Device: "d", First: 1, Last: 4, Data: []byte{0, 255}, Encoding: "zstd", Outcomes: []byte("{}")}, {Device: "d", First: 5, Last: 5},
			{Device: "d", First: 2, Last: 9, Foreign: true}, {Device: "e", First: 1, Last: 9}} {
			if err := tx.PutBatch(b); err != nil || b.ID == 0 {
				return errors.Join(err, fmt.Errorf("batch %d", b.ID))
			}
		}
		return nil
	})
	read(t, s, func(tx loop.ReadTx) error {
		for dseq, first := range map[uint64]uint64{1: 1, 4: 1, 5: 5} {
			if b, err := tx.Batch("d", dseq); err != nil || b.First != first || b.Foreign {
				t.Errorf("change %d: %+v, %v", dseq, b, err)
			}
		}
		if _, err := tx.Batch("d", 6); !errors.Is(err, loop.ErrNotFound) {
			t.Errorf("change 6: %v", err)
		}
		n := 0
		err := tx.Batches("d", func(*loop.Batch) error { n++; return nil })
		if n != 3 {
			t.Errorf("%d batches of the device", n)
		}
		return err
	})
}

func reissued(t *testing.T, s loop.Store) {
	o := syncproto.Origin{Device: "d", Dseq: 7, Hash: syncproto.GroupHash([]byte("a"))}
	write(t, s, func(tx loop.Tx) error { return tx.PutReissued(o, "e", 2) })
	read(t, s, func(tx loop.ReadTx) error {
		if device, dseq, err := tx.Reissued(o); err != nil || device != "e" || dseq != 2 {
			t.Errorf("%s:%d, %v", device, dseq, err)
		}
		o.Hash = syncproto.GroupHash([]byte("b"))
		if _, _, err := tx.Reissued(o); !errors.Is(err, loop.ErrNotFound) {
			t.Errorf("other bytes of the same change: %v", err)
		}
		return nil
	})
}

func held(t *testing.T, s loop.Store) {
	h := loop.Held{Device: "d", Dseq: 3, Batch: 1, User: "u", Root: syncproto.Ref{Kind: "household", ID: "h"}, Code: "blocked", Refs: []string{"visit/a", "visit/b"}, At: 5, Expires: 9, Group: syncproto.Raw("\x00bytes")}
	write(t, s, func(tx loop.Tx) error { return tx.PutHeld(h) })
	list := func(device string) (list []loop.Held) {
		read(t, s, func(tx loop.ReadTx) (err error) { list, err = tx.Held(device, 10); return err })
		return list
	}
	if got := list("d"); len(got) != 1 || fmt.Sprintf("%+v", got[0]) != fmt.Sprintf("%+v", h) || len(list("")) != 1 || len(list("e")) != 0 {
		t.Errorf("%+v", got)
	}
	write(t, s, func(tx loop.Tx) error { return tx.DeleteHeld("d", 3) })
	if len(list("")) != 0 {
		t.Error("it is still open")
	}
}

func accounts(t *testing.T, s loop.Store) {
	u := loop.User{ID: "u", Login: "wang.grid", Name: "王", Role: "grid_worker", Region: "430681102212-001", Password: "x", Failed: 2, LockedTo: 3, Disabled: true, Until: 4, Version: 5}
	ses := loop.Session{ID: "s", User: "u", Device: "d", Token: "t", Prev: "p", CreatedAt: 1, Expires: 2, RevokedAt: 3}
	code := loop.EnrolCode{Hash: "h", User: "u", By: "b", Expires: 1, UsedAt: 2, Device: "d"}
	dev := loop.Device{ID: "d", User: "u", Name: "n", PublicKey: []byte{1}, State: "active", Have: 7, Head: syncproto.Hash{8}, CreatedAt: 1, SeenAt: 2, DayBytes: 3, Day: "2026-01-01",
		Claimed: 9, Photos: 2, ErasedAt: 5, Reason: "丢失", Since: 6}
	for range 2 { // the second time in place of the first
		write(t, s, func(tx loop.Tx) error {
			return errors.Join(tx.PutUser(&u), tx.PutSession(&ses), tx.PutEnrolCode(&code), tx.PutDevice(&dev))
		})
	}
	read(t, s, func(tx loop.ReadTx) error {
		gu, e1 := tx.User("u")
		gl, e2 := tx.UserByLogin("wang.grid")
		gs, e3 := tx.Session("s")
		gc, e4 := tx.EnrolCode("h")
		gd, e5 := tx.Device("d")
		list, e6 := tx.Users("430681102", "", 10)
		none, e7 := tx.Users("430681101", "", 10)
		devs, e8 := tx.Devices("u")
		if err := errors.Join(e1, e2, e3, e4, e5, e6, e7, e8); err != nil {
			return err
		}
		if *gu != u || *gl != u || *gs != ses || *gc != code || fmt.Sprintf("%+v", *gd) != fmt.Sprintf("%+v", dev) || len(list) != 1 || len(none) != 0 || len(devs) != 1 {
			t.Errorf("%+v %+v %+v %+v %v %v %v", gu, gs, gc, gd, list, none, devs)
		}
		return nil
	})
}

func ledger(t *testing.T, s loop.Store) {
	root := syncproto.Ref{Kind: "household", ID: "h"}
	write(t, s, func(tx loop.Tx) error {
		for i := range uint64(5) {
			a := loop.Audit{At: int64(i), Actor: "u", Verb: "assign", Details: syncproto.Raw("{}")}
			if i%2 == 0 {
				a.Root = root
			}
			if err := errors.Join(tx.AppendLedger("grid:g", loop.LedgerEntry{N: i + 1, Bytes: syncproto.Raw(fmt.Sprint(i)), Head: syncproto.Hash{byte(i)}}), tx.AppendAudit(a)); err != nil {
				return err
			}
		}
		return nil
	})
	read(t, s, func(tx loop.ReadTx) error {
		n := uint64(3)
		err := tx.Ledger("grid:g", n, func(e loop.LedgerEntry) error {
			if e.N != n || string(e.Bytes) != fmt.Sprint(n-1) || e.Head != (syncproto.Hash{byte(n - 1)}) {
				t.Errorf("%+v at place %d", e, n)
			}
			n++
			return nil
		})
		of, e1 := tx.Audit(root, 0, 10)
		all, e2 := tx.Audit(syncproto.Ref{}, 0, 2)
		if n != 6 || len(of) != 3 || len(all) != 2 || all[0].At != 4 || all[1].At != 3 {
			t.Errorf("%d, %+v, %+v", n, of, all)
		}
		older, e3 := tx.Audit(syncproto.Ref{}, all[1].ID, 10)
		if len(older) != 3 || older[0].At != 2 {
			t.Errorf("%+v", older)
		}
		return errors.Join(err, e1, e2, e3)
	})
}

func missing(t *testing.T, s loop.Store) {
	read(t, s, func(tx loop.ReadTx) error {
		_, e1 := tx.Record(syncproto.Ref{Kind: "visit", ID: "x"})
		_, e2 := tx.Device("x")
		_, e3 := tx.User("x")
		_, e4 := tx.UserByLogin("x")
		_, e5 := tx.Session("x")
		_, e6 := tx.EnrolCode("x")
		_, e7 := tx.Batch("x", 1)
		for i, err := range []error{e1, e2, e3, e4, e5, e6, e7} {
			if !errors.Is(err, loop.ErrNotFound) {
				t.Errorf("%d: %v", i, err)
			}
		}
		return nil
	})
}

func ended(t *testing.T, s loop.Store) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Write(ctx, func(loop.Tx) error { t.Error("it ran"); return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := s.Read(ctx, func(loop.ReadTx) error { t.Error("it ran"); return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
