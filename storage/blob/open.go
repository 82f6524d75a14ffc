package blob

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
)

// Source opens a sealed object's bytes from an offset to its end. Reading in order uses one stream; only a jump asks for another, so that
// a backend behind a network is not asked once per segment.
type Source func(offset int64) (io.ReadCloser, error)

// reader opens a sealed blob. Its position is a plaintext offset.
type reader struct {
	src      Source
	aead     cipher.AEAD
	size     int64 // of the plaintext
	segments int64
	sealed   int64 // of the object

	pos     int64
	stream  io.ReadCloser
	ahead   int64  // the segment that stream delivers next
	segment int64  // the segment in plain, or -1
	plain   []byte // of segment
	raw     []byte
}

// Open returns a reader over the plaintext of a sealed object of sealedSize bytes, and the plaintext's length. It opens the last segment
// at once, so that a blob cut or extended anywhere is refused before a byte of it is served; a flipped bit is found in the segment that
// holds it. Both are ErrCorrupt. The reader is not safe for concurrent use.
func Open(src Source, sealedSize int64, key Key) (io.ReadSeekCloser, int64, error) {
	plain, segments, err := plainSize(sealedSize)
	if err != nil {
		return nil, 0, err
	}
	r := &reader{src: src, aead: key.aead(), size: plain, segments: segments, sealed: sealedSize, segment: -1}
	if err := r.load(segments - 1); err != nil {
		return nil, 0, errors.Join(err, r.Close())
	}
	return r, plain, nil
}

func (r *reader) Read(p []byte) (int, error) {
	if r.pos >= r.size {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	if want := r.pos / SegmentSize; want != r.segment {
		if err := r.load(want); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.plain[r.pos%SegmentSize:])
	r.pos += int64(n)
	return n, nil
}

// load reads and opens one segment.
func (r *reader) load(n int64) error {
	r.segment = -1
	if r.stream == nil || r.ahead != n {
		if err := r.Close(); err != nil {
			return err
		}
		stream, err := r.src(n * sealedStep)
		if err != nil {
			return fmt.Errorf("blob: open sealed bytes: %w", err)
		}
		r.stream, r.ahead = stream, n
	}
	if r.raw == nil {
		r.raw = make([]byte, min(sealedStep, r.sealed))
	}
	raw := r.raw[:min(sealedStep, r.sealed-n*sealedStep)]
	if _, err := io.ReadFull(r.stream, raw); err != nil {
		return errors.Join(fmt.Errorf("blob: read sealed bytes: %w", err), r.Close())
	}
	r.ahead++
	plain, err := r.aead.Open(r.plain[:0], segmentNonce(n, n == r.segments-1), raw, nil)
	if err != nil {
		return errors.Join(fmt.Errorf("%w: segment %d does not open", ErrCorrupt, n), r.Close())
	}
	r.plain, r.segment = plain, n
	return nil
}

func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 || whence < io.SeekStart || whence > io.SeekEnd {
		return r.pos, fmt.Errorf("%w: seek to %d", ErrInvalid, offset)
	}
	r.pos = offset
	return offset, nil
}

// Close releases the stream under the reader.
func (r *reader) Close() error {
	if r.stream == nil {
		return nil
	}
	err := r.stream.Close()
	r.stream = nil
	return err
}
