package syncproto

import (
	"crypto/ed25519"
	"crypto/sha256"
)

// SealLeaf is a bucket's leaf in the tree of a seal: SHA-256(0x00 ‖ ledger head ‖ bucket). The zero byte, and the one of
// a node, keep a leaf from being taken for a node (RFC 6962, section 2.1).
func SealLeaf(h BucketHead) Hash {
	b := make([]byte, 1, 33+len(h.Bucket))
	b = append(append(b, h.Head[:]...), h.Bucket...)
	return sha256.Sum256(b)
}

func merkleNode(l, r Hash) Hash {
	var b [65]byte
	b[0] = 1
	copy(b[1:], l[:])
	copy(b[33:], r[:])
	return sha256.Sum256(b[:])
}

// Merkle is a Merkle tree over leaf hashes, as in RFC 6962, section 2.1: a node is SHA-256(0x01 ‖ left ‖ right), the
// left half is the largest power of two that leaves something to the right, and the root of nothing is SHA-256("").
type Merkle struct {
	levels [][]Hash // from the leaves up; a node without a neighbour goes up as it is
}

// NewMerkle makes the tree of so many leaves.
func NewMerkle(leaves []Hash) *Merkle {
	m := &Merkle{levels: [][]Hash{append([]Hash(nil), leaves...)}}
	for n := len(leaves); n > 1; {
		n = (n + 1) / 2
		m.levels = append(m.levels, make([]Hash, n))
	}
	for at := 1; at < len(m.levels); at++ {
		for i := range m.levels[at] {
			m.join(at, i)
		}
	}
	return m
}

// join works a node out from the two below it.
func (m *Merkle) join(at, i int) {
	below := m.levels[at-1]
	if 2*i+1 < len(below) {
		m.levels[at][i] = merkleNode(below[2*i], below[2*i+1])
	} else {
		m.levels[at][i] = below[2*i]
	}
}

// Set changes one leaf, in as many steps as the tree is high.
func (m *Merkle) Set(i int, leaf Hash) {
	m.levels[0][i] = leaf
	for at := 1; at < len(m.levels); at++ {
		i /= 2
		m.join(at, i)
	}
}

// Root is the hash that stands for all leaves in their order.
func (m *Merkle) Root() Hash {
	if len(m.levels[0]) == 0 {
		return sha256.Sum256(nil)
	}
	return m.levels[len(m.levels)-1][0]
}

// Proof lists the hashes that lead from leaf i to the root, from below.
func (m *Merkle) Proof(i int) []Hash {
	var proof []Hash
	for _, level := range m.levels[:len(m.levels)-1] {
		if j := i ^ 1; j < len(level) {
			proof = append(proof, level[j])
		}
		i /= 2
	}
	return proof
}

// MerkleIncludes checks that a tree of n leaves with this root has the leaf at place i.
func MerkleIncludes(root, leaf Hash, i, n int, proof []Hash) bool {
	if i < 0 || i >= n {
		return false
	}
	h := leaf
	for last := n - 1; last > 0; i, last = i/2, last/2 {
		if i == last && i%2 == 0 {
			continue // it has no neighbour on this level
		}
		if len(proof) == 0 {
			return false
		}
		if i%2 == 0 {
			h = merkleNode(h, proof[0])
		} else {
			h = merkleNode(proof[0], h)
		}
		proof = proof[1:]
	}
	return len(proof) == 0 && h == root
}

// SealHash is what the next seal names as the one before: SHA-256("aidloop/seal/1" ‖ SHA-256(bytes)). In front of the
// first one stands the hash of nothing, 32 zero bytes.
func SealHash(seal []byte) Hash {
	h := sha256.Sum256(seal)
	return sha256.Sum256(append([]byte("aidloop/seal/1"), h[:]...))
}

func sealText(seal []byte) []byte { return append([]byte("aidloop/seal/1\n"), seal...) }

// SignSeal signs a seal's canonical bytes with the server's key, over "aidloop/seal/1\n" and the bytes.
func SignSeal(key ed25519.PrivateKey, seal []byte) []byte { return ed25519.Sign(key, sealText(seal)) }

// VerifySeal checks such a signature.
func VerifySeal(key ed25519.PublicKey, seal, sig []byte) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, sealText(seal), sig)
}
