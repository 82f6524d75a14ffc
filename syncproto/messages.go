package syncproto

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Hello opens a request. Push needs nothing else; a pull needs a token in the transport.
type Hello struct {
	Versions [2]int   `json:"versions"` // lowest and highest protocol version that the device speaks
	Device   string   `json:"device"`
	Catalog  int      `json:"catalog"` // catalog version that the app was built with
	Caps     []string `json:"caps,omitempty"`
	Wall     int64    `json:"wall"` // the device's clocks now, see Clock
	Mono     int64    `json:"mono"`
	Boot     string   `json:"boot"`
	// Last is the number of the last change that the device has captured, Photos how many photos wait on it: so people
	// see what it has not sent yet. A device that says neither leaves both out.
	Last   uint64 `json:"last,omitempty"`
	Photos int64  `json:"photos,omitempty"`
	// Lacks are the ids of user keys that photos on this phone lie under and that it does not have, at most MaxLacks: a
	// phone that was erased gave its keys away, and a server that was put back may have forgotten that it made them.
	Lacks []string `json:"lacks,omitempty"`
	// Erased says that the device has done what OrderErase asks for. It is sent from then on.
	Erased *Erased `json:"erased,omitempty"`
}

// CapRecipient among a hello's capabilities says that the device does not know yet where bundles are encrypted to.
const CapRecipient = "recipient"

// Erased is a device's signed word that its rows and keys are gone, with what it held of each bucket. An attestation,
// not a proof.
type Erased struct {
	At   int64  `json:"at"` // by the device's wall clock, milliseconds since 1970 UTC
	Left []Left `json:"left,omitempty"`
	Sig  []byte `json:"sig"` // Ed25519 over Text
}

// Text is what the device signs: "aidloop/erased/1\n", its id, "\n", At in decimal, and for each bucket "\n" and its
// name, cursor, count and digest with blanks between.
func (e *Erased) Text(device string) []byte {
	b := fmt.Appendf(nil, "aidloop/erased/1\n%s\n%d", device, e.At)
	for _, l := range e.Left {
		b = fmt.Appendf(b, "\n%s %s %d %s", l.Bucket, l.Cursor, l.Count, l.Digest)
	}
	return b
}

// Verify checks the device's signature.
func (e *Erased) Verify(key ed25519.PublicKey, device string) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, e.Text(device), e.Sig)
}

// What a server may ask of a device in its hello. A device that does not know an order leaves it alone.
const (
	OrderHandOver = "hand_over" // it is to be retired: send everything and capture nothing more
	OrderErase    = "erase"     // it is shut out: send what is left, then erase rows and keys
)

// Clock returns the device's clocks at the time of the push.
func (h *Hello) Clock() Clock { return Clock{h.Wall, h.Mono, h.Boot} }

// Sign closes the groups of a push. Prev is the chain's head before the first of them, First its number.
type Sign struct {
	Device string `json:"device"`
	First  uint64 `json:"first"`
	Prev   string `json:"prev"`
	Last   uint64 `json:"last"`
	Head   string `json:"head"`
	Sig    []byte `json:"sig"` // base64 of 64 bytes, see SignedText
	// Receipts are those that the device holds for groups which it sends again, after a restore of the server: at most
	// MaxReceipts. What they say of the groups' times is adopted.
	Receipts []SignedReceipt `json:"receipts,omitempty"`
}

// BucketCursor is where a device stands in a bucket. Staged says that it is the cursor of a page or of a snapshot under
// way: what was staged up to it is no state that the bucket ever had, so that it means nothing to another life of the
// server. Base is set while it fetches the bucket afresh, page by page: the head that the bucket's first frame named, so
// that tombstones older than that may be gone without harm. Chunks is set while it fetches a snapshot whose place is the
// cursor: nothing is sent until it has it.
type BucketCursor struct {
	Bucket string `json:"bucket"`
	Cursor string `json:"cursor"`
	Staged bool   `json:"staged,omitempty"`
	Base   uint64 `json:"base,omitempty"`
	Chunks bool   `json:"chunks,omitempty"`
}

// Repair says that a bucket's rows did not add up on the device, and asks for it in place of a cursor. Cursor, Count
// and Digest are of the checkpoint that failed, as the device's own rows had it. Leaves are
// the digests of the rows that it shows now, see Leaves.Bytes; without them the bucket is sent afresh.
type Repair struct {
	Bucket string `json:"bucket"`
	Cursor string `json:"cursor"`
	Count  int64  `json:"count"`
	Digest string `json:"digest"`
	Leaves []byte `json:"leaves,omitempty"` // base64 of 256 × 32 bytes
}

