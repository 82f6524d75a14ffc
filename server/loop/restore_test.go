package loop_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"time"

	"aidloop/fixtures/world"
	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/storage/sqlite"
	"aidloop/syncproto"
	"aidloop/syncproto/device"
)

// timedPhone is a real device engine whose clocks a test sets.
type timedPhone struct {
	c      *county
	engine *device.Engine
	disk   *device.Memory
	user   world.User
	skew   time.Duration
	boot   string
	opts   device.Options
}

func (c *county) timedPhone(u world.User, retention time.Duration) *timedPhone {
	c.t.Helper()
	p := c.phone(u)
	h := &timedPhone{c: c, disk: device.NewMemory(), user: u, boot: "boot-1"}
	h.opts = device.Options{Random: bytes.NewReader(bytes.Repeat([]byte{7}, 1<<16)), Catalog: casework.CatalogVersion, Retention: retention.Milliseconds()}
	var key syncproto.Key
	id := device.Identity{Device: p.id, User: u.ID, Private: p.key, UserKey: key, ServerKey: ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)}
	if err := device.Enrol(h.disk, id); err != nil {
		c.t.Fatal(err)
	}
	h.open()
	return h
}

func (h *timedPhone) open() {
	h.c.t.Helper()
	e, err := device.Open(h.disk, h.opts)
	if err != nil {
		h.c.t.Fatal(err)
	}
	h.engine = e
}

func (h *timedPhone) clock() syncproto.Clock {
	at := h.c.now.UnixMilli()
	return syncproto.Clock{Wall: at + h.skew.Milliseconds(), Mono: at % 1e9, Boot: h.boot}
}

// note captures a change of a household's head count.
func (h *timedPhone) note(home world.Household, n int) *device.Entry {
	h.c.t.Helper()
	x, err := h.engine.Capture(refOf(home), []device.Draft{{Op: syncproto.OpSet, Ref: refOf(home), Fields: syncproto.Fields(map[string]any{"members_count": n})}}, h.clock())
	if err != nil {
		h.c.t.Fatal(err)
	}
	return x
}

// sync exchanges until nothing is left to say, and returns the requests that it sent.
func (h *timedPhone) sync() (sent [][]byte) {
	h.c.t.Helper()
	for range 20 {
		b, err := h.engine.Request(h.clock(), device.Ask{})
		if err != nil {
			h.c.t.Fatal(err)
		}
		sent = append(sent, b)
		again, err := h.exchange(b)
		if err != nil {
			h.c.t.Fatal(err)
		}
		if !again {
			return sent
		}
	}
	st, err := h.engine.Status(0)
	h.c.t.Fatalf("it never ends: %+v, %v", st, err)
	return nil
}

func (h *timedPhone) exchange(b []byte) (again bool, err error) {
	req, err := syncproto.ParseRequest(b)
	if err != nil {
		return false, err
	}
	out, err := h.c.loop.Exchange(h.c.t.Context(), loop.Push{Request: req, Size: len(b), Body: b}, &loop.Reader{User: h.user.ID, Device: h.engine.Identity().Device})
	var refusal *syncproto.Error
	if errors.As(err, &refusal) {
		return h.engine.Refused(refusal)
	}
	if err != nil {
		return false, err
	}
	r := h.engine.Response(h.clock())
	for {
		f, rest, err := syncproto.NextFrame(out)
		if err == io.EOF {
			break
		}
		if err == nil {
			err = r.Frame(f)
		}
		if err != nil {
			return false, err
		}
		out = rest
	}
	more, _, err := r.Finish()
	return more, err
}

func (h *timedPhone) status() device.Status {
	h.c.t.Helper()
	st, err := h.engine.Status(0)
	if err != nil {
		h.c.t.Fatal(err)
	}
	return st
}

// backup copies the database; restore puts such a copy back in its place.
func (c *county) backup() string {
	c.t.Helper()
	to := filepath.Join(c.t.TempDir(), sqlite.FileName)
	if err := c.store.Backup(c.t.Context(), to); err != nil {
		c.t.Fatal(err)
	}
	return to
}

func (c *county) restore(copied string) {
	c.t.Helper()
	newID := func() string { c.ids++; return fmt.Sprintf("01900000-0000-7000-8000-%012d", c.ids) }
	clock := func() time.Time { return c.now }
	store, err := sqlite.Open(context.Background(), sqlite.Options{Dir: filepath.Dir(copied), Clock: clock, NewID: newID})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if err := store.Close(); err != nil {
			c.t.Error(err)
		}
	})
	c.store = store
	c.loop = loop.New(loop.Options{Store: store, Clock: clock, NewID: newID,
		Secrets: loop.Secrets{Master: syncproto.Key{1}, Signing: ed25519.NewKeyFromSeed(make([]byte, 32))}})
}

