package device

import (
	"errors"

	"aidloop/syncproto"
)

func (r *Response) outcomes(o *syncproto.Outcomes) error {
	return r.e.store.Update(func(t Tx) error {
		st, err := loadState(t)
		if err != nil {
			return err
		}
		heard := map[uint64]bool{}
		for _, out := range o.Groups {
			var x Entry
			if ok, err := getJSON(t, keyEntry(out.Dseq), &x); err != nil || !ok {
				if err != nil {
					return err
				}
				continue
			}
			heard[x.Dseq] = true
			if out.Status == syncproto.GroupHeld && (x.State == Rejected || x.State == Awaiting) {
				continue // a reply from before it was decided
			}
			if err := x.settle(t, out, r); err != nil {
				return err
			}
			if r.carried && x.State == Held {
				if _, err := r.follow(t, &x); err != nil && !errors.Is(err, ErrDamaged) { // the checkpoint that repairs it follows it
					return err
				}
			}
		}
		if st.Have, err = heardUpTo(t, st.Have, heard); err != nil {
			return err
		}
		return putJSON(t, keyState, st)
	})
}

// heardUpTo is the last change up to which every outcome was heard. Replies to bundles may bring the outcomes of later
// groups first; what lies before them goes out again.
func heardUpTo(t Tx, have uint64, heard map[uint64]bool) (uint64, error) {
	err := entries(t, func(x *Entry) (bool, error) {
		if x.Last <= have {
			return true, nil
		}
		if !heard[x.Dseq] && (x.State == Pending || x.State == Dismissed) {
			return false, nil
		}
		have = x.Last
		return true, nil
	})
	return have, err
}

// settle writes an outcome down. A judged group stays over the rows until they carry it; a place in the feed is compared
// only within one life of the server, since another one gives the numbers behind its beginning out again.
func (x *Entry) settle(t Tx, o syncproto.Outcome, r *Response) error {
	if x.State == Done || x.State == Dismissed {
		return nil
	}
	x.Code, x.Reason, x.Changes, x.Expiry, x.At, x.Life = o.Code, o.Reason, o.Changes, o.Expiry, o.At, r.inc
	switch o.Status {
	case syncproto.GroupHeld:
		x.State = Held
	case syncproto.GroupRejected:
		x.State = Rejected
	default:
		x.State = Awaiting
		arrived := true
		if x.At != nil {
			var c cursor
			ok, err := getJSON(t, keyCursor(x.At.Bucket), &c)
			if err != nil {
				return err
			}
			arrived = ok && c.Incarnation == r.inc && c.Seq >= x.At.Seq
		}
		if arrived {
			x.State, x.DoneAt = Done, r.server
		}
	}
	return putJSON(t, keyEntry(x.Dseq), x)
}
