package loop

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"

	"aidloop/syncproto"
	"aidloop/syncproto/bundle"
)

// What a reply may hold.
const (
	maxReplyRows     = 64 << 20 // bytes of responses with rows; the rest follows in the reply to the next bundle
	maxReplyOutcomes = 5000     // groups whose outcomes are told without being asked
	outcomesAFrame   = 500
)

// ReplyBundle writes a reply for a device from what is on record now, without a new bundle: the outcomes of its last
// groups, and the rows that are new since what its last bundle asked for, or all of them.
func (l *Loop) ReplyBundle(ctx context.Context, device string, w io.Writer) error {
	i := &Import{Device: device, l: l}
	if err := i.look(ctx); err != nil {
		return err
	}
	out, err := l.answer(ctx, &syncproto.Hello{Device: device})
	if err != nil {
		return err
	}
	if err := i.recall(ctx, out); err != nil {
		return err
	}
	i.parts = append(i.parts, out.end(true))
	return l.writeReply(ctx, i, w)
}

// recall tells the outcomes of the device's last groups again, signs what is on record of it, and finds out what it
// wanted when it last said so.
func (i *Import) recall(ctx context.Context, out *answer) error {
	var list []syncproto.Outcome
	receipt := syncproto.Receipt{At: i.l.clock().UnixMilli(), Device: i.Device}
	i.want = &syncproto.Want{}
	err := i.l.store.Read(ctx, func(tx ReadTx) error {
		list = nil
		raw, err := tx.Setting(wantSetting(i.Device))
		if err != nil {
			return err
		}
		if raw != "" {
			if err := json.Unmarshal([]byte(raw), i.want); err != nil {
				return err
			}
		}
		dev, err := tx.Device(i.Device)
		if err != nil {
			return err
		}
		receipt.Dseq, receipt.Head, receipt.Incarnation = dev.Have, dev.Head, tx.Incarnation()
		return tx.Batches(i.Device, func(b *Batch) error {
			if b.Foreign {
				return nil
			}
			var o syncproto.Outcomes
			if err := json.Unmarshal(b.Outcomes, &o); err != nil {
				return err
			}
			list = append(list, o.Groups...)
			if n := len(list) - maxReplyOutcomes; n > 0 {
				list = slices.Delete(list, 0, n)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	for k := range list {
		list[k].Replay = true
	}
	for part := range slices.Chunk(list, outcomesAFrame) {
		out.json(syncproto.FrameOutcomes, syncproto.Outcomes{Groups: part})
	}
	out.json(syncproto.FrameReceipt, syncproto.SignReceipt(i.l.secrets.Signing, &receipt))
	return nil
}

// writeReply writes the answer to an imported bundle: the outcomes of its groups, which photos were kept, and the rows
// that the phone wanted, as an exchange with a valid token would have brought them, while the device is active and its
// user may work; else only the outcomes and why. It can be opened by that device alone.
func (l *Loop) writeReply(ctx context.Context, i *Import, w io.Writer) error {
	to, err := bundle.DeviceRecipient(i.dev.PublicKey)
	if err != nil {
		return err
	}
	parts := slices.Clone(i.parts)
	if len(i.kept) > 0 {
		out, err := l.answer(ctx, &syncproto.Hello{Device: i.Device})
		if err != nil {
			return err
		}
		for list := range slices.Chunk(i.kept, syncproto.MaxBundleKept) {
			out.json(syncproto.FrameKept, syncproto.BundleKept{Photos: list})
		}
		parts = append(parts, out.end(true))
	}
	sealed, err := bundle.Seal(w, to)
	if err != nil {
		return err
	}
	head := syncproto.BundleHead{Kind: syncproto.BundleReply, Device: i.Device, Created: l.clock().UnixMilli()}
	b, err := syncproto.NewBundleWriter(sealed, syncproto.SignBundle(l.secrets.Signing, &head))
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err := b.Message(p); err != nil {
			return err
		}
	}
	if i.want != nil {
		if err := i.feed(ctx, b); err != nil {
			return err
		}
	}
	return errors.Join(b.Close(), sealed.Close())
}

// feed writes one response after another until the phone would have everything.
func (i *Import) feed(ctx context.Context, b *syncproto.BundleWriter) error {
	want := *i.want
	want.Cursors, want.Repair = slices.Clone(want.Cursors), slices.Clone(want.Repair)
	for sent, more := 0, true; more && sent < maxReplyRows; {
		out, err := i.l.answer(ctx, &syncproto.Hello{Device: i.Device})
		if err != nil {
			return err
		}
		reader := &Reader{User: i.User, Device: i.Device}
		if !i.may && out.dev.works() {
			reader = nil
		}
		if code := mayPull(reader, out.dev); code != "" {
			out.json(syncproto.FrameFault, syncproto.Fault{Code: code, Message: code.Words()})
			return b.Message(out.end(false))
		}
		from, n := len(out.b), 0
		if out.b, n, more, err = i.l.Feed(ctx, *reader, &want, out.b); err != nil {
			return err
		}
		out.frames += n
		if err := advance(&want, out.b[from:], out.incarnation); err != nil {
			return err
		}
		sent += len(out.b)
		if err := b.Message(out.end(more)); err != nil {
			return err
		}
	}
	return nil
}

// advance moves a want to where a phone stands that has taken a response: at pages, which are staged, and at checkpoints.
// What it asked to be repaired has been answered then.
func advance(want *syncproto.Want, frames []byte, incarnation string) error {
	var start syncproto.BucketStart
	same := func(x syncproto.BucketCursor) bool { return x.Bucket == start.Bucket }
	at := func(seq uint64, staged bool) {
		c := syncproto.BucketCursor{Bucket: start.Bucket, Cursor: syncproto.Cursor{Incarnation: incarnation, Seq: seq}.String(), Staged: staged}
		k := slices.IndexFunc(want.Cursors, same)
		if k < 0 {
			want.Cursors = append(want.Cursors, syncproto.BucketCursor{})
			k = len(want.Cursors) - 1
		}
		switch {
		case staged && start.Fresh:
			c.Base = start.Head
		case staged:
			c.Base = want.Cursors[k].Base
		}
		want.Cursors[k] = c
	}
	answered := func(bucket string) {
		want.Repair = slices.DeleteFunc(want.Repair, func(x syncproto.Repair) bool { return x.Bucket == bucket })
	}
	for len(frames) > 0 {
		f, rest, err := syncproto.NextFrame(frames)
		if err != nil {
			return err
		}
		var (
			page  syncproto.Page
			point syncproto.Checkpoint
			drop  syncproto.Drop
		)
		switch f.Type {
		case syncproto.FrameBucket:
			start = syncproto.BucketStart{}
			err = f.Decode(&start)
			answered(start.Bucket)
		case syncproto.FramePage:
			err = f.Decode(&page)
			at(page.Seq, true)
		case syncproto.FrameCheckpoint:
			err = f.Decode(&point)
			at(point.Seq, false)
		case syncproto.FrameDrop:
			err = f.Decode(&drop)
			want.Cursors = slices.DeleteFunc(want.Cursors, func(x syncproto.BucketCursor) bool { return x.Bucket == drop.Bucket })
			answered(drop.Bucket)
		}
		if err != nil {
			return err
		}
		frames = rest
	}
	return nil
}

// answer is a response in the making.
type answer struct {
	b           []byte
	frames      int
	dev         *Device
	incarnation string
}

// answer opens a response with where the server stands.
func (l *Loop) answer(ctx context.Context, hello *syncproto.Hello) (*answer, error) {
	reply, dev, err := l.greet(ctx, hello)
	if err != nil {
		return nil, err
	}
	return &answer{syncproto.AppendJSON(nil, syncproto.FrameHelloReply, reply), 1, dev, reply.Incarnation}, nil
}

func (a *answer) json(t syncproto.FrameType, v any) {
	a.b = syncproto.AppendJSON(a.b, t, v)
	a.frames++
}

func (a *answer) end(more bool) []byte {
	return syncproto.AppendJSON(a.b, syncproto.FrameEnd, syncproto.End{Frames: a.frames, More: more})
}
