package casework_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"aidloop/server/casework"
)

// A moment names only fields of the catalog that lie in the open: what a chain shows needs no key.
func TestMomentsNameOpenFields(t *testing.T) {
	for _, m := range casework.Moments {
		kind, ok := casework.KindOf(m.Kind)
		if !ok {
			t.Errorf("no kind %s", m.Kind)
			continue
		}
		names := append([]string{m.At}, m.Facts...)
		if m.By != "" {
			names = append(names, m.By)
		}
		for _, name := range names {
			f, ok := kind.Field(name)
			if !ok || f.Sealed || name == m.At && f.Type != casework.Time {
				t.Errorf("%s.%s: known %v, sealed %v, type %s", m.Kind, name, ok, f.Sealed, f.Type)
			}
		}
	}
}

// Every time on record is told once, in order of time, whatever order the records come in.
func TestChainTellsEveryTimeOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var records []casework.ChainRecord
		times := 0
		for i := range rapid.IntRange(0, 8).Draw(t, "records") {
			kind := rapid.SampledFrom([]string{"lead", "visit", "review", "disposition", "referral", "application", "person"}).Draw(t, "kind")
			r := casework.ChainRecord{Kind: kind, ID: fmt.Sprint(i), Fields: map[string]any{}}
			for _, m := range casework.Moments {
				if m.Kind != kind || !rapid.Bool().Draw(t, m.At) {
					continue
				}
				at := time.Unix(rapid.Int64Range(0, 50).Draw(t, "second"), 0).In(time.FixedZone("", rapid.IntRange(-12, 14).Draw(t, "zone")*3600))
				r.Fields[m.At] = at.Format(time.RFC3339)
				times++
			}
			records = append(records, r)
		}
		events := casework.Chain(records)
		if len(events) != times {
			t.Fatalf("%d times, %d events", times, len(events))
		}
		if !slices.IsSortedFunc(events, func(a, b casework.ChainEvent) int { return a.At.Compare(b.At) }) {
			t.Fatalf("out of order: %v", events)
		}
		if again := casework.Chain(rapid.Permutation(records).Draw(t, "order")); !reflect.DeepEqual(again, events) {
			t.Fatalf("another order of records tells\n%v\nand not\n%v", again, events)
		}
	})
}

// Facts are told in words; a time that is none, and a value of another type than the field's, tell nothing.
func TestChainSpeaksInWords(t *testing.T) {
	events := casework.Chain([]casework.ChainRecord{
		{Kind: "referral", ID: "r", Fields: map[string]any{"delivered_at": "2026-03-02T09:00:00+08:00", "fed_back_at": "soon", "to_dept": "YBJ", "need": "illness", "amount": int64(123456)}},
		{Kind: "application", ID: "a", Fields: map[string]any{"decided_at": "2026-03-01T09:00:00+08:00", "decided_by": "u1", "categories": []any{"DIBAO", "RIGID"}, "valid_until": 7.5}},
	})
	var got []string
	for _, e := range events {
		got = append(got, e.Label+e.By)
		for _, f := range e.Facts {
			got = append(got, f.Label+"="+f.Text)
		}
	}
	want := []string{"民政局作出决定u1", "确认类别=" + casework.Label("category", "DIBAO") + "、" + casework.Label("category", "RIGID"),
		"部门落实帮扶", "承办部门=" + casework.Label("department", "YBJ"), "困难类型=" + casework.Label("difficulty", "illness"), "金额=1234.56元"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// What was received is counted by measure, without what failed; a person's chain leaves the others of his household out.
func TestReceivedHelp(t *testing.T) {
	aid := func(id, measure, state, person, day string, amount int64) casework.ChainRecord {
		f := map[string]any{"measure": measure, "state": state, "amount": amount, "approved_at": day + "T08:00:00+08:00", "disbursed_at": day + "T09:00:00+08:00"}
		if person != "" {
			f["person"] = person
		}
		return casework.ChainRecord{Kind: "aid", ID: id, Fields: f}
	}
	records := []casework.ChainRecord{aid("1", "dibao_cash", "confirmed", "", "2026-02-01", 52_000), aid("2", "dibao_cash", "disbursed", "", "2026-03-01", 52_000),
		aid("3", "dibao_cash", "failed", "", "2026-04-01", 52_000), aid("4", "medical_aid", "confirmed", "p", "2026-01-05", 10_000), aid("5", "job_offer", "confirmed", "q", "2026-01-06", 0),
		aid("6", "medical_aid", "recovered", "p", "2026-01-07", 10_000)}
	list := casework.Received(records)
	if len(list) != 3 || list[0].Measure != "dibao_cash" || list[0].Times != 2 || list[0].Amount != 104_000 || list[0].Last.Format("2006-01-02") != "2026-03-01" || list[1].Times != 1 {
		t.Errorf("%+v", list)
	}
	own := casework.Received(casework.OfPerson(records, "p"))
	if len(own) != 2 || own[1].Measure != "medical_aid" {
		t.Errorf("%+v", own)
	}
}
