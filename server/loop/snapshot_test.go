package loop_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/storage/chunks"
	"aidloop/syncproto"
)

// snapshots makes a county that offers buckets of more than ten rows in chunks of some 2 KB.
func snapshots(t *testing.T, cache int) (*county, *counted) {
	t.Helper()
	c := newCounty(t)
	k := &counted{Memory: chunks.New(cache)}
	c.loop = c.with(func(o *loop.Options) { o.SnapshotRows, o.ChunkBytes, o.Chunks = 10, 2000, k })
	h := &history{county: c, p: c.phone(c.world.Cast().SurveyorOne)}
	for i := range 40 {
		h.person(i)
	}
	return c, k
}

func (h *history) person(i int) syncproto.Ref {
	h.t.Helper()
	ref := syncproto.Ref{Kind: "person", ID: fmt.Sprintf("p-%d", i)}
	h.judged(syncproto.Change{Op: syncproto.OpPut, Ref: ref, Fields: syncproto.Fields(map[string]any{"household": h.home().ID, "relation": "child"})})
	return ref
}

// counted counts what is built.
type counted struct {
	*chunks.Memory
	builds int
}

func (k *counted) Snapshot(bucket string, good func(*loop.Snapshot) bool, build func(int) (*loop.Snapshot, error)) (*loop.Snapshot, error) {
	return k.Memory.Snapshot(bucket, good, func(max int) (*loop.Snapshot, error) { k.builds++; return build(max) })
}

// fetch fetches one chunk; the code says why not.
func (f *follower) fetch() (more bool, code syncproto.Code) {
	f.c.t.Helper()
	next, err := f.e.NextChunk()
	if err != nil {
		f.c.t.Fatal(err)
	}
	if next == nil {
		return false, ""
	}
	packed, err := f.c.loop.Chunk(f.c.t.Context(), f.reader, next.SHA256)
	var refusal *syncproto.Error
	if errors.As(err, &refusal) {
		if refusal.Code == syncproto.CodeChunkGone {
			err = f.e.ChunkGone(next.SHA256)
		} else {
			err = nil
		}
		if err != nil {
			f.c.t.Fatal(err)
		}
		return true, refusal.Code
	}
	if err != nil {
		f.c.t.Fatal(err)
	}
	b, err := loop.Decompress("zstd", packed, syncproto.MaxChunkBytes)
	if err == nil && len(b) != next.Bytes {
		f.c.t.Errorf("a chunk of %d bytes where %d were announced", len(b), next.Bytes)
	}
	if err == nil {
		_, err = f.e.AddChunk(next.SHA256, b, f.clock())
	}
	if err != nil {
		f.c.t.Fatal(err)
	}
	return true, ""
}

// sync exchanges and fetches until nothing is left, and counts the chunks.
func (f *follower) sync() (fetched int) {
	f.c.t.Helper()
	for range 20 {
		f.catchUp()
		more, _ := f.fetch()
		if !more {
			return fetched
		}
		for more {
			fetched++
			more, _ = f.fetch()
		}
	}
	f.c.t.Fatal("it never gets to the end")
	return 0
}

// A large bucket goes to devices that fetch chunks as a snapshot, which is built once, and what changed since as pages;
// to those that do not, as pages. All end alike.
func TestLargeBucketsAreOfferedInChunks(t *testing.T) {
	c, k := snapshots(t, 1<<20)
	u := c.world.Cast().SurveyorOne
	grid := syncproto.BucketGrid + c.world.Cast().Grid.Code
	old, one, two := c.follower(u), c.follower(u), c.follower(u)
	one.chunks, two.chunks = true, true
	old.catchUp()
	if old.fresh[grid] != 1 || k.builds != 0 {
		t.Errorf("a device without chunks: %v, %d builds", old.fresh, k.builds)
	}
	fetched := one.sync()
	if builds := k.builds; fetched < 3 || one.fresh[grid] > 0 || builds == 0 {
		t.Errorf("%d chunks, %v, %d builds", fetched, one.fresh, builds)
	}
	h := &history{county: c, p: c.phone(u)}
	gone := h.person(100)
	h.person(101)
	_, env := c.record(gone)
	h.judged(syncproto.Change{Op: syncproto.OpDelete, Ref: gone, Base: map[string]syncproto.Stamp{"household": env.Version.Stamp, "relation": env.Version.Stamp}})
	builds := k.builds
	if two.sync() != fetched || k.builds != builds {
		t.Errorf("a snapshot was built again within minutes: %d builds, then %d", builds, k.builds)
	}
	for _, f := range []*follower{old, one, two} {
		f.sync()
		f.agrees()
	}
	c.now = c.now.Add(11 * time.Minute)
	three := c.follower(u)
	three.chunks = true
	three.sync()
	three.agrees()
	if k.builds == builds {
		t.Error("a snapshot is offered for ever")
	}
}

