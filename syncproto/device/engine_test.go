package device_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"testing"

	sp "aidloop/syncproto"
	"aidloop/syncproto/device"
)

const (
	dev  = "dev-1"
	user = "user-1"
	grid = "grid:430681102212-001"
)

var (
	home      = sp.Ref{Kind: "household", ID: "h1"}
	serverKey = ed25519.NewKeyFromSeed(make([]byte, 32))
	now       = sp.Clock{Wall: 1764000000000}
)

// phone is an enrolled device on a store that a test can open again.
func phone(t *testing.T) (*device.Engine, *device.Memory) {
	t.Helper()
	s := device.NewMemory()
	id := device.Identity{Device: dev, User: user, Private: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32)), ServerKey: serverKey.Public().(ed25519.PublicKey), UserKey: sp.Key{1}}
	if err := device.Enrol(s, id); err != nil {
		t.Fatal(err)
	}
	return reopen(t, s), s
}

func reopen(t *testing.T, s *device.Memory) *device.Engine {
	t.Helper()
	e, err := device.Open(s, device.Options{Random: bytes.NewReader(bytes.Repeat([]byte{7}, 1<<10))})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// row is a server's row of a record whose field n has a value.
type row struct {
	id string
	n  int
}

func (r row) bytes() (env, body []byte) {
	e := sp.Envelope{Ref: sp.Ref{Kind: "visit", ID: r.id}, Root: home, Version: sp.Version{Stamp: sp.Stamp(fmt.Sprintf("inc:%d", 100+r.n)), Time: 1}}
	return e.Bytes(), sp.Fields(map[string]any{"n": r.n}).Bytes()
}

// parsed is the engine's next request, as the server reads it.
func parsed(t *testing.T, e *device.Engine) *sp.Request {
	t.Helper()
	b, err := e.Request(now, device.Ask{})
	if err != nil {
		t.Fatal(err)
	}
	req, err := sp.ParseRequest(b)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// response is what a server would say: a bucket's rows from a cursor to a checkpoint.
type response struct {
	b      []byte
	frames int
}

func reply(have uint64) *response {
	r := &response{}
	r.json(sp.FrameHelloReply, sp.HelloReply{Version: 1, Incarnation: "inc", Have: have, Head: sp.Hash{}.String()})
	return r
}

func (r *response) json(t sp.FrameType, v any) *response {
	r.b, r.frames = sp.AppendJSON(r.b, t, v), r.frames+1
	return r
}

func (r *response) rows(seq uint64, list ...row) *response {
	for _, x := range list {
		env, body := x.bytes()
		r.b, r.frames = sp.AppendRow(r.b, seq, env, body), r.frames+1
	}
	return r
}

func (r *response) checkpoint(seq uint64, live ...row) *response {
	var sum sp.Digest
	for _, x := range live {
		env, body := x.bytes()
		sum = sum.Add(sp.RowHash(env, body))
	}
	return r.json(sp.FrameCheckpoint, sp.Checkpoint{Bucket: grid, Incarnation: "inc", Seq: seq, Count: int64(len(live)), Digest: sum.String()})
}

func (r *response) end() []byte {
	return sp.AppendJSON(r.b, sp.FrameEnd, sp.End{Frames: r.frames})
}

// take hands a response over, which may be cut.
func take(e *device.Engine, b []byte) error {
	r := e.Response(now)
	for {
		f, rest, err := sp.NextFrame(b)
		if err != nil {
			break
		}
		if err := r.Frame(f); err != nil {
			return err
		}
		b = rest
	}
	_, _, err := r.Finish()
	return err
}

func mustTake(t *testing.T, e *device.Engine, b []byte) {
	t.Helper()
	if err := take(e, b); err != nil {
		t.Fatal(err)
	}
}

func value(t *testing.T, e *device.Engine, id string) int64 {
	t.Helper()
	v, err := e.View(sp.Ref{Kind: "visit", ID: id})
	if err != nil {
		t.Fatal(err)
	}
	if v == nil {
		return -1
	}
	return v.Body.Int("n")
}

func put(t *testing.T, e *device.Engine, id string, n int) *device.Entry {
	t.Helper()
	x, err := e.Capture(home, []device.Draft{{Op: sp.OpPut, Ref: sp.Ref{Kind: "visit", ID: id}, Fields: sp.Fields(map[string]any{"n": n})}}, now)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

var start = sp.BucketStart{Bucket: grid, Fresh: true}

// A response that is cut at any byte changes nothing that is visible, half of a group is never seen, and the whole one
// afterwards brings everything.
func TestCutAnywhereLosesNothing(t *testing.T) {
	whole := reply(0).json(sp.FrameBucket, start).rows(1, row{"a", 1}, row{"b", 1}).checkpoint(1, row{"a", 1}, row{"b", 1}).end()
	for n := range whole {
		e, s := phone(t)
		put(t, e, "mine", 5)
		if err := take(e, whole[:n]); err == nil {
			t.Fatalf("%d bytes of %d passed for a whole response", n, len(whole))
		}
		e = reopen(t, s)
		if a, b := value(t, e, "a"), value(t, e, "b"); a != b {
			t.Fatalf("cut at %d: half of it is visible", n)
		}
		mustTake(t, e, whole)
		if value(t, e, "a") != 1 || value(t, e, "b") != 1 || value(t, e, "mine") != 5 {
			t.Fatalf("cut at %d: something is missing afterwards", n)
		}
	}
}

// Pages are durable and not visible: a bootstrap goes on from the last one in a new process.
func TestBootstrapGoesOnFromAPage(t *testing.T) {
	e, s := phone(t)
	mustTake(t, e, reply(0).json(sp.FrameBucket, start).rows(1, row{"a", 1}).json(sp.FramePage, sp.Page{Seq: 1}).end())
	if value(t, e, "a") != -1 {
		t.Error("a page is visible before its checkpoint")
	}
	e = reopen(t, s)
	req, err := e.Request(now, device.Ask{})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(req, []byte(`{"bucket":"`+grid+`","cursor":"inc:1","staged":true}`)) {
		t.Errorf("it begins anew: %s", req)
	}
	mustTake(t, e, reply(0).json(sp.FrameBucket, sp.BucketStart{Bucket: grid, From: 1}).rows(2, row{"b", 2}).checkpoint(2, row{"a", 1}, row{"b", 2}).end())
	if value(t, e, "a") != 1 || value(t, e, "b") != 2 {
		t.Error("rows of an earlier page are missing")
	}
}

// Rows that do not add up to the digest are not shown. The bucket is fetched afresh, and the outbox is not touched.
func TestWrongDigestIsAnIncident(t *testing.T) {
	e, _ := phone(t)
	put(t, e, "mine", 5)
	mustTake(t, e, reply(0).json(sp.FrameBucket, start).rows(1, row{"a", 1}).checkpoint(1, row{"a", 1}).end())
	mustTake(t, e, reply(0).json(sp.FrameBucket, sp.BucketStart{Bucket: grid, From: 1}).rows(2, row{"b", 2}).checkpoint(2, row{"a", 1}, row{"b", 3}).end())
	st, err := e.Status(0)
	if err != nil {
		t.Fatal(err)
	}
	if len(st.Incidents) != 1 || st.OnlyHere != 1 || value(t, e, "b") != -1 || value(t, e, "a") != 1 {
		t.Errorf("%+v", st)
	}
	if req := parsed(t, e); len(req.Want.Cursors) != 0 || len(req.Want.Repair) != 1 || req.Want.Repair[0].Leaves != nil || req.Want.Repair[0].Cursor != "inc:2" {
		t.Errorf("it asks for %+v", req.Want)
	}
	mustTake(t, e, reply(0).json(sp.FrameBucket, start).rows(2, row{"b", 2}).checkpoint(2, row{"b", 2}).end())
	if value(t, e, "a") != -1 || value(t, e, "b") != 2 || value(t, e, "mine") != 5 {
		t.Error("a fresh start left old rows, or took a pending one")
	}
}

// A bucket that leaves the scope takes its rows along and nothing that was captured.
func TestDropKeepsTheOutbox(t *testing.T) {
	e, _ := phone(t)
	mustTake(t, e, reply(0).json(sp.FrameBucket, start).rows(1, row{"a", 1}).checkpoint(1, row{"a", 1}).end())
	put(t, e, "mine", 5)
	mustTake(t, e, reply(0).json(sp.FrameDrop, sp.Drop{Bucket: grid}).end())
	if value(t, e, "a") != -1 || value(t, e, "mine") != 5 {
		t.Error("wrong rows are gone")
	}
	req, err := e.Request(now, device.Ask{})
	if err != nil || !bytes.Contains(req, []byte(`"left":[{"bucket":"`+grid+`"`)) || !bytes.Contains(req, []byte(`"id":"mine"`)) {
		t.Errorf("%s, %v", req, err)
	}
}

// A change stays over the rows until the rows that carry it have arrived; a rejected one leaves and stays readable.
func TestOverlayEndsWithTheCheckpoint(t *testing.T) {
	e, _ := phone(t)
	put(t, e, "mine", 5)
	put(t, e, "bad", 6)
	said := reply(2).json(sp.FrameOutcomes, sp.Outcomes{Groups: []sp.Outcome{{Dseq: 1, Status: sp.GroupJudged, At: &sp.BucketSeq{Bucket: grid, Seq: 3}},
		{Dseq: 2, Status: sp.GroupRejected, Code: sp.CodeGuardFailed, Reason: "请补充"}}})
	mustTake(t, e, said.end())
	if value(t, e, "mine") != 5 || value(t, e, "bad") != -1 {
		t.Error("the overlay ended too early or too late")
	}
	if g, err := e.Content(2); err != nil || g.Changes[0].Fields.Int("n") != 6 {
		t.Errorf("what was rejected cannot be read: %v", err)
	}
	mustTake(t, e, reply(2).json(sp.FrameBucket, start).rows(3, row{"mine", 9}).checkpoint(3, row{"mine", 9}).end())
	if value(t, e, "mine") != 9 {
		t.Error("the pending change lies over the rows that carry it")
	}
}

// Later edits base on the device's own pending stamps, so that they are successors when they arrive together.
func TestPendingEditsFollowEachOther(t *testing.T) {
	e, s := phone(t)
	put(t, e, "mine", 1)
	x, err := e.Capture(home, []device.Draft{{Op: sp.OpSet, Ref: sp.Ref{Kind: "visit", ID: "mine"}, Fields: sp.Fields(map[string]any{"n": 2})}}, now)
	if err != nil {
		t.Fatal(err)
	}
	g, err := reopen(t, s).Content(x.Dseq)
	if err != nil {
		t.Fatal(err)
	}
	if base := g.Changes[0].Base["n"]; base != dev+":1" {
		t.Errorf("it bases on %q", base)
	}
	if value(t, e, "mine") != 2 {
		t.Error("the later edit is not seen")
	}
}

// What the device sends is signed, chained, and read by the server's parser as it was captured.
func TestRequestIsSigned(t *testing.T) {
	e, s := phone(t)
	for i := range 5 {
		put(t, e, fmt.Sprint("v", i), i)
	}
	b, err := reopen(t, s).Request(now, device.Ask{})
	if err != nil {
		t.Fatal(err)
	}
	req, err := sp.ParseRequest(b)
	if err != nil || len(req.Groups) != 5 {
		t.Fatalf("%d groups, %v", len(req.Groups), err)
	}
	head, err := sp.ParseHash(req.Sign.Prev)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range req.Groups {
		head = sp.ChainNext(head, sp.GroupHash(g.Bytes))
	}
	pub := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32)).Public().(ed25519.PublicKey)
	if head.String() != req.Sign.Head || !sp.VerifyHead(pub, dev, 5, head, req.Sign.Sig) {
		t.Error("the signature does not fit")
	}
}

// After a restore the server has less than it acknowledged; the device sends the rest again without being asked twice.
func TestServerThatForgotIsSentAgain(t *testing.T) {
	e, _ := phone(t)
	put(t, e, "a", 1)
	put(t, e, "b", 2)
	mustTake(t, e, reply(2).json(sp.FrameOutcomes, sp.Outcomes{Groups: []sp.Outcome{{Dseq: 1, Status: sp.GroupJudged}, {Dseq: 2, Status: sp.GroupJudged}}}).end())
	mustTake(t, e, reply(1).end())
	b, err := e.Request(now, device.Ask{})
	if err != nil {
		t.Fatal(err)
	}
	if req, err := sp.ParseRequest(b); err != nil || len(req.Groups) != 1 || req.Groups[0].Dseq != 2 {
		t.Errorf("%+v, %v", req, err)
	}
}
