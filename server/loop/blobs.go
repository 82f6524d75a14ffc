package loop

import (
	"context"
	"errors"
	"slices"

	"aidloop/server/casework"
)

// MayReadBlob says whether a user's devices may read a blob, or hear that the server has it: a record that they hold
// must refer to it. ErrNotFound stands for missing and forbidden alike.
func (l *Loop) MayReadBlob(ctx context.Context, user, sha256 string) error {
	return l.store.Read(ctx, func(tx ReadTx) error {
		scope, err := l.scope(tx, user)
		if err != nil {
			return err
		}
		return l.refersTo(tx, sha256, func(s *Stored) bool { return slices.Contains(scope, s.Bucket) })
	})
}

// MayViewBlob is the same for a desk: the record must lie in the caller's region, and he must be allowed to open
// sealed fields, since a photo shows more than any of them.
func (l *Loop) MayViewBlob(ctx context.Context, by casework.Actor, sha256 string) error {
	return l.run(ctx, func(w *work) error {
		var of *Stored
		err := l.refersTo(w.tx, sha256, func(s *Stored) bool {
			of = s
			return by.May(casework.VerbReadSealed, casework.Subject{Kind: s.Ref.Kind, Region: regionOf(s.Bucket)}) == nil
		})
		if err != nil {
			return err
		}
		w.auditBy(by, "view_blob", of.Ref, of.Root, nil)
		return nil
	})
}

func (l *Loop) refersTo(tx ReadTx, sha256 string, ok func(*Stored) bool) error {
	refs, err := tx.ByBlob(sha256)
	if err != nil {
		return err
	}
	for _, ref := range refs {
		s, err := tx.Record(ref)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if !s.Deleted && ok(s) {
			return nil
		}
	}
	return ErrNotFound
}

// Referred reports whether any record refers to a blob; the sweeper keeps those.
func (l *Loop) Referred(ctx context.Context, sha256 string) (bool, error) {
	err := l.store.Read(ctx, func(tx ReadTx) error { return l.refersTo(tx, sha256, func(*Stored) bool { return true }) })
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
