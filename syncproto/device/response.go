package device

import (
	"fmt"
	"maps"
	"slices"

	"aidloop/syncproto"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// staging is how far rows of a bucket have arrived that are not visible yet.
type staging struct {
	Incarnation string `json:"incarnation"`
	Seq         uint64 `json:"seq"`
	Fresh       bool   `json:"fresh"` // they replace the bucket
}

// Response takes a response frame by frame. It can be given up between any two of them: what was staged at a page
// stays, what was not is fetched again.
type Response struct {
	e      *Engine
	now    int64 // the device's wall clock, for the record
	server int64 // the server's clock: what may be forgotten is decided by it, since a phone's may jump by years
	frames int
	inc    string
	bucket string
	stage  staging
	afresh bool              // the open bucket began afresh: what was staged before is void
	rows   map[string][]byte // of the open bucket, not yet durable: "kind/id" → row frame, or nothing for an exit
	fault  *syncproto.Fault
	end    *syncproto.End
}

// Response begins to take a response.
func (e *Engine) Response(clock syncproto.Clock) *Response {
	return &Response{e: e, now: clock.Wall, rows: map[string][]byte{}}
}

// Frame takes the next frame. Its payload may be reused afterwards.
func (r *Response) Frame(f syncproto.Frame) error {
	if r.end != nil {
		return syncproto.Refuse(syncproto.CodeMalformed, "a frame behind the end")
	}
	if (f.Type == syncproto.FrameHelloReply) != (r.frames == 0) {
		return syncproto.Refuse(syncproto.CodeMalformed, "a response opens with one hello")
	}
	r.frames++
	switch f.Type {
	case syncproto.FrameHelloReply:
		return decode(f, r.hello)
	case syncproto.FrameOutcomes:
		return decode(f, r.outcomes)
	case syncproto.FrameReceipt:
		return decode(f, r.receipt)
	case syncproto.FrameBucket:
		return decode(f, r.begin)
	case syncproto.FrameRow:
		return r.row(f.Payload)
	case syncproto.FrameExit:
		return decode(f, r.exit)
	case syncproto.FramePage:
		return decode(f, r.page)
	case syncproto.FrameCheckpoint:
		return decode(f, r.checkpoint)
	case syncproto.FrameDrop:
		return decode(f, r.drop)
	case syncproto.FrameFault:
		return decode(f, func(x *syncproto.Fault) error { r.fault = x; return nil })
	case syncproto.FrameEnd:
		return decode(f, func(x *syncproto.End) error { r.end = x; return nil })
	}
	return nil // a frame of a later version says nothing that version 1 needs
}

func decode[T any](f syncproto.Frame, fn func(*T) error) error {
	var v T
	if err := f.Decode(&v); err != nil {
		return err
	}
	return fn(&v)
}

// Finish says whether the response was whole and whether to exchange again. The fault is why rows are missing, or nil.
func (r *Response) Finish() (more bool, fault *syncproto.Fault, err error) {
	if r.end == nil || r.end.Frames != r.frames-1 {
		return false, r.fault, syncproto.Refuse(syncproto.CodeTruncated, "the response was cut short")
	}
	erased := false
	err = r.e.store.Update(func(t Tx) error {
		st, err := loadState(t)
		if err != nil {
			return err
		}
		if erased = st.mayErase(); erased {
			if err := r.erase(t, &st); err != nil {
				return err
			}
		}
		if st.SyncedAt = r.now; r.fault != nil && (r.fault.Code == syncproto.CodeFork || r.fault.Code == syncproto.CodeRevoked) {
			st.Trouble = string(r.fault.Code)
		}
		if err := putJSON(t, keyState, st); err != nil {
			return err
		}
		if r.e.pulls && r.fault == nil && !r.end.More {
			if err := r.unreachable(t); err != nil {
				return err
			}
		}
		more = r.end.More || (st.Trouble == "" || r.out()) && st.Have+1 < st.Next || erased
		return nil
	})
	if err == nil && erased {
		r.e.id.UserKey, r.e.id.Former = syncproto.Key{}, nil
	}
	return more, r.fault, err
}

// out says that the server has shut this phone out, and still takes what it sends.
func (r *Response) out() bool { return r.fault != nil && r.fault.Code == syncproto.CodeRevoked }

// unreachable releases groups whose rows lie where this device does not look any more: everything in its scope has
// arrived, so they will not.
func (r *Response) unreachable(t Tx) error {
	var list []Entry
	err := entries(t, func(x *Entry) (bool, error) {
		if x.State == Awaiting && x.At != nil {
			b, err := t.Get(keyCursor(x.At.Bucket))
			if err != nil {
				return false, err
			}
			if b == nil {
				list = append(list, *x)
			}
		}
		return true, nil
	})
	for i := range list {
		x := &list[i]
		x.State, x.DoneAt = Done, r.server
		if err == nil {
			err = putJSON(t, keyEntry(x.Dseq), x)
		}
	}
	return err
}

func (r *Response) hello(h *syncproto.HelloReply) error {
	r.inc, r.server = h.Incarnation, h.Now
	return r.e.store.Update(func(t Tx) error {
		st, err := loadState(t)
		if err != nil {
			return err
		}
		if st.Incarnation != "" && st.Incarnation != h.Incarnation {
			if err := resend(t); err != nil {
				return err
			}
		}
		if err := r.witnessed(t, h.Witnessed); err != nil {
			return err
		}
		if err := pruneBlobs(t, r.server); err != nil {
			return err
		}
		st.Incarnation, st.Safe, st.Order = h.Incarnation, h.SafeDseq, h.Order
		if h.Have >= st.Next { // this phone was put back from a backup: its numbers were given to other changes
			st.Trouble = string(syncproto.CodeFork)
		}
		// What the server has beyond is not taken over: its outcomes have not been heard yet.
		if h.Have < st.Have {
			if err := unsettle(t, h.Have); err != nil {
				return err
			}
			st.Have = h.Have
		}
		if err := prune(t, st, r.server); err != nil {
			return err
		}
		return putJSON(t, keyState, st)
	})
}

// unsettle takes back what a server knew that was put back from a backup: its groups behind have go out again and are
// judged again, and until then they lie over the rows.
func unsettle(t Tx, have uint64) error {
	var list []Entry
	err := entries(t, func(x *Entry) (bool, error) {
		if x.Last > have && x.State != Pending && x.State != Dismissed {
			list = append(list, *x)
		}
		return true, nil
	})
	for i := range list {
		x := &list[i]
		x.State, x.Code, x.Reason, x.Changes, x.Expiry, x.At, x.DoneAt = Pending, "", "", nil, 0, nil, 0
		if err == nil {
			err = putJSON(t, keyEntry(x.Dseq), x)
		}
	}
	return err
}

// prune forgets groups that the server's rows carry and a backup holds, or that are older than the time for which
// they are kept without word of one.
func prune(t Tx, st state, now int64) error {
	var gone []uint64
	err := entries(t, func(x *Entry) (bool, error) {
		old := now-x.DoneAt > syncproto.RetentionDays*24*3600*1000
		if (x.State == Done || x.State == Dismissed) && x.Last < st.Have && (x.Last <= st.Safe || x.DoneAt > 0 && old) {
			gone = append(gone, x.Dseq)
			return true, nil
		}
		return false, nil // the chain is kept without holes
	})
	if err != nil {
		return err
	}
	for _, n := range gone[:max(len(gone)-1, 0)] { // the last one stays: its head opens the next push
		if err := t.Delete(keyEntry(n)); err != nil {
			return err
		}
		if err := t.Delete(keyGroup(n)); err != nil {
			return err
		}
	}
	return nil
}

func (r *Response) outcomes(o *syncproto.Outcomes) error {
	return r.e.store.Update(func(t Tx) error {
		st, err := loadState(t)
		if err != nil {
			return err
		}
		for _, out := range o.Groups {
			var x Entry
			if ok, err := getJSON(t, keyEntry(out.Dseq), &x); err != nil || !ok {
				if err != nil {
					return err
				}
				continue
			}
			if err := x.settle(t, out, r.server); err != nil {
				return err
			}
			st.Have = max(st.Have, x.Last)
		}
		return putJSON(t, keyState, st)
	})
}

// settle writes an outcome down. A judged group stays over the rows until they carry it.
func (x *Entry) settle(t Tx, o syncproto.Outcome, now int64) error {
	if x.State == Done || x.State == Dismissed {
		return nil
	}
	x.Code, x.Reason, x.Changes, x.Expiry, x.At = o.Code, o.Reason, o.Changes, o.Expiry, o.At
	switch o.Status {
	case syncproto.GroupHeld:
		x.State = Held
	case syncproto.GroupRejected:
		x.State = Rejected
	default:
		x.State = Awaiting
		arrived := true
		if x.At != nil {
			var c cursor
			ok, err := getJSON(t, keyCursor(x.At.Bucket), &c)
			if err != nil {
				return err
			}
			arrived = ok && c.Seq >= x.At.Seq
		}
		if arrived {
			x.State, x.DoneAt = Done, now
		}
	}
	return putJSON(t, keyEntry(x.Dseq), x)
}

func (r *Response) receipt(s *syncproto.SignedReceipt) error {
	if !s.Verify(r.e.id.ServerKey) {
		return syncproto.Refuse(syncproto.CodeBadSignature, "the receipt is not signed by the server")
	}
	return r.e.store.Update(func(t Tx) error { return putJSON(t, "receipt", s) })
}

// begin opens a bucket. Rows that were staged before go on being staged, unless the server starts afresh.
func (r *Response) begin(b *syncproto.BucketStart) error {
	if !syncproto.DeviceBucket(b.Bucket) || r.bucket != "" {
		return syncproto.Refuse(syncproto.CodeMalformed, "a bucket that cannot be here")
	}
	r.bucket, r.afresh = b.Bucket, b.Fresh
	return r.e.store.View(func(t Tx) error {
		r.stage = staging{}
		ok, err := getJSON(t, keyStaging(b.Bucket), &r.stage)
		if err != nil {
			return err
		}
		if b.Fresh || !ok {
			r.stage = staging{Incarnation: r.inc, Seq: b.From, Fresh: b.Fresh}
		}
		return nil
	})
}

func (r *Response) row(payload []byte) error {
	row, err := syncproto.ParseRow(payload)
	if err != nil || r.bucket == "" {
		return syncproto.Refuse(syncproto.CodeMalformed, "a row outside of a bucket, or cut short")
	}
	env, err := syncproto.ParseEnvelope(row.Envelope)
	if err != nil {
		return err
	}
	r.rows[env.Ref.String()] = slices.Clone(payload)
	return nil
}

func (r *Response) exit(x *syncproto.Exit) error {
	if r.bucket == "" {
		return syncproto.Refuse(syncproto.CodeMalformed, "an exit outside of a bucket")
	}
	r.rows[syncproto.Ref{Kind: x.Kind, ID: x.ID}.String()] = nil
	return nil
}

// page makes what has arrived durable without showing it.
func (r *Response) page(p *syncproto.Page) error {
	err := r.e.store.Update(func(t Tx) error {
		if r.afresh {
			if err := clearPrefix(t, keyStaged(r.bucket)); err != nil {
				return err
			}
		}
		for key, row := range r.rows {
			if err := t.Put(keyStaged(r.bucket)+key, row); err != nil {
				return err
			}
		}
		r.stage.Seq, r.stage.Incarnation = p.Seq, r.inc
		return putJSON(t, keyStaging(r.bucket), r.stage)
	})
	r.rows, r.bucket = map[string][]byte{}, ""
	return err
}

func clearPrefix(t Tx, prefix string) error {
	var keys []string
	err := t.Scan(prefix, func(key string, _ []byte) (bool, error) { keys = append(keys, key); return true, nil })
	for _, k := range keys {
		if err == nil {
			err = t.Delete(k)
		}
	}
	return err
}

func (r *Response) drop(d *syncproto.Drop) error {
	return r.e.store.Update(func(t Tx) error {
		var c cursor
		ok, err := getJSON(t, keyCursor(d.Bucket), &c)
		if err != nil {
			return err
		}
		if ok {
			left := syncproto.Left{Bucket: d.Bucket, Cursor: c.String(), Count: c.Count, Digest: c.Digest}
			if err := putJSON(t, keyLeft(d.Bucket), left); err != nil {
				return err
			}
		}
		if err := r.bearWitness(t, d.Bucket, nil); err != nil {
			return err
		}
		if err := forget(t, d.Bucket); err != nil {
			return err
		}
		return t.Delete(keyCursor(d.Bucket))
	})
}

// forget erases a bucket's rows, staged ones included. The outbox is never touched.
func forget(t Tx, bucket string) error {
	var refs []string
	err := t.Scan(keyRows(bucket), func(key string, _ []byte) (bool, error) {
		refs = append(refs, key[len(keyRows(bucket)):])
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, ref := range refs {
		if place, err := t.Get("place/" + ref); err != nil {
			return err
		} else if string(place) == bucket {
			if err := t.Delete("place/" + ref); err != nil {
				return err
			}
		}
	}
	for _, prefix := range []string{keyRows(bucket), keyStaged(bucket)} {
		if err := clearPrefix(t, prefix); err != nil {
			return err
		}
	}
	return t.Delete(keyStaging(bucket))
}

// errMismatch is the incident of a bucket whose own rows do not add up to what the server says.
var errMismatch = fmt.Errorf("device: rows and digest disagree")
