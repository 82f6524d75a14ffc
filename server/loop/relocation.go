package loop

import (
	"context"
	"slices"
	"strings"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// RelocationInput proposes that a household moves: to another town of the county, or to a place outside of it.
type RelocationInput struct {
	Household string
	ToTown    string // a 12-digit code of the county; "" where it leaves the county
	ToPlace   string // outside, in words, at most 100 characters; by the bureau
	Reason    string // sealed, at most 1000 characters
}

// ProposeRelocation begins the move of a household. Within the county the other town is asked; a household that leaves the
// county is handed over by the bureau, and its help goes on until the place there says from when it pays.
func (l *Loop) ProposeRelocation(ctx context.Context, by casework.Actor, in RelocationInput) (id string, err error) {
	reason, place := clipRunes(strings.TrimSpace(in.Reason), 1000), clipRunes(strings.TrimSpace(in.ToPlace), 100)
	if (in.ToTown == "") == (place == "") {
		return "", casework.NewError(casework.CodeInvalidValue, "请选择迁入的镇(街道),或填写县外的迁入地。")
	}
	key := randomKey()
	err = l.run(ctx, func(w *work) error {
		g := w.newGroup()
		h, err := g.household(by, casework.VerbMoveHousehold, in.Household)
		if err != nil {
			return err
		}
		from := casework.TownOf(gridOf(h.bucket))
		action, desk := "propose", in.ToTown
		if place != "" {
			action, desk = "hand_over", casework.CountyOf(from)
		} else if err := w.townOf(by, h, in.ToTown); err != nil {
			return err
		}
		if running, err := w.relocating(h.rec.ID); err != nil {
			return err
		} else if running {
			return casework.NewError(casework.CodeGuardFailed, "该户已有正在办理的迁移,请在原记录上继续办理。")
		}
		state, err := casework.RelocationMachine.Next("", action, by.Role, casework.Facts{Reasoned: reason != ""})
		if err != nil {
			return err
		}
		f := map[string]any{"household": h.rec.ID, "from_town": from, "reason": reason, "proposed_by": by.UserID, "proposed_at": w.clockTime(), "state": state}
		writeStep(f, map[string]string{"to_town": in.ToTown, "to_place": place})
		ref := syncproto.Ref{Kind: "relocation", ID: l.newID()}
		id = ref.ID
		if err := g.putRoot(ref, syncproto.BucketDesk+desk, key, f); err != nil {
			return err
		}
		w.auditBy(by, "relocation_"+action, ref, h.rec.Ref, nil)
		return g.commit()
	})
	return id, err
}

// relocating reports whether a move of a household is under way.
func (w *work) relocating(household string) (running bool, err error) {
	err = eachFound(w.tx, Query{Kind: "relocation", Parent: household, States: []string{"proposed", "declined", "handed_over"}, Limit: 10}, func(*Stored) error { running = true; return nil })
	return running, err
}

// RelocationStep takes a move one step on: accept with a grid, or decline, by the town that takes over; drop by the one
// that proposed it; confirm by the bureau with the first month that is paid outside of the county.
type RelocationStep struct {
	Relocation string
	Action     string
	Grid       string // with accept
	NextMonth  string // with confirm, "2026-07"
	Text       string // sealed, at most 1000 characters
}

// StepRelocation takes a move one step on. A household that was accepted lies in the new grid with everything under it, and
// has its help reviewed there, which goes on until then.
func (l *Loop) StepRelocation(ctx context.Context, by casework.Actor, in RelocationStep) error {
	text := clipRunes(strings.TrimSpace(in.Text), 1000)
	if !slices.Contains([]string{"accept", "decline", "drop", "confirm"}, in.Action) {
		return casework.NewError(casework.CodeInvalidValue, "请选择接收、不接收、撤销或确认接续。")
	}
	if in.NextMonth != "" && !casework.ValidMonth(in.NextMonth) {
		return casework.NewError(casework.CodeInvalidValue, "迁入地起发月份应写成2026-07的样子。")
	}
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.visible(by, casework.VerbMoveHousehold, syncproto.Ref{Kind: "relocation", ID: in.Relocation})
		if err != nil {
			return err
		}
		b := d.rec.Body
		h, err := g.live(syncproto.Ref{Kind: "household", ID: b.Str("household")})
		if err != nil {
			return err
		}
		facts := casework.Facts{Reasoned: text != "", Receives: casework.Covers(by.Region, b.Str("to_town")), Sends: casework.Covers(by.Region, b.Str("from_town")), NextMonth: in.NextMonth}
		if facts.LastPaid, err = lastPaid(w.tx, h.rec.Ref); err != nil {
			return err
		}
		f := map[string]any{"answered_by": by.UserID, "answered_at": w.clockTime()}
		if text != "" {
			f["answer"] = text
		}
		if in.Action == "accept" {
			f["grid"] = in.Grid
		}
		if in.Action == "confirm" {
			f["next_month"], f["closed_at"] = in.NextMonth, w.clockTime()
			writeStep(f, map[string]string{"last_paid": facts.LastPaid})
		}
		if err := g.step(d, in.Action, by.Role, facts, f); err != nil {
			return err
		}
		switch in.Action {
		case "accept":
			err = g.takeOver(d, h, in.Grid)
		case "confirm":
			err = g.leftCounty(h, by)
		}
		if err != nil {
			return err
		}
		w.auditBy(by, "relocation_"+in.Action, d.rec.Ref, h.rec.Ref, nil)
		return g.commit()
	})
}

