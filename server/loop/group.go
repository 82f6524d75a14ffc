package loop

import (
	"errors"
	"slices"

	"aidloop/syncproto"
)

// group is a set of changes that get one seq per bucket. Everything is decided on copies first; commit writes. A
// device's group is one of these, and so is what a verb of the desk does.
type group struct {
	w         *work
	n         int    // numbers the groups of a transaction, from 1
	dseq      uint64 // of a device's group; 0 for the server's
	staged    map[syncproto.Ref]*draft
	order     []*draft
	lastStamp syncproto.Stamp
}

// draft is a record as the group will leave it.
type draft struct {
	rec    syncproto.Record
	bucket string
	exists bool // the record was there before, or an earlier change of the group made it
	dirty  bool
	before string // the state before the group, for what follows from a transition
}

// newGroup opens the transaction's next group.
func (w *work) newGroup() *group {
	w.groups++
	return &group{w: w, n: w.groups, staged: map[syncproto.Ref]*draft{}}
}

// open returns the record as the group sees it; exists is false where there is none yet.
func (g *group) open(ref syncproto.Ref) (*draft, error) {
	if d, ok := g.staged[ref]; ok {
		return d, nil
	}
	s, err := g.w.stored(ref)
	if err != nil {
		return nil, err
	}
	d := &draft{}
	if s != nil {
		env, err := syncproto.ParseEnvelope(s.Env)
		if err != nil {
			return nil, err
		}
		body, err := syncproto.ParseObject(s.Body)
		if err != nil {
			return nil, err
		}
		d = &draft{rec: syncproto.Record{Envelope: env, Body: body}, bucket: s.Bucket, exists: true, before: body.Str("state")}
	}
	g.staged[ref] = d
	g.order = append(g.order, d)
	return d, nil
}

// live is open for a record that must exist and not be deleted.
func (g *group) live(ref syncproto.Ref) (*draft, error) {
	d, err := g.open(ref)
	if err != nil {
		return nil, err
	}
	if !d.exists || d.rec.Deleted {
		return nil, ErrNotFound
	}
	return d, nil
}

// current is the record for Merge: nil where there is none.
func (d *draft) current() *syncproto.Record {
	if !d.exists {
		return nil
	}
	return &d.rec
}

// merge applies one put, set or delete to the draft.
func (g *group) merge(c *syncproto.Change, root syncproto.Ref, bucket string, v syncproto.Version, byServer bool) (syncproto.Merged, *draft, error) {
	d, err := g.open(c.Ref)
	if err != nil {
		return syncproto.Merged{}, nil, err
	}
	m := syncproto.Merge(d.current(), root, c, v, byServer, g.rules(root, bucket))
	if m.Code != "" {
		return m, d, nil
	}
	if !d.exists {
		d.bucket = bucket
	}
	d.rec, d.exists, d.dirty = *m.Record, true, d.dirty || m.Changed
	g.lastStamp = v.Stamp
	return m, d, nil
}

// serverPut creates a record on the server's own account.
func (g *group) serverPut(ref, root syncproto.Ref, bucket string, fields syncproto.Object) (*draft, error) {
	for i, f := range fields {
		var err error
		if fields[i].Value, err = g.closed(ref, root, bucket, f.Name, f.Value); err != nil {
			return nil, err
		}
	}
	return g.server(&syncproto.Change{Op: syncproto.OpPut, Ref: ref, Fields: fields}, root, bucket)
}

// serverSet writes fields on the server's own account, on top of what stands. Nil values clear a field; values that
// stand already are left alone.
func (g *group) serverSet(ref syncproto.Ref, fields map[string]any) (*draft, error) {
	d, err := g.live(ref)
	if err != nil {
		return nil, err
	}
	c := &syncproto.Change{Op: syncproto.OpSet, Ref: ref, Base: map[string]syncproto.Stamp{}}
	for name, value := range fields {
		if value == nil {
			if d.rec.Body.Has(name) {
				c.Clear = append(c.Clear, name)
				c.Base[name] = d.rec.Of(name).Stamp
			}
			continue
		}
		raw, err := syncproto.Value(value)
		if err != nil {
			return nil, err
		}
		if raw, err = g.closed(ref, d.rec.Root, d.bucket, name, raw); err != nil {
			return nil, err
		}
		if string(d.rec.Body.Get(name)) != string(raw) {
			c.Fields = c.Fields.With(name, raw)
			c.Base[name] = d.rec.Of(name).Stamp
		}
	}
	if len(c.Base) == 0 {
		return d, nil
	}
	return g.server(c, d.rec.Root, d.bucket)
}

var errServerChange = errors.New("the server's own change does not merge")

func (g *group) server(c *syncproto.Change, root syncproto.Ref, bucket string) (*draft, error) {
	stamp, err := g.w.number()
	if err != nil {
		return nil, err
	}
	m, d, err := g.merge(c, root, bucket, syncproto.Version{Stamp: stamp, Time: g.w.now}, true)
	if err != nil {
		return nil, err
	}
	if m.Code != "" || len(m.Losers) > 0 {
		return nil, errServerChange
	}
	return d, nil
}

// dirty reports whether the group will write to a bucket.
func (g *group) dirty(bucket string) bool {
	return slices.ContainsFunc(g.order, func(d *draft) bool { return d.dirty && d.bucket == bucket })
}

// commit writes every draft that changed, in the order of first touch.
func (g *group) commit() error {
	for _, d := range g.order {
		if !d.dirty {
			continue
		}
		if err := g.index(d); err != nil {
			return err
		}
		s := &Stored{Ref: d.rec.Ref, Root: d.rec.Root, Bucket: d.bucket, Env: d.rec.Envelope.Bytes(), Body: d.rec.Body.Bytes(),
			Deleted: d.rec.Deleted, Index: indexOf(d)}
		if err := g.w.put(g, s); err != nil {
			return err
		}
		d.dirty, d.before = false, d.rec.Body.Str("state")
	}
	return nil
}
