package loop

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// DayQuota bounds what one device may push in a day, decompressed bytes. Beyond it a push is asked to wait until the
// next day; nothing is dropped. A worker's busiest day of forms is below one hundredth of it.
const DayQuota = 512 << 20

// Pushed is the answer to a push, kept with the batch and given again at every redelivery.
type Pushed struct {
	Outcomes syncproto.Outcomes
	Receipt  syncproto.SignedReceipt
}

// Push is one request as it came: its parsed form, and the body in the encoding in which it is kept.
type Push struct {
	Request  *syncproto.Request
	Size     int // decompressed bytes
	Body     []byte
	Encoding string // "", "gzip" or "zstd"
	Carried  int64  // of a bundle: when it arrived, milliseconds; 0 stands for what came over a line
}

// arrival is a push with everything worked out that needs no transaction.
type arrival struct {
	Push
	hashes []syncproto.Hash
	head   syncproto.Hash
	prev   syncproto.Hash
	parsed []parsedGroup
	times  map[oldTime]syncproto.GroupTime // that a lost life had fixed
	// received is when groups that are on record already were received, by their numbers; of the present run.
	received map[uint64]int64
}

type parsedGroup struct {
	*syncproto.Group
	err error
}

// Receive takes a push: it stores every correctly signed and chained group first and judges it second, in one
// transaction, and returns after the commit. The same push again changes nothing and gets its answer again. Errors of
// type *syncproto.Error refuse the whole push, of which nothing was then stored, except the bytes of a fork.
func (l *Loop) Receive(ctx context.Context, p Push) (*Pushed, error) {
	a, err := l.examine(ctx, p)
	if err != nil {
		return nil, err
	}
	if p.Request.Lost != nil { // what is in front of these groups will never come
		if err := l.declareLost(ctx, p.Request.Lost); err != nil {
			return nil, err
		}
	}
	var out *Pushed
	var refusal *syncproto.Error
	var receipt func() syncproto.SignedReceipt
	waiting := false
	err = l.run(ctx, func(w *work) error {
		out, refusal = &Pushed{}, nil
		dev, err := w.receive(a, out)
		if errors.As(err, &refusal) && keepsBytes(refusal.Code) {
			return nil // the frozen device and the foreign bytes are to be committed
		}
		receipt = func() syncproto.SignedReceipt { return w.receipt(dev, fixedTimes(a, out, a.received, w.now)) }
		if err == nil {
			waiting, err = w.waits(dev)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if refusal != nil {
		return nil, refusal
	}
	out.Receipt = receipt()
	if waiting {
		l.unpark(ctx, p.Request.Sign.Device)
	}
	return out, nil
}

// keepsBytes says which refusals store what was sent nevertheless, as evidence.
func keepsBytes(c syncproto.Code) bool {
	return c == syncproto.CodeFork || c == syncproto.CodeDseqReused
}

// examine checks the chain and the signature and reads the groups, outside the transaction.
func (l *Loop) examine(ctx context.Context, p Push) (*arrival, error) {
	a, err := follow(p)
	if err != nil {
		return nil, err
	}
	sign := p.Request.Sign
	var dev *Device
	err = l.store.Read(ctx, func(tx ReadTx) error { dev, err = tx.Device(sign.Device); return err })
	if errors.Is(err, ErrNotFound) {
		return nil, syncproto.Refuse(syncproto.CodeUnknownDevice, "")
	}
	if err != nil {
		return nil, err
	}
	if !syncproto.VerifyHead(ed25519.PublicKey(dev.PublicKey), sign.Device, sign.Last, a.head, sign.Sig) {
		return nil, syncproto.Refuse(syncproto.CodeBadSignature, "")
	}
	a.times = l.oldTimes(sign)
	return a, nil
}

// follow follows the chain of a push to the head that it signs.
func follow(p Push) (*arrival, error) {
	a := &arrival{Push: p}
	sign := p.Request.Sign
	var err error
	if a.prev, err = syncproto.ParseHash(sign.Prev); err != nil {
		return nil, syncproto.Refuse(syncproto.CodeMalformed, "sign.prev: "+err.Error())
	}
	a.head = a.prev
	for _, g := range p.Request.Groups {
		h := syncproto.GroupHash(g.Bytes)
		a.hashes = append(a.hashes, h)
		a.head = syncproto.ChainNext(a.head, h)
		parsed, err := g.Parse(sign.Device)
		a.parsed = append(a.parsed, parsedGroup{parsed, err})
	}
	if a.head.String() != sign.Head {
		return nil, syncproto.Refuse(syncproto.CodeBadChain, "the groups do not lead to the signed head")
	}
	return a, nil
}

// receive is the push inside its transaction. It returns the device as it will be committed.
func (w *work) receive(a *arrival, out *Pushed) (*Device, error) {
	sign := a.Request.Sign
	dev, err := w.tx.Device(sign.Device)
	if err != nil {
		return nil, err
	}
	if sign.First > dev.Have+1 {
		return nil, &syncproto.Error{Code: syncproto.CodeDseqGap, Detail: "changes before this push are missing", Have: dev.Have, Head: dev.Head}
	}
	if dev.State == DeviceFrozen {
		return nil, w.keepForeign(a, dev, syncproto.CodeFork)
	}
	replayed, code, err := w.replay(a, dev, out)
	if err != nil {
		return nil, err
	}
	if code != "" {
		return nil, w.keepForeign(a, dev, code)
	}
	if replayed < len(a.hashes) {
		err = w.accept(a, replayed, dev, out)
	}
	return dev, err
}

// replay answers the groups that are on record already with their first outcomes, after comparing their bytes. The
// code says that the device's history is not the one on record.
func (w *work) replay(a *arrival, dev *Device, out *Pushed) (n int, code syncproto.Code, err error) {
	expect := dev.Head
	a.received = map[uint64]int64{}
	for n < len(a.hashes) && a.Request.Groups[n].Dseq <= dev.Have {
		g := a.Request.Groups[n]
		known, err := w.recall(dev.ID, g.Dseq)
		if errors.Is(err, ErrNotFound) {
			lost, err := inGap(w.tx, dev.ID, g.Dseq)
			if err == nil && !lost {
				err = fmt.Errorf("change %d is on record but its batch is not", g.Dseq)
			}
			return n, syncproto.CodeFork, err // the device had declared it lost: its identity is over, and it reissues everything
		}
		if err != nil {
			return n, "", err
		}
		a.received[g.Dseq] = known.at
		if n == 0 {
			expect = known.prev
		}
		if known.hash != a.hashes[n] || known.group.Dseq != g.Dseq || g.Last() > dev.Have {
			return n, syncproto.CodeDseqReused, nil
		}
		o := known.outcome
		o.Replay = true
		out.Outcomes.Groups = append(out.Outcomes.Groups, o)
		n++
	}
	if a.prev != expect {
		return n, syncproto.CodeFork, nil
	}
	return n, "", nil
}

// recalled is a group as it was received before.
type recalled struct {
	group   syncproto.SignedGroup
	hash    syncproto.Hash
	prev    syncproto.Hash // the chain's head before it
	outcome syncproto.Outcome
	at      int64           // when its batch was received
	clock   syncproto.Clock // of the device then
}

// recall finds the group that holds a change of a device.
func (w *work) recall(device string, dseq uint64) (*recalled, error) {
	b, err := w.tx.Batch(device, dseq)
	if err != nil {
		return nil, fmt.Errorf("change %d is on record but its batch is not: %w", dseq, err)
	}
	groups, clock, err := b.open()
	if err != nil {
		return nil, err
	}
	var outs syncproto.Outcomes
	if err := json.Unmarshal(b.Outcomes, &outs); err != nil {
		return nil, err
	}
	prev := b.Prev
	for i, g := range groups {
		h := syncproto.GroupHash(g.Bytes)
		if dseq <= g.Last() && i < len(outs.Groups) {
			return &recalled{g, h, prev, outs.Groups[i], b.At, clock}, nil
		}
		prev = syncproto.ChainNext(prev, h)
	}
	return nil, fmt.Errorf("batch %d does not hold change %d", b.ID, dseq)
}

// Groups returns the groups that were new in the batch.
func (b *Batch) Groups() ([]syncproto.SignedGroup, error) {
	groups, _, err := b.open()
	return groups, err
}

// open reads a batch: the groups that were new in it, and the device's clock when it sent them.
func (b *Batch) open() ([]syncproto.SignedGroup, syncproto.Clock, error) {
	body, err := Decompress(b.Encoding, b.Data, syncproto.MaxPushBytes)
	if err != nil {
		return nil, syncproto.Clock{}, err
	}
	req, err := syncproto.ParseRequest(body)
	if err != nil {
		return nil, syncproto.Clock{}, err
	}
	for i, g := range req.Groups {
		if g.Dseq >= b.First {
			return req.Groups[i:], req.Hello.Clock(), nil
		}
	}
	return nil, syncproto.Clock{}, errors.New("the batch holds none of its groups")
}

// maxForeign bounds the evidence that is kept of one device's forks.
const maxForeign = 64

// keepForeign freezes the enrolment and keeps the bytes that do not belong to its chain, once.
func (w *work) keepForeign(a *arrival, dev *Device, code syncproto.Code) error {
	kept, seen := 0, false
	err := w.tx.Batches(dev.ID, func(b *Batch) error {
		if b.Foreign {
			kept++
			seen = seen || b.Head == a.head
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !seen && kept < maxForeign {
		b := w.batch(a, 0)
		b.Foreign = true
		if err := w.tx.PutBatch(b); err != nil {
			return err
		}
	}
	if to, err := casework.DeviceMachine.Next(dev.State, "freeze", casework.RoleSystem, casework.Facts{}); err == nil {
		dev.State, dev.Since = to, w.now
		w.note(Audit{Actor: "system", Verb: "freeze", Ref: syncproto.Ref{Kind: "device", ID: dev.ID},
			Details: syncproto.Fields(map[string]any{"code": string(code)}).Bytes()})
	}
	dev.SeenAt = w.now
	if err := w.tx.PutDevice(dev); err != nil {
		return err
	}
	return &syncproto.Error{Code: code, Have: dev.Have, Head: dev.Head}
}

func (w *work) batch(a *arrival, from int) *Batch {
	groups := a.Request.Groups
	b := &Batch{Device: a.Request.Sign.Device, First: groups[from].Dseq, Last: groups[len(groups)-1].Last(), Prev: a.prev,
		Head: a.head, Sig: a.Request.Sign.Sig, At: w.now, Encoding: a.Encoding, Data: bytes.Clone(a.Body)}
	for _, h := range a.hashes[:from] {
		b.Prev = syncproto.ChainNext(b.Prev, h)
	}
	return b
}

// accept stores and judges the groups from index from on, which are new.
func (w *work) accept(a *arrival, from int, dev *Device, out *Pushed) error {
	day := time.UnixMilli(w.now).UTC().Format(time.DateOnly)
	if dev.Day != day {
		dev.Day, dev.DayBytes = day, 0
	}
	if dev.DayBytes+int64(a.Size) > DayQuota {
		return syncproto.Refuse(syncproto.CodeQuota, "the device's quota for today is used up")
	}
	dev.DayBytes += int64(a.Size)
	j, err := w.judge(dev, a.Request.Hello.Clock())
	if err != nil {
		return err
	}
	j.received = sentAt(a, dev, w.now)
	for i := from; i < len(a.hashes); i++ {
		j.old = nil
		if t, ok := a.adopted(i, w.now); ok {
			j.old = &t
		}
		o, err := j.group(a.Request.Groups[i], a.parsed[i])
		if err != nil {
			return err
		}
		out.Outcomes.Groups = append(out.Outcomes.Groups, o)
		if a.parsed[i].err == nil {
			j.last = a.parsed[i].Clock
		}
	}
	b := w.batch(a, from)
	if b.Outcomes, err = json.Marshal(syncproto.Outcomes{Groups: out.Outcomes.Groups[from:]}); err != nil {
		return err
	}
	if err := w.tx.PutBatch(b); err != nil {
		return err
	}
	for _, h := range j.held {
		h.Batch = b.ID
		if err := w.tx.PutHeld(h); err != nil {
			return err
		}
	}
	if err := w.declared(dev, a.Request); err != nil {
		return err
	}
	dev.Have, dev.Head, dev.SeenAt = b.Last, a.head, w.now
	w.by = dev.ID
	return w.tx.PutDevice(dev)
}

// receipt signs what is on record of the device, after the commit.
func (w *work) receipt(dev *Device, times []syncproto.GroupTime) syncproto.SignedReceipt {
	r := syncproto.Receipt{At: w.now, Device: dev.ID, Dseq: dev.Have, Head: dev.Head, Incarnation: w.incarnation, Times: times}
	for name, b := range w.buckets {
		if len(b.spans) > 0 {
			r.Heads = append(r.Heads, syncproto.BucketHead{Bucket: name, Head: b.Head})
		}
	}
	slices.SortFunc(r.Heads, func(x, y syncproto.BucketHead) int { return strings.Compare(x.Bucket, y.Bucket) })
	return syncproto.SignReceipt(w.l.secrets.Signing, &r)
}
