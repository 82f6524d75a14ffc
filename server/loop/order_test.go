package loop_test

import (
	"testing"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// ordered is an office with a lead that lies assigned at its town, and the lead.
func ordered(t *testing.T) (*office, string) {
	o := newOffice(t)
	lead := o.lead("L-1", o.cast.Missed.Members[0], o.cast.Town.Code)
	o.must(o.loop.Assign(t.Context(), actor(o.cast.TownLeader), lead, o.cast.SurveyorOne.ID, ""))
	return o, lead
}

func (o *office) order(id, state, level, dept string) {
	o.t.Helper()
	if rec, _ := o.record(syncproto.Ref{Kind: "order", ID: id}); rec.Str("state") != state || rec.Str("level") != level || rec.Str("to_dept") != dept {
		o.t.Fatalf("the order is %q, %q of %q", rec.Str("state"), rec.Str("level"), rec.Str("to_dept"))
	}
}

// A town is urged, then supervised by the county, and only the county accepts what it supervises.
func TestOrdersAreAnswered(t *testing.T) {
	o, lead := ordered(t)
	ctx := t.Context()
	leader := actor(o.cast.TownLeader)
	in := loop.OrderInput{Kind: "lead", ID: lead, Level: "urge", Text: "请本周内入户"}
	for code, bad := range map[string]loop.OrderInput{
		casework.CodeInvalidValue:   {Kind: "visit", ID: lead, Level: "urge", Text: "x"},
		casework.CodeGuardFailed:    {Kind: "lead", ID: lead, Level: "urge", Text: " "},
		casework.CodeForbiddenActor: {Kind: "lead", ID: lead, Level: "supervise", Text: "x"},
	} {
		_, err := o.loop.IssueOrder(ctx, leader, bad)
		wants(t, err, code)
	}
	_, err := o.loop.IssueOrder(ctx, o.reviewer, in)
	wants(t, err, casework.CodeForbidden)
	other, ok := o.world.User("guiyi.leader")
	if ok {
		_, err = o.loop.IssueOrder(ctx, actor(other), in)
		wants(t, err, casework.CodeNotFound)
	}
	id, err := o.loop.IssueOrder(ctx, leader, in)
	o.must(err)
	o.order(id, "issued", "urge", "TOWN")
	_, err = o.loop.IssueOrder(ctx, o.desk, in)
	wants(t, err, casework.CodeGuardFailed) // there is one

	step := func(by casework.Actor, action, text string) error { return o.loop.StepOrder(ctx, by, id, action, text) }
	wants(t, step(o.desk, "answer", "我们看过"), casework.CodeForbidden)
	wants(t, step(o.officer("YBJ"), "answer", "我们看过"), casework.CodeNotFound)
	wants(t, step(o.reviewer, "accept", ""), casework.CodeForbidden)
	wants(t, step(leader, "answer", ""), casework.CodeGuardFailed)
	o.must(step(leader, "answer", "明天入户"))
	wants(t, step(leader, "accept", ""), casework.CodeGuardFailed) // his own answer
	o.must(step(o.desk, "send_back", "请写明日期"))
	o.must(step(o.desk, "escalate", ""))
	wants(t, step(o.desk, "escalate", ""), casework.CodeGuardFailed)
	o.order(id, "issued", "supervise", "TOWN")
	o.must(step(o.reviewer, "answer", "11月28日入户"))
	wants(t, step(leader, "accept", ""), casework.CodeGuardFailed) // the county supervises it
	o.must(step(o.desk, "accept", ""))
	o.order(id, "done", "supervise", "TOWN")
	if a := o.advance(); a.Total() != 0 {
		t.Errorf("%+v", a)
	}
	o.balanced()
}

// What is late is urged once for each deadline, supervised where nobody answers, and the order ends with the thing that it
// asked for.
func TestWhatIsLateIsUrged(t *testing.T) {
	o, lead := ordered(t)
	ctx := t.Context()
	rec, _ := o.record(syncproto.Ref{Kind: "lead", ID: lead})
	for o.now.Format("2006-01-02") <= rec.Str("due_on") {
		if a := o.advance(); a.Urged != 0 {
			t.Fatalf("urged on %s, due on %s", o.now, rec.Str("due_on"))
		}
		o.days(1)
	}
	if a := o.advance(); a.Urged != 1 {
		t.Fatalf("%+v", a)
	}
	if a := o.advance(); a.Total() != 0 {
		t.Fatalf("urged twice: %+v", a)
	}
	list, err := o.loop.Queue(ctx, o.reviewer, loop.Filter{Kind: "order", States: []string{"issued"}})
	if o.must(err); len(list.Items) != 1 || list.Items[0].Fields["about"] != lead || list.Items[0].Fields["issued_by"] != "system" {
		t.Fatalf("%+v", list.Items)
	}
	id := list.Items[0].Ref.ID
	due, err := o.loop.Deadlines(ctx, o.reviewer, loop.DueFilter{Kinds: []string{"order"}})
	if o.must(err); len(due) != 1 || due[0].Assignee != "TOWN" || due[0].Rule != "催办须在3个工作日内答复" {
		t.Fatalf("%+v", due)
	}
	wants(t, o.loop.StepOrder(ctx, actor(o.cast.TownLeader), id, "withdraw", "不用催"), casework.CodeForbidden) // what the calendar issued
	escalated := 0
	for range 10 {
		o.days(1)
		escalated += o.advance().Escalated
	}
	if escalated != 1 {
		t.Fatalf("escalated %d times", escalated)
	}
	o.order(id, "issued", "supervise", "TOWN")
	_, err = o.loop.Propose(ctx, o.reviewer, loop.Proposal{Lead: lead, Result: "duplicate", Reason: "重复"})
	o.must(err)
	if a := o.advance(); a.Settled != 1 {
		t.Fatalf("%+v", a)
	}
	o.order(id, "done", "supervise", "TOWN")
	if a := o.advance(); a.Total() != 0 {
		t.Errorf("%+v", a)
	}
	o.balanced()
}

// A department that is late with a referral is urged, and sees what it is about and nothing else.
func TestDepartmentsAreUrged(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	d := o.hard()
	referral, err := o.loop.Refer(ctx, o.desk, loop.ReferralInput{Disposition: d, Dept: "YBJ", Need: "illness", Text: "核查", Workdays: 1})
	o.must(err)
	o.days(6)
	o.advance()
	medical := o.officer("YBJ")
	list, err := o.loop.Queue(ctx, medical, loop.Filter{Kind: "order"})
	if o.must(err); len(list.Items) != 1 || list.Items[0].Fields["about"] != referral {
		t.Fatalf("%+v", list.Items)
	}
	if other, err := o.loop.Queue(ctx, o.officer("JTJ"), loop.Filter{Kind: "order"}); err != nil || len(other.Items) != 0 {
		t.Errorf("another department sees %+v, %v", other, err)
	}
	ref := list.Items[0].Ref
	c, err := o.loop.Case(ctx, medical, ref)
	o.must(err)
	seen := map[string]bool{}
	for _, e := range c.Related {
		seen[e.Ref.Kind] = true
	}
	if !seen["referral"] || seen["visit"] || seen["lead"] || c.Record.Fields["text"] == nil {
		t.Errorf("the department sees %v of %+v", seen, c.Record)
	}
	o.must(o.loop.StepOrder(ctx, medical, ref.ID, "answer", "正在核查"))
	wants(t, o.loop.StepOrder(ctx, medical, ref.ID, "accept", ""), casework.CodeForbidden)
	for _, action := range []string{"accept", "deliver", "feed_back"} {
		o.must(o.loop.AnswerReferral(ctx, medical, loop.ReferralAnswer{Referral: referral, Action: action, Result: "已报销"}))
	}
	o.advance()
	o.order(ref.ID, "done", "urge", "YBJ")
}
