package loop_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"aidloop/fixtures/world"
	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

func consents(n int) (list []any) {
	for range n {
		list = append(list, map[string]any{"name": "湛某", "sign": "s"})
	}
	return list
}

// rest answers what nobody has on record of a household.
var rest = map[string]any{"privacy_agreed": true, "applied_by": "self", "applicant_name": "湛某", "applicant_id_no": "11010519491231002X",
	"registered_address": "某村", "actual_address": "某村", "area_kind": "rural", "single_person": "no", "financial_assets": float64(0), "real_estate_count": float64(1),
	"business_any": "no", "medical_12m": float64(0), "education_12m": float64(0), "rehabilitation_12m": float64(0), "other_12m": float64(0),
	"causes": []any{"illness"}, "wished_help": []any{"living"}, "staff_relative": "no",
	"check_consents": consents(9), "truthful": true, "emergency": "no", "sign_applicant": "s",
	"members": []any{map[string]any{"name": "湛某", "relation": "head"}}, "wages": float64(0), "business_net": float64(0),
	"property_income": float64(0), "transfers": float64(0), "vehicles": "none"}

// office is a county with everybody whom an application meets.
type office struct {
	*county
	cast                                    world.Cast
	home                                    world.Household
	village, window, reviewer, second, desk casework.Actor
	worker                                  *phone
}

func newOffice(t *testing.T) *office {
	c := newCounty(t)
	cast := c.world.Cast()
	o := &office{county: c, cast: cast, home: cast.Missed.Household, window: actor(cast.TownClerk), reviewer: actor(cast.TownReviewer),
		second: actor(cast.TownReviewerTwo), desk: actor(cast.BureauOfficer), worker: c.phone(cast.SurveyorOne)}
	u, ok := c.world.User("tang.village")
	if !ok {
		t.Fatal("nobody is at the village")
	}
	o.village = actor(u)
	return o
}

func (o *office) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

// step takes the application on; a step that fails ends the test.
func (o *office) step(by casework.Actor, id, action string, change ...func(*loop.ApplicationStep)) {
	o.t.Helper()
	if err := o.try(by, id, action, change...); err != nil {
		o.t.Fatalf("%s: %v", action, err)
	}
}

func (o *office) try(by casework.Actor, id, action string, change ...func(*loop.ApplicationStep)) error {
	in := loop.ApplicationStep{Application: id, Action: action}
	for _, c := range change {
		c(&in)
	}
	return o.loop.StepApplication(o.t.Context(), by, in)
}

func because(reason string) func(*loop.ApplicationStep) {
	return func(in *loop.ApplicationStep) { in.Reason = reason }
}

func granting(categories ...string) func(*loop.ApplicationStep) {
	return func(in *loop.ApplicationStep) { in.Categories = categories }
}

// visited makes a visit of the household and lets the second reviewer approve it.
func (o *office) visited(id string) {
	o.t.Helper()
	if out := o.worker.push(o.worker.group(refOf(o.home), o.worker.visit(o.home, "", id)...)); out.Status != syncproto.GroupJudged || out.Code != "" {
		o.t.Fatalf("%+v", out)
	}
	o.must(o.loop.Review(o.t.Context(), o.second, loop.ReviewInput{Visit: id, Approve: true}))
}

// handedIn starts an application and hands it in.
func (o *office) handedIn() string {
	o.t.Helper()
	id, err := o.loop.Apply(o.t.Context(), o.window, loop.ApplicationInput{Household: o.home.ID})
	o.must(err)
	o.must(o.loop.FillApplication(o.t.Context(), o.village, loop.Filling{Application: id, Answers: rest, Submit: true}))
	return id
}

func (o *office) application(id string) syncproto.Object {
	rec, _ := o.record(syncproto.Ref{Kind: "application", ID: id})
	return rec
}

