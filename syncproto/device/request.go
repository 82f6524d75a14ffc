package device

import (
	"fmt"
	"strings"

	"aidloop/syncproto"
)

// Ask says what a request is for.
type Ask struct {
	PushBytes int  // how much to push at most; 0 stands for half of what a server takes
	NoPull    bool // push only, for instance without a token
	MaxBytes  int  // how much the response may bring; 0 leaves it to the server
}

// Request builds the next request: the groups behind what the server has, as far as they fit, with their signature,
// and where the device stands in every bucket. It changes nothing, so that it can be repeated after any fault.
func (e *Engine) Request(clock syncproto.Clock, ask Ask) (b []byte, err error) {
	if ask.PushBytes <= 0 {
		ask.PushBytes = syncproto.MaxPushBytes / 2
	}
	e.pulls = !ask.NoPull
	err = e.store.View(func(t Tx) error {
		hello := syncproto.Hello{Versions: [2]int{1, 1}, Device: e.id.Device, Catalog: e.opts.Catalog, Caps: []string{"gzip", "zstd"},
			Wall: clock.Wall, Mono: clock.Mono, Boot: clock.Boot}
		if err := e.declare(t, &hello); err != nil {
			return err
		}
		b = syncproto.AppendJSON(nil, syncproto.FrameHello, hello)
		frames := 1
		n, err := e.appendGroups(t, &b, ask.PushBytes)
		if err != nil {
			return err
		}
		frames += n
		if !ask.NoPull {
			if n, err = e.appendWitnesses(t, &b, ask.PushBytes); err != nil {
				return err
			}
			frames += n
			want, err := e.want(t)
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

// declare says what is on this phone: the last change, the photos that wait, and that it was erased.
func (e *Engine) declare(t Tx, h *syncproto.Hello) error {
	st, err := loadState(t)
	if err != nil {
		return err
	}
	h.Last, h.Erased = st.Next-1, st.Erased
	return eachBlob(t, func(b *Blob) {
		if !b.Sent {
			h.Photos++
		}
	})
}

// appendGroups adds the groups that the server lacks, and the frame that signs them.
func (e *Engine) appendGroups(t Tx, b *[]byte, limit int) (frames int, err error) {
	st, err := loadState(t)
	if err != nil || st.Trouble != "" && st.Trouble != string(syncproto.CodeRevoked) { // what a phone that is shut out sends is kept apart
		return 0, err
	}
	sign := syncproto.Sign{Device: e.id.Device, Prev: syncproto.ChainStart(e.id.Device).String()}
	size := 0
	err = entries(t, func(x *Entry) (bool, error) {
		if x.Last <= st.Have {
			sign.Prev = x.Head
			return true, nil
		}
		if frames > 0 && (size+x.Size > limit || frames == syncproto.MaxPushGroups) {
			return false, nil
		}
		sg, err := frozen(t, x.Dseq)
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
		return 0, err
	}
	head, err := syncproto.ParseHash(sign.Head)
	if err != nil {
		return 0, err
	}
	sign.Sig = syncproto.SignHead(e.id.Private, e.id.Device, sign.Last, head)
	*b = syncproto.AppendJSON(*b, syncproto.FrameSign, sign)
	return frames + 1, nil
}

// want lists where the device stands: what is staged counts, since it is durable.
func (e *Engine) want(t Tx) (syncproto.Want, error) {
	w := syncproto.Want{Cursors: []syncproto.BucketCursor{}}
	at := map[string]string{}
	err := t.Scan("cursor/", func(key string, value []byte) (bool, error) {
		var c cursor
		err := unmarshal(value, &c)
		at[strings.TrimPrefix(key, "cursor/")] = c.String()
		return true, err
	})
	if err != nil {
		return w, err
	}
	err = t.Scan("staging/", func(key string, value []byte) (bool, error) {
		var s staging
		err := unmarshal(value, &s)
		at[strings.TrimPrefix(key, "staging/")] = syncproto.Cursor{Incarnation: s.Incarnation, Seq: s.Seq}.String()
		return true, err
	})
	if err != nil {
		return w, err
	}
	for _, name := range sortedKeys(at) {
		w.Cursors = append(w.Cursors, syncproto.BucketCursor{Bucket: name, Cursor: at[name]})
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
	known := refusal.Have == 0
	oldest := uint64(0)
	err := entries(t, func(x *Entry) (bool, error) {
		if oldest == 0 {
			oldest = x.Dseq
		}
		known = known || x.Last == refusal.Have && x.Head == refusal.Head.String()
		return true, nil
	})
	if err != nil {
		return false, err
	}
	if !known || oldest > refusal.Have+1 {
		st.Trouble = string(syncproto.CodeDseqGap)
		return false, nil
	}
	if st.Have == refusal.Have {
		return false, fmt.Errorf("device: the server asks for what it was sent")
	}
	st.Have = refusal.Have
	return true, unsettle(t, st.Have)
}
