package device_test

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	sp "aidloop/syncproto"
	"aidloop/syncproto/device"
)

// Whatever a server says, whole, cut or hostile: the engine neither panics nor loses what was captured. Its groups keep
// their bytes, what it shows can be read, and it goes on capturing and asking.
func FuzzResponse(f *testing.F) {
	whole := reply(0).json(sp.FrameBucket, sp.BucketStart{Bucket: grid, Fresh: true}).rows(1, row{"a", 1}, row{"b", 2}).
		json(sp.FramePage, sp.Page{Seq: 1}).checkpoint(1, row{"a", 1}, row{"b", 2})
	f.Add(whole.end())
	f.Add(reply(1).json(sp.FrameOutcomes, sp.Outcomes{Groups: []sp.Outcome{{Dseq: 1, Status: sp.GroupJudged, At: &sp.BucketSeq{Bucket: grid, Seq: 9}}}}).end())
	f.Add(reply(1).json(sp.FrameOutcomes, sp.Outcomes{Groups: []sp.Outcome{{Dseq: 1, Status: sp.GroupHeld, Code: sp.CodeStaleState}}}).
		json(sp.FrameDrop, sp.Drop{Bucket: grid}).end())
	f.Add(reply(9).json(sp.FrameFault, sp.Fault{Code: sp.CodeRevoked}).end())
	f.Add([]byte{byte(sp.FrameRow), 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := device.NewMemory()
		id := device.Identity{Device: dev, User: user, Private: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32)), ServerKey: serverKey.Public().(ed25519.PublicKey), UserKey: sp.Key{1}}
		if err := device.Enrol(s, id); err != nil {
			t.Fatal(err)
		}
		e := reopen(t, s)
		put(t, e, "mine", 1)
		before := frozenGroups(t, e)
		if err := take(e, b); err == nil {
			err = take(e, b) // once more: redelivery must not undo anything
			_ = err
		}
		e = reopen(t, s)
		for dseq, raw := range before {
			if now := frozenGroups(t, e)[dseq]; !bytes.Equal(now, raw) {
				t.Fatalf("group %d was %q and is %q", dseq, raw, now)
			}
		}
		st, err := e.Status(1000)
		if err != nil {
			t.Fatalf("the status cannot be read: %v", err)
		}
		if _, err := e.Buckets(); err != nil {
			t.Fatalf("the buckets cannot be read: %v", err)
		}
		if _, err := e.List("visit"); err != nil {
			t.Fatalf("the visits cannot be read: %v", err)
		}
		if _, err := e.Request(now, device.Ask{}); err != nil {
			t.Fatalf("it cannot ask any more: %v", err)
		}
		x, err := e.Capture(home, []device.Draft{{Op: sp.OpPut, Ref: sp.Ref{Kind: "visit", ID: "next"}, Fields: sp.Fields(map[string]any{"n": 2})}}, now)
		if err != nil || x.Dseq != st.Next {
			t.Fatalf("it cannot capture any more: %+v %v", x, err)
		}
	})
}

func frozenGroups(t *testing.T, e *device.Engine) map[uint64][]byte {
	t.Helper()
	list, err := e.Outbox()
	if err != nil {
		t.Fatal(err)
	}
	m := map[uint64][]byte{}
	for _, x := range list {
		g, err := e.Content(x.Dseq)
		if err != nil {
			t.Fatal(err)
		}
		if m[x.Dseq], err = g.Encode(); err != nil {
			t.Fatal(err)
		}
	}
	return m
}
