package device

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"aidloop/syncproto"
)

// A phone forgets acknowledged groups after 60 days, and its store may be damaged. Where the server, put back from a
// backup, asks for what is gone from here, the phone declares it lost for good, signed, so that what it still holds can go
// on. It does so only when it has looked and found no bytes.

// LostRange is a range of changes that this phone declared lost, as people are told.
type LostRange struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
	At   int64  `json:"at"` // by the server's clock, milliseconds
}

func keyGap(from uint64) string { return fmt.Sprintf("gap/%016d", from) }

// errNoHead says that the head of the chain before the oldest group that is left is not known: its identity is over.
var errNoHead = errors.New("device: the chain's head before the oldest group is not known")

// follows reports whether a group's bytes are those that were chained: prev is the head before it where it is the first of
// a push, last the head of the group before in the same push.
func (x *Entry) follows(prev, last string, sg syncproto.SignedGroup) bool {
	if last != "" {
		prev = last
	}
	h, err := syncproto.ParseHash(prev)
	return err == nil && syncproto.ChainNext(h, syncproto.GroupHash(sg.Bytes)).String() == x.Head
}

// gap is what lies between what the server has and the first group whose bytes are still here; nil where nothing is
// missing.
func (e *Engine) gap(t Tx, st state) (*syncproto.Lost, error) {
	if st.Have+1 >= st.Next {
		return nil, nil
	}
	last, head := st.Pruned, st.PrunedHead
	if last == 0 {
		head = syncproto.ChainStart(e.id.Device).String()
	}
	first := uint64(0)
	err := entries(t, func(x *Entry) (bool, error) {
		if x.Last <= st.Have {
			last, head = x.Last, x.Head
			return true, nil
		}
		sg, err := frozen(t, x.Dseq)
		if err != nil && !errors.Is(err, errGone) {
			return false, err
		}
		if err == nil && (last+1 != x.Dseq || x.follows(head, "", sg)) {
			first = x.Dseq
			return false, nil
		}
		last, head = x.Last, x.Head
		return true, nil
	})
	switch {
	case err != nil:
		return nil, err
	case first == st.Have+1:
		return nil, nil
	case first == 0:
		first, last, head = st.Next, st.Next-1, st.Head
	}
	if last+1 != first {
		return nil, errNoHead
	}
	h, err := syncproto.ParseHash(head)
	if err != nil {
		return nil, err
	}
	lost := syncproto.SignLost(e.id.Private, e.id.Device, st.Have+1, last, h)
	return &lost, nil
}

// appendLost declares a gap in front of the groups.
func (e *Engine) appendLost(t Tx, b *[]byte) (frames int, err error) {
	e.declared = nil
	st, err := loadState(t)
	if err != nil || st.silent() {
		return 0, err
	}
	lost, err := e.gap(t, st)
	if err != nil || lost == nil {
		if errors.Is(err, errNoHead) {
			err = nil // the server will say that something is missing, and Refused that it cannot be had
		}
		return 0, err
	}
	e.declared = lost
	*b = syncproto.AppendJSON(*b, syncproto.FrameLost, lost)
	return 1, nil
}

// afterGap writes down that the server has taken the last request's declaration: the groups in it are over, and people
// are told. Where the server went back behind what can be declared, the identity is over.
func (e *Engine) afterGap(t Tx, st *state, h *syncproto.HelloReply, now int64) error {
	if d := e.declared; d != nil && h.Have >= d.To && st.Have < d.To {
		st.Have = d.To
		if err := putJSON(t, keyGap(d.From), LostRange{d.From, d.To, now}); err != nil {
			return err
		}
		if err := loseThrough(t, d.From, d.To, now); err != nil {
			return err
		}
	}
	e.declared = nil
	if _, err := e.gap(t, *st); errors.Is(err, errNoHead) {
		st.Trouble = string(syncproto.CodeDseqGap)
	} else if err != nil {
		return err
	}
	return nil
}

// loseThrough ends the entries of a range, whose bytes are gone.
func loseThrough(t Tx, from, to uint64, now int64) error {
	return change(t, func(x *Entry) bool { return x.Dseq >= from && x.Last <= to }, func(x *Entry) { x.State, x.DoneAt = Lost, now })
}

