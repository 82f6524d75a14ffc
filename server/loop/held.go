package loop

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// maxHeld bounds a list of open groups.
const maxHeld = 1000

// HeldGroups lists the open groups that the caller may decide: those whose root lies in his region, or whose author
// does where the root is nowhere.
func (l *Loop) HeldGroups(ctx context.Context, by casework.Actor) (list []Held, err error) {
	err = l.store.Read(ctx, func(tx ReadTx) error {
		list = []Held{}
		all, err := tx.Held("", 100*maxHeld)
		if err != nil {
			return err
		}
		for _, h := range all {
			if len(list) < maxHeld && mayDecide(tx, by, h) == nil {
				list = append(list, h)
			}
		}
		return nil
	})
	return list, err
}

func mayDecide(tx ReadTx, by casework.Actor, h Held) error {
	region := ""
	if s, err := tx.Record(h.Root); err == nil {
		region = regionOf(s.Bucket)
	} else if u, err := tx.User(h.User); err == nil {
		region = u.Region
	}
	return by.May(casework.VerbDecideHeld, casework.Subject{Kind: "held", Region: region})
}

// DecideHeld judges a held group again under today's state and grants, or rejects it for good. It becomes terminal
// exactly once, and its author sees the outcome.
func (l *Loop) DecideHeld(ctx context.Context, by casework.Actor, device string, dseq uint64, retry bool, reason string) (*syncproto.Outcome, error) {
	var out *syncproto.Outcome
	err := l.run(ctx, func(w *work) error {
		held, err := w.tx.Held(device, maxHeld)
		if err != nil {
			return err
		}
		for _, h := range held {
			if h.Dseq != dseq {
				continue
			}
			if err := mayDecide(w.tx, by, h); err != nil {
				return err
			}
			w.auditBy(by, "decide_held", syncproto.Ref{Kind: "device", ID: device}, h.Root, map[string]any{"dseq": dseq, "retry": retry})
			if retry {
				out, err = w.rejudge(h, true)
			} else {
				out, err = w.settle(h, syncproto.Outcome{Dseq: dseq, Status: syncproto.GroupRejected, Code: h.Code, Reason: clipRunes(reason, 500)})
			}
			return err
		}
		return ErrNotFound
	})
	return out, err
}

// rejudge judges an open group as if it had just arrived. It stays open where the reason still holds. Accepted says that
// a person asked for it: then work under a grant that has ended passes with its acts and conflicts too.
func (w *work) rejudge(h Held, accepted bool) (*syncproto.Outcome, error) {
	dev, err := w.tx.Device(h.Device)
	if err != nil {
		return nil, err
	}
	p, perr := syncproto.ParseGroup(h.Group)
	j, err := w.judge(dev, syncproto.Clock{})
	if err != nil {
		return nil, err
	}
	for _, ref := range h.Refs {
		delete(j.blocked, ref)
	}
	j.noBases, j.accepted = w.now >= h.Expires, accepted
	first, err := w.recall(h.Device, h.Dseq)
	if err != nil {
		return nil, err
	}
	j.captured = first.outcome.Time
	j.clock, j.received = first.clock, cmp.Or(first.outcome.Received, first.at)
	g := w.newGroup()
	g.dseq = h.Dseq
	w.by = dev.ID
	sg := syncproto.SignedGroup{Dseq: h.Dseq, Bytes: h.Group}
	o, err := j.decide(g, sg, parsedGroup{p, perr})
	var v *verdict
	if errors.As(err, &v) {
		v = v.unlessLater(h.Group)
		err = v
	}
	switch {
	case errors.As(err, &v) && v.status == syncproto.GroupHeld:
		return &syncproto.Outcome{Dseq: h.Dseq, Status: v.status, Code: v.code, Reason: v.code.Words(), Expiry: h.Expires, Time: o.Time}, nil
	case errors.As(err, &v):
		return w.settle(h, syncproto.Outcome{Dseq: h.Dseq, Status: v.status, Code: v.code, Reason: v.reason, Time: o.Time})
	case err != nil:
		return nil, err
	}
	if err := g.commit(); err != nil {
		return nil, err
	}
	return w.settle(h, o)
}

// settle makes an open group terminal: its outcome replaces the stored answer of its batch and its outcome record.
func (w *work) settle(h Held, o syncproto.Outcome) (*syncproto.Outcome, error) {
	if o.Reason == "" && o.Code != "" {
		o.Reason = o.Code.Words()
	}
	b, err := w.tx.Batch(h.Device, h.Dseq)
	if err != nil {
		return nil, fmt.Errorf("the batch of a held group: %w", err)
	}
	var outs syncproto.Outcomes
	if err := json.Unmarshal(b.Outcomes, &outs); err != nil {
		return nil, err
	}
	for i := range outs.Groups {
		if outs.Groups[i].Dseq == h.Dseq {
			o.Time, o.Received = cmp.Or(outs.Groups[i].Time, o.Time), outs.Groups[i].Received // fixed at receipt, where it could be read
			outs.Groups[i] = o
		}
	}
	raw, err := json.Marshal(outs)
	if err != nil {
		return nil, err
	}
	if err := w.tx.SetOutcomes(b.ID, raw); err != nil {
		return nil, err
	}
	dev, err := w.tx.Device(h.Device)
	if err != nil {
		return nil, err
	}
	g := w.newGroup()
	if err := w.outcomeRecord(g, dev, o); err != nil {
		return nil, err
	}
	if err := w.tx.DeleteHeld(h.Device, h.Dseq); err != nil {
		return nil, err
	}
	return &o, g.commit()
}

// Settle looks at every open group again: those whose reason is gone are judged, those whose time is over are decided.
// A missing base that never came counts as concurrent; anything else is rejected, and its author can read it.
func (l *Loop) Settle(ctx context.Context) (settled int, err error) {
	err = l.run(ctx, func(w *work) error {
		settled = 0
		open, err := w.tx.Held("", maxHeld)
		if err != nil {
			return err
		}
		for _, h := range open {
			if h.Code == syncproto.CodeQuarantine && w.now < h.Expires {
				continue
			}
			o, err := w.rejudge(h, false)
			if err != nil {
				return err
			}
			if o.Status == syncproto.GroupHeld && w.now >= h.Expires {
				if o, err = w.settle(h, syncproto.Outcome{Dseq: h.Dseq, Status: syncproto.GroupRejected, Code: h.Code}); err != nil {
					return err
				}
			}
			if o.Status != syncproto.GroupHeld {
				settled++
			}
		}
		return nil
	})
	return settled, err
}
