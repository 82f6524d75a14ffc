package device_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"

	sp "aidloop/syncproto"
	"aidloop/syncproto/bundle"
	"aidloop/syncproto/device"
)

// carried is a reply bundle for the phone with these responses.
func carried(t *testing.T, key ed25519.PrivateKey, responses ...[]byte) []byte {
	t.Helper()
	to, err := bundle.DeviceRecipient(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32)).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	sealed, err := bundle.Seal(&b, to)
	if err != nil {
		t.Fatal(err)
	}
	w, err := sp.NewBundleWriter(sealed, sp.SignBundle(key, &sp.BundleHead{Kind: sp.BundleReply, Device: dev}))
	for _, r := range responses {
		err = errors.Join(err, w.Message(r))
	}
	if err = errors.Join(err, w.Close(), sealed.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func mustImport(t *testing.T, e *device.Engine, b []byte) device.Imported {
	t.Helper()
	got, err := e.Import(bytes.NewReader(b), now)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// at is a response of a life of the server, at its time.
func at(inc string, time int64, have uint64) *response {
	r := &response{}
	return r.json(sp.FrameHelloReply, sp.HelloReply{Version: 1, Incarnation: inc, Now: time, Have: have, Head: sp.Hash{}.String()})
}

func (r *response) from(seq uint64) *response {
	return r.json(sp.FrameBucket, sp.BucketStart{Bucket: grid, From: seq})
}

// Replies in any order: an old one takes nothing back, one that leaves rows out is passed over, one that overlaps is
// taken.
func TestRepliesComeLate(t *testing.T) {
	e, s := phone(t)
	one := at("inc", 10, 0).json(sp.FrameBucket, start).rows(1, row{"a", 1}).checkpoint(1, row{"a", 1}).end()
	two := at("inc", 20, 0).from(1).rows(2, row{"a", 2}, row{"b", 2}).checkpoint(2, row{"a", 2}, row{"b", 2}).end()
	both := at("inc", 30, 0).from(1).rows(2, row{"b", 2}).rows(3, row{"a", 3}).checkpoint(3, row{"a", 3}, row{"b", 2}).end()
	check := func(when string, a, b int64) {
		t.Helper()
		e = reopen(t, s)
		if value(t, e, "a") != a || value(t, e, "b") != b {
			t.Errorf("%s: a is %d, b is %d", when, value(t, e, "a"), value(t, e, "b"))
		}
		if st, err := e.Status(0); err != nil || len(st.Incidents) > 0 {
			t.Errorf("%s: %+v, %v", when, st, err)
		}
	}
	mustImport(t, e, carried(t, serverKey, two))
	check("rows before it are missing", -1, -1)
	mustImport(t, e, carried(t, serverKey, one))
	check("the first", 1, -1)
	mustImport(t, e, carried(t, serverKey, two, both))
	check("two that overlap", 3, 2)
	if got := mustImport(t, e, carried(t, serverKey, one, two)); got.Late != 2 {
		t.Errorf("%+v", got)
	}
	check("old ones again", 3, 2)
	gone := at("inc", 25, 0).json(sp.FrameDrop, sp.Drop{Bucket: grid}).end()
	mustImport(t, e, carried(t, serverKey, gone))
	check("an old drop", 3, 2)
}

// A page over the line, then a reply from before it: a record that moved behind the reply's checkpoint in between is in
// neither. The rows wait for the next exchange, and nothing is taken for damage.
func TestReplyFromBeforeAPage(t *testing.T) {
	e, s := phone(t)
	mustTake(t, e, at("inc", 40, 0).json(sp.FrameBucket, sp.BucketStart{Bucket: grid, Fresh: true, Head: 16}).rows(6, row{"b", 6}).json(sp.FramePage, sp.Page{Seq: 8}).end())
	mustImport(t, e, carried(t, serverKey, at("inc", 20, 0).from(4).rows(6, row{"b", 6}).rows(14, row{"c", 14}).
		checkpoint(14, row{"a", 3}, row{"b", 6}, row{"c", 14}).end()))
	e = reopen(t, s)
	if want := parsed(t, e).Want.Cursors; len(want) != 1 || want[0].Cursor != "inc:14" || !want[0].Staged || want[0].Base != 16 {
		t.Fatalf("%+v", want)
	}
	mustTake(t, e, at("inc", 50, 0).from(14).rows(16, row{"a", 16}).checkpoint(16, row{"a", 16}, row{"b", 6}, row{"c", 14}).end())
	st, err := e.Status(0)
	if err != nil || len(st.Incidents) > 0 || value(t, e, "a") != 16 || value(t, e, "b") != 6 || value(t, e, "c") != 14 {
		t.Errorf("%+v %v", st, err)
	}
}

// A late reply goes on from the page of a bucket that began afresh: deletions below the floor are not in it, and a phone
// that stands below that, and did not begin afresh, does not build on it.
func TestReplyBelowTheFloor(t *testing.T) {
	e, s := phone(t)
	mustTake(t, e, at("inc", 40, 0).json(sp.FrameBucket, start).rows(4, row{"a", 4}).rows(15, row{"gone", 15}).checkpoint(15, row{"a", 4}, row{"gone", 15}).end())
	reply := carried(t, serverKey, at("inc", 30, 0).json(sp.FrameBucket, sp.BucketStart{Bucket: grid, From: 3, Floor: 20}).rows(4, row{"a", 4}).
		rows(26, row{"c", 26}).checkpoint(26, row{"a", 4}, row{"c", 26}).end())
	mustImport(t, e, reply)
	e = reopen(t, s)
	if st, err := e.Status(0); err != nil || len(st.Incidents) > 0 || value(t, e, "gone") != 15 || value(t, e, "c") != -1 {
		t.Errorf("%+v %v", st, err)
	}
	mustTake(t, e, at("inc", 50, 0).json(sp.FrameBucket, sp.BucketStart{Bucket: grid, Fresh: true, Head: 26}).json(sp.FramePage, sp.Page{Seq: 3}).end())
	mustTake(t, e, at("inc", 60, 0).json(sp.FrameBucket, sp.BucketStart{Bucket: grid, From: 3, Floor: 20}).rows(4, row{"a", 4}).
		rows(26, row{"c", 26}).checkpoint(26, row{"a", 4}, row{"c", 26}).end())
	if value(t, e, "gone") != -1 || value(t, e, "c") != 26 {
		t.Error("one that began afresh builds on it")
	}
}

// Rows of the author's bucket from before a group was held have no record of that, which does not mean that it was applied.
func TestReplyFromBeforeAHold(t *testing.T) {
	e, _ := phone(t)
	put(t, e, "mine", 5)
	held := sp.Outcome{Dseq: 1, Status: sp.GroupHeld, Code: sp.CodeMissingBase}
	mustTake(t, e, at("inc", 40, 1).json(sp.FrameOutcomes, sp.Outcomes{Groups: []sp.Outcome{held}}).end())
	own := sp.BucketUser + user
	mustImport(t, e, carried(t, serverKey, at("inc", 20, 0).json(sp.FrameBucket, sp.BucketStart{Bucket: own, Fresh: true}).
		json(sp.FrameCheckpoint, sp.Checkpoint{Bucket: own, Incarnation: "inc", Seq: 1, Digest: sp.Digest{}.String()}).end()))
	if st, err := e.Status(0); err != nil || len(st.Held) != 1 {
		t.Errorf("%+v %v", st, err)
	}
}

// Outcomes that come in the wrong order leave nothing behind: what was not heard goes out again. What was decided stays.
func TestOutcomesComeInAnyOrder(t *testing.T) {
	e, _ := phone(t)
	for _, id := range []string{"a", "b", "c"} {
		put(t, e, id, 1)
	}
	said := func(now int64, have uint64, o ...sp.Outcome) []byte {
		return carried(t, serverKey, at("inc", now, have).json(sp.FrameOutcomes, sp.Outcomes{Groups: o}).end())
	}
	unheard := func() (list []uint64) {
		t.Helper()
		b, err := e.Request(now, device.Ask{})
		if err != nil {
			t.Fatal(err)
		}
		req, err := sp.ParseRequest(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range req.Groups {
			list = append(list, g.Dseq)
		}
		return list
	}
	mustImport(t, e, said(30, 3, sp.Outcome{Dseq: 3, Status: sp.GroupRejected, Code: sp.CodeGuardFailed}))
	if got := unheard(); len(got) != 3 || got[0] != 1 {
		t.Errorf("it sends %v", got)
	}
	mustImport(t, e, said(20, 3, sp.Outcome{Dseq: 3, Status: sp.GroupHeld, Code: sp.CodeBlocked}, sp.Outcome{Dseq: 1, Status: sp.GroupJudged}))
	if got := unheard(); len(got) != 2 || got[0] != 2 {
		t.Errorf("it sends %v", got)
	}
	mustImport(t, e, said(10, 1, sp.Outcome{Dseq: 2, Status: sp.GroupJudged}))
	if got := unheard(); len(got) != 0 {
		t.Errorf("it sends %v", got)
	}
	list, err := e.Outbox()
	if err != nil || list[0].State != device.Done || list[1].State != device.Done || list[2].State != device.Rejected {
		t.Errorf("%+v, %v", list, err)
	}
}

// After a restore of the server a reply from its lost life says nothing, and one from its new life takes back what has
// to be sent again.
func TestRepliesOfALostLife(t *testing.T) {
	e, _ := phone(t)
	put(t, e, "mine", 1)
	judged := sp.Outcomes{Groups: []sp.Outcome{{Dseq: 1, Status: sp.GroupJudged}}}
	old := carried(t, serverKey, at("inc", 10, 1).json(sp.FrameOutcomes, judged).json(sp.FrameBucket, start).rows(1, row{"a", 1}).checkpoint(1, row{"a", 1}).end())
	mustImport(t, e, old)
	mustImport(t, e, carried(t, serverKey, at("inc-2", 20, 0).end()))
	for range 2 {
		if st, err := e.Status(0); err != nil || st.OnlyHere != 1 {
			t.Errorf("%+v, %v", st, err)
		}
		if got := mustImport(t, e, old); got.Former != 1 {
			t.Errorf("%+v", got)
		}
	}
	if got := mustImport(t, e, carried(t, serverKey, at("inc-never-heard-of", 15, 9).end())); got.Former != 1 {
		t.Errorf("%+v", got)
	}
}

// What nobody but the server may say is not taken, and a cut reply is taken as far as it is whole.
func TestRepliesThatAreNotTaken(t *testing.T) {
	one := at("inc", 10, 0).json(sp.FrameBucket, start).rows(1, row{"a", 1}).checkpoint(1, row{"a", 1}).end()
	two := at("inc", 10, 0).from(1).rows(2, row{"b", 2}).checkpoint(2, row{"a", 1}, row{"b", 2}).end()
	e, s := phone(t)
	forged := carried(t, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32)), one)
	var refusal *sp.Error
	if _, err := e.Import(bytes.NewReader(forged), now); !errors.As(err, &refusal) || refusal.Code != sp.CodeBadSignature || value(t, e, "a") != -1 {
		t.Errorf("a forged reply: %v", err)
	}
	whole := carried(t, serverKey, one, two)
	for n := 0; n < len(whole); n += 37 {
		if _, err := e.Import(bytes.NewReader(whole[:n]), now); err == nil {
			t.Fatalf("%d bytes of %d passed for all", n, len(whole))
		}
	}
	mustImport(t, reopen(t, s), whole)
	if value(t, e, "a") != 1 || value(t, e, "b") != 2 {
		t.Error("the whole one was not taken")
	}
	if _, err := e.Reissue(device.Identity{Device: "dev-2", User: user, Private: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32)), ServerKey: serverKey.Public().(ed25519.PublicKey)}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Import(bytes.NewReader(whole), now); !errors.As(err, &refusal) || refusal.Code != sp.CodeForeignBundle {
		t.Errorf("a reply to a former identity: %v", err)
	}
}

