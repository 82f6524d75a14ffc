package loop

import (
	"context"
	"errors"
	"slices"
	"sync"

	"aidloop/syncproto"
)

// Exchange is one sync request from beginning to end: what the device pushes is received and committed first, then
// what it wants is fed from a later snapshot, so that it sees its own writes. The reader is nil where no valid token
// came along: a push is taken all the same, since the device signs it, and only the rows are left out, with a fault
// that says so. It returns the response's frames; an error refuses the exchange, of which nothing was then stored.
func (l *Loop) Exchange(ctx context.Context, p Push, reader *Reader) ([]byte, error) {
	req := p.Request
	if reader != nil && reader.Device != req.Hello.Device {
		return nil, syncproto.Refuse(syncproto.CodeForeignToken, "the token was issued to another device")
	}
	var pushed *Pushed
	switch {
	case len(req.Groups) > 0:
		var err error
		if pushed, err = l.Receive(ctx, p); err != nil {
			return nil, err
		}
	case req.Lost != nil:
		if err := l.declareLost(ctx, req.Lost); err != nil {
			return nil, err
		}
	}
	reply, dev, err := l.greet(ctx, &req.Hello)
	if err != nil {
		return nil, err
	}
	if l.news(dev, req, reader) {
		if err := l.heard(ctx, req, reader); err != nil {
			return nil, err
		}
		if reply, dev, err = l.greet(ctx, &req.Hello); err != nil {
			return nil, err
		}
	}
	if reader != nil && len(req.Witness) > 0 && dev.works() {
		if err := l.bearWitness(ctx, reader.Device, req.Witness); err != nil {
			return nil, err
		}
		reply.Witnessed = len(req.Witness)
	}
	out := syncproto.AppendJSON((*pages.Get().(*[]byte))[:0], syncproto.FrameHelloReply, reply)
	frames := 1
	if pushed != nil {
		out = syncproto.AppendJSON(out, syncproto.FrameOutcomes, pushed.Outcomes)
		out = syncproto.AppendJSON(out, syncproto.FrameReceipt, pushed.Receipt)
		frames += 2
	}
	out, n, more, err := l.pull(ctx, req, reader, dev, out)
	if err != nil {
		return nil, err
	}
	return syncproto.AppendJSON(out, syncproto.FrameEnd, syncproto.End{Frames: frames + n, More: more}), nil
}

// pull appends the rows that a request wants, or a fault that says why there are none.
func (l *Loop) pull(ctx context.Context, req *syncproto.Request, reader *Reader, dev *Device, out []byte) (_ []byte, frames int, more bool, err error) {
	if req.Want == nil {
		return out, 0, false, nil
	}
	code := mayPull(reader, dev)
	if !req.Hello.Speaks() { // it may push all the same, since nothing that was captured is turned away
		code = syncproto.CodeVersion
	}
	if code != "" {
		return syncproto.AppendJSON(out, syncproto.FrameFault, syncproto.Fault{Code: code, Message: code.Words()}), 1, false, nil
	}
	r := *reader
	r.Snapshots = slices.Contains(req.Hello.Caps, syncproto.CapSnapshot)
	return l.Feed(ctx, r, req.Want, out)
}

// pages holds the memory of former responses: pages are large, and memory that was never touched before is slow.
var pages = sync.Pool{New: func() any { return new([]byte) }}

// Recycle takes a response back that nobody reads any more.
func Recycle(response []byte) {
	if cap(response) <= 2*syncproto.MaxPageBytes {
		response = response[:0]
		pages.Put(&response)
	}
}

// mayPull says why there are no rows for a device.
func mayPull(reader *Reader, dev *Device) syncproto.Code {
	switch {
	case dev.State == DeviceLost:
		return syncproto.CodeSuspended
	case dev.Out(): // said without a token too: a phone that is shut out has none
		return syncproto.CodeRevoked
	case reader == nil:
		return syncproto.CodeTokenInvalid
	case dev.State == DeviceFrozen:
		return syncproto.CodeFork
	}
	return ""
}

// greet is the response's first frame: where the server stands with this device.
func (l *Loop) greet(ctx context.Context, hello *syncproto.Hello) (reply syncproto.HelloReply, dev *Device, err error) {
	err = l.store.Read(ctx, func(tx ReadTx) error {
		dev, err = tx.Device(hello.Device)
		if errors.Is(err, ErrNotFound) {
			return syncproto.Refuse(syncproto.CodeUnknownDevice, "")
		}
		if err != nil {
			return err
		}
		reply = syncproto.HelloReply{Version: syncproto.ProtocolVersion, Catalog: catalogVersion, Incarnation: tx.Incarnation(),
			Now: l.clock().UnixMilli(), Have: dev.Have, Head: dev.Head.String(), Order: dev.order()}
		if slices.Contains(hello.Caps, syncproto.CapRecipient) {
			reply.Recipient = l.secrets.BundleIdentity().Recipient().String()
		}
		return nil
	})
	return reply, dev, err
}
