package mobileapi_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
	"aidloop/syncproto/device"
)

// app is the real engine over real HTTP, at some version of the protocol and the catalog.
type app struct {
	w      *world
	engine *device.Engine
	disk   *device.Memory
	opts   device.Options
	token  string
	fault  *syncproto.Fault // of the last exchange
}

func (w *world) install(user string, o device.Options) *app {
	w.Helper()
	p := w.phone(user)
	a := &app{w: w, disk: device.NewMemory(), opts: o, token: p.Access}
	a.opts.Random = rand.Reader
	id := device.Identity{Device: p.Device, User: user, Private: p.key, UserKey: syncproto.Key(p.UserKey), ServerKey: ed25519.PublicKey(p.ServerKey)}
	w.must(device.Enrol(a.disk, id))
	a.update(o)
	return a
}

// update puts another version of the app on the phone: what it captured stays as it is.
func (a *app) update(o device.Options) {
	a.w.Helper()
	o.Random = rand.Reader
	a.opts = o
	e, err := device.Open(a.disk, o)
	a.w.must(err)
	a.engine = e
}

func (a *app) clock() syncproto.Clock { return syncproto.Clock{Wall: a.w.clock().UnixMilli()} }

func (a *app) capture(root syncproto.Ref, drafts ...device.Draft) *device.Entry {
	a.w.Helper()
	x, err := a.engine.Capture(root, drafts, a.clock())
	a.w.must(err)
	return x
}

// sync exchanges until nothing is left to say; change may spoil requests and responses on their way.
func (a *app) sync(change ...func(frames []syncproto.Frame, answer bool) []syncproto.Frame) {
	a.w.Helper()
	for range 10 {
		req, err := a.engine.Request(a.clock(), device.Ask{})
		a.w.must(err)
		for _, fn := range change {
			req = reframe(a.w, req, func(f []syncproto.Frame) []syncproto.Frame { return fn(f, false) })
		}
		ans := a.w.do(http.MethodPost, "/sync/v1", req, "Content-Type", "application/vnd.aidloop.sync", "Authorization", "Bearer "+a.token, "Accept-Encoding", "identity")
		if ans.status != http.StatusOK {
			a.w.Fatalf("%d %s", ans.status, ans.body)
		}
		for _, fn := range change {
			ans.body = reframe(a.w, ans.body, func(f []syncproto.Frame) []syncproto.Frame { return fn(f, true) })
		}
		if more := a.take(ans.body); !more {
			return
		}
	}
	a.w.Fatal("it never ends")
}

func (a *app) take(b []byte) (more bool) {
	a.w.Helper()
	r := a.engine.Response(a.clock())
	for {
		f, rest, err := syncproto.NextFrame(b)
		if err == io.EOF {
			break
		}
		a.w.must(err)
		a.w.must(r.Frame(f))
		b = rest
	}
	more, fault, err := r.Finish()
	a.w.must(err)
	a.fault = fault
	return more
}

// reframe takes a message apart and puts it together again, its end frame counting anew.
func reframe(w *world, b []byte, fn func([]syncproto.Frame) []syncproto.Frame) (out []byte) {
	w.Helper()
	var list []syncproto.Frame
	for {
		f, rest, err := syncproto.NextFrame(b)
		if err == io.EOF {
			break
		}
		w.must(err)
		list, b = append(list, f), rest
	}
	end := list[len(list)-1]
	list = fn(list[:len(list)-1])
	var m map[string]any
	w.must(json.Unmarshal(end.Payload, &m))
	m["frames"] = len(list)
	payload, err := json.Marshal(m)
	w.must(err)
	for _, f := range append(list, syncproto.Frame{Type: syncproto.FrameEnd, Payload: payload}) {
		out = append(out, byte(f.Type), byte(len(f.Payload)>>24), byte(len(f.Payload)>>16), byte(len(f.Payload)>>8), byte(len(f.Payload)))
		out = append(out, f.Payload...)
	}
	return out
}

