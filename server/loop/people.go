package loop

import (
	"cmp"
	"context"
	"slices"
	"time"

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

// GridDevice is a phone that holds a grid, or may still hold work that was captured there.
type GridDevice struct {
	Device
	UserName string
	Granted  bool // false: the grant has ended, recently enough that clean work still counts
	Silent   int  // whole days since it was last heard of
	Tasks    int  // open tasks of its user: work that may lie on the phone
	Held     int  // groups of it that wait for people
}

// GridDevices lists the phones of a grid, the longest silent first: who moves a household, takes a grant away or shuts a
// phone out sees before what it may still hold. What a phone has captured and not sent, nobody but the phone can know.
func (l *Loop) GridDevices(ctx context.Context, by casework.Actor, grid string) (list []GridDevice, err error) {
	if !casework.IsGrid(grid) {
		return nil, casework.NewError(casework.CodeInvalidValue, "网格编号不正确,应为12位村代码加3位网格号。")
	}
	if err := by.May(casework.VerbListUsers, casework.Subject{Kind: "user", Region: grid}); err != nil {
		return nil, err
	}
	now := l.clock().UnixMilli()
	err = l.store.Read(ctx, func(tx ReadTx) error {
		list = []GridDevice{}
		devices, err := tx.Devices("")
		if err != nil {
			return err
		}
		for _, d := range devices {
			x, holds, err := l.gridDevice(tx, d, syncproto.BucketGrid+grid, now)
			if err != nil {
				return err
			}
			if holds {
				list = append(list, x)
			}
		}
		return nil
	})
	slices.SortStableFunc(list, func(a, b GridDevice) int { return cmp.Compare(b.Silent, a.Silent) })
	return list, err
}

func (l *Loop) gridDevice(tx ReadTx, d Device, bucket string, now int64) (x GridDevice, holds bool, err error) {
	grants, err := l.grants(tx, d.User)
	if err != nil {
		return x, false, err
	}
	i := slices.IndexFunc(grants, func(g grantView) bool { return g.bucket == bucket && (g.active || now-g.ended <= lateGrant) })
	if i < 0 {
		return x, false, nil
	}
	x = GridDevice{Device: d, Granted: grants[i].active, Silent: int((now - max(d.SeenAt, d.CreatedAt)) / (24 * time.Hour).Milliseconds())}
	u, err := tx.User(d.User)
	if err != nil {
		return x, false, err
	}
	x.UserName = u.Name
	tasks, err := tx.Find(Query{Kind: "task", States: []string{"open"}, Owner: d.User, Limit: 500})
	if err != nil {
		return x, false, err
	}
	held, err := tx.Held(d.ID, maxHeld)
	x.Tasks, x.Held = len(tasks.Items), len(held)
	return x, true, err
}

// seenEvery is how exact a phone's time of last contact is where it had nothing to push.
const seenEvery = 6 * time.Hour

// seen notes that a phone was there although it pushed nothing.
func (l *Loop) seen(ctx context.Context, device string) error {
	return l.run(ctx, func(w *work) error {
		d, err := w.tx.Device(device)
		if err != nil {
			return err
		}
		d.SeenAt = max(d.SeenAt, w.now)
		return w.tx.PutDevice(d)
	})
}
