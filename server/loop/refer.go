package loop

import (
	"context"
	"errors"
	"time"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// ReferralInput asks a department for what it owes a household.
type ReferralInput struct {
	Disposition string
	Dept        string // a department code
	Need        string // an enum value of difficulty
	Text        string // sealed; what the department must know
	Workdays    int    // until an answer is due; 0 stands for ReferralWorkdays
}

// ReferralWorkdays is the time for a department's result where the sender sets none. It is the county's own figure, a
// parameter, not a rule of the notice.
const ReferralWorkdays = 20

// Refer sends a household's need to the department that owes help.
func (l *Loop) Refer(ctx context.Context, by casework.Actor, in ReferralInput) (id string, err error) {
	switch {
	case !casework.ValidEnum("department", in.Dept):
		return "", casework.NewError("invalid_value", "部门不正确,请从列表中选择。")
	case !casework.ValidEnum("difficulty", in.Need):
		return "", casework.NewError("invalid_value", "困难类型不正确,请从列表中选择。")
	case in.Workdays < 0 || in.Workdays > 250:
		return "", casework.NewError("invalid_value", "办理期限应在250个工作日以内。")
	}
	if in.Workdays == 0 {
		in.Workdays = ReferralWorkdays
	}
	err = l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.visible(by, casework.VerbRefer, syncproto.Ref{Kind: "disposition", ID: in.Disposition})
		if err != nil {
			return err
		}
		calendars, err := w.calendars()
		if err != nil {
			return err
		}
		due, _, _ := casework.Deadline(time.UnixMilli(w.now), in.Workdays, calendars)
		ref := syncproto.Ref{Kind: "referral", ID: w.l.newID()}
		id = ref.ID
		f := map[string]any{"lead": optional(d.rec.Body.Str("lead")), "household": optional(d.rec.Body.Str("household")),
			"disposition": d.rec.ID, "to_dept": in.Dept, "need": in.Need, "state": "sent", "sent_at": w.clockTime(),
			"sent_by": by.UserID, "due_on": due.In(beijing).Format(time.DateOnly)}
		if text := clipRunes(in.Text, 1000); text != "" {
			f["text"] = text
		}
		if _, err := g.serverPut(ref, d.rec.Root, d.bucket, syncproto.Fields(f)); err != nil {
			return err
		}
		w.auditBy(by, "refer", ref, d.rec.Root, map[string]any{"to_dept": in.Dept, "need": in.Need})
		return g.commit()
	})
	return id, err
}

// ReferralAnswer is a department's step on a referral.
type ReferralAnswer struct {
	Referral string
	Action   string // accept, decline, start, deliver, feed_back or close
	Result   string // sealed; needed with decline, deliver and feed_back
	Code     string // a short result code, such as granted
	Amount   int64  // 分, where money was paid
}

// AnswerReferral takes a referral one step on. The last ones carry the result back to the worker's phone.
func (l *Loop) AnswerReferral(ctx context.Context, by casework.Actor, in ReferralAnswer) error {
	result := clipRunes(in.Result, 1000)
	if result == "" && (in.Action == "decline" || in.Action == "deliver" || in.Action == "feed_back") {
		return casework.NewError("invalid_value", "请写明办理结果或不予受理的理由。")
	}
	if in.Amount < 0 || in.Amount > syncproto.MaxInt || in.Code != "" && !syncproto.ValidName(in.Code) {
		return casework.NewError("invalid_value", "金额或结果代码不正确。")
	}
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		verb := casework.VerbAnswerReferral
		if in.Action == "close" {
			verb = casework.VerbCloseReferral // by whoever asked, not by the department
		}
		d, err := g.visible(by, verb, syncproto.Ref{Kind: "referral", ID: in.Referral})
		if err != nil {
			return err
		}
		f := map[string]any{}
		if result != "" {
			f["result"] = result
		}
		if in.Code != "" {
			f["result_code"] = in.Code
		}
		if in.Amount > 0 {
			f["amount"] = in.Amount
		}
		if stamp := map[string]string{"accept": "accepted_at", "deliver": "delivered_at", "feed_back": "fed_back_at", "close": "closed_at"}[in.Action]; stamp != "" {
			f[stamp] = w.clockTime()
		}
		if err := g.step(d, in.Action, by.Role, casework.Facts{FedBack: in.Action == "close"}, f); err != nil {
			return err
		}
		if in.Action == "feed_back" || in.Action == "decline" {
			if err := errors.Join(g.tellWorker(d), g.backFromDept(d, in.Action)); err != nil {
				return err
			}
		}
		w.auditBy(by, "referral_"+in.Action, d.rec.Ref, d.rec.Root, nil)
		return g.commit()
	})
}

// tellWorker leaves a notice for the worker of the lead that a referral came from. The result itself is sealed in the
// referral, which the phone holds too.
func (g *group) tellWorker(d *draft) error {
	lead, err := g.leadOf(d)
	if err != nil || lead == nil {
		return err
	}
	title := casework.Label("department", d.rec.Body.Str("to_dept")) + "反馈了办理结果"
	if d.rec.Body.Str("state") == "declined" {
		title = casework.Label("department", d.rec.Body.Str("to_dept")) + "未受理转办"
	}
	return g.notify(lead.rec.Body.Str("assignee"), "referral", title, "", d.rec.Ref)
}
