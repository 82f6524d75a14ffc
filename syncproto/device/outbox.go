package device

import (
	"errors"

	"aidloop/syncproto"
)

// Where a captured group stands.
const (
	Pending   = "pending"   // only on this phone
	Awaiting  = "awaiting"  // judged; the rows that carry it have not arrived yet
	Held      = "held"      // the server keeps it until people or later changes decide
	Rejected  = "rejected"  // it can never be applied; its content stays readable here
	Done      = "done"      // the server's rows carry it
	Dismissed = "dismissed" // rejected, and the author has seen it
	Lost      = "lost"      // its bytes are gone from here, and it was declared lost to the server
)

// Entry is one captured group. Its bytes lie beside it, frozen.
type Entry struct {
	Dseq     uint64                   `json:"dseq"`
	Last     uint64                   `json:"last"`
	Root     string                   `json:"root"`
	Size     int                      `json:"size"`
	Head     string                   `json:"head"` // the chain's head behind it
	Captured int64                    `json:"captured"`
	State    string                   `json:"state"`
	Code     syncproto.Code           `json:"code,omitempty"`
	Reason   string                   `json:"reason,omitempty"`
	Changes  []syncproto.ChangeStatus `json:"changes,omitempty"`
	Expiry   int64                    `json:"expiry,omitempty"`
	At       *syncproto.BucketSeq     `json:"at,omitempty"`
	Life     string                   `json:"life,omitempty"` // the server's life in which At is a place
	DoneAt   int64                    `json:"done_at,omitempty"`
}

// of says whether the group's place is one in that life of the server; another one may have judged it elsewhere.
func (e *Entry) of(life string) bool { return e.Life == "" || e.Life == life }

// overlays reports whether the group still lies over the server's rows.
func (e *Entry) overlays() bool {
	return e.State == Pending || e.State == Awaiting || e.State == Held
}

// entries hands over the outbox in order of capture.
func entries(t Tx, fn func(*Entry) (bool, error)) error {
	var list []Entry
	err := t.Scan("outbox/", func(_ string, value []byte) (bool, error) {
		var e Entry
		if err := unmarshal(value, &e); err != nil {
			return false, err
		}
		list = append(list, e)
		return true, nil
	})
	if err != nil {
		return err
	}
	for i := range list {
		if more, err := fn(&list[i]); err != nil || !more {
			return err
		}
	}
	return nil
}

// errGone says that a group's bytes are not on this phone any more.
var errGone = errors.New("device: the group's bytes are gone from this phone")

// frozen reads the group of an entry.
func frozen(t Tx, dseq uint64) (syncproto.SignedGroup, error) {
	b, err := t.Get(keyGroup(dseq))
	if err != nil {
		return syncproto.SignedGroup{}, err
	}
	if len(b) == 0 {
		return syncproto.SignedGroup{}, errGone
	}
	return syncproto.ParseGroupFrame(b)
}

// Outbox lists every group that is still kept, in order of capture.
func (e *Engine) Outbox() (list []Entry, err error) {
	err = e.store.View(func(t Tx) error {
		return entries(t, func(x *Entry) (bool, error) { list = append(list, *x); return true, nil })
	})
	return list, err
}

// Content reads a captured group back, so that what was rejected need not be typed again.
func (e *Engine) Content(dseq uint64) (g *syncproto.Group, err error) {
	err = e.store.View(func(t Tx) error {
		sg, err := frozen(t, dseq)
		if err != nil {
			return err
		}
		g, err = sg.Parse(e.id.Device)
		return err
	})
	return g, err
}

// Dismiss takes a rejected group off the list of what needs attention. Its content stays.
func (e *Engine) Dismiss(dseq uint64) error {
	return e.store.Update(func(t Tx) error {
		var x Entry
		if ok, err := getJSON(t, keyEntry(dseq), &x); err != nil || !ok || x.State != Rejected {
			return err
		}
		x.State = Dismissed
		return putJSON(t, keyEntry(dseq), x)
	})
}
