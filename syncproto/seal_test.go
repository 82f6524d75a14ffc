package syncproto

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func testKey(n byte) Key {
	var k Key
	for i := range k {
		k[i] = byte(i) ^ n
	}
	return k
}

func TestSealRoundTrip(t *testing.T) {
	s, other := NewSealer(testKey(1)), NewSealer(testKey(2))
	rapid.Check(t, func(t *rapid.T) {
		r, f, v := ref().Draw(t, "ref"), name().Draw(t, "field"), raw().Draw(t, "value")
		sealed := s.Seal(r, f, v)
		switch {
		case CheckCanonical(sealed) != nil || !IsSealed(sealed) || SealedBy(sealed) != s.KeyID():
			t.Fatalf("%s has not the sealed form", sealed)
		case !bytes.Equal(sealed, s.Seal(r, f, v)):
			t.Fatal("the same value sealed twice differs")
		case bytes.Contains(sealed, v) && len(v) > 8:
			t.Fatal("the value can be read")
		}
		if plain, err := s.Open(r, f, sealed); err != nil || !bytes.Equal(plain, v) {
			t.Fatalf("%s opens to %s, %v", v, plain, err)
		}
		elsewhere := []struct {
			by    *Sealer
			ref   Ref
			field string
		}{{other, r, f}, {s, Ref{r.Kind + "x", r.ID}, f}, {s, Ref{r.Kind, r.ID + "x"}, f}, {s, r, f + "x"}}
		for i, e := range elsewhere {
			if _, err := e.by.Open(e.ref, e.field, sealed); !errors.Is(err, ErrSealed) {
				t.Fatalf("%d: opened elsewhere: %v", i, err)
			}
		}
		broken := bytes.Clone(sealed)
		at := rapid.IntRange(7, len(broken)-3).Draw(t, "at")
		broken[at] ^= 1 << rapid.IntRange(0, 6).Draw(t, "bit")
		if plain, err := s.Open(r, f, broken); err == nil {
			t.Fatalf("byte %d changed, and it opens to %s", at, plain)
		}
	})
}

// nonceOf takes the nonce out of a sealed value.
func nonceOf(t testing.TB, sealed Raw) string {
	_, box, err := splitSealed(sealed)
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(box[:12])
}

// TestNoncesPartFieldAndValue: without the zero byte, field "a" with 12 and field "a1" with 2 would give one nonce to
// two texts.
func TestNoncesPartFieldAndValue(t *testing.T) {
	s, r := NewSealer(testKey(1)), Ref{"person", "p-1"}
	if nonceOf(t, s.Seal(r, "a", Raw("12"))) == nonceOf(t, s.Seal(r, "a1", Raw("2"))) {
		t.Fatal("two pairs share a nonce")
	}
	rapid.Check(t, func(t *rapid.T) {
		all := name().Draw(t, "field") + rapid.StringMatching(`[1-9]{1,6}`).Draw(t, "value")
		seen := map[string]int{}
		for cut := 1; cut < len(all); cut++ {
			if CheckCanonical([]byte(all[cut:])) != nil {
				continue
			}
			n := string(s.Seal(r, all[:cut], Raw(all[cut:])))
			if before, ok := seen[n]; ok {
				t.Fatalf("%q cut at %d and at %d gives one nonce", all, before, cut)
			}
			seen[n] = cut
		}
	})
}

// sealAnything seals bytes that need not be a canonical value, as somebody with the key could.
func sealAnything(t testing.TB, k Key, r Ref, field string, plain []byte) Raw {
	enc, err := hkdf.Key(sha256.New, k[:], nil, "aidloop/seal/enc/1", 32)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := aes.NewCipher(enc)
	aead, _ := cipher.NewGCM(block)
	box := aead.Seal(make([]byte, 12), make([]byte, 12), plain, []byte(r.String()[:len(r.Kind)]+"|"+r.ID+"|"+field))
	return MustValue(map[string]any{"$s": k.ID() + "." + rawURL(box)})
}

func TestOpenRefuses(t *testing.T) {
	k := testKey(1)
	s, r := NewSealer(k), Ref{"person", "p-1"}
	good := string(s.Seal(r, "name", Raw(`"张三"`)))
	for name, v := range map[string]string{
		"empty": ``, "a text": `"张三"`, "a number": `1`, "an empty seal": `{"$s":""}`, "no dot": `{"$s":"0123456789abcdef"}`,
		"no box": `{"$s":"` + s.KeyID() + `."}`, "a short box": `{"$s":"` + s.KeyID() + `.AAAAAAAAAAAAAAAAAAAAAAAA"}`,
		"other alphabet": strings.Replace(good, ".", ".+/", 1), "padding": strings.Replace(good, `"}`, `="}`, 1),
		"a line break in base64": strings.Replace(good, ".", ".\n", 1), "cut short": good[:len(good)-3], "more behind": good + " ",
		"no canonical value inside": string(sealAnything(t, k, r, "name", []byte("1.5"))),
		"nothing inside":            string(sealAnything(t, k, r, "name", nil)),
	} {
		if plain, err := s.Open(r, "name", Raw(v)); !errors.Is(err, ErrSealed) {
			t.Errorf("%s: %q opens to %q, %v", name, v, plain, err)
		}
	}
	if plain, err := s.Open(r, "name", sealAnything(t, k, r, "name", []byte(`"x"`))); err != nil || string(plain) != `"x"` {
		t.Errorf("another nonce: %q, %v", plain, err)
	}
}

