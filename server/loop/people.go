package loop

import (
	"context"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Users lists the accounts of a region, which is the caller's own where it is "".
func (l *Loop) Users(ctx context.Context, by casework.Actor, region, after string, limit int) (list []User, next string, err error) {
	if region == "" {
		region = by.Region
	}
	if err := by.May(casework.VerbListUsers, casework.Subject{Kind: "user", Region: region}); err != nil {
		return nil, "", err
	}
	if limit <= 0 || limit > 500 {
		limit = 50
	}
	err = l.store.Read(ctx, func(tx ReadTx) error {
		var err error
		list, err = tx.Users(casework.RegionPrefix(region), after, limit+1)
		return err
	})
	if len(list) > limit {
		list = list[:limit]
		next = list[limit-1].Login
	}
	return list, next, err
}

// Devices lists the phones of a user of the caller's region.
func (l *Loop) Devices(ctx context.Context, by casework.Actor, user string) (list []Device, err error) {
	err = l.store.Read(ctx, func(tx ReadTx) error {
		u, err := tx.User(user)
		if err != nil {
			return err
		}
		if err := by.May(casework.VerbListUsers, casework.Subject{Kind: "user", Region: u.Region}); err != nil {
			return err
		}
		list, err = tx.Devices(user)
		return err
	})
	return list, err
}

// AuditTrail lists who did what, newest first.
func (l *Loop) AuditTrail(ctx context.Context, by casework.Actor, before int64, limit int) (list []Audit, err error) {
	if err := by.May(casework.VerbReadAudit, casework.Subject{Kind: "audit", Region: by.Region}); err != nil {
		return nil, err
	}
	err = l.store.Read(ctx, func(tx ReadTx) error {
		list, err = tx.Audit(syncproto.Ref{}, before, min(max(limit, 1), 500))
		return err
	})
	return list, err
}
