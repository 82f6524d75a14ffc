package loop_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"pgregory.net/rapid"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
	"aidloop/syncproto/device"
)

// Bundles with overlapping ranges, shuffled, doubled and dropped, with replies that arrive as wildly, come to what a
// line would have brought once the last bundle has arrived: nothing is lost, nothing is taken twice, nothing goes back.
func TestBundlesArriveInAnyOrder(t *testing.T) {
	c := newCounty(t)
	cast := c.world.Cast()
	home := cast.Missed.Household.ID
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		h := c.courier(cast.SurveyorOne, n)
		h.line()
		var files, replies [][]byte
		seen := map[uint64]int{}
		person := 0
		pick := func(list [][]byte, label string) []byte {
			return list[rapid.IntRange(0, len(list)-1).Draw(r, label)]
		}
		for range rapid.IntRange(1, 14).Draw(r, "steps") {
			switch rapid.IntRange(0, 5).Draw(r, "step") {
			case 0, 1:
				person++
				h.person(home, fmt.Sprintf("p-%d-%d", n, person))
			case 2:
				files = append(files, h.export(device.Carry{PushBytes: rapid.SampledFrom([]int{0, 300, 900}).Draw(r, "push"), MaxBytes: 4096}))
			case 3:
				if len(files) > 0 {
					_, reply := c.carried(pick(files, "file"))
					replies = append(replies, reply)
				}
			case 4:
				if len(replies) > 0 {
					h.take(pick(replies, "reply"))
				}
			case 5:
				if rapid.IntRange(0, 3).Draw(r, "line") == 0 {
					h.line()
				}
			}
			list, err := h.engine.Outbox()
			if err != nil {
				r.Fatalf("%v", err)
			}
			for _, x := range list {
				rank := map[string]int{device.Pending: 0, device.Awaiting: 1, device.Done: 2}[x.State]
				if rank < seen[x.Dseq] {
					r.Fatalf("group %d went back to %s", x.Dseq, x.State)
				}
				seen[x.Dseq] = rank
			}
			if b, _ := h.engine.Buckets(); len(b) < 3 {
				r.Fatalf("a bucket is gone: %+v", b)
			}
		}
		for range 4 { // one reply is not enough where rows exceed what it may hold, or a former reply is heard last
			_, reply := c.carried(h.export(device.Carry{}))
			h.take(reply)
		}
		h.settled(r)
		for i := range person {
			if rec, env := c.record(syncproto.Ref{Kind: "person", ID: fmt.Sprintf("p-%d-%d", n, i+1)}); rec.Str("relation") != "child" || env.Version.Stamp != syncproto.MakeStamp(h.id, uint64(i+1)) {
				r.Fatalf("person %d is %s by %s", i+1, rec.Bytes(), env.Version.Stamp)
			}
		}
	})
	c.balanced()
}

// The same work, brought by a line and by bundles in the wrong order, leaves the same bytes.
func TestBundlesLeaveWhatALineLeaves(t *testing.T) {
	play := func(byBundle bool) (string, []syncproto.Outcome) {
		c := newCounty(t)
		cast := c.world.Cast()
		h := c.courier(cast.SurveyorOne, 1)
		h.line()
		var files [][]byte
		for i := range 6 {
			h.person(cast.Missed.Household.ID, fmt.Sprintf("p-%d", i))
			_, err := h.engine.Capture(refOf(cast.Missed.Household), []device.Draft{{Op: syncproto.OpSet, Ref: refOf(cast.Missed.Household),
				Fields: syncproto.Fields(map[string]any{"members_count": i})}}, h.clock())
			if err != nil {
				t.Fatal(err)
			}
			if byBundle {
				files = append(files, onlyLast(h, uint64(2*i)))
			}
		}
		if byBundle {
			for i := range files {
				c.carried(files[len(files)-1-i])
			}
		}
		h.line()
		h.settled(t)
		c.balanced()
		var outs []syncproto.Outcome
		var sum string
		for _, ref := range []syncproto.Ref{refOf(cast.Missed.Household), {Kind: "person", ID: "p-0"}, {Kind: "person", ID: "p-5"}} {
			rec, env := c.record(ref)
			for _, f := range []string{"members_count", "relation"} {
				sum += fmt.Sprintln(ref, f, string(rec.Get(f)), env.Of(f))
			}
		}
		_ = c.store.Read(t.Context(), func(tx loop.ReadTx) error {
			return tx.Batches(h.id, func(b *loop.Batch) error {
				var o syncproto.Outcomes
				err := json.Unmarshal(b.Outcomes, &o)
				outs = append(outs, o.Groups...)
				return err
			})
		})
		return sum, outs
	}
	line, one := play(false)
	bundles, two := play(true)
	if line != bundles || fmt.Sprintf("%+v", statuses(one)) != fmt.Sprintf("%+v", statuses(two)) || len(one) != 12 {
		t.Errorf("by line %s %+v, by bundles %s %+v", line, statuses(one), bundles, statuses(two))
	}
}

