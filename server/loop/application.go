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

// ApplicationStep takes an application one step on. Actions are those of casework.ApplicationMachine but for start and
// submit.
type ApplicationStep struct {
	Application string
	Action      string
	Reason      string    // sealed, at most 1000 characters; needed where the machine's guard or a difference asks for it
	Questions   []Comment // with supplement: every question that is missing something
	Categories  []string  // with opine, confirm, and a report after an investigation anew
	Amount      int64     // with the same: 分 a month; 0 for what the rules suggest
	Relative    bool      // with accept: the applicant is a near relative of staff, whatever the form says
}

// applicationAct is one action at a desk: who may take it, and where its time, its author and its reason are written.
type applicationAct struct {
	verb         casework.Verb
	at, by, text string
	notice       string // the title of what the worker's phone is told; "" for nothing
}

var applicationActs = map[string]applicationAct{
	"supplement":    {casework.VerbAcceptApplication, "supplement_at", "", "supplement_text", "救助申请需一次性补正"},
	"accept":        {casework.VerbAcceptApplication, "accepted_at", "accepted_by", "", "救助申请已受理"},
	"investigate":   {casework.VerbReviewApplication, "investigating_at", "", "", "救助申请已启动入户调查"},
	"opine":         {casework.VerbReviewApplication, "opinion_at", "opinion_by", "opinion_reason", ""},
	"publicize":     {casework.VerbReviewApplication, "published_at", "", "", ""},
	"object":        {casework.VerbRegisterObjection, "objected_at", "objection_by", "objection", ""},
	"reinvestigate": {casework.VerbReviewApplication, "reinvestigating_at", "", "", "救助申请须重新调查"},
	"report":        {casework.VerbReviewApplication, "reported_at", "", "", ""},
	"extend":        {casework.VerbDecideApplication, "", "", "extension_reason", ""},
	"county_visit":  {casework.VerbDecideApplication, "county_visit_at", "county_visit_by", "county_visit_note", ""},
	"confirm":       {casework.VerbDecideApplication, "decided_at", "decided_by", "decision_reason", "救助申请已确认"},
	"deny":          {casework.VerbDecideApplication, "decided_at", "decided_by", "decision_reason", "救助申请未获确认,须书面告知申请人"},
	"tell":          {casework.VerbAcceptApplication, "told_at", "", "", ""},
	"activate":      {casework.VerbDecideApplication, "activated_at", "", "", "救助已生效"},
	"close":         {casework.VerbDecideApplication, "closed_at", "", "closed_reason", "救助已结束"},
	"terminate":     {casework.VerbReviewApplication, "terminated_at", "", "terminated_reason", "救助申请已终止"},
	"withdraw":      {casework.VerbAcceptApplication, "withdrawn_at", "", "withdrawn_reason", "申请人已撤回救助申请"},
}

// StepApplication takes an application one step on: accepted or sent back for its only supplement at the window,
// investigated, judged, put on the board and reported by the town, decided by the county. At the town's opinion and the
// county's decision the rules' suggestion is kept beside what people decided, and a difference needs a reason. What
// concerns the worker arrives on his phone; the time that runs next is written into the application.
func (l *Loop) StepApplication(ctx context.Context, by casework.Actor, in ApplicationStep) error {
	act, ok := applicationActs[in.Action]
	if !ok {
		return casework.NewError(casework.CodeInvalidValue, "请选择救助申请的办理步骤。")
	}
	if in.Amount < 0 || in.Amount > syncproto.MaxInt {
		return casework.NewError(casework.CodeInvalidValue, "金额不正确,请填写每月的金额。")
	}
	in.Reason = clipRunes(in.Reason, 1000)
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.visible(by, act.verb, syncproto.Ref{Kind: "application", ID: in.Application})
		if err != nil {
			return err
		}
		if d.rec.Root.Kind != "household" {
			return casework.NewError(casework.CodeInvalidValue, "请先为该线索建立家庭档案,再办理救助申请。")
		}
		s := &applying{g: g, d: d, by: by, in: in, fields: map[string]any{}}
		if s.standards, err = readStandards(w.tx); err != nil {
			return err
		}
		if err := s.take(act); err != nil {
			return err
		}
		w.auditBy(by, "application_"+in.Action, d.rec.Ref, d.rec.Root, nil)
		return g.commit()
	})
}

