package loop_test

import (
	"slices"
	"strings"
	"testing"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// A third party sees a sample in which nobody can be found, says something of everybody in it, and the county accepts.
func TestThirdPartyEvaluates(t *testing.T) {
	o := helped(t)
	ctx := t.Context()
	u, ok := o.world.User("eval")
	if !ok {
		t.Fatal("nobody evaluates")
	}
	evaluator := actor(u)
	due := o.now.AddDate(0, 1, 0).Format("2006-01-02")
	in := loop.EvaluationInput{Title: "2026年救助效果评估", Evaluator: u.ID, Size: 5, Seed: "s", DueOn: due}
	for name, change := range map[string]func(*loop.EvaluationInput){"title": func(x *loop.EvaluationInput) { x.Title = "" }, "size": func(x *loop.EvaluationInput) { x.Size = 0 },
		"due": func(x *loop.EvaluationInput) { x.DueOn = "2020-01-01" }, "evaluator": func(x *loop.EvaluationInput) { x.Evaluator = o.cast.TownReviewer.ID }} {
		bad := in
		change(&bad)
		if _, err := o.loop.DrawSample(ctx, o.desk, bad); casework.CodeOf(err) != casework.CodeInvalidValue {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := o.loop.DrawSample(ctx, evaluator, in)
	wants(t, err, casework.CodeForbidden)
	id, err := o.loop.DrawSample(ctx, o.desk, in)
	o.must(err)
	again, err := o.loop.DrawSample(ctx, o.desk, in)
	o.must(err)
	mine, err := o.loop.Sample(ctx, evaluator, id)
	o.must(err)
	first, err := o.loop.Sample(ctx, o.desk, id)
	o.must(err)
	second, err := o.loop.Sample(ctx, o.desk, again)
	o.must(err)
	if len(mine) != 5 || !slices.EqualFunc(first, second, func(a, b loop.Sampled) bool { return a.Household == b.Household }) {
		t.Fatalf("%d households, %+v and %+v", len(mine), first, second)
	}
	for i, x := range mine {
		if x.Household != "" || first[i].Household == "" || len(x.Cells) != len(loop.SampleColumns) {
			t.Errorf("%+v", x)
		}
		told := strings.Join(x.Cells, "|")
		for _, h := range o.world.Households {
			for _, secret := range []string{h.ID, h.Code, h.Village, h.Address, h.Phone} {
				if secret != "" && strings.Contains(told, secret) {
					t.Errorf("%q tells %q", told, secret)
				}
			}
		}
		for _, p := range o.world.Persons {
			if strings.Contains(told, p.Name) || strings.Contains(told, p.IDNo) {
				t.Errorf("%q tells of %q", told, p.Name)
			}
		}
	}
	other := evaluator
	other.UserID = "another"
	_, err = o.loop.Sample(ctx, other, id)
	wants(t, err, casework.CodeNotFound)
	for _, kind := range []string{"household", "lead", "visit", "aid", "order"} {
		if _, err := o.loop.Queue(ctx, evaluator, loop.Filter{Kind: kind}); err == nil {
			t.Errorf("an evaluator lists %ss", kind)
		}
	}
	if list, err := o.loop.Queue(ctx, evaluator, loop.Filter{Kind: "evaluation"}); err != nil || len(list.Items) != 2 {
		t.Errorf("his evaluations: %+v, %v", list, err)
	}
	if list, err := o.loop.Queue(ctx, other, loop.Filter{Kind: "evaluation"}); err != nil || len(list.Items) != 0 {
		t.Errorf("another one's evaluations: %+v, %v", list, err)
	}
	say := func(n, rating int) error {
		return o.loop.Assess(ctx, evaluator, loop.AssessmentInput{Evaluation: id, Number: n, Rating: rating, Delivered: n != 2, Text: "救助及时"})
	}
	wants(t, say(0, 3), casework.CodeInvalidValue)
	wants(t, say(6, 3), casework.CodeInvalidValue)
	wants(t, say(1, 6), casework.CodeInvalidValue)
	for n := 1; n <= 4; n++ {
		o.must(say(n, 3))
	}
	step := func(by casework.Actor, action, text string) error {
		return o.loop.StepEvaluation(ctx, by, id, action, text)
	}
	wants(t, step(evaluator, "submit", "总体良好"), casework.CodeGuardFailed)
	o.must(say(5, 5))
	o.must(say(5, 4)) // said again
	wants(t, step(o.desk, "submit", ""), casework.CodeForbiddenActor)
	o.must(step(evaluator, "submit", "总体良好"))
	wants(t, say(1, 1), casework.CodeGuardFailed)
	o.must(step(o.desk, "send_back", "请补充第2户"))
	o.must(say(2, 4))
	o.must(step(evaluator, "submit", "总体良好"))
	o.must(step(o.desk, "accept", ""))
	rec, _ := o.record(syncproto.Ref{Kind: "evaluation", ID: id})
	if rec.Int("rating") != 340 || rec.Str("state") != "closed" {
		t.Errorf("%s", rec.Bytes())
	}
	seen, err := o.loop.Sample(ctx, o.desk, id)
	o.must(err)
	if !seen[4].Assessed || seen[4].Rating != 4 || seen[1].Delivered || seen[0].Text != "救助及时" {
		t.Errorf("%+v", seen)
	}
	o.balanced()
}

// A household that receives help is visited again some months after anybody was there; the visit ends the task.
func TestHelpedHouseholdsAreVisitedAgain(t *testing.T) {
	o := helped(t)
	// Three months, so that no review comes first.
	o.must(o.loop.PutReference(t.Context(), casework.System, "standard", map[string]map[string]any{"visits": {"code": casework.StdHelpVisit, "area": "all", "value": 3,
		"unit": "months", "from": "2026-01-01", "source": "demo"}}))
	asked := 0
	for range 2 {
		o.days(30)
		asked += o.advance().Visits
	}
	if asked != 0 || o.tasks("return_visit") != 0 {
		t.Fatalf("asked %d times within two months", asked)
	}
	mine := func() (open int) {
		for range 8 {
			o.days(5)
			o.advance()
		}
		return o.tasks("return_visit")
	}
	if n := mine(); n != 1 {
		t.Fatalf("%d open return visits", n)
	}
	o.visited("v-again")
	if n := o.tasks("return_visit"); n != 0 {
		t.Errorf("%d open behind the visit", n)
	}
	if n := mine(); n != 0 {
		t.Errorf("%d asked for soon after the visit", n)
	}
	o.balanced()
}