func (o *office) state(id, want string) {
	o.t.Helper()
	if got := o.application(id).Str("state"); got != want {
		o.t.Fatalf("the application is %q, want %q", got, want)
	}
}

// published brings a new application to the board.
func (o *office) published() string {
	o.t.Helper()
	id := o.handedIn()
	o.step(o.window, id, "accept")
	o.step(o.reviewer, id, "investigate")
	o.now = o.now.Add(time.Hour)
	o.visited("v-" + id)
	o.step(o.reviewer, id, "opine", granting("DIBAO"), because("家庭收入低于标准"))
	o.step(o.reviewer, id, "publicize")
	return id
}

// Nobody types twice: the draft holds what is on record, and only the rest is asked before it can be handed in.
func TestApplicationsAreFilledInFromTheRecord(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	o.visited("v0")
	id, err := o.loop.Apply(ctx, o.window, loop.ApplicationInput{Visit: "v0"})
	o.must(err)
	_, err = o.loop.Apply(ctx, o.village, loop.ApplicationInput{Household: o.home.ID})
	wants(t, err, casework.CodeGuardFailed) // one household, one application
	a := o.application(id)
	filled := map[string]bool{}
	for _, q := range a.Get("prefilled").Items() {
		filled[q.Str()] = true
	}
	if a.Str("state") != "draft" || !filled["members"] || !filled["wages"] || !filled["actual_address"] || a.Str("worker") != o.cast.SurveyorOne.ID ||
		!syncproto.IsSealed(a.Get("q_members")) || a.Has("q_account") {
		t.Errorf("prefilled: %s", a.Bytes())
	}
	answers := map[string]any{}
	for name, v := range rest {
		if !filled[name] {
			answers[name] = v
		}
	}
	fill := func(answers map[string]any) error {
		return o.loop.FillApplication(ctx, o.window, loop.Filling{Application: id, Answers: answers, Submit: true})
	}
	wants(t, fill(nil), casework.CodeGuardFailed)
	few := maps.Clone(answers)
	few["check_consents"] = consents(1) // the household has more adults
	wants(t, fill(few), casework.CodeGuardFailed)
	o.must(fill(answers))
	wants(t, fill(answers), casework.CodeInvalidTransition)
	o.balanced()
}

// fromVisit hands an application in that starts from an approved visit.
func (o *office) fromVisit() string {
	o.t.Helper()
	o.visited("v0")
	id, err := o.loop.Apply(o.t.Context(), o.window, loop.ApplicationInput{Visit: "v0"})
	o.must(err)
	o.must(o.loop.FillApplication(o.t.Context(), o.window, loop.Filling{Application: id, Answers: rest, Submit: true}))
	return id
}

