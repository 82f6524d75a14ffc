package loop

import (
	"context"
	"slices"
	"strings"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Monitor puts the household of a referral to agriculture under monitoring; agriculture alone decides on it. The category
// stands in the household's record beside those of civil affairs. The reason is sealed, at most 1000 characters.
func (l *Loop) Monitor(ctx context.Context, by casework.Actor, referral, category, reason string) (id string, err error) {
	if category == "" {
		return "", casework.NewError(casework.CodeInvalidValue, "请选择脱贫不稳定户、边缘易致贫户或突发严重困难户。")
	}
	if err := casework.CheckMonitoring(by, category); err != nil {
		return "", err
	}
	reason = clipRunes(strings.TrimSpace(reason), 1000)
	err = l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.visible(by, casework.VerbMonitor, syncproto.Ref{Kind: "referral", ID: referral})
		if err != nil {
			return err
		}
		switch s := d.rec.Body.Str("state"); {
		case s == "sent" || s == "declined":
			return casework.NewError(casework.CodeGuardFailed, "请先受理这项转办,再认定监测对象。")
		case d.rec.Root.Kind != "household":
			return casework.NewError(casework.CodeGuardFailed, "请先为该线索建立家庭档案,再认定监测对象。")
		}
		if active, err := g.under(d.rec.Root, "monitoring", "active"); err != nil {
			return err
		} else if len(active) > 0 {
			return casework.NewError(casework.CodeGuardFailed, "该户已是监测对象,请在原记录上调整类别。")
		}
		state, err := casework.MonitoringMachine.Next("", "include", by.Role, casework.Facts{Reasoned: reason != ""})
		if err != nil {
			return err
		}
		ref := syncproto.Ref{Kind: "monitoring", ID: w.l.newID()}
		id = ref.ID
		if _, err := g.serverPut(ref, d.rec.Root, d.bucket, syncproto.Fields(map[string]any{"household": d.rec.Root.ID, "referral": referral, "dept": by.Dept,
			"category": category, "reason": reason, "decided_by": by.UserID, "decided_at": w.clockTime(), "state": state})); err != nil {
			return err
		}
		if err := g.monitored(d.rec.Root, category); err != nil {
			return err
		}
		w.auditBy(by, "monitor", ref, d.rec.Root, map[string]any{"category": category})
		return g.commit()
	})
	return id, err
}

// StepMonitoring changes the category of a monitored household (reclassify) or ends its monitoring since the risk is gone
// (remove). The reason is sealed, at most 1000 characters.
func (l *Loop) StepMonitoring(ctx context.Context, by casework.Actor, id, action, category, reason string) error {
	switch action {
	case "reclassify":
		if category == "" {
			return casework.NewError(casework.CodeInvalidValue, "请选择脱贫不稳定户、边缘易致贫户或突发严重困难户。")
		}
	case "remove":
		category = ""
	default:
		return casework.NewError(casework.CodeInvalidValue, "请选择调整类别或风险消除。")
	}
	if err := casework.CheckMonitoring(by, category); err != nil {
		return err
	}
	reason = clipRunes(strings.TrimSpace(reason), 1000)
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.visible(by, casework.VerbMonitor, syncproto.Ref{Kind: "monitoring", ID: id})
		if err != nil {
			return err
		}
		f := map[string]any{"category": category, "reason": reason, "reclassified_at": w.clockTime()}
		if action == "remove" {
			f = map[string]any{"removed_reason": reason, "removed_at": w.clockTime()}
		}
		if err := g.step(d, action, by.Role, casework.Facts{Reasoned: reason != ""}, f); err != nil {
			return err
		}
		if err := g.monitored(d.rec.Root, category); err != nil {
			return err
		}
		w.auditBy(by, "monitoring_"+action, d.rec.Ref, d.rec.Root, map[string]any{"category": category})
		return g.commit()
	})
}

// monitored writes the category of monitoring into a household's record in place of the former one; "" takes it out.
func (g *group) monitored(root syncproto.Ref, category string) error {
	h, err := g.live(root)
	if err != nil {
		return err
	}
	list := casework.OfCivilAffairs(categories(&h.rec))
	if category != "" {
		list = append(list, category)
	}
	if slices.Equal(list, categories(&h.rec)) {
		return nil
	}
	return g.recategorise(h, list)
}
