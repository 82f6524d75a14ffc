package loop

import (
	"context"
	"crypto/ed25519"
	"errors"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// A device keeps what was acknowledged for 60 days. Where the database is put back from an older backup, or the phone's
// own store was damaged, changes between the server's mark and the oldest that the device still has are gone for good,
// and its chain could never go on. The device then declares them lost, signed. What names a lost change as its base
// counts as concurrent, since the mark lies behind it.

// maxGaps bounds how often one device may lose changes.
const maxGaps = 1000

// declareLost keeps a declaration and moves the device's mark and head over the gap, in one transaction. One that was
// taken before changes nothing. One that does not begin at the mark is answered like a gap, so that the device looks
// again at what it has.
func (l *Loop) declareLost(ctx context.Context, lost *syncproto.Lost) error {
	return l.run(ctx, func(w *work) error {
		dev, err := w.tx.Device(lost.Device)
		if errors.Is(err, ErrNotFound) {
			return syncproto.Refuse(syncproto.CodeUnknownDevice, "")
		}
		if err != nil {
			return err
		}
		head, err := lost.Verify(ed25519.PublicKey(dev.PublicKey))
		if err != nil {
			return err
		}
		gaps, err := w.tx.Gaps(dev.ID, 0, maxGaps)
		if err != nil {
			return err
		}
		for _, g := range gaps {
			if g.From == lost.From && g.To == lost.To && g.Head == head {
				return nil
			}
		}
		switch {
		case dev.State == DeviceFrozen:
			return &syncproto.Error{Code: syncproto.CodeFork, Have: dev.Have, Head: dev.Head}
		case lost.From != dev.Have+1:
			return &syncproto.Error{Code: syncproto.CodeDseqGap, Detail: "what is declared lost does not begin behind the mark", Have: dev.Have, Head: dev.Head}
		case len(gaps) >= maxGaps:
			return syncproto.Refuse(syncproto.CodeQuota, "the device has lost changes too often")
		}
		if err := w.tx.PutGap(Gap{Device: dev.ID, From: lost.From, To: lost.To, Head: head, Sig: lost.Sig, At: w.now}); err != nil {
			return err
		}
		w.note(Audit{Actor: dev.User, Verb: "declare_lost", Ref: syncproto.Ref{Kind: "device", ID: dev.ID},
			Details: syncproto.Fields(map[string]any{"from": lost.From, "to": lost.To}).Bytes()})
		dev.Have, dev.Head, dev.SeenAt = lost.To, head, w.now
		return w.tx.PutDevice(dev)
	})
}

// inGap reports whether a change was declared lost.
func inGap(tx ReadTx, device string, dseq uint64) (bool, error) {
	gaps, err := tx.Gaps(device, 0, maxGaps)
	for _, g := range gaps {
		if g.From <= dseq && dseq <= g.To {
			return true, err
		}
	}
	return false, err
}

// LostRange is a range of changes that a device declared lost, with whose they were.
type LostRange struct {
	Gap
	User string
}

// LostRanges lists what devices of the caller's region declared lost for good, behind after, from at most limit
// declarations. Next continues the list; it is 0 at its end.
func (l *Loop) LostRanges(ctx context.Context, by casework.Actor, after int64, limit int) (list []LostRange, next int64, err error) {
	if limit <= 0 || limit > 500 {
		limit = 200
	}
	if err := by.May(casework.VerbReadLost, casework.Subject{Kind: "lost", Region: by.Region}); err != nil {
		return nil, 0, err
	}
	err = l.store.Read(ctx, func(tx ReadTx) error {
		list, next = []LostRange{}, 0
		gaps, err := tx.Gaps("", after, limit)
		if err != nil {
			return err
		}
		for _, g := range gaps {
			dev, err := tx.Device(g.Device)
			if err != nil {
				return err
			}
			u, err := tx.User(dev.User)
			if err != nil {
				return err
			}
			if by.May(casework.VerbReadLost, casework.Subject{Kind: "lost", Region: u.Region}) == nil {
				list = append(list, LostRange{g, u.ID})
			}
		}
		if len(gaps) == limit {
			next = gaps[limit-1].N
		}
		return nil
	})
	return list, next, err
}
