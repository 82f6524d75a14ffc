package loop

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"aidloop/syncproto"
)

// judging is the second stage of a push: what becomes of each group, now that its bytes are safe.
type judging struct {
	w       *work
	dev     *Device
	user    *User
	clock   syncproto.Clock // of the device at the push
	grants  []grantView
	blocked map[string]bool // records that an open group of this device touches
	held    []Held
	noBases bool // a base that did not come in time counts as concurrent
	// enrolments is how many the device's user has; 0 before anybody asked.
	enrolments int
	// accepted says that a person lets a late group pass although it conflicts or acts.
	accepted bool
	// captured is the corrected time of a group that is judged again: it was fixed at its receipt.
	captured int64
	received int64                // what times of capture are counted back from: when the group under judgement was received, mostly
	last     syncproto.Clock      // of the group before in the same push, at its capture
	old      *syncproto.GroupTime // what a life that was lost had fixed for the group under judgement, or nil
}

func (w *work) judge(dev *Device, clock syncproto.Clock) (*judging, error) {
	j := &judging{w: w, dev: dev, clock: clock, received: w.now, blocked: map[string]bool{}}
	var err error
	if j.user, err = w.tx.User(dev.User); err != nil {
		return nil, fmt.Errorf("the device's user: %w", err)
	}
	if j.grants, err = w.l.grants(w.tx, dev.User); err != nil {
		return nil, err
	}
	open, err := w.tx.Held(dev.ID, 100000)
	if err != nil {
		return nil, err
	}
	for _, h := range open {
		for _, ref := range h.Refs {
			j.blocked[ref] = true
		}
	}
	return j, nil
}

// verdict ends the judging of a group early: it is held, or it is rejected for good. It is never a fault of the server.
type verdict struct {
	status syncproto.GroupStatus
	code   syncproto.Code
	reason string // in words for the author; "" for the code's own
	days   int    // held: decided at the latest after so many days
}

func (v *verdict) Error() string { return string(v.status) + ": " + string(v.code) }

// unlessLater holds what this server would reject for its form or a value, where an app captured it that knows more than the
// server does: after an upgrade it may be right.
func (v *verdict) unlessLater(group syncproto.Raw) *verdict {
	form := v.code == syncproto.CodeBadChange || v.code == syncproto.CodeInvalidValue
	if v.status == syncproto.GroupRejected && form && syncproto.FromLater(group, catalogVersion) {
		return &verdict{status: syncproto.GroupHeld, code: syncproto.CodeUnknownKind, days: holdDesk}
	}
	return v
}

func hold(c syncproto.Code, days int) error {
	return &verdict{status: syncproto.GroupHeld, code: c, days: days}
}

func reject(c syncproto.Code, reason string) error {
	return &verdict{status: syncproto.GroupRejected, code: c, reason: reason}
}

// How long a held group may stay open before it is decided, in days.
const (
	holdDesk = 180 // people decide; nobody's work may expire over a holiday
	holdBase = syncproto.MissingBaseDays
)

// group judges one group. An error is a fault of the store; everything that is wrong with the group itself becomes an
// outcome.
func (j *judging) group(sg syncproto.SignedGroup, p parsedGroup) (syncproto.Outcome, error) {
	g := j.w.newGroup()
	g.dseq = sg.Dseq
	o, err := j.decide(g, sg, p)
	var v *verdict
	switch {
	case errors.As(err, &v):
		return j.refuse(sg, p, v.unlessLater(sg.Bytes), o)
	case err != nil:
		return o, err
	}
	return o, g.commit()
}

// refuse turns a verdict into an outcome, and an outcome record in the author's bucket.
func (j *judging) refuse(sg syncproto.SignedGroup, p parsedGroup, v *verdict, fixed syncproto.Outcome) (syncproto.Outcome, error) {
	o := syncproto.Outcome{Dseq: sg.Dseq, Status: v.status, Code: v.code, Reason: v.reason, Time: fixed.Time, Received: fixed.Received}
	if o.Reason == "" {
		o.Reason = v.code.Words()
	}
	if v.status == syncproto.GroupHeld {
		o.Expiry = j.w.now + int64(v.days)*24*3600*1000
		h := Held{Device: j.dev.ID, Dseq: sg.Dseq, User: j.dev.User, Code: v.code, At: j.w.now, Expires: o.Expiry, Group: sg.Bytes}
		if p.err == nil {
			h.Root = p.Root
			for _, c := range p.Changes {
				h.Refs = append(h.Refs, c.Ref.String())
				j.blocked[c.Ref.String()] = true
			}
		}
		j.held = append(j.held, h)
	}
	g := j.w.newGroup()
	if err := j.w.outcomeRecord(g, j.dev, o); err != nil {
		return o, err
	}
	return o, g.commit()
}