// One application from the window to help and to its end, with everything that is written on the way.
func TestApplicationIsGranted(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	id := o.fromVisit()
	o.step(o.window, id, "accept")
	a := o.application(id)
	if a.Str("due_on") == "" || a.Str("due_rule") == "" || a.Str("accepted_by") != o.window.UserID {
		t.Errorf("accepted: %s", a.Bytes())
	}
	due, err := o.loop.Deadlines(ctx, o.reviewer, loop.DueFilter{})
	if err != nil || !slices.ContainsFunc(due, func(d loop.Due) bool {
		return d.Ref.ID == id && d.Left == 3 && d.Rule != "" && d.Town == o.cast.Town.Code
	}) {
		t.Errorf("due: %+v, %v", due, err)
	}
	o.step(o.reviewer, id, "investigate")
	wants(t, o.try(o.reviewer, id, "opine", granting("FPFP_SUDDEN"), because("x")), casework.CodeInvalidValue) // agriculture decides on those
	suggestion, err := o.loop.Suggest(ctx, o.desk, o.home.ID, "")
	o.must(err)
	other := "MARGINAL"
	if slices.Equal(suggestion.Categories, []string{other}) {
		other = "DIBAO"
	}
	wants(t, o.try(o.reviewer, id, "opine", granting(other)), casework.CodeGuardFailed) // another one than the rules suggest, without a reason
	o.step(o.reviewer, id, "opine", granting(other), because("入户调查发现新情况"))
	o.step(o.reviewer, id, "publicize")
	for range 7 {
		wants(t, o.try(o.reviewer, id, "report"), casework.CodeGuardFailed)
		o.now = o.now.AddDate(0, 0, 1)
	}
	wants(t, o.try(o.reviewer, id, "report"), casework.CodeGuardFailed) // the seventh day is not over
	o.now = o.now.AddDate(0, 0, 1)
	o.step(o.reviewer, id, "report")
	o.step(o.desk, id, "confirm", granting(other), because("同意初审意见"))
	a = o.application(id)
	if a.Str("investigation") != "v0" || string(a.Get("categories")) != `["`+other+`"]` || len(a.Get("suggested").Items()) != len(suggestion.Categories) ||
		!a.Has("suggested") || a.Str("suggested_rules") == "" || !syncproto.IsSealed(a.Get("decision_reason")) || !syncproto.IsSealed(a.Get("suggested_basis")) || a.Has("due_on") {
		t.Errorf("confirmed: %s", a.Bytes())
	}
	o.step(o.desk, id, "activate")
	if h, _ := o.record(refOf(o.home)); !slices.ContainsFunc(h.Get("categories").Items(), func(c syncproto.Raw) bool { return c.Str() == other }) {
		t.Errorf("the household is in %s", h.Get("categories"))
	}
	o.step(o.desk, id, "close", because("家庭收入提高"))
	if h, _ := o.record(refOf(o.home)); slices.ContainsFunc(h.Get("categories").Items(), func(c syncproto.Raw) bool { return c.Str() == other }) {
		t.Errorf("the household is still in %s", h.Get("categories"))
	}
	if got := o.notices(o.cast.SurveyorOne.ID); got != 6 { // started, accepted, investigated, confirmed, active, closed
		t.Errorf("%d notices", got)
	}
	o.balanced()
}

// What is missing is asked for once; the task is on the phone, and only these questions are open at the desk.
func TestSupplementIsAskedOnce(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	id := o.fromVisit()
	ask := func(in *loop.ApplicationStep) {
		in.Questions = []loop.Comment{{Question: "wages", Text: "请补工资证明"}}
	}
	wants(t, o.try(o.window, id, "supplement"), casework.CodeInvalidValue) // what is missing?
	o.step(o.window, id, "supplement", ask, because("材料不齐"))
	tasks, err := o.loop.Queue(ctx, o.reviewer, loop.Filter{Kind: "task", States: []string{"open"}, Owner: o.cast.SurveyorOne.ID})
	if err != nil || len(tasks.Items) != 1 || tasks.Items[0].Fields["application"] != id || tasks.Items[0].Fields["type"] != "supplement" {
		t.Fatalf("%+v, %v", tasks, err)
	}
	if a := o.application(id); a.Has("due_on") || a.Has("accepted_at") {
		t.Errorf("a time runs before acceptance: %s", a.Bytes())
	}
	wants(t, o.loop.FillApplication(ctx, o.window, loop.Filling{Application: id, Answers: map[string]any{"transfers": float64(1)}}), casework.CodeInvalidValue)
	ref := syncproto.Ref{Kind: "application", ID: id}
	_, env := o.record(ref)
	set := syncproto.Change{Op: syncproto.OpSet, Ref: ref, Fields: syncproto.Fields(map[string]any{"q_wages": 120000}),
		Base: map[string]syncproto.Stamp{"q_wages": env.Of("q_wages").Stamp}}
	if out := o.worker.push(o.worker.group(refOf(o.home), set, act("submit", id))); out.Status != syncproto.GroupJudged || out.Code != "" {
		t.Fatalf("%+v", out)
	}
	o.state(id, "submitted")
	if tasks, err = o.loop.Queue(ctx, o.reviewer, loop.Filter{Kind: "task", States: []string{"open"}, Owner: o.cast.SurveyorOne.ID}); err != nil || len(tasks.Items) != 0 {
		t.Errorf("the task is still open: %+v %v", tasks, err)
	}
	wants(t, o.try(o.window, id, "supplement", ask), casework.CodeGuardFailed)
	o.step(o.window, id, "accept")
	if a := o.application(id); a.Int("q_wages") != 120000 {
		t.Errorf("%s", a.Bytes())
	}
	o.balanced()
}

