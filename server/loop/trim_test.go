package loop_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"testing"
	"time"

	"aidloop/fixtures/world"
	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
	"aidloop/syncproto/device"
)

// follower is a real device engine that only looks, over a line that brings it as much as a test wants.
type follower struct {
	c      *county
	e      *device.Engine
	reader loop.Reader
	fresh  map[string]int // how often a bucket began afresh
	below  map[string]int // how often a page named the floor that it lies below
	chunks bool           // it fetches snapshots
}

func (c *county) follower(u world.User) *follower {
	c.t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	code, err := c.loop.NewEnrolCode(c.t.Context(), casework.System, u.ID)
	if err != nil {
		c.t.Fatal(err)
	}
	a, err := c.loop.Enrol(c.t.Context(), code, pub, "follower")
	if err != nil {
		c.t.Fatal(err)
	}
	s := device.NewMemory()
	if err := device.Enrol(s, device.Identity{Device: a.Device, User: u.ID, Private: key, UserKey: a.UserKey, ServerKey: a.ServerKey}); err != nil {
		c.t.Fatal(err)
	}
	e, err := device.Open(s, device.Options{Random: rand.Reader, Catalog: 1})
	if err != nil {
		c.t.Fatal(err)
	}
	return &follower{c: c, e: e, reader: loop.Reader{User: u.ID, Device: a.Device}, fresh: map[string]int{}, below: map[string]int{}}
}

func (f *follower) clock() syncproto.Clock { return syncproto.Clock{Wall: f.c.now.UnixMilli()} }

// exchange pulls once, at most so many bytes.
func (f *follower) exchange(bytes int) (more bool) {
	f.c.t.Helper()
	b, err := f.e.Request(f.clock(), device.Ask{MaxBytes: bytes, Snapshots: f.chunks})
	if err != nil {
		f.c.t.Fatal(err)
	}
	req, err := syncproto.ParseRequest(b)
	if err != nil {
		f.c.t.Fatal(err)
	}
	out, err := f.c.loop.Exchange(f.c.t.Context(), loop.Push{Request: req, Size: len(b), Body: b}, &f.reader)
	if err != nil {
		f.c.t.Fatal(err)
	}
	r := f.e.Response(f.clock())
	for {
		frame, rest, err := syncproto.NextFrame(out)
		if err == io.EOF {
			break
		}
		if err == nil {
			err = r.Frame(frame)
		}
		if err != nil {
			f.c.t.Fatal(err)
		}
		f.note(frame)
		out = rest
	}
	more, fault, err := r.Finish()
	if err != nil || fault != nil {
		f.c.t.Fatal(err, fault)
	}
	return more
}

func (f *follower) note(frame syncproto.Frame) {
	var b syncproto.BucketStart
	if frame.Type != syncproto.FrameBucket || frame.Decode(&b) != nil {
		return
	}
	if b.Fresh {
		f.fresh[b.Bucket]++
	}
	if b.Floor > b.From {
		f.below[b.Bucket]++
	}
}

// catchUp exchanges until nothing is left; a device that is sent in circles fails.
func (f *follower) catchUp() {
	f.c.t.Helper()
	for range 400 {
		if !f.exchange(4096) {
			return
		}
	}
	f.c.t.Fatal("it never gets to the end")
}

// agrees insists that the device's own rows add up to the server's, without ever having been wrong on the way.
func (f *follower) agrees() {
	f.c.t.Helper()
	held, err := f.e.Buckets()
	if err != nil {
		f.c.t.Fatal(err)
	}
	err = f.c.store.Read(f.c.t.Context(), func(tx loop.ReadTx) error {
		for _, b := range held {
			head, err := tx.Bucket(b.Name)
			if err != nil {
				return err
			}
			if head.Count != b.Count || head.Digest.String() != b.Digest {
				f.c.t.Errorf("%s: %d rows %.8s at %s, the server has %d rows %.8s at %d", b.Name, b.Count, b.Digest, b.Cursor, head.Count, head.Digest, head.Seq)
			}
		}
		return nil
	})
	if st, err2 := f.e.Status(0); err != nil || err2 != nil || len(st.Incidents) > 0 {
		f.c.t.Errorf("%v, %v, incidents: %+v", err, err2, st.Incidents)
	}
}

// history is a grid's life over years: people come and are deleted, households move out and back.
type history struct {
	*county
	r       *mrand.Rand
	p       *phone
	persons []syncproto.Ref
	gone    []syncproto.Ref
	grids   [2]string
	n       int
}

func (h *history) home() syncproto.Ref { return refOf(h.world.Cast().Missed.Household) }

