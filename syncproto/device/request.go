package device

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"aidloop/syncproto"
)

// Ask says what a request is for.
type Ask struct {
	PushBytes int  // how much to push at most; 0 stands for half of what a server takes
	NoPull    bool // push only, for instance without a token
	MaxBytes  int  // how much the response may bring; 0 leaves it to the server
	Snapshots bool // the caller fetches chunks, see NextChunk: large buckets may be offered so
}

// Request builds the next request: the groups behind what the server has, as far as they fit, with their signature,
// and where the device stands in every bucket. It changes nothing, so that it can be repeated after any fault.
func (e *Engine) Request(clock syncproto.Clock, ask Ask) (b []byte, err error) {
	if ask.PushBytes <= 0 {
		ask.PushBytes = syncproto.MaxPushBytes / 2
	}
	e.pulls = !ask.NoPull
	err = e.store.View(func(t Tx) error {
		st, err := loadState(t)
		if err != nil {
			return err
		}
		if b, err = e.openRequest(t, st, clock, ask.Snapshots); err != nil {
			return err
		}
		lost, err := e.appendLost(t, &b)
		if err != nil {
			return err
		}
		p, err := e.appendGroups(t, &b, st.Have, e.declared, ask.PushBytes)
		if err != nil {
			return err
		}
		frames := 1 + lost + p.frames
		if !ask.NoPull {
			n, keys, err := e.appendWitnesses(t, &b, ask.PushBytes)
			if err != nil {
				return err
			}
			e.witnesses = keys
			frames += n
			want, err := e.want(t, ask.Snapshots)
			if err != nil {
				return err
			}
			want.MaxBytes = ask.MaxBytes
			b = syncproto.AppendJSON(b, syncproto.FrameWant, want)
			frames++
		}
		b = syncproto.AppendJSON(b, syncproto.FrameEnd, syncproto.End{Frames: frames})
		return nil
	})
	return b, err
}

// openRequest writes the frame that opens a request.
func (e *Engine) openRequest(t Tx, st state, clock syncproto.Clock, snapshots bool) ([]byte, error) {
	hello := syncproto.Hello{Versions: [2]int{syncproto.ProtocolVersion, syncproto.ProtocolVersion}, Device: e.id.Device, Catalog: e.opts.Catalog,
		Caps: []string{"gzip", "zstd"}, Wall: clock.Wall, Mono: clock.Mono, Boot: clock.Boot}
	if snapshots {
		hello.Caps = append(hello.Caps, syncproto.CapSnapshot)
	}
	if st.Recipient == "" && e.id.Recipient == "" {
		hello.Caps = append(hello.Caps, syncproto.CapRecipient)
	}
	if err := e.declare(t, st, &hello); err != nil {
		return nil, err
	}
	return syncproto.AppendJSON(nil, syncproto.FrameHello, hello), nil
}

// declare says what is on this phone: the last change, the photos that wait, the keys that those lack, and that it was
// erased: then it asks for none.
func (e *Engine) declare(t Tx, st state, h *syncproto.Hello) error {
	h.Last, h.Erased = st.Next-1, st.Erased
	return e.eachWaiting(t, func(b *Blob, stuck bool) {
		h.Photos++
		if stuck && !b.Spoilt && b.Key != "" && st.Erased == nil && len(h.Lacks) < syncproto.MaxLacks && !slices.Contains(h.Lacks, b.Key) {
			h.Lacks = append(h.Lacks, b.Key)
		}
	})
}

// silent says that nothing can be sent under this identity any more. What a phone sends that is shut out is kept apart.
func (st *state) silent() bool {
	return st.Trouble != "" && st.Trouble != string(syncproto.CodeRevoked)
}

// pushed says what appendGroups added.
type pushed struct {
	frames      int
	first, last uint64
	more        bool // some did not fit
}