// An objection calls for another investigation, by a visit that was made since and by somebody else than the reviewer.
func TestObjectionIsInvestigated(t *testing.T) {
	o := newOffice(t)
	id := o.published()
	o.now = o.now.Add(time.Hour)
	wants(t, o.try(o.village, id, "object"), casework.CodeGuardFailed)
	o.step(o.village, id, "object", because("有车未申报"))
	o.step(o.reviewer, id, "reinvestigate")
	wants(t, o.try(o.reviewer, id, "report", because("x")), casework.CodeGuardFailed) // by the former visit
	o.now = o.now.Add(24 * time.Hour)
	o.visited("v-again")
	wants(t, o.try(o.reviewer, id, "report"), casework.CodeGuardFailed) // against the suggestion, or without one, and no reason
	o.step(o.reviewer, id, "report", because("车辆属实,不建议纳入"))
	a := o.application(id)
	if a.Str("state") != "county_review" || a.Str("investigation") != "v-again" || len(a.Get("opinion_categories").Items()) != 0 || a.Str("due_rule") == "" {
		t.Errorf("%s", a.Bytes())
	}
	wants(t, o.try(o.desk, id, "deny"), casework.CodeGuardFailed)
	o.step(o.desk, id, "deny", because("财产超出规定"))
	denied := o.application(id)
	if denied.Str("due_on") == "" || denied.Str("due_on") == a.Str("due_on") {
		t.Errorf("until the applicant is told: %s", denied.Bytes())
	}
	o.step(o.window, id, "tell")
	o.state(id, "closed")
	if h, _ := o.record(refOf(o.home)); slices.ContainsFunc(h.Get("categories").Items(), func(c syncproto.Raw) bool { return c.Str() == "DIBAO" }) {
		t.Error("a denied household is in a category")
	}
	o.balanced()
}

// The county visits a near relative of staff itself, and who was registered as one stays registered.
func TestRelativesOfStaffAreVisitedByTheCounty(t *testing.T) {
	o := newOffice(t)
	id := o.handedIn()
	o.step(o.window, id, "accept", func(in *loop.ApplicationStep) { in.Relative = true })
	o.step(o.reviewer, id, "investigate")
	o.now = o.now.Add(time.Hour)
	o.visited("v1")
	o.step(o.reviewer, id, "opine", granting("DIBAO"), because("x"))
	o.step(o.reviewer, id, "publicize")
	o.now = o.now.AddDate(0, 0, 8)
	o.step(o.reviewer, id, "report")
	wants(t, o.try(o.desk, id, "confirm", granting("DIBAO"), because("x")), casework.CodeGuardFailed)
	before := o.application(id).Str("due_on")
	o.step(o.desk, id, "extend", because("近亲属须县级入户"))
	wants(t, o.try(o.desk, id, "extend", because("再延长")), casework.CodeGuardFailed)
	if due := o.application(id).Str("due_on"); due < before {
		t.Errorf("extended from %s to %s", before, due)
	}
	o.step(o.desk, id, "county_visit", because("已入户,情况属实"))
	o.step(o.desk, id, "confirm", granting("DIBAO"), because("x"))
	o.balanced()
}

