package device

import (
	"errors"
	"maps"
	"slices"

	"aidloop/syncproto"
)

// plan is a snapshot that is being fetched, chunk by chunk. Chunks that arrived lie under keyChunk until the last one
// is there.
type plan struct {
	syncproto.Snapshot
	Have []string `json:"have,omitempty"` // names of the chunks that have arrived
	Now  int64    `json:"now"`            // the server's clock when it was offered
	Gone bool     `json:"gone,omitempty"` // the server does not keep it any more: the bucket is asked for again
}

func keyPlan(bucket string) string     { return "plan/" + bucket }
func keyChunk(bucket, s string) string { return "chunk/" + bucket + "|" + s }

// snapshot takes note of a large bucket that is to be fetched in chunks. What was staged of its pages is void; chunks
// of a former plan that are in this one, too, are kept.
func (r *Response) snapshot(s *syncproto.Snapshot) error {
	if err := s.Check(); err != nil {
		return err
	}
	if r.bucket != "" {
		return syncproto.Refuse(syncproto.CodeMalformed, "a snapshot inside of a bucket")
	}
	return r.e.store.Update(func(t Tx) error {
		if err := clearPrefix(t, keyStaged(s.Bucket)); err != nil {
			return err
		}
		if err := t.Delete(keyStaging(s.Bucket)); err != nil {
			return err
		}
		var former plan
		if _, err := getJSON(t, keyPlan(s.Bucket), &former); err != nil {
			return err
		}
		next := plan{Snapshot: *s, Now: r.server}
		for _, sha := range former.Have {
			if slices.ContainsFunc(s.Chunks, func(c syncproto.Chunk) bool { return c.SHA256 == sha }) {
				next.Have = append(next.Have, sha)
			} else if err := t.Delete(keyChunk(s.Bucket, sha)); err != nil {
				return err
			}
		}
		if n := len(next.Have) - 1; n >= 0 && next.missing() == nil { // the last one is fetched again: it shows the snapshot
			if err := t.Delete(keyChunk(s.Bucket, next.Have[n])); err != nil {
				return err
			}
			next.Have = next.Have[:n]
		}
		return putJSON(t, keyPlan(s.Bucket), next)
	})
}

// eachPlan hands over the snapshots that are being fetched, in order of buckets, until fn returns false.
func eachPlan(t Tx, fn func(*plan) bool) error {
	return t.Scan(keyPlan(""), func(_ string, value []byte) (bool, error) {
		var p plan
		err := unmarshal(value, &p)
		return err == nil && fn(&p), err
	})
}

// missing is the first chunk that has not arrived, or nil.
func (p *plan) missing() *syncproto.Chunk {
	for i, c := range p.Chunks {
		if !slices.Contains(p.Have, c.SHA256) {
			return &p.Chunks[i]
		}
	}
	return nil
}

// NextChunk says which chunk to fetch next, or nil where none is wanted. It stays the next one until AddChunk took it or
// ChunkGone was told.
func (e *Engine) NextChunk() (next *syncproto.Chunk, err error) {
	err = e.store.View(func(t Tx) error {
		return eachPlan(t, func(p *plan) bool {
			if !p.Gone {
				next = p.missing()
			}
			return next == nil
		})
	})
	return next, err
}

