package loop_test

import (
	"slices"
	"testing"

	"aidloop/server/casework"
	"aidloop/server/loop"
)

// Agriculture alone puts a household under monitoring; the household may be in a category of civil affairs at once, and
// agriculture helps it without another referral until the risk is gone.
func TestAgricultureDecides(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	d := o.hard()
	farm := o.officer("NYJ")
	referral, err := o.loop.Refer(ctx, o.desk, loop.ReferralInput{Disposition: d, Dept: "NYJ", Need: "no_labor", Text: "疑似返贫风险"})
	o.must(err)
	_, err = o.loop.Monitor(ctx, farm, referral, "FPFP_SUDDEN", "突发大病")
	wants(t, err, casework.CodeGuardFailed) // not accepted yet
	o.must(o.loop.AnswerReferral(ctx, farm, loop.ReferralAnswer{Referral: referral, Action: "accept"}))
	for code, try := range map[string]func() error{
		casework.CodeForbidden: func() error {
			_, err := o.loop.Monitor(ctx, o.officer("YBJ"), referral, "FPFP_SUDDEN", "x")
			return err
		},
		casework.CodeInvalidValue: func() error { _, err := o.loop.Monitor(ctx, farm, referral, "DIBAO", "x"); return err },
		casework.CodeGuardFailed:  func() error { _, err := o.loop.Monitor(ctx, farm, referral, "FPFP_SUDDEN", " "); return err },
	} {
		wants(t, try(), code)
	}
	_, err = o.loop.Monitor(ctx, o.desk, referral, "FPFP_SUDDEN", "x")
	wants(t, err, casework.CodeForbidden)
	id, err := o.loop.Monitor(ctx, farm, referral, "FPFP_SUDDEN", "突发大病,收入骤减")
	o.must(err)
	before := o.categories()
	if !slices.Contains(before, "FPFP_SUDDEN") {
		t.Fatalf("%q", before)
	}
	_, err = o.loop.Monitor(ctx, farm, referral, "FPFP_MARGINAL", "又一次")
	wants(t, err, casework.CodeGuardFailed)
	aid, err := o.loop.PlanAid(ctx, farm, loop.AidInput{Monitoring: id, Measure: "industry", Note: "油茶种植"})
	o.must(err)
	o.must(o.loop.StepAid(ctx, farm, aid, "approve", ""))
	wants(t, o.loop.StepMonitoring(ctx, farm, id, "reclassify", "", "x"), casework.CodeInvalidValue)
	o.must(o.loop.StepMonitoring(ctx, farm, id, "reclassify", "FPFP_MARGINAL", "收入回升"))
	if got := o.categories(); !slices.Contains(got, "FPFP_MARGINAL") || slices.Contains(got, "FPFP_SUDDEN") {
		t.Errorf("%q", got)
	}
	wants(t, o.loop.StepMonitoring(ctx, o.officer("YBJ"), id, "remove", "", "x"), casework.CodeForbidden)
	o.must(o.loop.StepMonitoring(ctx, farm, id, "remove", "", "收入稳定"))
	if got := o.categories(); slices.Contains(got, "FPFP_MARGINAL") || len(got) != len(before)-1 {
		t.Errorf("%q, before %q", got, before)
	}
	_, err = o.loop.PlanAid(ctx, farm, loop.AidInput{Monitoring: id, Measure: "industry"})
	wants(t, err, casework.CodeGuardFailed)
	chain, err := o.loop.Chain(ctx, o.desk, o.home.ID)
	o.must(err)
	told := 0
	for _, e := range chain.Events {
		if e.Kind == "monitoring" {
			told++
		}
	}
	if told != 2 {
		t.Errorf("%d lines of the chain tell of the monitoring", told)
	}
	o.balanced()
}

// Neither a town nor the county includes a household in a category of agriculture's by a disposition.
func TestCivilAffairsDoesNotDecideForAgriculture(t *testing.T) {
	o, lead := ordered(t)
	_, err := o.loop.Propose(t.Context(), o.reviewer, loop.Proposal{Lead: lead, Result: "included", Categories: []string{"FPFP_SUDDEN"}, Reason: "返贫"})
	wants(t, err, casework.CodeInvalidValue)
}

// Risk data have a time of the county's own, no type has a longer one than the notice's, and whoever is reminded reads why.
func TestLeadTimes(t *testing.T) {
	late := casework.Standards{{Code: casework.StdLead + ":deceased", Area: "all", Value: 90, From: "2026-01-01", Source: "x"},
		{Code: casework.StdLead + ":duplicate", Area: "all", Value: 10, From: "2026-06-01", Source: "x"}}
	for _, x := range []struct {
		kind, day string
		want      int
		rule      bool
	}{{"suspected_missed", "2026-11-24", 40, false}, {"risk_rising", "2026-11-24", 20, true}, {"deceased", "2026-11-24", 40, false},
		{"duplicate", "2026-05-31", 40, false}, {"duplicate", "2026-06-01", 10, true}} {
		days, rule, err := casework.LeadTime(x.kind, "430681102000", x.day, late)
		if err != nil || days != x.want || (rule != "") != x.rule {
			t.Errorf("%+v: %d, %q, %v", x, days, rule, err)
		}
	}
	o := newOffice(t)
	rep, err := o.loop.ImportLeads(t.Context(), o.desk, "province", []loop.LeadRow{{Row: 2, SourceRef: "R", Type: "risk_rising", SubjectName: "湛某", Town: o.cast.Town.Code}})
	o.must(err)
	o.must(o.loop.Dispatch(t.Context(), o.desk, []string{rep.Rows[0].Lead}, ""))
	o.days(15)
	due, err := o.loop.Deadlines(t.Context(), o.desk, loop.DueFilter{Kinds: []string{"lead"}})
	if o.must(err); len(due) != 1 || due[0].Rule == "" || due[0].Left > 10 {
		t.Errorf("%+v", due)
	}
}
