package device

import (
	"bytes"
	"slices"
	"strings"

	"aidloop/syncproto"
)

// A bucket whose rows do not add up to what the server says is asked for again in at most two steps: by leaves where it
// is large, so that only those that differ are sent, then the whole of it. What is visible stays until one of them adds
// up. If none does, the next sync asks for the whole again, once.

// maxIncidents bounds the incidents that a phone keeps, the newest.
const maxIncidents = 50

// maxLeaves bounds the buckets that one request sends leaves of, 11 KB each.
const maxLeaves = 32

// examineEvery is how long rows may lie without being added up, in milliseconds.
const examineEvery = 24 * 3600 * 1000

// Incident is a bucket whose rows did not add up at a seq: the phone's own count and digest there.
type Incident struct {
	Bucket string `json:"bucket"`
	Seq    uint64 `json:"seq"`
	At     int64  `json:"at"`
	Count  int64  `json:"count"`
	Digest string `json:"digest"`
}

// mismatch is what was found instead of what a checkpoint said.
type mismatch struct {
	bucket string
	at     syncproto.Cursor // of the checkpoint
	count  int64
	sum    syncproto.Digest
}

func (*mismatch) Error() string { return "device: rows and digest disagree" }

// tally adds up the device's own rows of a bucket, and into leaves where they are asked for. A row that cannot be read
// or that lies under another one's name counts as one that no server has.
func tally(t Tx, bucket string, leaves *syncproto.Leaves) (count int64, sum syncproto.Digest, err error) {
	prefix := keyRows(bucket)
	err = t.Scan(prefix, func(key string, payload []byte) (bool, error) {
		kind, id, _ := strings.Cut(key[len(prefix):], "/")
		ref := syncproto.Ref{Kind: kind, ID: id}
		h := hashOf(ref, payload)
		sum = sum.Add(h)
		count++
		if leaves != nil {
			leaves.Add(ref, h)
		}
		return true, nil
	})
	return count, sum, err
}

func hashOf(ref syncproto.Ref, payload []byte) syncproto.Hash {
	row, err := syncproto.ParseRow(payload)
	if err != nil || !bytes.Contains(row.Envelope, []byte(`"id":"`+ref.ID+`","k":"`+ref.Kind+`"`)) {
		return syncproto.RowHash([]byte(ref.String()), payload)
	}
	return syncproto.RowHash(row.Envelope, row.Body)
}

// incident writes a mismatch down, drops what is staged and says how the bucket is asked for next: by leaves at first,
// if it is large and nothing but this life of the server has written it; whole where that did not help. Again says that
// asking at once can help: it is false when the whole bucket did not add up either.
func (e *Engine) incident(t Tx, m *mismatch, now int64) (again bool, err error) {
	if err := note(t, Incident{m.bucket, m.at.Seq, now, m.count, m.sum.String()}); err != nil {
		return false, err
	}
	if err := clearStaged(t, m.bucket); err != nil {
		return false, err
	}
	var former syncproto.Repair
	asked, err := getJSON(t, keyRepair(m.bucket), &former)
	if err != nil {
		return false, err
	}
	next := syncproto.Repair{Bucket: m.bucket, Cursor: m.at.String(), Count: m.count, Digest: m.sum.String()}
	if !asked {
		if next.Leaves, err = e.leaves(t, m); err != nil {
			return false, err
		}
	}
	return !asked || former.Leaves != nil, putJSON(t, keyRepair(m.bucket), next)
}

// leaves are the digests of what is visible, or nil where the bucket is to be fetched whole: a small one, and one whose
// rows are of another life of the server, since those must be compared one by one with what takes their place.
func (e *Engine) leaves(t Tx, m *mismatch) ([]byte, error) {
	var cur cursor
	if ok, err := getJSON(t, keyCursor(m.bucket), &cur); err != nil || !ok || cur.Incarnation != m.at.Incarnation {
		return nil, err
	}
	leaves := &syncproto.Leaves{}
	count, _, err := tally(t, m.bucket, leaves)
	if err != nil || count < int64(e.opts.RepairRows) {
		return nil, err
	}
	return leaves.Bytes(), nil
}

// note adds an incident to the newest ones. The same place counts once.
func note(t Tx, i Incident) error {
	var list []Incident
	if _, err := getJSON(t, keyIncidents, &list); err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(x Incident) bool { return x.Bucket == i.Bucket && x.Seq == i.Seq })
	list = append(list, i)
	return putJSON(t, keyIncidents, list[max(0, len(list)-maxIncidents):])
}

