package device_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	sp "aidloop/syncproto"
	"aidloop/syncproto/device"
)

// tester is a test or a property.
type tester interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// live is a bucket as a server holds it: the values of its rows.
type live struct {
	seq  uint64
	rows map[string]int
	sent []string // rows of the last answer, in order
}

func newLive(n int) *live {
	l := &live{seq: 1, rows: map[string]int{}}
	for i := range n {
		l.rows[fmt.Sprintf("v%04d", i)] = i
	}
	return l
}

func (l *live) leaves() *sp.Leaves {
	leaves := &sp.Leaves{}
	for id, n := range l.rows {
		env, body := row{id, n}.bytes()
		leaves.Add(sp.Ref{Kind: "visit", ID: id}, sp.RowHash(env, body))
	}
	return leaves
}

func (l *live) list() (list []row) {
	for _, id := range slices.Sorted(maps.Keys(l.rows)) {
		list = append(list, row{id, l.rows[id]})
	}
	return list
}

// answer is what a server says to a want: the leaves that differ, or everything.
func (l *live) answer(t tester, w *sp.Want) *response {
	l.sent = nil
	pick := func(row) bool { return true }
	begin := start
	if len(w.Repair) > 0 && w.Repair[0].Leaves != nil {
		mine, err := sp.ParseLeaves(w.Repair[0].Leaves)
		if err != nil {
			t.Fatal(err)
		}
		set := mine.Differing(l.leaves())
		begin = sp.BucketStart{Bucket: grid, Leaves: set.String()}
		pick = func(x row) bool { return set.Has(sp.Leaf(sp.Ref{Kind: "visit", ID: x.id})) }
	}
	r := reply(0).json(sp.FrameBucket, begin)
	for _, x := range l.list() {
		if pick(x) {
			r.rows(l.seq, x)
			l.sent = append(l.sent, x.id)
		}
	}
	return r.checkpoint(l.seq, l.list()...)
}

// changes is what a server says to a device that stands right before: rows that are new.
func (l *live) changes(list ...row) []byte {
	from := l.seq
	l.seq++
	for _, x := range list {
		l.rows[x.id] = x.n
	}
	return reply(0).json(sp.FrameBucket, sp.BucketStart{Bucket: grid, From: from}).rows(l.seq, list...).checkpoint(l.seq, l.list()...).end()
}

func (l *live) equal(t tester, e *device.Engine) {
	t.Helper()
	for id, n := range l.rows {
		env, body := row{id, n}.bytes()
		got, err := e.Row(grid, sp.Ref{Kind: "visit", ID: id})
		if err != nil || got == nil || !bytes.Equal(got.Envelope, env) || !bytes.Equal(got.Body, body) {
			t.Fatalf("%s has other bytes than the server's: %v %v", id, got, err)
		}
	}
	b, err := e.Buckets()
	if err != nil || len(b) != 1 || b[0].Count != int64(len(l.rows)) || b[0].Digest != l.leaves().Digest().String() {
		t.Fatalf("%+v, %v", b, err)
	}
}

func keyOf(id string) string { return "row/" + grid + "|visit/" + id }