func TestKeyring(t *testing.T) {
	user, bucket, household := testKey(1), testKey(2), testKey(3)
	grant, keyRec := Ref{"grant", "g-1"}, Ref{"key", "k-1"}
	bucketSet := MustValue(map[string]any{bucket.ID(): NewSealer(user).Wrap(grant, bucket)})
	caseSet := MustValue(map[string]any{household.ID(): NewSealer(bucket).Wrap(keyRec, household),
		testKey(9).ID(): NewSealer(testKey(8)).Wrap(keyRec, testKey(9))})
	sealed := NewSealer(household).Seal(Ref{"person", "p-1"}, "name", Raw(`"张三"`))

	var ring Keyring
	if _, err := ring.Open(Ref{"person", "p-1"}, "name", sealed); !errors.Is(err, ErrSealed) {
		t.Fatalf("an empty ring opens: %v", err)
	}
	if v, err := ring.Open(Ref{"person", "p-1"}, "work", Raw(`"务农"`)); err != nil || string(v) != `"务农"` {
		t.Fatalf("a value in the open: %s, %v", v, err)
	}
	if n, err := ring.Unwrap(keyRec, caseSet); n != 0 || err != nil {
		t.Fatalf("unwrapped %d without the key, %v", n, err)
	}
	ring.Add(user)
	if n, err := ring.Unwrap(grant, bucketSet); n != 1 || err != nil {
		t.Fatalf("bucket keys: %d, %v", n, err)
	}
	if n, err := ring.Unwrap(keyRec, caseSet); n != 1 || err != nil {
		t.Fatalf("case keys: %d, %v", n, err)
	}
	if v, err := ring.Open(Ref{"person", "p-1"}, "name", sealed); err != nil || string(v) != `"张三"` {
		t.Fatalf("%s, %v", v, err)
	}
	if ring.Add(user) != ring.Get(user.ID()) {
		t.Error("a key added twice gets a second sealer")
	}
	if n, err := ring.Unwrap(grant, nil); n != 0 || err != nil {
		t.Errorf("no keys: %d, %v", n, err)
	}
}

func TestUnwrapRefuses(t *testing.T) {
	by, inner := testKey(1), testKey(2)
	carrier := Ref{"key", "k-1"}
	s := NewSealer(by)
	hexKey := hex.EncodeToString(inner[:])
	for name, set := range map[string]string{
		"no object":          `[]`,
		"another carrier":    string(MustValue(map[string]any{inner.ID(): s.Wrap(Ref{"key", "k-2"}, inner)})),
		"under another name": string(MustValue(map[string]any{testKey(3).ID(): s.Seal(carrier, testKey(3).ID(), MustValue(hexKey))})),
		"no text inside":     string(MustValue(map[string]any{inner.ID(): s.Seal(carrier, inner.ID(), Raw(`1`))})),
		"a key too short":    string(MustValue(map[string]any{inner.ID(): s.Seal(carrier, inner.ID(), MustValue(hexKey[:62]))})),
		"a key too long":     string(MustValue(map[string]any{inner.ID(): s.Seal(carrier, inner.ID(), MustValue(hexKey+"00"))})),
		"a key far too long": string(MustValue(map[string]any{inner.ID(): s.Seal(carrier, inner.ID(), MustValue(strings.Repeat("00", 4000)))})),
		"a key not in hex":   string(MustValue(map[string]any{inner.ID(): s.Seal(carrier, inner.ID(), MustValue(strings.Repeat("zz", 32)))})),
	} {
		var ring Keyring
		ring.Add(by)
		if n, err := ring.Unwrap(carrier, Raw(set)); err == nil || n != 0 {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
}

func TestSealedForm(t *testing.T) {
	for v, kid := range map[string]string{
		`{"$s":"0123456789abcdef.AAAA"}`: "0123456789abcdef", `{"$s":"0123456789ABCDEF.AAAA"}`: "", `{"$s":"0123456789abcde.AAAA"}`: "",
		`{"$s":"0123456789abcdeg.AAAA"}`: "", `{"$s":"0123456789abcdef"}`: "", `{"$s":""}`: "", `"0123456789abcdef.AAAA"`: "", ``: "", `1`: "",
	} {
		if got := SealedBy(Raw(v)); got != kid {
			t.Errorf("%s is sealed by %q, want %q", v, got, kid)
		}
	}
	if IsSealed(nil) || IsSealed(Raw(`{"s":"a"}`)) || !IsSealed(Raw(`{"$s":"a"}`)) {
		t.Error("IsSealed goes by the form alone")
	}
}
