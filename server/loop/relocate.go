package loop

import (
	"cmp"
	"context"
	"slices"
	"time"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// MoveHousehold takes a household with everything under it to another grid of the county: within a town by the town, to
// another town by the bureau. Phones of the old grid drop it at their next sync; what they captured before still counts
// (see judging.allowed). GridDevices tells beforehand which of them are silent.
func (l *Loop) MoveHousehold(ctx context.Context, by casework.Actor, household, grid, reason string) (*Merged, error) {
	reason = clipRunes(reason, 500)
	if reason == "" {
		return nil, casework.NewError(casework.CodeInvalidValue, "请写明迁移原因。")
	}
	var out *Merged
	err := l.run(ctx, func(w *work) error {
		out = &Merged{Reassign: []string{}}
		g := w.newGroup()
		ref := syncproto.Ref{Kind: "household", ID: household}
		d, err := g.visible(by, casework.VerbMoveHousehold, ref)
		if err != nil {
			return err
		}
		if d.rec.Body.Has(mergedInto) {
			return casework.NewError(casework.CodeInvalidTransition, "这个家庭已经合并到另一个家庭。")
		}
		if err := w.gridFor(by, d, grid); err != nil {
			return err
		}
		bucket := syncproto.BucketGrid + grid
		from := d.bucket
		if err := g.moveRoot(ref, ref, bucket); err != nil {
			return err
		}
		if _, err := g.serverSet(ref, map[string]any{"town": grid[:9] + "000", "village": grid[:12], "grid": grid}); err != nil {
			return err
		}
		if err := g.relink(d, out); err != nil {
			return err
		}
		w.auditBy(by, "move_household", ref, ref, map[string]any{"from": gridOf(from), "to": grid, "reason": reason})
		return g.commit()
	})
	return out, err
}

// gridFor insists on another grid, in a village on record, that the caller may move to.
func (w *work) gridFor(by casework.Actor, d *draft, grid string) error {
	bad := casework.NewError(casework.CodeInvalidValue, "请选择本辖区内的另一个网格。")
	if !casework.IsGrid(grid) || gridOf(d.bucket) == grid || by.May(casework.VerbMoveHousehold, casework.Subject{Kind: "household", Region: grid}) != nil {
		return bad
	}
	s, err := w.stored(syncproto.Ref{Kind: "region", ID: grid[:12]})
	if err == nil && (s == nil || s.Deleted) {
		err = bad
	}
	return err
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
