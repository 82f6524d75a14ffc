package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
)

// part is one staged upload. mu serialises everything that touches its files; the index of Staging reads only info and finished.
type part struct {
	s        *Staging
	info     Info
	meta     string // the metadata as the sidecar holds it
	finished atomic.Bool

	mu     sync.Mutex
	gone   bool
	known  bool  // offset and end are those of the file
	offset int64 // plaintext bytes in good frames
	end    int64 // file length of the good frames
}

func (p *part) path(ext string) string { return p.s.path(p.info.ID + ext) }

// load finds out how many bytes are durable and cuts what a crash left half-written behind them.
func (p *part) load() error {
	switch {
	case p.gone:
		return ErrNotFound
	case p.finished.Load():
		p.offset = p.info.Length
		return nil
	case !p.s.now().Before(p.info.Expires):
		return ErrExpired
	case p.known:
		return nil
	}
	f, err := os.OpenFile(p.path(partExt), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("blob: staged upload: %w", err)
	}
	frames := newFrameReader(f, p.s.keys.upload(p.info.ID).aead())
	if err = frames.skip(); err == nil {
		err = cut(f, frames.end)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("blob: staged upload: %w", err)
	}
	p.offset, p.end, p.known = frames.offset, frames.end, true
	return nil
}

func (p *part) currentOffset() (int64, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.load()
	return p.offset, p.finished.Load(), err
}

func (p *part) append(ctx context.Context, offset int64, r io.Reader) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.load(); err != nil {
		return 0, err
	}
	if offset != p.offset {
		return 0, &OffsetError{Have: p.offset, Got: offset}
	}
	if p.offset == p.info.Length {
		return 0, atEnd(r)
	}
	f, err := os.OpenFile(p.path(partExt), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return 0, fmt.Errorf("blob: staged upload: %w", err)
	}
	w := frameWriter{f: f, p: p, offset: p.offset, end: p.end}
	readErr, writeErr := w.copy(ctx, r)
	if writeErr == nil {
		if undo := errors.Is(readErr, ErrDiscard) || errors.Is(readErr, ErrTooLong); undo {
			w.offset, w.end = p.offset, p.end
			writeErr = cut(f, p.end)
		} else {
			writeErr = f.Sync()
		}
	}
	if writeErr != nil {
		// What the disk holds is unknown now. Drop all of this call; if even that fails, the next load reads the file again.
		p.known = false
		return 0, fmt.Errorf("blob: staged upload: %w", errors.Join(writeErr, cut(f, p.end), f.Close()))
	}
	kept := w.offset - p.offset
	p.offset, p.end = w.offset, w.end
	return kept, errors.Join(readErr, f.Close())
}

// frameWriter appends frames to a staged file.
type frameWriter struct {
	f           *os.File
	p           *part
	offset, end int64
}

// copy reads r to its end, or to the upload's. It writes what r delivered before failing, and tells r's failures from the disk's.
func (w *frameWriter) copy(ctx context.Context, r io.Reader) (readErr, writeErr error) {
	aead := w.p.s.keys.upload(w.p.info.ID).aead()
	buf := make([]byte, min(SegmentSize, w.p.info.Length-w.offset))
	var frame []byte
	for w.offset < w.p.info.Length {
		n, err := fill(r, buf[:min(int64(len(buf)), w.p.info.Length-w.offset)])
		if n > 0 {
			if frame, writeErr = appendFrame(frame[:0], aead, w.p.s.random, w.offset, buf[:n]); writeErr != nil {
				return nil, writeErr
			}
			if _, writeErr = w.f.WriteAt(frame, w.end); writeErr != nil {
				return nil, writeErr
			}
			w.offset += int64(n)
			w.end += int64(len(frame))
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil, nil
		case err != nil:
			return err, nil
		case ctx.Err() != nil:
			return ctx.Err(), nil
		}
	}
	return atEnd(r), nil
}

// fill reads until p is full. Unlike io.ReadFull it hands on the reader's own error, so that a clean end and a broken one stay apart.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	if n == len(p) && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// atEnd checks that r has nothing more to give.
func atEnd(r io.Reader) error {
	var one [1]byte
	n, err := fill(r, one[:])
	switch {
	case n > 0:
		return ErrTooLong
	case errors.Is(err, io.EOF):
		return nil
	}
	return err
}

// finish seals the bytes, hands the sealed file to publish, and calls visible. See Upload.Finish for what each failure leaves.
func (p *part) finish(ctx context.Context, publish func(ctx context.Context, path string) error, visible func(context.Context) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.load(); err != nil || p.finished.Load() {
		return err
	}
	if p.offset != p.info.Length {
		return ErrIncomplete
	}
	// The hash comes first: sealing other bytes under this blob's key would use its nonces for two plaintexts.
	h := sha256.New()
	err := p.copyPlain(h)
	if err == nil && hex.EncodeToString(h.Sum(nil)) != p.info.SHA256 {
		return errors.Join(ErrMismatch, p.remove())
	}
	if err == nil {
		err = p.sealFile()
	}
	if err == nil {
		err = publish(ctx, p.path(sealExt))
	}
	err = errors.Join(err, removeFile(p.path(sealExt)))
	if err == nil && visible != nil {
		err = visible(ctx)
	}
	if err != nil {
		return err
	}
	if err := p.s.writeSidecar(p, true); err != nil {
		return err
	}
	p.finished.Store(true)
	return removeFile(p.path(partExt))
}

// sealFile writes the sealed form beside the frames, durable.
func (p *part) sealFile() error {
	out, err := os.OpenFile(p.path(sealExt), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("blob: seal: %w", err)
	}
	w := Seal(out, p.s.keys.Blob(p.info.SHA256))
	if err = p.copyPlain(w); err == nil {
		err = w.Close()
	}
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// copyPlain writes all of the upload's plaintext to w. ErrIncomplete if the file lost bytes since they were counted; they are counted anew
// then, and the client sends them again.
func (p *part) copyPlain(w io.Writer) error {
	f, err := os.Open(p.path(partExt))
	if err != nil {
		return fmt.Errorf("blob: staged upload: %w", err)
	}
	defer f.Close()
	frames := newFrameReader(f, p.s.keys.upload(p.info.ID).aead())
	for {
		plain, err := frames.next()
		switch {
		case errors.Is(err, io.EOF) && frames.offset == p.info.Length:
			return nil
		case errors.Is(err, io.EOF), errors.Is(err, errTorn):
			p.known = false
			return ErrIncomplete
		case err != nil:
			return fmt.Errorf("blob: staged upload: %w", err)
		}
		if _, err := w.Write(plain); err != nil {
			return err
		}
	}
}

func (p *part) abort() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.remove()
}

// remove deletes the upload's files, the sidecar last: whoever still finds it finds an upload that can be removed again. mu is held.
func (p *part) remove() error {
	if p.gone {
		return nil
	}
	for _, ext := range []string{sealExt, partExt, sidecarExt} {
		if err := removeFile(p.path(ext)); err != nil {
			return err
		}
	}
	p.gone = true
	p.s.forget(p.info.ID)
	return SyncDir(p.s.dir)
}
