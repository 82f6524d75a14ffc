package device

import (
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
	Base        uint64 `json:"base"`  // where the bucket stood when it began afresh
	At          int64  `json:"at"`    // the server's clock when it wrote the newest of them
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
	afresh bool               // the open bucket began afresh: what was staged before is void
	leaves *syncproto.LeafSet // the open bucket's rows replace these leaves
	others []string           // the buckets that are held, once they were looked for
	again  bool               // a bucket did not add up, and asking once more can help
	rows   map[string][]byte  // of the open bucket, not yet durable: "kind/id" → row frame, or nothing for an exit
	skip   bool               // the open bucket builds on what this phone does not have, or says less than it has
	fault  *syncproto.Fault
	end    *syncproto.End

	// A response that was carried in a bundle may be late: the phone may have heard more since it was written, even that
	// the server's life it comes from was lost.
	carried, late, former bool
	gaps                  bool // a bucket was skipped
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
	if r.former && f.Type != syncproto.FrameEnd {
		return nil
	}
	switch f.Type {
	case syncproto.FrameHelloReply:
		return decode(f, r.hello)
	case syncproto.FrameKept:
		return decode(f, r.kept)
	case syncproto.FrameOutcomes:
		return decode(f, r.outcomes)
	case syncproto.FrameReceipt:
		return decode(f, r.receipt)
	case syncproto.FrameBucket:
		return decode(f, r.begin)
	case syncproto.FrameSnapshot:
		return decode(f, r.snapshot)
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
	if r.former || r.late {
		return false, r.fault, nil
	}
	pulled := r.e.pulls
	if r.carried {
		pulled = !r.gaps
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
		whole := r.e.pulls && r.fault == nil && !r.end.More
		if err := r.scrub(t, &st, whole); err != nil {
			return err
		}
		if err := putJSON(t, keyState, st); err != nil {
			return err
		}
		if pulled && r.fault == nil && !r.end.More {
			if err := r.unreachable(t); err != nil {
				return err
			}
		}
		more = r.end.More || (st.Trouble == "" || r.out()) && st.Have+1 < st.Next || r.again || erased
		return nil
	})
	if err == nil && erased {
		r.e.id.UserKey, r.e.id.FormerKeys = syncproto.Key{}, nil
	}
	return more, r.fault, err
}

// out says that the server has shut this phone out, and still takes what it sends.
func (r *Response) out() bool { return r.fault != nil && r.fault.Code == syncproto.CodeRevoked }

