package device

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"aidloop/syncproto"
)

func unmarshal(b []byte, v any) error { return json.Unmarshal(b, v) }

// Draft is one thing that a person did. Bases are filled in from what the person saw; Seal names fields whose values
// are given in the open and are sealed under the root's case key before anything is kept.
type Draft struct {
	Op     syncproto.Op
	Ref    syncproto.Ref
	Fields syncproto.Object
	Clear  []string
	Act    string
	Args   syncproto.Object
	Bucket string // with the put of a new root
	Seal   []string
}

// Capture freezes drafts as one group and keeps it, in one transaction: from here on it survives everything but the
// loss of the phone. A new household gets a case key of its own in the same group. The error says what is wrong with
// the drafts, of which nothing was kept then.
func (e *Engine) Capture(root syncproto.Ref, drafts []Draft, clock syncproto.Clock) (*Entry, error) {
	var out *Entry
	err := e.store.Update(func(t Tx) error {
		st, err := loadState(t)
		if err != nil {
			return err
		}
		if st.Erased != nil {
			return errErased
		}
		c := &capturing{e: e, t: t, root: root}
		g := &syncproto.Group{Device: e.id.Device, Dseq: st.Next, Root: root, Clock: clock, Catalog: e.opts.Catalog}
		var cur cursor
		if ok, err := getJSON(t, keyCursor(e.userBucket()), &cur); err != nil {
			return err
		} else if ok {
			g.GV = cur.String()
		}
		if g.Changes, err = c.changes(drafts); err != nil {
			return err
		}
		out, err = keep(t, st, g, clock.Wall)
		return err
	})
	return out, err
}

// roomToReissue is what a group must leave free, in bytes, so that it can name its origin under another identity.
const roomToReissue = 512

// keep writes a group into the outbox and moves the chain on.
func keep(t Tx, st state, g *syncproto.Group, captured int64) (*Entry, error) {
	raw, err := g.Encode()
	if err != nil {
		return nil, err
	}
	if g.Origin == nil && len(raw) > syncproto.MaxGroupBytes-roomToReissue {
		return nil, fmt.Errorf("%w: larger than %d bytes", syncproto.ErrGroup, syncproto.MaxGroupBytes-roomToReissue)
	}
	head, err := syncproto.ParseHash(st.Head)
	if err != nil {
		return nil, err
	}
	head = syncproto.ChainNext(head, syncproto.GroupHash(raw))
	x := &Entry{Dseq: g.Dseq, Last: g.Last(), Root: g.Root.String(), Size: len(raw), Head: head.String(), Captured: captured, State: Pending}
	frame := binary.BigEndian.AppendUint64(make([]byte, 0, 10+len(raw)), g.Dseq)
	frame = append(binary.BigEndian.AppendUint16(frame, uint16(len(g.Changes))), raw...)
	if err := t.Put(keyGroup(g.Dseq), frame); err != nil {
		return nil, err
	}
	if err := putJSON(t, keyEntry(g.Dseq), x); err != nil {
		return nil, err
	}
	st.Next, st.Head = g.Last()+1, head.String()
	return x, putJSON(t, keyState, st)
}

// capturing turns drafts into changes.
type capturing struct {
	e      *Engine
	t      Tx
	root   syncproto.Ref
	sealer *syncproto.Sealer
}

func (c *capturing) changes(drafts []Draft) ([]syncproto.Change, error) {
	if len(drafts) == 0 {
		return nil, errors.New("device: nothing to capture")
	}
	var list []syncproto.Change
	for _, d := range drafts {
		if d.Op == syncproto.OpPut && d.Ref == c.root && d.Bucket != "" {
			key, err := c.newKey(d.Bucket)
			if err != nil {
				return nil, err
			}
			list = append(list, *key)
		}
	}
	for _, d := range drafts {
		ch, err := c.change(d)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", d.Op, d.Ref.Kind, err)
		}
		list = append(list, *ch)
	}
	// The put of the root comes first, so that whoever reads the group knows where the rest belongs.
	slices.SortStableFunc(list, func(a, b syncproto.Change) int { return rank(a, c.root) - rank(b, c.root) })
	return list, nil
}

func rank(c syncproto.Change, root syncproto.Ref) int {
	if c.Op == syncproto.OpPut && c.Ref == root {
		return 0
	}
	return 1
}

// newKey mints the case key of a new root and the put of its key record.
func (c *capturing) newKey(bucket string) (*syncproto.Change, error) {
	ring, err := c.e.ring(c.t)
	if err != nil {
		return nil, err
	}
	wrap := ring.bucketSealer(bucket)
	if wrap == nil {
		return nil, fmt.Errorf("no key for %s: the grid is not granted to this phone", bucket)
	}
	var key syncproto.Key
	if _, err := io.ReadFull(c.e.opts.Random, key[:]); err != nil {
		return nil, err
	}
	c.sealer = syncproto.NewSealer(key)
	ref := syncproto.Ref{Kind: "key", ID: syncproto.DerivedID("key", c.root.String())}
	return &syncproto.Change{Op: syncproto.OpPut, Ref: ref, Fields: syncproto.Fields(map[string]any{
		"root": c.root.String(), "current": key.ID(), "keys": map[string]any{key.ID(): wrap.Wrap(ref, key)}})}, nil
}

func (c *capturing) change(d Draft) (*syncproto.Change, error) {
	ch := &syncproto.Change{Op: d.Op, Ref: d.Ref, Fields: d.Fields, Clear: slices.Sorted(slices.Values(d.Clear)), Act: d.Act, Args: d.Args, Bucket: d.Bucket}
	if err := c.seal(ch, d.Seal); err != nil {
		return nil, err
	}
	if d.Op == syncproto.OpAct || d.Op == syncproto.OpPut {
		return ch, nil
	}
	v, err := c.e.view(c.t, d.Ref)
	if err != nil {
		return nil, err
	}
	if v == nil {
		return nil, errors.New("there is no such record on this phone")
	}
	ch.Base = map[string]syncproto.Stamp{}
	if d.Op == syncproto.OpDelete {
		for _, f := range v.Body {
			ch.Base[f.Name] = v.Of(f.Name).Stamp
		}
		for _, f := range v.Fields {
			ch.Base[f.Name] = f.Stamp
		}
		return ch, nil
	}
	for _, f := range ch.Fields {
		ch.Base[f.Name] = v.Of(f.Name).Stamp
	}
	for _, name := range ch.Clear {
		ch.Base[name] = v.Of(name).Stamp
	}
	return ch, nil
}

func (c *capturing) seal(ch *syncproto.Change, fields []string) error {
	for _, f := range fields {
		value := ch.Fields.Get(f)
		if value == nil || syncproto.IsSealed(value) {
			continue
		}
		if c.sealer == nil {
			ring, err := c.e.ring(c.t)
			if err != nil {
				return err
			}
			if c.sealer, err = c.e.current(c.t, ring, c.root); err != nil {
				return err
			}
		}
		ch.Fields = ch.Fields.With(f, c.sealer.Seal(ch.Ref, f, value))
	}
	return nil
}
