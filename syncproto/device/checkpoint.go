package device

import (
	"errors"
	"fmt"
	"strings"

	"aidloop/syncproto"
)

// checkpoint makes everything that arrived of a bucket visible at once, after adding up the device's own rows. A
// mismatch is written down as an incident and the bucket is asked for again; the outbox is never touched.
func (r *Response) checkpoint(c *syncproto.Checkpoint) error {
	if c.Bucket != r.bucket {
		return syncproto.Refuse(syncproto.CodeMalformed, "a checkpoint of another bucket")
	}
	err := r.e.store.Update(func(t Tx) error { return r.apply(t, c) })
	var found *mismatch
	if errors.As(err, &found) {
		found.bucket, found.at = c.Bucket, syncproto.Cursor{Incarnation: c.Incarnation, Seq: c.Seq}
		err = r.e.store.Update(func(t Tx) error {
			again, err := r.e.incident(t, found, r.now)
			r.again = r.again || again
			return err
		})
	}
	r.rows, r.bucket, r.leaves = map[string][]byte{}, "", nil
	return err
}

func (r *Response) apply(t Tx, c *syncproto.Checkpoint) error {
	if old, err := r.behind(t, c.Seq); err != nil || old || r.skip {
		return err
	}
	if !r.afresh && r.leaves == nil && r.server < r.stage.At {
		// What was staged is younger: records that moved behind this checkpoint since are in neither, so that the rows
		// cannot add up to it. They are a page like any other, and the next exchange goes on from there.
		return r.keep(t, c.Seq)
	}
	rows, err := r.arrived(t)
	if err != nil {
		return err
	}
	var former cursor
	if _, err := getJSON(t, keyCursor(r.bucket), &former); err != nil {
		return err
	}
	if err := r.makeRoom(t, rows); err != nil {
		return err
	}
	for _, key := range sortedKeys(rows) {
		if err := r.applyRow(t, key, rows[key]); err != nil {
			return err
		}
	}
	// Nothing is carried over from the former sum: what rotted on the disk must be found too.
	count, sum, err := tally(t, r.bucket, nil)
	if err != nil {
		return err
	}
	if count != c.Count || sum.String() != c.Digest {
		return &mismatch{count: count, sum: sum}
	}
	if err := putJSON(t, keyCursor(r.bucket), cursor{c.Incarnation, c.Seq, count, sum.String()}); err != nil {
		return err
	}
	if err := clearPrefix(t, keyStaged(r.bucket)); err != nil {
		return err
	}
	for _, key := range []string{keyStaging(r.bucket), keyLeft(r.bucket), keyRepair(r.bucket)} {
		if err := t.Delete(key); err != nil {
			return err
		}
	}
	// Another life may know other outcomes, although this bucket's rows are the same in both.
	anew := r.stage.Fresh || former.Incarnation != c.Incarnation
	return r.release(t, c.Seq, anew)
}

// makeRoom takes away, or marks among the rows that arrived, what they replace besides their own former versions.
func (r *Response) makeRoom(t Tx, rows map[string][]byte) error {
	switch {
	case r.stage.Fresh:
		if err := r.bearWitness(t, r.bucket, rows); err != nil {
			return err
		}
		return r.forget(t, r.bucket, rows)
	case r.leaves != nil:
		return r.replaceLeaves(t, rows)
	}
	return nil
}

// arrived are the rows staged at earlier pages, with those of this response over them.
func (r *Response) arrived(t Tx) (map[string][]byte, error) {
	if r.afresh || r.leaves != nil {
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

// applyRow puts one row in place of what stood there, or takes it away. A staged row that cannot be read any more has
// rotted: nothing of the bucket can be right.
func (r *Response) applyRow(t Tx, key string, payload []byte) error {
	if len(payload) == 0 {
		return r.remove(t, key)
	}
	row, err := syncproto.ParseRow(payload)
	if err != nil {
		return &mismatch{}
	}
	env, err := syncproto.ParseEnvelope(row.Envelope)
	if err != nil {
		return &mismatch{}
	}
	if env.Deleted {
		return r.remove(t, key)
	}
	if err := t.Put(keyRows(r.bucket)+key, payload); err != nil {
		return err
	}
	return t.Put("place/"+key, []byte(r.bucket))
}

// release takes groups off the overlay whose rows have arrived, and follows open groups to their end by the outcome
// records of the author's bucket; anew where that begins afresh, or goes on in another life of the server.
func (r *Response) release(t Tx, seq uint64, anew bool) error {
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
	if anew && r.bucket == r.e.userBucket() {
		if err := r.recall(t); err != nil {
			return err
		}
	}
	for i := range list {
		x := &list[i]
		switch {
		case x.State == Awaiting && x.At != nil && x.of(r.inc) && x.At.Bucket == r.bucket && seq >= x.At.Seq:
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

// recall reads the outcomes of decided groups again when the author's bucket begins afresh or anew: a server that was put
// back from a backup may hold what it had decided since, or have judged anew what was held. Whatever is not simply applied
// has an outcome record, so that where there is none the group was; unless this very life said otherwise: then the rows are
// older than what was said.
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
			known, open := false, (x.State == Held || x.State == Rejected) && x.Life != r.inc
			x.State = Held
			if known, err = r.follow(t, x); err == nil && !known && open {
				err = x.settle(t, plain, r)
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
	return true, x.settle(t, o, r)
}