// check refuses what no device can mean.
func (r *Repair) check() error {
	if !ValidBucket(r.Bucket) || r.Count < 0 || r.Count > MaxInt || r.Leaves != nil && len(r.Leaves) != LeavesBytes {
		return Refuse(CodeMalformed, "a repair with a bad bucket, count or leaves")
	}
	if _, err := ParseHash(r.Digest); err != nil {
		return Refuse(CodeMalformed, "a repair with a bad digest")
	}
	if _, err := ParseCursor(r.Cursor); err != nil {
		return Refuse(CodeMalformed, "a repair with a bad cursor")
	}
	return nil
}

// Left acknowledges that a bucket was dropped, with what the device held at the cursor. An attestation, not a proof.
type Left struct {
	Bucket string `json:"bucket"`
	Cursor string `json:"cursor"`
	Count  int64  `json:"count"`
	Digest string `json:"digest"`
}

// Want asks for everything that changed. Buckets in scope that are not named start from the beginning. MaxBytes bounds
// the rows of the response: at most MaxPageBytes; 0 stands for PageBytes.
type Want struct {
	Cursors  []BucketCursor `json:"cursors"`
	Left     []Left         `json:"left,omitempty"`
	MaxBytes int            `json:"max_bytes,omitempty"`
	Repair   []Repair       `json:"repair,omitempty"` // at most MaxCursors
}

// check refuses a want beyond its bounds.
func (w *Want) check() error {
	if len(w.Cursors) > MaxCursors || len(w.Left) > MaxCursors || len(w.Repair) > MaxCursors {
		return Refuse(CodeTooLarge, "more cursors than allowed")
	}
	for i := range w.Repair {
		if err := w.Repair[i].check(); err != nil {
			return err
		}
	}
	return nil
}

// End closes a request or a response. Frames counts the frames before it, so that a cut stream is never taken for a
// whole one. More asks the device to exchange again: something was left for the next response.
type End struct {
	Frames int  `json:"frames"`
	More   bool `json:"more,omitempty"`
}

// HelloReply opens a response.
type HelloReply struct {
	Version     int    `json:"version"`
	Catalog     int    `json:"catalog"`
	Incarnation string `json:"incarnation"`
	Now         int64  `json:"now"`                 // the server's clock, milliseconds since 1970 UTC
	Have        uint64 `json:"have"`                // the last change of this device that is on record
	Head        string `json:"head"`                // the chain's head there
	SafeDseq    uint64 `json:"safe_dseq"`           // changes up to here are in a verified backup and may be forgotten
	Witnessed   int    `json:"witnessed,omitempty"` // so many of the request's witness frames are kept, from its first
	// Recipient is the age recipient that bundles for this server are encrypted to, for a device that asked by CapRecipient.
	Recipient string `json:"bundle_recipient,omitempty"`
	// Order is what the server asks of the device, or "".
	Order string `json:"order,omitempty"`
}

// BucketSeq is a place in a bucket's feed.
type BucketSeq struct {
	Bucket string `json:"bucket"`
	Seq    uint64 `json:"seq"`
}

// Outcome says what became of one group. Changes is left out where every change was applied. At tells where the
// group's rows lie: the change leaves the device's overlay with the checkpoint that reaches it.
type Outcome struct {
	Dseq    uint64         `json:"dseq"`
	Status  GroupStatus    `json:"status"`
	Code    Code           `json:"code,omitempty"`
	Reason  string         `json:"reason,omitempty"` // in words, Chinese
	Expiry  int64          `json:"expiry,omitempty"` // held: when it is decided at the latest, milliseconds
	Changes []ChangeStatus `json:"changes,omitempty"`
	At      *BucketSeq     `json:"at,omitempty"`
	Time    int64          `json:"time,omitempty"` // the corrected time of capture, milliseconds
	// Received is when a life of the server that was lost had received it, milliseconds, where an old receipt says so.
	Received int64 `json:"received,omitempty"`
	Replay   bool  `json:"replay,omitempty"`
}

// Outcomes answers a push: one outcome a group, in order.
type Outcomes struct {
	Groups []Outcome `json:"groups"`
}

