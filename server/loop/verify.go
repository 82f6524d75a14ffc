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
		facts := casework.Facts{Result: d.rec.Body.Str("result"), ConferenceMinuted: reason != "" || d.rec.Body.Has("meeting")}
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

// categorise writes the verified categories into the household's record. A death has the help of those who are left
// checked.
func (g *group) categorise(d *draft) error {
	if d.rec.Body.Str("result") == "deceased" && d.rec.Root.Kind == "household" {
		return g.reviewNow(d.rec.Root, "death")
	}
	if d.rec.Body.Str("result") != "included" || len(categories(&d.rec)) == 0 || d.rec.Root.Kind != "household" {
		return nil
	}
	h, err := g.live(d.rec.Root)
	if err != nil {
		return err
	}
	if err := g.includedAnew(h.rec.Ref); err != nil {
		return err
	}
	return g.recategorise(h, casework.Granted(categories(&h.rec), categories(&d.rec)))
}

// reviewNow opens the review of a household that receives help and of which something became known today, unless one is
// under way.
func (g *group) reviewNow(root syncproto.Ref, cause string) error {
	h, err := g.live(root)
	if err != nil {
		return err
	}
	if held, err := heldIn(g.w.tx, &h.rec); err != nil || len(held) == 0 {
		return err
	}
	if x, err := helpOf(g.w.tx, root); err != nil || x.reviewing {
		return err
	}
	standards, err := readStandards(g.w.tx)
	if err != nil {
		return err
	}
	today := g.w.l.dayOr("")
	due, err := casework.ReviewOn(cause, today, placeOf(h.bucket, h.rec.Body), standards)
	if err != nil {
		return err
	}
	_, err = g.openReview(h, casework.System, due, today)
	return err
}
