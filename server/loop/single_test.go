package loop_test

import (
	"maps"
	"slices"
	"testing"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// A seriously ill member of a marginal household receives dibao alone: the household stays what it is, he is paid and
// reviewed, and the end of his help ends nothing else.
func TestOneMemberReceivesHelp(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	o.table(o.desk, "aid", false, o.home.Code+"|低保边缘家庭||2026-01-01")
	member := o.cast.Missed.Members[0]
	answers := maps.Clone(rest)
	answers["single_person"], answers["single_person_evidence"] = "yes", []any{"evidence"}
	answers["applicant_id_no"] = member.IDNo
	id, err := o.loop.Apply(ctx, o.window, loop.ApplicationInput{Household: o.home.ID})
	o.must(err)
	o.must(o.loop.FillApplication(ctx, o.village, loop.Filling{Application: id, Answers: answers, Submit: true}))
	o.step(o.window, id, "accept")
	o.step(o.reviewer, id, "investigate")
	o.days(1)
	o.visited("v-single")
	o.step(o.reviewer, id, "opine", granting("DIBAO"), because("重病"))
	o.step(o.reviewer, id, "publicize")
	o.days(8)
	o.step(o.reviewer, id, "report")
	o.step(o.desk, id, "confirm", granting("DIBAO"), because("同意单人保"), func(in *loop.ApplicationStep) { in.Amount = 40_000 })
	o.step(o.desk, id, "activate")
	own := func() []string {
		rec, _ := o.record(syncproto.Ref{Kind: "person", ID: member.ID})
		var list []string
		for _, c := range rec.Get("categories").Items() {
			list = append(list, c.Str())
		}
		return list
	}
	if !slices.Equal(own(), []string{"DIBAO"}) || slices.Contains(o.categories(), "DIBAO") || !slices.Contains(o.categories(), "MARGINAL") {
		t.Fatalf("he has %q, the household %q", own(), o.categories())
	}
	month := casework.AddMonths(o.now.Format("2006-01")+"-01", 1)[:7]
	rep, err := o.loop.PlanPayments(ctx, o.desk, month)
	if o.must(err); rep.Done != 1 {
		t.Fatalf("%+v", rep)
	}
	paid := o.only("aid", "planned")
	if paid.Fields["person"] != member.ID || paid.Fields["amount"] != int64(40_000) || paid.Fields["measure"] != "dibao_cash" {
		t.Errorf("%+v", paid.Fields)
	}
	if rep, err := o.loop.Recompute(ctx, o.desk, "", true); err != nil || slices.ContainsFunc(rep.Changed, func(x loop.Recomputed) bool { return x.Application == id }) {
		t.Errorf("what one member receives is computed like a household's: %+v, %v", rep, err)
	}
	for range 14 { // the household is reviewed with him in mind
		o.days(30)
		o.advance()
	}
	list, err := o.loop.Queue(ctx, o.desk, loop.Filter{Kind: "periodic_review"})
	o.must(err)
	seen := false
	for _, i := range list.Items {
		held, _ := i.Fields["held"].([]any)
		seen = seen || i.Fields["household"] == o.home.ID && slices.Contains(held, any("DIBAO"))
	}
	if !seen {
		t.Errorf("no review knows of his help: %+v", list.Items)
	}
	o.step(o.desk, id, "close", because("已康复"))
	if len(own()) != 0 || !slices.Contains(o.categories(), "MARGINAL") {
		t.Errorf("behind the end he has %q, the household %q", own(), o.categories())
	}
	if rep := o.pay(month, "approve"); rep.Done != 0 || rep.Cancelled != 1 {
		t.Errorf("paid behind its end: %+v", rep)
	}
	o.balanced()
}

// Who applies alone has to be on record in the household.
func TestOnlyMembersApplyAlone(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	answers := maps.Clone(rest)
	answers["single_person"], answers["single_person_evidence"] = "yes", []any{"evidence"} // under another one's number
	id, err := o.loop.Apply(ctx, o.window, loop.ApplicationInput{Household: o.home.ID})
	o.must(err)
	o.must(o.loop.FillApplication(ctx, o.village, loop.Filling{Application: id, Answers: answers, Submit: true}))
	wants(t, o.try(o.window, id, "accept"), casework.CodeGuardFailed)
	o.state(id, "submitted")
}