// Receipt is the server's signed word that a device's changes up to Dseq are committed. In canonical JSON:
//
//	{"at":ms,"device":"…","dseq":n,"head":"hex","heads":[["bucket","hex"],…],"incarnation":"…","times":[[dseq,"hash",received,corrected],…]?}
type Receipt struct {
	At          int64
	Device      string
	Dseq        uint64
	Head        Hash
	Incarnation string
	Heads       []BucketHead // the ledgers' heads behind this push, in order of buckets
	Times       []GroupTime  // of the groups that this push brought, in order
}

// BucketHead is the head of a bucket's ledger.
type BucketHead struct {
	Bucket string
	Head   Hash
}

// Bytes writes the receipt's canonical form.
func (r *Receipt) Bytes() Raw {
	heads := make([]any, len(r.Heads))
	for i, h := range r.Heads {
		heads[i] = []any{h.Bucket, h.Head.String()}
	}
	m := map[string]any{"at": r.At, "device": r.Device, "dseq": r.Dseq, "head": r.Head.String(),
		"heads": heads, "incarnation": r.Incarnation}
	if len(r.Times) > 0 {
		times := make([]any, len(r.Times))
		for i, t := range r.Times {
			times[i] = []any{t.Dseq, t.Hash, t.Received, t.Corrected}
		}
		m["times"] = times
	}
	return Fields(m).Bytes()
}

// SignedReceipt carries a receipt's canonical bytes with the server's Ed25519 signature over "aidloop/receipt/1\n"
// and the bytes.
type SignedReceipt struct {
	Receipt string `json:"receipt"`
	Sig     []byte `json:"sig"`
}

// SignReceipt signs a receipt with the server's key.
func SignReceipt(key ed25519.PrivateKey, r *Receipt) SignedReceipt {
	b := r.Bytes()
	return SignedReceipt{string(b), ed25519.Sign(key, append([]byte("aidloop/receipt/1\n"), b...))}
}

// Verify checks the server's signature.
func (s *SignedReceipt) Verify(key ed25519.PublicKey) bool {
	return len(key) == ed25519.PublicKeySize &&
		ed25519.Verify(key, append([]byte("aidloop/receipt/1\n"), s.Receipt...), s.Sig)
}

// BucketStart opens a bucket's rows. From is the cursor that they build on; Fresh says that they are the whole bucket
// and that rows absent from it are gone, whatever the device held; then Head is where the bucket stands, see
// BucketCursor. Floor, above From, is up to where deletions and exits are left out, since the device began afresh above it:
// whoever stands below it and did not must not build on these rows. Leaves, a LeafSet, answers a Repair: the rows are all live rows of these leaves, and what else the
// device holds in them is gone; no page parts them.
type BucketStart struct {
	Bucket string `json:"bucket"`
	From   uint64 `json:"from"`
	Fresh  bool   `json:"fresh,omitempty"`
	Leaves string `json:"leaves,omitempty"`
	Head   uint64 `json:"head,omitempty"`
	Floor  uint64 `json:"floor,omitempty"`
}

// Exit says that a record left the bucket. Where it went is not said.
type Exit struct {
	Seq  uint64 `json:"seq"`
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

// Page says that every row up to Seq has been sent; a device that stages durably goes on from here after a cut.
type Page struct {
	Seq uint64 `json:"seq"`
}

// Checkpoint says what a device that applied everything holds: Count live rows with this digest at the cursor. The
// device recomputes both from its own rows and makes the staged rows visible in one transaction.
type Checkpoint struct {
	Bucket      string `json:"bucket"`
	Incarnation string `json:"incarnation"`
	Seq         uint64 `json:"seq"`
	Count       int64  `json:"count"`
	Digest      string `json:"digest"`
}

// Drop tells a device that a bucket is no longer in its scope: erase its rows, keep the outbox, acknowledge with Left.
type Drop struct {
	Bucket string `json:"bucket"`
}

// Fault says why the rest of a response is missing, for instance a pull with an expired token behind a push that was
// stored.
type Fault struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// DerivedID is the id of a record that the server derives from a cause: SHA-256("aidloop/id/1" ‖ kind ‖ 0x00 ‖ cause)
// in the form of a UUID of version 8. A replay of the cause names the same record.
func DerivedID(kind, cause string) string {
	h := sha256.Sum256([]byte("aidloop/id/1" + kind + "\x00" + cause))
	h[6] = h[6]&0x0f | 0x80
	h[8] = h[8]&0x3f | 0x80
	x := hex.EncodeToString(h[:16])
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}
