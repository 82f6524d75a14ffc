package loop

import (
	"errors"

	"aidloop/syncproto"
)

// reissued looks at a group that was captured under a former identity of the phone: after a fork the phone enrols anew
// and sends what it holds again, not knowing how much of it had arrived. What is on record already gets its first
// outcome again and changes nothing. What is still held under the former identity is decided under the new one, and
// ends there. Nil stands for a group that is new here.
func (j *judging) reissued(sg syncproto.SignedGroup, p parsedGroup) (*syncproto.Outcome, error) {
	o := *p.Origin
	former, err := j.w.tx.Device(o.Device)
	if err == nil && (former.User != j.dev.User || former.ID == j.dev.ID) {
		return nil, reject(syncproto.CodeBadChange, "")
	}
	if err != nil && !errors.Is(err, ErrNotFound) { // a database put back from a backup may not know the former identity
		return nil, err
	}
	device, dseq, first, err := j.w.arrived(o)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, j.w.tx.PutReissued(o, j.dev.ID, sg.Dseq)
	case err != nil:
		return nil, err
	case device == j.dev.ID && dseq == sg.Dseq:
		return nil, nil // it is being judged again
	case first.outcome.Status == syncproto.GroupHeld:
		if err := j.supersede(device, dseq); err != nil {
			return nil, err
		}
		return nil, j.w.tx.PutReissued(o, j.dev.ID, sg.Dseq)
	}
	out := first.outcome
	out.Dseq, out.Replay = sg.Dseq, true
	return &out, nil
}

// elsewhere looks at a group that comes under the identity that captured it, although a copy of the phone has reissued it
// under another one: two handsets with one identity, and a database that was put back to a time before either. It gets
// the reissued group's outcome, or ends where that one is still open. Nil stands for a group that is only here.
func (j *judging) elsewhere(sg syncproto.SignedGroup) (*syncproto.Outcome, error) {
	device, dseq, err := j.w.tx.Reissued(syncproto.Origin{Device: j.dev.ID, Dseq: sg.Dseq, Hash: syncproto.GroupHash(sg.Bytes)})
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := j.w.recall(device, dseq)
	if err != nil {
		return nil, err
	}
	if r.outcome.Status == syncproto.GroupHeld {
		return nil, reject(syncproto.CodeReissued, "")
	}
	out := r.outcome
	out.Dseq, out.Replay = sg.Dseq, true
	return &out, nil
}

// repeat tells the author a first outcome again, under the group's new number.
func (j *judging) repeat(g *group, o *syncproto.Outcome, err error) (syncproto.Outcome, error) {
	if err == nil && (o.Status != syncproto.GroupJudged || o.Code != "" || len(o.Changes) > 0) {
		err = j.w.outcomeRecord(g, j.dev, *o)
	}
	return *o, err
}

// arrived finds under which identity and number a group stands: the one under which it was last sent, or the one that
// captured it.
func (w *work) arrived(o syncproto.Origin) (device string, dseq uint64, r *recalled, err error) {
	device, dseq, err = w.tx.Reissued(o)
	if errors.Is(err, ErrNotFound) {
		r, err = w.recallOrigin(o)
		return o.Device, o.Dseq, r, err
	}
	if err != nil {
		return "", 0, nil, err
	}
	if d, err := w.tx.Device(device); err != nil {
		return "", 0, nil, err
	} else if d.Have < dseq {
		return "", 0, nil, ErrNotFound // it is in this very push, twice
	}
	r, err = w.recall(device, dseq)
	return device, dseq, r, err
}

// recallOrigin finds a group with these very bytes under its first identity.
func (w *work) recallOrigin(o syncproto.Origin) (*recalled, error) {
	if _, err := w.tx.Batch(o.Device, o.Dseq); err != nil {
		return nil, err
	}
	r, err := w.recall(o.Device, o.Dseq)
	if err == nil && (r.hash != o.Hash || r.group.Dseq != o.Dseq) {
		return nil, ErrNotFound
	}
	return r, err
}

// supersede ends an open group that its author has sent again.
func (j *judging) supersede(device string, dseq uint64) error {
	held, err := j.w.tx.Held(device, 100*maxHeld)
	if err != nil {
		return err
	}
	for _, h := range held {
		if h.Dseq == dseq {
			_, err := j.w.settle(h, syncproto.Outcome{Dseq: dseq, Status: syncproto.GroupRejected, Code: syncproto.CodeReissued})
			return err
		}
	}
	return nil
}
