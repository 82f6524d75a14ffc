package loop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// ReviewOpening asks for a review of a household out of turn.
type ReviewOpening struct {
	Household string
	Cause     string // death or change, see casework.ReviewOn
	Since     string // the day on which it happened, "2006-01-02"; "" for today
}

// OpenReview opens a review of a household that receives help, because something became known. It is a task on the phone
// of the worker who knows the household. A household has one review under way.
func (l *Loop) OpenReview(ctx context.Context, by casework.Actor, in ReviewOpening) (id string, err error) {
	today := l.dayOr("")
	if in.Since == "" {
		in.Since = today
	}
	if !validDate(in.Since) || in.Since > today {
		return "", casework.NewError(casework.CodeInvalidValue, "发生日期应写成2026-01-31的样子,且不能晚于今天。")
	}
	err = l.run(ctx, func(w *work) error {
		g := w.newGroup()
		h, err := g.visible(by, casework.VerbReviewHelp, syncproto.Ref{Kind: "household", ID: in.Household})
		if err != nil {
			return err
		}
		if h.rec.Root != h.rec.Ref {
			return ErrNotFound // an alias of another household
		}
		held, err := heldIn(w.tx, &h.rec)
		if err != nil {
			return err
		}
		if len(held) == 0 {
			return casework.NewError(casework.CodeGuardFailed, "该户没有在享受的救助,不需要复核。")
		}
		state, err := helpOf(w.tx, h.rec.Ref)
		if err != nil {
			return err
		}
		if state.reviewing {
			return casework.NewError(casework.CodeGuardFailed, "该户已有正在进行的复核,请在原复核上继续办理。")
		}
		standards, err := readStandards(w.tx)
		if err != nil {
			return err
		}
		due, err := casework.ReviewOn(in.Cause, in.Since, placeOf(h.bucket, h.rec.Body), standards)
		if err != nil {
			return err
		}
		d, err := g.openReview(h, by, due, in.Since)
		if err != nil {
			return err
		}
		if d == nil {
			return casework.NewError(casework.CodeGuardFailed, "这次变化已经复核过。")
		}
		id = d.rec.ID
		w.auditBy(by, "open_review", d.rec.Ref, h.rec.Ref, map[string]any{"cause": in.Cause})
		return g.commit()
	})
	return id, err
}

// placeOf says whose standards count for a household.
func placeOf(bucket string, body syncproto.Object) casework.Place {
	return casework.Place{Region: villageOf(bucket), Urban: string(body.Get("urban")) == "true"}
}

// openReview puts a review beside a household, and a task on its worker's phone; nil where that review was opened before.
func (g *group) openReview(h *draft, by casework.Actor, due casework.PeriodicDue, since string) (*draft, error) {
	state, err := casework.PeriodicReviewMachine.Next("", "open", by.Role, casework.Facts{})
	if err != nil {
		return nil, err
	}
	ref := syncproto.Ref{Kind: "periodic_review", ID: syncproto.DerivedID("periodic_review", h.rec.ID+"|"+due.Cause+"|"+since)}
	if d, err := g.open(ref); err != nil || d.exists {
		return nil, err
	}
	worker, err := g.workerOf(h)
	if err != nil {
		return nil, err
	}
	held, err := heldIn(g.w.tx, &h.rec)
	if err != nil {
		return nil, err
	}
	d, err := g.serverPut(ref, h.rec.Ref, h.bucket, syncproto.Fields(map[string]any{"household": h.rec.ID, "cause": due.Cause, "since": since,
		"held": anys(held), "opened_at": g.w.clockTime(), "opened_by": by.UserID, "worker": optional(worker), "due_on": due.On,
		"due_rule": due.Rule, "state": state}))
	if err != nil || worker == "" {
		return d, err
	}
	return d, g.askVisit(d, worker, "periodic_review", casework.Label("review_cause", due.Cause), due.Rule)
}

