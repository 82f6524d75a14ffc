package device

import (
	"errors"
	"fmt"
	"strings"

	"aidloop/syncproto"
)

// checkpoint makes everything that arrived of a bucket visible at once, after adding up the device's own rows. A
// mismatch is written down as an incident and the bucket is fetched afresh; the outbox is never touched.
func (r *Response) checkpoint(c *syncproto.Checkpoint) error {
	if c.Bucket != r.bucket {
		return syncproto.Refuse(syncproto.CodeMalformed, "a checkpoint of another bucket")
	}
	err := r.e.store.Update(func(t Tx) error { return r.apply(t, c) })
	if errors.Is(err, errMismatch) {
		err = r.e.store.Update(func(t Tx) error { return r.incident(t, c) })
	}
	r.rows, r.bucket = map[string][]byte{}, ""
	return err
}

func (r *Response) apply(t Tx, c *syncproto.Checkpoint) error {
	if old, err := r.behind(t, c.Seq); err != nil || old || r.skip {
		return err
	}
	rows, err := r.arrived(t)
	if err != nil {
		return err
	}
	var cur cursor
	if r.stage.Fresh {
		if err := r.bearWitness(t, r.bucket, rows); err != nil {
			return err
		}
		if err := forget(t, r.bucket); err != nil {
			return err
		}
	} else if _, err := getJSON(t, keyCursor(r.bucket), &cur); err != nil {
		return err
	}
	var sum syncproto.Digest
	if cur.Digest != "" {
		if sum, err = parseDigest(cur.Digest); err != nil {
			return err
		}
	}
	for _, key := range sortedKeys(rows) {
		if err := r.applyRow(t, key, rows[key], &cur, &sum); err != nil {
			return err
		}
	}
	if cur.Count != c.Count || sum.String() != c.Digest {
		return errMismatch
	}
	cur.Incarnation, cur.Seq, cur.Digest = c.Incarnation, c.Seq, sum.String()
	if err := putJSON(t, keyCursor(r.bucket), cur); err != nil {
		return err
	}
	if err := clearPrefix(t, keyStaged(r.bucket)); err != nil {
		return err
	}
	if err := t.Delete(keyStaging(r.bucket)); err != nil {
		return err
	}
	if err := t.Delete(keyLeft(r.bucket)); err != nil {
		return err
	}
	return r.release(t, cur.Seq)
}

// arrived are the rows staged at earlier pages, with those of this response over them.
func (r *Response) arrived(t Tx) (map[string][]byte, error) {
	if r.afresh {
		return r.rows, nil
	}
	rows := map[string][]byte{}
	prefix := keyStaged(r.bucket)
	err := t.Scan(prefix, func(key string, value []byte) (bool, error) {
		rows[strings.TrimPrefix(key, prefix)] = value
		return true, nil
	})
	for k, v := range r.rows {
		rows[k] = v
	}
	return rows, err
}

// applyRow puts one row in place of what stood there, or takes it away.
func (r *Response) applyRow(t Tx, key string, payload []byte, cur *cursor, sum *syncproto.Digest) error {
	at := keyRows(r.bucket) + key
	old, err := t.Get(at)
	if err != nil {
		return err
	}
	if len(old) > 0 {
		row, err := syncproto.ParseRow(old)
		if err != nil {
			return err
		}
		*sum = sum.Sub(syncproto.RowHash(row.Envelope, row.Body))
		cur.Count--
	}
	if len(payload) == 0 {
		return r.remove(t, key)
	}
	row, err := syncproto.ParseRow(payload)
	if err != nil {
		return err
	}
	env, err := syncproto.ParseEnvelope(row.Envelope)
	if err != nil {
		return err
	}
	if env.Deleted {
		return r.remove(t, key)
	}
	*sum = sum.Add(syncproto.RowHash(row.Envelope, row.Body))
	cur.Count++
	if err := t.Put(at, payload); err != nil {
		return err
	}
	return t.Put("place/"+key, []byte(r.bucket))
}

