package loop_test

import (
	"testing"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// A standard that changes in the middle of a year changes what is paid from then on, once somebody has looked at it; a
// household that would not be in the category any more is reviewed, and paid until people have decided.
func TestStandardsChangeInMidYear(t *testing.T) {
	o, application, month := paid(t)
	ctx := t.Context()
	_, err := o.loop.PlanPayments(ctx, o.desk, month)
	o.must(err)
	line := func(value int64) casework.Standard {
		return casework.Standard{Code: casework.StdDibao, Area: "all", Region: o.home.Village, Value: value, Unit: "fen_month", From: o.now.Format("2006-01-02"), Source: "demo"}
	}
	_, err = o.loop.Recompute(ctx, o.reviewer, "", false)
	wants(t, err, casework.CodeForbidden)
	wants(t, o.loop.PutStandards(ctx, o.desk, []casework.Standard{line(900_000)}), casework.CodeForbidden)
	bad := line(900_000)
	bad.Source = ""
	wants(t, o.loop.PutStandards(ctx, o.admin(), []casework.Standard{bad}), casework.CodeInvalidValue)
	o.must(o.loop.PutStandards(ctx, o.admin(), []casework.Standard{line(900_000)}))
	find := func(rep *loop.RecomputeReport) loop.Recomputed {
		for _, x := range rep.Changed {
			if x.Application == application {
				return x
			}
		}
		return loop.Recomputed{}
	}
	rep, err := o.loop.Recompute(ctx, o.desk, "", false)
	o.must(err)
	suggested, err := o.loop.Suggest(ctx, o.desk, o.home.ID, "")
	o.must(err)
	x := find(rep)
	if x.Before != 52_000 || x.After != suggested.GrantMonth || x.After == 0 || x.Review {
		t.Fatalf("%+v, the rules suggest %d", x, suggested.GrantMonth)
	}
	if got := o.application(application).Int("amount"); got != 52_000 {
		t.Fatalf("a look has changed the amount to %d", got)
	}
	if rep, err = o.loop.Recompute(ctx, o.desk, "", true); err != nil || find(rep) != x {
		t.Fatalf("%+v, %v", rep, err)
	}
	if rep, err = o.loop.Recompute(ctx, o.desk, "", true); err != nil || find(rep) != (loop.Recomputed{}) {
		t.Errorf("changed twice: %+v, %v", rep, err)
	}
	o.days(31)
	next := casework.AddMonths(month+"-01", 1)[:7]
	_, err = o.loop.PlanPayments(ctx, o.desk, next)
	o.must(err)
	for m, want := range map[string]int64{month: 52_000, next: x.After} {
		rec, _ := o.record(syncproto.Ref{Kind: "aid", ID: syncproto.DerivedID("aid", application+"|"+m)})
		if rec.Int("amount") != want {
			t.Errorf("%s: %d, want %d", m, rec.Int("amount"), want)
		}
	}
	low := line(100)
	o.must(o.loop.PutStandards(ctx, o.admin(), []casework.Standard{low}))
	rep, err = o.loop.Recompute(ctx, o.desk, "", true)
	o.must(err)
	if got := find(rep); !got.Review || got.After != 0 {
		t.Errorf("%+v", got)
	}
	if o.application(application).Int("amount") != x.After || o.only("periodic_review", "due").Fields["cause"] != "change" {
		t.Error("help has ended without a review")
	}
	list, err := o.loop.Standards(ctx)
	o.must(err)
	n := 0
	for _, s := range list {
		if s.Code == casework.StdDibao && s.Region == o.home.Village {
			n++
		}
	}
	if n != 2 { // that of the first day and that of a month later
		t.Errorf("%d standards of the village", n)
	}
	o.balanced()
}

// Every new lead goes where it belongs, and nothing goes twice.
func TestNewLeadsAreDispatched(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	town := o.cast.Town.Code
	_, err := o.loop.ImportLeads(ctx, o.desk, "matching", []loop.LeadRow{
		{Row: 2, SourceRef: "1", Type: "benefit_not_delivered", SubjectName: "甲", Town: town, Depts: []string{"YBJ"}},
		{Row: 3, SourceRef: "2", Type: "suspected_missed", SubjectName: "乙", Town: town, Depts: []string{"TOWN"}},
		{Row: 4, SourceRef: "3", Type: "deceased", SubjectName: "丙", Town: town, Depts: []string{"TOWN", "MZJ"}},
		{Row: 5, SourceRef: "4", Type: "risk_rising", SubjectName: "丁", Town: town}})
	o.must(err)
	_, err = o.loop.DispatchNew(ctx, o.reviewer, loop.NewLeads{})
	wants(t, err, casework.CodeForbidden)
	_, err = o.loop.DispatchNew(ctx, o.desk, loop.NewLeads{Types: []string{"any"}})
	wants(t, err, casework.CodeInvalidValue)
	for _, x := range []struct {
		f    loop.NewLeads
		want loop.Dispatched
	}{{loop.NewLeads{Types: []string{"risk_rising"}}, loop.Dispatched{Towns: 1}}, {loop.NewLeads{Source: "province"}, loop.Dispatched{}},
		{loop.NewLeads{Town: town}, loop.Dispatched{Towns: 2, Departments: 1}}, {loop.NewLeads{}, loop.Dispatched{}}} {
		if got, err := o.loop.DispatchNew(ctx, o.desk, x.f); err != nil || got != x.want {
			t.Errorf("%+v: %+v, %v", x.f, got, err)
		}
	}
	o.balanced()
}