// takeOver moves a household into a grid of the town that takes it over, and has its help reviewed there.
func (g *group) takeOver(d, h *draft, grid string) error {
	s, err := g.w.stored(syncproto.Ref{Kind: "region", ID: grid[:min(len(grid), 12)]})
	if err != nil {
		return err
	}
	if !casework.IsGrid(grid) || casework.TownOf(grid) != d.rec.Body.Str("to_town") || s == nil || s.Deleted {
		return casework.NewError(casework.CodeInvalidValue, "请选择迁入镇(街道)的网格。")
	}
	if err := g.helpedElsewhere(h); err != nil {
		return err
	}
	if err := g.moveHome(h, grid, &Merged{}); err != nil {
		return err
	}
	if err := g.reviewNow(h.rec.Ref, "change"); err != nil {
		return err
	}
	return g.step(d, "finish", casework.RoleSystem, casework.Facts{}, map[string]any{"closed_at": g.w.clockTime()})
}

// helpedElsewhere refuses a move while somebody of the household is on record in another one that receives help, so that
// nobody is included twice.
func (g *group) helpedElsewhere(h *draft) error {
	ring, err := g.ring(h.rec.Root, h.bucket)
	if err != nil {
		return err
	}
	_, persons, err := caseRecords(g.w.tx, ring, h.rec.Root)
	if err != nil {
		return err
	}
	for _, p := range persons {
		id := textOf(p["id_no"])
		if id == "" {
			continue
		}
		refs, err := g.w.tx.ByBlind(g.w.l.secrets.blind("id_no", id))
		if err != nil {
			return err
		}
		for _, ref := range refs {
			s, err := g.w.stored(ref)
			if err != nil {
				return err
			}
			if ref.Kind != "person" || s == nil || s.Deleted || s.Root == h.rec.Root || s.Root.Kind != "household" {
				continue
			}
			other, err := g.live(s.Root)
			if err != nil {
				return err
			}
			held, err := heldIn(g.w.tx, &other.rec)
			if err != nil {
				return err
			}
			if len(held) > 0 {
				return casework.NewError(casework.CodeGuardFailed, "有家庭成员已在另一户享受救助,请先核实并合并家庭,避免重复享受。")
			}
		}
	}
	return nil
}

// lastPaid is the last month that basic living was paid for, or is on its way for; "" for none.
func lastPaid(tx ReadTx, root syncproto.Ref) (month string, err error) {
	err = tx.ByRoot(root, "aid", func(s *Stored) error {
		b, err := syncproto.ParseObject(s.Body)
		if err == nil && b.Str("application") != "" && slices.Contains([]string{"planned", "approved", "disbursed", "confirmed", "failed"}, s.Index.State) {
			month = max(month, strings.Clone(b.Str("period")))
		}
		return err
	})
	return month, err
}

// leftCounty ends the help of a household that another county pays from now on; nobody here watches it.
func (g *group) leftCounty(h *draft, by casework.Actor) error {
	standards, err := readStandards(g.w.tx)
	if err != nil {
		return err
	}
	if held, err := heldIn(g.w.tx, &h.rec); err != nil || len(held) == 0 {
		return err
	}
	if err := g.closeApplications(h.rec.Ref, by.Role, "已迁出本县,由迁入地接续"); err != nil {
		return err
	}
	return g.leaveHelp(h, leaving{cause: "moved_out", by: by, unwatched: true}, standards)
}
