package loop_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"testing"
	"time"

	"aidloop/fixtures/forms"
	"aidloop/fixtures/seed"
	"aidloop/fixtures/visits"
	"aidloop/fixtures/world"
	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/storage/sqlite"
	"aidloop/syncproto"
)

// county is a small county on a real store, with a clock that stands still unless it is moved.
type county struct {
	t     *testing.T
	loop  *loop.Loop
	store *sqlite.Store
	world *world.World
	now   time.Time
	ids   int
	opts  loop.Options
	poked []syncproto.BucketSeq
}

func newCounty(t *testing.T) *county {
	t.Helper()
	c := &county{t: t, world: world.New(3, world.Options{Households: 12})}
	c.now = c.world.Now
	newID := func() string { c.ids++; return fmt.Sprintf("01900000-0000-7000-8000-%012d", c.ids) }
	store, err := sqlite.Open(t.Context(), sqlite.Options{Dir: t.TempDir(), Clock: func() time.Time { return c.now }, NewID: newID})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	c.store = store
	c.opts = loop.Options{Store: store, Clock: func() time.Time { return c.now }, NewID: newID,
		Secrets: loop.Secrets{Master: syncproto.Key{1}, Signing: ed25519.NewKeyFromSeed(make([]byte, 32))},
		Poke:    func(b []syncproto.BucketSeq) { c.poked = append(c.poked, b...) }}
	c.loop = loop.New(c.opts)
	if err := seed.Load(t.Context(), c.loop, c.world, nil); err != nil {
		t.Fatal(err)
	}
	return c
}

// with is another Loop on the same store.
func (c *county) with(change func(*loop.Options)) *loop.Loop {
	o := c.opts
	change(&o)
	return loop.New(o)
}

// balanced insists that every chain, digest and count adds up.
func (c *county) balanced() {
	c.t.Helper()
	r, err := c.loop.Check(c.t.Context(), func(context.Context, string) error { return nil })
	if err != nil || len(r.Findings) > 0 {
		c.t.Errorf("the books do not balance: %v %+v", err, r)
	}
}

// phone is a device without an engine: it says exactly what a test wants it to say.
type phone struct {
	c    *county
	id   string
	user world.User
	key  ed25519.PrivateKey
	head syncproto.Hash
	next uint64
}

func (c *county) phone(u world.User) *phone {
	c.t.Helper()
	seed := make([]byte, 32)
	copy(seed, u.ID)
	key := ed25519.NewKeyFromSeed(seed)
	code, err := c.loop.NewEnrolCode(c.t.Context(), casework.System, u.ID)
	if err != nil {
		c.t.Fatal(err)
	}
	e, err := c.loop.Enrol(c.t.Context(), code, key.Public().(ed25519.PublicKey), "test")
	if err != nil {
		c.t.Fatal(err)
	}
	return &phone{c: c, id: e.Device, user: u, key: key, head: syncproto.ChainStart(e.Device), next: 1}
}

// group numbers changes as the phone's next group.
func (p *phone) group(root syncproto.Ref, changes ...syncproto.Change) *syncproto.Group {
	wall := p.c.now.UnixMilli()
	g := &syncproto.Group{Device: p.id, Dseq: p.next, Root: root, Catalog: 1, Clock: syncproto.Clock{Wall: wall}, Changes: changes}
	p.next = g.Last() + 1
	return g
}

// request signs groups; bytes are as they will be sent, so that a test can spoil them before.
func (p *phone) request(groups ...syncproto.SignedGroup) loop.Push {
	b := syncproto.AppendJSON(nil, syncproto.FrameHello, syncproto.Hello{Versions: [2]int{1, 1}, Device: p.id, Wall: p.c.now.UnixMilli()})
	sign := syncproto.Sign{Device: p.id, First: groups[0].Dseq, Prev: p.head.String()}
	for _, g := range groups {
		b = syncproto.AppendGroup(b, g.Dseq, g.Changes, g.Bytes)
		p.head = syncproto.ChainNext(p.head, syncproto.GroupHash(g.Bytes))
		sign.Last = g.Last()
	}
	sign.Head, sign.Sig = p.head.String(), syncproto.SignHead(p.key, p.id, sign.Last, p.head)
	b = syncproto.AppendJSON(b, syncproto.FrameSign, sign)
	b = syncproto.AppendJSON(b, syncproto.FrameEnd, syncproto.End{Frames: len(groups) + 2})
	req, err := syncproto.ParseRequest(b)
	if err != nil {
		p.c.t.Fatal(err)
	}
	return loop.Push{Request: req, Size: len(b), Body: b}
}

func (p *phone) signed(g *syncproto.Group) syncproto.SignedGroup {
	p.c.t.Helper()
	raw, err := g.Encode()
	if err != nil {
		p.c.t.Fatal(err)
	}
	return syncproto.SignedGroup{Dseq: g.Dseq, Changes: len(g.Changes), Bytes: raw}
}

// push sends one group and returns its outcome.
func (p *phone) push(g *syncproto.Group) syncproto.Outcome {
	p.c.t.Helper()
	out, err := p.c.loop.Receive(p.c.t.Context(), p.request(p.signed(g)))
	if err != nil {
		p.c.t.Fatal(err)
	}
	return out.Outcomes.Groups[0]
}

// visit is a complete visit of a household, as changes: the put and its submission. Sealed fields carry the form of
// sealed values, which is all that the server looks at.
func (p *phone) visit(h world.Household, lead, id string) []syncproto.Change {
	p.c.t.Helper()
	form := forms.MustForm(visits.FormID)
	v := visits.At(p.c.world, h, lead, p.c.now)
	v.Met = "seen"
	fields, err := syncproto.FieldsOf(visits.Record(newRand(), form, v))
	if err != nil {
		p.c.t.Fatal(err)
	}
	ref := syncproto.Ref{Kind: "visit", ID: id}
	seal := syncproto.NewSealer(syncproto.Key{9})
	for _, q := range form.Questions {
		for _, f := range []string{"q_" + q.Name, q.Name} {
			if q.Sealed && fields.Has(f) {
				fields = fields.With(f, seal.Seal(ref, f, fields.Get(f)))
			}
		}
	}
	return []syncproto.Change{{Op: syncproto.OpPut, Ref: ref, Fields: fields}, {Op: syncproto.OpAct, Ref: ref, Act: "submit"}}
}

func (c *county) record(ref syncproto.Ref) (rec syncproto.Object, env syncproto.Envelope) {
	c.t.Helper()
	err := c.store.Read(c.t.Context(), func(tx loop.ReadTx) error {
		s, err := tx.Record(ref)
		if err != nil {
			return err
		}
		if env, err = syncproto.ParseEnvelope(s.Env); err != nil {
			return err
		}
		rec, err = syncproto.ParseObject(s.Body)
		return err
	})
	if err != nil {
		c.t.Fatalf("%s: %v", ref, err)
	}
	return rec, env
}

func (c *county) has(ref syncproto.Ref) bool {
	return c.store.Read(c.t.Context(), func(tx loop.ReadTx) error { _, err := tx.Record(ref); return err }) == nil
}

func noBlobs(context.Context, string) error { return nil }
