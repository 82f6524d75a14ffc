package loop

import (
	"context"
	"strings"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// UserFilter selects accounts. Empty members do not restrict; the caller's own region always does.
type UserFilter struct {
	Region string
	Role   string
	Word   string // in the login or the name
	After  string
	Limit  int // 1 to 500; 0 for 50
}

// Users lists accounts in order of logins.
func (l *Loop) Users(ctx context.Context, by casework.Actor, f UserFilter) (list []User, next string, err error) {
	if f.Region == "" {
		f.Region = by.Region
	}
	if err := by.May(casework.VerbListUsers, casework.Subject{Kind: "user", Region: f.Region}); err != nil {
		return nil, "", err
	}
	if f.Limit <= 0 || f.Limit > 500 {
		f.Limit = 50
	}
	err = l.store.Read(ctx, func(tx ReadTx) error {
		list = nil
		for after := f.After; ; {
			page, err := tx.Users(casework.RegionPrefix(f.Region), after, 500)
			if err = errorsOr(ctx, err); err != nil {
				return err
			}
			for _, u := range page {
				after = u.Login
				if f.Role != "" && u.Role != f.Role || f.Word != "" && !strings.Contains(u.Login, f.Word) && !strings.Contains(u.Name, f.Word) {
					continue
				}
				if list = append(list, u); len(list) > f.Limit {
					return nil
				}
			}
			if len(page) < 500 {
				return nil
			}
		}
	})
	if len(list) > f.Limit {
		list = list[:f.Limit]
		next = list[f.Limit-1].Login
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