// count is the time that the record gives to a household's head count, with its value.
func (c *county) count(home world.Household) (n, at int64) {
	c.t.Helper()
	body, env := c.record(refOf(home))
	return body.Int("members_count"), env.Of("members_count").Time
}

// What a phone sends again after a restore keeps the times that the lost life had fixed, even where the phone was started
// anew and its clock set since; and the next restore keeps them, too.
func TestTimesSurviveARestore(t *testing.T) {
	c := newCounty(t)
	cast := c.world.Cast()
	home := cast.Missed.Household
	h := c.timedPhone(cast.SurveyorOne, 0)
	h.sync()
	copied := c.backup()
	h.skew = -5 * 365 * 24 * time.Hour
	h.note(home, 7)
	c.now = c.now.Add(3 * time.Hour)
	h.sync()
	n, fixed := c.count(home)
	if want := c.now.Add(-3 * time.Hour).UnixMilli(); n != 7 || fixed != want {
		t.Fatalf("%d people at %d, want 7 at %d", n, fixed, want)
	}
	received := c.now.UnixMilli()

	for range 2 {
		c.now = c.now.Add(40 * time.Hour)
		h.boot, h.skew = h.boot+"x", h.skew+90*time.Minute
		c.restore(copied)
		copied = c.backup()
		if n, _ := c.count(home); n == 7 {
			t.Fatal("the restore took nothing back")
		}
		sent := h.sync()
		if n, at := c.count(home); n != 7 || at != fixed {
			t.Errorf("%d people at %d after the restore, want 7 at %d", n, at, fixed)
		}
		view, err := c.loop.Case(t.Context(), actor(cast.TownReviewer), refOf(home))
		if err != nil {
			t.Fatal(err)
		}
		if got := view.Record.Written["members_count"].Times; got == nil || !got.Adopted || got.Received != received || got.Corrected != fixed {
			t.Errorf("the desk sees %+v", got)
		}
		c.balanced()
		c.forged(sent)
	}
}

// forged says that a receipt which the server did not sign dates nothing.
func (c *county) forged(sent [][]byte) {
	c.t.Helper()
	found := false
	for _, b := range sent {
		req, err := syncproto.ParseRequest(b)
		if err != nil {
			c.t.Fatal(err)
		}
		found = found || req.Sign != nil && len(req.Sign.Receipts) > 0
	}
	if !found {
		c.t.Error("no receipt went out")
	}
}

func TestForgedReceiptsDateNothing(t *testing.T) {
	c := newCounty(t)
	cast := c.world.Cast()
	home := cast.Missed.Household
	p := c.phone(cast.SurveyorOne)
	g := p.signed(p.group(refOf(home), syncproto.Change{Op: syncproto.OpSet, Ref: refOf(home), Fields: syncproto.Fields(map[string]any{"members_count": 9}),
		Base: map[string]syncproto.Stamp{"members_count": c.stampOf(home)}}))
	past := c.now.Add(-1000 * time.Hour).UnixMilli()
	receipt := func(key ed25519.PrivateKey, device, hash string, at int64) syncproto.SignedReceipt {
		return syncproto.SignReceipt(key, &syncproto.Receipt{At: at, Device: device, Dseq: 1, Times: []syncproto.GroupTime{{Dseq: 1, Hash: hash, Received: at, Corrected: at}}})
	}
	server, hash := ed25519.NewKeyFromSeed(make([]byte, 32)), syncproto.ShortHash(syncproto.GroupHash(g.Bytes))
	future := c.now.Add(time.Hour).UnixMilli()
	for name, r := range map[string]syncproto.SignedReceipt{
		"signed by the device":   receipt(p.key, p.id, hash, past),
		"of another device":      receipt(server, "somebody", hash, past),
		"of other bytes":         receipt(server, p.id, "0123456789abcdef", past),
		"from the future":        receipt(server, p.id, hash, future),
		"what is no receipt":     {Receipt: `{"times":[[]]}`, Sig: ed25519.Sign(server, []byte("aidloop/receipt/1\n"+`{"times":[[]]}`))},
		"with a time of nothing": receipt(server, p.id, hash, 0),
	} {
		// Each is tried on a county of its own, for a group is judged once.
		c := newCounty(t)
		q := c.phone(cast.SurveyorOne)
		if q.id != p.id {
			t.Fatal("the counties differ")
		}
		push := q.request(g)
		push.Request.Sign.Receipts = []syncproto.SignedReceipt{r}
		out, err := c.loop.Receive(t.Context(), push)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if o := out.Outcomes.Groups[0]; o.Time != c.now.UnixMilli() || o.Status != syncproto.GroupJudged {
			t.Errorf("%s: dated %d (%+v)", name, o.Time-c.now.UnixMilli(), o)
		}
	}
}

func (c *county) stampOf(home world.Household) syncproto.Stamp {
	_, env := c.record(refOf(home))
	return env.Of("members_count").Stamp
}