// A chunk that was evicted is gone, and the device that asks again gets to the end; what it had in common with the next
// snapshot it keeps.
func TestEvictedChunksAreAskedForAgain(t *testing.T) {
	c, k := snapshots(t, 1<<20)
	f := c.follower(c.world.Cast().SurveyorOne)
	f.chunks = true
	f.catchUp()
	if _, code := f.fetch(); code != "" {
		t.Fatal(code)
	}
	k.Memory = chunks.New(1 << 20) // as after a restart
	if _, code := f.fetch(); code != syncproto.CodeChunkGone {
		t.Fatalf("%q", code)
	}
	builds := k.builds
	f.sync()
	f.agrees()
	if k.builds == builds {
		t.Error("nothing was built")
	}
}

// Nobody reads a chunk of a bucket outside of his scope, and it looks like one that is gone; with the grant goes what was
// fetched already. A device that was revoked reads nothing.
func TestChunksFollowTheScope(t *testing.T) {
	c, _ := snapshots(t, 1<<20)
	cast := c.world.Cast()
	f := c.follower(cast.SurveyorOne)
	f.chunks = true
	f.catchUp()
	next, err := f.e.NextChunk()
	if err != nil || next == nil {
		t.Fatal(next, err)
	}
	var stranger loop.Reader
	for _, u := range c.world.Users {
		if u.Role == "grid_worker" && u.Grid != cast.Grid.Code {
			stranger = c.follower(u).reader
			break
		}
	}
	var refusal *syncproto.Error
	if _, err := c.loop.Chunk(t.Context(), stranger, next.SHA256); !errors.As(err, &refusal) || refusal.Code != syncproto.CodeChunkGone {
		t.Errorf("a stranger gets %v", err)
	}
	f.fetch()
	if err := c.loop.RevokeGrant(t.Context(), casework.System, cast.SurveyorOne.ID, cast.Grid.Code); err != nil {
		t.Fatal(err)
	}
	if _, code := f.fetch(); code != syncproto.CodeChunkGone {
		t.Errorf("after the grant ended: %q", code)
	}
	f.sync()
	f.agrees()
	if next, err := f.e.NextChunk(); next != nil || err != nil {
		t.Error(next, err)
	}
	if err := c.loop.RevokeDevice(t.Context(), casework.System, f.reader.Device); err != nil {
		t.Fatal(err)
	}
	if _, err := c.loop.Chunk(t.Context(), f.reader, next.SHA256); !errors.As(err, &refusal) || refusal.Code != syncproto.CodeRevoked {
		t.Errorf("a revoked device gets %v", err)
	}
}

// A snapshot from before the floor would bring back what was trimmed since: it is built anew.
func TestASnapshotFromBeforeTheFloorIsNotOffered(t *testing.T) {
	c, k := snapshots(t, 1<<20)
	u := c.world.Cast().SurveyorOne
	f := c.follower(u)
	f.chunks = true
	f.sync()
	c.loop = c.with(func(o *loop.Options) {
		o.SnapshotRows, o.ChunkBytes, o.Chunks, o.TombstoneAge = 10, 2000, k, time.Minute
	})
	h := &history{county: c, p: c.phone(u)}
	_, env := c.record(syncproto.Ref{Kind: "person", ID: "p-7"})
	h.judged(syncproto.Change{Op: syncproto.OpDelete, Ref: env.Ref, Base: map[string]syncproto.Stamp{"household": env.Version.Stamp, "relation": env.Version.Stamp}})
	c.now = c.now.Add(2 * time.Minute)
	if n, err := c.loop.Trim(t.Context()); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	g := c.follower(u)
	g.chunks = true
	for _, f := range []*follower{f, g} { // the first one fell below the floor
		f.sync()
		f.agrees()
	}
}

// A bucket whose snapshot would not fit is paged, and is not built in vain by everybody who asks.
func TestASnapshotThatWouldNotFit(t *testing.T) {
	c, k := snapshots(t, 1000)
	for range 3 {
		f := c.follower(c.world.Cast().SurveyorOne)
		f.chunks = true
		if n := f.sync(); n > 0 {
			t.Errorf("%d chunks", n)
		}
		f.agrees()
	}
	if k.builds > 2 { // the grid, and ref
		t.Errorf("%d builds in vain", k.builds)
	}
}
