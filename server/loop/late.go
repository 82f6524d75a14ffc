package loop

import (
	"strings"

	"aidloop/syncproto"
)

// lateGrant is how long clean work still counts after its grid was taken from its author, or its household from the
// grid, in milliseconds.
const lateGrant = syncproto.LateGrantDays * 24 * 3600 * 1000

// place finds the root under which a group's records belong, and its bucket: where that root lies by now, or where its
// put wants it.
func (j *judging) place(g *group, p *syncproto.Group) (root syncproto.Ref, bucket string, err error) {
	if p.Root.Kind == "user" {
		if p.Root.ID != j.dev.User {
			return p.Root, "", hold(syncproto.CodeOutOfScope, holdDesk)
		}
		return p.Root, syncproto.BucketUser + p.Root.ID, nil
	}
	if root, err = g.rootOf(p.Root); err != nil {
		return root, "", err
	}
	s, err := j.w.stored(root)
	if err != nil {
		return root, "", err
	}
	if s != nil {
		return root, s.Bucket, nil
	}
	for _, c := range p.Changes {
		if c.Op == syncproto.OpPut && c.Ref == p.Root && strings.HasPrefix(c.Bucket, syncproto.BucketGrid) {
			return root, c.Bucket, nil
		}
	}
	return root, "", hold(syncproto.CodeOutOfScope, holdDesk)
}

// allowed holds a group whose author has no grant for the bucket. Late says that the grant ended, or the root left a
// grid of the author's, after the capture and recently enough that clean work still counts. Missing and forbidden read
// the same.
func (j *judging) allowed(bucket string, p *syncproto.Group) (late bool, err error) {
	if bucket == syncproto.BucketUser+j.dev.User {
		return false, nil
	}
	known := uint64(0)
	if p.GV != "" {
		gv, err := syncproto.ParseCursor(p.GV)
		if err != nil {
			return false, reject(syncproto.CodeBadChange, "")
		}
		known = gv.Seq
	}
	for _, g := range j.grants {
		if g.bucket == bucket && g.active {
			return false, nil
		}
	}
	before, err := j.formerOf(p.Root)
	if err != nil {
		return false, err
	}
	held := false
	for _, f := range append(before, former{bucket: bucket}) {
		switch ended, had := j.ended(f, known); {
		case !had:
		case j.w.now-ended <= lateGrant:
			return true, nil
		default:
			held = true
		}
	}
	if held {
		return false, hold(syncproto.CodeGrantRevoked, holdDesk)
	}
	return false, hold(syncproto.CodeOutOfScope, holdDesk)
}

// ended says when the author lost what he had in a bucket at the capture: his grant, or the root that left.
func (j *judging) ended(f former, known uint64) (at int64, had bool) {
	for _, g := range j.grants {
		switch {
		case g.bucket != f.bucket:
		case g.active:
			return f.until, true
		case known < g.seq && f.until > 0:
			return min(g.ended, f.until), true
		case known < g.seq:
			return g.ended, true
		}
	}
	return 0, false
}

// former is a grid that a root has left: a root remembers those, so that what was captured there before its worker
// heard of it is still judged. The field holds a list of {bucket, until}, until in milliseconds since 1970 UTC.
type former struct {
	bucket string
	until  int64
}

const formerField = "former"

func formerOf(body syncproto.Object) (list []former) {
	for _, raw := range body.Get(formerField).Items() {
		if o, err := syncproto.ParseObject(raw); err == nil {
			list = append(list, former{o.Str("bucket"), o.Int("until")})
		}
	}
	return list
}

// formerOf gathers where a group's root lay before: the root that it names, and those that it was merged into.
func (j *judging) formerOf(root syncproto.Ref) (list []former, err error) {
	for range maxAliases {
		s, err := j.w.stored(root)
		if err != nil || s == nil {
			return list, err
		}
		body, err := syncproto.ParseObject(s.Body)
		if err != nil {
			return nil, err
		}
		list = append(list, formerOf(body)...)
		if s.Root == root {
			break
		}
		root = s.Root
	}
	return list, nil
}

// remember adds the grid that a root is about to leave to its former ones, and forgets those that nobody may build on
// any more.
func (g *group) remember(d *draft, toBucket string) error {
	if gridOf(d.bucket) == "" || d.bucket == toBucket {
		return nil
	}
	list := []any{}
	for _, f := range formerOf(d.rec.Body) {
		if f.bucket != d.bucket && g.w.now-f.until <= lateGrant {
			list = append(list, map[string]any{"bucket": f.bucket, "until": f.until})
		}
	}
	list = append(list, map[string]any{"bucket": d.bucket, "until": g.w.now})
	_, err := g.serverSet(d.rec.Ref, map[string]any{formerField: list})
	return err
}
