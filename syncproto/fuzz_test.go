package syncproto_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	sp "aidloop/syncproto"
)

// seeds adds what the golden vectors hold.
func seeds(f *testing.F, pick func(vectors) []string) {
	f.Add([]byte(nil))
	for _, s := range pick(makeVectors()) {
		f.Add([]byte(s))
	}
}

func FuzzCanonical(f *testing.F) {
	seeds(f, func(v vectors) []string { return append(v.Canonical.Valid, v.Canonical.Invalid...) })
	f.Fuzz(func(t *testing.T, b []byte) {
		canonical, err := sp.Canonicalize(b)
		if err == nil {
			if err := sp.CheckCanonical(canonical); err != nil {
				t.Fatalf("Canonicalize made %q: %v", canonical, err)
			}
		}
		if sp.CheckCanonical(b) == nil && !bytes.Equal(canonical, b) {
			t.Fatalf("canonical %q became %q, %v", b, canonical, err)
		}
	})
}

func FuzzGroup(f *testing.F) {
	seeds(f, func(v vectors) (list []string) {
		for _, g := range v.Group {
			list = append(list, g.Bytes)
		}
		return list
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := sp.ParseGroup(b)
		if err != nil {
			return
		}
		if again, err := g.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q became %q, %v", b, again, err)
		}
	})
}

func FuzzEnvelope(f *testing.F) {
	seeds(f, func(v vectors) []string { return v.Envelope })
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := sp.ParseEnvelope(b); err == nil && !bytes.Equal(e.Bytes(), b) {
			t.Fatalf("%q became %q", b, e.Bytes())
		}
	})
}

func FuzzRequest(f *testing.F) {
	push, err := hex.DecodeString(makeVectors().Request["push_hex"].(string))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(push)
	want := sp.AppendJSON(nil, sp.FrameHello, sp.Hello{Versions: [2]int{1, 1}, Device: "d"})
	want = sp.AppendJSON(want, sp.FrameWant, sp.Want{Cursors: []sp.BucketCursor{{Bucket: "ref", Cursor: "i:1", Staged: true}},
		Repair: []sp.Repair{{Bucket: "user:u", Cursor: "i:2", Digest: sp.Hash{}.String(), Leaves: (&sp.Leaves{}).Bytes()}}})
	f.Add(sp.AppendJSON(want, sp.FrameEnd, sp.End{Frames: 2}))
	f.Fuzz(func(t *testing.T, b []byte) {
		req, err := sp.ParseRequest(b)
		if err != nil {
			return
		}
		for _, g := range req.Groups {
			_, _ = g.Parse(req.Hello.Device) // it must only not panic
		}
		r := sp.NewFrameReader(bytes.NewReader(b))
		for {
			if _, err := r.Next(); err != nil {
				return
			}
		}
	})
}

func FuzzRow(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x02{}{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if row, err := sp.ParseRow(b); err == nil && len(row.Envelope)+len(row.Body)+12 != len(b) {
			t.Fatal("a row loses bytes")
		}
	})
}

func FuzzChunk(f *testing.F) {
	chunk := sp.AppendRow(sp.AppendRow(nil, 1, []byte("{}"), []byte("{}")), 2, []byte("{}"), nil)
	for n := range len(chunk) + 1 { // every prefix
		f.Add(chunk[:n])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var again []byte
		err := sp.EachRow(b, func(payload []byte) error {
			again = sp.AppendFrame(again, sp.FrameRow, payload)
			return nil
		})
		if err == nil && !bytes.Equal(again, b) || !bytes.HasPrefix(b, again) {
			t.Fatalf("%x was read as %x, %v", b, again, err)
		}
	})
}

func FuzzSealed(f *testing.F) {
	seeds(f, func(v vectors) (list []string) {
		for _, s := range v.Seal {
			list = append(list, s.Sealed)
		}
		return list
	})
	ref := sp.Ref{Kind: "visit", ID: "0192f0c0-0000-7000-8000-000000000002"}
	sealer := sp.NewSealer(sp.Key{1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = sp.SealedBy(b)
		if open, err := sealer.Open(ref, "note", b); err == nil && !bytes.Equal(sealer.Seal(ref, "note", open), b) {
			t.Fatalf("%q opens to %q, which seals otherwise", b, open)
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add("inc-1:9")
	f.Add("household/x")
	f.Fuzz(func(t *testing.T, s string) {
		if c, err := sp.ParseCursor(s); err == nil && c.String() != s {
			t.Fatalf("%q became %q", s, c)
		}
		if r, err := sp.ParseRef(s); err == nil && r.String() != s {
			t.Fatalf("%q became %q", s, r)
		}
		if origin, n, ok := sp.Stamp(s).Split(); ok && string(sp.MakeStamp(origin, n)) != s {
			t.Fatalf("%q is another stamp", s)
		}
	})
}
