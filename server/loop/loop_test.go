package loop_test

import (
	"testing"

	"aidloop/fixtures/world"
	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

func actor(u world.User) casework.Actor {
	return casework.Actor{UserID: u.ID, Role: casework.Role(u.Role), Region: u.Region, Dept: u.Dept}
}

func wants(t *testing.T, err error, code string) {
	t.Helper()
	if casework.CodeOf(err) != code {
		t.Errorf("%v, want %q", err, code)
	}
}

// The county returns a proposal with a reason, the town proposes again; a department's result is closed by whoever
// asked; and on the way nobody can take a step that is not his, or not yet due.
func TestCountyReturnsAndReferralCloses(t *testing.T) {
	c, ctx := newCounty(t), t.Context()
	cast := c.world.Cast()
	bureau, leader, reviewer, ybj := actor(cast.BureauOfficer), actor(cast.TownLeader), actor(cast.TownReviewer), actor(cast.YBJ)
	home := cast.Missed
	row := loop.LeadRow{Row: 2, SourceRef: "X-1", Type: "suspected_missed", SubjectName: home.Members[0].Name, IDNumber: home.Members[0].IDNo, Town: cast.Town.Code}
	rep, err := c.loop.ImportLeads(ctx, bureau, "province", []loop.LeadRow{row, row})
	if err != nil || rep.Imported != 1 || rep.Unchanged != 1 || !rep.Rows[0].Linked {
		t.Fatalf("%+v, %v", rep, err)
	}
	lead := rep.Rows[0].Lead
	wants(t, c.loop.Assign(ctx, leader, lead, cast.SurveyorOne.ID, ""), casework.CodeNotFound) // it lies at the county still
	if err := c.loop.Dispatch(ctx, bureau, []string{lead}, ""); err != nil {
		t.Fatal(err)
	}
	wants(t, c.loop.Dispatch(ctx, bureau, []string{lead}, ""), casework.CodeInvalidTransition)
	if err := c.loop.Assign(ctx, leader, lead, cast.SurveyorOne.ID, ""); err != nil {
		t.Fatal(err)
	}
	_, err = c.loop.Propose(ctx, reviewer, loop.Proposal{Lead: lead, Result: "not_eligible", Reason: "x"})
	wants(t, err, casework.CodeGuardFailed) // without a visit

	p := c.phone(cast.SurveyorOne)
	if o := p.push(p.group(refOf(home.Household), p.visit(home.Household, lead, "v1")...)); o.Status != syncproto.GroupJudged || o.Code != "" {
		t.Fatalf("%+v", o)
	}
	_, err = c.loop.Propose(ctx, reviewer, loop.Proposal{Lead: lead, Result: "not_eligible", Reason: "x"})
	wants(t, err, casework.CodeGuardFailed) // the visit is not approved
	wants(t, c.loop.Review(ctx, leader, loop.ReviewInput{Visit: "v1", Approve: true}), casework.CodeForbidden)
	wants(t, c.loop.Review(ctx, reviewer, loop.ReviewInput{Visit: "v1", Comments: []loop.Comment{{Question: "no_such", Text: "?"}}}), casework.CodeInvalidValue)
	if err := c.loop.Review(ctx, reviewer, loop.ReviewInput{Visit: "v1", Approve: true}); err != nil {
		t.Fatal(err)
	}
	propose := func(reason string) string {
		id, err := c.loop.Propose(ctx, reviewer, loop.Proposal{Lead: lead, Result: "included", Categories: []string{"RIGID"}, Reason: reason})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	d := propose("第一次")
	wants(t, c.loop.Verify(ctx, bureau, loop.Verdict{Disposition: d, Action: "return"}), casework.CodeInvalidValue) // no reason
	if err := c.loop.Verify(ctx, bureau, loop.Verdict{Disposition: d, Action: "return", Reason: "收入核算有误"}); err != nil {
		t.Fatal(err)
	}
	if again := propose("第二次"); again != d {
		t.Errorf("a second disposition %s beside %s", again, d)
	}
	wants(t, c.loop.FeedBack(ctx, bureau, d), casework.CodeInvalidTransition) // not verified yet
	if err := c.loop.Verify(ctx, bureau, loop.Verdict{Disposition: d, Action: "verify"}); err != nil {
		t.Fatal(err)
	}
	if h, _ := c.record(refOf(home.Household)); string(h.Get("categories")) != `["RIGID"]` {
		t.Errorf("the household is in %s", h.Get("categories"))
	}
	ref, err := c.loop.Refer(ctx, bureau, loop.ReferralInput{Disposition: d, Dept: "YBJ", Need: "illness", Text: "核查"})
	if err != nil {
		t.Fatal(err)
	}
	step := func(by casework.Actor, action string) error {
		return c.loop.AnswerReferral(ctx, by, loop.ReferralAnswer{Referral: ref, Action: action, Result: "已救助"})
	}
	wants(t, step(bureau, "close"), casework.CodeInvalidTransition)
	wants(t, step(bureau, "accept"), casework.CodeForbidden)
	for _, action := range []string{"accept", "deliver", "feed_back"} {
		if err := step(ybj, action); err != nil {
			t.Fatal(err)
		}
	}
	wants(t, step(ybj, "close"), casework.CodeForbidden)
	if err := step(bureau, "close"); err != nil {
		t.Fatal(err)
	}
	if err := c.loop.FeedBack(ctx, bureau, d); err != nil {
		t.Fatal(err)
	}
	if l, _ := c.record(syncproto.Ref{Kind: "lead", ID: lead}); l.Str("state") != "closed" || l.Str("due_on") == "" {
		t.Errorf("the lead is %s", l.Str("state"))
	}
	c.balanced()
}
