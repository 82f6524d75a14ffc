package loop_test

import (
	"fmt"
	"testing"
	"time"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/storage/sqlite"
	"aidloop/syncproto"
)

// The size of the county: households, and the visits of all years. Every household had one lead.
const benchHouseholds, benchVisits = 13_000, 100_000

// BenchmarkFigures counts every figure of the whole county.
func BenchmarkFigures(b *testing.B) {
	now := time.Date(2026, 7, 1, 2, 0, 0, 0, time.UTC)
	n := 0
	store, err := sqlite.Open(b.Context(), sqlite.Options{Dir: b.TempDir(), Clock: func() time.Time { return now },
		NewID: func() string { n++; return fmt.Sprintf("01900000-0000-7000-8000-%012d", n) }})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	l := loop.New(loop.Options{Store: store, Clock: func() time.Time { return now }})
	for first := 0; first < benchHouseholds; first += 1000 {
		err := store.Write(b.Context(), func(tx loop.Tx) error {
			for i := first; i < first+1000; i++ {
				if err := putCase(tx, i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, spec := range casework.Figures {
		b.Run(spec.Name, func(b *testing.B) {
			for b.Loop() {
				f, err := l.Figure(b.Context(), atBureau, loop.FigureInput{Name: spec.Name})
				if err != nil || f.Rows[len(f.Rows)-1].Counts[spec.Columns[0].Code] == 0 {
					b.Fatalf("%+v, %v", f, err)
				}
			}
		})
	}
}

// putCase writes a household with its lead, its visits, a disposition, a review and, of every fourth, a referral.
func putCase(tx loop.Tx, i int) error {
	grid := fmt.Sprintf("4306811%02d2%02d-001", i%17+1, i/17%10+1)
	root := syncproto.Ref{Kind: "household", ID: fmt.Sprintf("h-%05d", i)}
	lead, received := fmt.Sprintf("l-%05d", i), fmt.Sprintf("2026-%02d-10T09:00:00+08:00", i%6+1)
	put := func(kind, id, parent string, fields map[string]any) error {
		ref := syncproto.Ref{Kind: kind, ID: id}
		env := syncproto.Envelope{Ref: ref, Root: root, Version: syncproto.Version{Stamp: "server:1", Time: 1767000000000}}
		body := syncproto.Fields(fields)
		return tx.PutRecord(&loop.Stored{Ref: ref, Root: root, Bucket: syncproto.BucketGrid + grid, Seq: uint64(i + 1), Env: env.Bytes(), Body: body.Bytes(),
			Index: loop.Index{State: body.Str("state"), Region: grid, Parent: parent}})
	}
	err := put("household", root.ID, "", map[string]any{"categories": []any{"DIBAO"}, "members_count": 3})
	for k := 0; k < (benchVisits+benchHouseholds-1-i)/benchHouseholds && err == nil; k++ {
		of := ""
		if k == 0 {
			of = lead
		}
		v := map[string]any{"lead": of, "state": "approved", "form": "visit", "form_version": "1"}
		for q := range 40 {
			v[fmt.Sprintf("q_answer_%02d", q)] = "回答"
		}
		err = put("visit", fmt.Sprintf("v-%05d-%02d", i, k), of, v)
	}
	if err == nil {
		err = put("lead", lead, "", map[string]any{"source": "province", "state": "closed", "received_at": received, "due_on": "2026-05-20", "assignee": "w",
			"disposition": "d-" + lead})
	}
	if err == nil {
		err = put("disposition", "d-"+lead, lead, map[string]any{"lead": lead, "state": "verified", "proposed_at": received})
	}
	if err == nil {
		err = put("review", "r-"+lead, "", map[string]any{"visit": fmt.Sprintf("v-%05d-00", i), "decision": "returned", "at": received})
	}
	if err == nil && i%4 == 0 {
		err = put("referral", "f-"+lead, "", map[string]any{"to_dept": "YBJ", "state": "sent", "sent_at": received, "due_on": "2026-05-20"})
	}
	return err
}