// unreachable releases groups whose rows lie where this device does not look any more, or that are on record in another
// life of the server than the one that told their place: everything in its scope has arrived, and they with it or never.
func (r *Response) unreachable(t Tx) error {
	plans := 0 // buckets whose rows are still to come in chunks
	err := t.Scan(keyPlan(""), func(string, []byte) (bool, error) { plans++; return true, nil })
	if err != nil {
		return err
	}
	var list []Entry
	err = entries(t, func(x *Entry) (bool, error) {
		if x.State != Awaiting || x.At == nil {
			return true, nil
		}
		b, err := t.Get(keyCursor(x.At.Bucket))
		if err == nil && b == nil {
			b, err = t.Get(keyPlan(x.At.Bucket))
		}
		if b == nil || !x.of(r.inc) && plans == 0 {
			list = append(list, *x)
		}
		return true, err
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
	if h.Version != syncproto.ProtocolVersion {
		return syncproto.Refuse(syncproto.CodeVersion, "the server answers in a version that this app does not speak")
	}
	r.inc, r.server = h.Incarnation, h.Now
	return r.e.store.Update(func(t Tx) error {
		st, err := loadState(t)
		if err != nil {
			return err
		}
		if r.carried {
			if r.outdated(&st, h); r.former {
				return nil
			}
		} else if err := r.witnessed(t, h.Witnessed); err != nil { // of a bundle's witnesses nobody keeps count
			return err
		}
		if st.Incarnation != "" && st.Incarnation != h.Incarnation {
			if err := resend(t); err != nil {
				return err
			}
			st.Former = append(st.Former[max(0, len(st.Former)-maxLives+1):], st.Incarnation)
		}
		if err := voidStaged(t, h.Incarnation); err != nil {
			return err
		}
		if err := pruneBlobs(t, r.server); err != nil {
			return err
		}
		if st.Incarnation = h.Incarnation; !r.late {
			st.Safe, st.ServerNow, st.Order = h.SafeDseq, h.Now, h.Order
		}
		if h.Recipient != "" {
			st.Recipient = h.Recipient
		}
		if h.Have >= st.Next { // this phone was put back from a backup: its numbers were given to other changes
			st.Trouble = string(syncproto.CodeFork)
		}
		// What the server has beyond is not taken over: its outcomes have not been heard yet.
		if h.Have < st.Have && !r.late {
			if err := unsettle(t, h.Have); err != nil {
				return err
			}
			st.Have = h.Have
		}
		if err := r.e.afterGap(t, &st, h, r.server); err != nil {
			return err
		}
		if err := prune(t, &st, r.server, r.e.opts.Retention); err != nil {
			return err
		}
		if !r.carried {
			st.Offset = r.now - h.Now
		}
		return putJSON(t, keyState, st)
	})
}

// unsettle takes back what a server knew that was put back from a backup: its groups behind have go out again and are
// judged again, and until then they lie over the rows.
func unsettle(t Tx, have uint64) error {
	var list []Entry
	err := entries(t, func(x *Entry) (bool, error) {
		if x.Last > have && x.State != Pending && x.State != Dismissed && x.State != Lost {
			list = append(list, *x)
		}
		return true, nil
	})
	for i := range list {
		x := &list[i]
		x.State, x.Code, x.Reason, x.Changes, x.Expiry, x.At, x.Life, x.DoneAt = Pending, "", "", nil, 0, nil, "", 0
		if err == nil {
			err = putJSON(t, keyEntry(x.Dseq), x)
		}
	}
	return err
}

// prune forgets groups that the server's rows carry and a backup holds, or that are older than the time for which
// they are kept without word of one.
func prune(t Tx, st *state, now, retention int64) error {
	var gone []Entry
	err := entries(t, func(x *Entry) (bool, error) {
		old := now-x.DoneAt > retention
		if (x.State == Done || x.State == Dismissed || x.State == Lost) && x.Last < st.Have && (x.Last <= st.Safe || x.DoneAt > 0 && old) {
			gone = append(gone, *x)
			return true, nil
		}
		return false, nil // the chain is kept without holes
	})
	if err != nil {
		return err
	}
	for _, x := range gone[:max(len(gone)-1, 0)] { // the last one stays: its head opens the next push
		if err := t.Delete(keyEntry(x.Dseq)); err != nil {
			return err
		}
		if err := t.Delete(keyGroup(x.Dseq)); err != nil {
			return err
		}
		st.Pruned, st.PrunedHead = x.Last, x.Head
	}
	if len(gone) < 2 {
		return nil
	}
	return pruneReceipts(t, st.Pruned)
}

func (r *Response) receipt(s *syncproto.SignedReceipt) error {
	if !s.Verify(r.e.id.ServerKey) {
		return syncproto.Refuse(syncproto.CodeBadSignature, "the receipt is not signed by the server")
	}
	if r.late {
		return nil
	}
	return r.e.store.Update(func(t Tx) error { return keepReceipt(t, r.e.id.Device, s) })
}

// begin opens a bucket. Rows that were staged before go on being staged, unless the server starts afresh.
func (r *Response) begin(b *syncproto.BucketStart) error {
	if !syncproto.DeviceBucket(b.Bucket) || r.bucket != "" {
		return syncproto.Refuse(syncproto.CodeMalformed, "a bucket that cannot be here")
	}
	r.bucket, r.afresh, r.skip = b.Bucket, b.Fresh, false
	if b.Leaves != "" {
		set, err := syncproto.ParseLeafSet(b.Leaves)
		if err != nil || b.Fresh {
			return syncproto.Refuse(syncproto.CodeMalformed, "a bucket with bad leaves")
		}
		r.leaves, r.stage = &set, staging{}
		return nil
	}
	return r.e.store.Update(func(t Tx) error {
		if !r.carried { // it comes in pages now
			if err := clearPlan(t, b.Bucket); err != nil {
				return err
			}
		}
		r.stage = staging{}
		ok, err := getJSON(t, keyStaging(b.Bucket), &r.stage)
		if err != nil {
			return err
		}
		if b.Fresh {
			r.stage = staging{Incarnation: r.inc, Seq: b.From, Fresh: true, Base: b.Head}
			return nil
		}
		if !ok {
			cur := cursor{Incarnation: r.inc}
			if _, err := getJSON(t, keyCursor(b.Bucket), &cur); err != nil {
				return err
			}
			r.stage = staging{Incarnation: cur.Incarnation, Seq: cur.Seq}
		}
		// Rows from before the phone's place are the newest ones of their records as well, so that what overlaps does no
		// harm; rows that begin behind it leave something out. In another life of the server only the very place that was
		// asked for is known to be true. Below a floor deletions are left out, for one who began afresh above it.
		r.skip = b.From > r.stage.Seq || r.stage.Incarnation != r.inc && b.From != r.stage.Seq || b.Floor > max(r.stage.Seq, r.stage.Base)
		r.gaps, r.stage.Incarnation = r.gaps || r.skip, r.inc
		return nil
	})
}

// behind reports whether the phone has more of the open bucket than a response that ends at seq.
func (r *Response) behind(t Tx, seq uint64) (bool, error) {
	if !r.afresh && r.leaves == nil {
		return seq < r.stage.Seq, nil
	}
	var cur cursor
	ok, err := getJSON(t, keyCursor(r.bucket), &cur)
	return ok && cur.Incarnation == r.inc && seq < cur.Seq, err
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
	if r.leaves != nil || r.bucket == "" {
		return syncproto.Refuse(syncproto.CodeMalformed, "a page outside of a bucket, or of leaves")
	}
	err := r.e.store.Update(func(t Tx) error {
		// A bucket that begins afresh has pages from before the phone's place; only a late reply says nothing by them.
		if r.skip || r.afresh && r.late || !r.afresh && p.Seq < r.stage.Seq {
			return nil
		}
		if r.afresh {
			if err := clearPrefix(t, keyStaged(r.bucket)); err != nil {
				return err
			}
		}
		return r.keep(t, p.Seq)
	})
	r.rows, r.bucket = map[string][]byte{}, ""
	return err
}

// keep stages the rows of the open bucket, up to seq.
func (r *Response) keep(t Tx, seq uint64) error {
	for key, row := range r.rows {
		if err := t.Put(keyStaged(r.bucket)+key, row); err != nil {
			return err
		}
	}
	r.stage.Seq, r.stage.Incarnation, r.stage.At = seq, r.inc, max(r.stage.At, r.server)
	return putJSON(t, keyStaging(r.bucket), r.stage)
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
	if r.late {
		return nil // the bucket may have been given back since
	}
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
		if err := r.forget(t, d.Bucket, nil); err != nil {
			return err
		}
		if err := t.Delete(keyRepair(d.Bucket)); err != nil {
			return err
		}
		return t.Delete(keyCursor(d.Bucket))
	})
}