// applying is one step of one application.
type applying struct {
	g         *group
	d         *draft
	by        casework.Actor
	in        ApplicationStep
	standards casework.Standards
	fields    map[string]any
}

func (s *applying) take(act applicationAct) error {
	facts, err := s.g.applicationFacts(s.d)
	if err != nil {
		return err
	}
	facts.Reviewer, facts.Reasoned = s.by.UserID, s.in.Reason != ""
	writeStep(s.fields, map[string]string{act.at: s.g.w.clockTime(), act.by: s.by.UserID, act.text: s.in.Reason})
	again := s.in.Action == "report" && s.d.rec.Body.Str("state") == "reinvestigating"
	// The machine answers first, so that who may not take the step learns nothing of what it would find.
	if _, err := casework.ApplicationMachine.Next(s.d.rec.Body.Str("state"), s.in.Action, s.by.Role, facts); err != nil {
		return err
	}
	if err := s.effect(again); err != nil {
		return err
	}
	if err := s.g.step(s.d, s.in.Action, s.by.Role, facts, s.fields); err != nil {
		return err
	}
	calendars, err := s.g.w.calendars()
	if err != nil {
		return err
	}
	if _, err := s.g.dueApplication(s.d, s.standards, calendars); err != nil || act.notice == "" {
		return err
	}
	return s.g.notify(s.d.rec.Body.Str("worker"), "application", act.notice, s.in.Reason, s.d.rec.Ref)
}

// writeStep writes what a step leaves behind under the names that it has for it; an action without one has "".
func writeStep(fields map[string]any, values map[string]string) {
	for name, v := range values {
		if name != "" && v != "" {
			fields[name] = v
		}
	}
}

// effect does what belongs to single actions.
func (s *applying) effect(again bool) error {
	switch s.in.Action {
	case "supplement":
		return s.supplement()
	case "accept":
		if s.in.Relative {
			s.fields["staff_relative"] = true
		}
		if singlePerson(s.d.rec.Body) {
			_, err := s.g.applicant(s.d) // told before anybody has looked into it
			return err
		}
	case "opine":
		return s.opine()
	case "publicize":
		t, err := s.g.applicationTimes(s.d)
		if err != nil {
			return err
		}
		until, err := casework.PublicationEnd(time.UnixMilli(s.g.w.now), t, s.standards)
		if err != nil {
			return err
		}
		s.fields["published_until"] = until
		return s.g.post(s.d, s.by, posting{"opinion", s.d.rec.Body.Get("opinion_categories"), s.d.rec.Body.Int("opinion_amount"), until})
	case "object":
		return s.g.endPublications(s.d.rec.Root, s.d.rec.ID, "object", s.by.Role)
	case "report":
		if again {
			return s.opine()
		}
		return s.g.endPublications(s.d.rec.Root, s.d.rec.ID, "expire", casework.RoleSystem)
	case "extend":
		s.fields["extended"] = true
	case "confirm":
		if err := casework.CheckDecision(s.in.Categories); err != nil {
			return err
		}
		return s.decide(s.in.Categories)
	case "deny":
		return s.decide(nil)
	case "activate", "close":
		return s.help()
	case "terminate", "withdraw":
		return errors.Join(s.g.closeTasks(s.d, "supplement"), s.g.endPublications(s.d.rec.Root, s.d.rec.ID, "withdraw", casework.RoleSystem))
	}
	return nil
}

// supplement asks for everything that is missing at once, as a task on the worker's phone.
func (s *applying) supplement() error {
	questions, err := s.g.checkComments(s.d, s.in.Questions)
	if err != nil {
		return err
	}
	names := make([]any, len(s.in.Questions))
	for i, c := range s.in.Questions {
		names[i] = c.Question
	}
	s.fields["supplement_questions"] = names
	worker := s.d.rec.Body.Str("worker")
	if worker == "" {
		return nil
	}
	return s.g.openTask(s.d, worker, "supplement", fmt.Sprintf("救助申请补正:%d个问题", len(questions)), questions)
}