// rot flips a bit of what the phone stores of a row.
func rot(t tester, s device.Store, id string, at int, bit byte) {
	t.Helper()
	err := s.Update(func(tx device.Tx) error {
		b, err := tx.Get(keyOf(id))
		if err != nil || len(b) == 0 {
			return fmt.Errorf("%s is not there: %v", id, err)
		}
		b = slices.Clone(b)
		b[(at%len(b)+len(b))%len(b)] ^= bit
		return tx.Put(keyOf(id), b)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func finish(t tester, e *device.Engine, b []byte) (more bool) {
	t.Helper()
	r := e.Response(now)
	for {
		f, rest, err := sp.NextFrame(b)
		if err != nil {
			break
		}
		if err := r.Frame(f); err != nil {
			t.Fatal(err)
		}
		b = rest
	}
	more, _, err := r.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return more
}

func incidents(t tester, e *device.Engine) []device.Incident {
	t.Helper()
	st, err := e.Status(0)
	if err != nil {
		t.Fatal(err)
	}
	return st.Incidents
}

// A bit that flips in one of 1500 rows is found at the next checkpoint, and what is sent again is the rows of its leaf
// and of the one that changed meanwhile. What lies on the phone and nowhere else goes.
func TestRottenRowHealsByLeaves(t *testing.T) {
	e, s := phone(t)
	srv := newLive(1500)
	mustTake(t, e, srv.answer(t, &sp.Want{}).end())
	put(t, e, "mine", 5)
	rot(t, s, "v0700", -2, 1) // the last digit of its value
	if value(t, e, "v0700") == 700 {
		t.Fatal("nothing has rotted")
	}
	planted := "ghost"
	for n := 0; sp.Leaf(sp.Ref{Kind: "visit", ID: planted}) != sp.Leaf(sp.Ref{Kind: "visit", ID: "v0700"}); n++ {
		planted = fmt.Sprint("ghost", n)
	}
	env, body := row{planted, 1}.bytes()
	if err := s.Update(func(tx device.Tx) error {
		return tx.Put(keyOf(planted), sp.AppendRow(nil, 1, env, body)[5:])
	}); err != nil {
		t.Fatal(err)
	}
	mustTake(t, e, srv.changes(row{"v9999", 9}))
	if value(t, e, "v9999") != -1 || value(t, e, "v0001") != 1 || len(incidents(t, e)) != 1 {
		t.Errorf("something new is shown, or the rest is gone: %+v", incidents(t, e))
	}
	req := parsed(t, e)
	if len(req.Want.Cursors) != 0 || len(req.Want.Repair) != 1 || req.Want.Repair[0].Cursor != "inc:2" || req.Want.Repair[0].Count != 1502 {
		t.Fatalf("it asks for %+v", req.Want)
	}
	answer := srv.answer(t, req.Want)
	var want []string
	for _, x := range srv.list() {
		switch leaf := sp.Leaf(sp.Ref{Kind: "visit", ID: x.id}); leaf {
		case sp.Leaf(sp.Ref{Kind: "visit", ID: "v0700"}), sp.Leaf(sp.Ref{Kind: "visit", ID: "v9999"}):
			want = append(want, x.id)
		}
	}
	if !slices.Equal(srv.sent, want) || len(want) > 30 {
		t.Errorf("%d rows are sent: %v", len(srv.sent), srv.sent)
	}
	whole := srv.answer(t, &sp.Want{})
	t.Logf("%d of %d rows and %d of %d bytes are sent, for %d bytes of leaves", len(want), len(srv.sent), len(answer.b), len(whole.b), sp.LeavesBytes)
	mustTake(t, e, answer.end())
	srv.equal(t, e)
	if value(t, e, planted) != -1 || value(t, e, "mine") != 5 || value(t, e, "v0700") != 700 || len(incidents(t, e)) != 1 {
		t.Error("the repair left a row, or took a pending one")
	}
	if w := parsed(t, e).Want; len(w.Repair) != 0 || len(w.Cursors) != 1 {
		t.Errorf("it asks for %+v", w)
	}
}

// A repair that does not help is followed by the whole bucket; if that does not add up either, the phone asks no more
// until the next sync. What was visible stays all the while.
func TestRepairEndsWithTheWholeBucket(t *testing.T) {
	e, s := phone(t)
	srv := newLive(1200)
	mustTake(t, e, srv.answer(t, &sp.Want{}).end())
	rot(t, s, "v0007", -3, 0x80)
	wrong := func(b sp.BucketStart) []byte {
		return reply(0).json(sp.FrameBucket, b).checkpoint(9, row{"nobody", 1}).end()
	}
	if !finish(t, e, wrong(sp.BucketStart{Bucket: grid, From: 1})) || parsed(t, e).Want.Repair[0].Leaves == nil {
		t.Fatal("it does not ask for leaves")
	}
	if !finish(t, e, wrong(sp.BucketStart{Bucket: grid, Leaves: sp.LeafSet{1: 0x10}.String()})) || parsed(t, e).Want.Repair[0].Leaves != nil {
		t.Fatal("it does not ask for the whole")
	}
	if finish(t, e, wrong(start)) || parsed(t, e).Want.Repair[0].Leaves != nil || len(parsed(t, e).Want.Cursors) != 0 {
		t.Fatal("it asks on and on, or not for the whole")
	}
	if value(t, e, "v0008") != 8 || len(incidents(t, e)) != 1 {
		t.Errorf("what was visible is gone: %+v", incidents(t, e))
	}
	mustTake(t, e, srv.answer(t, parsed(t, e).Want).end())
	srv.equal(t, e)
}

// A small bucket is fetched whole, and so is one whose rows are of another life of the server.
func TestSmallAndForeignBucketsAreFetchedWhole(t *testing.T) {
	e, s := phone(t)
	srv := newLive(20)
	mustTake(t, e, srv.answer(t, &sp.Want{}).end())
	rot(t, s, "v0003", -2, 1)
	finish(t, e, srv.changes(row{"v9999", 9}))
	if rep := parsed(t, e).Want.Repair; len(rep) != 1 || rep[0].Leaves != nil {
		t.Errorf("it asks for %+v", rep)
	}
	mustTake(t, e, srv.answer(t, parsed(t, e).Want).end())
	srv.equal(t, e)

	e, s = phone(t)
	srv = newLive(1200)
	mustTake(t, e, srv.answer(t, &sp.Want{}).end())
	rot(t, s, "v0003", -2, 1)
	finish(t, e, reply(0).json(sp.FrameBucket, sp.BucketStart{Bucket: grid, From: 1}).
		json(sp.FrameCheckpoint, sp.Checkpoint{Bucket: grid, Incarnation: "other", Seq: 1, Count: 1200, Digest: srv.leaves().Digest().String()}).end())
	if rep := parsed(t, e).Want.Repair; len(rep) != 1 || rep[0].Leaves != nil || rep[0].Cursor != "other:1" {
		t.Errorf("it asks for %+v", rep)
	}
}

// A repair that is cut at any byte changes nothing; the whole one heals, twice as well as once.
func TestRepairCutAnywhere(t *testing.T) {
	e, s := phone(t)
	srv := newLive(40)
	mustTake(t, e, srv.answer(t, &sp.Want{}).end())
	rot(t, s, "v0011", -2, 1)
	small := func(s *device.Memory) *device.Engine {
		e, err := device.Open(s, device.Options{Random: bytes.NewReader(make([]byte, 64)), RepairRows: 10})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if n, err := small(s).Examine(now); n != 1 || err != nil {
		t.Fatalf("%d damaged, %v", n, err)
	}
	whole := srv.answer(t, parsed(t, small(s)).Want).end()
	if len(srv.sent) == 0 || len(srv.sent) > 5 {
		t.Fatalf("it sends %v", srv.sent)
	}
	for n := range whole {
		c := s.Clone()
		e := small(c)
		if err := take(e, whole[:n]); err == nil {
			t.Fatalf("%d bytes of %d passed for a whole response", n, len(whole))
		}
		e = small(c)
		if w := parsed(t, e).Want; len(w.Repair) == 1 && w.Repair[0].Leaves == nil {
			t.Fatalf("cut at %d: it gave the repair up", n)
		}
		mustTake(t, e, whole)
		srv.equal(t, e)
		mustTake(t, e, whole)
		srv.equal(t, e)
	}
}

// Whatever bit of whatever rows flips, in values, in envelopes or in lengths: it is found, never breaks a list, and
// heals.
func TestAnyRotIsFoundAndHealed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := device.NewMemory()
		id := device.Identity{Device: dev, User: user, Private: make([]byte, 64), ServerKey: make([]byte, 32)}
		if err := device.Enrol(s, id); err != nil {
			t.Fatal(err)
		}
		e, err := device.Open(s, device.Options{Random: bytes.NewReader(make([]byte, 64)), RepairRows: rapid.SampledFrom([]int{1, 1000}).Draw(t, "repair rows")})
		if err != nil {
			t.Fatal(err)
		}
		srv := newLive(rapid.IntRange(1, 30).Draw(t, "rows"))
		finish(t, e, srv.answer(t, &sp.Want{}).end())
		for range rapid.IntRange(1, 3).Draw(t, "bits") {
			id := fmt.Sprintf("v%04d", rapid.IntRange(0, len(srv.rows)-1).Draw(t, "row"))
			rot(t, s, id, rapid.IntRange(8, 150).Draw(t, "at"), 1<<rapid.IntRange(0, 7).Draw(t, "bit"))
		}
		if _, err := e.List("visit"); err != nil {
			t.Fatalf("a rotten row breaks the list: %v", err)
		}
		if rapid.Bool().Draw(t, "moves on") {
			srv.changes(row{"v9999", 9})
		}
		if _, err := e.Examine(now); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			b, err := e.Request(now, device.Ask{})
			if err != nil {
				t.Fatal(err)
			}
			req, err := sp.ParseRequest(b)
			if err != nil {
				t.Fatal(err)
			}
			if len(req.Want.Repair) == 0 && slices.ContainsFunc(req.Want.Cursors, func(c sp.BucketCursor) bool { return strings.HasSuffix(c.Cursor, fmt.Sprint(":", srv.seq)) }) {
				break
			}
			finish(t, e, srv.answer(t, req.Want).end())
		}
		srv.equal(t, e)
	})
}

