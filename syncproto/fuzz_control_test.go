package syncproto_test

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	sp "aidloop/syncproto"
)

// Control messages are JSON of the other side's making: decoding, checking and writing them again must hold whatever
// they say.
func FuzzControl(f *testing.F) {
	for t, v := range map[sp.FrameType]any{
		sp.FrameHello: sp.Hello{Versions: [2]int{1, 1}, Device: "d"}, sp.FrameSign: sp.Sign{Device: "d", First: 1, Last: 2},
		sp.FrameWant: sp.Want{Cursors: []sp.BucketCursor{{Bucket: "ref", Cursor: "i:1"}}}, sp.FrameEnd: sp.End{Frames: 1},
		sp.FrameOutcomes: sp.Outcomes{Groups: []sp.Outcome{{Dseq: 1, Status: sp.GroupJudged}}}, sp.FrameCheckpoint: sp.Checkpoint{Bucket: "ref"},
	} {
		f.Add(sp.AppendJSON(nil, t, v))
	}
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	f.Add(sp.AppendJSON(nil, sp.FrameReceipt, sp.SignReceipt(key, &sp.Receipt{Device: "d", Dseq: 1})))
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, _, err := sp.NextFrame(b)
		if err != nil {
			return
		}
		var receipt sp.SignedReceipt
		if frame.Decode(&receipt) == nil && receipt.Verify(key.Public().(ed25519.PublicKey)) {
			if _, err := sp.ParseObject(sp.Raw(receipt.Receipt)); err != nil {
				t.Fatalf("signed, and not canonical: %q", receipt.Receipt)
			}
		}
		again(t, frame, &sp.Hello{})
		again(t, frame, &sp.Sign{})
		again(t, frame, &sp.Want{})
		again(t, frame, &sp.HelloReply{})
		again(t, frame, &sp.Outcomes{})
		again(t, frame, &sp.BucketStart{})
		again(t, frame, &sp.Checkpoint{})
		again(t, frame, &sp.Fault{})
	})
}

// again insists that what was decoded is written and read the same.
func again[T any](t *testing.T, f sp.Frame, v *T) {
	t.Helper()
	if f.Decode(v) != nil {
		return
	}
	first := sp.AppendJSON(nil, f.Type, v)
	frame, rest, err := sp.NextFrame(first)
	if err != nil || len(rest) > 0 {
		t.Fatalf("%T: what was written cannot be read: %v", v, err)
	}
	var w T
	if err := frame.Decode(&w); err != nil {
		t.Fatalf("%T: %v", v, err)
	}
	if second := sp.AppendJSON(nil, f.Type, &w); !bytes.Equal(first, second) {
		t.Fatalf("%T: %q became %q", v, first, second)
	}
}

// A set of wrapped keys opens what its wrapping key sealed and nothing else; what it puts on the ring is what it is
// named as.
func FuzzUnwrap(f *testing.F) {
	carrier := sp.Ref{Kind: "key", ID: "k"}
	wrapping, inner := sp.Key{1}, sp.Key{2}
	f.Add([]byte(`{"` + inner.ID() + `":` + string(sp.NewSealer(wrapping).Wrap(carrier, inner)) + `}`))
	f.Add([]byte(`{"x":{"$s":"` + wrapping.ID() + `.AAAA"}}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var ring sp.Keyring
		ring.Add(wrapping)
		n, err := ring.Unwrap(carrier, b)
		if n > 0 && ring.Get(inner.ID()) == nil {
			t.Fatalf("%d keys were opened by %q, and none is the only one that was ever wrapped: %v", n, b, err)
		}
	})
}
