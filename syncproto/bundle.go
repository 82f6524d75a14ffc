package syncproto

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// A bundle is the plaintext of an .aidsync file: one FrameBundle, then whole requests (or whole responses) exactly as
// over HTTP, then photos (each one FramePhoto and its FrameData), then one FrameClose. syncproto/bundle encrypts it.

// The two kinds of bundles.
const (
	BundlePush  = "push"  // requests of a device, for the server
	BundleReply = "reply" // responses of the server, for one device
)

// bundleFormat stands in every bundle's head, with ProtocolVersion.
const bundleFormat = "aidsync"

// BundleHead says who made a bundle. Created is the maker's wall clock, milliseconds since 1970 UTC. In canonical JSON:
//
//	{"created":ms,"device":"…","format":"aidsync","kind":"push","version":1}
type BundleHead struct {
	Kind    string
	Device  string // that made it, or that the reply is for
	Created int64
}

// Bytes writes the head's canonical form.
func (h *BundleHead) Bytes() Raw {
	return Fields(map[string]any{"format": bundleFormat, "version": ProtocolVersion, "kind": h.Kind, "device": h.Device, "created": h.Created}).Bytes()
}

// SignedBundle carries a head's canonical bytes with a signature over "aidloop/bundle/1\n" and the bytes: by the device's
// Ed25519 key in a push, by the server's in a reply. Whoever cannot open the file cannot read the signature either, so
// that nobody else can make a bundle in their name.
type SignedBundle struct {
	Head string `json:"head"`
	Sig  []byte `json:"sig"`
}

// SignBundle signs a head.
func SignBundle(key ed25519.PrivateKey, h *BundleHead) SignedBundle {
	b := h.Bytes()
	return SignedBundle{string(b), ed25519.Sign(key, append([]byte("aidloop/bundle/1\n"), b...))}
}

// Verify checks the signature.
func (s *SignedBundle) Verify(key ed25519.PublicKey) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, append([]byte("aidloop/bundle/1\n"), s.Head...), s.Sig)
}

// BundlePhoto announces a photo: Size bytes follow in data frames.
type BundlePhoto struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	MIME   string `json:"mime"`
}

// BundleClose ends a bundle: how many requests or responses and photos it has, so that a cut file is never taken for a
// whole one.
type BundleClose struct {
	Messages int `json:"messages"`
	Photos   int `json:"photos"`
}

// BundleKept tells a device, in a reply, which photos of its bundle the server has.
type BundleKept struct {
	Photos []string `json:"photos"` // SHA-256, at most MaxBundleKept in one frame
}

// ValidSHA reports whether s is a SHA-256 in lower-case hex.
func ValidSHA(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32 && hex.EncodeToString(b) == s
}

// BundleWriter writes a bundle. Nothing of it is whole before Close.
type BundleWriter struct {
	w    io.Writer
	done BundleClose
	buf  []byte
}

// NewBundleWriter begins a bundle.
func NewBundleWriter(w io.Writer, head SignedBundle) (*BundleWriter, error) {
	_, err := w.Write(AppendJSON(nil, FrameBundle, head))
	return &BundleWriter{w: w}, err
}

// Message adds one whole request or response.
func (b *BundleWriter) Message(frames []byte) error {
	b.done.Messages++
	_, err := b.w.Write(frames)
	return err
}

// Photo adds a photo, of which data must hold exactly the announced bytes.
func (b *BundleWriter) Photo(p BundlePhoto, data []byte) error {
	if int64(len(data)) != p.Size {
		return fmt.Errorf("photo %.8s…: %d bytes of %d", p.SHA256, len(data), p.Size)
	}
	b.done.Photos++
	b.buf = AppendJSON(b.buf[:0], FramePhoto, p)
	for {
		if _, err := b.w.Write(b.buf); err != nil || len(data) == 0 {
			return err
		}
		n := min(len(data), MaxFrameBytes)
		b.buf, data = AppendFrame(b.buf[:0], FrameData, data[:n]), data[n:]
	}
}

// Close ends the bundle. It does not close what it was written to.
func (b *BundleWriter) Close() error {
	_, err := b.w.Write(AppendJSON(nil, FrameClose, b.done))
	return err
}

// BundleItem is a part of a bundle: a whole message (valid until the next call of Next), or a photo with its data, which
// may be left unread.
type BundleItem struct {
	Message []byte
	Photo   *BundlePhoto
	Data    io.Reader
}

// BundleReader reads a bundle from a stream. It holds one message at most in memory, and no photo.
type BundleReader struct {
	Head   BundleHead
	Signed SignedBundle

	fr    *FrameReader
	msg   []byte
	limit int // of one message
	done  BundleClose
	photo *photoReader
}