// Where nothing new arrives, rows are added up once a day by the server's clock.
func TestRowsAreExaminedOnceADay(t *testing.T) {
	e, s := phone(t)
	srv := newLive(3)
	const day = 24 * 3600 * 1000
	quiet := func(at int64) []byte {
		r := &response{}
		return r.json(sp.FrameHelloReply, sp.HelloReply{Version: 1, Incarnation: "inc", Head: sp.Hash{}.String(), Now: at}).end()
	}
	mustTake(t, e, srv.answer(t, &sp.Want{}).end())
	parsed(t, e)
	finish(t, e, quiet(day))
	rot(t, s, "v0001", -2, 1)
	if finish(t, e, quiet(2*day-1)) || len(incidents(t, e)) != 0 {
		t.Error("it is examined too early")
	}
	if !finish(t, e, quiet(2*day)) || len(incidents(t, e)) != 1 {
		t.Error("it is not examined, or does not ask again")
	}
	mustTake(t, e, srv.answer(t, parsed(t, e).Want).end())
	srv.equal(t, e)
}

// The phone keeps the newest incidents, a bounded number.
func TestIncidentsAreBounded(t *testing.T) {
	e, _ := phone(t)
	for n := range 70 {
		mustTake(t, e, reply(0).json(sp.FrameBucket, start).checkpoint(uint64(n+1), row{"nobody", 1}).end())
	}
	if list := incidents(t, e); len(list) != 50 || list[49].Seq != 70 || list[0].Seq != 21 {
		t.Errorf("%d incidents", len(list))
	}
}