// sprinkle is what a later version might add: unknown members in every control message, unknown frames between all.
func sprinkle(frames []syncproto.Frame, answer bool) (out []syncproto.Frame) {
	for i, f := range frames {
		if len(f.Payload) > 1 && f.Payload[0] == '{' && f.Payload[len(f.Payload)-1] == '}' {
			more := append(slices.Clone(f.Payload[:len(f.Payload)-1]), []byte(`,"x_later":{"a":[1.5,null,"值"]}}`)...)
			f.Payload = more
		}
		out = append(out, f)
		if i == 0 || answer || i == len(frames)-1 {
			out = append(out, syncproto.Frame{Type: 'Z', Payload: []byte{0, 1, 2}}, syncproto.Frame{Type: '~'})
		}
	}
	return out
}

// speaking makes requests say that the app speaks other versions.
func speaking(versions [2]int) func([]syncproto.Frame, bool) []syncproto.Frame {
	return func(frames []syncproto.Frame, answer bool) []syncproto.Frame {
		var m map[string]any
		if answer || frames[0].Decode(&m) != nil {
			return frames
		}
		m["versions"] = versions
		frames[0].Payload, _ = json.Marshal(m) // what was decoded can be encoded
		return frames
	}
}

func newHome(id string, fields map[string]any) (syncproto.Ref, device.Draft) {
	ref := syncproto.Ref{Kind: "household", ID: id}
	return ref, device.Draft{Op: syncproto.OpPut, Ref: ref, Bucket: syncproto.BucketGrid + gridA, Fields: syncproto.Fields(fields)}
}

// Devices that speak an older or a later protocol push like any other: what they captured is stored, judged and answered.
// Rows go only to those that understand them.
func TestProtocolVersions(t *testing.T) {
	for _, c := range []struct {
		name     string
		versions [2]int
		pulls    bool
	}{
		{"behind", [2]int{0, 0}, false},
		{"behind and at", [2]int{0, 1}, true},
		{"at", [2]int{1, 1}, true},
		{"at and ahead", [2]int{1, 2}, true},
		{"ahead", [2]int{2, 2}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			a := w.install(anna, device.Options{Catalog: casework.CatalogVersion})
			a.sync() // the grid's key
			ref, put := newHome("h1", map[string]any{"members_count": 3})
			x := a.capture(ref, put)
			a.sync(speaking(c.versions))
			if got := w.has(ref); !got {
				t.Error("what it captured is not on record")
			}
			st, err := a.engine.Status(0)
			w.must(err)
			if st.OnlyHere != 0 || st.Trouble != "" || st.Have != x.Last {
				t.Errorf("the answer did not come: %+v", st)
			}
			if got := a.fault == nil; got != c.pulls || !c.pulls && (a.fault.Code != syncproto.CodeVersion || a.fault.Message == "") {
				t.Errorf("fault %+v, pulls %v", a.fault, c.pulls)
			}
			a.sync() // the app is brought up to date
			if list, err := a.engine.Outbox(); err != nil || list[len(list)-1].State != device.Done {
				t.Errorf("%+v, %v", list, err)
			}
		})
	}
}

// A server that answers in a version that the app does not speak changes nothing on the phone.
func TestAnswerInAnotherVersion(t *testing.T) {
	w := newWorld(t)
	a := w.install(anna, device.Options{})
	b := syncproto.AppendJSON(nil, syncproto.FrameHelloReply, syncproto.HelloReply{Version: 2, Incarnation: "x", Have: 7})
	f, _, err := syncproto.NextFrame(b)
	w.must(err)
	if err := a.engine.Response(a.clock()).Frame(f); err == nil {
		t.Error("it was taken")
	}
	if st, err := a.engine.Status(0); err != nil || st.Trouble != "" || st.Have != 0 {
		t.Errorf("%+v, %v", st, err)
	}
}

