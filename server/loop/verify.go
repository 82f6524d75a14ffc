package loop

import (
	"context"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Verdict is the county's answer to a proposed disposition.
type Verdict struct {
	Disposition string
	Action      string // verify, return or conference
	Reason      string // needed with return and conference
}

// Verify is the county's word on a disposition: verified, returned to the town with a reason, or put before a case
// conference (一事一议).
func (l *Loop) Verify(ctx context.Context, by casework.Actor, in Verdict) error {
	reason := clipRunes(in.Reason, 1000)
	action, ok := map[string]string{"verify": "verify", "return": "county_return", "conference": "conference"}[in.Action]
	switch {
	case !ok:
		return casework.NewError("invalid_value", "请选择核定、退回或一事一议。")
	case reason == "" && in.Action != "verify":
		return casework.NewError("invalid_value", "请写明理由。")
	}
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.visible(by, casework.VerbVerify, syncproto.Ref{Kind: "disposition", ID: in.Disposition})
		if err != nil {
			return err
		}
		lead, err := g.leadOf(d)
		if err != nil {
			return err
		}
		facts := casework.Facts{Result: d.rec.Body.Str("result"), ConferenceMinuted: reason != ""}
		if err := g.step(lead, action, by.Role, facts, nil); err != nil {
			return err
		}
		switch in.Action {
		case "verify":
			err = g.step(d, "verify", by.Role, facts, map[string]any{"verified_by": by.UserID, "verified_at": w.clockTime(), "verify_note": optional(reason)})
			if err == nil {
				err = g.categorise(d)
			}
		case "return":
			err = g.step(d, "return", by.Role, facts, map[string]any{"returned_reason": reason})
		case "conference":
			_, err = g.serverSet(d.rec.Ref, map[string]any{"conference_reason": reason})
		}
		if err != nil {
			return err
		}
		w.auditBy(by, action, d.rec.Ref, d.rec.Root, nil)
		return g.commit()
	})
}

// categorise writes the verified categories into the household's record.
func (g *group) categorise(d *draft) error {
	categories := d.rec.Body.Get("categories")
	if d.rec.Body.Str("result") != "included" || len(categories.Items()) == 0 || d.rec.Root.Kind != "household" {
		return nil
	}
	_, err := g.serverSet(d.rec.Root, map[string]any{"categories": categories})
	return err
}
