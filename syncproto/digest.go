package syncproto

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
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

// LeafCount is into how many leaves a bucket's rows are parted.
const LeafCount = 256

// Leaves are the digests of a bucket's leaves: of each the sum, modulo 2^256, of the row hashes of its live rows. They
// add up to the bucket's digest.
type Leaves [LeafCount]Digest

// Add takes a row into its leaf.
func (l *Leaves) Add(r Ref, row Hash) {
	n := Leaf(r)
	l[n] = l[n].Add(row)
}

// Digest is the sum of all leaves: the bucket's digest.
func (l *Leaves) Digest() (sum Digest) {
	for _, d := range l {
		sum = sum.Add(Hash(d))
	}
	return sum
}

// LeavesBytes is the size of leaves on the wire: 256 digests of 32 bytes, in order.
const LeavesBytes = LeafCount * len(Digest{})

// Bytes writes the digests one after the other.
func (l *Leaves) Bytes() []byte {
	b := make([]byte, 0, LeavesBytes)
	for _, d := range l {
		b = append(b, d[:]...)
	}
	return b
}

// ParseLeaves reads what Bytes wrote.
func ParseLeaves(b []byte) (*Leaves, error) {
	if len(b) != LeavesBytes {
		return nil, fmt.Errorf("bad leaves: %d bytes, want %d", len(b), LeavesBytes)
	}
	l := &Leaves{}
	for i := range l {
		copy(l[i][:], b[i*len(Digest{}):])
	}
	return l, nil
}

// Differing are the leaves whose digests are not the same in l and o.
func (l *Leaves) Differing(o *Leaves) (set LeafSet) {
	for i := range l {
		if l[i] != o[i] {
			set[i/8] |= 0x80 >> (i % 8)
		}
	}
	return set
}

// LeafSet is a set of leaves, one bit each: leaf 0 is the highest bit of the first byte. In text it is 64 lower-case
// hex digits.
type LeafSet [LeafCount / 8]byte

// Has reports whether the leaf is in the set.
func (s LeafSet) Has(leaf byte) bool { return s[leaf/8]&(0x80>>(leaf%8)) != 0 }

// Len is how many leaves are in the set.
func (s LeafSet) Len() (n int) {
	for _, b := range s {
		n += bits.OnesCount8(b)
	}
	return n
}

// String writes 64 lower-case hex digits.
func (s LeafSet) String() string { return hex.EncodeToString(s[:]) }

// ParseLeafSet reads 64 lower-case hex digits.
func ParseLeafSet(text string) (LeafSet, error) {
	h, err := ParseHash(text)
	if err != nil {
		return LeafSet{}, errors.New("bad set of leaves: want 64 lower-case hex digits")
	}
	return LeafSet(h), nil
}