// opine writes the town's opinion beside what the rules suggest. No categories say that the town does not recommend help.
func (s *applying) opine() error {
	if len(s.in.Categories) > 0 {
		if err := casework.CheckDecision(s.in.Categories); err != nil {
			return err
		}
	}
	suggested, suggestion, err := s.g.weigh(s.d, s.standards, s.in.Categories, s.in.Reason)
	if err != nil {
		return err
	}
	s.fields["opinion_amount"] = s.amount(s.in.Categories, suggestion)
	visit, err := s.g.investigation(s.d)
	if err != nil {
		return err
	}
	if visit != nil {
		s.fields["investigation"] = visit.ID
	}
	s.fields["opinion_at"], s.fields["opinion_by"], s.fields["opinion_reason"] = s.g.w.clockTime(), s.by.UserID, optional(s.in.Reason)
	s.fields["opinion_categories"], s.fields["opinion_suggested"] = anys(s.in.Categories), suggested
	return nil
}

// weigh compares what people decide for a household with what the rules suggest. A difference needs a reason, and so does
// a decision that the rules could suggest nothing for.
func (g *group) weigh(d *draft, standards casework.Standards, categories []string, reason string) (list any, suggestion *casework.Suggestion, err error) {
	suggestion, why, err := g.suggested(d, standards)
	if err != nil {
		return nil, nil, err
	}
	if suggestion == nil {
		if reason == "" {
			return nil, nil, casework.NewError(casework.CodeGuardFailed, "系统没有给出建议("+why+"),请写明理由。")
		}
		return nil, nil, nil
	}
	if reason == "" && casework.Differs(categories, suggestion.Categories) {
		return nil, nil, casework.NewError(casework.CodeGuardFailed, "与系统建议的类别不一致,请写明理由。")
	}
	return anys(suggestion.Categories), suggestion, nil
}

// keepBasis writes what a suggestion rests on into the fields of a decision, every condition in words.
func keepBasis(fields map[string]any, s *casework.Suggestion) {
	if s == nil {
		return
	}
	basis := make([]any, len(s.Findings))
	for i, f := range s.Findings {
		basis[i] = map[string]any{"category": f.Category, "met": f.Met, "text": f.Text}
	}
	fields["suggested_rules"], fields["suggested_basis"] = s.Rules, basis
}

// decide writes the county's decision beside what the rules suggest, with every condition in words.
func (s *applying) decide(categories []string) error {
	list, suggestion, err := s.g.weigh(s.d, s.standards, categories, s.in.Reason)
	if err != nil {
		return err
	}
	s.fields["categories"], s.fields["suggested"] = anys(categories), list
	keepBasis(s.fields, suggestion)
	s.fields["amount"] = s.amount(categories, suggestion)
	if suggestion != nil && len(categories) == 1 && categories[0] == "RIGID" {
		s.fields["valid_until"] = optional(suggestion.ValidUntil)
	}
	return nil
}

// amount is what a household is to receive a month: what people decided, or, where they left it to the rules, what those say
// of dibao; nil for nothing.
func (s *applying) amount(categories []string, suggestion *casework.Suggestion) any {
	switch {
	case s.in.Amount > 0 && len(categories) > 0:
		return s.in.Amount
	case suggestion != nil && suggestion.GrantMonth > 0 && slices.Contains(categories, "DIBAO"):
		return suggestion.GrantMonth
	}
	return nil
}

// help begins or ends what the county decided.
func (s *applying) help() error {
	if singlePerson(s.d.rec.Body) {
		return s.helpOne()
	}
	h, err := s.g.live(s.d.rec.Root)
	if err != nil {
		return err
	}
	if s.in.Action == "close" {
		return s.g.leaveHelp(h, leaving{cause: "application", by: s.by}, s.standards)
	}
	if err := s.g.includedAnew(h.rec.Ref); err != nil {
		return err
	}
	if err := s.g.endPublications(h.rec.Ref, "", "withdraw", casework.RoleSystem); err != nil {
		return err
	}
	if err := s.g.post(s.d, s.by, posting{"decision", s.d.rec.Body.Get("categories"), s.d.rec.Body.Int("amount"), ""}); err != nil {
		return err
	}
	return s.g.recategorise(h, casework.Granted(categories(&h.rec), categories(&s.d.rec)))
}
