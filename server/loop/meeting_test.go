package loop_test

import (
	"testing"
	"time"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// hard is a case that the county has put before a conference: its disposition.
func (o *office) hard() string {
	o.t.Helper()
	ctx := o.t.Context()
	lead := o.lead("H-1", o.cast.Missed.Members[0], o.cast.Town.Code)
	o.must(o.loop.Assign(ctx, actor(o.cast.TownLeader), lead, o.cast.SurveyorOne.ID, ""))
	if out := o.worker.push(o.worker.group(refOf(o.home), o.worker.visit(o.home, lead, "v1")...)); out.Status != syncproto.GroupJudged || out.Code != "" {
		o.t.Fatalf("%+v", out)
	}
	o.must(o.loop.Review(ctx, o.reviewer, loop.ReviewInput{Visit: "v1", Approve: true}))
	d, err := o.loop.Propose(ctx, o.reviewer, loop.Proposal{Lead: lead, Result: "included", Categories: []string{"RIGID"}, Reason: "情况复杂"})
	o.must(err)
	_, err = o.loop.CallMeeting(ctx, o.desk, loop.MeetingCall{Type: "conference", On: "2026-12-01", Agenda: "一户", Dispositions: []string{d}})
	wants(o.t, err, casework.CodeGuardFailed) // nobody has asked for a conference
	o.must(o.loop.Verify(ctx, o.desk, loop.Verdict{Disposition: d, Action: "conference", Reason: "收入与支出不符"}))
	return d
}

// What a conference concludes stands in the case and lets the county verify it; what it asks of a department is followed to
// its end before the meeting is closed.
func TestConferencesAreFollowedToTheirEnd(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	d := o.hard()
	due := o.now.AddDate(0, 0, 5).Format(time.DateOnly)
	call := loop.MeetingCall{Type: "conference", On: due, Place: "二楼会议室", Agenda: "湛某一户认定", Departments: []string{"MZJ", "YBJ"}, Dispositions: []string{d}}
	for name, change := range map[string]func(*loop.MeetingCall){"type": func(c *loop.MeetingCall) { c.Type = "party" }, "day": func(c *loop.MeetingCall) { c.On = "明天" },
		"agenda": func(c *loop.MeetingCall) { c.Agenda = " " }, "dispositions": func(c *loop.MeetingCall) { c.Dispositions = nil }, "departments": func(c *loop.MeetingCall) { c.Departments = []string{"NO"} }} {
		bad := call
		change(&bad)
		_, err := o.loop.CallMeeting(ctx, o.desk, bad)
		if casework.CodeOf(err) != casework.CodeInvalidValue {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := o.loop.CallMeeting(ctx, o.reviewer, call)
	wants(t, err, casework.CodeForbidden)
	id, err := o.loop.CallMeeting(ctx, o.desk, call)
	o.must(err)
	wants(t, o.loop.Verify(ctx, o.desk, loop.Verdict{Disposition: d, Action: "verify"}), casework.CodeGuardFailed) // it has not been held

	medical := o.officer("YBJ")
	if list, err := o.loop.Queue(ctx, o.officer("JTJ"), loop.Filter{Kind: "invitation"}); err != nil || len(list.Items) != 0 {
		t.Errorf("a department that was not asked sees %+v, %v", list, err)
	}
	asked, err := o.loop.Queue(ctx, medical, loop.Filter{Kind: "invitation"})
	if o.must(err); len(asked.Items) != 1 || asked.Items[0].Fields["due_on"] != due || asked.Items[0].Fields["place"] != "二楼会议室" { // the bureau does not ask itself
		t.Fatalf("%+v", asked.Items)
	}
	page, err := o.loop.Case(ctx, medical, asked.Items[0].Ref)
	if o.must(err); page.Record.Fields["agenda"] != "湛某一户认定" {
		t.Errorf("%+v", page.Record.Fields)
	}
	come := func(by casework.Actor, action, text string) error {
		return o.loop.AnswerInvitation(ctx, by, asked.Items[0].Ref.ID, action, text)
	}
	wants(t, come(medical, "accept", " "), casework.CodeGuardFailed)
	wants(t, come(o.desk, "accept", "周立新"), casework.CodeForbidden)
	wants(t, come(o.officer("JTJ"), "accept", "某"), casework.CodeNotFound)
	o.must(come(medical, "accept", "陈佳慧"))
	wants(t, come(medical, "decline", "有事"), casework.CodeInvalidTransition)

	held := loop.MeetingStep{Meeting: id, Action: "hold", Present: []string{"周立新", "陈佳慧"}, Minutes: "一致同意纳入,由医保局核查报销。",
		Conclusions: []loop.Conclusion{{Disposition: d, Text: "同意认定为刚性支出困难家庭"}}, Resolutions: []loop.Resolved{{Dept: "YBJ", Text: "核查大病报销", DueOn: due}}}
	for name, change := range map[string]func(*loop.MeetingStep){"minutes": func(s *loop.MeetingStep) { s.Minutes = "" }, "people": func(s *loop.MeetingStep) { s.Present = nil }} {
		bad := held
		change(&bad)
		if err := o.loop.StepMeeting(ctx, o.desk, bad); casework.CodeOf(err) != casework.CodeGuardFailed {
			t.Errorf("held without %s: %v", name, err)
		}
	}
	stray := held
	stray.Conclusions = []loop.Conclusion{{Disposition: "another", Text: "x"}}
	wants(t, o.loop.StepMeeting(ctx, o.desk, stray), casework.CodeInvalidValue)
	o.must(o.loop.StepMeeting(ctx, o.desk, held))
	o.must(o.loop.Verify(ctx, o.desk, loop.Verdict{Disposition: d, Action: "verify"}))

	if rec, _ := o.record(asked.Items[0].Ref); rec.Str("state") != "closed" {
		t.Errorf("the invitation is %q behind the meeting", rec.Str("state"))
	}
	list, err := o.loop.Queue(ctx, medical, loop.Filter{Kind: "resolution"})
	if o.must(err); len(list.Items) != 1 {
		t.Fatalf("the department sees %+v", list.Items)
	}
	r := list.Items[0].Ref.ID
	if due, err := o.loop.Deadlines(ctx, medical, loop.DueFilter{}); err != nil || len(due) != 1 || due[0].Ref.ID != r || due[0].Assignee != "YBJ" {
		t.Errorf("what is due: %+v, %v", due, err)
	}
	if other, err := o.loop.Queue(ctx, o.officer("JTJ"), loop.Filter{Kind: "resolution"}); err != nil || len(other.Items) != 0 {
		t.Errorf("another department sees %+v, %v", other, err)
	}
	_, err = o.loop.Queue(ctx, medical, loop.Filter{Kind: "meeting"})
	wants(t, err, casework.CodeForbidden)
	step := func(by casework.Actor, action, text string) error {
		return o.loop.StepResolution(ctx, by, r, action, text)
	}
	wants(t, o.loop.StepMeeting(ctx, o.desk, loop.MeetingStep{Meeting: id, Action: "close"}), casework.CodeGuardFailed)
	wants(t, step(o.officer("JTJ"), "answer", "已办"), casework.CodeNotFound)
	wants(t, step(medical, "answer", ""), casework.CodeGuardFailed)
	wants(t, step(medical, "accept", ""), casework.CodeForbidden)
	o.must(step(medical, "answer", "已核查"))
	wants(t, step(medical, "answer", "又来"), casework.CodeInvalidTransition)
	o.must(step(o.desk, "send_back", "请附金额"))
	o.must(step(medical, "answer", "已报销8600元"))
	o.must(step(o.desk, "accept", ""))
	o.must(o.loop.StepMeeting(ctx, o.desk, loop.MeetingStep{Meeting: id, Action: "close"}))
	c, err := o.loop.Case(ctx, o.desk, syncproto.Ref{Kind: "disposition", ID: d})
	o.must(err)
	if c.Record.Fields["conference_conclusion"] != "同意认定为刚性支出困难家庭" || c.Record.Fields["meeting"] != id {
		t.Errorf("%+v", c.Record.Fields)
	}
	o.balanced()
}
