package loop

import (
	"context"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Registration is a household of the pool as it is first entered: from a county's list, or for a demonstration. Fields
// are catalog fields in Go values; sealed ones are given in the open and sealed on the way in.
type Registration struct {
	ID      string
	Grid    string // the grid that the household lives in
	Fields  map[string]any
	Persons []Member
	Key     syncproto.Key // that its first values are sealed under; random where it is zero
}

// Member is a person of a household.
type Member struct {
	ID     string
	Fields map[string]any
}

// Register enters households, as many as are given in one transaction. One that is on record already is left as it is,
// so that a list can be entered again.
func (l *Loop) Register(ctx context.Context, by casework.Actor, households []Registration) (added int, err error) {
	keys := make([]syncproto.Key, len(households))
	for i := range keys {
		if keys[i] = households[i].Key; keys[i] == (syncproto.Key{}) {
			keys[i] = randomKey()
		}
	}
	err = l.run(ctx, func(w *work) error {
		added = 0
		for i, h := range households {
			if err := by.May(casework.VerbRegister, casework.Subject{Kind: "household", Region: h.Grid}); err != nil {
				return err
			}
			new, err := w.register(w.newGroup(), h, keys[i])
			if err != nil {
				return err
			}
			if new {
				added++
			}
		}
		w.note(Audit{Actor: by.UserID, Role: string(by.Role), Verb: "register",
			Details: syncproto.Fields(map[string]any{"households": added}).Bytes()})
		return nil
	})
	return added, err
}

func (w *work) register(g *group, h Registration, key syncproto.Key) (bool, error) {
	root := syncproto.Ref{Kind: "household", ID: h.ID}
	bucket := syncproto.BucketGrid + h.Grid
	if d, err := g.open(root); err != nil || d.exists {
		return false, err
	}
	if err := g.putRoot(root, bucket, key, h.Fields); err != nil {
		return false, err
	}
	for _, p := range h.Persons {
		if err := g.putValues(syncproto.Ref{Kind: "person", ID: p.ID}, root, bucket, p.Fields); err != nil {
			return false, err
		}
	}
	return true, g.commit()
}

// PutReference writes records of the ref bucket, which everybody may know: regions, forms, standards, calendars.
func (l *Loop) PutReference(ctx context.Context, by casework.Actor, kind string, records map[string]map[string]any) error {
	return l.run(ctx, func(w *work) error {
		if err := by.May(casework.VerbReference, casework.Subject{Kind: kind, Region: by.Region}); err != nil {
			return err
		}
		if k, ok := casework.KindOf(kind); !ok || k.Bucket != casework.BucketRef {
			return casework.NewError("invalid_value", "只有区划、表单、标准和日历可以这样写入。")
		}
		for _, id := range sortedKeys(records) {
			g := w.newGroup()
			ref := syncproto.Ref{Kind: kind, ID: id}
			if err := g.putReference(ref, records[id]); err != nil {
				return err
			}
			if err := g.commit(); err != nil {
				return err
			}
		}
		return nil
	})
}

// putReference makes a record of the ref bucket, or writes what is new in it.
func (g *group) putReference(ref syncproto.Ref, values map[string]any) error {
	d, err := g.open(ref)
	if err != nil {
		return err
	}
	if d.exists {
		_, err = g.serverSet(ref, values)
		return err
	}
	return g.putValues(ref, ref, syncproto.BucketRef, values)
}

// putValues creates a record of Go values.
func (g *group) putValues(ref, root syncproto.Ref, bucket string, values map[string]any) error {
	fields, err := syncproto.FieldsOf(values)
	if err != nil {
		return err
	}
	_, err = g.serverPut(ref, root, bucket, fields)
	return err
}
