package blob

import (
	"bufio"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A staged upload's bytes are a row of frames: the plaintext's length as four bytes big-endian (1 to SegmentSize), a random 12-byte nonce, then
// the AES-256-GCM ciphertext with its tag, bound to the frame's plaintext offset. Frames are only ever appended: the sealed format was
// rejected here, since its last segment would have to be rewritten under the same nonce whenever an upload goes on.
const (
	frameNonce  = 12
	frameHeader = 4 + frameNonce
)

// errTorn marks where the good frames end: a write that a crash cut short, or damage. What follows is dropped and sent again.
var errTorn = errors.New("blob: torn frame")

func frameAAD(offset int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(offset)) }

// appendFrame appends one frame to dst. random delivers the nonce.
func appendFrame(dst []byte, aead cipher.AEAD, random io.Reader, offset int64, plain []byte) ([]byte, error) {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(plain)))
	nonce := make([]byte, frameNonce)
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, fmt.Errorf("blob: nonce: %w", err)
	}
	dst = append(dst, nonce...)
	return aead.Seal(dst, nonce, plain, frameAAD(offset)), nil
}

// frameReader reads frames in order. offset and end are the plaintext and file positions after the last good frame.
type frameReader struct {
	r      *bufio.Reader
	aead   cipher.AEAD
	offset int64
	end    int64
	raw    []byte
	plain  []byte
}

func newFrameReader(r io.Reader, aead cipher.AEAD) *frameReader {
	return &frameReader{r: bufio.NewReaderSize(r, SegmentSize), aead: aead}
}

// next returns the next frame's plaintext, valid until the following call: io.EOF at the clean end, errTorn where the good frames end, and
// other errors as the file gives them.
func (f *frameReader) next() ([]byte, error) {
	var head [frameHeader]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return nil, torn(err)
	}
	n := int(binary.BigEndian.Uint32(head[:4]))
	if n == 0 || n > SegmentSize {
		return nil, errTorn
	}
	if f.raw == nil {
		f.raw = make([]byte, sealedStep)
	}
	raw := f.raw[:n+tagSize]
	if _, err := io.ReadFull(f.r, raw); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, torn(err)
	}
	plain, err := f.aead.Open(f.plain[:0], head[4:], raw, frameAAD(f.offset))
	if err != nil {
		return nil, errTorn
	}
	f.plain = plain
	f.offset += int64(n)
	f.end += int64(frameHeader + len(raw))
	return plain, nil
}

func torn(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errTorn
	}
	return err
}

// skip reads to where the good frames end.
func (f *frameReader) skip() error {
	for {
		switch _, err := f.next(); {
		case errors.Is(err, io.EOF), errors.Is(err, errTorn):
			return nil
		case err != nil:
			return err
		}
	}
}
