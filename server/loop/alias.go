package loop

import (
	"aidloop/syncproto"
)

// maxAliases bounds how often a root may have been merged into another that was merged in turn.
const maxAliases = 16

// rootOf is the root under which the records of a root lie today: a household that was merged into another, and a lead
// that was linked to a household, lie under that one.
func (g *group) rootOf(root syncproto.Ref) (syncproto.Ref, error) {
	for range maxAliases {
		next := root
		if d, ok := g.staged[root]; ok && d.exists {
			next = d.rec.Root
		} else if s, err := g.w.stored(root); err != nil {
			return root, err
		} else if s != nil {
			next = s.Root
		}
		if next == root || next == (syncproto.Ref{}) {
			break
		}
		root = next
	}
	return root, nil
}

// standing follows a household or person to the one that it was merged into; anything else stands for itself.
func (g *group) standing(d *draft) (*draft, error) {
	for range maxAliases {
		into := d.rec.Body.Str(mergedInto)
		if into == "" || !mergeable(d.rec.Kind) {
			break
		}
		next, err := g.open(syncproto.Ref{Kind: d.rec.Kind, ID: into})
		if err != nil || !next.exists {
			return d, err
		}
		d = next
	}
	return d, nil
}

// mergedInto is the field that makes a record an alias of another.
const mergedInto = "merged_into"

func mergeable(kind string) bool { return kind == "household" || kind == "person" }

// transplant is a value as another record of the same kind would hold it: a sealed one is opened and sealed anew for
// its new place. One that nobody can open stays as it is.
func transplant(ring *syncproto.Keyring, sealer *syncproto.Sealer, from, to syncproto.Ref, field string, v syncproto.Raw) syncproto.Raw {
	if v == nil || !syncproto.IsSealed(v) {
		return v
	}
	open, err := ring.Open(from, field, v)
	if err != nil {
		return v
	}
	return sealer.Seal(to, field, open)
}

// redirect keeps what a device wrote to a record that was merged into another while the device did not know: nobody
// compared it with the other one, so that every differing value becomes a conflict there.
func (t *trial) redirect(c *syncproto.Change, alias *draft, v syncproto.Version) (syncproto.ChangeStatus, error) {
	m := syncproto.Merge(alias.current(), t.root, c, v, false, t.g.rules(t.root, t.bucket))
	if err := refusal(m.Code); err != nil {
		return "", err
	}
	into, err := t.g.standing(alias)
	if err != nil {
		return "", err
	}
	ring, sealer, err := t.g.keys(t.root, t.bucket)
	if err != nil {
		return "", err
	}
	for _, f := range c.Fields {
		t.g.w.l.recallCaseKey(ring, syncproto.SealedBy(f.Value), t.root, c.Ref)
	}
	status := syncproto.StatusMerged
	lose := func(field string, value syncproto.Raw) error {
		have := into.rec.Body.Get(field)
		if field != "" && same(field, place{ring, into.rec.Ref}, have, place{ring, c.Ref}, value) {
			return nil
		}
		status = syncproto.StatusConflict
		t.conflicts++
		return t.g.keep(syncproto.Loser{Field: field, Value: transplant(ring, sealer, c.Ref, into.rec.Ref, field, value), Version: v,
			Base: c.Base[field], Winner: have, WinnerStamp: into.rec.Of(field), Newcomer: true}, into)
	}
	if c.Op == syncproto.OpDelete {
		return syncproto.StatusConflict, lose("", nil)
	}
	for _, f := range c.Fields {
		if err := lose(f.Name, f.Value); err != nil {
			return "", err
		}
	}
	for _, f := range c.Clear {
		if err := lose(f, nil); err != nil {
			return "", err
		}
	}
	return status, nil
}

// place is where a value lies: its record, and the ring that opens it there.
type place struct {
	ring *syncproto.Keyring
	ref  syncproto.Ref
}

// same compares a field's values of two records; sealed ones are opened, each in its place.
func same(field string, a place, x syncproto.Raw, b place, y syncproto.Raw) bool {
	if x == nil || y == nil {
		return x == nil && y == nil
	}
	p, errP := a.ring.Open(a.ref, field, x)
	q, errQ := b.ring.Open(b.ref, field, y)
	return errP == nil && errQ == nil && string(p) == string(q)
}
