package loop

import (
	"context"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// amend keeps what was written to an approved record as a proposal. Accepting it writes the fields with these stamps.
func (t *trial) amend(c *syncproto.Change, d *draft, v syncproto.Version) error {
	base := make(map[string]any, len(c.Base))
	for f, s := range c.Base {
		base[f] = string(s)
	}
	clear := make([]any, len(c.Clear))
	for i, f := range c.Clear {
		clear[i] = f
	}
	ref := syncproto.Ref{Kind: "amendment", ID: syncproto.DerivedID("amendment", string(v.Stamp))}
	_, err := t.g.serverPut(ref, t.root, t.bucket, syncproto.Fields(map[string]any{"rec": d.rec.Ref.String(),
		"op": string(c.Op), "fields": c.Fields, "clear": clear, "base": base, "stamp": string(v.Stamp), "time": v.Time,
		"proposed_by": t.j.dev.User, "state": "open"}))
	return err
}

// DecideAmendment accepts or rejects a correction to an approved visit. Accepting writes the fields with the stamps and
// times of their capture; what somebody else wrote meanwhile is kept as a conflict, as everywhere. The household's
// record follows the visit again. The author is told either way.
func (l *Loop) DecideAmendment(ctx context.Context, by casework.Actor, id string, accept bool, reason string) error {
	reason = clipRunes(reason, 500)
	if !accept && reason == "" {
		return casework.NewError(casework.CodeInvalidValue, "请写明不采纳的原因。")
	}
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		ref := syncproto.Ref{Kind: "amendment", ID: id}
		d, err := g.visible(by, casework.VerbAmend, ref)
		if err != nil {
			return err
		}
		action, title := "reject", "更正未采纳"
		if accept {
			action, title = "accept", "更正已采纳"
		}
		fields := map[string]any{"decided_by": by.UserID, "decided_at": w.clockTime(), "reason": optional(reason)}
		if err := g.step(d, action, by.Role, casework.Facts{}, fields); err != nil {
			return err
		}
		if accept {
			if err := g.amended(d); err != nil {
				return err
			}
		}
		w.auditBy(by, action+"_amendment", ref, d.rec.Root, nil)
		if err := g.notify(d.rec.Body.Str("proposed_by"), "amendment", title, reason, ref); err != nil {
			return err
		}
		return g.commit()
	})
}

// amended writes an accepted amendment.
func (g *group) amended(amendment *draft) error {
	c, v, err := amendedChange(amendment.rec.Body)
	if err != nil {
		return err
	}
	d, err := g.live(c.Ref)
	if err != nil {
		return err
	}
	for field, base := range c.Base { // a successor is never older than what it succeeds
		if at := d.rec.Of(field); base == at.Stamp {
			v.Time = min(max(v.Time, at.Time), g.w.now)
		}
	}
	m, d, err := g.merge(c, d.rec.Root, d.bucket, v, false)
	if err != nil {
		return err
	}
	if m.Code != "" {
		return casework.NewError(casework.CodeInvalidValue, m.Code.Words())
	}
	for _, l := range m.Losers {
		if err := g.keep(l, d); err != nil {
			return err
		}
	}
	if d.rec.Kind != "visit" || d.rec.Deleted || d.rec.Body.Str("state") != "approved" {
		return nil
	}
	return g.carryOver(d)
}

// amendedChange is the change that an amendment holds, with its first stamp and time.
func amendedChange(b syncproto.Object) (*syncproto.Change, syncproto.Version, error) {
	v := syncproto.Version{Stamp: syncproto.Stamp(b.Str("stamp")), Time: b.Int("time")}
	rec, err := syncproto.ParseRef(b.Str("rec"))
	if err != nil {
		return nil, v, err
	}
	c := &syncproto.Change{Op: syncproto.Op(b.Str("op")), Ref: rec, Base: map[string]syncproto.Stamp{}}
	if c.Fields, err = syncproto.ParseObject(b.Get("fields")); err != nil {
		return nil, v, err
	}
	base, err := syncproto.ParseObject(b.Get("base"))
	if err != nil {
		return nil, v, err
	}
	for _, m := range base {
		c.Base[m.Name] = syncproto.Stamp(base.Str(m.Name))
	}
	for _, f := range b.Get("clear").Items() {
		c.Clear = append(c.Clear, f.Str())
	}
	return c, v, nil
}
