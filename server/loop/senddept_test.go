package loop_test

import (
	"testing"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// A lead about help that a department owes goes to the department: it sees whom it is about, its feedback ends the lead,
// and what it declines comes back to the county.
func TestLeadsGoToDepartments(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	medical := o.officer("YBJ")
	member := o.cast.Missed.Members[0]
	rep, err := o.loop.ImportLeads(ctx, o.desk, "matching", []loop.LeadRow{
		{Row: 2, SourceRef: "M-1", Type: "benefit_not_delivered", SubjectName: member.Name, IDNumber: member.IDNo, Town: o.cast.Town.Code, Reason: "未参保", Depts: []string{"YBJ"}},
		{Row: 3, SourceRef: "M-2", Type: "benefit_not_delivered", SubjectName: "外来人", Town: o.cast.Town.Code, Reason: "未参保", Depts: []string{"TOWN"}}})
	o.must(err)
	known, stranger := rep.Rows[0].Lead, rep.Rows[1].Lead
	wants(t, o.loop.SendToDept(ctx, o.reviewer, []string{known}, ""), casework.CodeNotFound) // it lies at the county
	wants(t, o.loop.SendToDept(ctx, o.desk, []string{stranger}, ""), casework.CodeGuardFailed)
	wants(t, o.loop.SendToDept(ctx, o.desk, []string{stranger}, "TOWN"), casework.CodeInvalidValue)
	o.must(o.loop.SendToDept(ctx, o.desk, []string{known}, ""))
	o.must(o.loop.SendToDept(ctx, o.desk, []string{stranger}, "YBJ"))
	wants(t, o.loop.SendToDept(ctx, o.desk, []string{known}, ""), casework.CodeInvalidTransition)
	list, err := o.loop.Queue(ctx, medical, loop.Filter{Kind: "referral"})
	if o.must(err); len(list.Items) != 2 {
		t.Fatalf("%+v", list.Items)
	}
	for _, i := range list.Items {
		c, err := o.loop.Case(ctx, medical, i.Ref)
		o.must(err)
		name := ""
		for _, e := range c.Related {
			switch e.Ref.Kind {
			case "lead":
				name, _ = e.Fields["subject_name"].(string)
			case "household", "person":
			default:
				t.Errorf("the department sees %s", e.Ref)
			}
		}
		if name == "" || c.Record.Fields["text"] != "未参保" || c.Record.Fields["due_on"] == nil {
			t.Errorf("%q, %+v", name, c.Record.Fields)
		}
		steps := []string{"accept", "deliver", "feed_back"}
		if i.Fields["lead"] == stranger {
			steps = []string{"decline"}
		}
		for _, action := range steps {
			o.must(o.loop.AnswerReferral(ctx, medical, loop.ReferralAnswer{Referral: i.Ref.ID, Action: action, Result: "已资助参保"}))
		}
	}
	for id, want := range map[string]string{known: "closed", stranger: "new"} {
		if rec, _ := o.record(syncproto.Ref{Kind: "lead", ID: id}); rec.Str("state") != want {
			t.Errorf("the lead is %q, want %q", rec.Str("state"), want)
		}
	}
	o.must(o.loop.Dispatch(ctx, o.desk, []string{stranger}, ""))
	o.balanced()
}

// Whoever assigns sees who has the least to do.
func TestWorkersWithTheirLoad(t *testing.T) {
	o, _ := ordered(t)
	list, err := o.loop.Workers(t.Context(), actor(o.cast.TownLeader), "")
	o.must(err)
	if len(list) < 2 || list[0].Tasks != 0 {
		t.Fatalf("%+v", list)
	}
	last := list[len(list)-1]
	if last.User.ID != o.cast.SurveyorOne.ID || last.Leads != 1 || last.Tasks != 1 || last.Due == "" {
		t.Errorf("%+v", last)
	}
	for _, w := range list {
		if casework.TownOf(w.User.Region) != o.cast.Town.Code {
			t.Errorf("%s is of another town", w.User.Login)
		}
	}
	_, err = o.loop.Workers(t.Context(), o.village, "")
	wants(t, err, casework.CodeForbidden)
}

// An applicant withdraws until the county has decided; the page is empty then, and another application can follow.
func TestApplicationsAreWithdrawn(t *testing.T) {
	o := newOffice(t)
	id := o.published()
	wants(t, o.try(o.window, id, "withdraw"), casework.CodeGuardFailed)
	wants(t, o.try(o.desk, id, "withdraw", because("不要了")), casework.CodeForbidden)
	o.step(o.window, id, "withdraw", because("家庭情况好转"))
	o.state(id, "withdrawn")
	if list, _, err := o.loop.Publications(t.Context(), o.home.Village, "", 10); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	wants(t, o.try(o.reviewer, id, "report"), casework.CodeInvalidTransition)
	again := o.handedIn()
	if again == id {
		t.Error("the same application")
	}
	o.balanced()
}