// What was staged in another life of the server is void; what a checkpoint of it made visible stays, and goes on.
func TestStagedRowsEndWithTheirLife(t *testing.T) {
	e, _ := phone(t)
	mustTake(t, e, reply(0).json(sp.FrameBucket, start).rows(1, row{"a", 1}).checkpoint(1, row{"a", 1}).end())
	mustTake(t, e, reply(0).json(sp.FrameBucket, sp.BucketStart{Bucket: grid, From: 1}).rows(2, row{"lost", 2}).json(sp.FramePage, sp.Page{Seq: 2}).end())
	if w := parsed(t, e).Want; len(w.Cursors) != 1 || !w.Cursors[0].Staged || w.Cursors[0].Cursor != "inc:2" {
		t.Fatalf("%+v", w)
	}
	other := func() *response {
		return (&response{}).json(sp.FrameHelloReply, sp.HelloReply{Version: 1, Incarnation: "other", Head: sp.Hash{}.String()})
	}
	mustTake(t, e, other().end())
	if w := parsed(t, e).Want; len(w.Cursors) != 1 || w.Cursors[0].Staged || w.Cursors[0].Cursor != "inc:1" {
		t.Fatalf("%+v", w)
	}
	next := other().json(sp.FrameBucket, sp.BucketStart{Bucket: grid, From: 1}).rows(2, row{"b", 3})
	var sum sp.Digest
	for _, x := range []row{{"a", 1}, {"b", 3}} {
		env, body := x.bytes()
		sum = sum.Add(sp.RowHash(env, body))
	}
	mustTake(t, e, next.json(sp.FrameCheckpoint, sp.Checkpoint{Bucket: grid, Incarnation: "other", Seq: 2, Count: 2, Digest: sum.String()}).end())
	if b, err := e.Buckets(); err != nil || b[0].Cursor != "other:2" || value(t, e, "b") != 3 || value(t, e, "lost") != -1 || value(t, e, "a") != 1 {
		t.Errorf("%+v, %v", b, err)
	}
}

// A place in the feed is compared within one life only: what a restored server judged anew lies over the rows until
// that life's rows have arrived, whatever the former one numbered.
func TestOverlayWaitsForTheRightLife(t *testing.T) {
	e, _ := phone(t)
	mustTake(t, e, reply(0).json(sp.FrameBucket, start).rows(9, row{"a", 1}).checkpoint(9, row{"a", 1}).end())
	put(t, e, "mine", 5)
	mustTake(t, e, (&response{}).json(sp.FrameHelloReply, sp.HelloReply{Version: 1, Incarnation: "other", Have: 1, Head: sp.Hash{}.String()}).
		json(sp.FrameOutcomes, sp.Outcomes{Groups: []sp.Outcome{{Dseq: 1, Status: sp.GroupJudged, At: &sp.BucketSeq{Bucket: grid, Seq: 5}}}}).end())
	if value(t, e, "mine") != 5 {
		t.Error("the change left the overlay before its rows arrived")
	}
}

