package syncproto

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/bits"
)

// Hash is a SHA-256, 64 lower-case hex digits in text.
type Hash [32]byte

// String writes 64 lower-case hex digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads 64 lower-case hex digits.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != 64 {
		return h, errors.New("bad hash: want 64 hex digits")
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil || h.String() != s {
		return Hash{}, errors.New("bad hash: want 64 lower-case hex digits")
	}
	return h, nil
}

// RowHash is SHA-256(len(envelope) ‖ envelope ‖ len(body) ‖ body), lengths as 4-byte big-endian numbers. It leaves
// the seq out, so that a row hashes alike wherever it lies.
func RowHash(envelope, body []byte) Hash {
	h := sha256.New()
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(envelope)))
	h.Write(n[:])
	h.Write(envelope)
	binary.BigEndian.PutUint32(n[:], uint32(len(body)))
	h.Write(n[:])
	h.Write(body)
	var out Hash
	h.Sum(out[:0])
	return out
}

// Digest is the sum, modulo 2^256, of the row hashes of a bucket's live rows, as a big-endian number. Order does not
// matter and a row can be taken out again. It finds errors, not attackers.
type Digest Hash

// String writes 64 lower-case hex digits.
func (d Digest) String() string { return Hash(d).String() }

// Add returns d plus the row.
func (d Digest) Add(row Hash) Digest {
	var carry uint64
	for i := 24; i >= 0; i -= 8 {
		var s uint64
		s, carry = bits.Add64(binary.BigEndian.Uint64(d[i:]), binary.BigEndian.Uint64(row[i:]), carry)
		binary.BigEndian.PutUint64(d[i:], s)
	}
	return d
}

// Sub returns d minus the row.
func (d Digest) Sub(row Hash) Digest {
	var borrow uint64
	for i := 24; i >= 0; i -= 8 {
		var s uint64
		s, borrow = bits.Sub64(binary.BigEndian.Uint64(d[i:]), binary.BigEndian.Uint64(row[i:]), borrow)
		binary.BigEndian.PutUint64(d[i:], s)
	}
	return d
}

// Leaf is the part, 0 to 255, of a bucket's digest that a record belongs to: the first byte of SHA-256("kind/id").
func Leaf(r Ref) byte { return sha256.Sum256([]byte(r.String()))[0] }
