package loop

import (
	"context"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// DeviceStep is a step of a phone's life that somebody decides on; casework.DeviceMachine has the steps.
type DeviceStep struct {
	Device string
	Action string // lose, find, steal, retire, keep, revoke
	Reason string
	// Shown is needed to retire a phone: what Holdings answered last, so that nobody retires one without having seen what
	// it may hold, as it is now.
	Shown string
}

// errShown asks to look (again) before a phone is retired.
var errShown = casework.NewError(casework.CodeInvalidTransition, "请先查看这台手机可能还存有哪些内容,核对后再停用;情况有变化时需重新查看。")

// StepDevice takes a phone one step on. Whatever shuts it out ends its sessions at once, keeps apart what it still sends,
// and gives its user a new key, which his other phones get with their next tokens. A stolen one also makes the keys of
// every grid that it held and of every household there new. What the phone holds by then stays readable to whoever has
// it and its keys: erasing works on phones that come by and cooperate.
func (l *Loop) StepDevice(ctx context.Context, by casework.Actor, in DeviceStep) error {
	in.Reason = clipRunes(in.Reason, 500)
	if in.Reason == "" {
		return casework.NewError(casework.CodeInvalidValue, "请写明原因。")
	}
	user := ""
	err := l.run(ctx, func(w *work) error {
		dev, err := w.tx.Device(in.Device)
		if err != nil {
			return err
		}
		u, err := w.tx.User(dev.User)
		if err != nil {
			return err
		}
		if err := by.May(casework.VerbManageDevices, casework.Subject{Kind: "user", Region: u.Region, Dept: u.Dept}); err != nil {
			return err
		}
		if in.Action == "retire" {
			held, err := w.tx.Held(dev.ID, maxHeld)
			if err != nil {
				return err
			}
			if !sameHash(in.Shown, dev.shown(len(held))) {
				return errShown
			}
		}
		user = u.ID
		if err := w.turn(dev, in.Action, by.Role, in.Reason); err != nil {
			return err
		}
		w.auditBy(by, in.Action+"_device", syncproto.Ref{Kind: "device", ID: dev.ID}, syncproto.Ref{}, map[string]any{"reason": in.Reason, "state": dev.State})
		if err := w.tx.PutDevice(dev); err != nil {
			return err
		}
		return w.follow(dev, in.Action)
	})
	if err == nil {
		l.poke([]syncproto.BucketSeq{{Bucket: syncproto.BucketUser + user}}) // live connections look at their standing again
	}
	return err
}

// RevokeDevice shuts a phone out for good: its sessions end, and what it still pushes is kept apart.
func (l *Loop) RevokeDevice(ctx context.Context, by casework.Actor, device string) error {
	return l.StepDevice(ctx, by, DeviceStep{Device: device, Action: "revoke", Reason: "停用设备"})
}

// turn takes a device to its next state; the caller puts it.
func (w *work) turn(d *Device, action string, by casework.Role, reason string) error {
	to, err := casework.DeviceMachine.Next(d.State, action, by, casework.Facts{})
	if err != nil {
		return err
	}
	d.State, d.Reason, d.Since = to, reason, w.now
	return nil
}

// follow does what a step entails: new keys where a phone may be in other hands, and what a found phone had sent while it
// was shut out is judged.
func (w *work) follow(d *Device, action string) error {
	switch action {
	case "lose", "revoke", "steal":
		if err := w.rotateUser(d.User); err != nil {
			return err
		}
	case "find":
		return w.release(d)
	}
	if action != "steal" {
		return nil
	}
	grants, err := w.l.grants(w.tx, d.User)
	if err != nil {
		return err
	}
	for _, g := range grants {
		if g.active || w.now-g.ended <= lateGrant { // a silent phone may still hold what was taken from it
			if err := w.rotate(g.bucket, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// release judges what a phone sent while it was lost.
func (w *work) release(d *Device) error {
	held, err := w.tx.Held(d.ID, maxHeld)
	if err != nil {
		return err
	}
	for _, h := range held {
		if h.Code == syncproto.CodeQuarantine {
			if _, err := w.rejudge(h, false); err != nil {
				return err
			}
		}
	}
	return nil
}
