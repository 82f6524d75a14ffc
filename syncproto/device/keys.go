package device

import (
	"errors"
	"fmt"
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
	r.Add(e.id.UserKey)
	err := eachRow(t, e.userBucket(), "grant", func(rec *syncproto.Record) error {
		keys := rec.Body.Get("keys")
		if _, err := r.Unwrap(rec.Ref, keys); err != nil {
			return err
		}
		set, err := syncproto.ParseObject(keys)
		if err == nil && len(set) > 0 {
			r.buckets[rec.Body.Str("bucket")] = set[len(set)-1].Name
		}
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

// eachRow hands over the server's rows of a kind in a bucket, those that have rotted left out.
func eachRow(t Tx, bucket, kind string, fn func(*syncproto.Record) error) error {
	return t.Scan(keyRows(bucket)+kind+"/", func(_ string, value []byte) (bool, error) {
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
	if v == nil {
		return nil, errors.New("the key of this household is not on this phone: sync first")
	}
	s := r.Get(v.Body.Str("current"))
	if s == nil {
		return nil, errors.New("the key of this household cannot be opened on this phone: sync first")
	}
	return s, nil
}

// Open returns the fields of a record in the open, as Go values. Fields whose key is not here are left out and named.
func (e *Engine) Open(v *View) (fields map[string]any, locked []string, err error) {
	err = e.store.View(func(t Tx) error {
		r, err := e.ring(t)
		if err != nil {
			return err
		}
		fields = make(map[string]any, len(v.Body))
		for _, f := range v.Body {
			raw, err := r.Keyring.Open(v.Ref, f.Name, f.Value)
			if err != nil {
				locked = append(locked, f.Name)
				continue
			}
			if fields[f.Name], err = raw.Decode(); err != nil {
				return fmt.Errorf("field %s: %w", f.Name, err)
			}
		}
		return nil
	})
	return fields, locked, err
}