// NewBundleReader reads a bundle's head. Every error of a BundleReader is an *Error; what was read before it is good.
func NewBundleReader(r io.Reader) (*BundleReader, error) {
	b := &BundleReader{fr: NewFrameReader(r)}
	f, err := b.next()
	if err != nil {
		return nil, err
	}
	if f.Type != FrameBundle {
		return nil, Refuse(CodeMalformed, "a bundle opens with its head")
	}
	if err := f.Decode(&b.Signed); err != nil {
		return nil, err
	}
	head, err := ParseObject(Raw(b.Signed.Head))
	if err != nil || head.Str("format") != bundleFormat {
		return nil, Refuse(CodeMalformed, "not the head of a bundle")
	}
	if head.Int("version") != ProtocolVersion {
		return nil, Refuse(CodeVersion, "a bundle of a later version")
	}
	b.Head = BundleHead{Kind: head.Str("kind"), Device: head.Str("device"), Created: head.Int("created")}
	switch {
	case !ValidID(b.Head.Device):
		return nil, Refuse(CodeMalformed, "a bundle of no device")
	case b.Head.Kind == BundlePush:
		b.limit = MaxPushBytes
	case b.Head.Kind == BundleReply:
		b.limit = MaxReplyBytes
	default:
		return nil, Refuse(CodeMalformed, "a bundle of an unknown kind")
	}
	return b, nil
}

// next reads a frame; the bundle must not end here.
func (b *BundleReader) next() (Frame, error) {
	f, err := b.fr.Next()
	var known *Error
	switch {
	case err == nil || errors.As(err, &known):
		return f, err
	case errors.Is(err, io.EOF):
		return f, Refuse(CodeTruncated, "the bundle ends before its last frame")
	}
	return f, Refuse(CodeTruncated, "the bundle is damaged or cut: "+err.Error())
}

// Next returns the next part, or io.EOF behind the last one of a whole bundle.
func (b *BundleReader) Next() (BundleItem, error) {
	if b.photo != nil {
		if _, err := io.Copy(io.Discard, b.photo); err != nil {
			return BundleItem{}, err
		}
		b.photo = nil
	}
	f, err := b.next()
	if err != nil {
		return BundleItem{}, err
	}
	switch f.Type {
	case FrameHello, FrameHelloReply:
		if (f.Type == FrameHello) != (b.Head.Kind == BundlePush) || b.done.Photos > 0 {
			return BundleItem{}, Refuse(CodeMalformed, "a message out of place")
		}
		b.done.Messages++
		return b.message(f)
	case FramePhoto:
		b.done.Photos++
		return b.announced(f)
	case FrameClose:
		return BundleItem{}, b.close(f)
	}
	return BundleItem{}, Refuse(CodeMalformed, fmt.Sprintf("frame %q between the parts of a bundle", rune(f.Type)))
}

// message collects the frames of one request or response, its end included.
func (b *BundleReader) message(f Frame) (item BundleItem, err error) {
	b.msg = b.msg[:0]
	for {
		if len(b.msg)+5+len(f.Payload) > b.limit {
			return item, Refuse(CodeTooLarge, "a message larger than allowed")
		}
		b.msg = AppendFrame(b.msg, f.Type, f.Payload)
		if f.Type == FrameEnd {
			return BundleItem{Message: b.msg}, nil
		}
		if f, err = b.next(); err != nil {
			return item, err
		}
		switch f.Type {
		case FrameBundle, FramePhoto, FrameData, FrameClose, FrameHello, FrameHelloReply:
			return item, Refuse(CodeMalformed, "a message without its end")
		}
	}
}

func (b *BundleReader) announced(f Frame) (BundleItem, error) {
	var p BundlePhoto
	if err := f.Decode(&p); err != nil {
		return BundleItem{}, err
	}
	if !ValidSHA(p.SHA256) || p.Size < 0 || len(p.MIME) > MaxMIMELen {
		return BundleItem{}, Refuse(CodeMalformed, "a photo that cannot be one")
	}
	if p.Size > MaxPhotoBytes {
		return BundleItem{}, Refuse(CodeTooLarge, "a photo larger than allowed")
	}
	b.photo = &photoReader{b: b, left: p.Size}
	return BundleItem{Photo: &p, Data: b.photo}, nil
}

func (b *BundleReader) close(f Frame) error {
	var c BundleClose
	if err := f.Decode(&c); err != nil {
		return err
	}
	if c != b.done {
		return Refuse(CodeTruncated, "the bundle counts other parts than it has")
	}
	_, err := b.fr.Next()
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return Refuse(CodeMalformed, "the bundle goes on behind its last frame")
}

// photoReader reads one photo's bytes out of its data frames.
type photoReader struct {
	b    *BundleReader
	left int64
	data []byte // of the present frame
	err  error
}

func (p *photoReader) Read(dst []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	if len(p.data) == 0 {
		if p.left == 0 {
			return 0, io.EOF
		}
		f, err := p.b.next()
		if err == nil && (f.Type != FrameData || len(f.Payload) == 0 || int64(len(f.Payload)) > p.left) {
			err = Refuse(CodeMalformed, "a photo with other data than announced")
		}
		if err != nil {
			p.err = err
			return 0, err
		}
		p.data, p.left = f.Payload, p.left-int64(len(f.Payload))
	}
	n := copy(dst, p.data)
	p.data = p.data[n:]
	return n, nil
}
