package loop

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

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
// phone out sees before what it may still hold, by what it last said. What it has captured since, nobody but the phone
// can know.
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
	u, err := tx.User(d.User)
	if err != nil {
		return x, false, err
	}
	x = GridDevice{Device: d, UserName: u.Name, Granted: grants[i].active, Silent: d.silent(now)}
	tasks, err := openTasks(tx, d.User)
	if err != nil {
		return x, false, err
	}
	held, err := tx.Held(d.ID, maxHeld)
	x.Tasks, x.Held = len(tasks), len(held)
	return x, true, err
}

// silent is how many whole days ago the device was last heard of.
func (d *Device) silent(now int64) int {
	return int((now - max(d.SeenAt, d.CreatedAt)) / (24 * time.Hour).Milliseconds())
}

func openTasks(tx ReadTx, user string) ([]*Stored, error) {
	page, err := tx.Find(Query{Kind: "task", States: []string{"open"}, Owner: user, Limit: 500})
	return page.Items, err
}

// Holdings is what a phone may still hold.
type Holdings struct {
	Device
	UserName string
	Silent   int // whole days since it was last heard of
	// Unsent are changes that it said it has captured and that are not on record. Claims says whether it ever said.
	Unsent  uint64
	Claims  bool
	Tasks   []syncproto.Ref // open tasks of its user
	Held    []Held          // what it sent and waits for people
	Buckets []Holding       // what it said it holds, or held when it erased it
	Missing []MissingPhoto  // photos that its records name and that have not arrived
	Partial bool            // there are more records of evidence than were looked at
	Shown   string          // proves to StepDevice that somebody has looked
}

// MissingPhoto is a record of evidence without its photo.
type MissingPhoto struct {
	Ref    syncproto.Ref
	Root   syncproto.Ref
	SHA256 string
}

// BlobThere says whether a blob has arrived.
type BlobThere func(ctx context.Context, sha256 string) (bool, error)

// maxEvidence bounds how many of the newest records of evidence of each grid are looked at.
const maxEvidence = 2000

// Holdings tells what a phone may still hold, before somebody moves its work, retires it or shuts it out.
func (l *Loop) Holdings(ctx context.Context, by casework.Actor, device string, there BlobThere) (h *Holdings, err error) {
	var named []MissingPhoto
	err = l.store.Read(ctx, func(tx ReadTx) error {
		d, err := tx.Device(device)
		if err != nil {
			return err
		}
		u, err := tx.User(d.User)
		if err != nil {
			return err
		}
		if err := by.May(casework.VerbListUsers, casework.Subject{Kind: "user", Region: u.Region, Dept: u.Dept}); err != nil {
			return err
		}
		h = &Holdings{Device: *d, UserName: u.Name, Silent: d.silent(l.clock().UnixMilli()), Unsent: d.Unsent(), Claims: d.Claimed > 0, Tasks: []syncproto.Ref{}}
		tasks, err := openTasks(tx, d.User)
		if err != nil {
			return err
		}
		for _, t := range tasks {
			h.Tasks = append(h.Tasks, t.Ref)
		}
		if h.Held, err = tx.Held(d.ID, maxHeld); err != nil {
			return err
		}
		if h.Buckets, err = tx.Holdings(d.ID); err != nil {
			return err
		}
		h.Shown = d.shown(len(h.Held))
		named, h.Partial, err = l.evidenceOf(tx, d)
		return err
	})
	if err != nil {
		return nil, err
	}
	h.Missing = []MissingPhoto{}
	for _, m := range named {
		ok, err := there(ctx, m.SHA256)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		if !ok {
			h.Missing = append(h.Missing, m)
		}
	}
	return h, nil
}

// shown stands for what people are told of a device.
func (d *Device) shown(held int) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%s|%s|%d|%d|%d|%d", d.ID, d.State, d.Have, d.Claimed, d.Photos, held))
	return hex.EncodeToString(h[:8])
}

// evidenceOf lists the photos that a device's own records name, in the grids that its user has or had.
func (l *Loop) evidenceOf(tx ReadTx, d *Device) (list []MissingPhoto, partial bool, err error) {
	grants, err := l.grants(tx, d.User)
	if err != nil {
		return nil, false, err
	}
	for _, g := range grants {
		q := Query{Kind: "evidence", Region: regionOf(g.bucket), Limit: 500}
		for n := 0; ; n += 500 {
			if n == maxEvidence {
				partial = true
				break
			}
			page, err := tx.Find(q)
			if err != nil {
				return nil, false, err
			}
			for _, s := range page.Items {
				rec, err := parseStored(s)
				if err != nil {
					return nil, false, err
				}
				if origin, _, _ := rec.Version.Stamp.Split(); origin == d.ID && rec.Body.Str("sha256") != "" {
					list = append(list, MissingPhoto{s.Ref, s.Root, rec.Body.Str("sha256")})
				}
			}
			if q.After = page.Next; q.After == "" {
				break
			}
		}
	}
	return list, partial, nil
}