// askVisit puts a visit of a household on a worker's list and tells him.
func (g *group) askVisit(of *draft, worker, kind, title, text string) error {
	if err := g.openTask(of, worker, kind, title, nil); err != nil {
		return err
	}
	return g.notify(worker, kind, title, fmt.Sprintf("请在%s前入户。%s。", g.dueOf(of), text), of.rec.Ref)
}

// workerOf is who visits a household: who was there last, the worker of its applications, or the first one at home in its
// grid, as long as he may hold it; "" for nobody.
func (g *group) workerOf(h *draft) (string, error) {
	var known []string
	err := g.w.tx.ByRoot(h.rec.Ref, "", func(s *Stored) error {
		field := map[string]string{"application": "worker", "visit": "surveyor_1"}[s.Ref.Kind]
		if field == "" {
			return nil
		}
		b, err := syncproto.ParseObject(s.Body)
		known = append(known, b.Str(field))
		return err
	})
	if err != nil {
		return "", err
	}
	slices.Reverse(known) // visits before applications, the newest first: ids grow
	here, err := g.w.tx.Users(gridOf(h.bucket), "", 20)
	if err != nil {
		return "", err
	}
	for _, u := range here {
		known = append(known, u.ID)
	}
	for _, id := range known {
		if id == "" {
			continue
		}
		u, err := g.w.tx.User(id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return "", err
		}
		s, err := g.w.stored(grantRef(id, h.bucket))
		if err != nil {
			return "", err
		}
		if s != nil && s.Index.State == "active" && !u.Disabled && casework.Role(u.Role) == casework.RoleGridWorker {
			return id, nil
		}
	}
	return "", nil
}

