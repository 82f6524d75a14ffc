package loop_test

import (
	"slices"
	"testing"
	"time"

	"aidloop/server/loop"
	"aidloop/syncproto"
)

// handIn pushes a visit of the household.
func (o *office) handIn(lead, id, conclusion string) {
	o.t.Helper()
	changes := o.worker.visit(o.home, lead, id)
	changes[0].Fields = changes[0].Fields.With("q_conclusion", syncproto.MustValue(conclusion))
	if out := o.worker.push(o.worker.group(refOf(o.home), changes...)); out.Status != syncproto.GroupJudged || out.Code != "" {
		o.t.Fatalf("%+v", out)
	}
}

// leads are the states of the household's leads by source.
func (o *office) leads() (states []string) {
	o.t.Helper()
	list, err := o.loop.Queue(o.t.Context(), o.desk, loop.Filter{Kind: "lead"})
	o.must(err)
	for _, i := range list.Items {
		if i.Fields["household"] == o.home.ID {
			states = append(states, i.Fields["source"].(string)+" "+i.Fields["state"].(string))
		}
	}
	slices.Sort(states)
	return states
}

// What a worker finds on patrol becomes a lead with the visit, once, and goes the way of every other one; a visit that
// found nothing makes none.
func TestPatrolsMakeLeads(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	o.handIn("", "v0", "not_eligible")
	if got := o.leads(); len(got) != 0 {
		t.Fatalf("%q", got)
	}
	o.now = o.now.Add(time.Hour)
	o.handIn("", "v1", "included")
	if got := o.leads(); !slices.Equal(got, []string{"patrol town_review"}) {
		t.Fatalf("%q", got)
	}
	o.handIn("", "v2", "included") // the household has a lead under way
	id := syncproto.DerivedID("lead", "patrol|v1")
	rec, _ := o.record(syncproto.Ref{Kind: "lead", ID: id})
	if rec.Str("visit") != "v1" || rec.Str("assignee") != o.cast.SurveyorOne.ID || rec.Str("due_on") == "" || rec.Str("town") != o.cast.Town.Code || !rec.Has("subject_name") {
		t.Errorf("%s", rec.Bytes())
	}
	c, err := o.loop.Case(ctx, o.reviewer, syncproto.Ref{Kind: "lead", ID: id})
	o.must(err)
	if c.Record.Fields["subject_name"] != o.home.HeadName {
		t.Errorf("it is about %v", c.Record.Fields["subject_name"])
	}
	o.must(o.loop.Review(ctx, o.reviewer, loop.ReviewInput{Visit: "v1", Approve: true}))
	d, err := o.loop.Propose(ctx, o.reviewer, loop.Proposal{Lead: id, Result: "included", Categories: []string{"DIBAO"}, Reason: "收入低于标准"})
	o.must(err)
	o.must(o.loop.Verify(ctx, o.desk, loop.Verdict{Disposition: d, Action: "verify"}))
	if got := o.leads(); !slices.Equal(got, []string{"patrol verified"}) {
		t.Errorf("%q", got)
	}
	o.balanced()
}

// Several leads of a household that wait for the same worker are one visit: it takes them all along, is returned for all,
// and each is disposed of by itself.
func TestSeveralLeadsAreOneVisit(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	var ids []string
	for _, ref := range []string{"L-1", "L-2"} {
		id := o.lead(ref, o.cast.Missed.Members[0], o.cast.Town.Code)
		o.must(o.loop.Assign(ctx, actor(o.cast.TownLeader), id, o.cast.SurveyorOne.ID, ""))
		ids = append(ids, id)
	}
	elsewhere := o.lead("L-3", o.cast.Missed.Members[0], o.cast.Town.Code) // with nobody yet
	if o.tasks("visit") != 2 {
		t.Fatalf("%d tasks", o.tasks("visit"))
	}
	o.handIn(ids[1], "v1", "included")
	if got := o.leads(); !slices.Equal(got, []string{"province dispatched", "province town_review", "province town_review"}) || o.tasks("visit") != 0 {
		t.Fatalf("%q, %d tasks", got, o.tasks("visit"))
	}
	o.must(o.loop.Review(ctx, o.reviewer, loop.ReviewInput{Visit: "v1", Comments: []loop.Comment{{Question: "wages", Text: "请核对"}}}))
	if got := o.leads(); !slices.Equal(got, []string{"province dispatched", "province returned", "province returned"}) {
		t.Fatalf("%q", got)
	}
	if out := o.worker.push(o.worker.group(refOf(o.home), syncproto.Change{Op: syncproto.OpAct, Ref: syncproto.Ref{Kind: "visit", ID: "v1"}, Act: "submit"})); out.Code != "" {
		t.Fatalf("%+v", out)
	}
	o.must(o.loop.Review(ctx, o.reviewer, loop.ReviewInput{Visit: "v1", Approve: true}))
	for _, id := range ids {
		_, err := o.loop.Propose(ctx, o.reviewer, loop.Proposal{Lead: id, Result: "not_eligible", Reason: "收入高于标准"})
		o.must(err)
	}
	_, err := o.loop.Propose(ctx, o.reviewer, loop.Proposal{Lead: elsewhere, Result: "not_eligible", Reason: "收入高于标准"})
	if err == nil {
		t.Error("a lead that nobody was sent for is disposed of by the visit")
	}
	o.balanced()
}
