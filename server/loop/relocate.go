package loop

import (
	"context"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// MoveHousehold takes a household with everything under it to another grid of the county: within a town by the town, to
// another town by the bureau. Phones of the old grid drop it at their next sync; what they captured before still counts
// (see judging.allowed). GridDevices tells beforehand which of them are silent.
func (l *Loop) MoveHousehold(ctx context.Context, by casework.Actor, household, grid, reason string) (*Merged, error) {
	reason = clipRunes(reason, 500)
	if reason == "" {
		return nil, casework.NewError(casework.CodeInvalidValue, "请写明迁移原因。")
	}
	var out *Merged
	err := l.run(ctx, func(w *work) error {
		out = &Merged{Reassign: []string{}}
		g := w.newGroup()
		d, err := g.household(by, casework.VerbMoveHousehold, household)
		if err != nil {
			return err
		}
		ref := d.rec.Ref
		if err := w.gridFor(by, d, grid); err != nil {
			return err
		}
		from := d.bucket
		if err := g.moveHome(d, grid, out); err != nil {
			return err
		}
		w.auditBy(by, "move_household", ref, ref, map[string]any{"from": gridOf(from), "to": grid, "reason": reason})
		return g.commit()
	})
	return out, err
}

// moveHome takes a household with everything under it to a grid.
func (g *group) moveHome(d *draft, grid string, out *Merged) error {
	ref := d.rec.Ref
	if err := g.moveRoot(ref, ref, syncproto.BucketGrid+grid); err != nil {
		return err
	}
	if _, err := g.serverSet(ref, map[string]any{"town": grid[:9] + "000", "village": grid[:12], "grid": grid}); err != nil {
		return err
	}
	leads, err := g.under(ref, "lead", casework.LeadsRunning...)
	if err != nil {
		return err
	}
	for _, lead := range leads { // whose clock goes on
		if town := casework.TownOf(grid); lead.rec.Body.Str("town") != town {
			if _, err := g.serverSet(lead.rec.Ref, map[string]any{"town": town}); err != nil {
				return err
			}
		}
	}
	return g.relink(d, out)
}

// gridFor insists on another grid, in a village on record, that the caller may move to.
func (w *work) gridFor(by casework.Actor, d *draft, grid string) error {
	bad := casework.NewError(casework.CodeInvalidValue, "请选择本辖区内的另一个网格。")
	if !casework.IsGrid(grid) || gridOf(d.bucket) == grid || by.May(casework.VerbMoveHousehold, casework.Subject{Kind: "household", Region: grid}) != nil {
		return bad
	}
	s, err := w.stored(syncproto.Ref{Kind: "region", ID: grid[:12]})
	if err == nil && (s == nil || s.Deleted) {
		err = bad
	}
	return err
}
