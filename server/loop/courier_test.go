package loop_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"aidloop/fixtures/world"
	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
	"aidloop/syncproto/bundle"
	"aidloop/syncproto/device"
)

// courier is a phone with the real engine, which a test talks to by bundles or by exchanges.
type courier struct {
	c      *county
	engine *device.Engine
	id     string
	key    ed25519.PrivateKey
	user   string
}

func (c *county) courier(u world.User, n int) *courier {
	c.t.Helper()
	seed := sha256.Sum256(fmt.Appendf(nil, "%s %d", u.ID, n))
	key := ed25519.NewKeyFromSeed(seed[:])
	code, err := c.loop.NewEnrolCode(c.t.Context(), casework.System, u.ID)
	if err != nil {
		c.t.Fatal(err)
	}
	e, err := c.loop.Enrol(c.t.Context(), code, key.Public().(ed25519.PublicKey), "test")
	if err != nil {
		c.t.Fatal(err)
	}
	s := device.NewMemory()
	id := device.Identity{Device: e.Device, User: u.ID, Private: key, UserKey: e.UserKey, ServerKey: e.ServerKey, Recipient: e.Recipient}
	if err := device.Enrol(s, id); err != nil {
		c.t.Fatal(err)
	}
	h := &courier{c: c, id: e.Device, key: key, user: u.ID}
	if h.engine, err = device.Open(s, device.Options{Random: bytes.NewReader(make([]byte, 1<<16)), Catalog: 1}); err != nil {
		c.t.Fatal(err)
	}
	return h
}

func (h *courier) clock() syncproto.Clock { return syncproto.Clock{Wall: h.c.now.UnixMilli()} }

// line exchanges until nothing is left.
func (h *courier) line() {
	h.c.t.Helper()
	for more := true; more; {
		raw, err := h.engine.Request(h.clock(), device.Ask{})
		if err != nil {
			h.c.t.Fatal(err)
		}
		req, err := syncproto.ParseRequest(raw)
		if err != nil {
			h.c.t.Fatal(err)
		}
		out, err := h.c.loop.Exchange(h.c.t.Context(), loop.Push{Request: req, Size: len(raw), Body: raw}, &loop.Reader{User: h.user, Device: h.id})
		if err != nil {
			h.c.t.Fatal(err)
		}
		r := h.engine.Response(h.clock())
		for b := out; len(b) > 0; {
			f, rest, err := syncproto.NextFrame(b)
			if err == nil {
				err = r.Frame(f)
			}
			if err != nil {
				h.c.t.Fatal(err)
			}
			b = rest
		}
		if more, _, err = r.Finish(); err != nil {
			h.c.t.Fatal(err)
		}
	}
}

// person captures one person under a household.
func (h *courier) person(home, id string) {
	h.c.t.Helper()
	_, err := h.engine.Capture(syncproto.Ref{Kind: "household", ID: home}, []device.Draft{{Op: syncproto.OpPut, Ref: syncproto.Ref{Kind: "person", ID: id},
		Fields: syncproto.Fields(map[string]any{"household": home, "relation": "child"})}}, h.clock())
	if err != nil {
		h.c.t.Fatal(err)
	}
}

func (h *courier) export(c device.Carry) []byte {
	h.c.t.Helper()
	var b bytes.Buffer
	if _, err := h.engine.Export(&b, h.clock(), c); err != nil {
		h.c.t.Fatal(err)
	}
	return b.Bytes()
}

// carry brings a bundle to the server and returns what became of it, with the reply.
func (c *county) carry(file []byte, sink loop.PhotoSink) (*loop.Import, []byte, error) {
	c.t.Helper()
	var reply bytes.Buffer
	i, err := c.loop.ImportBundle(c.t.Context(), bytes.NewReader(file), loop.BundleOptions{Photos: sink, Reply: &reply})
	return i, reply.Bytes(), err
}