// What became of the groups is read again when the author's bucket goes on in another life of the server: that one may
// hold what the former one had decided since.
func TestOutcomesAreReadAgainInAnotherLife(t *testing.T) {
	e, _ := phone(t)
	put(t, e, "mine", 5)
	env := sp.Envelope{Ref: sp.Ref{Kind: "outcome", ID: sp.DerivedID("outcome", dev+":1")}, Version: sp.Version{Stamp: "inc:1", Time: 1}}
	body := sp.Fields(map[string]any{"status": "held", "code": "stale_state", "reason": "请稍候"}).Bytes()
	sum := sp.Digest{}.Add(sp.RowHash(env.Bytes(), body)).String()
	own := sp.BucketUser + user
	said := reply(1).json(sp.FrameOutcomes, sp.Outcomes{Groups: []sp.Outcome{{Dseq: 1, Status: sp.GroupHeld, Code: sp.CodeStaleState}}}).
		json(sp.FrameBucket, sp.BucketStart{Bucket: own, Fresh: true})
	said.b, said.frames = sp.AppendRow(said.b, 1, env.Bytes(), body), said.frames+1
	mustTake(t, e, said.json(sp.FrameCheckpoint, sp.Checkpoint{Bucket: own, Incarnation: "inc", Seq: 1, Count: 1, Digest: sum}).end())
	mustTake(t, e, reply(1).json(sp.FrameOutcomes, sp.Outcomes{Groups: []sp.Outcome{{Dseq: 1, Status: sp.GroupJudged, Replay: true}}}).end())
	state := func() string {
		list, err := e.Outbox()
		if err != nil || len(list) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		return list[0].State
	}
	if state() != device.Done {
		t.Fatalf("it is %s", state())
	}
	mustTake(t, e, (&response{}).json(sp.FrameHelloReply, sp.HelloReply{Version: 1, Incarnation: "other", Have: 1, Head: sp.Hash{}.String()}).
		json(sp.FrameBucket, sp.BucketStart{Bucket: own, From: 1}).
		json(sp.FrameCheckpoint, sp.Checkpoint{Bucket: own, Incarnation: "other", Seq: 1, Count: 1, Digest: sum}).end())
	if state() != device.Held {
		t.Errorf("it is %s, and the server holds it", state())
	}
}

// A record that a lost life had moved to another bucket is found again where this life has it, although that bucket
// has nothing new to say.
func TestRecordIsFoundWhereThisLifeHasIt(t *testing.T) {
	for _, other := range []string{"grid:430681102212-000", "grid:430681102212-002"} {
		e, _ := phone(t)
		env, body := row{"a", 1}.bytes()
		sum := sp.Digest{}.Add(sp.RowHash(env, body)).String()
		say := func(inc string) *response {
			return (&response{}).json(sp.FrameHelloReply, sp.HelloReply{Version: 1, Incarnation: inc, Head: sp.Hash{}.String()})
		}
		check := func(r *response, bucket, inc string, n int64, digest string) []byte {
			return r.json(sp.FrameCheckpoint, sp.Checkpoint{Bucket: bucket, Incarnation: inc, Seq: 1, Count: n, Digest: digest}).end()
		}
		mustTake(t, e, check(say("inc").json(sp.FrameBucket, start).rows(1, row{"a", 1}), grid, "inc", 1, sum))
		mustTake(t, e, check(say("inc").json(sp.FrameBucket, sp.BucketStart{Bucket: other, Fresh: true}).rows(1, row{"a", 1}), other, "inc", 1, sum))
		mustTake(t, e, check(say("new").json(sp.FrameBucket, sp.BucketStart{Bucket: grid, From: 1}), grid, "new", 1, sum))
		mustTake(t, e, check(say("new").json(sp.FrameBucket, sp.BucketStart{Bucket: other, Fresh: true}), other, "new", 0, sp.Hash{}.String()))
		v, err := e.View(sp.Ref{Kind: "visit", ID: "a"})
		if err != nil || v == nil || v.Bucket != grid {
			t.Errorf("it is at %+v, %v", v, err)
		}
	}
}