// remove takes a row away. Where the record has a place in another bucket by now, that one stays.
func (r *Response) remove(t Tx, key string) error {
	if err := t.Delete(keyRows(r.bucket) + key); err != nil {
		return err
	}
	place, err := t.Get("place/" + key)
	if err != nil || string(place) != r.bucket {
		return err
	}
	return t.Delete("place/" + key)
}

// release takes groups off the overlay whose rows have arrived, and follows open groups to their end by the outcome
// records of the author's bucket.
func (r *Response) release(t Tx, seq uint64) error {
	var list []Entry
	err := entries(t, func(x *Entry) (bool, error) {
		if x.State == Awaiting || x.State == Held {
			list = append(list, *x)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if r.stage.Fresh && r.bucket == r.e.userBucket() {
		if err := r.recall(t); err != nil {
			return err
		}
	}
	for i := range list {
		x := &list[i]
		switch {
		case x.State == Awaiting && x.At != nil && x.At.Bucket == r.bucket && seq >= x.At.Seq:
			x.State, x.DoneAt = Done, r.server
			err = putJSON(t, keyEntry(x.Dseq), x)
		case x.State == Held && r.bucket == r.e.userBucket():
			_, err = r.follow(t, x)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// recall reads the outcomes of decided groups again when the author's bucket begins afresh: a server that was put back
// from a backup may hold what it had decided since, or have judged anew what was held. Whatever is not simply applied
// has an outcome record, so that where there is none the group was.
func (r *Response) recall(t Tx) error {
	var list []Entry
	err := entries(t, func(x *Entry) (bool, error) {
		if x.State == Done || x.State == Rejected || x.State == Awaiting || x.State == Held {
			list = append(list, *x)
		}
		return true, nil
	})
	for i := range list {
		if x := &list[i]; err == nil {
			plain := syncproto.Outcome{Dseq: x.Dseq, Status: syncproto.GroupJudged}
			known, open := false, x.State == Held || x.State == Rejected
			x.State = Held
			if known, err = r.follow(t, x); err == nil && !known && open {
				err = x.settle(t, plain, r.server)
			}
		}
	}
	return err
}

// follow reads what became of a group from its outcome record, and says whether there is one.
func (r *Response) follow(t Tx, x *Entry) (known bool, err error) {
	id := syncproto.DerivedID("outcome", fmt.Sprintf("%s:%d", r.e.id.Device, x.Dseq))
	b, err := t.Get(keyRow(r.e.userBucket(), syncproto.Ref{Kind: "outcome", ID: id}))
	if err != nil || b == nil {
		return false, err
	}
	rec, err := parseRow(b)
	if err != nil {
		return true, err
	}
	o := syncproto.Outcome{Dseq: x.Dseq, Status: syncproto.GroupStatus(rec.Body.Str("status")), Code: syncproto.Code(rec.Body.Str("code")),
		Reason: rec.Body.Str("reason"), Expiry: rec.Body.Int("expiry")}
	if bucket := rec.Body.Str("bucket"); bucket != "" {
		o.At = &syncproto.BucketSeq{Bucket: bucket, Seq: uint64(rec.Body.Int("seq"))}
	}
	return true, x.settle(t, o, r.server)
}

// Incident is a bucket whose rows did not add up.
type Incident struct {
	Bucket string `json:"bucket"`
	Seq    uint64 `json:"seq"`
	At     int64  `json:"at"`
}

// incident drops a bucket's cursor, so that it is fetched afresh. What is visible stays until then.
func (r *Response) incident(t Tx, c *syncproto.Checkpoint) error {
	if err := putJSON(t, fmt.Sprintf("incident/%s|%016d", c.Bucket, c.Seq), Incident{c.Bucket, c.Seq, r.now}); err != nil {
		return err
	}
	for _, prefix := range []string{keyStaged(c.Bucket), keyStaging(c.Bucket)} {
		if err := clearPrefix(t, prefix); err != nil {
			return err
		}
	}
	return t.Delete(keyCursor(c.Bucket))
}