// decide merges the group's changes into drafts. It writes nothing.
func (j *judging) decide(g *group, sg syncproto.SignedGroup, p parsedGroup) (syncproto.Outcome, error) {
	o := syncproto.Outcome{Dseq: sg.Dseq, Status: syncproto.GroupJudged}
	if p.err == nil {
		switch {
		case j.captured != 0:
			o.Time = j.captured
		case j.old != nil:
			o.Time, o.Received = j.old.Corrected, j.old.Received
		default:
			o.Time = syncproto.CorrectTime(p.Clock, j.clock, j.received, 0)
		}
	}
	if j.dev.Out() || j.user.Disabled {
		return o, hold(syncproto.CodeQuarantine, holdDesk)
	}
	if p.err != nil {
		return o, reject(syncproto.CodeBadChange, "")
	}
	if origin, ok, err := j.origin(sg, p); err != nil {
		return o, err
	} else if ok {
		if again, err := j.reissued(sg, origin); err != nil || again != nil {
			return j.repeat(g, cmp.Or(again, &o), err)
		}
	}
	for _, c := range p.Changes {
		if j.blocked[c.Ref.String()] {
			return o, hold(syncproto.CodeBlocked, holdDesk)
		}
	}
	root, bucket, err := j.place(g, p.Group)
	if err != nil {
		return o, err
	}
	late, err := j.allowed(bucket, p.Group)
	if err != nil {
		return o, err
	}
	t := &trial{j: j, g: g, group: p.Group, root: root, bucket: bucket}
	if err := t.changes(o.Time); err != nil {
		return o, err
	}
	if late && !j.accepted && (t.acts > 0 || t.conflicts > 0) {
		return o, hold(syncproto.CodeGrantRevoked, holdDesk)
	}
	if err := t.finish(&o); err != nil {
		return o, err
	}
	if !late {
		b, err := j.w.bucket(bucket)
		if err != nil {
			return o, err
		}
		o.At = &syncproto.BucketSeq{Bucket: bucket, Seq: b.Seq + 1}
		if !g.dirty(bucket) {
			o.At.Seq = b.Seq
		}
	}
	return o, nil
}

// trial applies a group's changes to drafts, sets before acts, and keeps account of what became of each.
type trial struct {
	j         *judging
	g         *group
	group     *syncproto.Group
	root      syncproto.Ref // where the group's root lies by now
	bucket    string
	statuses  []syncproto.ChangeStatus
	code      syncproto.Code // of a judged group that is not simply applied
	acts      int
	conflicts int
}