// wantRepairs asks for what did not add up, in place of its cursors in at. What is being fetched afresh already goes on.
func wantRepairs(t Tx, w *syncproto.Want, at map[string]syncproto.BucketCursor) error {
	leaves := 0
	return t.Scan("repair/", func(key string, value []byte) (bool, error) {
		var rep syncproto.Repair
		if err := unmarshal(value, &rep); err != nil {
			return false, err
		}
		name := strings.TrimPrefix(key, "repair/")
		delete(at, name)
		for _, key := range []string{keyStaging(name), keyPlan(name)} {
			if b, err := t.Get(key); err != nil || b != nil {
				return true, err
			}
		}
		if rep.Leaves != nil {
			if leaves++; leaves > maxLeaves {
				rep.Leaves = nil
			}
		}
		w.Repair = append(w.Repair, rep)
		return len(w.Repair) < syncproto.MaxCursors, nil
	})
}

// replaceLeaves marks the rows of the open bucket's leaves that did not arrive with the others as gone.
func (r *Response) replaceLeaves(t Tx, rows map[string][]byte) error {
	prefix := keyRows(r.bucket)
	return t.Scan(prefix, func(key string, _ []byte) (bool, error) {
		key = key[len(prefix):]
		kind, id, _ := strings.Cut(key, "/")
		if _, arrived := rows[key]; !arrived && r.leaves.Has(syncproto.Leaf(syncproto.Ref{Kind: kind, ID: id})) {
			rows[key] = nil
		}
		return true, nil
	})
}

// Examine adds up the rows of every bucket against what its last checkpoint said, so that a row that has rotted is found
// where nothing new arrives. It says how many buckets do not add up; each is an incident, and the next exchange asks
// for it again.
func (e *Engine) Examine(clock syncproto.Clock) (damaged int, err error) {
	err = e.store.Update(func(t Tx) error {
		damaged, err = e.examine(t, clock.Wall)
		return err
	})
	return damaged, err
}

func (e *Engine) examine(t Tx, now int64) (damaged int, err error) {
	list := map[string]cursor{}
	err = t.Scan("cursor/", func(key string, value []byte) (bool, error) {
		var c cursor
		err := unmarshal(value, &c)
		list[strings.TrimPrefix(key, "cursor/")] = c
		return true, err
	})
	for _, name := range sortedKeys(list) {
		if err != nil {
			return damaged, err
		}
		var way bool
		if way, err = onItsWay(t, name); err != nil || way {
			continue
		}
		c := list[name]
		m := &mismatch{bucket: name, at: syncproto.Cursor{Incarnation: c.Incarnation, Seq: c.Seq}}
		if m.count, m.sum, err = tally(t, name, nil); err == nil && (m.count != c.Count || m.sum.String() != c.Digest) {
			damaged++
			_, err = e.incident(t, m, now)
		}
	}
	return damaged, err
}

// onItsWay reports whether a bucket is being fetched: its checkpoint will add it up.
func onItsWay(t Tx, bucket string) (bool, error) {
	for _, key := range []string{keyRepair(bucket), keyStaging(bucket)} {
		if b, err := t.Get(key); err != nil || b != nil {
			return true, err
		}
	}
	return false, nil
}

// scrub examines the rows once a day, when everything else has arrived. The server's clock counts the days, since a
// phone's may jump by years.
func (r *Response) scrub(t Tx, st *state, whole bool) error {
	if st.ExaminedAt == 0 || st.ExaminedAt > r.server {
		st.ExaminedAt = r.server
	}
	if !whole || r.again || r.server-st.ExaminedAt < examineEvery {
		return nil
	}
	st.ExaminedAt = r.server
	damaged, err := r.e.examine(t, r.now)
	r.again = damaged > 0
	return err
}

// clearStaged drops what is staged of a bucket.
func clearStaged(t Tx, bucket string) error {
	if err := clearPrefix(t, keyStaged(bucket)); err != nil {
		return err
	}
	return t.Delete(keyStaging(bucket))
}

// voidStaged drops what was staged in another life of the server: a page leaves out what later pages would have brought
// anew, and in this life that lies before the page.
func voidStaged(t Tx, incarnation string) error {
	var void []string
	err := t.Scan("staging/", func(key string, value []byte) (bool, error) {
		var s staging
		err := unmarshal(value, &s)
		if s.Incarnation != incarnation {
			void = append(void, strings.TrimPrefix(key, "staging/"))
		}
		return true, err
	})
	for _, bucket := range void {
		if err == nil {
			err = clearStaged(t, bucket)
		}
	}
	return err
}
