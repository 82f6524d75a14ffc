package loop

import (
	"context"
	"strings"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// AidInput is help that is planned. The referral, the household or its monitoring by agriculture is named: a department
// only knows those that were referred to it, and agriculture those that it monitors.
type AidInput struct {
	Referral   string
	Household  string
	Monitoring string
	Person     string // of the household, "" for all of it
	Measure    string // of casework.Measures
	Amount     int64  // 分; 0 where the measure pays nothing
	Month      string // that it is for, "2026-07"; "" for the present one
	Note       string // sealed, at most 500 characters
}

// PlanAid enters help that a department is going to give. It is on the household's chain, and on the phone that holds
// the household, from its approval on.
func (l *Loop) PlanAid(ctx context.Context, by casework.Actor, in AidInput) (id string, err error) {
	m, err := casework.CheckAid(by, in.Measure, in.Amount)
	if err != nil {
		return "", err
	}
	if in.Month == "" {
		in.Month = l.dayOr("")[:7]
	}
	if !casework.ValidMonth(in.Month) {
		return "", casework.NewError(casework.CodeInvalidValue, "月份应写成2026-07的样子。")
	}
	about := syncproto.Ref{Kind: "household", ID: in.Household}
	if in.Referral != "" {
		about = syncproto.Ref{Kind: "referral", ID: in.Referral}
	} else if in.Monitoring != "" {
		about = syncproto.Ref{Kind: "monitoring", ID: in.Monitoring}
	}
	err = l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.visible(by, casework.VerbGiveAid, about)
		if err != nil {
			return err
		}
		f := map[string]any{"household": d.rec.ID}
		switch state := d.rec.Body.Str("state"); {
		case about.Kind == "referral" && (state == "sent" || state == "declined"):
			return casework.NewError(casework.CodeGuardFailed, "请先受理这项转办,再登记救助。")
		case about.Kind == "monitoring" && state != "active":
			return casework.NewError(casework.CodeGuardFailed, "该户风险已消除,不再登记监测帮扶。")
		case about.Kind != "household":
			f["household"], f[about.Kind] = optional(d.rec.Body.Str("household")), d.rec.ID
		case d.rec.Root != d.rec.Ref:
			return ErrNotFound // an alias of another household
		}
		if in.Person != "" {
			p, err := g.live(syncproto.Ref{Kind: "person", ID: in.Person})
			if err != nil {
				return err
			}
			if p.rec.Root != d.rec.Root {
				return ErrNotFound
			}
			f["person"] = in.Person
		}
		ref := syncproto.Ref{Kind: "aid", ID: w.l.newID()}
		id = ref.ID
		if note := clipRunes(strings.TrimSpace(in.Note), 500); note != "" {
			f["note"] = note
		}
		if err := g.planAid(ref, d, by, m, in.Amount, in.Month, f); err != nil {
			return err
		}
		w.auditBy(by, "plan_aid", ref, d.rec.Root, map[string]any{"measure": m.Code})
		return g.commit()
	})
	return id, err
}

// planAid writes an aid record under the root of another record.
func (g *group) planAid(ref syncproto.Ref, under *draft, by casework.Actor, m *casework.Measure, amount int64, month string, f map[string]any) error {
	state, err := casework.AidMachine.Next("", "plan", by.Role, casework.Facts{})
	if err != nil {
		return err
	}
	f["measure"], f["layer"], f["dept"], f["period"], f["state"] = m.Code, m.Layer, m.Dept, month, state
	f["planned_by"], f["planned_at"] = by.UserID, g.w.clockTime()
	if amount > 0 {
		f["amount"] = amount
	}
	_, err = g.serverPut(ref, under.rec.Root, under.bucket, syncproto.Fields(f))
	return err
}

// StepAid takes an aid record one step on: approve, cancel, disburse, confirm, fail or recover, see casework.AidMachine.
// The reason is sealed, at most 1000 characters.
func (l *Loop) StepAid(ctx context.Context, by casework.Actor, aid, action, reason string) error {
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.visible(by, casework.VerbGiveAid, syncproto.Ref{Kind: "aid", ID: aid})
		if err != nil {
			return err
		}
		if _, err := casework.CheckAid(by, d.rec.Body.Str("measure"), d.rec.Body.Int("amount")); err != nil {
			return err
		}
		if err := g.stepAid(d, by, action, reason); err != nil {
			return err
		}
		return g.commit()
	})
}

func (g *group) stepAid(d *draft, by casework.Actor, action, reason string) error {
	reason = clipRunes(strings.TrimSpace(reason), 1000)
	f := map[string]any{}
	if stamp := map[string]string{"approve": "approved_at", "cancel": "cancelled_at", "disburse": "disbursed_at", "confirm": "confirmed_at",
		"fail": "failed_at", "recover": "recovered_at"}[action]; stamp != "" {
		f[stamp] = g.w.clockTime()
	}
	if action == "approve" {
		f["approved_by"] = by.UserID
	}
	if reason != "" {
		f["reason"] = reason
	}
	if err := g.step(d, action, by.Role, casework.Facts{Reasoned: reason != ""}, f); err != nil {
		return err
	}
	g.w.auditBy(by, "aid_"+action, d.rec.Ref, d.rec.Root, nil)
	return nil
}

// Fund is what was spent on a measure in a month, in 分 by state of the records.
type Fund struct {
	Measure casework.Measure
	Count   int
	Sums    map[string]int64
}

// Funds adds a month's aid up by measure, in the order of the catalog: at the bureau of its region, for a department its
// own, for the finance bureau that of all departments. No record and no name is in it.
func (l *Loop) Funds(ctx context.Context, by casework.Actor, month string) ([]Fund, error) {
	if !casework.ValidMonth(month) {
		return nil, casework.NewError(casework.CodeInvalidValue, "月份应写成2026-07的样子。")
	}
	if err := by.May(casework.VerbSeeFunds, casework.Subject{Kind: "aid", Region: by.Region, Dept: by.Dept}); err != nil {
		return nil, err
	}
	q := fundsQuery(by)
	q.Parent = month
	sums := map[string]*Fund{}
	err := l.store.Read(ctx, func(tx ReadTx) error {
		return eachFound(tx, q, func(s *Stored) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			b, err := syncproto.ParseObject(s.Body)
			if err != nil {
				return err
			}
			code := strings.Clone(b.Str("measure"))
			if sums[code] == nil {
				sums[code] = &Fund{Sums: map[string]int64{}}
			}
			sums[code].Count++
			sums[code].Sums[strings.Clone(b.Str("state"))] += b.Int("amount")
			return nil
		})
	})
	list := []Fund{}
	for _, m := range casework.Measures {
		if f := sums[m.Code]; f != nil {
			f.Measure = m
			list = append(list, *f)
		}
	}
	return list, err
}
