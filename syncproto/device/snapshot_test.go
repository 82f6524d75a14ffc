package device_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	sp "aidloop/syncproto"
	"aidloop/syncproto/device"
)

// snapshot cuts rows into chunks of so many, with what a server says of them.
func snapshot(seq uint64, per int, rows ...row) (s sp.Snapshot, chunks map[string][]byte) {
	s = sp.Snapshot{Bucket: grid, Incarnation: "inc", Seq: seq, Count: int64(len(rows))}
	chunks = map[string][]byte{}
	var sum sp.Digest
	for part := range slices.Chunk(rows, per) {
		var b []byte
		for i, x := range part {
			env, body := x.bytes()
			sum = sum.Add(sp.RowHash(env, body))
			b = sp.AppendRow(b, uint64(i+1), env, body)
		}
		c := sp.Chunk{SHA256: sp.ChunkName(b), Bytes: len(b), Rows: len(part)}
		s.Chunks = append(s.Chunks, c)
		chunks[c.SHA256] = b
	}
	s.Digest = sum.String()
	return s, chunks
}

func numbered(n int) (rows []row) {
	for i := range n {
		rows = append(rows, row{fmt.Sprintf("v%d", i), i + 1})
	}
	return rows
}

// want reads where a device says that it stands in the grid.
func want(t *testing.T, e *device.Engine, snapshots bool) (c sp.BucketCursor, hello sp.Hello) {
	t.Helper()
	b, err := e.Request(now, device.Ask{Snapshots: snapshots})
	if err != nil {
		t.Fatal(err)
	}
	req, err := sp.ParseRequest(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range req.Want.Cursors {
		if x.Bucket == grid {
			c = x
		}
	}
	return c, req.Hello
}

func next(t *testing.T, e *device.Engine) *sp.Chunk {
	t.Helper()
	c, err := e.NextChunk()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// add fetches the next chunk and says whether it was the last one.
func add(t *testing.T, e *device.Engine, chunks map[string][]byte) bool {
	t.Helper()
	c := next(t, e)
	if c == nil || chunks[c.SHA256] == nil {
		t.Fatalf("it wants %+v", c)
	}
	done, err := e.AddChunk(c.SHA256, chunks[c.SHA256], now)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func bucketOf(t *testing.T, e *device.Engine) (b device.Bucket) {
	t.Helper()
	list, err := e.Buckets()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range list {
		if x.Name == grid {
			b = x
		}
	}
	return b
}

// clean insists that nothing is left of a snapshot.
func clean(t *testing.T, s *device.Memory) {
	t.Helper()
	if err := s.View(func(tx device.Tx) error {
		for _, prefix := range []string{"plan/", "chunk/"} {
			if err := tx.Scan(prefix, func(key string, _ []byte) (bool, error) { return false, fmt.Errorf("%s is left", key) }); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// However a snapshot is cut, and wherever the phone is killed between chunks, it ends with the snapshot's rows and what
// it had before, nothing of it is visible earlier, and no chunk is fetched twice.
func TestSnapshotsArriveInPieces(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		e, s := phone(t)
		if old := rapid.IntRange(0, 5).Draw(r, "old"); old > 0 { // what the bucket held before is replaced
			rows := []row{{"old", old}}
			mustTake(t, e, reply(0).json(sp.FrameBucket, start).rows(1, rows...).checkpoint(1, rows...).end())
		}
		before := bucketOf(t, e)
		rows := numbered(rapid.IntRange(1, 40).Draw(r, "rows"))
		offer, chunks := snapshot(50, rapid.IntRange(1, 12).Draw(r, "per"), rows...)
		mustTake(t, e, reply(0).json(sp.FrameSnapshot, offer).end())
		fetched := map[string]bool{}
		for done := false; !done; {
			if got := bucketOf(t, e); got != before || value(t, e, "v0") != -1 {
				r.Fatalf("something of it is visible: %+v", got)
			}
			if c, _ := want(t, e, true); c.Cursor != "inc:50" || !c.Chunks {
				r.Fatalf("it stands at %+v", c)
			}
			if rapid.Bool().Draw(r, "killed") {
				e = reopen(t, s)
			}
			c := next(t, e)
			if fetched[c.SHA256] {
				r.Fatal("a chunk is fetched twice")
			}
			fetched[c.SHA256] = true
			done = add(t, e, chunks)
		}
		if got := bucketOf(t, e); got.Cursor != "inc:50" || got.Count != int64(len(rows)) || got.Digest != offer.Digest || value(t, e, "old") != -1 || value(t, e, "v0") != 1 {
			r.Fatalf("it holds %+v", got)
		}
		if c, _ := want(t, e, true); c != (sp.BucketCursor{Bucket: grid, Cursor: "inc:50"}) || next(t, e) != nil {
			r.Fatalf("it stands at %+v", c)
		}
		clean(t, s)
	})
}

// Only a carrier that fetches chunks says so; under another one the bucket is asked for from its beginning.
func TestSnapshotsAreAskedForByWhoFetchesThem(t *testing.T) {
	e, s := phone(t)
	if _, hello := want(t, e, false); slices.Contains(hello.Caps, sp.CapSnapshot) {
		t.Error("it claims to fetch chunks")
	}
	if _, hello := want(t, e, true); !slices.Contains(hello.Caps, sp.CapSnapshot) {
		t.Error("it does not say that it fetches chunks")
	}
	rows := numbered(4)
	offer, chunks := snapshot(50, 2, rows...)
	mustTake(t, e, reply(0).json(sp.FrameSnapshot, offer).end())
	add(t, e, chunks)
	if c, _ := want(t, e, false); c.Cursor != sp.CursorNone || c.Chunks {
		t.Errorf("without fetching it stands at %+v", c)
	}
	mustTake(t, e, reply(0).json(sp.FrameBucket, start).rows(50, rows...).checkpoint(50, rows...).end())
	if next(t, e) != nil || bucketOf(t, e).Count != 4 {
		t.Error("the pages did not take the snapshot's place")
	}
	clean(t, s)
}

// A chunk with other bytes is not taken; one that nobody waits for is left alone.
func TestDamagedAndForeignChunks(t *testing.T) {
	e, s := phone(t)
	offer, chunks := snapshot(50, 2, numbered(4)...)
	mustTake(t, e, reply(0).json(sp.FrameSnapshot, offer).end())
	c := next(t, e)
	bent := slices.Clone(chunks[c.SHA256])
	bent[len(bent)-1] ^= 1
	if _, err := e.AddChunk(c.SHA256, bent, now); err == nil {
		t.Error("a damaged chunk was taken")
	}
	if done, err := e.AddChunk(sp.ChunkName(nil), nil, now); done || err != nil {
		t.Errorf("a chunk of nothing: %v, %v", done, err)
	}
	other := sp.AppendRow(sp.AppendRow(nil, 1, []byte("{}"), []byte("{}")), 1, []byte("{}"), []byte("{}"))
	odd := sp.Snapshot{Bucket: grid, Incarnation: "inc", Seq: 60, Count: 3, Digest: offer.Digest, Chunks: []sp.Chunk{{SHA256: sp.ChunkName(other), Bytes: len(other), Rows: 3}}}
	mustTake(t, e, reply(0).json(sp.FrameSnapshot, odd).end())
	if _, err := e.AddChunk(odd.Chunks[0].SHA256, other, now); err == nil {
		t.Error("a chunk with other rows than announced was taken")
	}
	for _, bad := range []func(*sp.Snapshot){
		func(s *sp.Snapshot) { s.Bucket = "desk:430681000000" }, func(s *sp.Snapshot) { s.Bucket = "user:" + user }, func(s *sp.Snapshot) { s.Count++ }, func(s *sp.Snapshot) { s.Incarnation = "" },
		func(s *sp.Snapshot) { s.Chunks[0].SHA256 = "x" }, func(s *sp.Snapshot) { s.Chunks[0].Bytes = sp.MaxChunkBytes + 1 }, func(s *sp.Snapshot) { s.Chunks[0].Rows = -1 },
	} {
		s := offer
		s.Chunks = slices.Clone(offer.Chunks)
		bad(&s)
		if err := take(e, reply(0).json(sp.FrameSnapshot, s).end()); err == nil {
			t.Errorf("it took %+v", s)
		}
	}
	mustTake(t, e, reply(0).json(sp.FrameDrop, sp.Drop{Bucket: grid}).end())
	clean(t, s)
}

// When the server has forgotten a snapshot the bucket is asked for again, and what the next one has in common with it
// is not fetched twice.
func TestASnapshotThatIsGone(t *testing.T) {
	e, _ := phone(t)
	rows := numbered(9)
	first, chunks := snapshot(50, 3, rows...)
	mustTake(t, e, reply(0).json(sp.FrameSnapshot, first).end())
	add(t, e, chunks)
	add(t, e, chunks)
	if err := e.ChunkGone(next(t, e).SHA256); err != nil {
		t.Fatal(err)
	}
	if c, _ := want(t, e, true); c.Cursor != sp.CursorNone || c.Chunks || next(t, e) != nil {
		t.Errorf("it stands at %+v", c)
	}
	rows[4].n = 99 // in the second chunk
	second, more := snapshot(60, 3, rows...)
	mustTake(t, e, reply(0).json(sp.FrameSnapshot, second).end())
	if c := next(t, e); c.SHA256 != second.Chunks[1].SHA256 {
		t.Errorf("it fetches %+v first", c)
	}
	if add(t, e, more) || !add(t, e, more) {
		t.Error("two chunks of the second snapshot were missing")
	}
	if value(t, e, "v4") != 99 || value(t, e, "v0") != 1 || bucketOf(t, e).Cursor != "inc:60" {
		t.Error("it does not hold the second snapshot")
	}

	// One whose chunks are all there already still has to be shown.
	third, most := snapshot(70, 3, rows...)
	mustTake(t, e, reply(0).json(sp.FrameSnapshot, third).end())
	add(t, e, most)
	add(t, e, most)
	fourth, _ := snapshot(80, 3, rows[:6]...)
	mustTake(t, e, reply(0).json(sp.FrameSnapshot, fourth).end())
	if !add(t, e, most) || bucketOf(t, e).Count != 6 || bucketOf(t, e).Cursor != "inc:80" {
		t.Errorf("it holds %+v", bucketOf(t, e))
	}
}

// A snapshot whose rows do not add up is an incident: what was visible stays, the bucket is fetched afresh.
func TestASnapshotThatDoesNotAddUp(t *testing.T) {
	e, s := phone(t)
	old := []row{{"old", 1}}
	mustTake(t, e, reply(0).json(sp.FrameBucket, start).rows(1, old...).checkpoint(1, old...).end())
	offer, chunks := snapshot(50, 3, numbered(3)...)
	offer.Digest = sp.Hash{1}.String()
	mustTake(t, e, reply(0).json(sp.FrameSnapshot, offer).end())
	if add(t, e, chunks) {
		t.Error("it was taken")
	}
	st, err := e.Status(0)
	if err != nil || len(st.Incidents) != 1 || value(t, e, "old") != 1 || value(t, e, "v0") != -1 {
		t.Errorf("%v %+v", err, st.Incidents)
	}
	if c, _ := want(t, e, true); c.Cursor != "" {
		t.Errorf("it stands at %+v", c)
	}
	clean(t, s)
}

// Scope that is lost between two chunks leaves nothing behind, and neither the outbox nor the overlay is touched by a
// snapshot: a group whose rows are behind it waits for them.
func TestSnapshotsLeaveTheOutboxAlone(t *testing.T) {
	e, s := phone(t)
	put(t, e, "mine", 5)
	at := sp.Outcomes{Groups: []sp.Outcome{{Dseq: 1, Status: sp.GroupJudged, At: &sp.BucketSeq{Bucket: grid, Seq: 51}}}}
	offer, chunks := snapshot(50, 2, numbered(4)...)
	if _, err := e.Request(now, device.Ask{Snapshots: true}); err != nil {
		t.Fatal(err)
	}
	mustTake(t, e, reply(1).json(sp.FrameOutcomes, at).json(sp.FrameSnapshot, offer).end())
	if value(t, e, "mine") != 5 {
		t.Error("the group left the overlay before its rows came")
	}
	add(t, e, chunks)
	if !add(t, e, chunks) || value(t, e, "mine") != 5 || value(t, e, "v3") != 4 {
		t.Error("the snapshot took the overlay along, or did not come")
	}
	mine := row{"mine", 5}
	mustTake(t, e, reply(1).json(sp.FrameBucket, sp.BucketStart{Bucket: grid, From: 50}).rows(51, mine).checkpoint(51, append(numbered(4), mine)...).end())
	if list, err := e.Outbox(); err != nil || list[0].State != device.Done || value(t, e, "mine") != 5 {
		t.Errorf("%v, %+v", err, list)
	}

	put(t, e, "other", 6)
	mustTake(t, e, reply(1).json(sp.FrameSnapshot, offer).end())
	add(t, e, chunks)
	mustTake(t, e, reply(1).json(sp.FrameDrop, sp.Drop{Bucket: grid}).end())
	clean(t, s)
	if st, err := e.Status(0); err != nil || st.OnlyHere != 1 || next(t, e) != nil || value(t, e, "v3") != -1 || value(t, e, "other") != 6 {
		t.Errorf("%v, %+v", err, st)
	}
	if err := e.ChunkGone(offer.Chunks[1].SHA256); err != nil { // which nobody waits for any more
		t.Error(err)
	}
}