func (h *history) step() {
	h.n++
	switch k := h.r.IntN(10); {
	case k < 3 || len(h.persons) == 0:
		ref := syncproto.Ref{Kind: "person", ID: fmt.Sprintf("p-%d", h.n)}
		h.judged(syncproto.Change{Op: syncproto.OpPut, Ref: ref, Fields: syncproto.Fields(map[string]any{"household": h.home().ID, "relation": "child"})})
		h.persons = append(h.persons, ref)
	case k < 6:
		i := h.r.IntN(len(h.persons))
		ref := h.persons[i]
		h.persons = append(h.persons[:i], h.persons[i+1:]...)
		body, env := h.record(ref)
		base := map[string]syncproto.Stamp{}
		for _, f := range body {
			base[f.Name] = env.Of(f.Name).Stamp
		}
		h.judged(syncproto.Change{Op: syncproto.OpDelete, Ref: ref, Base: base})
		h.gone = append(h.gone, ref)
	case k < 8:
		_, err := h.loop.MoveHousehold(h.t.Context(), actor(h.world.Cast().TownLeader), h.home().ID, h.otherGrid(), "搬家")
		if err != nil {
			h.t.Fatal(err)
		}
	case len(h.gone) > 0:
		h.late(h.gone[h.r.IntN(len(h.gone))])
	}
	h.now = h.now.Add(time.Duration(h.r.IntN(120*24)) * time.Hour)
}

