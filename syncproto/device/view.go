package device

import (
	"errors"
	"strings"

	"aidloop/syncproto"
)

// View is a record as a person sees it: the server's row with everything pending merged over it.
type View struct {
	syncproto.Record
	Bucket  string   // "" for what the server does not know yet
	Pending bool     // something of it has not come back from the server
	Acts    []string // workflow steps that are on their way
}

// View returns a record, or nil where the phone has none.
func (e *Engine) View(ref syncproto.Ref) (v *View, err error) {
	err = e.store.View(func(t Tx) error {
		v, err = e.view(t, ref)
		return err
	})
	return v, err
}

func (e *Engine) view(t Tx, ref syncproto.Ref) (*View, error) {
	pending, err := e.pending(t)
	if err != nil {
		return nil, err
	}
	return e.overlay(t, ref, pending)
}

// pendingChange is a change of a group that lies over the server's rows.
type pendingChange struct {
	root    syncproto.Ref
	change  *syncproto.Change
	version syncproto.Version
}

// pending collects the changes that lie over the server's rows, in order of capture.
func (e *Engine) pending(t Tx) (list []pendingChange, err error) {
	err = entries(t, func(x *Entry) (bool, error) {
		if !x.overlays() {
			return true, nil
		}
		sg, err := frozen(t, x.Dseq)
		if errors.Is(err, errGone) {
			return true, nil // a damaged store: everything else is shown all the same
		}
		if err != nil {
			return false, err
		}
		g, err := sg.Parse(e.id.Device)
		if err != nil {
			return false, err
		}
		for i := range g.Changes {
			v := syncproto.Version{Stamp: syncproto.MakeStamp(e.id.Device, g.Dseq+uint64(i)), Time: g.Clock.Wall}
			list = append(list, pendingChange{g.Root, &g.Changes[i], v})
		}
		return true, nil
	})
	return list, err
}

// overlay merges pending changes over the server's row. A change whose stamp the row carries already is on both sides
// of the line and counts once.
func (e *Engine) overlay(t Tx, ref syncproto.Ref, pending []pendingChange) (*View, error) {
	rec, bucket, err := serverRow(t, ref)
	if err != nil {
		return nil, err
	}
	v := &View{Bucket: bucket}
	rules := syncproto.Rules{PolicyOf: e.opts.PolicyOf}
	for _, p := range pending {
		if p.change.Ref != ref {
			continue
		}
		v.Pending = true
		if p.change.Op == syncproto.OpAct {
			v.Acts = append(v.Acts, p.change.Act)
			continue
		}
		if rec != nil && carries(rec, p.version.Stamp) {
			continue
		}
		if m := syncproto.Merge(rec, p.root, p.change, p.version, false, rules); m.Code == "" {
			rec = m.Record
		}
	}
	if rec == nil || rec.Deleted {
		return nil, nil
	}
	v.Record = *rec
	return v, nil
}

func carries(rec *syncproto.Record, s syncproto.Stamp) bool {
	if rec.Version.Stamp == s {
		return true
	}
	for _, f := range rec.Envelope.Fields {
		if f.Stamp == s {
			return true
		}
	}
	return false
}

// serverRow reads what the server last said of a record.
func serverRow(t Tx, ref syncproto.Ref) (*syncproto.Record, string, error) {
	place, err := t.Get(keyPlace(ref))
	if err != nil || place == nil {
		return nil, "", err
	}
	b, err := t.Get(keyRow(string(place), ref))
	if err != nil || b == nil {
		return nil, "", err
	}
	rec, err := parseRow(b)
	if err == nil && rec.Ref != ref {
		err = ErrDamaged
	}
	return rec, string(place), err
}

// ErrDamaged says that a row has rotted on the phone. The next exchange finds and replaces it.
var ErrDamaged = errors.New("device: the record is damaged on this phone: sync first")

func parseRow(b []byte) (*syncproto.Record, error) {
	row, err := syncproto.ParseRow(b)
	if err != nil {
		return nil, ErrDamaged
	}
	env, err := syncproto.ParseEnvelope(row.Envelope)
	if err != nil {
		return nil, ErrDamaged
	}
	body, err := syncproto.ParseObject(row.Body)
	if err != nil {
		return nil, ErrDamaged
	}
	return &syncproto.Record{Envelope: env, Body: body}, nil
}

// List returns every record of a kind that the phone has, pending ones included, in order of buckets and ids.
func (e *Engine) List(kind string) (list []*View, err error) {
	err = e.store.View(func(t Tx) error {
		pending, err := e.pending(t)
		if err != nil {
			return err
		}
		seen := map[syncproto.Ref]bool{}
		add := func(ref syncproto.Ref) error {
			if seen[ref] {
				return nil
			}
			seen[ref] = true
			v, err := e.overlay(t, ref, pending)
			if v != nil {
				list = append(list, v)
			}
			if errors.Is(err, ErrDamaged) {
				return nil // one row that has rotted does not hide the others
			}
			return err
		}
		var refs []syncproto.Ref
		err = t.Scan("place/"+kind+"/", func(key string, _ []byte) (bool, error) {
			refs = append(refs, syncproto.Ref{Kind: kind, ID: strings.TrimPrefix(key, "place/"+kind+"/")})
			return true, nil
		})
		if err != nil {
			return err
		}
		for _, p := range pending {
			if p.change.Ref.Kind == kind && p.change.Op == syncproto.OpPut {
				refs = append(refs, p.change.Ref)
			}
		}
		for _, ref := range refs {
			if err := add(ref); err != nil {
				return err
			}
		}
		return nil
	})
	return list, err
}