func (t *trial) changes(captured int64) error {
	t.statuses = make([]syncproto.ChangeStatus, len(t.group.Changes))
	for _, acts := range []bool{false, true} {
		for i := range t.group.Changes {
			c := &t.group.Changes[i]
			if (c.Op == syncproto.OpAct) != acts {
				continue
			}
			v := syncproto.Version{Stamp: syncproto.MakeStamp(t.group.Device, t.group.Dseq+uint64(i)), Time: captured}
			var err error
			if acts {
				t.statuses[i] = syncproto.StatusApplied
				t.acts++
				err = t.act(c, v)
			} else {
				t.statuses[i], err = t.change(c, v)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// change merges one put, set or delete.
func (t *trial) change(c *syncproto.Change, v syncproto.Version) (syncproto.ChangeStatus, error) {
	if err := checkChange(c, t.group.Root); err != nil {
		return "", err
	}
	d, err := t.g.open(c.Ref)
	if err != nil {
		return "", err
	}
	if err := t.here(d); err != nil {
		return "", err
	}
	for field, base := range c.Base {
		at := d.rec.Of(field)
		if base == at.Stamp {
			v.Time = min(max(v.Time, at.Time), t.j.w.now)
		} else if err := t.baseKnown(base); err != nil {
			return "", err
		}
	}
	if d.exists && c.Op != syncproto.OpPut && locked(c.Ref.Kind, d.before, c.Op) {
		t.code = syncproto.CodeAmendment
		return syncproto.StatusConflict, t.amend(c, d, v)
	}
	if d.rec.Body.Has(mergedInto) && mergeable(c.Ref.Kind) {
		return t.redirect(c, d, v)
	}
	m, d, err := t.g.merge(c, t.root, t.bucket, v, false)
	if err != nil {
		return "", err
	}
	if err := refusal(m.Code); err != nil {
		return "", err
	}
	for _, l := range m.Losers {
		t.conflicts++
		if err := t.g.keep(l, d); err != nil {
			return "", err
		}
	}
	return m.Status, nil
}

// refusal turns the code of a change that does not merge into a verdict.
func refusal(c syncproto.Code) error {
	switch c {
	case "":
		return nil
	case syncproto.CodeMissingBase:
		return hold(c, holdBase)
	default:
		return reject(c, "")
	}
}

// here insists that a record lies under the group's root. A foreign record must read like a missing one. One of another
// root of the same bucket may be a mistake of the group, or lie where a merge of households that a restore took back had
// not put it: people look at it. A deleted record stays where it was when its root moved.
func (t *trial) here(d *draft) error {
	if !d.exists || d.rec.Root == t.root && d.bucket == t.bucket {
		return nil
	}
	if d.rec.Deleted {
		root, err := t.g.rootOf(d.rec.Root)
		if err != nil {
			return err
		}
		if root == t.root {
			d.rec.Root, d.bucket = t.root, t.bucket
			return nil
		}
	}
	if d.bucket != t.bucket {
		return hold(syncproto.CodeOutOfScope, holdDesk)
	}
	return hold(syncproto.CodeStaleState, holdDesk)
}

// baseKnown holds a group that builds on a change of another device which has not arrived yet.
func (t *trial) baseKnown(base syncproto.Stamp) error {
	origin, n, _ := base.Split()
	if t.j.noBases || origin == t.group.Device || origin == t.j.w.incarnation {
		return nil
	}
	dev, err := t.j.w.tx.Device(origin)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if n > dev.Have {
		return hold(syncproto.CodeMissingBase, holdBase)
	}
	return nil
}

// finish completes a judged group: what follows from its acts, and its outcome record where something is to be said.
func (t *trial) finish(o *syncproto.Outcome) error {
	if err := t.timeVisits(o.Time); err != nil {
		return err
	}
	if err := t.g.follow(t.j.user.ID); err != nil {
		return err
	}
	if err := t.renewKeys(); err != nil {
		return err
	}
	plain := !slices.ContainsFunc(t.statuses, func(s syncproto.ChangeStatus) bool { return s != syncproto.StatusApplied })
	if plain && t.code == "" {
		return nil
	}
	o.Changes, o.Code = t.statuses, t.code
	if o.Code != "" {
		o.Reason = o.Code.Words()
	}
	return t.j.w.outcomeRecord(t.g, t.j.dev, *o)
}

// outcomeRecord tells the author what became of a group, in his own bucket.
func (w *work) outcomeRecord(g *group, dev *Device, o syncproto.Outcome) error {
	statuses := make([]any, len(o.Changes))
	for i, s := range o.Changes {
		statuses[i] = string(s)
	}
	fields := map[string]any{"device": dev.ID, "dseq": o.Dseq, "status": string(o.Status), "code": optional(string(o.Code)),
		"reason": optional(o.Reason), "changes": statuses, "at": w.clockTime()}
	if o.Expiry > 0 {
		fields["expiry"] = o.Expiry
	}
	if o.At != nil {
		fields["bucket"], fields["seq"] = o.At.Bucket, o.At.Seq
	}
	ref := syncproto.Ref{Kind: "outcome", ID: syncproto.DerivedID("outcome", fmt.Sprintf("%s:%d", dev.ID, o.Dseq))}
	bucket := syncproto.BucketUser + dev.User
	if d, err := g.open(ref); err != nil {
		return err
	} else if d.exists {
		_, err := g.serverSet(ref, fields)
		return err
	}
	_, err := g.serverPut(ref, userRoot(dev.User), bucket, syncproto.Fields(fields))
	return err
}

// optional leaves an empty text out of a body.
func optional(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// beijing is the time zone of every time that people read.
var beijing = time.FixedZone("Asia/Shanghai", 8*3600)

// clockTime is the transaction's time as the bodies of records write it.
func (w *work) clockTime() string { return time.UnixMilli(w.now).In(beijing).Format(time.RFC3339) }

// parseTime reads such a time as milliseconds, 0 where there is none.
func parseTime(s string) int64 {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return 0
	}
	return t.UnixMilli()
}