func (h *history) otherGrid() (to string) {
	err := h.store.Read(h.t.Context(), func(tx loop.ReadTx) error {
		s, err := tx.Record(h.home())
		if to = h.grids[0]; err == nil && s.Bucket == syncproto.BucketGrid+to {
			to = h.grids[1]
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return to
}

func (h *history) judged(c syncproto.Change) syncproto.Outcome {
	h.t.Helper()
	o := h.p.push(h.p.group(h.home(), c))
	if o.Status != syncproto.GroupJudged {
		h.t.Fatalf("%s %s: %+v", c.Op, c.Ref, o)
	}
	return o
}

// late says something of a record that was deleted long ago: it loses, whether the deletion was trimmed or not.
func (h *history) late(ref syncproto.Ref) {
	h.t.Helper()
	fields := syncproto.Fields(map[string]any{"household": h.home().ID, "relation": fmt.Sprint(h.n)})
	c := syncproto.Change{Op: syncproto.OpPut, Ref: ref, Fields: fields}
	if h.n%2 == 0 {
		c = syncproto.Change{Op: syncproto.OpSet, Ref: ref, Fields: fields[1:], Base: map[string]syncproto.Stamp{"relation": "gone:1"}}
	}
	o := h.p.push(h.p.group(h.home(), c))
	if o.Status == syncproto.GroupJudged && (len(o.Changes) != 1 || o.Changes[0] != syncproto.StatusConflict) {
		h.t.Errorf("%s of a deleted record: %+v", c.Op, o)
	}
	if _, env := h.record(ref); !env.Deleted {
		h.t.Errorf("%s was resurrected", ref)
	}
}

// Whatever is trimmed and whenever, a device at any cursor, also in the middle of a page, ends with the server's rows
// and is never wrong on the way; whoever comes often enough never begins afresh.
func TestTrimmedHistoriesEndAlike(t *testing.T) {
	begun := 0
	for seed := range uint64(4) {
		c := newCounty(t)
		cast := c.world.Cast()
		h := &history{county: c, r: mrand.New(mrand.NewPCG(seed, 13)), p: c.phone(cast.SurveyorOne), grids: [2]string{cast.Grid.Code, cast.Grid.Code[:13] + "002"}}
		if err := c.loop.Grant(t.Context(), casework.System, loop.GridGrant{User: cast.SurveyorOne.ID, Grid: h.grids[1]}); err != nil {
			t.Fatal(err)
		}
		often, seldom, cut := c.follower(cast.SurveyorOne), c.follower(cast.SurveyorOne), c.follower(cast.SurveyorOne)
		all := []*follower{often, seldom, cut}
		for _, f := range all {
			f.catchUp()
			clear(f.fresh)
		}
		for range 50 {
			h.step()
			often.catchUp()
			if h.r.IntN(12) == 0 {
				seldom.catchUp()
			}
			if h.r.IntN(3) == 0 {
				cut.exchange(4096)
			}
			if h.r.IntN(3) == 0 {
				h.trim()
			}
		}
		h.trim()
		for _, f := range append(all, c.follower(cast.SurveyorOne)) {
			f.catchUp()
			f.agrees()
		}
		if len(often.fresh) > 0 {
			t.Errorf("seed %d: a device that was never away began afresh: %v", seed, often.fresh)
		}
		begun += len(seldom.fresh) + len(cut.fresh)
		for _, ref := range h.gone {
			h.late(ref)
		}
		c.balanced()
	}
	if begun == 0 {
		t.Error("no device ever fell below a floor: the test looks at nothing")
	}
}

func (h *history) trim() {
	h.t.Helper()
	if _, err := h.loop.Trim(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	before := h.now.Add(-syncproto.TombstoneDays * 24 * time.Hour).UnixMilli()
	err := h.store.Read(h.t.Context(), func(tx loop.ReadTx) error {
		return tx.Buckets(func(b loop.Bucket) error {
			seqs := map[uint64]int64{}
			err := tx.Ledger(b.Name, 1, func(e loop.LedgerEntry) error {
				o, err := syncproto.ParseObject(bytes.Clone(e.Bytes))
				seqs[uint64(o.Int("seq"))] = o.Int("at")
				return err
			})
			if err != nil {
				return err
			}
			return tx.Tombstones(b.Name, func(seq uint64) (bool, error) {
				if at, known := seqs[seq]; known && at < before {
					h.t.Errorf("%s: the tombstone at %d is still there", b.Name, seq)
				}
				return true, nil
			})
		})
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// A bucket that is larger than a page and whose floor is high is fetched afresh to its end: the pages below the floor
// do not send the device back to the beginning.
func TestFreshPagesBelowTheFloor(t *testing.T) {
	c := newCounty(t)
	cast := c.world.Cast()
	h := &history{county: c, p: c.phone(cast.SurveyorOne)}
	for i := range 40 {
		h.n = i
		ref := syncproto.Ref{Kind: "person", ID: fmt.Sprintf("p-%d", i)}
		h.judged(syncproto.Change{Op: syncproto.OpPut, Ref: ref, Fields: syncproto.Fields(map[string]any{"household": h.home().ID, "relation": "child"})})
	}
	_, env := c.record(syncproto.Ref{Kind: "person", ID: "p-39"})
	erase := func(id string) {
		h.judged(syncproto.Change{Op: syncproto.OpDelete, Ref: syncproto.Ref{Kind: "person", ID: id}, Base: map[string]syncproto.Stamp{"household": env.Version.Stamp, "relation": env.Version.Stamp}})
	}
	erase("p-39")
	c.now = c.now.Add(401 * 24 * time.Hour)
	if n, err := c.loop.Trim(t.Context()); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	f := c.follower(cast.SurveyorOne)
	f.catchUp()
	f.agrees()
	grid := syncproto.BucketGrid + cast.Grid.Code
	if f.fresh[grid] != 1 || f.below[grid] == 0 {
		t.Errorf("it began %d times, and %d pages named the floor above them", f.fresh[grid], f.below[grid])
	}

	// One that stops on its way and comes back after the next trim has to begin again: its pages hold what is gone.
	g := c.follower(cast.SurveyorOne)
	for g.fresh[grid] == 0 {
		g.exchange(4096)
	}
	_, env = c.record(syncproto.Ref{Kind: "person", ID: "p-0"})
	erase("p-0")
	c.now = c.now.Add(401 * 24 * time.Hour)
	if n, err := c.loop.Trim(t.Context()); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	g.catchUp()
	g.agrees()
	if g.fresh[grid] != 2 {
		t.Errorf("it began %d times", g.fresh[grid])
	}
}

// Tombstones are trimmed when they are old enough and not before, and are not in the feed any more then.
func TestTrimTakesOldTombstonesOnly(t *testing.T) {
	c := newCounty(t)
	h := &history{county: c, p: c.phone(c.world.Cast().SurveyorOne)}
	for i := range 3 {
		ref := syncproto.Ref{Kind: "person", ID: fmt.Sprintf("p-%d", i)}
		h.judged(syncproto.Change{Op: syncproto.OpPut, Ref: ref, Fields: syncproto.Fields(map[string]any{"relation": "child"})})
		_, env := c.record(ref)
		h.judged(syncproto.Change{Op: syncproto.OpDelete, Ref: ref, Base: map[string]syncproto.Stamp{"relation": env.Version.Stamp}})
	}
	entries := 0
	count := func() {
		entries = 0
		err := c.store.Read(t.Context(), func(tx loop.ReadTx) error {
			return tx.Feed(syncproto.BucketGrid+c.world.Cast().Grid.Code, 0, func(e loop.Entry) (bool, error) {
				if e.Exit || e.Deleted {
					entries++
				}
				return true, nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	count()
	if n, err := c.loop.Trim(context.Background()); err != nil || n != 0 || entries != 3 {
		t.Fatalf("%d buckets trimmed too early, %d tombstones, %v", n, entries, err)
	}
	c.now = c.now.Add(401 * 24 * time.Hour)
	if n, err := c.loop.Trim(t.Context()); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	count()
	if n, err := c.loop.Trim(t.Context()); err != nil || n != 0 || entries != 0 {
		t.Errorf("%d buckets trimmed again, %d tombstones left, %v", n, entries, err)
	}
	c.balanced()
}
