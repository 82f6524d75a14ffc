package sqlite

import (
	"aidloop/server/loop"
)

func sealOf(q *stmt) loop.Seal { return loop.Seal{N: q.uget(0), Bytes: q.bytes(1), Sig: q.bytes(2)} }

func (v *view) LastSeal() (*loop.Seal, error) {
	var s loop.Seal
	if err := one(v.c.use("SELECT n, bytes, sig FROM seals ORDER BY n DESC LIMIT 1"), func(q *stmt) { s = sealOf(q) }); err != nil {
		return nil, err
	}
	return &s, nil
}

func (v *view) Seals(from uint64, fn func(loop.Seal) error) error {
	return v.each(v.c.use("SELECT n, bytes, sig FROM seals WHERE n >= ? ORDER BY n").num(from), func(q *stmt) (bool, error) { return true, fn(sealOf(q)) })
}

func (t *tx) AppendSeal(s loop.Seal) error {
	return t.c.use("INSERT INTO seals (n, bytes, sig) VALUES (?, ?, ?)").num(s.N).json(s.Bytes).blob(s.Sig).run()
}
