package sqlite

import (
	"context"
	"strings"

	"aidloop/server/loop"
	"aidloop/syncproto"
)

// view implements loop.ReadTx on a connection with an open transaction.
type view struct {
	s      *Store
	c      *conn
	ctx    context.Context
	writes bool
}

var _ loop.ReadTx = (*view)(nil)

// one runs a query for at most one row; ErrNotFound where there is none.
func one(q *stmt, read func(*stmt)) error {
	found := q.row()
	if found {
		read(q)
	}
	if err := q.done(); err != nil {
		return err
	}
	if !found {
		return loop.ErrNotFound
	}
	return nil
}

// each runs a query and hands every row over. The statement stays in use meanwhile; nested ones get their own.
func (v *view) each(q *stmt, fn func(*stmt) (bool, error)) error {
	for n := 0; q.row(); n++ {
		if n%256 == 255 && v.ctx.Err() != nil {
			_ = q.done() // what the caller hears of is that his time is over
			return v.ctx.Err()
		}
		more, err := fn(q)
		if err != nil {
			_ = q.done() // the caller's own error counts
			return err
		}
		if !more {
			break
		}
	}
	return q.done()
}

func (v *view) Incarnation() string { return v.s.incarnation }

// bucketName finds a bucket's name by its number.
func (v *view) bucketName(n int64) (string, error) {
	if name, ok := v.s.names.name(n); ok {
		return name, nil
	}
	name := ""
	err := one(v.c.use("SELECT name FROM buckets WHERE n = ?").int(n), func(q *stmt) { name = q.str(0) })
	if err == nil && !v.writes {
		v.s.names.add(name, n)
	}
	return name, err
}

// bucketNumber finds a bucket's number; ok is false where nothing has ever named it.
func (v *view) bucketNumber(name string) (n int64, ok bool, err error) {
	if n, ok := v.s.names.number(name); ok {
		return n, true, nil
	}
	if v.writes {
		if n, ok := v.s.roots.bucket(name); ok {
			return n, true, nil
		}
	}
	err = one(v.c.use("SELECT n FROM buckets WHERE name = ?").text(name), func(q *stmt) { n = q.get(0) })
	if err == loop.ErrNotFound {
		return 0, false, nil
	}
	if err == nil && !v.writes {
		v.s.names.add(name, n)
	}
	return n, err == nil, err
}

const recordColumns = "r.kind, r.id, r.bucket, r.seq, o.kind, o.id, r.deleted, r.state, r.region, r.owner, r.due, r.parent, r.env, r.body " +
	"FROM records r LEFT JOIN roots o ON o.n = r.root "

func (v *view) stored(q *stmt) (*loop.Stored, error) {
	r := &loop.Stored{Ref: syncproto.Ref{Kind: q.kind(0), ID: q.str(1)}, Seq: q.uget(3), Root: syncproto.Ref{Kind: q.kind(4), ID: q.str(5)},
		Deleted: q.is(6), Index: loop.Index{State: q.kind(7), Region: q.str(8), Owner: q.str(9), Due: q.str(10), Parent: q.str(11)},
		Env: q.bytes(12), Body: q.bytes(13)}
	n := q.get(2)
	var err error
	r.Bucket, err = v.bucketName(n)
	return r, err
}

func (v *view) Record(ref syncproto.Ref) (*loop.Stored, error) {
	var r *loop.Stored
	var bad error
	err := one(v.c.use("SELECT "+recordColumns+"WHERE r.kind = ? AND r.id = ?").text(ref.Kind).text(ref.ID), func(q *stmt) { r, bad = v.stored(q) })
	if err != nil {
		return nil, err
	}
	return r, bad
}

const (
	underSQL      = "SELECT " + recordColumns + "WHERE r.root = (SELECT n FROM roots WHERE kind = ? AND id = ?) AND r.deleted = 0"
	kindOfRootSQL = underSQL + " AND r.kind = ? ORDER BY r.id"
)

func (v *view) ByRoot(root syncproto.Ref, kind string, fn func(*loop.Stored) error) error {
	if kind != "" {
		return v.records(v.c.use(kindOfRootSQL).text(root.Kind).text(root.ID).text(kind), fn)
	}
	return v.records(v.c.use(underSQL+" ORDER BY r.kind, r.id").text(root.Kind).text(root.ID), fn)
}

func (v *view) records(q *stmt, fn func(*loop.Stored) error) error {
	return v.each(q, func(q *stmt) (bool, error) {
		r, err := v.stored(q)
		if err != nil {
			return false, err
		}
		return true, fn(r)
	})
}

const bucketColumns = "name, seq, count, digest, entries, head, floor, sealed FROM buckets "

func bucketOf(q *stmt) loop.Bucket {
	return loop.Bucket{Name: q.str(0), Seq: q.uget(1), Count: q.get(2), Digest: q.hash(3), Entries: q.uget(4), Head: q.hash(5), Floor: q.uget(6), Sealed: q.uget(7)}
}

func (v *view) Bucket(name string) (loop.Bucket, error) {
	b := loop.Bucket{Name: name, Head: syncproto.LedgerStart(name)}
	err := one(v.c.use("SELECT "+bucketColumns+"WHERE name = ? AND written = 1").text(name), func(q *stmt) { b = bucketOf(q) })
	if err == loop.ErrNotFound {
		err = nil
	}
	return b, err
}