// What a later version adds to messages is passed over on both sides.
func TestUnknownMembersAndFramesArePassedOver(t *testing.T) {
	w := newWorld(t)
	a, b := w.install(anna, device.Options{}), w.install(chen, device.Options{})
	a.sync(sprinkle)
	ref, put := newHome("h1", map[string]any{"members_count": 3})
	a.capture(ref, put)
	a.sync(sprinkle)
	a.sync(sprinkle)
	b.sync(sprinkle)
	v, err := b.engine.View(ref)
	if w.must(err); v == nil || v.Body.Int("members_count") != 3 {
		t.Fatalf("%+v", v)
	}
	if st, err := a.engine.Status(0); err != nil || st.OnlyHere != 0 || st.Trouble != "" {
		t.Errorf("%+v, %v", st, err)
	}
}

// A field of a later catalog goes from phone to phone and back byte for byte, and merges as latest; one that was retired
// stays readable.
func TestUnknownFieldsSurviveTheRoundTrip(t *testing.T) {
	w := newWorld(t)
	a, b := w.install(anna, device.Options{Catalog: 99}), w.install(chen, device.Options{Catalog: 1})
	a.sync()
	b.sync()
	later := syncproto.Raw(`{"a":[1,"值\n",{"b":true}],"z":-7}`)
	ref, put := newHome("h1", map[string]any{"members_count": 3})
	put.Fields = put.Fields.With("x_later", later).With("x_retired", syncproto.Raw(`"旧"`))
	a.capture(ref, put)
	a.sync()
	b.sync()
	seen := func(app *app, field string) syncproto.Raw {
		t.Helper()
		v, err := app.engine.View(ref)
		w.must(err)
		if v == nil {
			t.Fatal("it did not arrive")
		}
		return v.Body.Get(field)
	}
	if got := seen(b, "x_later"); !bytes.Equal(got, later) {
		t.Errorf("%s", got)
	}
	b.capture(ref, device.Draft{Op: syncproto.OpSet, Ref: ref, Fields: syncproto.Fields(map[string]any{"members_count": 4})})
	b.sync() // it does not know the field, and leaves it as it is
	a.sync()
	if got := seen(a, "x_later"); !bytes.Equal(got, later) || string(seen(a, "x_retired")) != `"旧"` || string(seen(a, "members_count")) != "4" {
		t.Errorf("%s %s %s", got, seen(a, "x_retired"), seen(a, "members_count"))
	}
	// Both write it at the same time: the later one stands, the other is kept.
	a.capture(ref, device.Draft{Op: syncproto.OpSet, Ref: ref, Fields: syncproto.Fields(map[string]any{"x_later": 1})})
	w.pass(time.Second)
	b.capture(ref, device.Draft{Op: syncproto.OpSet, Ref: ref, Fields: syncproto.Fields(map[string]any{"x_later": 2})})
	b.sync()
	a.sync()
	a.sync()
	if got := seen(a, "x_later"); string(got) != "2" {
		t.Errorf("%s stands", got)
	}
	if list, err := a.engine.Conflicts(); err != nil || len(list) != 1 || list[0].Body.Str("field") != "x_later" {
		t.Errorf("%+v, %v", list, err)
	}
}