func statuses(list []syncproto.Outcome) (out []string) {
	for _, o := range list {
		out = append(out, fmt.Sprint(o.Dseq, o.Status, o.Code, o.Time))
	}
	return out
}

// What comes too early is parked, shown with what is missing, and judged when the gap closes, over a line as well.
func TestGapsAreParkedAndShown(t *testing.T) {
	c := newCounty(t)
	cast := c.world.Cast()
	h := c.courier(cast.SurveyorOne, 1)
	h.line()
	var files [][]byte
	for i := range 4 {
		h.person(cast.Missed.Household.ID, fmt.Sprintf("p-%d", i))
		files = append(files, onlyLast(h, uint64(i)))
	}
	for _, k := range []int{3, 3, 1} { // changes 4, 4 again, 2 and 2 alone of their bundles
		i, _ := c.carried(files[k])
		if i.Parked == 0 || i.Outcomes > 0 || !i.Whole {
			t.Errorf("%+v", i)
		}
	}
	back, err := c.loop.ReadBacklog(t.Context(), actor(cast.TownReviewer))
	if err != nil || len(back) != 1 || back[0].Parts != 2 || fmt.Sprint(back[0].Missing) != "[{1 1} {3 3}]" || fmt.Sprint(back[0].Waiting) != "[{2 2} {4 4}]" || back[0].UserName == "" {
		t.Errorf("%+v, %v", back, err)
	}
	elsewhere := actor(cast.TownReviewer)
	elsewhere.Region = "430682000000"
	if other, err := c.loop.ReadBacklog(t.Context(), elsewhere); err != nil || len(other) != 0 {
		t.Errorf("another county sees %+v, %v", other, err)
	}
	c.balanced()
	if c.has(syncproto.Ref{Kind: "person", ID: "p-1"}) {
		t.Error("a parked part was judged before its gap closed")
	}
	c.carried(files[0])
	if !c.has(syncproto.Ref{Kind: "person", ID: "p-1"}) || c.has(syncproto.Ref{Kind: "person", ID: "p-3"}) {
		t.Error("exactly what connects is judged")
	}
	h.line()
	h.settled(t)
	if back, err := c.loop.ReadBacklog(t.Context(), actor(cast.TownReviewer)); err != nil || len(back) != 0 {
		t.Errorf("%+v, %v", back, err)
	}
	c.balanced()
}

// Too much that waits is refused clearly; what waits stays, and the rest can be brought again.
func TestParkedPartsHaveAQuota(t *testing.T) {
	c := newCounty(t)
	cast := c.world.Cast()
	h := c.courier(cast.SurveyorOne, 1)
	h.line()
	h.person(cast.Missed.Household.ID, "p-0")
	var late [][]byte
	for i := range loop.MaxParkedParts + 1 {
		h.person(cast.Missed.Household.ID, fmt.Sprintf("p-%d", i+1))
		if i >= loop.MaxParkedParts-1 {
			late = append(late, onlyLast(h, uint64(i+1)))
		} else {
			c.carried(onlyLast(h, uint64(i+1)))
		}
	}
	if i, _ := c.carried(late[0]); i.Parked != 1 {
		t.Errorf("%+v", i)
	}
	i, reply := c.carried(late[1])
	if i.Parked > 0 || fmt.Sprint(i.Refused) != "[parked_full]" {
		t.Errorf("%+v", i)
	}
	if got := h.take(reply); got.Fault == nil || got.Fault.Code != syncproto.CodeParkedFull || got.Fault.Message == "" {
		t.Errorf("%+v", got)
	}
	_, reply = c.carried(h.export(device.Carry{}))
	h.take(reply)
	h.settled(t)
}