// AddChunk takes a chunk's bytes: they are compared with its name and kept durably. With the last one the bucket's rows
// become visible at once, after adding them up like at any checkpoint; then done is true, and an exchange brings what
// changed since. A chunk that nobody waits for is left alone.
func (e *Engine) AddChunk(sha256 string, b []byte, clock syncproto.Clock) (done bool, err error) {
	if syncproto.ChunkName(b) != sha256 {
		return false, syncproto.Refuse(syncproto.CodeTruncated, "the chunk was damaged on its way")
	}
	r := e.Response(clock)
	var last *plan
	err = e.store.Update(func(t Tx) error {
		last = nil
		p, c, err := wanted(t, sha256)
		if p == nil || err != nil {
			return err
		}
		rows := 0
		if err := syncproto.EachRow(b, func([]byte) error { rows++; return nil }); err != nil || rows != c.Rows {
			return errors.Join(err, syncproto.Refuse(syncproto.CodeMalformed, "a chunk with other rows than announced"))
		}
		if err := t.Put(keyChunk(p.Bucket, sha256), b); err != nil {
			return err
		}
		if p.Have = append(p.Have, sha256); p.missing() != nil {
			return putJSON(t, keyPlan(p.Bucket), p)
		}
		last = p
		return r.showSnapshot(t, p)
	})
	var found *mismatch
	if errors.As(err, &found) {
		found.bucket, found.at = last.Bucket, syncproto.Cursor{Incarnation: last.Incarnation, Seq: last.Seq}
		return false, e.store.Update(func(t Tx) error {
			if err := clearPlan(t, last.Bucket); err != nil {
				return err
			}
			_, err := e.incident(t, found, r.now)
			return err
		})
	}
	return err == nil && last != nil, err
}

func (p *plan) checkpoint() *syncproto.Checkpoint {
	return &syncproto.Checkpoint{Bucket: p.Bucket, Incarnation: p.Incarnation, Seq: p.Seq, Count: p.Count, Digest: p.Digest}
}

// showSnapshot applies a snapshot whose chunks are all there like a checkpoint of a bucket that began afresh. The plan
// is forgotten with everything else that the bucket held.
func (r *Response) showSnapshot(t Tx, p *plan) error {
	r.inc, r.server, r.bucket, r.afresh = p.Incarnation, p.Now, p.Bucket, true
	r.stage = staging{Incarnation: p.Incarnation, Seq: p.Seq, Fresh: true}
	if err := putJSON(t, keyPlan(p.Bucket), p); err != nil {
		return err
	}
	for _, x := range p.Chunks {
		b, err := t.Get(keyChunk(p.Bucket, x.SHA256))
		if err == nil {
			err = syncproto.EachRow(b, r.row)
		}
		if err != nil {
			return err
		}
	}
	return r.apply(t, p.checkpoint())
}

// wanted finds the plan that waits for a chunk.
func wanted(t Tx, sha256 string) (in *plan, c syncproto.Chunk, err error) {
	err = eachPlan(t, func(p *plan) bool {
		i := slices.IndexFunc(p.Chunks, func(c syncproto.Chunk) bool { return c.SHA256 == sha256 })
		if i >= 0 && !slices.Contains(p.Have, sha256) {
			in, c = p, p.Chunks[i]
		}
		return in == nil
	})
	return in, c, err
}

// ChunkGone takes note that the server does not keep a chunk any more: the next request asks for the bucket again, and
// what has arrived counts where the next snapshot has it, too.
func (e *Engine) ChunkGone(sha256 string) error {
	return e.store.Update(func(t Tx) error {
		p, _, err := wanted(t, sha256)
		if p == nil || err != nil {
			return err
		}
		p.Gone = true
		return putJSON(t, keyPlan(p.Bucket), p)
	})
}

// clearPlan forgets a snapshot that was being fetched.
func clearPlan(t Tx, bucket string) error {
	var p plan
	if ok, err := getJSON(t, keyPlan(bucket), &p); err != nil || !ok {
		return err
	}
	for _, sha := range p.Have {
		if err := t.Delete(keyChunk(bucket, sha)); err != nil {
			return err
		}
	}
	return t.Delete(keyPlan(bucket))
}

// plannedPlaces writes into at where the device stands in buckets whose snapshots it fetches. Where they are gone, or
// the request's carrier fetches none, the bucket is asked for from its beginning.
func plannedPlaces(t Tx, at map[string]syncproto.BucketCursor, fetches bool) error {
	places := map[string]syncproto.BucketCursor{}
	err := eachPlan(t, func(p *plan) bool {
		places[p.Bucket] = syncproto.BucketCursor{Cursor: syncproto.CursorNone}
		if fetches && !p.Gone {
			places[p.Bucket] = syncproto.BucketCursor{Cursor: syncproto.Cursor{Incarnation: p.Incarnation, Seq: p.Seq}.String(), Staged: true, Chunks: true}
		}
		return true
	})
	maps.Copy(at, places)
	return err
}
