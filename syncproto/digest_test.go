package syncproto

import (
	"bytes"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func hash() *rapid.Generator[Hash] {
	edge := []Hash{{}, {31: 1}, {0: 0x80}, Hash(bytes.Repeat([]byte{0xff}, 32)), {23: 1}, {24: 0xff, 25: 0xff, 26: 0xff, 27: 0xff, 28: 0xff, 29: 0xff, 30: 0xff, 31: 0xff}}
	return rapid.OneOf(rapid.SampledFrom(edge), rapid.Custom(func(t *rapid.T) Hash {
		return Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
	}))
}

func TestDigestLaws(t *testing.T) {
	modulus := new(big.Int).Lsh(big.NewInt(1), 256)
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(hash(), 0, 8).Draw(t, "rows")
		var d, shuffled Digest
		sum := new(big.Int)
		for _, h := range rows {
			d = d.Add(h)
			sum.Add(sum, new(big.Int).SetBytes(h[:])).Mod(sum, modulus)
		}
		if want := sum.FillBytes(make([]byte, 32)); !bytes.Equal(d[:], want) {
			t.Fatalf("sum is %s, want %x", d, want)
		}
		if len(rows) == 0 {
			return
		}
		for _, h := range rapid.Permutation(rows).Draw(t, "order") {
			shuffled = shuffled.Add(h)
		}
		if shuffled != d {
			t.Fatal("the order of rows shows in the sum")
		}
		out := rows[0]
		if d.Add(out).Sub(out) != d || d.Sub(out).Add(out) != d {
			t.Fatal("Sub is not the inverse of Add")
		}
		for _, h := range rows {
			d = d.Sub(h)
		}
		if d != (Digest{}) {
			t.Fatal("the sum of no rows is not zero")
		}
	})
}

func TestRowHashPartsEnvelopeAndBody(t *testing.T) {
	if RowHash([]byte(`{}`), []byte(`{"a":1}`)) == RowHash([]byte(`{}{"a"`), []byte(`:1}`)) {
		t.Error("bytes moved from the body to the envelope and the hash stayed")
	}
	rapid.Check(t, func(t *rapid.T) {
		e, b := rapid.SliceOf(rapid.Byte()).Draw(t, "envelope"), rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "body")
		at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		other := bytes.Clone(b)
		other[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if RowHash(e, b) == RowHash(e, other) || RowHash(e, b) == RowHash(append(bytes.Clone(e), b[0]), b[1:]) {
			t.Fatal("two rows hash alike")
		}
	})
}

func TestHashText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := hash().Draw(t, "hash")
		if p, err := ParseHash(h.String()); err != nil || p != h {
			t.Fatalf("%s became %s, %v", h, p, err)
		}
	})
	for _, s := range []string{"", "00", strings.Repeat("0", 63), strings.Repeat("0", 65), strings.Repeat("A", 64), strings.Repeat("g", 64)} {
		if _, err := ParseHash(s); err == nil {
			t.Errorf("%q parses as a hash", s)
		}
	}
}

// Leaves part the digest: they add up to it, a row is in one of them, and what differs is found there and nowhere else.
func TestLeavesPartTheDigest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9]{1,8}`), 1, 20, rapid.ID).Draw(t, "ids")
		spoilt := ids[rapid.IntRange(0, len(ids)-1).Draw(t, "spoilt")]
		var mine, yours Leaves
		var sum Digest
		for _, id := range ids {
			ref, row := Ref{"visit", id}, hash().Draw(t, "row")
			sum = sum.Add(row)
			yours.Add(ref, row)
			if id == spoilt {
				row[0] ^= 1
			}
			mine.Add(ref, row)
		}
		if yours.Digest() != sum {
			t.Fatal("the leaves do not add up to the digest")
		}
		again, err := ParseLeaves(yours.Bytes())
		if err != nil || *again != yours {
			t.Fatalf("they came back otherwise: %v", err)
		}
		set := mine.Differing(&yours)
		if set != yours.Differing(&mine) || set.Len() != 1 || !set.Has(Leaf(Ref{"visit", spoilt})) {
			t.Fatalf("%s differ, want leaf %d alone", set, Leaf(Ref{"visit", spoilt}))
		}
		if back, err := ParseLeafSet(set.String()); err != nil || back != set {
			t.Fatalf("%s became %s, %v", set, back, err)
		}
	})
	for _, n := range []int{0, LeavesBytes - 1, LeavesBytes + 1} {
		if _, err := ParseLeaves(make([]byte, n)); err == nil {
			t.Errorf("%d bytes pass for leaves", n)
		}
	}
	if _, err := ParseLeafSet("80"); err == nil {
		t.Error("two digits pass for a set of leaves")
	}
}
