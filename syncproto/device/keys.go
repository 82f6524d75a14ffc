package device

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"aidloop/syncproto"
)

// ring is everything that this device can open: the user's key opens the bucket keys in the grants, those open the
// case keys in the key records of their buckets.
type ring struct {
	syncproto.Keyring
	buckets map[string]string // bucket → id of its key
}

func (r *ring) bucketSealer(bucket string) *syncproto.Sealer { return r.Get(r.buckets[bucket]) }

func (e *Engine) ring(t Tx) (*ring, error) {
	r := &ring{buckets: map[string]string{}}
	err := e.ownKeys(t, &r.Keyring)
	if err != nil {
		return nil, err
	}
	err = eachRow(t, e.userBucket(), "grant", func(rec *syncproto.Record) error {
		keys := rec.Body.Get("keys")
		if _, err := r.Unwrap(rec.Ref, keys); err != nil {
			return err
		}
		r.buckets[rec.Body.Str("bucket")] = newestOf(rec.Body)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var buckets []string
	err = t.Scan("cursor/", func(key string, _ []byte) (bool, error) {
		buckets = append(buckets, strings.TrimPrefix(key, "cursor/"))
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	for _, b := range buckets {
		err := eachRow(t, b, "key", func(rec *syncproto.Record) error {
			_, err := r.Unwrap(rec.Ref, rec.Body.Get("keys"))
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return r, e.pendingKeys(t, r)
}

// newestOf is the id of the newest key of a grant; one made before keys were rotated names none and holds one.
func newestOf(grant syncproto.Object) string {
	if kid := grant.Str("current"); kid != "" {
		return kid
	}
	set, err := syncproto.ParseObject(grant.Get("keys"))
	if err != nil || len(set) == 0 {
		return ""
	}
	return set[len(set)-1].Name
}

// ownKeys puts the user's keys on a ring: those that the phone was given, and older ones that the key record of the
// user's bucket holds under the newest.
func (e *Engine) ownKeys(t Tx, r *syncproto.Keyring) error {
	keys, err := e.userKeys(t)
	for _, k := range keys {
		r.Add(k)
	}
	return err
}

func (e *Engine) userKeys(t Tx) (list []syncproto.Key, err error) {
	r := &syncproto.Keyring{}
	for _, k := range append([]syncproto.Key{e.id.UserKey}, e.id.FormerKeys...) {
		if k != (syncproto.Key{}) {
			list = append(list, k)
			r.Add(k)
		}
	}
	return list, eachRow(t, e.userBucket(), "key", func(rec *syncproto.Record) error {
		set, err := syncproto.ParseObject(rec.Body.Get("keys"))
		for _, m := range set {
			v, oerr := r.Open(rec.Ref, m.Name, m.Value)
			if oerr != nil {
				continue // under a key that new tokens will bring
			}
			k, perr := syncproto.ParseHash(v.Str())
			if perr == nil && syncproto.Key(k).ID() == m.Name && r.Get(m.Name) == nil {
				list = append(list, syncproto.Key(k))
			}
		}
		return err
	})
}

// maxFormer bounds the former user keys that a phone keeps.
const maxFormer = 32

// renew makes a key the user's newest one.
func (id *Identity) renew(k syncproto.Key) {
	former := slices.DeleteFunc(append([]syncproto.Key{id.UserKey}, id.FormerKeys...), func(f syncproto.Key) bool { return f == k || f == (syncproto.Key{}) })
	id.UserKey, id.FormerKeys = k, former[:min(len(former), maxFormer)]
}

// AddUserKey takes the user's key as the server hands it out with new tokens: it may have been rotated since, because a
// phone of the user was lost. The same key again changes nothing, and a phone that was erased takes none.
func (e *Engine) AddUserKey(k syncproto.Key) error {
	if k == (syncproto.Key{}) || k == e.id.UserKey {
		return nil
	}
	next := e.id
	err := e.store.Update(func(t Tx) error {
		st, err := loadState(t)
		if err != nil || st.Erased != nil {
			next = e.id
			return err
		}
		next = e.id
		next.renew(k)
		return putJSON(t, keyIdentity, next)
	})
	if err == nil {
		e.id = next
	}
	return err
}

// Locked reports whether the phone lacks a key of its user's: it holds an active grant, or a value or the key record in the
// bucket of its user, that none of its keys opens. The user's key was rotated, or a server that was put back seals under
// one that is older than the phone, and new tokens bring the newest.
func (e *Engine) Locked() (locked bool, err error) {
	err = e.store.View(func(t Tx) error {
		locked = false
		st, err := loadState(t)
		if err != nil || st.Erased != nil {
			return err
		}
		r, err := e.ring(t)
		if err != nil {
			return err
		}
		return eachRow(t, e.userBucket(), "", func(rec *syncproto.Record) error {
			locked = locked || r.lacks(rec)
			return nil
		})
	})
	return locked, err
}

// lacks reports whether a record in a user's bucket needs a key that is not on the ring. Grants that have ended need none.
func (r *ring) lacks(rec *syncproto.Record) bool {
	switch rec.Kind {
	case "grant":
		return rec.Body.Str("state") == "active" && r.Get(newestOf(rec.Body)) == nil
	case "key":
		return rec.Body.Has("current") && r.Get(rec.Body.Str("current")) == nil
	}
	return slices.ContainsFunc(rec.Body, func(m syncproto.Member) bool {
		kid := syncproto.SealedBy(m.Value)
		return kid != "" && r.Get(kid) == nil
	})
}

// pendingKeys adds the keys of households that were captured here and have not come back yet.
func (e *Engine) pendingKeys(t Tx, r *ring) error {
	pending, err := e.pending(t)
	if err != nil {
		return err
	}
	for _, p := range pending {
		if p.change.Ref.Kind == "key" && p.change.Op == syncproto.OpPut {
			if _, err := r.Unwrap(p.change.Ref, p.change.Fields.Get("keys")); err != nil {
				return err
			}
		}
	}
	return nil
}

// eachRow hands over the server's rows of a kind ("": of all) in a bucket, those that have rotted left out.
func eachRow(t Tx, bucket, kind string, fn func(*syncproto.Record) error) error {
	prefix := keyRows(bucket)
	if kind != "" {
		prefix += kind + "/"
	}
	return t.Scan(prefix, func(_ string, value []byte) (bool, error) {
		rec, err := parseRow(value)
		if err != nil {
			return true, nil
		}
		return true, fn(rec)
	})
}

// current is the sealer for new values of a root.
func (e *Engine) current(t Tx, r *ring, root syncproto.Ref) (*syncproto.Sealer, error) {
	v, err := e.view(t, syncproto.Ref{Kind: "key", ID: syncproto.DerivedID("key", root.String())})
	if err != nil {
		return nil, err
	}
	if s := r.Get(e.id.UserKey.ID()); v == nil && s != nil && root == (syncproto.Ref{Kind: "user", ID: e.id.User}) {
		return s, nil // it was never rotated
	}
	if v == nil {
		return nil, errors.New("the key of this household is not on this phone: sync first")
	}
	s := r.Get(v.Body.Str("current"))
	if s == nil {
		return nil, errors.New("the key of this household cannot be opened on this phone: sync first")
	}
	return s, nil
}

// Opened is a record's fields in the open, as Go values, and the names of those whose key is not here.
type Opened struct {
	Fields map[string]any
	Locked []string
}

// Open opens one record, see OpenAll.
func (e *Engine) Open(v *View) (fields map[string]any, locked []string, err error) {
	list, err := e.OpenAll([]*View{v})
	if err != nil {
		return nil, nil, err
	}
	return list[0].Fields, list[0].Locked, nil
}

// OpenAll opens records, in their order. Fields whose key is not here are left out and named.
func (e *Engine) OpenAll(list []*View) (out []Opened, err error) {
	err = e.store.View(func(t Tx) error {
		r, err := e.ring(t)
		if err != nil {
			return err
		}
		out = make([]Opened, len(list))
		for i, v := range list {
			if out[i], err = r.open(v); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

func (r *ring) open(v *View) (o Opened, err error) {
	o.Fields = make(map[string]any, len(v.Body))
	for _, f := range v.Body {
		raw, err := r.Keyring.Open(v.Ref, f.Name, f.Value)
		if err != nil {
			o.Locked = append(o.Locked, f.Name)
			continue
		}
		if o.Fields[f.Name], err = raw.Decode(); err != nil {
			return o, fmt.Errorf("field %s: %w", f.Name, err)
		}
	}
	return o, nil
}