// A bundle that was cut or changed anywhere never does harm: whole requests of it are taken, nothing else.
func TestDamagedBundles(t *testing.T) {
	c := newCounty(t)
	cast := c.world.Cast()
	h := c.courier(cast.SurveyorOne, 1)
	h.line()
	for i := range 40 {
		h.person(cast.Missed.Household.ID, fmt.Sprintf("p-%d", i))
	}
	if _, err := h.engine.AddBlob(bytes.Repeat([]byte("photo"), 40000), "image/jpeg"); err != nil {
		t.Fatal(err)
	}
	whole := h.export(device.Carry{PushBytes: 2000, PhotoBytes: 1 << 20})
	for n := 0; n < len(whole); n += 4096 {
		i, _, err := c.carry(whole[:n], readAll)
		var refusal *syncproto.Error
		if !errors.As(err, &refusal) || i != nil && i.Whole {
			t.Fatalf("cut at %d: %+v, %v", n, i, err)
		}
		changed := bytes.Clone(whole)
		changed[n] ^= 1
		if _, _, err := c.carry(changed, readAll); !errors.As(err, &refusal) {
			t.Fatalf("changed at %d: %v", n, err)
		}
	}
	random := make([]byte, 5000)
	for i := range 625 {
		binary.LittleEndian.PutUint64(random[8*i:], uint64(i)*0x9e3779b97f4a7c15)
	}
	if _, _, err := c.carry(random, nil); err == nil {
		t.Error("noise was taken")
	}
	i, reply, err := c.carry(whole, readAll)
	if err != nil || !i.Whole || i.Photos != 1 {
		t.Fatalf("%+v, %v", i, err)
	}
	for n := 0; n < len(reply); n += 4096 {
		if _, err := h.engine.Import(bytes.NewReader(reply[:n]), h.clock()); err == nil {
			t.Fatalf("%d bytes of a reply passed for all", n)
		}
	}
	h.take(reply)
	h.settled(t)
	if st, err := h.engine.Status(0); err != nil || st.Photos > 0 {
		t.Errorf("%+v, %v", st, err)
	}
}

// readAll checks a photo like a vault would.
func readAll(_ context.Context, _ string, p syncproto.BundlePhoto, r io.Reader) error {
	sum := sha256.New()
	n, err := io.Copy(sum, r)
	if err != nil {
		return err
	}
	if n != p.Size || hex.EncodeToString(sum.Sum(nil)) != p.SHA256 {
		return loop.ErrBadPhoto
	}
	return nil
}

// A bundle opens for its own server alone, and a reply for its own phone; nobody speaks in another's name.
func TestBundlesAreForOneReader(t *testing.T) {
	c := newCounty(t)
	cast := c.world.Cast()
	one, two := c.courier(cast.SurveyorOne, 1), c.courier(cast.SurveyorOne, 2)
	one.line()
	one.person(cast.Missed.Household.ID, "p-1")
	file := one.export(device.Carry{})
	_, reply := c.carried(file)

	code := func(err error) syncproto.Code {
		var refusal *syncproto.Error
		if errors.As(err, &refusal) {
			return refusal.Code
		}
		return syncproto.Code(fmt.Sprint(err))
	}
	if _, err := two.engine.Import(bytes.NewReader(reply), two.clock()); code(err) != syncproto.CodeForeignBundle {
		t.Errorf("another phone: %v", err)
	}
	if _, _, err := c.carry(reply, nil); code(err) != syncproto.CodeForeignBundle {
		t.Errorf("a reply brought to the server: %v", err)
	}
	other := loop.New(loop.Options{Store: c.store, Clock: func() time.Time { return c.now }, Secrets: loop.Secrets{Master: syncproto.Key{9}, Signing: one.key}, NewID: func() string { return "x" }})
	if _, err := other.ImportBundle(t.Context(), bytes.NewReader(file), loop.BundleOptions{}); code(err) != syncproto.CodeForeignBundle {
		t.Errorf("another server: %v", err)
	}
	var forged bytes.Buffer // a reply by somebody who knows the phone's public key
	if err := other.ReplyBundle(t.Context(), one.id, &forged); err != nil {
		t.Fatal(err)
	}
	if _, err := one.engine.Import(&forged, one.clock()); code(err) != syncproto.CodeBadSignature {
		t.Errorf("a forged reply: %v", err)
	}
	pretend := *two
	pretend.id = one.id
	if _, _, err := c.carry(seal(&pretend, nil), nil); code(err) != syncproto.CodeBadSignature {
		t.Errorf("a bundle in another's name: %v", err)
	}
	one.take(reply)
	one.settled(t)
}

