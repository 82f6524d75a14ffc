package loop

import (
	"context"
	"errors"
	"slices"

	"aidloop/syncproto"
)

// Reader is the principal of a pull: a device of a user, by its access token. Snapshots says that it fetches chunks;
// an exchange takes that from the hello.
type Reader struct {
	User      string
	Device    string
	Snapshots bool
}

// feeding writes one response's buckets, page by page, within a budget of bytes.
type feeding struct {
	loop   *Loop
	tx     ReadTx
	inc    string
	chunks bool // large buckets may be offered in chunks
	out    []byte
	frames int
	budget int
	more   bool

	device    string
	repairs   map[string]*syncproto.Repair
	incidents []Incident
}

func (f *feeding) json(t syncproto.FrameType, v any) {
	f.out = syncproto.AppendJSON(f.out, t, v)
	f.frames++
}

// Feed appends to dst what a device wants: the buckets of its scope, each from its cursor to a page or a checkpoint,
// and a drop for every bucket that it holds and should not. The scope is computed from the grants inside the same
// snapshot, never from what the device claims: its user: bucket first, so that it learns of new grants and keys
// before the rows they open, then ref, then grids in order of names. Stored bytes go out as they are. It returns the
// number of frames, and whether the budget ended before the feed.
func (l *Loop) Feed(ctx context.Context, r Reader, want *syncproto.Want, dst []byte) (out []byte, frames int, more bool, err error) {
	f := &feeding{loop: l, chunks: r.Snapshots, out: dst, budget: syncproto.PageBytes, device: r.Device}
	if want.MaxBytes > 0 {
		f.budget = min(max(want.MaxBytes, 4096), syncproto.MaxPageBytes)
	}
	err = l.store.Read(ctx, func(tx ReadTx) error {
		f.tx, f.inc, f.frames, f.more = tx, tx.Incarnation(), 0, false
		f.out, f.incidents = f.out[:len(dst)], nil
		scope, err := l.scope(tx, r.User)
		if err != nil {
			return err
		}
		return f.all(scope, want)
	})
	if err == nil {
		err = l.writeDown(ctx, f.incidents)
	}
	return f.out, f.frames, f.more, err
}

func (f *feeding) all(scope []string, want *syncproto.Want) error {
	at := make(map[string]standing, len(want.Cursors))
	for _, c := range want.Cursors {
		if !slices.Contains(scope, c.Bucket) {
			f.json(syncproto.FrameDrop, syncproto.Drop{Bucket: c.Bucket})
			continue
		}
		cur, err := syncproto.ParseCursor(c.Cursor)
		if err != nil {
			return syncproto.Refuse(syncproto.CodeMalformed, "want: "+err.Error())
		}
		// What was staged in another life is no state that the bucket ever had: a page leaves out rows that later pages
		// would have brought anew, and those may lie before the page again.
		if !c.Staged && !c.Chunks || cur.Incarnation == f.inc {
			at[c.Bucket] = standing{cur, c.Base, c.Chunks}
		}
	}
	f.wanted(scope, want.Repair)
	for _, bucket := range scope {
		if f.more {
			return nil
		}
		cur, known := at[bucket]
		if err := f.bucket(bucket, cur, known); err != nil {
			return err
		}
	}
	return nil
}

// standing is where a device stands in a bucket, see syncproto.BucketCursor.
type standing struct {
	syncproto.Cursor
	base   uint64
	chunks bool
}

// trimmed reports whether tombstones are gone that a device at this place has not had: those up to the floor are. A
// device that pages a bucket afresh needs those only that came after it began.
func (p standing) trimmed(floor uint64) bool { return max(p.Seq, p.base) < floor }

// bucket sends one bucket. A cursor of a life that was lost, beyond the head or below the floor starts afresh. One of a
// former life before its end goes on, and a checkpoint brings it home even where nothing is new.
func (f *feeding) bucket(name string, cur standing, known bool) error {
	head, err := f.tx.Bucket(name)
	if err != nil {
		return err
	}
	if rep := f.repairs[name]; rep != nil {
		if done, err := f.repair(head, rep); done || err != nil {
			return err
		}
		known = false
	}
	valid, err := f.valid(name, cur.Cursor)
	if err != nil {
		return err
	}
	home := cur.Incarnation == f.inc
	fresh := !known || !valid || max(cur.Seq, cur.base) > head.Seq || cur.trimmed(head.Floor)
	switch {
	case fresh:
		if !home || cur.Seq > head.Seq {
			cur.Seq = 0
		}
		if offered, err := f.snapshot(head, cur.Seq); offered || err != nil {
			return err
		}
		cur.Seq = 0
	case cur.chunks, cur.Seq == head.Seq && home:
		return nil // the device is on its way to a snapshot, or verified this head when it got there
	}
	f.out = slices.Grow(f.out, f.room(head.Seq-cur.Seq, head.Count))
	start := syncproto.BucketStart{Bucket: name, From: cur.Seq, Fresh: fresh}
	switch {
	case fresh:
		start.Head = head.Seq
	case cur.Seq < head.Floor: // the device may read this as a late reply, from another place
		start.Floor = head.Floor
	}
	f.json(syncproto.FrameBucket, start)
	sent, err := f.rows(name, cur.Seq, fresh)
	if err != nil {
		return err
	}
	if f.more {
		f.json(syncproto.FramePage, syncproto.Page{Seq: sent})
		return nil
	}
	f.checkpoint(head)
	return nil
}