// served does what a visit that met somebody means for what a household was to be visited for: once it is handed in, the
// tasks are done; once it is approved, the review can be decided on, and a return visit counts.
func (g *group) served(visit *draft) error {
	b := visit.rec.Body
	if visit.rec.Root.Kind != "household" || b.Str("met") != "seen" {
		return nil
	}
	if b.Str("state") == "submitted" {
		if err := g.returned(visit); err != nil {
			return err
		}
	}
	for _, kind := range []string{"periodic_review", "exit"} {
		list, err := g.under(visit.rec.Root, kind, "due", "monitored")
		if err != nil {
			return err
		}
		for _, d := range list {
			if err := g.servedOne(visit, d); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *group) servedOne(visit, d *draft) error {
	kind, b := "periodic_review", d.rec.Body
	asked := parseTime(b.Str("opened_at"))
	if d.rec.Kind == "exit" {
		kind, asked = "return_visit", parseTime(b.Str("asked_at"))
	}
	// A phone may claim any time; that of its capture is the server's.
	if asked == 0 || min(visitTime(visit.rec.Body), visit.rec.Of("visited_at").Time) < asked {
		return nil
	}
	if visit.rec.Body.Str("state") == "submitted" {
		return g.closeTasks(d, kind)
	}
	if d.rec.Kind == "exit" {
		return g.returnVisited(d)
	}
	return g.step(d, "visit", casework.RoleSystem, casework.Facts{}, map[string]any{"visit": visit.rec.ID, "visited_at": visit.rec.Body.Str("visited_at")})
}

// under are the records of a kind under a root that are in one of the states, as drafts.
func (g *group) under(root syncproto.Ref, kind string, states ...string) (list []*draft, err error) {
	var refs []syncproto.Ref
	err = g.w.tx.ByRoot(root, kind, func(s *Stored) error {
		if slices.Contains(states, s.Index.State) {
			refs = append(refs, s.Ref)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, ref := range refs {
		d, err := g.live(ref)
		if err != nil {
			return nil, err
		}
		if slices.Contains(states, d.rec.Body.Str("state")) {
			list = append(list, d)
		}
	}
	return list, nil
}

// ReviewStep takes a periodic review one step on. Actions are those of casework.PeriodicReviewMachine that people take.
type ReviewStep struct {
	Review     string
	Action     string   // assign, maintain, adjust, grace, propose_exit, send_back, confirm or notify
	Reason     string   // sealed, at most 1000 characters; needed where the machine's guard or a difference asks for it
	Categories []string // with adjust
	Months     int      // with grace; 0 for the most that the standards allow
	Worker     string   // with assign
	Unwatched  bool     // with confirm of an exit: nobody is left to be watched
}

// reviewAct is one action at a desk: who may take it, and where its time, its author and its reason are written.
type reviewAct struct {
	verb                  casework.Verb
	at, by, text, outcome string
}

var reviewActs = map[string]reviewAct{
	"assign":       {casework.VerbReviewHelp, "", "", "", ""},
	"maintain":     {casework.VerbReviewHelp, "proposed_at", "proposed_by", "reason", "maintain"},
	"adjust":       {casework.VerbReviewHelp, "proposed_at", "proposed_by", "reason", "adjust"},
	"grace":        {casework.VerbReviewHelp, "proposed_at", "proposed_by", "reason", "grace"},
	"propose_exit": {casework.VerbReviewHelp, "proposed_at", "proposed_by", "reason", "exit"},
	"send_back":    {casework.VerbDecideHelp, "", "", "returned_reason", ""},
	"confirm":      {casework.VerbDecideHelp, "confirmed_at", "confirmed_by", "confirm_note", ""},
	"notify":       {casework.VerbReviewHelp, "notified_at", "", "", ""},
}

// StepReview takes a periodic review one step on: the town proposes after the visit, the county confirms or sends back
// whatever changes a household's help, and the household is told in writing. The rules' suggestion is kept beside what
// people decide, and a difference needs a reason.
func (l *Loop) StepReview(ctx context.Context, by casework.Actor, in ReviewStep) error {
	act, ok := reviewActs[in.Action]
	if !ok {
		return casework.NewError(casework.CodeInvalidValue, "请选择复核的办理步骤。")
	}
	in.Reason = clipRunes(in.Reason, 1000)
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.visible(by, act.verb, syncproto.Ref{Kind: "periodic_review", ID: in.Review})
		if err != nil {
			return err
		}
		s := &reviewing{g: g, d: d, by: by, in: in, fields: map[string]any{}}
		if s.standards, err = readStandards(w.tx); err != nil {
			return err
		}
		if err := s.take(act); err != nil {
			return err
		}
		w.auditBy(by, "review_"+in.Action, d.rec.Ref, d.rec.Root, nil)
		return g.commit()
	})
}

// reviewing is one step of one review.
type reviewing struct {
	g         *group
	d         *draft
	by        casework.Actor
	in        ReviewStep
	standards casework.Standards
	fields    map[string]any
}

func (s *reviewing) take(act reviewAct) error {
	facts := casework.Facts{Reviewer: s.by.UserID, Reasoned: s.in.Reason != ""}
	if err := s.visitFacts(&facts); err != nil {
		return err
	}
	writeStep(s.fields, map[string]string{act.at: s.g.w.clockTime(), act.by: s.by.UserID, act.text: s.in.Reason, "outcome": act.outcome})
	// The machine answers first, so that who may not take the step learns nothing of what it would find.
	if _, err := casework.PeriodicReviewMachine.Next(s.d.rec.Body.Str("state"), s.in.Action, s.by.Role, facts); err != nil {
		return err
	}
	if err := s.effect(); err != nil {
		return err
	}
	if err := s.g.step(s.d, s.in.Action, s.by.Role, facts, s.fields); err != nil {
		return err
	}
	switch s.in.Action {
	case "notify":
		return s.g.step(s.d, "finish", casework.RoleSystem, facts, nil)
	case "confirm":
		title := "复核结果已核定:" + casework.Label("review_outcome", s.d.rec.Body.Str("outcome"))
		return s.g.notify(s.d.rec.Body.Str("worker"), "periodic_review", title, "请协助书面告知该户。", s.d.rec.Ref)
	}
	return nil
}

// visitFacts reads who made the review's visit, and whether the household earns an income.
func (s *reviewing) visitFacts(f *casework.Facts) error {
	id := s.d.rec.Body.Str("visit")
	if id == "" {
		return nil
	}
	v, err := s.g.live(syncproto.Ref{Kind: "visit", ID: id})
	if err != nil {
		return err
	}
	f.Surveyor1, f.Surveyor2 = v.rec.Body.Str("surveyor_1"), v.rec.Body.Str("surveyor_2")
	household, err := s.g.w.stored(s.d.rec.Root)
	if err != nil || household == nil {
		return err
	}
	x, _, _, err := s.g.w.l.situation(s.g.w.tx, household, s.g.w.l.dayOr(""))
	f.Wages = x.Earns()
	return err
}

// effect does what belongs to single actions.
func (s *reviewing) effect() error {
	h, err := s.g.live(s.d.rec.Root)
	if err != nil {
		return err
	}
	held := casework.OfCivilAffairs(categories(&h.rec))
	switch s.in.Action {
	case "assign":
		return s.assign(h)
	case "maintain":
		return s.propose(held)
	case "adjust":
		if err := casework.CheckDecision(s.in.Categories); err != nil {
			return err
		}
		if !casework.Differs(s.in.Categories, held) {
			return casework.NewError(casework.CodeInvalidValue, "拟定类别与现有类别相同,请选择“保持不变”。")
		}
		return s.propose(s.in.Categories)
	case "grace":
		if _, _, err := casework.Grace(s.g.w.l.dayOr(""), s.in.Months, placeOf(h.bucket, h.rec.Body), s.standards); err != nil {
			return err
		}
		s.fields["months"] = s.in.Months
		return s.propose(held)
	case "propose_exit":
		return s.propose(nil)
	case "confirm":
		return s.confirm(h)
	}
	return nil
}

// propose writes what the town wants beside what the rules suggest.
func (s *reviewing) propose(categories []string) error {
	suggested, suggestion, err := s.g.weigh(s.d, s.standards, categories, s.in.Reason)
	if err != nil {
		return err
	}
	s.fields["categories"], s.fields["suggested"] = anys(categories), suggested
	keepBasis(s.fields, suggestion)
	return nil
}

// assign gives the review to a worker who may hold the household.
func (s *reviewing) assign(h *draft) error {
	grant, err := s.g.w.stored(grantRef(s.in.Worker, h.bucket))
	if err != nil {
		return err
	}
	if grant == nil || grant.Index.State != "active" {
		return casework.NewError(casework.CodeInvalidValue, "请选择负责该户所在网格的网格员。")
	}
	s.fields["worker"] = s.in.Worker
	if err := s.g.cancelTasks(s.d); err != nil {
		return err
	}
	return s.g.askVisit(s.d, s.in.Worker, "periodic_review", casework.Label("review_cause", s.d.rec.Body.Str("cause")), s.d.rec.Body.Str("due_rule"))
}

// cancelTasks takes the open tasks of a record off the list.
func (g *group) cancelTasks(of *draft) error {
	return g.eachTask(of, func(t *draft) error {
		_, err := g.serverSet(t.rec.Ref, map[string]any{"state": "cancelled"})
		return err
	})
}

// confirm does to the household's help what the town proposed.
func (s *reviewing) confirm(h *draft) error {
	b := s.d.rec.Body
	switch b.Str("outcome") {
	case "adjust":
		return s.g.recategorise(h, casework.Granted(categories(&h.rec), categories(&s.d.rec)))
	case "grace":
		return s.g.grantGrace(h, s.d, s.by, int(b.Int("months")), s.standards)
	}
	if err := s.g.closeApplications(h.rec.Ref, s.by.Role, "复核后退出救助"); err != nil {
		return err
	}
	return s.g.leaveHelp(h, leaving{review: s.d.rec.ID, cause: "review", by: s.by, unwatched: s.in.Unwatched}, s.standards)
}

// todayAnd is a day of the county some months from today.
func (g *group) todayAnd(months int) string {
	return casework.AddMonths(time.UnixMilli(g.w.now).In(beijing).Format(time.DateOnly), months)
}
