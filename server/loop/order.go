package loop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// OrderInput urges whoever has to act on something that has a deadline, or lets the county supervise it.
type OrderInput struct {
	Kind     string // lead, application, periodic_review, exit, referral or resolution
	ID       string
	Level    string // urge, or supervise by the county
	Text     string // sealed, at most 1000 characters
	Workdays int    // until an answer is due; 0 for the standard
}

// IssueOrder issues an order about a record that is under way. It goes to the town or the department whose turn it is, and
// the worker of the record is told. A record has one order at a time.
func (l *Loop) IssueOrder(ctx context.Context, by casework.Actor, in OrderInput) (id string, err error) {
	text := clipRunes(strings.TrimSpace(in.Text), 1000)
	states := runningStates(in.Kind)
	switch {
	case states == nil || in.Kind == "order":
		return "", casework.NewError(casework.CodeInvalidValue, "只能对线索、申请、复核、回访、转办和会议事项催办。")
	case in.Level != "urge" && in.Level != "supervise":
		return "", casework.NewError(casework.CodeInvalidValue, "请选择催办或督办。")
	case in.Workdays < 0 || in.Workdays > 250:
		return "", casework.NewError(casework.CodeInvalidValue, "答复期限应在250个工作日以内。")
	}
	err = l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.visible(by, casework.VerbUrge, syncproto.Ref{Kind: in.Kind, ID: in.ID})
		if err != nil {
			return err
		}
		if !slices.Contains(states, d.rec.Body.Str("state")) {
			return casework.NewError(casework.CodeGuardFailed, "该事项当前没有在办,不需要催办。")
		}
		open, err := g.orderOn(d)
		if err != nil {
			return err
		}
		if open != nil {
			return casework.NewError(casework.CodeGuardFailed, "该事项已有未办结的督办单,请在原督办单上继续办理。")
		}
		id = w.l.newID()
		if err := g.issueOrder(syncproto.Ref{Kind: "order", ID: id}, d, by, in.Level, text, in.Workdays); err != nil {
			return err
		}
		w.auditBy(by, "order_"+in.Level, syncproto.Ref{Kind: "order", ID: id}, d.rec.Root, nil)
		return g.commit()
	})
	return id, err
}

// runningStates are the states in which a kind's deadline runs; nil for a kind without one.
func runningStates(kind string) []string {
	for _, k := range deadlines {
		if k.kind == kind {
			return k.states
		}
	}
	return nil
}

// orderOn is the order about a record that is not at its end; nil for none.
func (g *group) orderOn(d *draft) (*draft, error) {
	open, err := g.under(d.rec.Root, "order", casework.OrdersRunning...)
	for _, o := range open {
		if o.rec.Body.Str("about") == d.rec.ID {
			return o, err
		}
	}
	return nil, err
}

// issueOrder writes an order about a record and tells its worker.
func (g *group) issueOrder(ref syncproto.Ref, about *draft, by casework.Actor, level, text string, workdays int) error {
	state, err := casework.OrderMachine.Next("", level, by.Role, casework.Facts{Reasoned: text != ""})
	if err != nil {
		return err
	}
	due, rule, err := g.orderDue(about.bucket, level, workdays)
	if err != nil {
		return err
	}
	b := about.rec.Body
	if _, err := g.serverPut(ref, about.rec.Root, about.bucket, syncproto.Fields(map[string]any{"about_kind": about.rec.Kind, "about": about.rec.ID,
		"level": level, "to_dept": casework.Responsible(b.Str("state"), b.Str("to_dept")), "text": text, "due_on": due, "due_rule": rule,
		"issued_by": by.UserID, "issued_at": g.w.clockTime(), "state": state})); err != nil {
		return err
	}
	worker := b.Str("worker")
	if about.rec.Kind == "lead" {
		worker = b.Str("assignee")
	}
	return g.notify(worker, "order", casework.Label("order_level", level)+":请尽快办理", text, about.rec.Ref)
}

// orderDue is the day by which an order is to be answered, and the rule in words.
func (g *group) orderDue(bucket, level string, workdays int) (due, rule string, err error) {
	if workdays == 0 {
		standards, err := readStandards(g.w.tx)
		if err != nil {
			return "", "", err
		}
		code := map[string]string{"urge": casework.StdUrge, "supervise": casework.StdSupervise}[level]
		if workdays, err = standards.Term(code, casework.Place{Region: regionOf(bucket)}, g.w.l.dayOr("")); err != nil {
			return "", "", err
		}
	}
	calendars, err := g.w.calendars()
	if err != nil {
		return "", "", err
	}
	end, _, _ := casework.Deadline(time.UnixMilli(g.w.now), workdays, calendars)
	return end.Format(time.DateOnly), fmt.Sprintf("%s须在%d个工作日内答复", casework.Label("order_level", level), workdays), nil
}