func (f *feeding) checkpoint(head Bucket) {
	f.json(syncproto.FrameCheckpoint, syncproto.Checkpoint{Bucket: head.Name, Incarnation: f.inc, Seq: head.Seq, Count: head.Count, Digest: head.Digest.String()})
}

// valid reports whether a checkpoint's cursor is a place in this database's own past: of the present life, or of a former
// one up to the seq at which that bucket was put back. Up to there both lives have the same rows with the same seqs, and
// the present one numbers on behind it. A life is told apart by the token beside the database (storage/sqlite/life.go);
// where that was put back too and a new life passes for the former one, only the checkpoint's digest can tell.
func (f *feeding) valid(bucket string, cur syncproto.Cursor) (bool, error) {
	if cur.Incarnation == f.inc || cur.Incarnation == "" {
		return cur.Incarnation != "", nil
	}
	end, err := f.tx.LifeEnd(cur.Incarnation, bucket)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return cur.Seq <= end, err
}

// room guesses how many bytes a bucket's rows will take, so that a page is not copied again and again as it grows.
func (f *feeding) room(seqs uint64, rows int64) int {
	const usual = 1400 // bytes of a row with its envelope and frame
	n := min(int64(min(seqs, 1<<30)), rows) * usual
	return int(max(min(n, int64(f.budget-len(f.out))+64<<10), 4096))
}

// rows sends entries behind after and stops, between two seqs, when the budget is used up. A fresh start needs no
// deletions and exits: what is absent is gone.
func (f *feeding) rows(bucket string, after uint64, fresh bool) (sent uint64, err error) {
	sent = after
	err = f.tx.Feed(bucket, after, func(e Entry) (bool, error) {
		if e.Seq != sent && len(f.out) >= f.budget {
			f.more = true
			return false, nil
		}
		sent = e.Seq
		switch {
		case fresh && (e.Exit || e.Deleted):
		case e.Exit:
			f.json(syncproto.FrameExit, syncproto.Exit{Seq: e.Seq, Kind: e.Ref.Kind, ID: e.Ref.ID})
		default:
			f.out = syncproto.AppendRow(f.out, e.Seq, e.Env, e.Body)
			f.frames++
		}
		return true, nil
	})
	return sent, err
}

// scope lists the buckets that a user's devices may hold: his own, ref, and the grids he has a grant for. A disabled
// user keeps his own bucket only, so that he learns of it.
func (l *Loop) scope(tx ReadTx, user string) ([]string, error) {
	own := syncproto.BucketUser + user
	grants, err := l.grants(tx, user)
	if err != nil {
		return nil, err
	}
	u, err := tx.User(user)
	if errors.Is(err, ErrNotFound) || err == nil && u.Disabled {
		return []string{own}, nil
	}
	if err != nil {
		return nil, err
	}
	var grids []string
	for _, g := range grants {
		if g.active && syncproto.DeviceBucket(g.bucket) && !slices.Contains(grids, g.bucket) {
			grids = append(grids, g.bucket)
		}
	}
	slices.Sort(grids)
	return append([]string{own, syncproto.BucketRef}, grids...), nil
}

// grantView is what judging and feeding need of a grant record.
type grantView struct {
	bucket string
	role   string
	active bool
	seq    uint64 // of the grant's newest version in the user's bucket: when it was given or revoked
	ended  int64  // when it was revoked, milliseconds
}

// grants reads the grant records of a user's own bucket.
func (l *Loop) grants(tx ReadTx, user string) ([]grantView, error) {
	var list []grantView
	err := tx.ByRoot(userRoot(user), "grant", func(s *Stored) error {
		body, err := syncproto.ParseObject(s.Body)
		if err != nil {
			return err
		}
		list = append(list, grantView{bucket: body.Str("bucket"), role: body.Str("role"), seq: s.Seq,
			active: body.Str("state") == "active", ended: parseTime(body.Str("ended_at"))})
		return nil
	})
	return list, err
}

// userRoot is the root of the records in a user's own bucket.
func userRoot(user string) syncproto.Ref { return syncproto.Ref{Kind: "user", ID: user} }