// What a revoked phone's bundle brings is kept apart, and the reply tells no rows.
func TestBundleOfARevokedPhone(t *testing.T) {
	c := newCounty(t)
	cast := c.world.Cast()
	h := c.courier(cast.SurveyorOne, 1)
	h.line()
	h.person(cast.Missed.Household.ID, "p-1")
	if _, err := h.engine.AddBlob([]byte("photo"), "image/jpeg"); err != nil {
		t.Fatal(err)
	}
	file := h.export(device.Carry{PhotoBytes: 1 << 20})
	if err := c.loop.RevokeDevice(t.Context(), casework.System, h.id); err != nil {
		t.Fatal(err)
	}
	i, reply, err := c.carry(file, readAll)
	if err != nil || i.Outcomes != 1 || i.Photos != 0 || i.PhotosLeft != 1 || c.has(syncproto.Ref{Kind: "person", ID: "p-1"}) {
		t.Errorf("%+v, %v", i, err)
	}
	if got := h.take(reply); got.Fault == nil || got.Fault.Code != syncproto.CodeRevoked {
		t.Errorf("%+v", got)
	}
	list, err := h.engine.Outbox()
	if err != nil || list[0].State != device.Held || list[0].Code != syncproto.CodeQuarantine {
		t.Errorf("%+v, %v", list, err)
	}
}

// A fork in a bundle freezes the enrolment, and so does a parked part that turns out to be one.
func TestForksInBundles(t *testing.T) {
	for _, early := range []bool{false, true} {
		c := newCounty(t)
		cast := c.world.Cast()
		p := c.phone(cast.SurveyorOne)
		h := &courier{c: c, id: p.id, key: p.key}
		put := func(id string) syncproto.SignedGroup {
			return p.signed(p.group(refOf(cast.Missed.Household), syncproto.Change{Op: syncproto.OpPut, Ref: syncproto.Ref{Kind: "person", ID: id},
				Fields: syncproto.Fields(map[string]any{"household": cast.Missed.Household.ID, "relation": "child"})}))
		}
		one := p.request(put("p-1"))
		p.head, p.next = syncproto.ChainStart(p.id), 1
		p.request(put("p-other")) // the phone was put back from a copy, and went on otherwise
		two := seal(h, p.request(put("p-2")).Body)
		first, second := seal(h, one.Body), two
		if early {
			first, second = two, seal(h, one.Body)
		}
		c.carried(first)
		i, _ := c.carried(second)
		dev := c.device(p.id)
		if dev.State != loop.DeviceFrozen || c.has(syncproto.Ref{Kind: "person", ID: "p-2"}) || !c.has(syncproto.Ref{Kind: "person", ID: "p-1"}) {
			t.Errorf("early %v: %+v, %+v", early, dev, i)
		}
		foreign := 0
		_ = c.store.Read(t.Context(), func(tx loop.ReadTx) error {
			return tx.Batches(p.id, func(b *loop.Batch) error {
				if b.Foreign {
					foreign++
				}
				return nil
			})
		})
		if foreign != 1 {
			t.Errorf("early %v: %d foreign batches are kept", early, foreign)
		}
		c.balanced()
	}
}

func (c *county) device(id string) (d *loop.Device) {
	c.t.Helper()
	if err := c.store.Read(c.t.Context(), func(tx loop.ReadTx) (err error) { d, err = tx.Device(id); return err }); err != nil {
		c.t.Fatal(err)
	}
	return d
}

