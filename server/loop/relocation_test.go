package loop_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// elsewhere is a grid of another town than the household's, and that town's reviewer.
func (o *office) elsewhere() (grid string, reviewer casework.Actor) {
	o.t.Helper()
	for _, r := range o.world.Regions {
		if r.Level != "village" || casework.TownOf(r.Code) == o.home.Town {
			continue
		}
		for _, u := range o.world.Users {
			if u.Role == "town_reviewer" && u.Region == casework.TownOf(r.Code) {
				return r.Code + "-001", actor(u)
			}
		}
	}
	o.t.Fatal("the county has one town")
	return "", casework.Actor{}
}

func (o *office) relocation(id string) syncproto.Object {
	rec, _ := o.record(syncproto.Ref{Kind: "relocation", ID: id})
	return rec
}

// Both towns see a move; the one that takes over names the grid, and no month is missed or paid twice on the way.
func TestHouseholdsMoveWithoutAGap(t *testing.T) {
	o, application, month := paid(t)
	ctx := t.Context()
	grid, there := o.elsewhere()
	town := casework.TownOf(grid)
	in := loop.RelocationInput{Household: o.home.ID, ToTown: town, Reason: "易地搬迁"}
	for name, change := range map[string]func(*loop.RelocationInput){"nowhere": func(x *loop.RelocationInput) { x.ToTown = "" }, "twice": func(x *loop.RelocationInput) { x.ToPlace = "长沙" },
		"its own town": func(x *loop.RelocationInput) { x.ToTown = o.home.Town }} {
		bad := in
		change(&bad)
		if _, err := o.loop.ProposeRelocation(ctx, o.reviewer, bad); casework.CodeOf(err) != casework.CodeInvalidValue {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := o.loop.ProposeRelocation(ctx, there, in)
	wants(t, err, casework.CodeNotFound)
	id, err := o.loop.ProposeRelocation(ctx, o.reviewer, in)
	o.must(err)
	_, err = o.loop.ProposeRelocation(ctx, o.reviewer, in)
	wants(t, err, casework.CodeGuardFailed)
	for by, f := range map[*casework.Actor]loop.Filter{&there: {Kind: "relocation"}, &o.reviewer: {Kind: "relocation", Owner: o.home.Town}, &o.desk: {Kind: "relocation"}} {
		if list, err := o.loop.Queue(ctx, *by, f); err != nil || len(list.Items) != 1 || list.Items[0].Ref.ID != id {
			t.Errorf("%s sees %+v, %v", by.Region, list, err)
		}
	}
	if _, err := o.loop.Queue(ctx, there, loop.Filter{Kind: "relocation", Owner: o.home.Town}); err == nil {
		t.Error("a town lists what another one proposes")
	}
	step := func(by casework.Actor, in loop.RelocationStep) error {
		in.Relocation = id
		return o.loop.StepRelocation(ctx, by, in)
	}
	wants(t, step(o.reviewer, loop.RelocationStep{Action: "accept", Grid: grid}), casework.CodeGuardFailed)
	wants(t, step(there, loop.RelocationStep{Action: "accept", Grid: o.home.Grid}), casework.CodeInvalidValue)
	wants(t, step(there, loop.RelocationStep{Action: "drop", Text: "x"}), casework.CodeGuardFailed)
	wants(t, step(there, loop.RelocationStep{Action: "decline"}), casework.CodeGuardFailed)
	o.must(step(there, loop.RelocationStep{Action: "decline", Text: "查无此户住址"}))
	wants(t, step(there, loop.RelocationStep{Action: "accept", Grid: grid, Text: "x"}), casework.CodeForbiddenActor) // the county decides now
	o.must(step(o.desk, loop.RelocationStep{Action: "accept", Grid: grid, Text: "已核实住址"}))
	if got := o.relocation(id); got.Str("state") != "closed" || got.Str("grid") != grid {
		t.Errorf("%s", got.Bytes())
	}
	if !slices.Contains(o.categories(), "DIBAO") {
		t.Errorf("help has ended on the way: %q", o.categories())
	}
	o.state(application, "active")
	review := o.only("periodic_review", "due")
	if casework.TownOf(review.Region) != town || review.Fields["cause"] != "change" {
		t.Errorf("%+v", review)
	}
	if rep, err := o.loop.PlanPayments(ctx, o.desk, month); err != nil || rep.Done != 1 {
		t.Errorf("the next month: %+v, %v", rep, err)
	}
	o.balanced()
}

// Nobody is taken over who receives help in another household.
func TestNobodyMovesIntoASecondHelp(t *testing.T) {
	o := helped(t)
	ctx := t.Context()
	grid, there := o.elsewhere()
	other := loop.Registration{ID: "twin", Grid: grid, Fields: map[string]any{"head_name": "湛某"},
		Persons: []loop.Member{{ID: "twin-1", Fields: map[string]any{"household": "twin", "name": "湛某", "id_no": o.cast.Missed.Members[0].IDNo, "categories": []any{"DIBAO"}}}}} // he alone receives it there
	_, err := o.loop.Register(ctx, o.desk, []loop.Registration{other})
	o.must(err)
	id, err := o.loop.ProposeRelocation(ctx, o.reviewer, loop.RelocationInput{Household: o.home.ID, ToTown: casework.TownOf(grid), Reason: "搬迁"})
	o.must(err)
	accept := loop.RelocationStep{Relocation: id, Action: "accept", Grid: grid}
	wants(t, o.loop.StepRelocation(ctx, there, accept), casework.CodeGuardFailed)
	_, err = o.loop.MergeHouseholds(ctx, o.desk, "twin", o.home.ID, "同一家庭")
	o.must(err)
	o.must(o.loop.StepRelocation(ctx, there, accept))
	o.balanced()
}

// A household that leaves the county is paid here until the month before it is paid there.
func TestHouseholdsLeaveTheCounty(t *testing.T) {
	o, application, month := paid(t)
	ctx := t.Context()
	_, err := o.loop.PlanPayments(ctx, o.desk, month)
	o.must(err)
	o.pay(month, "approve")
	o.pay(month, "disburse")
	_, err = o.loop.ProposeRelocation(ctx, o.reviewer, loop.RelocationInput{Household: o.home.ID, ToPlace: "长沙市望城区", Reason: "投靠子女"})
	wants(t, err, casework.CodeForbiddenActor)
	id, err := o.loop.ProposeRelocation(ctx, o.desk, loop.RelocationInput{Household: o.home.ID, ToPlace: "长沙市望城区", Reason: "投靠子女"})
	o.must(err)
	step := func(next string) error {
		return o.loop.StepRelocation(ctx, o.desk, loop.RelocationStep{Relocation: id, Action: "confirm", NextMonth: next})
	}
	following := casework.AddMonths(month+"-01", 1)[:7]
	wants(t, step(""), casework.CodeGuardFailed)
	wants(t, step(month), casework.CodeGuardFailed)                                  // paid twice
	wants(t, step(casework.AddMonths(month+"-01", 2)[:7]), casework.CodeGuardFailed) // a month is missed
	wants(t, step("soon"), casework.CodeInvalidValue)
	o.must(step(following))
	if got := o.relocation(id); got.Str("last_paid") != month || got.Str("next_month") != following || got.Str("state") != "closed" {
		t.Errorf("%s", got.Bytes())
	}
	o.state(application, "closed")
	if slices.Contains(o.categories(), "DIBAO") {
		t.Errorf("%q", o.categories())
	}
	if rep, err := o.loop.PlanPayments(ctx, o.desk, following); err == nil && rep.Done != 0 {
		t.Errorf("paid here as well: %+v", rep)
	}
	o.balanced()
}

// Whatever months are named: a handover that is accepted leaves neither a gap nor an overlap.
func TestHandoversAreSeamless(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		last := casework.AddMonths("2026-01-01", rapid.IntRange(0, 30).Draw(t, "last"))[:7]
		next := casework.AddMonths("2026-01-01", rapid.IntRange(0, 30).Draw(t, "next"))[:7]
		_, err := casework.RelocationMachine.Next("handed_over", "confirm", casework.RoleBureauOfficer, casework.Facts{LastPaid: last, NextMonth: next})
		if ok := casework.AddMonths(last+"-01", 1)[:7] == next; ok != (err == nil) {
			t.Fatalf("paid here until %s, there from %s: %v", last, next, err)
		}
	})
}
