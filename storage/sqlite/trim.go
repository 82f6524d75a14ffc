package sqlite

// tombstoneSQL merges the deletions and the exits of a bucket by seq.
const tombstoneSQL = `SELECT seq FROM records WHERE bucket = ? AND deleted = 1
UNION ALL SELECT seq FROM exits WHERE bucket = ? ORDER BY seq`

func (v *view) Tombstones(bucket string, fn func(seq uint64) (bool, error)) error {
	n, ok, err := v.bucketNumber(bucket)
	if err != nil || !ok {
		return err
	}
	return v.each(v.c.use(tombstoneSQL).int(n).int(n), func(q *stmt) (bool, error) { return fn(q.uget(0)) })
}

func (t *tx) Trim(bucket string, to uint64) error {
	n, ok, err := t.bucketNumber(bucket)
	if err != nil || !ok {
		return err
	}
	if err := t.c.use("UPDATE records SET deleted = 2 WHERE bucket = ? AND deleted = 1 AND seq <= ?").int(n).num(to).run(); err != nil {
		return err
	}
	return t.c.use("DELETE FROM exits WHERE bucket = ? AND seq <= ?").int(n).num(to).run()
}