func (v *view) Buckets(fn func(loop.Bucket) error) error {
	return v.each(v.c.use("SELECT "+bucketColumns+"WHERE written = 1 ORDER BY name"), func(q *stmt) (bool, error) { return true, fn(bucketOf(q)) })
}

// feedSQL merges three index scans by seq: rows, deletions and exits. Nothing is sorted, and nothing below the cursor
// and nothing that was trimmed is read.
const feedSQL = `SELECT seq, kind, id, 0, 0, env, body FROM records WHERE bucket = ?1 AND seq > ?2 AND deleted = 0
UNION ALL SELECT seq, kind, id, 0, 1, env, body FROM records WHERE bucket = ?1 AND seq > ?2 AND deleted = 1
UNION ALL SELECT seq, kind, id, 1, 0, NULL, NULL FROM exits WHERE bucket = ?1 AND seq > ?2 ORDER BY seq`

func (v *view) Feed(bucket string, after uint64, fn func(loop.Entry) (bool, error)) error {
	n, ok, err := v.bucketNumber(bucket)
	if err != nil || !ok {
		return err
	}
	return v.each(v.c.use(feedSQL).int(n).num(after), func(q *stmt) (bool, error) {
		return fn(loop.Entry{Seq: q.uget(0), Ref: syncproto.Ref{Kind: q.kind(1), ID: q.str(2)}, Exit: q.is(3), Deleted: q.is(4), Env: q.view(5), Body: q.view(6)})
	})
}

func (v *view) History(ref syncproto.Ref, fn func(loop.Past) error) error {
	q := v.c.use("SELECT env, body, by, at FROM past WHERE kind = ? AND id = ? ORDER BY n").text(ref.Kind).text(ref.ID)
	return v.each(q, func(q *stmt) (bool, error) {
		return true, fn(loop.Past{Ref: ref, Env: q.view(0), Body: q.view(1), By: syncproto.Stamp(q.str(2)), At: q.get(3)})
	})
}

// split reads "kind/id"; anything else is the zero Ref.
func split(s string) syncproto.Ref {
	k, id, ok := strings.Cut(s, "/")
	if !ok {
		return syncproto.Ref{}
	}
	return syncproto.Ref{Kind: k, ID: id}
}

func (v *view) refs(q *stmt) (list []syncproto.Ref, err error) {
	err = v.each(q, func(q *stmt) (bool, error) {
		list = append(list, syncproto.Ref{Kind: q.kind(0), ID: q.str(1)})
		return true, nil
	})
	return list, err
}

func (v *view) ByBlind(index string) ([]syncproto.Ref, error) {
	return v.refs(v.c.use("SELECT kind, id FROM blind WHERE hash = ? ORDER BY kind, id").text(index))
}

func (v *view) Twins(kind, after string, limit int) (list []loop.Twin, err error) {
	q := v.c.use("SELECT hash, id FROM blind WHERE kind = ?1 AND hash IN (SELECT hash FROM blind WHERE kind = ?1 AND hash > ?2 GROUP BY hash HAVING count(*) > 1 ORDER BY hash LIMIT ?3) ORDER BY hash, id")
	err = v.each(q.text(kind).text(after).int(int64(limit)), func(q *stmt) (bool, error) {
		hash, ref := q.str(0), syncproto.Ref{Kind: kind, ID: q.str(1)}
		if n := len(list); n > 0 && list[n-1].Index == hash {
			list[n-1].Refs = append(list[n-1].Refs, ref)
		} else {
			list = append(list, loop.Twin{Index: hash, Refs: []syncproto.Ref{ref}})
		}
		return true, nil
	})
	return list, err
}

func (v *view) Witnesses(after int64, limit int) (list []loop.Witness, err error) {
	q := v.c.use("SELECT n, device, at, kind, id, env, body FROM witnesses WHERE n > ? ORDER BY n LIMIT ?").int(after).int(int64(limit))
	err = v.each(q, func(q *stmt) (bool, error) {
		list = append(list, loop.Witness{N: q.get(0), Device: q.str(1), At: q.get(2), Ref: syncproto.Ref{Kind: q.kind(3), ID: q.str(4)}, Env: q.bytes(5), Body: q.bytes(6)})
		return true, nil
	})
	return list, err
}

func (v *view) ByBlob(sha256 string) ([]syncproto.Ref, error) {
	return v.refs(v.c.use("SELECT kind, id FROM blob_refs WHERE sha256 = ? ORDER BY kind, id").text(sha256))
}

func (v *view) Setting(name string) (value string, err error) {
	err = one(v.c.use("SELECT value FROM settings WHERE name = ?").text(name), func(q *stmt) { value = q.str(0) })
	if err == loop.ErrNotFound {
		err = nil
	}
	return value, err
}

func (v *view) LifeEnd(incarnation, bucket string) (seq uint64, err error) {
	life := int64(0)
	if err := one(v.c.use("SELECT n FROM incarnations WHERE id = ?").text(incarnation), func(q *stmt) { life = q.get(0) }); err != nil {
		return 0, err
	}
	if life == v.s.life {
		b, err := v.Bucket(bucket)
		return b.Seq, err
	}
	err = one(v.c.use("SELECT e.seq FROM incarnation_ends e JOIN buckets b ON b.n = e.bucket WHERE e.incarnation = ? AND b.name = ?").int(life).text(bucket),
		func(q *stmt) { seq = q.uget(0) })
	if err == loop.ErrNotFound {
		err = nil
	}
	return seq, err
}
