package sqlite

import (
	"aidloop/server/loop"
)

const keyColumns = "bucket, version, cases, pending, after, done, begun FROM key_versions "

func keyVersionOf(q *stmt) loop.KeyVersion {
	return loop.KeyVersion{Bucket: q.str(0), Version: q.uget(1), Cases: q.is(2), Pending: q.is(3), After: q.uget(4), Done: q.get(5), Begun: q.get(6)}
}

func (v *view) KeyVersion(bucket string) (loop.KeyVersion, error) {
	k := loop.KeyVersion{Bucket: bucket, Version: 1}
	err := one(v.c.use("SELECT "+keyColumns+"WHERE bucket = ?").text(bucket), func(q *stmt) { k = keyVersionOf(q) })
	if err == loop.ErrNotFound {
		err = nil
	}
	return k, err
}

func (v *view) KeyVersions(pending bool, after string, limit int) (list []loop.KeyVersion, err error) {
	sql := "SELECT " + keyColumns + "WHERE bucket > ? ORDER BY bucket LIMIT ?"
	if pending {
		sql = "SELECT " + keyColumns + "WHERE pending = 1 AND bucket > ? ORDER BY bucket LIMIT ?"
	}
	err = v.each(v.c.use(sql).text(after).int(int64(limit)), func(q *stmt) (bool, error) {
		list = append(list, keyVersionOf(q))
		return true, nil
	})
	return list, err
}

func (t *tx) PutKeyVersion(k loop.KeyVersion) error {
	return t.c.use(`INSERT INTO key_versions (bucket, version, cases, pending, after, done, begun) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (bucket) DO UPDATE SET version = excluded.version, cases = excluded.cases, pending = excluded.pending, after = excluded.after,
done = excluded.done, begun = excluded.begun`).text(k.Bucket).num(k.Version).flag(k.Cases).flag(k.Pending).num(k.After).int(k.Done).int(k.Begun).run()
}

func (v *view) Holdings(device string) (list []loop.Holding, err error) {
	q := v.c.use("SELECT bucket, cursor, count, digest, gone, at FROM holdings WHERE device = ? ORDER BY bucket").text(device)
	err = v.each(q, func(q *stmt) (bool, error) {
		list = append(list, loop.Holding{Bucket: q.str(0), Cursor: q.str(1), Count: q.get(2), Digest: q.str(3), Gone: q.is(4), At: q.get(5)})
		return true, nil
	})
	return list, err
}

func (t *tx) PutHolding(device string, h loop.Holding) error {
	return t.c.use(`INSERT INTO holdings (device, bucket, cursor, count, digest, gone, at) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (device, bucket) DO UPDATE SET cursor = excluded.cursor, count = excluded.count, digest = excluded.digest, gone = excluded.gone, at = excluded.at`).
		text(device).text(h.Bucket).text(h.Cursor).int(h.Count).text(h.Digest).flag(h.Gone).int(h.At).run()
}