// StepOrder takes an order one step on: answer, accept, send_back, withdraw or escalate. Text is sealed, at most 1000
// characters.
func (l *Loop) StepOrder(ctx context.Context, by casework.Actor, order, action, text string) error {
	verb := casework.VerbUrge
	if action == "answer" {
		verb = casework.VerbAnswerOrder
	}
	if !slices.Contains([]string{"answer", "accept", "send_back", "withdraw", "escalate"}, action) {
		return casework.NewError(casework.CodeInvalidValue, "请选择答复、认可、退回、撤销或升级督办。")
	}
	text = clipRunes(strings.TrimSpace(text), 1000)
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.visible(by, verb, syncproto.Ref{Kind: "order", ID: order})
		if err != nil {
			return err
		}
		b := d.rec.Body
		if action == "withdraw" && by.Role == casework.RoleTownLeader && b.Str("issued_by") != by.UserID {
			return casework.NewError(casework.CodeForbidden, "只能撤销自己签发的催办。")
		}
		if action == "answer" && by.Role != casework.RoleDeptOfficer && (by.Role == casework.RoleBureauOfficer) == (b.Str("to_dept") == "TOWN") {
			return casework.NewError(casework.CodeForbidden, "这份督办单由"+casework.Label("department", b.Str("to_dept"))+"答复。")
		}
		if action == "escalate" {
			err = g.escalate(d, by.Role)
		} else {
			err = g.stepOrder(d, by, action, text)
		}
		if err != nil {
			return err
		}
		w.auditBy(by, "order_"+action, d.rec.Ref, d.rec.Root, nil)
		return g.commit()
	})
}

func (g *group) stepOrder(d *draft, by casework.Actor, action, text string) error {
	f := map[string]any{}
	switch action {
	case "answer":
		f["answered_by"], f["answered_at"] = by.UserID, g.w.clockTime()
		if text != "" {
			f["answer"] = text
		}
	case "send_back":
		f["returned_reason"] = optional(text)
	default:
		f["closed_at"] = g.w.clockTime()
		if text != "" {
			f["returned_reason"] = text
		}
	}
	b := d.rec.Body
	facts := casework.Facts{Reasoned: text != "" || action == "accept", Supervised: b.Str("level") == "supervise", OwnAnswer: b.Str("answered_by") == by.UserID}
	return g.step(d, action, by.Role, facts, f)
}

// escalate lets the county supervise what was urged without an answer.
func (g *group) escalate(d *draft, role casework.Role) error {
	if d.rec.Body.Str("level") == "supervise" {
		return casework.NewError(casework.CodeGuardFailed, "已是督办件,不能再次升级。")
	}
	due, rule, err := g.orderDue(d.bucket, "supervise", 0)
	if err != nil {
		return err
	}
	return g.step(d, "escalate", role, casework.Facts{}, map[string]any{"level": "supervise", "due_on": due, "due_rule": rule, "escalated_at": g.w.clockTime()})
}

// orderLate says what the calendar asks of an order: settle where its subject is under way no longer, escalate where
// nobody has answered in time; "" for nothing.
func orderLate(tx ReadTx, s *Stored, today string) (string, error) {
	b, err := syncproto.ParseObject(s.Body)
	if err != nil {
		return "", err
	}
	about, err := tx.Record(syncproto.Ref{Kind: b.Str("about_kind"), ID: b.Str("about")})
	switch {
	case err != nil && !errors.Is(err, ErrNotFound):
		return "", err
	case err != nil || about.Deleted || !slices.Contains(runningStates(about.Ref.Kind), about.Index.State):
		return "settle", nil
	case s.Index.State == "issued" && b.Str("level") == "urge" && b.Str("due_on") < today:
		return "escalate", nil
	}
	return "", nil
}

func (w *work) advanceOrder(s *Stored, a *Advanced) error {
	what, err := orderLate(w.tx, s, w.l.dayOr(""))
	if err != nil || what == "" {
		return err
	}
	g := w.newGroup()
	d, err := g.live(s.Ref)
	if err != nil {
		return err
	}
	if what == "settle" {
		a.Settled++
		err = g.step(d, "settle", casework.RoleSystem, casework.Facts{}, map[string]any{"closed_at": w.clockTime()})
	} else {
		a.Escalated++
		err = g.escalate(d, casework.RoleSystem)
	}
	if err != nil {
		return err
	}
	return g.commit()
}

// lateOrder is the order that the calendar issues about a record whose deadline is over: one for each deadline.
func lateOrder(s *Stored) syncproto.Ref {
	return syncproto.Ref{Kind: "order", ID: syncproto.DerivedID("order", s.Ref.String()+"|"+s.Index.Due)}
}

// unurged reports whether a late record has not had that order.
func unurged(tx ReadTx, s *Stored) (bool, error) {
	_, err := tx.Record(lateOrder(s))
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	return false, err
}

// urgeLate urges whoever is late, unless somebody has.
func (w *work) urgeLate(s *Stored, a *Advanced) error {
	if !slices.Contains(runningStates(s.Ref.Kind), s.Index.State) || s.Index.Due == "" || s.Index.Due >= w.l.dayOr("") {
		return nil // it was done meanwhile
	}
	g := w.newGroup()
	d, err := g.live(s.Ref)
	if err != nil {
		return err
	}
	if open, err := g.orderOn(d); err != nil || open != nil {
		return err
	}
	if fresh, err := unurged(w.tx, s); err != nil || !fresh {
		return err
	}
	k, _ := casework.KindOf(s.Ref.Kind)
	if err := g.issueOrder(lateOrder(s), d, casework.System, "urge", fmt.Sprintf("%s已超过期限%s,请尽快办理并说明原因。", k.Label, s.Index.Due), 0); err != nil {
		return err
	}
	a.Urged++
	return g.commit()
}
