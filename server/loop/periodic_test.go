package loop_test

import (
	"slices"
	"testing"
	"time"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// helped is an office whose household receives dibao.
func helped(t *testing.T) *office {
	o := newOffice(t)
	id := o.published()
	o.days(8)
	o.step(o.reviewer, id, "report")
	o.step(o.desk, id, "confirm", granting("DIBAO"), because("同意"))
	o.step(o.desk, id, "activate")
	return o
}

func (o *office) days(n int) { o.now = o.now.AddDate(0, 0, n) }

func (o *office) advance() loop.Advanced {
	o.t.Helper()
	done, err := o.loop.Advance(o.t.Context())
	o.must(err)
	return done
}

// only is the one record of a kind in the states, at the desk.
func (o *office) only(kind string, states ...string) loop.Item {
	o.t.Helper()
	list, err := o.loop.Queue(o.t.Context(), o.desk, loop.Filter{Kind: kind, States: states})
	o.must(err)
	list.Items = slices.DeleteFunc(list.Items, func(i loop.Item) bool { return kind != "task" && i.Fields["household"] != o.home.ID })
	if len(list.Items) != 1 {
		o.t.Fatalf("%d %ss in %q: %+v", len(list.Items), kind, states, list.Items)
	}
	return list.Items[0]
}

func (o *office) tasks(kind string) (open int) {
	o.t.Helper()
	list, err := o.loop.Queue(o.t.Context(), o.desk, loop.Filter{Kind: "task", States: []string{"open"}, Owner: o.cast.SurveyorOne.ID})
	o.must(err)
	for _, i := range list.Items {
		if i.Fields["type"] == kind {
			open++
		}
	}
	return open
}

func (o *office) review(by casework.Actor, in loop.ReviewStep) error {
	return o.loop.StepReview(o.t.Context(), by, in)
}

func (o *office) categories() (list []string) {
	h, _ := o.record(refOf(o.home))
	for _, c := range h.Get("categories").Items() {
		list = append(list, c.Str())
	}
	return list
}

// earning makes a visit that finds so much wages, and hands it in.
func (o *office) earning(id string, wages int64) {
	o.t.Helper()
	changes := o.worker.visit(o.home, "", id)
	changes[0].Fields = changes[0].Fields.With("q_wages", syncproto.MustValue(wages)).With("q_business_net", syncproto.MustValue(0))
	if out := o.worker.push(o.worker.group(refOf(o.home), changes...)); out.Status != syncproto.GroupJudged || out.Code != "" {
		o.t.Fatalf("%+v", out)
	}
}

func (o *office) approved(id string) {
	o.t.Helper()
	o.must(o.loop.Review(o.t.Context(), o.second, loop.ReviewInput{Visit: id, Approve: true}))
}

// opened lets so much time pass that the household's review is opened, and returns its id.
func (o *office) opened() string {
	o.t.Helper()
	o.days(336) // eleven months: whoever earns was due long ago, all others are now
	if done := o.advance(); done.Reviews < 1 {
		o.t.Fatalf("nothing is due: %+v", done)
	}
	return o.only("periodic_review", "due").Ref.ID
}

// A household that receives help is reviewed in time: the review is opened once, it is a task on the worker's phone and a
// deadline at the desk, a visit serves it, the town decides and tells the household.
func TestHelpIsReviewedInTime(t *testing.T) {
	o := helped(t)
	o.now = o.now.Add(time.Hour)
	o.earning("v-poor", 0)
	o.approved("v-poor")
	if done := o.advance(); done.Reviews != 0 {
		t.Fatalf("fresh help is reviewed: %+v", done)
	}
	id := o.opened()
	if done := o.advance(); done.Reviews != 0 || o.tasks("periodic_review") != 1 {
		t.Errorf("a second time: %+v, %d tasks", done, o.tasks("periodic_review"))
	}
	r, _ := o.record(syncproto.Ref{Kind: "periodic_review", ID: id})
	if r.Str("cause") != "yearly" || r.Str("due_on") == "" || r.Str("due_rule") == "" || r.Str("worker") != o.cast.SurveyorOne.ID || r.Str("since") == "" {
		t.Errorf("opened: %s", r.Bytes())
	}
	wants(t, o.review(o.reviewer, loop.ReviewStep{Review: id, Action: "maintain"}), casework.CodeInvalidTransition) // nobody was there
	o.days(20)
	due, err := o.loop.Deadlines(t.Context(), o.reviewer, loop.DueFilter{})
	if err != nil || !slices.ContainsFunc(due, func(d loop.Due) bool {
		return d.Ref.ID == id && d.Assignee == o.cast.SurveyorOne.ID && d.Rule != "" && d.Town == o.cast.Town.Code
	}) {
		t.Errorf("due: %+v, %v", due, err)
	}
	if n, err := o.loop.Remind(t.Context()); err != nil || n < 1 {
		t.Errorf("%d reminders, %v", n, err)
	}
	o.earning("v-review", 0)
	if o.tasks("periodic_review") != 0 {
		t.Error("the visit is handed in and the task is open")
	}
	o.only("periodic_review", "due")
	o.approved("v-review")
	if got := o.only("periodic_review", "visited"); got.Fields["visit"] != "v-review" {
		t.Errorf("visited: %+v", got.Fields)
	}
	wants(t, o.review(o.desk, loop.ReviewStep{Review: id, Action: "maintain", Reason: "x"}), casework.CodeForbidden)
	o.must(o.review(o.reviewer, loop.ReviewStep{Review: id, Action: "maintain", Reason: "情况没有变化"}))
	wants(t, o.review(o.desk, loop.ReviewStep{Review: id, Action: "confirm"}), casework.CodeInvalidTransition) // as before needs no word of the county
	o.must(o.review(o.window, loop.ReviewStep{Review: id, Action: "notify"}))
	r, _ = o.record(syncproto.Ref{Kind: "periodic_review", ID: id})
	if r.Str("state") != "done" || r.Str("outcome") != "maintain" || !r.Has("notified_at") || !r.Has("suggested") || !syncproto.IsSealed(r.Get("reason")) ||
		!slices.Contains(o.categories(), "DIBAO") {
		t.Errorf("done: %s", r.Bytes())
	}
	if done := o.advance(); withoutOrders(done) != 0 {
		t.Errorf("after the review: %+v", done)
	}
	o.balanced()
}

// Income over the line through work: help goes on while the grace lasts, then it ends by itself, the household is visited
// as long as it is watched, and nobody has to remember any of it.
func TestGraceEndsInOrder(t *testing.T) {
	o := helped(t)
	id := o.opened()
	o.earning("v-idle", 0)
	o.approved("v-idle")
	wants(t, o.review(o.reviewer, loop.ReviewStep{Review: id, Action: "grace", Reason: "已就业"}), casework.CodeGuardFailed) // nobody works
	o.now = o.now.Add(time.Hour)
	o.earning("v-works", 6_000_000)
	o.approved("v-works")
	wants(t, o.review(o.reviewer, loop.ReviewStep{Review: id, Action: "grace"}), casework.CodeGuardFailed)
	wants(t, o.review(o.reviewer, loop.ReviewStep{Review: id, Action: "grace", Reason: "已就业", Months: 60}), casework.CodeInvalidValue)
	o.must(o.review(o.reviewer, loop.ReviewStep{Review: id, Action: "grace", Reason: "已就业", Months: 3}))
	o.must(o.review(o.desk, loop.ReviewStep{Review: id, Action: "confirm"}))
	o.must(o.review(o.window, loop.ReviewStep{Review: id, Action: "notify"}))
	e := o.only("exit", "granted")
	until, _ := e.Fields["until"].(string)
	if !slices.Contains(o.categories(), "DIBAO") || e.Fields["from"] != casework.AddMonths(o.now.Format("2006-01")+"-01", 1) {
		t.Errorf("granted: %+v", e.Fields)
	}
	if done := o.advance(); withoutOrders(done) != 0 {
		t.Errorf("before it begins: %+v", done)
	}
	o.days(31)
	if done := o.advance(); done.Begun != 1 || done.Reviews != 0 {
		t.Errorf("begun: %+v", done)
	}
	o.now, _ = time.ParseInLocation(time.DateOnly, until, time.FixedZone("", 8*3600))
	if done := o.advance(); withoutOrders(done) != 0 || !slices.Contains(o.categories(), "DIBAO") {
		t.Errorf("on its last day: %+v, %v", done, o.categories())
	}
	o.days(1)
	if done := o.advance(); done.Ended != 1 || slices.Contains(o.categories(), "DIBAO") {
		t.Errorf("after its last day: %+v, %v", done, o.categories())
	}
	if a := o.only("application", "closed"); a.Fields["closed_at"] == nil {
		t.Errorf("the application: %+v", a.Fields)
	}
	o.watched(e.Ref)
	o.balanced()
}

// watched goes through the time in which a household is watched after its exit.
func (o *office) watched(exit syncproto.Ref) {
	o.t.Helper()
	visits := 0
	for months := 0; ; months++ {
		x, _ := o.record(exit)
		if x.Str("state") == "closed" {
			if x.Int("visits") != int64(visits) || visits < 3 || o.tasks("return_visit") != 0 {
				o.t.Errorf("%d visits made, %s", visits, x.Bytes())
			}
			return
		}
		if months > 14 {
			o.t.Fatalf("it is watched forever: %s", x.Bytes())
		}
		o.advance()
		if o.tasks("return_visit") == 1 {
			visits++
			id := "v-return-" + string(rune('0'+visits))
			o.now = o.now.Add(time.Hour)
			o.earning(id, 6_000_000)
			if o.tasks("return_visit") != 0 {
				o.t.Error("the return visit is handed in and the task is open")
			}
			o.approved(id)
		}
		o.days(30)
	}
}

// What changes a household's help is the county's to confirm; sent back, the town looks again.
func TestCountyConfirmsAdjustments(t *testing.T) {
	o := helped(t)
	id := o.opened()
	o.earning("v1", 0)
	o.approved("v1")
	step := func(by casework.Actor, in loop.ReviewStep) error { in.Review = id; return o.review(by, in) }
	wants(t, step(o.second, loop.ReviewStep{Action: "adjust", Reason: "x", Categories: []string{"DIBAO"}}), casework.CodeInvalidValue) // the same
	wants(t, step(o.second, loop.ReviewStep{Action: "adjust", Reason: "x", Categories: []string{"FPFP_SUDDEN"}}), casework.CodeInvalidValue)
	wants(t, step(o.second, loop.ReviewStep{Action: "adjust", Categories: []string{"MARGINAL"}}), casework.CodeGuardFailed)
	o.must(step(o.second, loop.ReviewStep{Action: "adjust", Reason: "收入提高", Categories: []string{"MARGINAL"}}))
	wants(t, step(o.desk, loop.ReviewStep{Action: "send_back"}), casework.CodeGuardFailed)
	o.must(step(o.desk, loop.ReviewStep{Action: "send_back", Reason: "请核实"}))
	o.must(step(o.second, loop.ReviewStep{Action: "adjust", Reason: "已核实", Categories: []string{"MARGINAL"}}))
	if !slices.Contains(o.categories(), "DIBAO") {
		t.Error("a proposal took effect")
	}
	o.must(step(o.desk, loop.ReviewStep{Action: "confirm"}))
	if got := o.categories(); slices.Contains(got, "DIBAO") || !slices.Contains(got, "MARGINAL") {
		t.Errorf("adjusted to %v", got)
	}
	wants(t, step(o.desk, loop.ReviewStep{Action: "confirm"}), casework.CodeInvalidTransition)
	o.must(step(o.window, loop.ReviewStep{Action: "notify"}))
	o.balanced()
}

// An exit ends help at once; a household that is included anew is not watched any longer.
func TestExitAndReturn(t *testing.T) {
	o := helped(t)
	id := o.opened()
	o.earning("v1", 9_000_000)
	o.approved("v1")
	o.must(o.review(o.reviewer, loop.ReviewStep{Review: id, Action: "propose_exit", Reason: "收入超过标准"}))
	o.must(o.review(o.desk, loop.ReviewStep{Review: id, Action: "confirm"}))
	if e := o.only("exit", "monitored"); e.Fields["cause"] != "review" || e.Fields["due_on"] == nil || len(o.categories()) != 0 {
		t.Errorf("exit: %+v, %v", e.Fields, o.categories())
	}
	o.only("application", "closed")
	o.days(90)
	if done := o.advance(); done.Visits != 1 || o.tasks("return_visit") != 1 {
		t.Errorf("return visit: %+v", done)
	}
	again, err := o.loop.Apply(t.Context(), o.window, loop.ApplicationInput{Household: o.home.ID})
	o.must(err)
	o.must(o.loop.FillApplication(t.Context(), o.village, loop.Filling{Application: again, Answers: rest, Submit: true}))
	o.step(o.window, again, "accept")
	o.step(o.reviewer, again, "investigate")
	o.now = o.now.Add(time.Hour)
	o.earning("v-again", 0)
	o.approved("v-again")
	o.step(o.reviewer, again, "opine", granting("DIBAO"), because("失业返困"))
	o.step(o.reviewer, again, "publicize")
	o.days(8)
	o.step(o.reviewer, again, "report")
	o.step(o.desk, again, "confirm", granting("DIBAO"), because("同意"))
	o.step(o.desk, again, "activate")
	o.only("exit", "closed")
	if !slices.Contains(o.categories(), "DIBAO") || o.tasks("return_visit") != 0 {
		t.Errorf("included anew: %v", o.categories())
	}
	o.balanced()
}

// A household in grace falls back: help goes on, and the next review comes in its time.
func TestGraceIsTakenBack(t *testing.T) {
	o := helped(t)
	id := o.opened()
	o.earning("v1", 9_000_000)
	o.approved("v1")
	o.must(o.review(o.reviewer, loop.ReviewStep{Review: id, Action: "grace", Reason: "已就业"}))
	o.must(o.review(o.desk, loop.ReviewStep{Review: id, Action: "confirm"}))
	o.must(o.review(o.window, loop.ReviewStep{Review: id, Action: "notify"}))
	o.days(31)
	o.advance()
	e := o.only("exit", "active").Ref.ID
	wants(t, o.loop.ResumeHelp(t.Context(), o.desk, e, ""), casework.CodeGuardFailed)
	wants(t, o.loop.ResumeHelp(t.Context(), o.reviewer, e, "x"), casework.CodeForbidden)
	o.must(o.loop.ResumeHelp(t.Context(), o.desk, e, "失业"))
	o.only("exit", "cancelled")
	o.days(400)
	if done := o.advance(); done.Ended != 0 || done.Reviews < 1 || !slices.Contains(o.categories(), "DIBAO") {
		t.Errorf("a year later: %+v, %v", done, o.categories())
	}
	o.balanced()
}

// Something that became known is a reason to look at once, once; and the month in which nobody visits has a worker who can.
func TestReviewsOutOfTurn(t *testing.T) {
	o := helped(t)
	ctx := t.Context()
	open := func(by casework.Actor, cause, since string) (string, error) {
		return o.loop.OpenReview(ctx, by, loop.ReviewOpening{Household: o.home.ID, Cause: cause, Since: since})
	}
	today := o.now.Format(time.DateOnly)
	for _, bad := range [][2]string{{"yearly", today}, {"death", "gone"}, {"death", "2199-01-01"}} {
		_, err := open(o.reviewer, bad[0], bad[1])
		wants(t, err, casework.CodeInvalidValue)
	}
	_, err := open(o.desk, "death", today)
	wants(t, err, casework.CodeForbidden)
	id, err := open(o.window, "death", today)
	o.must(err)
	_, err = open(o.window, "change", today)
	wants(t, err, casework.CodeGuardFailed)
	r, _ := o.record(syncproto.Ref{Kind: "periodic_review", ID: id})
	if r.Str("due_on") != casework.AddMonths(today, 3) {
		t.Errorf("due %s", r.Bytes())
	}
	leader := actor(o.cast.TownLeader)
	wants(t, o.review(leader, loop.ReviewStep{Review: id, Action: "assign", Worker: "nobody"}), casework.CodeInvalidValue)
	o.must(o.loop.Grant(ctx, casework.System, loop.GridGrant{User: o.cast.SurveyorTwo.ID, Grid: o.home.Grid}))
	o.must(o.review(leader, loop.ReviewStep{Review: id, Action: "assign", Worker: o.cast.SurveyorTwo.ID}))
	if o.tasks("periodic_review") != 0 {
		t.Error("the first worker still has the task")
	}
	o.now = o.now.Add(time.Hour)
	o.earning("v1", 0)
	o.approved("v1")
	o.must(o.review(o.reviewer, loop.ReviewStep{Review: id, Action: "propose_exit", Reason: "独居老人去世"}))
	o.must(o.review(o.desk, loop.ReviewStep{Review: id, Action: "confirm", Unwatched: true}))
	if e := o.only("exit", "closed"); e.Fields["watch_until"] != nil {
		t.Errorf("the dead are watched: %+v", e.Fields)
	}
	_, err = open(o.window, "change", today)
	wants(t, err, casework.CodeGuardFailed) // no help any more
	o.balanced()
}

// The matching rule for what is due soon opens the review, once for a household, and makes no lead.
func TestMatchingOpensReviews(t *testing.T) {
	o := helped(t)
	o.days(400)
	first, err := o.loop.Match(t.Context(), o.desk, "")
	o.must(err)
	r, _ := o.record(o.only("periodic_review", "due").Ref)
	second, err := o.loop.Match(t.Context(), o.desk, "")
	o.must(err)
	if first.Reviews < 1 || second.Reviews != 0 || second.Open > first.Open+first.Reviews || r.Str("opened_by") != casework.System.UserID {
		t.Errorf("%+v, then %+v: %s", first, second, r.Bytes())
	}
	if done := o.advance(); done.Reviews != 0 {
		t.Errorf("opened again: %+v", done)
	}
}

// A death that the county has verified asks whether the help of those who are left is still right.
func TestADeathIsReviewed(t *testing.T) {
	o := helped(t)
	ctx := t.Context()
	lead := o.lead("D-9", o.cast.Missed.Members[0], o.cast.Town.Code)
	o.must(o.loop.Assign(ctx, actor(o.cast.TownLeader), lead, o.cast.SurveyorOne.ID, ""))
	o.now = o.now.Add(time.Hour)
	if out := o.worker.push(o.worker.group(refOf(o.home), o.worker.visit(o.home, lead, "v-dead")...)); out.Status != syncproto.GroupJudged || out.Code != "" {
		t.Fatalf("%+v", out)
	}
	o.approved("v-dead")
	id, err := o.loop.Propose(ctx, o.reviewer, loop.Proposal{Lead: lead, Result: "deceased", Reason: "已去世"})
	o.must(err)
	o.must(o.loop.Verify(ctx, o.desk, loop.Verdict{Disposition: id, Action: "verify"}))
	if r := o.only("periodic_review", "due"); r.Fields["cause"] != "death" || r.Fields["due_on"] != casework.AddMonths(o.now.Format(time.DateOnly), 3) {
		t.Errorf("%+v", r.Fields)
	}
	o.balanced()
}

// withoutOrders counts what the calendar brought apart from orders about what is late.
func withoutOrders(a loop.Advanced) int { return a.Total() - a.Urged - a.Escalated - a.Settled }
