package loop

import (
	"context"
	"slices"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Merged is what a reviewer has to look at after two households became one, or one moved.
type Merged struct {
	Conflicts int      // values that differed; the other one is kept as a conflict
	Persons   int      // people who were on record twice
	Reassign  []string // leads whose worker has no grant where the household lies now
}

// MergeHouseholds makes one household of two that are the same people (found by Duplicates, or by a reviewer). All
// records of from move under into, with their keys and histories; from itself stays as an alias for ever, so that what
// phones still capture under it arrives. Values that into lacks are taken over, differing ones become conflicts, people
// with the same identity number become one.
func (l *Loop) MergeHouseholds(ctx context.Context, by casework.Actor, from, into, reason string) (*Merged, error) {
	reason = clipRunes(reason, 500)
	if reason == "" {
		return nil, casework.NewError(casework.CodeInvalidValue, "请写明合并原因。")
	}
	var out *Merged
	err := l.run(ctx, func(w *work) error {
		out = &Merged{Reassign: []string{}}
		m := &merger{g: w.newGroup(), out: out}
		if err := m.open(by, from, into); err != nil {
			return err
		}
		if err := m.absorb(m.from, m.into); err != nil {
			return err
		}
		if err := m.people(); err != nil {
			return err
		}
		if err := m.g.moveRoot(m.from.rec.Ref, m.into.rec.Ref, m.into.bucket); err != nil {
			return err
		}
		if err := m.g.relink(m.into, out); err != nil {
			return err
		}
		w.auditBy(by, "merge_households", m.into.rec.Ref, m.into.rec.Ref, map[string]any{"from": from, "reason": reason, "conflicts": out.Conflicts})
		return m.g.commit()
	})
	return out, err
}

// merger is one merge under way.
type merger struct {
	g          *group
	from, into *draft
	old, ring  *syncproto.Keyring // of from and of into
	sealer     *syncproto.Sealer
	out        *Merged
}

func (m *merger) open(by casework.Actor, from, into string) (err error) {
	if m.from, err = m.g.household(by, casework.VerbMergeHouseholds, from); err != nil {
		return err
	}
	if m.into, err = m.g.household(by, casework.VerbMergeHouseholds, into); err != nil {
		return err
	}
	if from == into {
		return casework.NewError(casework.CodeInvalidValue, "请选择两个不同的家庭。")
	}
	if m.old, err = m.g.ring(m.from.rec.Ref, m.from.bucket); err != nil {
		return err
	}
	if m.ring, err = m.g.ring(m.into.rec.Ref, m.into.bucket); err != nil {
		return err
	}
	m.sealer, err = m.g.current(m.into.rec.Ref, m.ring)
	return err
}

// household is a household that stands, for a verb of the desk.
func (g *group) household(by casework.Actor, verb casework.Verb, id string) (*draft, error) {
	d, err := g.visible(by, verb, syncproto.Ref{Kind: "household", ID: id})
	if err == nil && d.rec.Body.Has(mergedInto) {
		err = casework.NewError(casework.CodeInvalidTransition, "这个家庭已经合并到另一个家庭。")
	}
	return d, err
}

// absorb makes one record an alias of another of its kind. Its own values stay on it, as its history does.
func (m *merger) absorb(from, into *draft) error {
	add := map[string]any{}
	for _, f := range from.rec.Body {
		have := into.rec.Body.Get(f.Name)
		switch {
		case f.Name == "categories":
			add[f.Name] = union(have, f.Value)
		case policyOf(into.rec.Kind, f.Name) == syncproto.PolicyServer, f.Name == "household",
			same(f.Name, place{m.old, from.rec.Ref}, f.Value, place{m.ring, into.rec.Ref}, have):
		default:
			value := transplant(m.old, m.sealer, from.rec.Ref, into.rec.Ref, f.Name, f.Value)
			if have == nil {
				add[f.Name] = value
				continue
			}
			m.out.Conflicts++
			err := m.g.keep(syncproto.Loser{Field: f.Name, Value: value, Version: from.rec.Of(f.Name), Winner: have, WinnerStamp: into.rec.Of(f.Name)}, into)
			if err != nil {
				return err
			}
		}
	}
	if _, err := m.g.serverSet(into.rec.Ref, add); err != nil {
		return err
	}
	_, err := m.g.serverSet(from.rec.Ref, map[string]any{"state": "merged", mergedInto: into.rec.ID})
	return err
}

// union joins two lists of codes.
func union(a, b syncproto.Raw) []any {
	var list []any
	for _, raw := range append(a.Items(), b.Items()...) {
		if v, err := raw.Decode(); err == nil && !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

// people merges whoever is in both households under one identity number.
func (m *merger) people() error {
	known := map[string]*draft{}
	err := m.each(m.into.rec.Ref, m.ring, func(p *draft, blind string) error {
		known[blind] = p
		return nil
	})
	if err != nil {
		return err
	}
	return m.each(m.from.rec.Ref, m.old, func(p *draft, blind string) error {
		twin := known[blind]
		if twin == nil {
			return nil
		}
		m.out.Persons++
		return m.absorb(p, twin)
	})
}

// each hands over the people of a household whose identity number can be read, with its blind index.
func (m *merger) each(root syncproto.Ref, ring *syncproto.Keyring, fn func(p *draft, blind string) error) error {
	var refs []syncproto.Ref
	err := m.g.w.tx.ByRoot(root, "person", func(s *Stored) error {
		refs = append(refs, s.Ref)
		return nil
	})
	if err != nil {
		return err
	}
	for _, ref := range refs {
		p, err := m.g.open(ref)
		if err != nil {
			return err
		}
		blind := m.g.w.l.blindOf(ring, p, "id_no")
		if blind == "" || p.rec.Body.Has(mergedInto) {
			continue
		}
		if err := fn(p, blind); err != nil {
			return err
		}
	}
	return nil
}

// relink lets the leads that moved with a household say so, and lists those whose worker cannot see them any more.
func (g *group) relink(home *draft, out *Merged) error {
	for _, d := range slices.Clone(g.order) {
		if d.rec.Kind != "lead" || d.rec.Root != home.rec.Ref || d.rec.Deleted {
			continue
		}
		if _, err := g.serverSet(d.rec.Ref, map[string]any{"household": home.rec.ID}); err != nil {
			return err
		}
		if !slices.Contains([]string{"assigned", "visiting", "returned"}, d.rec.Body.Str("state")) {
			continue
		}
		grants, err := g.w.l.grants(g.w.tx, d.rec.Body.Str("assignee"))
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(grants, func(x grantView) bool { return x.active && x.bucket == home.bucket }) {
			out.Reassign = append(out.Reassign, d.rec.ID)
		}
	}
	return nil
}

// Twins are people on record in several households under one identity number.
type Twins struct {
	Persons    []syncproto.Ref
	Households []string
}

// Duplicates lists who is on record in more than one household, at most limit, behind after (a token of the former
// page). Only what the caller may merge is shown.
func (l *Loop) Duplicates(ctx context.Context, by casework.Actor, after string, limit int) (list []Twins, next string, err error) {
	if limit <= 0 || limit > 500 {
		limit = 50
	}
	err = l.store.Read(ctx, func(tx ReadTx) error {
		list, next = []Twins{}, after
		for len(list) < limit {
			groups, err := tx.Twins("person", next, limit)
			if err != nil || len(groups) == 0 {
				next = ""
				return err
			}
			for _, g := range groups {
				next = g.Index
				t, err := l.twins(tx, by, g.Refs)
				if err != nil {
					return err
				}
				if len(t.Households) > 1 {
					list = append(list, t)
				}
				if len(list) == limit {
					return nil
				}
			}
		}
		return nil
	})
	return list, next, err
}

func (l *Loop) twins(tx ReadTx, by casework.Actor, refs []syncproto.Ref) (t Twins, err error) {
	for _, ref := range refs {
		s, err := tx.Record(ref)
		if err != nil {
			return t, err
		}
		if s.Deleted || by.May(casework.VerbMergeHouseholds, casework.Subject{Kind: "household", Region: regionOf(s.Bucket)}) != nil {
			continue
		}
		t.Persons = append(t.Persons, ref)
		if !slices.Contains(t.Households, s.Root.ID) {
			t.Households = append(t.Households, s.Root.ID)
		}
	}
	return t, nil
}