func (c *county) carried(file []byte) (*loop.Import, []byte) {
	c.t.Helper()
	i, reply, err := c.carry(file, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return i, reply
}

func (h *courier) take(reply []byte) device.Imported {
	h.c.t.Helper()
	got, err := h.engine.Import(bytes.NewReader(reply), h.clock())
	if err != nil {
		h.c.t.Fatal(err)
	}
	return got
}

// settled insists that the phone and the server agree: every group has one outcome, and what the phone holds is what
// the server would send.
func (h *courier) settled(t interface {
	Fatalf(string, ...any)
}) {
	st, err := h.engine.Status(0)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if st.OnlyHere > 0 || st.Trouble != "" || len(st.Incidents) > 0 {
		t.Fatalf("it is not settled: %+v", st)
	}
	list, err := h.engine.Outbox()
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, x := range list {
		if x.State != device.Done {
			t.Fatalf("group %d is %s (%s)", x.Dseq, x.State, x.Code)
		}
	}
	buckets, err := h.engine.Buckets()
	if err != nil {
		t.Fatalf("%v", err)
	}
	_ = h.c.store.Read(context.Background(), func(tx loop.ReadTx) error {
		for _, b := range buckets {
			if head, err := tx.Bucket(b.Name); err != nil || head.Count != b.Count || head.Digest.String() != b.Digest {
				t.Fatalf("%s: %d rows %.8s, the server has %d %.8s (%v)", b.Name, b.Count, b.Digest, head.Count, head.Digest, err)
			}
		}
		groups := 0
		err := tx.Batches(h.id, func(b *loop.Batch) error {
			g, err := b.Groups()
			groups += len(g)
			var o syncproto.Outcomes
			if err := json.Unmarshal(b.Outcomes, &o); err != nil || len(o.Groups) != len(g) || b.Foreign {
				t.Fatalf("batch %d: %v, foreign %v", b.ID, err, b.Foreign)
			}
			return err
		})
		if err != nil || groups != len(list) {
			t.Fatalf("%d groups on record, %d captured: %v", groups, len(list), err)
		}
		if left, err := tx.Parked(h.id); err != nil || len(left) > 0 {
			t.Fatalf("%d parts wait still: %v", len(left), err)
		}
		return nil
	})
}

// onlyLast is a bundle that holds only the groups behind a change: what a phone makes that has heard the outcomes of
// all earlier ones.
func onlyLast(h *courier, after uint64) []byte {
	h.c.t.Helper()
	list, err := h.engine.Outbox()
	if err != nil {
		h.c.t.Fatal(err)
	}
	raw := syncproto.AppendJSON(nil, syncproto.FrameHello, syncproto.Hello{Versions: [2]int{1, 1}, Device: h.id, Wall: h.c.now.UnixMilli()})
	sign := syncproto.Sign{Device: h.id, First: after + 1, Prev: syncproto.ChainStart(h.id).String()}
	frames := 2
	for _, x := range list {
		if x.Last <= after {
			sign.Prev = x.Head
			continue
		}
		g, err := h.engine.Content(x.Dseq)
		if err != nil {
			h.c.t.Fatal(err)
		}
		b, err := g.Encode()
		if err != nil {
			h.c.t.Fatal(err)
		}
		raw = syncproto.AppendGroup(raw, x.Dseq, len(g.Changes), b)
		sign.Last, sign.Head = x.Last, x.Head
		frames++
	}
	return seal(h, syncproto.AppendJSON(syncproto.AppendJSON(raw, syncproto.FrameSign, signed(h, sign)), syncproto.FrameEnd, syncproto.End{Frames: frames}))
}

func signed(h *courier, s syncproto.Sign) syncproto.Sign {
	head, err := syncproto.ParseHash(s.Head)
	if err != nil {
		h.c.t.Fatal(err)
	}
	s.Sig = syncproto.SignHead(h.key, h.id, s.Last, head)
	return s
}

// seal is a bundle by hand.
func seal(h *courier, message []byte) []byte {
	h.c.t.Helper()
	var out bytes.Buffer
	to := loop.Secrets{Master: syncproto.Key{1}}.BundleIdentity().Recipient()
	w, err := bundle.Seal(&out, to)
	if err != nil {
		h.c.t.Fatal(err)
	}
	head := syncproto.BundleHead{Kind: syncproto.BundlePush, Device: h.id, Created: h.c.now.UnixMilli()}
	b, err := syncproto.NewBundleWriter(w, syncproto.SignBundle(h.key, &head))
	if err == nil && message != nil {
		err = b.Message(message)
	}
	if err := errors.Join(err, b.Close(), w.Close()); err != nil {
		h.c.t.Fatal(err)
	}
	return out.Bytes()
}
