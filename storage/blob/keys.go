package blob

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// MasterKeySize is the length of the master key in bytes.
const MasterKeySize = 32

// Keys derives every key of this package from one master key.
type Keys struct{ master [MasterKeySize]byte }

// NewKeys takes a master key of exactly MasterKeySize bytes (ErrInvalid otherwise) and copies it.
func NewKeys(master []byte) (*Keys, error) {
	if len(master) != MasterKeySize {
		return nil, fmt.Errorf("%w: a master key has %d bytes, not %d", ErrInvalid, MasterKeySize, len(master))
	}
	k := &Keys{}
	copy(k.master[:], master)
	return k, nil
}

// Key is an AES-256 key.
type Key [32]byte

// Blob returns the key of one blob: HKDF-SHA-256(master, "blob|"+sha). It belongs to this content alone, so the counter nonces of the sealed
// format never meet another plaintext, and sealing the same content twice gives the same bytes.
func (k *Keys) Blob(sha string) Key { return k.derive("blob|" + sha) }

// upload returns the key of one upload's staged frames and metadata.
func (k *Keys) upload(id string) Key { return k.derive("upload|" + id) }

func (k *Keys) derive(info string) Key {
	raw, err := hkdf.Key(sha256.New, k.master[:], nil, info, len(Key{}))
	if err != nil {
		panic("blob: hkdf with constant lengths: " + err.Error())
	}
	return Key(raw)
}

func (k Key) aead() cipher.AEAD {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic("blob: aes with a constant key length: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("blob: gcm over aes: " + err.Error())
	}
	return aead
}

// ValidSHA says whether s is a blob's name: 64 lower-case hex digits.
func ValidSHA(s string) bool {
	if len(s) != sha256.Size*2 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Sum returns the name of a plaintext.
func Sum(plain []byte) string {
	h := sha256.Sum256(plain)
	return hex.EncodeToString(h[:])
}

func validID(s string) bool {
	if len(s) == 0 || len(s) > 63 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '-' {
			return false
		}
	}
	return true
}

func validOwner(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == '.', c == ':', c == '-':
		default:
			return false
		}
	}
	return true
}
