package loop_test

import (
	"testing"

	"aidloop/server/casework"
	"aidloop/server/loop"
)

// What help has come to is counted by measure, with what a third party said of the households that it reached.
func TestMeasuresAreEvaluated(t *testing.T) {
	o, _, month := paid(t)
	ctx := t.Context()
	_, err := o.loop.PlanPayments(ctx, o.desk, month)
	o.must(err)
	o.days(2)
	o.pay(month, "approve")
	o.pay(month, "disburse")
	u, _ := o.world.User("eval")
	households := 0
	for _, h := range o.world.Households {
		if len(h.Categories) > 0 || h.ID == o.home.ID {
			households++
		}
	}
	id, err := o.loop.DrawSample(ctx, o.desk, loop.EvaluationInput{Title: "评估", Evaluator: u.ID, Size: 100, DueOn: o.now.AddDate(0, 1, 0).Format("2006-01-02")})
	o.must(err)
	list, err := o.loop.Sample(ctx, o.desk, id)
	if o.must(err); len(list) != households {
		t.Fatalf("%d of %d households", len(list), households)
	}
	for _, x := range list {
		rating := 2
		if x.Household == o.home.ID {
			rating = 5
		}
		o.must(o.loop.Assess(ctx, actor(u), loop.AssessmentInput{Evaluation: id, Number: x.Number, Rating: rating, Delivered: rating == 5}))
	}
	o.must(o.loop.StepEvaluation(ctx, actor(u), id, "submit", "好"))
	results := func(by casework.Actor) []loop.Result {
		list, err := o.loop.MeasureResults(ctx, by, month, casework.AddMonths(month+"-01", 2)[:7])
		o.must(err)
		return list
	}
	if got := results(o.desk); len(got) != 1 || got[0].Rated != 0 {
		t.Fatalf("before it was accepted: %+v", got)
	}
	o.must(o.loop.StepEvaluation(ctx, o.desk, id, "accept", ""))
	for _, by := range []casework.Actor{o.desk, o.officer("CZJ")} {
		got := results(by)
		if len(got) != 1 || got[0].Measure.Code != "dibao_cash" || got[0].Records != 1 || got[0].Arrived != 1 || got[0].Days != 2 || got[0].Households != 1 ||
			got[0].Exits != 0 || got[0].Rated != 1 || got[0].Rating != 500 || got[0].Delivered != 1 {
			t.Errorf("%+v", got)
		}
	}
	if got := results(o.officer("YBJ")); len(got) != 0 {
		t.Errorf("another department sees %+v", got)
	}
	_, err = o.loop.MeasureResults(ctx, o.reviewer, month, month)
	wants(t, err, casework.CodeForbidden)
	_, err = o.loop.MeasureResults(ctx, o.desk, "2026-07", "2020-01")
	wants(t, err, casework.CodeInvalidValue)
}

// The employment bureau sees what every unemployed person of the low-income population lacks of three offers, one guidance
// and one training in a year.
func TestEmploymentServices(t *testing.T) {
	o := helped(t)
	ctx := t.Context()
	jobs := o.officer("RSJ")
	member := o.cast.Missed.Members[0]
	load := func(code string, rows ...[]string) {
		var lines []loop.DatasetLine
		for i, cells := range rows {
			lines = append(lines, loop.DatasetLine{Row: i + 2, IDNumber: member.IDNo, Cells: cells})
		}
		lines = append(lines, loop.DatasetLine{Row: 99, IDNumber: "11010519491231002X", Cells: rows[0]}) // somebody who is in no category
		rep, err := o.loop.LoadDataset(ctx, jobs, code, lines)
		if o.must(err); rep.Refused > 0 {
			t.Fatalf("%+v", rep)
		}
	}
	load("unemployed", []string{"2026-01-05"})
	load("job_services", []string{"2026-02-01", "岗位推荐"}, []string{"2026-03-01", "offer"}, []string{"2025-03-01", "training"}, []string{"2026-04-01", "职业指导"})
	list, err := o.loop.JobServices(ctx, jobs, 2026)
	o.must(err)
	if len(list) != 1 || list[0].Person != member.ID || list[0].Name != member.Name || list[0].Served != (casework.Served{Offers: 2, Guidance: 1}) || list[0].Lacks != "岗位推荐1次、职业培训1次" {
		t.Fatalf("%+v", list)
	}
	d := o.hard()
	referral, err := o.loop.Refer(ctx, o.desk, loop.ReferralInput{Disposition: d, Dept: "RSJ", Need: "unemployment", Text: "求职"})
	o.must(err)
	o.must(o.loop.AnswerReferral(ctx, jobs, loop.ReferralAnswer{Referral: referral, Action: "accept"}))
	for _, m := range []string{"job_offer", "job_training"} {
		aid, err := o.loop.PlanAid(ctx, jobs, loop.AidInput{Referral: referral, Person: member.ID, Measure: m})
		o.must(err)
		o.must(o.loop.StepAid(ctx, jobs, aid, "approve", ""))
		o.must(o.loop.StepAid(ctx, jobs, aid, "disburse", ""))
	}
	year := o.now.Year()
	if list, err = o.loop.JobServices(ctx, jobs, year); err != nil || list[0].Lacks != "" && year == 2026 {
		t.Errorf("%+v, %v", list, err)
	}
	_, err = o.loop.JobServices(ctx, o.officer("YBJ"), 2026)
	wants(t, err, casework.CodeNotFound)
	_, err = o.loop.JobServices(ctx, o.reviewer, 2026)
	wants(t, err, casework.CodeForbidden)
}
