package loop_test

import (
	"strings"
	"testing"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// A department publishes what it gives, masked and for some days, but nothing that tells of an illness; an objection that is
// registered takes it off the page and stands in the department's record.
func TestDepartmentsPublishTheirHelp(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	d := o.hard()
	given := func(dept, measure string, amount int64) (casework.Actor, string) {
		t.Helper()
		by := o.officer(dept)
		referral, err := o.loop.Refer(ctx, o.desk, loop.ReferralInput{Disposition: d, Dept: dept, Need: "other", Text: "帮扶"})
		o.must(err)
		o.must(o.loop.AnswerReferral(ctx, by, loop.ReferralAnswer{Referral: referral, Action: "accept"}))
		aid, err := o.loop.PlanAid(ctx, by, loop.AidInput{Referral: referral, Measure: measure, Amount: amount})
		o.must(err)
		return by, aid
	}
	housing, renovation := given("ZJJ", "renovation", 3_000_000)
	_, err := o.loop.PublishAid(ctx, housing, renovation)
	wants(t, err, casework.CodeGuardFailed) // not approved
	o.must(o.loop.StepAid(ctx, housing, renovation, "approve", ""))
	_, err = o.loop.PublishAid(ctx, o.officer("YBJ"), renovation)
	wants(t, err, casework.CodeNotFound)
	id, err := o.loop.PublishAid(ctx, housing, renovation)
	o.must(err)
	_, err = o.loop.PublishAid(ctx, housing, renovation)
	wants(t, err, casework.CodeGuardFailed)
	medical, ill := given("YBJ", "medical_aid", 10_000)
	o.must(o.loop.StepAid(ctx, medical, ill, "approve", ""))
	_, err = o.loop.PublishAid(ctx, medical, ill)
	wants(t, err, casework.CodeGuardFailed)

	page := func() []loop.Publication {
		list, _, err := o.loop.Publications(ctx, o.home.Village, "", 10)
		o.must(err)
		return list
	}
	list := page()
	if len(list) != 1 || list[0].ID != id || list[0].Measure != "renovation" || list[0].Amount != 3_000_000 || list[0].Name == o.home.HeadName || !strings.Contains(list[0].Name, "*") || list[0].Until == "" {
		t.Fatalf("%+v", list)
	}
	_, err = o.loop.Object(ctx, loop.PublicObjection{Publication: id, Text: "该户房屋不是危房"})
	o.must(err)
	waiting, err := o.loop.Queue(ctx, o.window, loop.Filter{Kind: "objection", States: []string{"received"}})
	if o.must(err); len(waiting.Items) != 1 {
		t.Fatalf("%+v", waiting.Items)
	}
	o.must(o.loop.AnswerObjection(ctx, o.window, waiting.Items[0].Ref.ID, "register", "经核实房屋等级为B级"))
	if len(page()) != 0 {
		t.Errorf("it is on the page after the objection: %+v", page())
	}
	c, err := o.loop.Case(ctx, housing, syncproto.Ref{Kind: "aid", ID: renovation})
	if o.must(err); c.Record.Fields["objection"] != "经核实房屋等级为B级" {
		t.Errorf("%+v", c.Record.Fields)
	}
	again, err := o.loop.PublishAid(ctx, housing, renovation)
	o.must(err)
	o.days(8)
	o.advance()
	if rec, _ := o.record(syncproto.Ref{Kind: "publication", ID: again}); rec.Str("state") != "archived" || len(page()) != 0 {
		t.Errorf("after its days it is %q", rec.Str("state"))
	}
	o.balanced()
}
