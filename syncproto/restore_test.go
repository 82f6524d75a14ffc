package syncproto_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"os"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	sp "aidloop/syncproto"
)

// What a receipt dates comes back as it was written, and no part of one is taken for a whole one.
func TestReceiptsAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := sp.Receipt{At: rapid.Int64Range(0, 1<<43).Draw(t, "at"), Device: "d", Dseq: rapid.Uint64Range(0, 1<<40).Draw(t, "dseq"), Head: sp.GroupHash([]byte("g")), Incarnation: "inc"}
		for range rapid.IntRange(0, 5).Draw(t, "times") {
			hash := sp.ShortHash(sp.GroupHash(rapid.SliceOfN(rapid.Byte(), 1, 4).Draw(t, "group")))
			r.Times = append(r.Times, sp.GroupTime{Dseq: rapid.Uint64Range(1, 1<<40).Draw(t, "n"), Hash: hash,
				Received: rapid.Int64Range(0, 1<<43).Draw(t, "received"), Corrected: rapid.Int64Range(0, 1<<43).Draw(t, "corrected")})
		}
		b := r.Bytes()
		got, err := sp.ParseReceipt(b)
		if err != nil || !reflect.DeepEqual(*got, r) {
			t.Fatalf("%+v, %v from %s", got, err, b)
		}
		if _, err := sp.ParseReceipt(b[:rapid.IntRange(0, len(b)-1).Draw(t, "cut")]); err == nil {
			t.Fatal("a cut receipt was read")
		}
	})
}

// restoreVector is what clients in other languages check their own declarations and receipts against. Hashes and
// signatures are hex.
type restoreVector struct {
	Seed     string `json:"seed"` // of the Ed25519 key
	LostText string `json:"lost_text"`
	LostSig  string `json:"lost_signature"`
	Receipt  string `json:"receipt"`
	Sig      string `json:"receipt_signature"`
}

func TestRestoreVectors(t *testing.T) {
	seed := bytes.Repeat([]byte{5}, 32)
	key := ed25519.NewKeyFromSeed(seed)
	head := sp.GroupHash([]byte("head"))
	lost := sp.SignLost(key, "dev-1", 4, 9, head)
	signed := sp.SignReceipt(key, &sp.Receipt{At: 1764000001000, Device: "dev-1", Dseq: 2, Head: head, Incarnation: "inc-1",
		Times: []sp.GroupTime{{Dseq: 1, Hash: sp.ShortHash(head), Received: 1764000001000, Corrected: 1764000000000}}})
	got, err := json.MarshalIndent(restoreVector{hex.EncodeToString(seed), string(sp.LostText("dev-1", 4, 9, head)), hex.EncodeToString(lost.Sig), signed.Receipt, hex.EncodeToString(signed.Sig)}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const file = "testdata/vectors/restore.json"
	if *update {
		if err := os.WriteFile(file, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(append(got, '\n'), want) {
		t.Errorf("%s holds something else (%v); a change of version 1 breaks every device that is out there:\n%s", file, err, got)
	}
	if _, err := lost.Verify(key.Public().(ed25519.PublicKey)); err != nil {
		t.Error(err)
	}
}