// A phone that was enrolled before there were bundles asks for the recipient once, and needs it to make one.
func TestThePhoneLearnsTheRecipient(t *testing.T) {
	e, s := phone(t)
	asks := func() bool {
		b, err := e.Request(now, device.Ask{})
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(b, []byte(`"`+sp.CapRecipient+`"`))
	}
	var out bytes.Buffer
	if _, err := e.Export(&out, now, device.Carry{}); !errors.Is(err, device.ErrNoRecipient) || !asks() {
		t.Errorf("%v", err)
	}
	to := bundle.IdentityOf([32]byte{1}).Recipient().String()
	r := &response{}
	mustTake(t, e, r.json(sp.FrameHelloReply, sp.HelloReply{Version: 1, Incarnation: "inc", Head: sp.Hash{}.String(), Recipient: to}).end())
	e = reopen(t, s)
	for i := range 5 {
		put(t, e, string(rune('a'+i)), i)
	}
	if asks() {
		t.Error("it asks again")
	}
	got, err := e.Export(&out, now, device.Carry{PushBytes: 500})
	if err != nil || got.Groups != 5 || got.First != 1 || got.Last != 5 || got.Messages < 2 {
		t.Errorf("%+v, %v", got, err)
	}
	plain, err := bundle.Open(&out, bundle.IdentityOf([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	b, err := sp.NewBundleReader(plain)
	if err != nil || b.Head.Device != dev {
		t.Fatal(err)
	}
	for last := uint64(0); ; {
		item, err := b.Next()
		if err != nil {
			break
		}
		req, err := sp.ParseRequest(item.Message)
		if err != nil || req.Sign.First != last+1 || (req.Want != nil) != (req.Sign.Last == 5) {
			t.Fatalf("%+v, %v", req, err)
		}
		last = req.Sign.Last
	}
}