// appendGroups adds the groups behind a change, as far as they fit, and the frame that signs them. They begin behind a
// gap that the request declares, and end before the next one.
func (e *Engine) appendGroups(t Tx, b *[]byte, after uint64, declared *syncproto.Lost, limit int) (p pushed, err error) {
	st, err := loadState(t)
	if err != nil || st.silent() {
		return p, err
	}
	sign := syncproto.Sign{Device: e.id.Device, Prev: syncproto.ChainStart(e.id.Device).String()}
	if st.Pruned > 0 {
		sign.Prev = st.PrunedHead
	}
	if declared != nil {
		after, sign.Prev = declared.To, declared.Head
	}
	receipts, until, err := oldReceipts(t, after+1)
	if err != nil {
		return p, err
	}
	size, frames := 0, 0
	err = entries(t, func(x *Entry) (bool, error) {
		if x.Last <= after {
			sign.Prev = x.Head
			return true, nil
		}
		if frames > 0 && x.Dseq != sign.Last+1 {
			return false, nil
		}
		if frames > 0 && (size+x.Size > limit || frames == syncproto.MaxPushGroups || x.Last > until) {
			p.more = true
			return false, nil
		}
		sg, err := frozen(t, x.Dseq)
		if errors.Is(err, errGone) || err == nil && !x.follows(sign.Prev, sign.Head, sg) {
			return false, nil // what is before it goes out first, then it is declared lost
		}
		if err != nil {
			return false, err
		}
		if frames == 0 {
			sign.First = x.Dseq
		}
		*b = syncproto.AppendGroup(*b, sg.Dseq, sg.Changes, sg.Bytes)
		sign.Last, sign.Head = x.Last, x.Head
		size += x.Size
		frames++
		return true, nil
	})
	if err != nil || frames == 0 {
		return p, err
	}
	head, err := syncproto.ParseHash(sign.Head)
	if err != nil {
		return p, err
	}
	sign.Sig = syncproto.SignHead(e.id.Private, e.id.Device, sign.Last, head)
	sign.Receipts = receipts.until(sign.Last)
	*b = syncproto.AppendJSON(*b, syncproto.FrameSign, sign)
	p.frames, p.first, p.last = frames+1, sign.First, sign.Last
	return p, nil
}

// want lists where the device stands: what is staged counts, since it is durable. What did not add up is asked for by
// a repair in place of its cursor, so that a server that knows of no repairs sends it afresh.
func (e *Engine) want(t Tx, snapshots bool) (syncproto.Want, error) {
	w := syncproto.Want{Cursors: []syncproto.BucketCursor{}}
	at := map[string]syncproto.BucketCursor{}
	err := t.Scan("cursor/", func(key string, value []byte) (bool, error) {
		var c cursor
		err := unmarshal(value, &c)
		at[strings.TrimPrefix(key, "cursor/")] = syncproto.BucketCursor{Cursor: c.String()}
		return true, err
	})
	if err != nil {
		return w, err
	}
	if err := wantRepairs(t, &w, at); err != nil {
		return w, err
	}
	err = t.Scan("staging/", func(key string, value []byte) (bool, error) {
		var s staging
		err := unmarshal(value, &s)
		at[strings.TrimPrefix(key, "staging/")] = syncproto.BucketCursor{Cursor: syncproto.Cursor{Incarnation: s.Incarnation, Seq: s.Seq}.String(), Staged: true, Base: s.Base}
		return true, err
	})
	if err == nil {
		err = plannedPlaces(t, at, snapshots)
	}
	if err != nil {
		return w, err
	}
	for _, name := range sortedKeys(at) {
		c := at[name]
		c.Bucket = name
		w.Cursors = append(w.Cursors, c)
	}
	err = t.Scan("left/", func(_ string, value []byte) (bool, error) {
		var l syncproto.Left
		err := unmarshal(value, &l)
		w.Left = append(w.Left, l)
		return true, err
	})
	return w, err
}

// Refused takes note of a refusal of a whole exchange, and says whether another try can help. After a gap the device
// goes on from where the server stands; a fork or a revocation needs a person.
func (e *Engine) Refused(refusal *syncproto.Error) (again bool, err error) {
	err = e.store.Update(func(t Tx) error {
		st, err := loadState(t)
		if err != nil {
			return err
		}
		switch refusal.Code {
		case syncproto.CodeDseqGap:
			again, err = e.rewind(t, &st, refusal)
			if err != nil {
				return err
			}
		case syncproto.CodeFork, syncproto.CodeDseqReused, syncproto.CodeRevoked, syncproto.CodeUnknownDevice:
			st.Trouble = string(refusal.Code)
		default:
			return nil
		}
		return putJSON(t, keyState, st)
	})
	return again, err
}

// rewind goes back to what the server has, for instance after it was restored from a backup. The device keeps its
// acknowledged groups for this; where it no longer has them, a person must know.
func (e *Engine) rewind(t Tx, st *state, refusal *syncproto.Error) (bool, error) {
	// Below what was pruned the device cannot compare heads: all of it was once acknowledged by this server.
	known := refusal.Have == 0 || refusal.Have < st.Pruned || refusal.Have == st.Pruned && refusal.Head.String() == st.PrunedHead
	err := entries(t, func(x *Entry) (bool, error) {
		known = known || x.Last == refusal.Have && x.Head == refusal.Head.String()
		return true, nil
	})
	if err != nil {
		return false, err
	}
	if !known {
		st.Trouble = string(syncproto.CodeDseqGap)
		return false, nil
	}
	again := st.Have != refusal.Have
	st.Have = refusal.Have
	switch _, err := e.gap(t, *st); {
	case errors.Is(err, errNoHead):
		st.Trouble = string(syncproto.CodeDseqGap)
		return false, nil
	case err != nil:
		return false, err
	case !again:
		return false, fmt.Errorf("device: the server asks for what it was sent")
	}
	if err := unsettle(t, st.Have); err != nil {
		return false, err
	}
	return true, settleGone(t, st.Have)
}
