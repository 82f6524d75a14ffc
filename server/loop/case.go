package loop

import (
	"cmp"
	"context"
	"slices"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Entity is one record as the desk shows it: its fields, opened where the caller may open them, and for every field
// who wrote it and when.
type Entity struct {
	Ref     syncproto.Ref
	Fields  map[string]any
	Sealed  []string // names of fields that the caller may not open
	Written map[string]Written
}

// Written says who wrote a field, and when as the server takes it.
type Written struct {
	By string `json:"by"` // a user id, or "server"
	At int64  `json:"at"` // milliseconds since 1970 UTC
	// Times are given of the record that the page is about.
	Times *Times `json:"times,omitempty"`
}

// Case is everything about one visit, application, lead, disposition or referral that a desk needs to decide on it.
type Case struct {
	Record      Entity
	Related     []Entity // every other record of the same root that bears on it
	Form        *casework.Form
	Differences []casework.Difference // of a visit or an application, from the household's record
	Conflicts   []Entity
	History     []Audit
	Past        []PastVersion
	Times       *VisitTimes // of a visit
}

// PastVersion is what single fields of the record were before they were written anew.
type PastVersion struct {
	At      int64
	By      string
	Changed map[string]any // field → the former value; nil for a field that was not there
}

// Case opens a case record for the desk. Opening sealed fields is audited in the same transaction.
func (l *Loop) Case(ctx context.Context, by casework.Actor, ref syncproto.Ref) (*Case, error) {
	var out *Case
	err := l.run(ctx, func(w *work) error {
		out = &Case{}
		g := w.newGroup()
		d, err := g.visible(by, casework.VerbReadCase, ref)
		if err != nil {
			return err
		}
		ring := &syncproto.Keyring{}
		subject := subjectOf(ref.Kind, d.bucket, d.rec.Body)
		sealed := by.May(casework.VerbReadSealed, subject) == nil
		if sealed {
			if ring, err = g.ring(d.rec.Root, d.bucket); err != nil {
				return err
			}
			w.auditBy(by, "reveal", ref, d.rec.Root, nil)
		}
		return w.fill(out, by, d, ring)
	})
	return out, err
}

func (w *work) fill(out *Case, by casework.Actor, d *draft, ring *syncproto.Keyring) error {
	out.Record = w.entity(ring, d.rec)
	var aliases []syncproto.Ref // households that were merged into this one
	err := w.tx.ByRoot(d.rec.Root, "", func(s *Stored) error {
		rec, err := parseStored(s)
		if err == nil && s.Ref.Kind == "household" && s.Ref != d.rec.Root {
			aliases = append(aliases, s.Ref)
		}
		if err != nil || s.Ref == d.rec.Ref || !bears(by, d, rec) {
			return err
		}
		e := w.entity(ring, *rec)
		if s.Ref.Kind == "conflict" {
			out.Conflicts = append(out.Conflicts, e)
		} else {
			out.Related = append(out.Related, e)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if d.rec.Kind == "visit" || d.rec.Kind == "application" {
		if err := w.compare(out, d, ring); err != nil {
			return err
		}
	}
	if by.Role == casework.RoleDeptOfficer {
		return nil
	}
	if err := w.times(out, d); err != nil {
		return err
	}
	for _, root := range append(aliases, d.rec.Root) {
		history, err := w.tx.Audit(root, 0, 200)
		if err != nil {
			return err
		}
		out.History = append(out.History, history...)
	}
	slices.SortFunc(out.History, func(a, b Audit) int { return cmp.Compare(b.ID, a.ID) })
	return w.tx.History(d.rec.Ref, func(p Past) error {
		v, err := w.pastVersion(p, out.Record, ring)
		out.Past = append(out.Past, v)
		return err
	})
}

// times tells when every field of the record was written, and when a visit was.
func (w *work) times(out *Case, d *draft) (err error) {
	p := newProvenance(w.tx)
	for name, written := range out.Record.Written {
		v := d.rec.Of(name)
		t, err := p.of(v.Stamp, v.Time)
		if err != nil {
			return err
		}
		written.Times = &t
		out.Record.Written[name] = written
	}
	if d.rec.Kind == "visit" {
		out.Times, err = p.visit(&d.rec)
	}
	return err
}

// bears reports whether a record of the same root belongs on the page. A department sees the household, the
// disposition behind its referral, or the lead where it was sent that, and what an order is about, not the visits and other departments' affairs.
func bears(by casework.Actor, d *draft, rec *syncproto.Record) bool {
	if rec.Kind == "key" {
		return false
	}
	if by.Role == casework.RoleDeptOfficer {
		sent := rec.Kind == "lead" && d.rec.Kind == "referral" && rec.ID == d.rec.Body.Str("lead") && d.rec.Body.Str("disposition") == ""
		return sent || rec.Kind == "household" || rec.Kind == "person" || rec.Kind == "disposition" && rec.ID == d.rec.Body.Str("disposition") ||
			rec.ID == d.rec.Body.Str("about")
	}
	switch rec.Kind {
	case "evidence":
		return d.rec.Kind != "visit" || rec.Body.Str("visit") == d.rec.ID
	case "conflict":
		return rec.Body.Str("rec") == d.rec.Ref.String() || d.rec.Kind != "visit"
	}
	return true
}

func parseStored(s *Stored) (*syncproto.Record, error) {
	env, err := syncproto.ParseEnvelope(s.Env)
	if err != nil {
		return nil, err
	}
	body, err := syncproto.ParseObject(s.Body)
	if err != nil {
		return nil, err
	}
	return &syncproto.Record{Envelope: env, Body: body}, nil
}

func (w *work) entity(ring *syncproto.Keyring, rec syncproto.Record) Entity {
	e := Entity{Ref: rec.Ref, Fields: opened(ring, rec.Ref, rec.Body), Written: map[string]Written{}}
	for _, f := range rec.Body {
		v := rec.Of(f.Name)
		e.Written[f.Name] = Written{By: w.author(v.Stamp), At: v.Time}
		if _, ok := e.Fields[f.Name]; !ok {
			e.Sealed = append(e.Sealed, f.Name)
		}
	}
	e.openInside(ring, rec.Body)
	return e
}

// openInside opens the sealed values that conflicts and amendments carry for another record. What cannot be opened is
// left out, and its member of the entity is named in Sealed.
func (e *Entity) openInside(ring *syncproto.Keyring, body syncproto.Object) {
	about, err := syncproto.ParseRef(body.Str("rec"))
	if err != nil {
		return
	}
	inside := func(name string, fieldOf func(string) string) {
		values, err := syncproto.ParseObject(body.Get(name))
		m, ok := e.Fields[name].(map[string]any)
		if err != nil || !ok {
			return
		}
		for _, v := range values {
			if !syncproto.IsSealed(v.Value) {
				continue
			}
			delete(m, v.Name)
			if raw, err := ring.Open(about, fieldOf(v.Name), v.Value); err != nil {
				e.Sealed = append(e.Sealed, name)
			} else if x, err := raw.Decode(); err == nil {
				m[v.Name] = x
			}
		}
	}
	switch e.Ref.Kind {
	case "conflict":
		for _, side := range []string{"loser", "winner"} {
			inside(side, func(string) string { return body.Str("field") })
		}
	case "amendment":
		inside("fields", func(name string) string { return name })
	}
}

// compare adds the form of a visit or an application and its differences from the household's record.
func (w *work) compare(out *Case, d *draft, ring *syncproto.Keyring) error {
	form, err := formOf(w.stored, d.rec.Body)
	if casework.CodeOf(err) == "form_unknown" {
		return nil
	}
	if err != nil {
		return err
	}
	out.Form = form
	household, persons, err := caseRecords(w.tx, ring, d.rec.Root)
	if err != nil {
		return err
	}
	out.Differences = casework.Differences(form, answersOf(form, out.Record.Fields), household, persons)
	return nil
}

func (w *work) pastVersion(p Past, now Entity, ring *syncproto.Keyring) (PastVersion, error) {
	v := PastVersion{At: p.At, By: w.author(p.By), Changed: map[string]any{}}
	body, err := syncproto.ParseObject(p.Body)
	if err != nil {
		return v, err
	}
	was := opened(ring, p.Ref, body)
	for name := range now.Fields {
		if old, ok := was[name]; !ok {
			v.Changed[name] = nil
		} else if string(body.Get(name)) != string(mustRaw(now.Fields[name])) {
			v.Changed[name] = old
		}
	}
	return v, nil
}

// mustRaw writes a value that came out of a body; what cannot be written compares as different.
func mustRaw(v any) syncproto.Raw {
	raw, err := syncproto.Value(v)
	if err != nil {
		return nil
	}
	return raw
}

// Scope lists the buckets that a user's devices may hold.
func (l *Loop) Scope(ctx context.Context, user string) (scope []string, err error) {
	err = l.store.Read(ctx, func(tx ReadTx) error {
		scope, err = l.scope(tx, user)
		return err
	})
	return scope, err
}
