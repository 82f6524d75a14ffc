package loop

import (
	"strings"

	"aidloop/syncproto"
)

// moveRoot takes a root with everything under it to another bucket, or under another root, in one group: exits in the
// old bucket, rows in the new one. Key records are wrapped anew for the new bucket, so that whoever receives the rows
// can open them and whoever lost them cannot follow.
func (g *group) moveRoot(root, toRoot syncproto.Ref, toBucket string) error {
	var refs []syncproto.Ref
	if err := g.w.tx.ByRoot(root, "", func(s *Stored) error { refs = append(refs, s.Ref); return nil }); err != nil {
		return err
	}
	for _, ref := range refs {
		d, err := g.open(ref)
		if err != nil {
			return err
		}
		if ref.Kind == "key" && d.bucket != toBucket {
			if err := g.rewrapRecord(d, toBucket); err != nil {
				return err
			}
		}
		if ref == root && ref.Kind != "user" {
			if err := g.remember(d, toBucket); err != nil {
				return err
			}
		}
		if d.bucket != toBucket || d.rec.Root != toRoot {
			d.bucket, d.rec.Root, d.dirty = toBucket, toRoot, true
		}
	}
	delete(g.w.rings, root)
	delete(g.w.rings, toRoot)
	return nil
}

func (g *group) rewrapRecord(d *draft, toBucket string) error {
	keys, err := g.w.l.rewrap(g.w.tx, d.rec.Ref, d.rec.Body.Get("keys"), d.bucket, toBucket)
	if err != nil {
		return err
	}
	_, err = g.serverSet(d.rec.Ref, map[string]any{"keys": keys})
	return err
}

// gridOf is the grid that a bucket holds, or "".
func gridOf(bucket string) string {
	g, ok := strings.CutPrefix(bucket, syncproto.BucketGrid)
	if !ok {
		return ""
	}
	return g
}

// regionOf is the region or department that a bucket belongs to, or "" for ref and user buckets.
func regionOf(bucket string) string {
	if g := gridOf(bucket); g != "" {
		return g
	}
	r, _ := strings.CutPrefix(bucket, syncproto.BucketDesk)
	if r == bucket {
		return ""
	}
	return r
}
