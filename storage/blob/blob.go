// Package blob keeps photos, receipts and signatures by content. A blob is named by the lower-case hex SHA-256 of its plaintext and is
// encrypted wherever it rests: while it is still arriving (see Staging) and afterwards (see Seal).
//
// The work is cut in three, so that no backend repeats a rule:
//
//   - Staging holds uploads that are under way, in a local folder. Whatever a phone managed to send before its network broke is kept
//     across restarts, in encrypted frames that are appended and never rewritten.
//   - Objects is all that a backend does: keep sealed bytes under a name, whole or not at all. storage/blob/dir and storage/blob/s3
//     implement it and never see a plaintext or a key.
//   - Vault joins the two into a Store. It alone checks hashes, encrypts, opens and sweeps.
//
// storage/storagetest/blobtest is the one conformance suite that every backend passes.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Errors of this package. Callers test them with errors.Is; OffsetError is tested with errors.As.
var (
	// ErrNotFound: no such blob, or no such upload (never created, aborted, refused or swept).
	ErrNotFound = errors.New("blob: not found")
	// ErrCorrupt: the bytes at rest are not those that were sealed (a flipped bit, a truncation, another key).
	ErrCorrupt = errors.New("blob: corrupt at rest")
	// ErrMismatch: an upload's bytes do not have the SHA-256 that was declared for them. The upload is gone.
	ErrMismatch = errors.New("blob: content differs from its declared hash")
	// ErrIncomplete: an upload was asked to finish before all its bytes had arrived. It stays as it is.
	ErrIncomplete = errors.New("blob: upload is incomplete")
	// ErrTooLong: more bytes than were declared, or a declared length over the limit. Nothing of the call was kept.
	ErrTooLong = errors.New("blob: more bytes than allowed")
	// ErrTooMany: the owner has as many unfinished uploads, or as many unfinished bytes, as the limits allow.
	ErrTooMany = errors.New("blob: too many unfinished uploads")
	// ErrExpired: the upload is older than the limit and waits for the sweep.
	ErrExpired = errors.New("blob: upload has expired")
	// ErrInvalid: a name, a hash or a length that cannot be one.
	ErrInvalid = errors.New("blob: invalid argument")
	// ErrDiscard: a reader passed to Upload.Append returns an error that wraps it to have the whole call undone, for example because a
	// checksum over the chunk did not match. Any other error of a reader keeps what had arrived.
	ErrDiscard = errors.New("blob: discard this chunk")
)

// OffsetError says that an append did not start where the upload's bytes end.
type OffsetError struct {
	Have int64 // bytes that are durable, where the next append has to start
	Got  int64 // where the refused one started
}

func (e *OffsetError) Error() string {
	return fmt.Sprintf("blob: append at %d, but %d bytes are here", e.Got, e.Have)
}

// Info describes an upload. It is fixed when the upload is created.
type Info struct {
	ID       string    // names the upload: 1 to 63 of [a-z0-9-]; minted by the caller
	Owner    string    // the device that uploads: 1 to 64 of [A-Za-z0-9_.:-]
	SHA256   string    // declared hash of the plaintext, 64 lower-case hex digits
	Length   int64     // declared length in bytes, 0 to Limits.MaxBlob
	Metadata string    // whatever the client wants to hear again, at most MaxMetadata bytes; encrypted at rest
	Created  time.Time // set by Create
	Expires  time.Time // set by Create: after it the upload is refused with ErrExpired and swept
}

// Upload is one upload under way, or one that has finished and has not expired. All its calls may be repeated and may be made from
// several goroutines, which then take turns.
type Upload interface {
	// Info returns what was declared.
	Info() Info
	// Offset returns how many bytes are durable, and whether the upload has finished (then the offset is the length).
	Offset(ctx context.Context) (offset int64, finished bool, err error)
	// Append adds r's bytes at offset, which must be the present Offset (else *OffsetError), and returns how many were kept. Bytes that
	// r delivered before it failed are durable when Append returns r's error, unless that error wraps ErrDiscard. A reader that holds
	// more than the declared length is refused with ErrTooLong and nothing of it is kept.
	Append(ctx context.Context, offset int64, r io.Reader) (int64, error)
	// Finish checks the bytes against the declared hash and makes the blob visible, then calls visible, which may be nil. An error of
	// visible is returned and leaves the upload unfinished: a later Finish calls it again, so it is called at least once for every upload
	// that ever finished. A wrong hash removes the upload and returns ErrMismatch; missing bytes return ErrIncomplete. Finishing a
	// finished upload does nothing.
	Finish(ctx context.Context, visible func(context.Context) error) error
	// Abort removes the upload and its bytes. A blob that it made visible stays.
	Abort(ctx context.Context) error
}

// Store keeps blobs and the uploads that become blobs.
type Store interface {
	// Create begins an upload. An unfinished upload of the same owner with the same hash and length is returned instead of a new one, so
	// that a client that never heard the answer to its first try does not leave a second upload behind.
	Create(ctx context.Context, info Info) (Upload, error)
	// Upload finds an upload by its id, also after a restart. ErrNotFound, ErrExpired.
	Upload(ctx context.Context, id string) (Upload, error)
	// Open returns a visible blob and its length in bytes. A truncated blob is refused here already; a damaged one where it is damaged
	// (ErrCorrupt). The reader is bound to ctx and not safe for concurrent use.
	Open(ctx context.Context, sha string) (io.ReadSeekCloser, int64, error)
	// Has says whether a blob is visible and how long it is, without reading it.
	Has(ctx context.Context, sha string) (size int64, ok bool, err error)
	// Verify reads a visible blob and compares it with its name: ErrNotFound, ErrCorrupt.
	Verify(ctx context.Context, sha string) error
	// Walk calls fn for every visible blob in the order of the names and stops at the first error. size is in bytes of plaintext, or -1 if
	// the object's length alone shows that it is damaged.
	Walk(ctx context.Context, fn func(sha string, size int64) error) error
	// Sweep removes expired uploads and what crashes left behind, and every visible blob that keep refuses and that has been visible for
	// longer than olderThan at now. keep is asked right before each removal. olderThan must leave time for the record that refers to a
	// blob to arrive after it; under MinGrace it is refused with ErrInvalid.
	Sweep(ctx context.Context, keep func(sha string) bool, olderThan time.Duration, now time.Time) (Swept, error)
}

// Swept counts what a sweep removed.
type Swept struct {
	Blobs     int // visible blobs that nothing referred to
	Uploads   int // uploads that had expired
	Leftovers int // files or multipart uploads that a crash had left
}

// MinGrace is the shortest olderThan that Sweep accepts.
const MinGrace = 24 * time.Hour

// MaxMetadata bounds Info.Metadata, in bytes.
const MaxMetadata = 2048

// Import puts a whole blob into a store in one go, for callers that already hold it (a sealed bundle, a fixture). It returns ErrMismatch
// or ErrIncomplete if r does not deliver exactly what info declares, and leaves nothing behind then.
func Import(ctx context.Context, s Store, info Info, r io.Reader) error {
	up, err := s.Create(ctx, info)
	if err != nil {
		return err
	}
	offset, finished, err := up.Offset(ctx)
	if err != nil || finished {
		return err
	}
	if _, err = io.CopyN(io.Discard, r, offset); err == nil {
		_, err = up.Append(ctx, offset, r)
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = up.Finish(ctx, nil)
	}
	if err != nil {
		return errors.Join(err, up.Abort(ctx))
	}
	return nil
}