// settleGone ends entries that the server has although their bytes are gone from here: their outcome was not heard, and
// cannot be asked for again.
func settleGone(t Tx, have uint64) error {
	gone := map[uint64]bool{}
	err := entries(t, func(x *Entry) (bool, error) {
		_, err := frozen(t, x.Dseq)
		if errors.Is(err, errGone) {
			gone[x.Dseq], err = true, nil
		}
		return true, err
	})
	if err != nil || len(gone) == 0 {
		return err
	}
	return change(t, func(x *Entry) bool { return x.State == Pending && x.Last <= have && gone[x.Dseq] }, func(x *Entry) { x.State = Done })
}

// change rewrites the entries that which chooses.
func change(t Tx, which func(*Entry) bool, fn func(*Entry)) error {
	var list []Entry
	err := entries(t, func(x *Entry) (bool, error) {
		if which(x) {
			list = append(list, *x)
		}
		return true, nil
	})
	for i := range list {
		if err == nil {
			fn(&list[i])
			err = putJSON(t, keyEntry(list[i].Dseq), list[i])
		}
	}
	return err
}

// Receipts are kept by the changes that they date, as long as the groups: after a restore of the server they say when
// those had been received.

const keyReceipts = "receipt/"

func keyReceipt(first, last uint64) string {
	return fmt.Sprintf("%s%016d-%016d", keyReceipts, first, last)
}

// keepReceipt keeps the newest receipt, and each that dates groups.
func keepReceipt(t Tx, device string, s *syncproto.SignedReceipt) error {
	if err := putJSON(t, "receipt", s); err != nil {
		return err
	}
	r, err := syncproto.ParseReceipt([]byte(s.Receipt))
	if err != nil || r.Device != device || len(r.Times) == 0 {
		return nil // an older server dates nothing; there is nothing to bring back to it
	}
	return putJSON(t, keyReceipt(r.Times[0].Dseq, r.Times[len(r.Times)-1].Dseq), s)
}

// keptReceipt is a receipt with the groups that it dates, by their first changes.
type keptReceipt struct {
	first, last uint64
	signed      syncproto.SignedReceipt
}

type keptReceipts []keptReceipt

// receiptBytes bounds what one request carries of receipts, so that they fit into a frame.
const receiptBytes = 2 * syncproto.MaxReceiptBytes

// oldReceipts are those that date groups from a change on, as far as they fit, and the last change up to which they are
// complete: a push ends there.
func oldReceipts(t Tx, from uint64) (list keptReceipts, until uint64, err error) {
	until = math.MaxUint64
	size := 0
	err = t.Scan(keyReceipts, func(key string, value []byte) (bool, error) {
		k := keptReceipt{}
		if _, err := fmt.Sscanf(strings.TrimPrefix(key, keyReceipts), "%d-%d", &k.first, &k.last); err != nil {
			return false, fmt.Errorf("device: %s is damaged: %w", key, err)
		}
		if k.last < from {
			return true, nil
		}
		if len(list) > 0 && (len(list) == syncproto.MaxReceipts || size+len(value) > receiptBytes) {
			until = max(k.first, from+1) - 1
			return false, nil
		}
		size += len(value)
		list = append(list, k)
		return true, unmarshal(value, &list[len(list)-1].signed)
	})
	return list, until, err
}

// until leaves out those that date only what is behind a change.
func (l keptReceipts) until(last uint64) (signed []syncproto.SignedReceipt) {
	for _, k := range l {
		if k.first <= last {
			signed = append(signed, k.signed)
		}
	}
	return signed
}

// pruneReceipts forgets receipts that date only groups that were forgotten.
func pruneReceipts(t Tx, pruned uint64) error {
	var gone []string
	err := t.Scan(keyReceipts, func(key string, _ []byte) (bool, error) {
		var first, last uint64
		_, err := fmt.Sscanf(strings.TrimPrefix(key, keyReceipts), "%d-%d", &first, &last)
		if err != nil || last <= pruned {
			gone = append(gone, key)
		}
		return true, nil
	})
	for _, key := range gone {
		if err == nil {
			err = t.Delete(key)
		}
	}
	return err
}
