package loop

import (
	"context"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Transfer hands a lead to another town of the county, for instance where the person has moved. The clock is not
// reset: the deadline stays what it was. A lead that a worker had already leaves the household's case with its tasks
// cancelled; the other town assigns it anew.
func (l *Loop) Transfer(ctx context.Context, by casework.Actor, lead, town, reason string) error {
	reason = clipRunes(reason, 500)
	if reason == "" {
		return casework.NewError("invalid_value", "请写明移交原因。")
	}
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		ref := syncproto.Ref{Kind: "lead", ID: lead}
		d, err := g.visible(by, casework.VerbTransfer, ref)
		if err != nil {
			return err
		}
		if err := w.townOf(by, d, town); err != nil {
			return err
		}
		err = g.step(d, "transfer", by.Role, casework.Facts{}, map[string]any{"town": town, "assignee": nil, "grid": nil, "village": nil})
		if err != nil {
			return err
		}
		if err := g.takeOut(d, syncproto.BucketDesk+town); err != nil {
			return err
		}
		w.auditBy(by, "transfer", ref, ref, map[string]any{"town": town, "reason": reason})
		return g.commit()
	})
}

// townOf insists on another town of the same county.
func (w *work) townOf(by casework.Actor, d *draft, town string) error {
	s, err := w.stored(syncproto.Ref{Kind: "region", ID: town})
	if err != nil {
		return err
	}
	county := casework.CountyOf(by.Region)
	if s == nil || s.Deleted || !casework.Covers(county, town) || casework.RegionPrefix(town) != town[:9] || d.rec.Body.Str("town") == town {
		return casework.NewError("invalid_value", "请选择本县的另一个镇(街道)。")
	}
	return nil
}

// takeOut makes a lead its own root again, in another bucket: with its key, and without the tasks that it led to,
// which are cancelled where they are.
func (g *group) takeOut(d *draft, bucket string) error {
	err := g.eachTask(d, func(t *draft) error {
		_, err := g.serverSet(t.rec.Ref, map[string]any{"state": "cancelled"})
		return err
	})
	if err != nil {
		return err
	}
	key, err := g.live(keyRef(d.rec.Ref))
	if err != nil {
		return err
	}
	if key.bucket != bucket {
		if err := g.rewrapRecord(key, bucket); err != nil {
			return err
		}
	}
	if err := g.remember(d, bucket); err != nil {
		return err
	}
	from := d.rec.Root
	for _, x := range []*draft{key, d} {
		x.bucket, x.rec.Root, x.dirty = bucket, d.rec.Ref, true
	}
	delete(g.w.rings, from)
	delete(g.w.rings, d.rec.Ref)
	return nil
}

// MarkDuplicate ends a lead that says what another open one says already.
func (l *Loop) MarkDuplicate(ctx context.Context, by casework.Actor, lead, of string) error {
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		ref := syncproto.Ref{Kind: "lead", ID: lead}
		d, err := g.visible(by, casework.VerbMarkDuplicate, ref)
		if err != nil {
			return err
		}
		other, err := g.visible(by, casework.VerbReadCase, syncproto.Ref{Kind: "lead", ID: of})
		if err != nil {
			return err
		}
		if of == lead || other.rec.Body.Str("state") == "duplicate" {
			return casework.NewError("invalid_value", "请选择另一条未标为重复的线索。")
		}
		if err := g.step(d, "mark_duplicate", by.Role, casework.Facts{}, map[string]any{"duplicate_of": of}); err != nil {
			return err
		}
		w.auditBy(by, "mark_duplicate", ref, d.rec.Root, map[string]any{"of": of})
		return g.commit()
	})
}