// A carried change is dated by the phone's own word of when the bundle was made, not by its arrival.
func TestDaysOnTheWayAreNotBeforeTheCapture(t *testing.T) {
	c := newCounty(t)
	cast := c.world.Cast()
	h := c.courier(cast.SurveyorOne, 1)
	h.line()
	c.now = c.now.Add(time.Hour)
	at := c.now.UnixMilli()
	h.person(cast.Missed.Household.ID, "p-1")
	c.now = c.now.Add(time.Hour)
	file := h.export(device.Carry{})
	c.now = c.now.Add(72 * time.Hour)
	c.carried(file)
	if _, env := c.record(syncproto.Ref{Kind: "person", ID: "p-1"}); env.Version.Time != at {
		t.Errorf("dated %s, captured %s", time.UnixMilli(env.Version.Time), time.UnixMilli(at))
	}
}

// A bundle of a former identity that arrives after its groups were reissued tells their outcomes again and applies
// nothing twice.
func TestBundlesOfAFormerIdentity(t *testing.T) {
	c := newCounty(t)
	cast := c.world.Cast()
	home := refOf(cast.Missed.Household)
	_, env := c.record(home)
	old := c.phone(cast.SurveyorOne)
	g := old.group(home, syncproto.Change{Op: syncproto.OpSet, Ref: home, Fields: syncproto.Fields(map[string]any{"members_count": 7}),
		Base: map[string]syncproto.Stamp{"members_count": env.Of("members_count").Stamp}})
	first := old.signed(g)
	file := seal(&courier{c: c, id: old.id, key: old.key}, old.request(first).Body)

	anew := c.courier(cast.SurveyorOne, 2)
	again := *g
	again.Device, again.Origin = anew.id, &syncproto.Origin{Device: old.id, Dseq: 1, Hash: syncproto.GroupHash(first.Bytes)}
	p := &phone{c: c, id: anew.id, key: anew.key, head: syncproto.ChainStart(anew.id), next: 1}
	if o := p.push(&again); o.Status != syncproto.GroupJudged || o.Replay {
		t.Fatalf("%+v", o)
	}
	c.carried(file)
	_ = c.store.Read(t.Context(), func(tx loop.ReadTx) error {
		b, err := tx.Batch(old.id, 1)
		if err != nil {
			t.Fatal(err)
		}
		var o syncproto.Outcomes
		if err := json.Unmarshal(b.Outcomes, &o); err != nil || !o.Groups[0].Replay || len(o.Groups[0].Changes) > 0 {
			t.Errorf("%+v, %v", o, err)
		}
		return nil
	})
	if now, env := c.record(home); now.Int("members_count") != 7 || env.Of("members_count").Stamp != syncproto.MakeStamp(anew.id, 1) {
		t.Errorf("%s by %s", now.Get("members_count"), env.Of("members_count").Stamp)
	}
	c.balanced()
}

// Looking into a bundle changes nothing.
func TestInspectChangesNothing(t *testing.T) {
	c := newCounty(t)
	cast := c.world.Cast()
	h := c.courier(cast.SurveyorOne, 1)
	h.line()
	for i := range 3 {
		h.person(cast.Missed.Household.ID, fmt.Sprintf("p-%d", i))
	}
	x, err := c.loop.InspectBundle(t.Context(), bytes.NewReader(onlyLast(h, 1)))
	if err != nil || x.Device != h.id || x.First != 2 || x.Last != 3 || x.Have != 0 || fmt.Sprint(x.Missing) != "[{1 1}]" || x.Problem != nil || x.Groups != 2 {
		t.Errorf("%+v, %v", x, err)
	}
	if _, err := h.engine.AddBlob(bytes.Repeat([]byte("photo"), 40000), "image/jpeg"); err != nil {
		t.Fatal(err)
	}
	whole := h.export(device.Carry{PhotoBytes: 1 << 20})
	if x, err = c.loop.InspectBundle(t.Context(), bytes.NewReader(whole[:len(whole)-1])); err != nil || x.Problem == nil {
		t.Errorf("%+v, %v", x, err)
	}
	if d := c.device(h.id); d.Have != 0 {
		t.Error("it was taken")
	}
}
