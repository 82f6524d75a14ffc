package loop

import (
	"context"
	"slices"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// keep writes the losing value of a conflict into the record's bucket, with everything that a person needs to settle
// it. The id is derived from the cause, so that a replay cannot make two.
func (g *group) keep(l syncproto.Loser, d *draft) error {
	id := syncproto.DerivedID("conflict", string(l.Version.Stamp)+"|"+d.rec.Ref.String()+"|"+l.Field)
	field := l.Field
	if field == "" {
		field = syncproto.FieldDeleted
	}
	ref := syncproto.Ref{Kind: "conflict", ID: id}
	fields := map[string]any{"rec": d.rec.Ref.String(), "field": field, "base": optional(string(l.Base)), "state": "open",
		"loser": g.w.side(l.Value, l.Version), "winner": g.w.side(l.Winner, l.WinnerStamp)}
	_, err := g.serverPut(ref, d.rec.Root, d.bucket, syncproto.Fields(fields))
	return err
}

// side is one of the two values of a conflict, with its author.
func (w *work) side(value syncproto.Raw, v syncproto.Version) map[string]any {
	m := map[string]any{"stamp": string(v.Stamp), "time": v.Time, "author": w.author(v.Stamp)}
	if value != nil {
		m["value"] = value
	}
	return m
}

// author is the user behind a stamp: the device's, or "server".
func (w *work) author(s syncproto.Stamp) string {
	by, _, err := originOf(w.tx, s)
	if err != nil {
		return "server"
	}
	return by
}

// How a conflict can be settled.
const (
	ChoiceKeep  = "keep"  // what stands is right
	ChoiceTake  = "take"  // the value that lost is right
	ChoiceWrite = "write" // neither is: another one is written
)

// Choice settles a conflict. Value is for ChoiceWrite, in the open; nil removes the field.
type Choice struct {
	Conflict string
	Choice   string
	Value    any
}

func settledFields(w *work, user, choice string) map[string]any {
	if !slices.Contains([]string{ChoiceKeep, ChoiceTake, ChoiceWrite}, choice) {
		choice = ChoiceWrite // a device's own sets say what it wrote
	}
	return map[string]any{"settled_by": user, "settled_at": w.clockTime(), "choice": choice}
}

// SettleConflict ends a conflict from the desk, once. What is chosen is written as a new change on top of what stands, so
// that phones take it like any other. A phone settles one by a group of its own: the sets that it chose, and the act
// "settle" on the conflict.
func (l *Loop) SettleConflict(ctx context.Context, by casework.Actor, in Choice) error {
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		ref := syncproto.Ref{Kind: "conflict", ID: in.Conflict}
		d, err := g.visible(by, casework.VerbSettleConflict, ref)
		if err != nil {
			return err
		}
		if err := g.step(d, "settle", by.Role, casework.Facts{}, settledFields(w, by.UserID, in.Choice)); err != nil {
			return err
		}
		if in.Choice != ChoiceKeep {
			if err := g.choose(d, in); err != nil {
				return err
			}
		}
		w.auditBy(by, "settle_conflict", ref, d.rec.Root, map[string]any{"choice": in.Choice})
		return g.commit()
	})
}

// choose writes the value that a settled conflict is to leave on record.
func (g *group) choose(conflict *draft, in Choice) error {
	rec, err := syncproto.ParseRef(conflict.rec.Body.Str("rec"))
	if err != nil {
		return err
	}
	field := conflict.rec.Body.Str("field")
	d, err := g.open(rec)
	if err == nil && d.exists {
		d, err = g.standing(d)
	}
	if err != nil {
		return err
	}
	switch {
	case !d.exists || d.rec.Deleted:
		return casework.NewError(casework.CodeInvalidValue, "这条记录已删除,只能保留现状;需要时请重新登记。")
	case field == syncproto.FieldDeleted && in.Choice == ChoiceTake:
		return g.erase(d)
	case field == syncproto.FieldDeleted:
		return casework.NewError(casework.CodeInvalidValue, "这是删除与修改的冲突,请选择保留或删除。")
	case policyOf(rec.Kind, field) == syncproto.PolicyOnce && d.rec.Body.Has(field):
		return casework.NewError(casework.CodeInvalidValue, "这一项登记后不能更改,只能保留现值。")
	}
	value, err := g.chosen(conflict, rec, d, field, in)
	if err != nil {
		return err
	}
	_, err = g.serverSet(d.rec.Ref, map[string]any{field: value})
	return err
}

// chosen is the value to write to d, nil for none. A sealed value of the conflict was sealed for the record that the
// conflict names, which may have been merged into d since.
func (g *group) chosen(conflict *draft, rec syncproto.Ref, d *draft, field string, in Choice) (any, error) {
	if in.Choice == ChoiceTake {
		loser, err := syncproto.ParseObject(conflict.rec.Body.Get("loser"))
		if err != nil || !loser.Has("value") {
			return nil, err
		}
		if rec == d.rec.Ref {
			return loser.Get("value"), nil
		}
		ring, sealer, err := g.keys(d.rec.Root, d.bucket)
		if err != nil {
			return nil, err
		}
		return transplant(ring, sealer, rec, d.rec.Ref, field, loser.Get("value")), nil
	}
	if in.Value == nil {
		return nil, nil
	}
	raw, err := syncproto.Value(in.Value)
	if err != nil {
		return nil, casework.NewError(casework.CodeInvalidValue, "填写的值不正确,请检查后重填。")
	}
	if raw, err = g.closed(d.rec.Ref, d.rec.Root, d.bucket, field, raw); err != nil {
		return nil, err
	}
	return raw, casework.CheckValue(d.rec.Kind, field, raw)
}

// erase deletes a record as it stands.
func (g *group) erase(d *draft) error {
	c := &syncproto.Change{Op: syncproto.OpDelete, Ref: d.rec.Ref, Base: map[string]syncproto.Stamp{}}
	for _, f := range d.rec.Body {
		c.Base[f.Name] = d.rec.Of(f.Name).Stamp
	}
	for _, f := range d.rec.Fields {
		c.Base[f.Name] = f.Stamp
	}
	_, err := g.server(c, d.rec.Root, d.bucket)
	return err
}
