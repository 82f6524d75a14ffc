package syncproto

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Key is a 32-byte secret that seals values: a household's case key, a bucket's key that wraps case keys, or a user's
// key that wraps bucket keys.
type Key [32]byte

// ErrSealed is wrapped by every failure to open a sealed value. It never says what was inside.
var ErrSealed = errors.New("cannot open the sealed value")

// ID names the key: 16 hex digits, the first 8 bytes of SHA-256("aidloop/kid/1" ‖ key).
func (k Key) ID() string {
	h := sha256.Sum256(append([]byte("aidloop/kid/1"), k[:]...))
	return hex.EncodeToString(h[:8])
}

// Sealer seals and opens values under one key: AES-256-GCM, where the nonce is the first 12 bytes of
// HMAC-SHA-256(k_nonce, aad ‖ 0x00 ‖ plaintext) and aad is "kind|id|field". The zero byte keeps a field's name and
// its value apart, so that no two pairs share a nonce by chance of spelling. The same value sealed twice has the same
// bytes, so that two people who typed the same thing do not conflict.
type Sealer struct {
	kid   string
	aead  cipher.AEAD
	nonce []byte
}

// NewSealer derives the two subkeys by HKDF-SHA-256 (no salt; info "aidloop/seal/enc/1" and "aidloop/seal/nonce/1").
func NewSealer(k Key) *Sealer {
	enc, err := hkdf.Key(sha256.New, k[:], nil, "aidloop/seal/enc/1", 32)
	if err != nil {
		panic(err) // only for lengths that HKDF cannot give
	}
	nonce, err := hkdf.Key(sha256.New, k[:], nil, "aidloop/seal/nonce/1", 32)
	if err != nil {
		panic(err)
	}
	block, err := aes.NewCipher(enc)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return &Sealer{kid: k.ID(), aead: aead, nonce: nonce}
}

// KeyID names the key.
func (s *Sealer) KeyID() string { return s.kid }

// Seal writes {"$s":"<key id>.<base64url without padding>"}: 12 bytes of nonce and the ciphertext with its tag.
func (s *Sealer) Seal(ref Ref, field string, value Raw) Raw {
	aad := sealContext(ref, field)
	mac := hmac.New(sha256.New, s.nonce)
	mac.Write(aad)
	mac.Write([]byte{0})
	mac.Write(value)
	box := make([]byte, 12, 12+len(value)+16)
	copy(box, mac.Sum(nil))
	box = s.aead.Seal(box, box[:12], value, aad)
	out := make([]byte, 0, 32+len(box)*4/3)
	out = append(append(append(out, `{"$s":"`...), s.kid...), '.')
	out = base64.RawURLEncoding.AppendEncode(out, box)
	return append(out, `"}`...)
}

// Open returns the canonical value inside a sealed one.
func (s *Sealer) Open(ref Ref, field string, sealed Raw) (Raw, error) {
	kid, box, err := splitSealed(sealed)
	if err != nil {
		return nil, err
	}
	if kid != s.kid || len(box) < 28 {
		return nil, fmt.Errorf("%w: other key", ErrSealed)
	}
	plain, err := s.aead.Open(nil, box[:12], box[12:], sealContext(ref, field))
	if err != nil {
		return nil, fmt.Errorf("%w: wrong key, other field, or damaged", ErrSealed)
	}
	if CheckCanonical(plain) != nil {
		return nil, fmt.Errorf("%w: no canonical value inside", ErrSealed)
	}
	return plain, nil
}

func sealContext(ref Ref, field string) []byte {
	return []byte(ref.Kind + "|" + ref.ID + "|" + field)
}

// SealedBy returns the id of the key that a value is sealed under, or "" for a value in the open.
func SealedBy(v Raw) string {
	s, ok := strings.CutPrefix(string(v[:min(len(v), 40)]), `{"$s":"`)
	kid, _, found := strings.Cut(s, ".")
	if !ok || !found || len(kid) != 16 || strings.Trim(kid, hexDigits) != "" {
		return ""
	}
	return kid
}

// IsSealed reports whether v has the form of a sealed value.
func IsSealed(v Raw) bool { return len(v) > 6 && string(v[:6]) == `{"$s":` }

func splitSealed(v Raw) (kid string, box []byte, err error) {
	s, ok := strings.CutPrefix(string(v), `{"$s":"`)
	s, ok2 := strings.CutSuffix(s, `"}`)
	kid, b64, found := strings.Cut(s, ".")
	if !ok || !ok2 || !found || strings.ContainsAny(b64, "\r\n") { // line breaks, which the decoder would skip
		return "", nil, fmt.Errorf("%w: not of the sealed form", ErrSealed)
	}
	box, err = base64.RawURLEncoding.Strict().DecodeString(b64)
	if err != nil {
		return "", nil, fmt.Errorf("%w: not of the sealed form", ErrSealed)
	}
	return kid, box, nil
}

// Keyring holds keys by their ids. The zero value is an empty ring. It is not safe for concurrent use.
type Keyring struct{ sealers map[string]*Sealer }

// Add puts a key on the ring and returns its sealer.
func (r *Keyring) Add(k Key) *Sealer {
	if s, ok := r.sealers[k.ID()]; ok {
		return s
	}
	if r.sealers == nil {
		r.sealers = map[string]*Sealer{}
	}
	s := NewSealer(k)
	r.sealers[s.kid] = s
	return s
}

// Get returns the sealer of a key, or nil.
func (r *Keyring) Get(kid string) *Sealer { return r.sealers[kid] }

// Open returns a value in the open: sealed ones opened, others as they are.
func (r *Keyring) Open(ref Ref, field string, v Raw) (Raw, error) {
	if !IsSealed(v) {
		return v, nil
	}
	s := r.Get(SealedBy(v))
	if s == nil {
		return nil, fmt.Errorf("%w: its key is not at hand", ErrSealed)
	}
	return s.Open(ref, field, v)
}

// Wrap seals a key under another one. The context is the record that will carry it; the field is the wrapped key's id.
func (s *Sealer) Wrap(carrier Ref, k Key) Raw {
	return s.Seal(carrier, k.ID(), MustValue(hex.EncodeToString(k[:])))
}

// Unwrap opens every key of a wrapped set, {"<key id>": {"$s": …}, …}, for which the ring holds the wrapping key, and
// puts it on the ring. It returns how many it opened.
func (r *Keyring) Unwrap(carrier Ref, wrapped Raw) (int, error) {
	if len(wrapped) == 0 {
		return 0, nil
	}
	set, err := ParseObject(wrapped)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, m := range set {
		if r.Get(SealedBy(m.Value)) == nil {
			continue
		}
		v, err := r.Open(carrier, m.Name, m.Value)
		if err != nil {
			return n, err
		}
		k, err := ParseHash(v.Str()) // 64 hex digits, as a hash has
		if err != nil || Key(k).ID() != m.Name {
			return n, fmt.Errorf("%w: not the key it is named as", ErrSealed)
		}
		r.Add(Key(k))
		n++
	}
	return n, nil
}
