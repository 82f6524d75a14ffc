package syncproto

import (
	"crypto/ed25519"
	"crypto/sha256"
	"strconv"
)

// GroupHash is the SHA-256 of a group's canonical bytes.
func GroupHash(group []byte) Hash { return sha256.Sum256(group) }

// ChainNext is the head of a device's chain behind one more group: SHA-256("aidloop/chain/1" ‖ head ‖ group hash).
// The chain starts with ChainStart.
func ChainNext(head, group Hash) Hash { return link("aidloop/chain/1", head, group) }

// ChainStart is the head of a device's empty chain: SHA-256("aidloop/device/1" ‖ device id).
func ChainStart(device string) Hash { return sha256.Sum256([]byte("aidloop/device/1" + device)) }

// LedgerNext is the head of a bucket's ledger behind one more entry: SHA-256("aidloop/ledger/1" ‖ head ‖ SHA-256(entry)).
func LedgerNext(head Hash, entry []byte) Hash {
	return link("aidloop/ledger/1", head, sha256.Sum256(entry))
}

// LedgerStart is the head of a bucket's empty ledger: SHA-256("aidloop/bucket/1" ‖ bucket).
func LedgerStart(bucket string) Hash { return sha256.Sum256([]byte("aidloop/bucket/1" + bucket)) }

func link(label string, a, b Hash) Hash {
	buf := make([]byte, 0, len(label)+64)
	buf = append(append(append(buf, label...), a[:]...), b[:]...)
	return sha256.Sum256(buf)
}

// SignedText is what a device signs with its Ed25519 key, once per push or bundle: the text
//
//	"aidloop/push/1\n" device "\n" last-dseq "\n" hex-head
//
// where head is the chain's head behind the last group.
func SignedText(device string, last uint64, head Hash) []byte {
	return []byte("aidloop/push/1\n" + device + "\n" + strconv.FormatUint(last, 10) + "\n" + head.String())
}

// SignHead signs a chain head.
func SignHead(key ed25519.PrivateKey, device string, last uint64, head Hash) []byte {
	return ed25519.Sign(key, SignedText(device, last, head))
}

// VerifyHead checks a signature over a chain head.
func VerifyHead(key ed25519.PublicKey, device string, last uint64, head Hash, sig []byte) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, SignedText(device, last, head), sig)
}
