package loop

import (
	"context"
	"slices"
	"time"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// SendToDept sends leads to a department instead of a town, such as help that it owes and has not delivered (notice,
// 三·三·2): each becomes a referral, and the lead ends with the department's feedback. dept "" stands for the department
// that matching has named. A lead that is the town's business is refused.
func (l *Loop) SendToDept(ctx context.Context, by casework.Actor, leads []string, dept string) error {
	return l.run(ctx, func(w *work) error {
		calendars, err := w.calendars()
		if err != nil {
			return err
		}
		for _, id := range leads {
			if err := w.sendToDept(w.newGroup(), by, syncproto.Ref{Kind: "lead", ID: id}, dept, calendars); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *work) sendToDept(g *group, by casework.Actor, ref syncproto.Ref, dept string, calendars casework.Calendars) error {
	d, err := g.visible(by, casework.VerbDispatch, ref)
	if err != nil {
		return err
	}
	if dept == "" {
		named := slices.DeleteFunc(listOf(d.rec.Body, "depts"), func(s string) bool { return s == "TOWN" || s == "MZJ" })
		if len(named) == 0 {
			return casework.NewError(casework.CodeGuardFailed, "这条线索没有建议承办的部门,请选择部门或派发给镇(街道)。")
		}
		dept = named[0]
	}
	if !casework.ValidEnum("department", dept) || dept == "TOWN" {
		return casework.NewError(casework.CodeInvalidValue, "部门不正确,请从列表中选择。")
	}
	// A household that is on record is the case: the department sees who lives in it.
	root, bucket, err := g.homeOf(d)
	if err != nil {
		return err
	}
	if bucket == "" {
		root, bucket = d.rec.Root, d.bucket
	}
	ring, err := g.ring(d.rec.Root, d.bucket)
	if err != nil {
		return err
	}
	reason := textOf(opened(ring, d.rec.Ref, d.rec.Body)["reason"])
	if err := g.step(d, "send_dept", by.Role, casework.Facts{}, map[string]any{"to_dept": dept, "sent_dept_at": w.clockTime()}); err != nil {
		return err
	}
	if root != d.rec.Root {
		if err := g.moveRoot(d.rec.Root, root, bucket); err != nil {
			return err
		}
	}
	due, _, _ := casework.Deadline(time.UnixMilli(w.now), ReferralWorkdays, calendars)
	f := map[string]any{"lead": ref.ID, "household": optional(d.rec.Body.Str("household")), "to_dept": dept, "need": casework.NeedOf(dept), "state": "sent", "sent_at": w.clockTime(),
		"sent_by": by.UserID, "due_on": due.Format(time.DateOnly)}
	if reason != "" {
		f["text"] = reason
	}
	if _, err := g.serverPut(syncproto.Ref{Kind: "referral", ID: w.l.newID()}, root, bucket, syncproto.Fields(f)); err != nil {
		return err
	}
	w.auditBy(by, "send_dept", ref, root, map[string]any{"to_dept": dept})
	return g.commit()
}

// backFromDept ends the lead that a department was sent, or gives it back to the county where the department declined.
func (g *group) backFromDept(referral *draft, action string) error {
	lead, err := g.leadOf(referral)
	if err != nil || lead == nil || lead.rec.Body.Str("state") != "with_dept" {
		return err
	}
	if action == "decline" {
		return g.step(lead, "dept_declined", casework.RoleSystem, casework.Facts{}, map[string]any{"to_dept": nil})
	}
	return g.step(lead, "dept_done", casework.RoleSystem, casework.Facts{}, map[string]any{"fed_back_at": g.w.clockTime()})
}