// A phone that no longer holds what an old backup lacks declares it lost, signed; what it holds goes on, and what builds
// on the lost changes counts as concurrent.
func TestLostChangesAreDeclared(t *testing.T) {
	c := newCounty(t)
	cast := c.world.Cast()
	home := cast.Missed.Household
	h := c.timedPhone(cast.SurveyorOne, time.Hour)
	h.sync()
	copied := c.backup()
	for i := range 5 { // each is acknowledged, and forgotten after an hour
		h.note(home, 10+i)
		h.sync()
		c.now = c.now.Add(2 * time.Hour)
		h.sync()
	}
	kept, err := h.engine.Outbox()
	if err != nil || len(kept) != 2 {
		t.Fatalf("%+v, %v", kept, err)
	}
	h.note(home, 99)
	c.restore(copied)
	h.sync()
	st := h.status()
	if st.Trouble != "" || st.OnlyHere != 0 || len(st.Lost) != 1 || st.Lost[0].From != 1 || st.Lost[0].To != 3 {
		t.Errorf("%+v", st)
	}
	if n, _ := c.count(home); n != 99 {
		t.Errorf("%d people", n)
	}
	list, _, err := c.loop.LostRanges(t.Context(), actor(cast.TownReviewer), 0, 10)
	if err != nil || len(list) != 1 || list[0].From != 1 || list[0].To != 3 || list[0].User != cast.SurveyorOne.ID {
		t.Errorf("the desk sees %+v, %v", list, err)
	}
	_, _, err = c.loop.LostRanges(t.Context(), actor(cast.YBJ), 0, 10)
	wants(t, err, casework.CodeForbidden)
	h.note(home, 100)
	h.sync()
	if n, _ := c.count(home); n != 100 {
		t.Errorf("the chain does not go on: %d people", n)
	}
	c.balanced()
	r, err := c.loop.Check(t.Context(), noBlobs)
	if err != nil || r.Gaps != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// Nobody else can declare a device's changes lost, and a declaration is taken once and only at the mark.
func TestLostIsSigned(t *testing.T) {
	c := newCounty(t)
	cast := c.world.Cast()
	p := c.phone(cast.SurveyorOne)
	head := syncproto.GroupHash([]byte("x"))
	declare := func(l syncproto.Lost) error {
		b := syncproto.AppendJSON(nil, syncproto.FrameHello, syncproto.Hello{Versions: [2]int{1, 1}, Device: p.id})
		b = syncproto.AppendJSON(b, syncproto.FrameLost, l)
		b = syncproto.AppendJSON(b, syncproto.FrameEnd, syncproto.End{Frames: 2})
		req, err := syncproto.ParseRequest(b)
		if err != nil {
			return err
		}
		_, err = c.loop.Exchange(t.Context(), loop.Push{Request: req, Size: len(b), Body: b}, nil)
		return err
	}
	refused := func(what string, l syncproto.Lost, code syncproto.Code) {
		t.Helper()
		var e *syncproto.Error
		if err := declare(l); !errors.As(err, &e) || e.Code != code {
			t.Errorf("%s: %v, want %s", what, err, code)
		}
	}
	good := syncproto.SignLost(p.key, p.id, 1, 4, head)
	stranger := syncproto.SignLost(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32)), p.id, 1, 4, head)
	unsigned, longer, other := good, good, good
	unsigned.Sig, longer.To, other.Device = nil, 5, "somebody"
	refused("signed by a stranger", stranger, syncproto.CodeBadSignature)
	refused("unsigned", unsigned, syncproto.CodeBadSignature)
	refused("another range", longer, syncproto.CodeBadSignature)
	refused("another device", other, syncproto.CodeMalformed)
	refused("nothing", syncproto.SignLost(p.key, p.id, 1, 0, head), syncproto.CodeMalformed)
	refused("behind the mark", syncproto.SignLost(p.key, p.id, 2, 4, head), syncproto.CodeDseqGap)
	for range 2 {
		if err := declare(good); err != nil {
			t.Error(err)
		}
	}
	refused("before the mark", syncproto.SignLost(p.key, p.id, 1, 6, head), syncproto.CodeDseqGap)
	p.head, p.next = head, 5
	home := cast.Missed.Household
	if o := p.push(p.group(refOf(home), p.visit(home, "", "v1")...)); o.Status != syncproto.GroupJudged {
		t.Errorf("%+v", o)
	}
	c.balanced()

	// What was declared lost turns up after all: the identity is over, and nothing of it is thrown away.
	p.head, p.next = syncproto.ChainStart(p.id), 1
	g := p.group(refOf(home), p.visit(home, "", "v2")...)
	_, err := c.loop.Receive(t.Context(), p.request(p.signed(g)))
	var e *syncproto.Error
	if !errors.As(err, &e) || e.Code != syncproto.CodeFork {
		t.Errorf("%v", err)
	}
	c.balanced()
}