// Another region, another role and a phone take no step; nobody learns outside his region that there is an application.
func TestNobodyElseTakesAnApplicationOn(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	id := o.handedIn()
	stranger := casework.Actor{UserID: "s", Role: casework.RoleTownReviewer, Region: "430681999000"}
	for action := range map[string]bool{"accept": true, "supplement": true, "investigate": true, "terminate": true, "object": true} {
		wants(t, o.try(stranger, id, action, because("x")), casework.CodeNotFound)
		wants(t, o.try(actor(o.cast.YBJ), id, action, because("x")), casework.CodeForbidden)
		wants(t, o.try(actor(o.cast.TownLeader), id, action, because("x")), casework.CodeForbidden)
	}
	wants(t, o.try(o.desk, id, "accept"), casework.CodeForbidden)
	wants(t, o.try(o.village, id, "accept"), casework.CodeForbidden)
	wants(t, o.try(o.window, id, "confirm", granting("DIBAO")), casework.CodeForbidden)
	wants(t, o.try(o.desk, id, "confirm", granting("DIBAO")), casework.CodeInvalidTransition)
	wants(t, o.try(o.window, id, "no such"), casework.CodeInvalidValue)
	_, err := o.loop.Case(ctx, stranger, syncproto.Ref{Kind: "application", ID: id})
	wants(t, err, casework.CodeNotFound)
	_, err = o.loop.Apply(ctx, casework.Actor{UserID: "s", Role: casework.RoleTownClerk, Region: "430681999000"}, loop.ApplicationInput{Household: o.home.ID})
	wants(t, err, casework.CodeNotFound)
	_, err = o.loop.Apply(ctx, o.reviewer, loop.ApplicationInput{Household: o.home.ID})
	wants(t, err, casework.CodeForbidden)
	if list, err := o.loop.Queue(ctx, stranger, loop.Filter{Kind: "application"}); err != nil || len(list.Items) != 0 {
		t.Errorf("another town lists %+v, %v", list, err)
	}
	view, err := o.loop.Case(ctx, o.reviewer, syncproto.Ref{Kind: "application", ID: id})
	if err != nil || view.Form == nil || view.Record.Fields["q_applicant_name"] != "湛某" {
		t.Errorf("the reviewer reads %+v, %v", view, err)
	}
	o.step(o.window, id, "accept")
	o.step(o.reviewer, id, "terminate", because("拒不配合调查"))
	o.state(id, "terminated")
	o.handedIn() // and may apply again
}

// filledIn is an application as a phone captures it, with other fields on top.
func (o *office) filledIn(id string, change map[string]any) syncproto.Change {
	fields := map[string]any{"household": o.home.ID, "form": "apply_v1", "form_version": "1", "entered_by": o.cast.SurveyorTwo.ID}
	for name, v := range rest {
		if f, ok := v.(float64); ok {
			v = int64(f)
		}
		fields["q_"+name] = v
	}
	maps.Copy(fields, change)
	return syncproto.Change{Op: syncproto.OpPut, Ref: syncproto.Ref{Kind: "application", ID: id}, Fields: syncproto.Fields(fields)}
}

func act(action, id string) syncproto.Change {
	return syncproto.Change{Op: syncproto.OpAct, Ref: syncproto.Ref{Kind: "application", ID: id}, Act: action}
}

// A phone takes no step of the desk, writes no field of the server and hands in nothing that is incomplete.
func TestPhonesCannotDecideOnApplications(t *testing.T) {
	o := newOffice(t)
	p := o.worker
	put := func(change map[string]any, id string) syncproto.Change { return o.filledIn(id, change) }
	for name, c := range map[string]struct {
		changes []syncproto.Change
		code    syncproto.Code
	}{
		"a state of its own": {[]syncproto.Change{put(map[string]any{"state": "confirmed"}, "x1")}, syncproto.CodeServerField},
		"a decision":         {[]syncproto.Change{put(map[string]any{"categories": []any{"DIBAO"}}, "x2")}, syncproto.CodeServerField},
		"nothing agreed":     {[]syncproto.Change{put(map[string]any{"q_truthful": false}, "x3"), act("submit", "x3")}, syncproto.CodeGuardFailed},
		"an answer missing":  {[]syncproto.Change{put(map[string]any{"q_wages": nil}, "x4"), act("submit", "x4")}, syncproto.CodeGuardFailed},
		"a step of the desk": {[]syncproto.Change{put(nil, "x5"), act("accept", "x5")}, syncproto.CodeNotAllowed},
	} {
		if out := p.push(p.group(refOf(o.home), c.changes...)); out.Status != syncproto.GroupRejected || out.Code != c.code {
			t.Errorf("%s: %+v", name, out)
		}
	}
	o.balanced()
}

