package loop

import (
	"bytes"
	"context"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Edition is one version of a record: who wrote what in it, from where and when. Sealed values stay closed.
type Edition struct {
	N       int // from 1
	Stamp   syncproto.Stamp
	By      string // a user id, or "server"
	Device  string // "" for the server's own
	At      int64  // when it was committed, milliseconds
	Times   Times
	Deleted bool
	Set     map[string]any // fields written, in the open
	Sealed  []string       // fields written whose values are sealed
	Cleared []string       // fields removed
	Server  []string       // of all those, what the server wrote in the same step where a device did the rest
}

// maxEditions bounds a page of a record's history.
const maxEditions = 200

// History lists the versions of a record behind number after, oldest first, at most limit. Next continues the list; it is
// 0 at its end. Whoever may read the case may read it; keys have none to show.
func (l *Loop) History(ctx context.Context, by casework.Actor, ref syncproto.Ref, after, limit int) (list []Edition, next int, err error) {
	if limit <= 0 || limit > maxEditions {
		limit = maxEditions
	}
	err = l.store.Read(ctx, func(tx ReadTx) error {
		list, next = []Edition{}, 0
		s, err := tx.Record(ref)
		if err != nil {
			return err
		}
		body, err := syncproto.ParseObject(s.Body)
		if err != nil {
			return err
		}
		if ref.Kind == "key" {
			return ErrNotFound
		}
		if err := by.May(casework.VerbReadHistory, subjectOf(ref.Kind, s.Bucket, body)); err != nil {
			return err
		}
		h := &historian{tx: tx, p: newProvenance(tx), after: after, limit: limit}
		err = tx.History(ref, func(p Past) error {
			return h.version(Past{Ref: p.Ref, Env: bytes.Clone(p.Env), Body: bytes.Clone(p.Body), By: p.By, At: p.At})
		})
		if err == nil {
			err = h.version(Past{Ref: ref, Env: s.Env, Body: s.Body})
		}
		list = append(list, h.list...)
		if h.n > after+len(list) && len(list) > 0 {
			next = after + len(list)
		}
		return err
	})
	return list, next, err
}

// historian goes through a record's versions in order.
type historian struct {
	tx           ReadTx
	p            *provenance
	after, limit int
	n            int
	body         syncproto.Object // of the version before
	env          syncproto.Envelope
	by           syncproto.Stamp // the change that led to the version that comes next
	at           int64
	list         []Edition
}

// version takes the next version: its bytes, and what replaced it.
func (h *historian) version(v Past) error {
	h.n++
	env, err := syncproto.ParseEnvelope(v.Env)
	if err != nil {
		return err
	}
	body, err := syncproto.ParseObject(v.Body)
	if err != nil {
		return err
	}
	before, was, by, at := h.body, h.env, h.by, h.at
	h.body, h.env, h.by, h.at = body, env, v.By, v.At
	if h.n <= h.after || len(h.list) >= h.limit {
		return nil
	}
	e := Edition{N: h.n, Stamp: by, At: at, Deleted: env.Deleted, Set: map[string]any{}}
	if err := h.author(&e, was, env); err != nil {
		return err
	}
	if e.Times, err = h.p.of(e.Stamp, timeOf(env, e.Stamp)); err != nil {
		return err
	}
	if e.At == 0 {
		e.At = e.Times.Received
	}
	if err := e.compare(before, body); err != nil {
		return err
	}
	h.list = append(h.list, e)
	return nil
}

// author finds who made a version: the device whose changes are new in it, else the server. A step of a device's may end
// with changes of the server, so what replaced the bytes in the end does not tell.
func (h *historian) author(e *Edition, was, env syncproto.Envelope) error {
	fields := env.Fields
	if h.n == 1 {
		fields = append([]syncproto.FieldVersion{{Version: env.Version}}, fields...)
		e.Stamp = env.Version.Stamp
	}
	for _, f := range fields {
		if h.n > 1 && was.Of(f.Name).Stamp == f.Stamp {
			continue
		}
		by, _, err := originOf(h.tx, f.Stamp)
		switch {
		case err != nil:
			return err
		case by == "server":
			if e.Device == "" {
				e.Stamp = f.Stamp
			}
			if f.Name != "" {
				e.Server = append(e.Server, f.Name)
			}
		case e.Device == "":
			e.By, e.Stamp = by, f.Stamp
			e.Device, _, _ = f.Stamp.Split()
		}
	}
	if e.Device == "" {
		e.By, e.Server = "server", nil
	}
	return nil
}

// timeOf is the time that a record's envelope gives to a change.
func timeOf(env syncproto.Envelope, s syncproto.Stamp) int64 {
	for _, f := range env.Fields {
		if f.Stamp == s {
			return f.Time
		}
	}
	return env.Version.Time
}

// compare finds what a version wrote.
func (e *Edition) compare(before, body syncproto.Object) error {
	for _, f := range body {
		if bytes.Equal(before.Get(f.Name), f.Value) {
			continue
		}
		if holdsSealed(f.Value) {
			e.Sealed = append(e.Sealed, f.Name)
			continue
		}
		x, err := f.Value.Decode()
		if err != nil {
			return err
		}
		e.Set[f.Name] = x
	}
	for _, f := range before {
		if !body.Has(f.Name) {
			e.Cleared = append(e.Cleared, f.Name)
		}
	}
	return nil
}

// holdsSealed reports whether a value is sealed, or has a sealed one inside, as conflicts and amendments do.
func holdsSealed(v syncproto.Raw) bool {
	return syncproto.IsSealed(v) || bytes.Contains(v, []byte(`{"$s":`))
}
