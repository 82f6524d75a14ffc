package sqlite

import (
	"fmt"

	"aidloop/server/loop"
	"aidloop/syncproto"
)

// tx implements loop.Tx on the writer's connection. One serves every write of a shared commit.
type tx struct {
	view
	missing map[syncproto.Ref]bool // records that this write looked for in vain: they can be inserted without a search
}

var _ loop.Tx = (*tx)(nil)

// reset prepares for the next write of the transaction.
func (t *tx) reset() {
	t.s.roots.mark()
	if t.missing == nil {
		t.missing = map[syncproto.Ref]bool{}
	}
	clear(t.missing)
}

// Record remembers what is not there.
func (t *tx) Record(ref syncproto.Ref) (*loop.Stored, error) {
	r, err := t.view.Record(ref)
	if err == loop.ErrNotFound {
		t.missing[ref] = true
	}
	return r, err
}

func (t *tx) NextNumbers(n int) (uint64, error) {
	if n < 1 {
		return 0, fmt.Errorf("sqlite: reserve %d numbers", n)
	}
	last := uint64(0)
	err := one(t.c.use("UPDATE incarnations SET last_number = last_number + ? WHERE n = ? RETURNING last_number").int(int64(n)).int(t.s.life),
		func(q *stmt) { last = q.uget(0) })
	return last - uint64(n) + 1, err
}

// bucket is a bucket's number; a new name gets one.
func (t *tx) bucket(name string) (int64, error) {
	n, ok, err := t.bucketNumber(name)
	if err != nil || ok {
		return n, err
	}
	if err := t.c.use("INSERT INTO buckets (name) VALUES (?)").text(name).run(); err != nil {
		return 0, err
	}
	n = t.c.lastRow()
	t.s.roots.current.buckets[name] = n
	return n, nil
}

func (t *tx) root(ref syncproto.Ref) (int64, error) {
	if n, ok := t.s.roots.root(ref); ok {
		return n, nil
	}
	n := int64(0)
	err := one(t.c.use("SELECT n FROM roots WHERE kind = ? AND id = ?").text(ref.Kind).text(ref.ID), func(q *stmt) { n = q.get(0) })
	if err == loop.ErrNotFound {
		err = t.c.use("INSERT INTO roots (kind, id) VALUES (?, ?)").text(ref.Kind).text(ref.ID).run()
		n = t.c.lastRow()
	}
	if err == nil {
		t.s.roots.current.roots[ref] = n
	}
	return n, err
}

