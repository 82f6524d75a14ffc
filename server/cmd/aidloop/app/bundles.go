package app

import (
	"context"
	"errors"
	"io"

	"aidloop/server/loop"
	"aidloop/storage/blob"
	"aidloop/syncproto"
)

// KeepPhoto keeps a photo that came in a bundle. One that a record refers to already is as good as kept; any other is
// written again, which heals a damaged copy and lets the sweep wait for its record.
func (a *App) KeepPhoto(ctx context.Context, device string, p syncproto.BundlePhoto, data io.Reader) error {
	if referred, err := a.Loop.Referred(ctx, p.SHA256); err != nil {
		return err
	} else if referred {
		if size, ok, err := a.Blobs.Has(ctx, p.SHA256); err == nil && ok && size == p.Size {
			return nil
		}
	}
	// An owner of its own, so that an upload which the phone has begun over a line is not taken up and given up here.
	owner := "bundle:" + syncproto.DerivedID("bundle", device)
	err := blob.Import(ctx, a.Blobs, blob.Info{ID: NewID(), Owner: owner, SHA256: p.SHA256, Length: p.Size}, data)
	switch {
	case errors.Is(err, blob.ErrMismatch), errors.Is(err, blob.ErrTooLong), errors.Is(err, blob.ErrInvalid):
		return loop.ErrBadPhoto
	case errors.Is(err, blob.ErrTooMany):
		return syncproto.Refuse(syncproto.CodeUnavailable, "too many photos of this device are being received")
	}
	return err
}