// A phone hands in what it filled in; afterwards no word is changed and nothing deleted without a reviewer.
func TestPhonesOnlyHandIn(t *testing.T) {
	o := newOffice(t)
	p := o.worker
	ref := syncproto.Ref{Kind: "application", ID: "a1"}
	if out := p.push(p.group(refOf(o.home), o.filledIn("a1", nil), act("submit", "a1"))); out.Status != syncproto.GroupJudged || out.Code != "" {
		t.Fatalf("%+v", out)
	}
	rec, env := o.record(ref)
	if rec.Str("state") != "submitted" || rec.Str("worker") != o.cast.SurveyorOne.ID || !rec.Has("submitted_at") {
		t.Errorf("%s", rec.Bytes())
	}
	base := map[string]syncproto.Stamp{"q_wages": env.Of("q_wages").Stamp}
	edit := syncproto.Change{Op: syncproto.OpSet, Ref: ref, Fields: syncproto.Fields(map[string]any{"q_wages": 1}), Base: base}
	if out := p.push(p.group(refOf(o.home), edit)); out.Code != syncproto.CodeAmendment {
		t.Errorf("an edit afterwards: %+v", out)
	}
	all := map[string]syncproto.Stamp{}
	for _, f := range rec {
		all[f.Name] = env.Of(f.Name).Stamp
	}
	if out := p.push(p.group(refOf(o.home), syncproto.Change{Op: syncproto.OpDelete, Ref: ref, Base: all})); out.Code != syncproto.CodeAmendment {
		t.Errorf("a deletion afterwards: %+v", out)
	}
	if rec, _ := o.record(ref); rec.Int("q_wages") != 0 {
		t.Errorf("%s", rec.Bytes())
	}
	o.step(o.window, "a1", "accept")
	if out := p.push(p.group(refOf(o.home), o.filledIn("a2", nil), act("submit", "a2"))); out.Status != syncproto.GroupJudged {
		t.Fatalf("%+v", out)
	}
	wants(t, o.try(o.window, "a2", "accept"), casework.CodeGuardFailed) // the first one is under way
	o.balanced()
}

// The official calendar of a year moves what was counted into it provisionally.
func TestCalendarMovesApplications(t *testing.T) {
	o := newOffice(t)
	o.now = time.Date(2026, 12, 20, 2, 0, 0, 0, time.UTC)
	id := o.handedIn()
	o.step(o.window, id, "accept")
	o.step(o.reviewer, id, "investigate")
	before := o.application(id)
	if string(before.Get("due_provisional")) != "true" {
		t.Fatalf("%s", before.Bytes())
	}
	admin, _ := o.world.User("admin")
	moved, err := o.loop.PublishCalendar(t.Context(), actor(admin), casework.Calendar{Year: 2027, Version: "2027-official", Holidays: []string{"2027-01-01", "2027-01-04"}})
	after := o.application(id)
	if err != nil || moved != 1 || after.Str("due_on") <= before.Str("due_on") || string(after.Get("due_provisional")) != "false" {
		t.Errorf("%d moved, %s to %s, %v", moved, before.Str("due_on"), after.Str("due_on"), err)
	}
	o.balanced()
}
