package loop

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Bundles are carried by hand and arrive in any order. A part that does not connect to what is on record of its device
// is parked: checked, kept and shown. It is judged when what comes before it has arrived, by whatever way.

// What may wait of one device. Beyond it a part is refused, and may be brought again later; nothing that waits is dropped.
const (
	MaxParkedBytes = 64 << 20 // decompressed
	MaxParkedParts = 200
)

// sentAt is what the times of capture of a push are counted back from: its receipt, or for what was carried in a bundle
// the phone's own word of when it made it, where that lies between its enrolment and the arrival. Else the days on the
// way would count as days before the capture.
func sentAt(a *arrival, dev *Device, now int64) int64 {
	if a.Carried == 0 {
		return now
	}
	arrived := min(a.Carried, now)
	if said := a.Request.Hello.Wall; said >= dev.CreatedAt && said <= arrived {
		return said
	}
	return arrived
}

// park keeps a part that came too early. Again is true where what was missing has just arrived and it can be received.
func (l *Loop) park(ctx context.Context, p Push) (again bool, err error) {
	a, err := l.examine(ctx, p)
	if err != nil {
		return false, err
	}
	sign := p.Request.Sign
	err = l.run(ctx, func(w *work) error {
		again = false
		dev, err := w.tx.Device(sign.Device)
		if err != nil {
			return err
		}
		if sign.First <= dev.Have+1 {
			again = true
			return nil
		}
		list, err := w.tx.Parked(dev.ID)
		if err != nil {
			return err
		}
		size := int64(p.Size)
		for _, x := range list {
			if x.First == sign.First && x.Head == a.head && x.Prev == a.prev {
				return nil
			}
			size += x.Bytes
		}
		if len(list) >= MaxParkedParts || size > MaxParkedBytes {
			return syncproto.Refuse(syncproto.CodeParkedFull, "too much of this device waits for what comes before it")
		}
		return w.tx.PutParked(&Parked{Device: dev.ID, First: sign.First, Last: sign.Last, Prev: a.prev, Head: a.head, At: w.now,
			Bytes: int64(p.Size), Encoding: p.Encoding, Data: bytes.Clone(p.Body)})
	})
	return again, err
}

// waits reports whether a parked part of a device connects to what is on record by now, or was overtaken by it.
func (w *work) waits(dev *Device) (bool, error) {
	list, err := w.tx.Parked(dev.ID)
	return len(list) > 0 && list[0].First <= dev.Have+1, err
}

// unpark receives the parked parts of a device that connect, one transaction each. The push that closed the gap is
// committed already, so that a fault here is noted and tried again by SettleParked.
func (l *Loop) unpark(ctx context.Context, device string) {
	for more := true; more; {
		err := l.run(ctx, func(w *work) (err error) {
			more, err = w.unpark(device)
			return err
		})
		if err != nil {
			l.log.Error("receive a parked part", "device", device, "err", err)
			return
		}
	}
}

// unpark receives the first part of a device that connects as if it had just been pushed, and forgets it. Groups that
// have arrived otherwise since are compared with it, so that a fork is found; its bytes are kept as evidence then.
func (w *work) unpark(device string) (more bool, err error) {
	dev, err := w.tx.Device(device)
	if err != nil {
		return false, err
	}
	list, err := w.tx.Parked(device)
	if err != nil || len(list) == 0 || list[0].First > dev.Have+1 {
		return false, err
	}
	p, err := w.tx.ParkedData(list[0].N)
	if err != nil {
		return false, err
	}
	a, err := p.arrival()
	if err != nil {
		return false, err
	}
	a.times = w.l.oldTimes(a.Request.Sign)
	_, err = w.receive(a, &Pushed{})
	var refusal *syncproto.Error
	switch {
	case errors.As(err, &refusal) && refusal.Code == syncproto.CodeQuota:
		return false, nil // it waits for another day
	case errors.As(err, &refusal) && keepsBytes(refusal.Code):
	case err != nil:
		return false, err
	}
	return true, w.tx.DeleteParked(p.N)
}

