package loop

import (
	"context"
	"errors"
	"slices"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// After the database was put back from a backup, phones push again what they made. What the desk did in the time that
// was lost nobody can push again, but the phones had received it: they bring those rows back as witnesses. They are
// kept as they are, never applied, and what of them is still missing is shown to people.

// bearWitness keeps rows of a lost life, once each. A row that cannot be read says nothing and is passed over.
func (l *Loop) bearWitness(ctx context.Context, device string, rows []syncproto.Row) error {
	return l.run(ctx, func(w *work) error {
		for _, r := range rows {
			env, err := syncproto.ParseEnvelope(r.Envelope)
			if err != nil || syncproto.CheckCanonical(r.Body) != nil || len(r.Envelope)+len(r.Body) > syncproto.MaxGroupBytes {
				continue
			}
			x := Witness{Device: device, At: w.now, Ref: env.Ref, Env: slices.Clone(r.Envelope), Body: slices.Clone(r.Body)}
			if err := w.tx.PutWitness(x); err != nil {
				return err
			}
		}
		return nil
	})
}

// Lost is a value that phones received from a life of the database that was lost, and that is not on record.
type Lost struct {
	Ref     syncproto.Ref
	Root    syncproto.Ref
	Field   string
	Value   any    // nil for a removed or a sealed one
	Sealed  bool   // its value is sealed
	By      string // a user id, or "server"
	At      int64  // when it was written
	Device  string // that brought it back
	Arrived int64
}

// LostValues lists what the caller's region lost in restores and nobody has made good yet, behind after, from at most
// limit rows that phones brought back. What stands on record with the same value, or was made by a phone and has
// arrived again, is not listed any more.
func (l *Loop) LostValues(ctx context.Context, by casework.Actor, after int64, limit int) (list []Lost, next int64, err error) {
	if limit <= 0 || limit > 500 {
		limit = 200
	}
	err = l.store.Read(ctx, func(tx ReadTx) error {
		list, next = []Lost{}, 0
		rows, err := tx.Witnesses(after, limit)
		if err != nil {
			return err
		}
		for _, x := range rows {
			env, err := syncproto.ParseEnvelope(x.Env)
			if err != nil {
				return err
			}
			if by.May(casework.VerbReadLost, casework.Subject{Kind: "lost", Region: lostRegion(tx, x, env.Root)}) != nil {
				continue
			}
			if err := missing(tx, x, env, &list); err != nil {
				return err
			}
		}
		if len(rows) == limit {
			next = rows[limit-1].N
		}
		return nil
	})
	return list, next, err
}

// lostRegion is where a lost row belongs: where its record or root lies, else where its witness works.
func lostRegion(tx ReadTx, x Witness, root syncproto.Ref) string {
	for _, ref := range []syncproto.Ref{x.Ref, root} {
		if s, err := tx.Record(ref); err == nil && regionOf(s.Bucket) != "" {
			return regionOf(s.Bucket)
		}
	}
	return regionOfDevice(tx, x.Device)
}

// missing adds the fields of a witness that are not on record, and never were in this life.
func missing(tx ReadTx, x Witness, env syncproto.Envelope, list *[]Lost) error {
	was, err := syncproto.ParseObject(x.Body)
	if err != nil {
		return nil // it was canonical when it was kept, and no object: nothing to show
	}
	now, known, err := everKnown(tx, x.Ref)
	if err != nil {
		return err
	}
	for _, name := range written(was, env) {
		v := env.Of(name)
		if known[v.Stamp] || now != nil && string(now.Body.Get(name)) == string(was.Get(name)) {
			continue
		}
		by, arrived, err := originOf(tx, v.Stamp)
		if err != nil {
			return err
		}
		if arrived {
			origin, n, _ := v.Stamp.Split()
			gone, err := inGap(tx, origin, n)
			if err != nil {
				return err
			}
			if !gone { // a change that its phone declared lost never arrives
				continue
			}
		}
		value := was.Get(name)
		item := Lost{Ref: x.Ref, Root: env.Root, Field: name, Sealed: value != nil && syncproto.IsSealed(value), By: by, At: v.Time, Device: x.Device, Arrived: x.At}
		if value != nil && !item.Sealed {
			if item.Value, err = value.Decode(); err != nil {
				return err
			}
		}
		*list = append(*list, item)
	}
	return nil
}

// everKnown is a record, nil where there is none, with the stamps of all that it ever held.
func everKnown(tx ReadTx, ref syncproto.Ref) (now *syncproto.Record, known map[syncproto.Stamp]bool, err error) {
	known = map[syncproto.Stamp]bool{}
	learn := func(env syncproto.Envelope) {
		known[env.Version.Stamp] = true
		for _, f := range env.Fields {
			known[f.Stamp] = true
		}
	}
	s, err := tx.Record(ref)
	if errors.Is(err, ErrNotFound) {
		return nil, known, nil
	}
	if err == nil {
		now, err = parseStored(s)
	}
	if err != nil {
		return nil, nil, err
	}
	learn(now.Envelope)
	return now, known, tx.History(ref, func(p Past) error {
		env, err := syncproto.ParseEnvelope(p.Env)
		learn(env)
		return err
	})
}

// written names the fields that a record has, and those that were removed from it.
func written(body syncproto.Object, env syncproto.Envelope) (names []string) {
	for _, f := range body {
		names = append(names, f.Name)
	}
	for _, f := range env.Fields {
		if !body.Has(f.Name) {
			names = append(names, f.Name)
		}
	}
	return names
}

// originOf says who made a change, and whether it is a phone's that is on record (again).
func originOf(tx ReadTx, s syncproto.Stamp) (by string, arrived bool, err error) {
	origin, n, _ := s.Split()
	d, err := tx.Device(origin)
	if errors.Is(err, ErrNotFound) {
		return "server", false, nil
	}
	if err != nil {
		return "", false, err
	}
	return d.User, n <= d.Have, nil
}
