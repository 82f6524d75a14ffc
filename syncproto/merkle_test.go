package syncproto_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	sp "aidloop/syncproto"
)

// treeHash is MTH of RFC 6962, section 2.1, as it is written there, over leaf hashes.
func treeHash(leaves []sp.Hash) sp.Hash {
	switch n := len(leaves); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	default:
		k := 1
		for 2*k < n {
			k *= 2
		}
		l, r := treeHash(leaves[:k]), treeHash(leaves[k:])
		return sha256.Sum256(append(append([]byte{1}, l[:]...), r[:]...))
	}
}

func leaves(n int) []sp.Hash {
	list := make([]sp.Hash, n)
	for i := range list {
		list[i] = sp.SealLeaf(sp.BucketHead{Bucket: fmt.Sprintf("grid:%d", i), Head: sp.LedgerStart(fmt.Sprint(i))})
	}
	return list
}

func TestMerkleIsTheTreeOfRFC6962(t *testing.T) {
	for n := range 70 {
		all := leaves(n)
		if got, want := sp.NewMerkle(all).Root(), treeHash(all); got != want {
			t.Errorf("%d leaves: %s, want %s", n, got, want)
		}
	}
	head := sp.LedgerStart("ref")
	if want := sp.Hash(sha256.Sum256(append(append([]byte{0}, head[:]...), "ref"...))); sp.SealLeaf(sp.BucketHead{Bucket: "ref", Head: head}) != want {
		t.Error("a leaf is SHA-256(0x00 ‖ head ‖ bucket)")
	}
}

func TestMerkleLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 200).Draw(t, "n")
		all := leaves(n)
		tree := sp.NewMerkle(all)
		for range rapid.IntRange(0, 5).Draw(t, "sets") {
			i := rapid.IntRange(0, n-1).Draw(t, "at")
			all[i] = sha256.Sum256([]byte{byte(i), rapid.Byte().Draw(t, "leaf")})
			tree.Set(i, all[i])
		}
		root := tree.Root()
		if root != treeHash(all) {
			t.Fatal("leaves that are set one by one lead elsewhere than the tree that is made of them")
		}
		i := rapid.IntRange(0, n-1).Draw(t, "i")
		proof := tree.Proof(i)
		if !sp.MerkleIncludes(root, all[i], i, n, proof) {
			t.Fatalf("leaf %d of %d is not proved", i, n)
		}
		other := rapid.IntRange(0, n).Draw(t, "other")
		longer := append(slices.Clone(proof), root)
		if other != i && sp.MerkleIncludes(root, all[i], other, n, proof) || sp.MerkleIncludes(root, root, i, n+1, proof) ||
			sp.MerkleIncludes(root, all[i], i, n, longer) || len(proof) > 0 && sp.MerkleIncludes(root, all[i], i, n, proof[1:]) {
			t.Fatal("a proof that proves something else")
		}
		bent := slices.Clone(proof)
		for j := range bent {
			bent[j][0] ^= 1
			if sp.MerkleIncludes(root, all[i], i, n, bent) {
				t.Fatal("a bent proof")
			}
			bent[j][0] ^= 1
		}
	})
}

func TestSealsAreSigned(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	pub := key.Public().(ed25519.PublicKey)
	b := []byte(`{"n":1}`)
	sig := sp.SignSeal(key, b)
	if !sp.VerifySeal(pub, b, sig) || sp.VerifySeal(pub, append(b, ' '), sig) || sp.VerifySeal(nil, b, sig) || sp.VerifySeal(pub, b, nil) {
		t.Error("a signature is good for these bytes and this key only")
	}
	if sp.SealHash(b) == sp.SealHash([]byte(`{"n":2}`)) {
		t.Error("two seals with one hash")
	}
}