// arrival is a parked part as it came.
func (p *Parked) arrival() (*arrival, error) {
	raw, err := Decompress(p.Encoding, p.Data, syncproto.MaxPushBytes)
	if err != nil {
		return nil, err
	}
	req, err := syncproto.ParseRequest(raw)
	if err != nil {
		return nil, err
	}
	return follow(Push{Request: req, Size: len(raw), Body: p.Data, Encoding: p.Encoding, Carried: p.At})
}

// SettleParked receives every parked part that connects: those whose quota was used up, and those that a crash left.
func (l *Loop) SettleParked(ctx context.Context) error {
	var list []Parked
	err := l.store.Read(ctx, func(tx ReadTx) (err error) { list, err = tx.Parked(""); return err })
	last := ""
	for _, p := range list {
		if p.Device != last {
			l.unpark(ctx, p.Device)
		}
		last = p.Device
	}
	return err
}

// Span is a range of change numbers, both ends included.
type Span struct{ From, To uint64 }

// Backlog is what waits of one device.
type Backlog struct {
	Device
	UserName string
	Waiting  []Span // parked, in order
	Missing  []Span // what has to arrive before each of them
	Parts    int
	Bytes    int64
	Since    int64 // when the oldest of them arrived, milliseconds
}

// ReadBacklog lists the devices of the caller's region of which parts of bundles wait, with what is missing.
func (l *Loop) ReadBacklog(ctx context.Context, by casework.Actor) (list []Backlog, err error) {
	err = l.store.Read(ctx, func(tx ReadTx) error {
		list = []Backlog{}
		all, err := tx.Parked("")
		if err != nil {
			return err
		}
		for from := 0; from < len(all); {
			to := from + 1
			for to < len(all) && all[to].Device == all[from].Device {
				to++
			}
			b, err := backlogOf(tx, all[from:to])
			if err != nil {
				return err
			}
			u, err := tx.User(b.User)
			if err != nil {
				return err
			}
			if b.UserName = u.Name; by.May(casework.VerbReadBacklog, casework.Subject{Kind: "device", Region: u.Region}) == nil {
				list = append(list, *b)
			}
			from = to
		}
		return nil
	})
	return list, err
}

// backlogOf sums up the parked parts of one device, which are in order.
func backlogOf(tx ReadTx, parts []Parked) (*Backlog, error) {
	dev, err := tx.Device(parts[0].Device)
	if err != nil {
		return nil, err
	}
	b := &Backlog{Device: *dev, Parts: len(parts)}
	end := dev.Have
	for _, p := range parts {
		b.Bytes += p.Bytes
		if b.Since == 0 || p.At < b.Since {
			b.Since = p.At
		}
		if p.First > end+1 {
			b.Missing = append(b.Missing, Span{end + 1, p.First - 1})
		}
		if n := len(b.Waiting); n > 0 && p.First <= b.Waiting[n-1].To+1 {
			b.Waiting[n-1].To = max(b.Waiting[n-1].To, p.Last)
		} else {
			b.Waiting = append(b.Waiting, Span{p.First, p.Last})
		}
		end = max(end, p.Last)
	}
	return b, nil
}

// parked checks the chain and the signature of every part that waits.
func (c *Checked) parked(tx ReadTx, d Device) error {
	list, err := tx.Parked(d.ID)
	for _, x := range list {
		p, err := tx.ParkedData(x.N)
		if err != nil {
			return err
		}
		a, err := p.arrival()
		if err != nil || a.head != p.Head || a.Request.Sign.First != p.First || a.Request.Sign.Last != p.Last ||
			!syncproto.VerifyHead(ed25519.PublicKey(d.PublicKey), d.ID, p.Last, p.Head, a.Request.Sign.Sig) {
			c.find("device "+d.ID, "the parked part up to change %d is not what the device signed", p.Last)
		}
	}
	return err
}