const insertRecord = `INSERT INTO records (kind, id, bucket, seq, root, deleted, state, region, owner, due, parent, env, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

const upsertRecord = insertRecord + ` ON CONFLICT (kind, id) DO UPDATE SET bucket = excluded.bucket, seq = excluded.seq, root = excluded.root,
deleted = excluded.deleted, state = excluded.state, region = excluded.region, owner = excluded.owner, due = excluded.due, parent = excluded.parent,
env = excluded.env, body = excluded.body`

func (t *tx) PutRecord(r *loop.Stored) error {
	bucket, err := t.bucket(r.Bucket)
	if err != nil {
		return err
	}
	root := int64(0)
	if r.Root != (syncproto.Ref{}) {
		if root, err = t.root(r.Root); err != nil {
			return err
		}
	}
	fresh, sql := t.missing[r.Ref], upsertRecord
	if fresh {
		sql = insertRecord
	}
	q := t.c.use(sql)
	q.text(r.Ref.Kind).text(r.Ref.ID).int(bucket).num(r.Seq)
	if root == 0 {
		q.null()
	} else {
		q.int(root)
	}
	x := &r.Index
	err = q.flag(r.Deleted).text(x.State).text(x.Region).text(x.Owner).text(x.Due).text(x.Parent).json(r.Env).json(r.Body).run()
	if err != nil {
		return err
	}
	if fresh {
		delete(t.missing, r.Ref)
		return nil
	}
	return t.c.use("DELETE FROM exits WHERE bucket = ? AND kind = ? AND id = ?").int(bucket).text(r.Ref.Kind).text(r.Ref.ID).run()
}

func (t *tx) PutExit(bucket string, seq uint64, ref syncproto.Ref) error {
	n, err := t.bucket(bucket)
	if err != nil {
		return err
	}
	return t.c.use("INSERT INTO exits (bucket, seq, kind, id) VALUES (?, ?, ?, ?) ON CONFLICT (bucket, kind, id) DO UPDATE SET seq = excluded.seq").
		int(n).num(seq).text(ref.Kind).text(ref.ID).run()
}

func (t *tx) PutBucket(b loop.Bucket) error {
	n, err := t.bucket(b.Name)
	if err != nil {
		return err
	}
	return t.c.use("UPDATE buckets SET written = 1, seq = ?, count = ?, entries = ?, floor = ?, sealed = ?, digest = ?, head = ? WHERE n = ?").
		num(b.Seq).int(b.Count).num(b.Entries).num(b.Floor).num(b.Sealed).blob(b.Digest[:]).blob(b.Head[:]).int(n).run()
}

func (t *tx) PutPast(p loop.Past) error {
	return t.c.use("INSERT INTO past (kind, id, by, at, env, body) VALUES (?, ?, ?, ?, ?, ?)").
		text(p.Ref.Kind).text(p.Ref.ID).text(string(p.By)).int(p.At).json(p.Env).json(p.Body).run()
}

func (v *view) Ledger(bucket string, from uint64, fn func(loop.LedgerEntry) error) error {
	n, ok, err := v.bucketNumber(bucket)
	if err != nil || !ok {
		return err
	}
	return v.each(v.c.use("SELECT entry, bytes, head FROM ledger WHERE bucket = ? AND entry >= ? ORDER BY entry").int(n).num(from), func(q *stmt) (bool, error) {
		return true, fn(loop.LedgerEntry{N: q.uget(0), Bytes: q.view(1), Head: q.hash(2)})
	})
}

func (t *tx) AppendLedger(bucket string, e loop.LedgerEntry) error {
	n, err := t.bucket(bucket)
	if err != nil {
		return err
	}
	return t.c.use("INSERT INTO ledger (bucket, entry, bytes, head) VALUES (?, ?, ?, ?)").int(n).num(e.N).json(e.Bytes).blob(e.Head[:]).run()
}

func (v *view) Audit(root syncproto.Ref, before int64, limit int) (list []loop.Audit, err error) {
	if before <= 0 {
		before = 1<<63 - 1
	}
	q := v.c.use("SELECT n, at, actor, role, verb, ref, root, details FROM audit WHERE n < ? ORDER BY n DESC LIMIT ?").int(before)
	if root != (syncproto.Ref{}) {
		_ = q.done()
		q = v.c.use("SELECT n, at, actor, role, verb, ref, root, details FROM audit WHERE root = ? AND n < ? ORDER BY n DESC LIMIT ?").text(root.String()).int(before)
	}
	err = v.each(q.int(int64(limit)), func(q *stmt) (bool, error) {
		list = append(list, loop.Audit{ID: q.get(0), At: q.get(1), Actor: q.str(2), Role: q.kind(3), Verb: q.kind(4), Ref: split(q.str(5)),
			Root: split(q.str(6)), Details: q.bytes(7)})
		return true, nil
	})
	return list, err
}

func (t *tx) AppendAudit(a loop.Audit) error {
	return t.c.use("INSERT INTO audit (at, actor, role, verb, ref, root, details) VALUES (?, ?, ?, ?, ?, ?, ?)").
		int(a.At).text(a.Actor).text(a.Role).text(a.Verb).text(a.Ref.String()).text(a.Root.String()).json(a.Details).run()
}

func (t *tx) PutBlind(ref syncproto.Ref, field, index string) error {
	if index == "" {
		return t.c.use("DELETE FROM blind WHERE kind = ? AND id = ? AND field = ?").text(ref.Kind).text(ref.ID).text(field).run()
	}
	return t.c.use("INSERT INTO blind (kind, id, field, hash) VALUES (?, ?, ?, ?) ON CONFLICT (kind, id, field) DO UPDATE SET hash = excluded.hash").
		text(ref.Kind).text(ref.ID).text(field).text(index).run()
}

func (t *tx) PutWitness(w loop.Witness) error {
	hash := syncproto.RowHash(w.Env, w.Body)
	return t.c.use("INSERT INTO witnesses (hash, device, at, kind, id, env, body) SELECT ?, ?, ?, ?, ?, ?, ? WHERE (SELECT coalesce(max(n), 0) FROM witnesses) < ? ON CONFLICT (hash) DO NOTHING").
		blob(hash[:]).text(w.Device).int(w.At).text(w.Ref.Kind).text(w.Ref.ID).blob(w.Env).blob(w.Body).int(loop.MaxWitnesses).run()
}

func (t *tx) PutBlobRef(sha256 string, ref syncproto.Ref) error {
	return t.c.use("INSERT INTO blob_refs (sha256, kind, id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING").text(sha256).text(ref.Kind).text(ref.ID).run()
}
