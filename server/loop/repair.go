package loop

import (
	"context"
	"slices"

	"aidloop/syncproto"
)

// A device whose rows of a bucket do not add up asks for a repair. It is written down as an incident, and answered with
// the leaves that differ, or, where that is not worth while or not possible, with the whole bucket. Leaves compare the
// rows that the device shows with those on record now, so that it does not matter how far the bucket has moved on.

// wanted takes the repairs of buckets in scope; the others are dropped.
func (f *feeding) wanted(scope []string, list []syncproto.Repair) {
	f.repairs = make(map[string]*syncproto.Repair, len(list))
	for i := range list {
		if slices.Contains(scope, list[i].Bucket) {
			f.repairs[list[i].Bucket] = &list[i]
		} else {
			f.json(syncproto.FrameDrop, syncproto.Drop{Bucket: list[i].Bucket})
		}
	}
}

// repair answers one, and says whether that is done: not where the whole bucket has to be sent. The rows of the leaves
// go out in one response, so that they and the checkpoint are of one state.
func (f *feeding) repair(head Bucket, rep *syncproto.Repair) (done bool, err error) {
	cur, err := syncproto.ParseCursor(rep.Cursor)
	if err != nil {
		return false, syncproto.Refuse(syncproto.CodeMalformed, "want: "+err.Error())
	}
	digest, err := syncproto.ParseHash(rep.Digest)
	if err != nil {
		return false, syncproto.Refuse(syncproto.CodeMalformed, "want: "+err.Error())
	}
	i := Incident{At: f.loop.clock().UnixMilli(), Device: f.device, Bucket: head.Name, Cursor: rep.Cursor, Count: rep.Count, Digest: syncproto.Digest(digest),
		Seq: head.Seq, ServerCount: head.Count, ServerDigest: head.Digest}
	home := cur.Incarnation == f.inc && cur.Seq <= head.Seq
	if home && rep.Leaves != nil && head.Count >= f.loop.repair {
		set, size, err := f.differing(head, rep)
		if err != nil {
			return false, err
		}
		if size <= f.budget {
			if f.frames > 0 && len(f.out)+size > f.budget {
				f.more = true // the next response has room for it
				return true, nil
			}
			i.Leaves, done = set.String(), true
			err = f.sendLeaves(head, set)
		}
		if err != nil {
			return false, err
		}
	}
	f.incidents = append(f.incidents, i)
	return done, nil
}

// differing compares a device's leaves with those of the rows on record, and says how many bytes of rows lie in those
// that differ.
func (f *feeding) differing(head Bucket, rep *syncproto.Repair) (set syncproto.LeafSet, size int, err error) {
	theirs, err := syncproto.ParseLeaves(rep.Leaves)
	if err != nil {
		return set, 0, syncproto.Refuse(syncproto.CodeMalformed, "want: "+err.Error())
	}
	ours := &syncproto.Leaves{}
	var sizes [syncproto.LeafCount]int
	err = f.tx.Feed(head.Name, 0, func(e Entry) (bool, error) {
		if !e.Exit && !e.Deleted {
			ours.Add(e.Ref, syncproto.RowHash(e.Env, e.Body))
			sizes[syncproto.Leaf(e.Ref)] += rowHead + len(e.Env) + len(e.Body)
		}
		return true, nil
	})
	if ours.Digest() != head.Digest {
		// No device can reach a digest that the server's own rows do not have.
		f.loop.log.Error("a bucket's rows do not add up on the server: run aidloop verify and put a backup back", "bucket", head.Name, "seq", head.Seq)
	}
	set = theirs.Differing(ours)
	for leaf, n := range sizes {
		if set.Has(byte(leaf)) {
			size += n
		}
	}
	return set, size, err
}

// rowHead is how many bytes a row frame has besides envelope and body.
const rowHead = 17

func (f *feeding) sendLeaves(head Bucket, set syncproto.LeafSet) error {
	f.json(syncproto.FrameBucket, syncproto.BucketStart{Bucket: head.Name, Leaves: set.String()})
	err := f.tx.Feed(head.Name, 0, func(e Entry) (bool, error) {
		if !e.Exit && !e.Deleted && set.Has(syncproto.Leaf(e.Ref)) {
			f.out = syncproto.AppendRow(f.out, e.Seq, e.Env, e.Body)
			f.frames++
		}
		return true, nil
	})
	f.checkpoint(head)
	return err
}

// writeDown keeps incidents before the device hears of their repair.
func (l *Loop) writeDown(ctx context.Context, list []Incident) error {
	if len(list) == 0 {
		return nil
	}
	for _, i := range list {
		l.log.Warn("rows of a bucket did not add up on a device", "device", i.Device, "bucket", i.Bucket, "cursor", i.Cursor, "count", i.Count,
			"seq", i.Seq, "server_count", i.ServerCount, "leaves", i.Leaves)
	}
	return l.store.Write(ctx, func(tx Tx) error {
		for _, i := range list {
			if err := tx.PutIncident(i); err != nil {
				return err
			}
		}
		return nil
	})
}
