package loop

import (
	"context"
	"slices"
	"time"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// What a phone says of itself in an exchange is its word and no proof: what it holds, what it has not sent, that it has
// erased itself. It is kept, so that people see it before they move or wipe anything.

// seenEvery is how exact a phone's time of last contact is where it had nothing to push and nothing new to say.
const seenEvery = 6 * time.Hour

// order is what the device is asked to do at its next exchange.
func (d *Device) order() string {
	switch d.State {
	case DeviceRetiring:
		return syncproto.OrderHandOver
	case DeviceRetired, DeviceRevoked, DeviceStolen:
		return syncproto.OrderErase
	}
	return ""
}

// declare notes what a device says is on it. One that says nothing does not know how to.
func (d *Device) declare(h *syncproto.Hello) {
	if h.Last > 0 {
		d.Claimed, d.Photos = min(h.Last, syncproto.MaxInt), min(max(h.Photos, 0), 1<<32)
	}
}

// handedOver says that the device holds nothing that is not on record, by its own word.
func (d *Device) handedOver() bool {
	return d.State == DeviceRetiring && d.Claimed <= d.Have && d.Photos == 0
}

// news says whether an exchange tells something that is to be written down. Only a valid token speaks for the device,
// or its signature under the word that it has erased itself.
func (l *Loop) news(dev *Device, req *syncproto.Request, reader *Reader) bool {
	if h := &req.Hello; h.Erased != nil && dev.ErasedAt == 0 && dev.order() == syncproto.OrderErase {
		return h.Erased.Verify(dev.PublicKey, dev.ID)
	}
	if reader == nil || dev.Out() {
		return false
	}
	said := *dev
	said.declare(&req.Hello)
	return l.clock().UnixMilli()-dev.SeenAt > seenEvery.Milliseconds() || said.Claimed != dev.Claimed || said.Photos != dev.Photos ||
		said.handedOver() && req.Hello.Last > 0 || l.leaves(dev.ID, req) || l.lacks(dev.User, req)
}

// leaves says whether the device acknowledges that it dropped a bucket, for the first time: it says so again and again.
func (l *Loop) leaves(device string, req *syncproto.Request) (news bool) {
	if req.Want == nil || len(req.Want.Left) == 0 {
		return false
	}
	err := l.store.Read(context.Background(), func(tx ReadTx) error {
		known, err := tx.Holdings(device)
		for _, left := range req.Want.Left {
			news = news || !slices.ContainsFunc(known, func(h Holding) bool { return h.Gone && h.Bucket == left.Bucket && h.Cursor == left.Cursor })
		}
		return err
	})
	return news && err == nil
}

// heard writes down what an exchange tells of the device.
func (l *Loop) heard(ctx context.Context, req *syncproto.Request, reader *Reader) error {
	return l.run(ctx, func(w *work) error {
		d, err := w.tx.Device(req.Hello.Device)
		if err != nil {
			return err
		}
		var said []Holding
		d.SeenAt = max(d.SeenAt, w.now)
		switch e := req.Hello.Erased; {
		case e != nil && d.ErasedAt == 0 && d.order() == syncproto.OrderErase && e.Verify(d.PublicKey, d.ID):
			d.ErasedAt = w.now
			said = gone(e.Left, w.now)
			w.note(Audit{Actor: d.User, Verb: "device_erased", Ref: syncproto.Ref{Kind: "device", ID: d.ID},
				Details: syncproto.Fields(map[string]any{"buckets": len(e.Left)}).Bytes()})
		case reader == nil || d.Out():
			return nil
		default:
			d.declare(&req.Hello)
			said = whereabouts(req, w.now)
			if err := w.catchUp(d, req.Hello.Lacks); err != nil {
				return err
			}
			if req.Hello.Last > 0 && d.handedOver() {
				if err := w.turn(d, "hand_over", casework.RoleSystem, ""); err != nil {
					return err
				}
			}
		}
		if err := w.holds(d, said); err != nil {
			return err
		}
		return w.tx.PutDevice(d)
	})
}

// declared notes what a device that pushes says of itself, in the transaction of the push: what is on it, and where it
// stands in its buckets if it has not been heard of for long.
func (w *work) declared(d *Device, req *syncproto.Request) error {
	d.declare(&req.Hello)
	if d.Out() || w.now-d.SeenAt <= seenEvery.Milliseconds() {
		return nil
	}
	return w.holds(d, whereabouts(req, w.now))
}

// whereabouts is where a device says that it stands, and what it says that it has dropped.
func whereabouts(req *syncproto.Request, now int64) (list []Holding) {
	if req.Want == nil {
		return nil
	}
	list = gone(req.Want.Left, now)
	for _, c := range req.Want.Cursors {
		list = append(list, Holding{Bucket: c.Bucket, Cursor: c.Cursor, Count: -1, At: now})
	}
	return list
}

func gone(left []syncproto.Left, now int64) (list []Holding) {
	for _, l := range left {
		list = append(list, Holding{Bucket: l.Bucket, Cursor: l.Cursor, Count: l.Count, Digest: l.Digest, Gone: true, At: now})
	}
	return list
}

// holds keeps what a device says of buckets that its user was ever granted; of others it can know nothing.
func (w *work) holds(d *Device, said []Holding) error {
	grants, err := w.l.grants(w.tx, d.User)
	if err != nil {
		return err
	}
	for _, h := range said {
		ours := h.Bucket == syncproto.BucketRef || h.Bucket == syncproto.BucketUser+d.User ||
			slices.ContainsFunc(grants, func(g grantView) bool { return g.bucket == h.Bucket })
		if !ours || len(h.Cursor) > 2*syncproto.MaxIDLen || len(h.Digest) > syncproto.MaxIDLen {
			continue
		}
		if err := w.tx.PutHolding(d.ID, h); err != nil {
			return err
		}
	}
	return nil
}
