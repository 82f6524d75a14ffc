package syncproto

import (
	"crypto/ed25519"
	"fmt"
	"strconv"
)

// What a device says after the server was put back from a backup: when its groups had been received before, which the
// server had signed, and which of them are gone from the device, too.

// GroupTime is what the server fixed at a group's receipt, milliseconds since 1970 UTC. It names the group by its first
// change and the first 16 hex digits of its hash, so that nobody has other bytes dated by it.
type GroupTime struct {
	Dseq      uint64
	Hash      string
	Received  int64
	Corrected int64
}

// ShortHash is how a GroupTime names a group's bytes: the first 16 hex digits of its hash.
func ShortHash(h Hash) string { return h.String()[:16] }

// ParseReceipt reads a receipt's canonical bytes. Members that this version does not know are left alone. Heads are not
// read: they are for whoever compares ledgers.
func ParseReceipt(b []byte) (*Receipt, error) {
	if len(b) > MaxReceiptBytes {
		return nil, fmt.Errorf("receipt larger than %d bytes", MaxReceiptBytes)
	}
	o, err := ParseObject(Raw(b))
	if err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	r := &Receipt{At: o.Int("at"), Device: o.Str("device"), Dseq: uint64(max(o.Int("dseq"), 0)), Incarnation: o.Str("incarnation")}
	if r.Head, err = ParseHash(o.Str("head")); err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	for _, item := range o.Get("times").Items() {
		x, err := item.Decode()
		m, ok := x.([]any)
		if err != nil || !ok || len(m) < 4 {
			return nil, fmt.Errorf("receipt: a time that is none")
		}
		t := GroupTime{}
		n, ok1 := m[0].(int64)
		hash, ok2 := m[1].(string)
		received, ok3 := m[2].(int64)
		corrected, ok4 := m[3].(int64)
		if !ok1 || !ok2 || !ok3 || !ok4 || n < 1 {
			return nil, fmt.Errorf("receipt: a time that is none")
		}
		t.Dseq, t.Hash, t.Received, t.Corrected = uint64(n), hash, received, corrected
		r.Times = append(r.Times, t)
	}
	return r, nil
}

// Lost is a device's word that it can never send the changes From to To, since their bytes are gone from it. Head is its
// chain's head behind To, on which its next group builds. Sig is its signature over LostText.
type Lost struct {
	Device string `json:"device"`
	From   uint64 `json:"from"`
	To     uint64 `json:"to"`
	Head   string `json:"head"`
	Sig    []byte `json:"sig"` // base64 of 64 bytes
}

// LostText is what a device signs to declare changes lost:
//
//	"aidloop/lost/1\n" device "\n" from "\n" to "\n" hex-head
func LostText(device string, from, to uint64, head Hash) []byte {
	return []byte("aidloop/lost/1\n" + device + "\n" + strconv.FormatUint(from, 10) + "\n" + strconv.FormatUint(to, 10) + "\n" + head.String())
}

// SignLost declares changes lost.
func SignLost(key ed25519.PrivateKey, device string, from, to uint64, head Hash) Lost {
	return Lost{device, from, to, head.String(), ed25519.Sign(key, LostText(device, from, to, head))}
}

// Verify checks a declaration's form and signature and returns its head.
func (l *Lost) Verify(key ed25519.PublicKey) (Hash, error) {
	head, err := ParseHash(l.Head)
	if err != nil || l.From < 1 || l.To < l.From || l.To > maxDseq {
		return head, Refuse(CodeMalformed, "a lost frame with numbers or a head out of range")
	}
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, LostText(l.Device, l.From, l.To, head), l.Sig) {
		return head, Refuse(CodeBadSignature, "the lost frame is not signed by the device")
	}
	return head, nil
}
