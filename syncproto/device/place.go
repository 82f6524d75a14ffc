package device

import (
	"strings"
)

// A record's place is the bucket whose row of it is shown. While a record is on its way from one bucket to another, both
// may hold a row of it; the one that arrived last has the place.

// remove takes a row of the open bucket away.
func (r *Response) remove(t Tx, key string) error {
	if err := t.Delete(keyRows(r.bucket) + key); err != nil {
		return err
	}
	return r.displace(t, key, r.bucket)
}

// displace takes a record's place away where it is the bucket. Another bucket that holds a row of it takes the place
// over: a life of the server that was lost may have moved the record, and the present one, in which it never left that
// other bucket, has nothing new to say there.
func (r *Response) displace(t Tx, key, bucket string) error {
	place, err := t.Get("place/" + key)
	if err != nil || string(place) != bucket {
		return err
	}
	if r.others == nil {
		err := t.Scan("cursor/", func(key string, _ []byte) (bool, error) {
			r.others = append(r.others, strings.TrimPrefix(key, "cursor/"))
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	for _, other := range r.others {
		if other == bucket {
			continue
		}
		row, err := t.Get(keyRows(other) + key)
		if err != nil {
			return err
		}
		if row != nil {
			return t.Put("place/"+key, []byte(other))
		}
	}
	return t.Delete("place/" + key)
}

// forget erases a bucket's rows, staged ones included; next are those that take their place at once. The outbox is never
// touched.
func (r *Response) forget(t Tx, bucket string, next map[string][]byte) error {
	var refs []string
	err := t.Scan(keyRows(bucket), func(key string, _ []byte) (bool, error) {
		refs = append(refs, key[len(keyRows(bucket)):])
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, ref := range refs {
		if len(next[ref]) > 0 {
			continue
		}
		if err := r.displace(t, ref, bucket); err != nil {
			return err
		}
	}
	for _, prefix := range []string{keyRows(bucket), keyStaged(bucket)} {
		if err := clearPrefix(t, prefix); err != nil {
			return err
		}
	}
	if err := clearPlan(t, bucket); err != nil {
		return err
	}
	return t.Delete(keyStaging(bucket))
}