// What an older server cannot read or judge of a later app is kept, held and judged after its upgrade; the same from an app
// that should know better is rejected.
func TestLaterGroupsWaitForTheUpgrade(t *testing.T) {
	home := syncproto.Ref{Kind: "household", ID: "h1"}
	body := func(catalog, v, change string) string {
		return `{"boot":"","catalog":` + catalog + `,"changes":[` + change + `],"device":"DEVICE","dseq":2,"gv":"","mono":0,"root":"household/h1","v":` + v + `,"wall":0}`
	}
	const bad = `{"fields":{"visited_at":"immer"},"id":"v1","kind":"visit","op":"put"}`
	for _, c := range []struct {
		name, group string
		status      syncproto.GroupStatus
		code        syncproto.Code
	}{
		{"unknown kind", body("99", "1", `{"fields":{"x":1},"id":"d1","kind":"drone_flight","op":"put"}`), "held", "unknown_kind"},
		{"unknown operation", body("99", "1", `{"id":"h1","kind":"household","op":"rename"}`), "held", "unknown_kind"},
		{"unknown act", body("99", "1", `{"act":"fly","id":"h1","kind":"household","op":"act"}`), "held", "unknown_kind"},
		{"unknown member", body("99", "1", `{"fields":{"x":1},"id":"d1","kind":"visit","op":"put","urgent":true}`), "held", "unknown_kind"},
		{"unknown code of a list", body("99", "1", `{"fields":{"mode":"drone"},"id":"v1","kind":"visit","op":"put"}`), "held", "unknown_kind"},
		{"a later version", body("99", "2", `{"fields":{"x":1.5},"id":"d1","kind":"visit","op":"put"}`), "held", "unknown_kind"},
		{"unknown operation of this catalog", body("1", "1", `{"id":"h1","kind":"household","op":"rename"}`), "rejected", "bad_change"},
		{"wrong value of this catalog", body("1", "1", bad), "rejected", "invalid_value"},
		{"no JSON", "DEVICE?", "rejected", "bad_change"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			p := w.phone(anna)
			p.exchange(p.households(gridA, home.ID))
			raw := bytes.ReplaceAll([]byte(c.group), []byte("DEVICE"), []byte(p.Device))
			out := p.exchange(p.signed(raw)).outcomes[0]
			if out.Status != c.status || out.Code != c.code || out.Reason == "" {
				t.Errorf("%+v", out)
			}
			if out := p.exchange(p.households(gridA, "h2")).outcomes[0]; out.Status != syncproto.GroupJudged {
				t.Errorf("the group behind it: %+v", out)
			}
			_, err := w.loop.Settle(context.Background())
			w.must(err)
			if c.status == syncproto.GroupHeld != w.open(p.Device, 2) {
				t.Error("it is not open any more, or should not be")
			}
			if c.name != "unknown kind" {
				return
			}
			undo := casework.AddKind(&casework.Kind{Name: "drone_flight", Bucket: casework.BucketCase, Device: true,
				Fields: []casework.Field{{Name: "x", Type: casework.Int, Policy: casework.Latest}}})
			defer undo()
			n, err := w.loop.Settle(context.Background())
			if w.must(err); n != 1 || !w.has(syncproto.Ref{Kind: "drone_flight", ID: "d1"}) || w.open(p.Device, 2) {
				t.Errorf("after the upgrade %d groups were settled", n)
			}
		})
	}
}

// signed is a push of one group with these very bytes.
func (p *phone) signed(raw []byte) push {
	r := p.hello()
	prev := p.head
	p.dseq++
	p.head = syncproto.ChainNext(p.head, syncproto.GroupHash(raw))
	r.groups = []syncproto.SignedGroup{{Dseq: p.dseq, Changes: 1, Bytes: raw}}
	r.sign = &syncproto.Sign{Device: p.Device, First: p.dseq, Prev: prev.String(), Last: p.dseq, Head: p.head.String(),
		Sig: syncproto.SignHead(p.key, p.Device, p.dseq, p.head)}
	return r
}

// has reports whether a record is on record, open whether a group is.
func (w *world) has(ref syncproto.Ref) bool {
	return w.store.Read(context.Background(), func(tx loop.ReadTx) error { _, err := tx.Record(ref); return err }) == nil
}

func (w *world) open(dev string, dseq uint64) (open bool) {
	w.must(w.store.Read(context.Background(), func(tx loop.ReadTx) error {
		list, err := tx.Held(dev, 100)
		open = slices.ContainsFunc(list, func(h loop.Held) bool { return h.Dseq == dseq })
		return err
	}))
	return open
}
