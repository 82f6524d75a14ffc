package blob

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The sealed format: the plaintext in segments of SegmentSize bytes, each encrypted with AES-256-GCM and followed by its 16-byte tag. Only
// the last segment may be shorter; it is empty only if the whole plaintext is. The nonce of a segment is seven zero bytes, its number as
// four bytes big-endian, and one byte that is 1 for the last segment and 0 for all others. There is no header: every byte is
// authenticated, a segment cannot be moved, dropped or repeated, and a blob cut at a segment's edge fails because its new last segment was
// not sealed as one. The layout allows reading from any offset.
const (
	SegmentSize = 64 << 10
	tagSize     = 16
	sealedStep  = SegmentSize + tagSize
	maxSegments = 1 << 32
)

// SealedSize returns the length of a sealed blob of plain bytes.
func SealedSize(plain int64) int64 {
	segments := max((plain+SegmentSize-1)/SegmentSize, 1)
	return plain + segments*tagSize
}

// plainSize inverts SealedSize; lengths that no sealed blob has are ErrCorrupt.
func plainSize(sealed int64) (plain, segments int64, err error) {
	rest := sealed % sealedStep
	segments = sealed / sealedStep
	if rest > 0 {
		segments++
	}
	plain = sealed - segments*tagSize
	if sealed < tagSize || SealedSize(plain) != sealed || segments > maxSegments {
		return 0, 0, fmt.Errorf("%w: no sealed blob has %d bytes", ErrCorrupt, sealed)
	}
	return plain, segments, nil
}

func segmentNonce(n int64, last bool) []byte {
	nonce := make([]byte, 12)
	binary.BigEndian.PutUint32(nonce[7:11], uint32(n))
	if last {
		nonce[11] = 1
	}
	return nonce
}

// sealer holds one segment back, because only Close knows which one is the last.
type sealer struct {
	dst  io.Writer
	aead cipher.AEAD
	buf  []byte
	out  []byte
	next int64
	err  error
}

// Seal returns a writer that encrypts what is written to it into dst. Only a Close that returns nil makes the sealed bytes complete; it does
// not close dst.
func Seal(dst io.Writer, key Key) io.WriteCloser {
	return &sealer{dst: dst, aead: key.aead(), buf: make([]byte, 0, SegmentSize), out: make([]byte, 0, sealedStep)}
}

func (s *sealer) Write(p []byte) (int, error) {
	written := 0
	for s.err == nil && len(p) > 0 {
		if len(s.buf) == SegmentSize {
			s.flush(false)
			continue
		}
		n := min(SegmentSize-len(s.buf), len(p))
		s.buf = append(s.buf, p[:n]...)
		p, written = p[n:], written+n
	}
	return written, s.err
}

func (s *sealer) flush(last bool) {
	if s.next >= maxSegments {
		s.err = ErrTooLong
		return
	}
	s.out = s.aead.Seal(s.out[:0], segmentNonce(s.next, last), s.buf, nil)
	s.buf = s.buf[:0]
	s.next++
	if _, err := s.dst.Write(s.out); err != nil {
		s.err = fmt.Errorf("blob: write sealed bytes: %w", err)
	}
}

var errSealed = errors.New("blob: the sealer is closed")

func (s *sealer) Close() error {
	if s.err != nil {
		return s.err
	}
	s.flush(true)
	if s.err == nil {
		s.err = errSealed
		return nil
	}
	return s.err
}
