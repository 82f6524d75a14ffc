package sqlite

import "aidloop/server/loop"

const parkedColumns = "n, device, first, last, prev, head, at, bytes, encoding"

func parkedOf(q *stmt) loop.Parked {
	return loop.Parked{N: q.get(0), Device: q.str(1), First: q.uget(2), Last: q.uget(3), Prev: q.hash(4), Head: q.hash(5), At: q.get(6),
		Bytes: q.get(7), Encoding: q.str(8)}
}

func (v *view) Parked(device string) (list []loop.Parked, err error) {
	q := v.c.use("SELECT " + parkedColumns + " FROM parked WHERE device = ? ORDER BY first, n").text(device)
	if device == "" {
		_ = q.done()
		q = v.c.use("SELECT " + parkedColumns + " FROM parked ORDER BY device, first, n")
	}
	err = v.each(q, func(q *stmt) (bool, error) {
		list = append(list, parkedOf(q))
		return true, nil
	})
	return list, err
}

func (v *view) ParkedData(n int64) (*loop.Parked, error) {
	var p loop.Parked
	err := one(v.c.use("SELECT "+parkedColumns+", data FROM parked WHERE n = ?").int(n), func(q *stmt) {
		p = parkedOf(q)
		p.Data = q.bytes(9)
	})
	if err != nil {
		return nil, err
	}
	return &p, nil
}

func (t *tx) PutParked(p *loop.Parked) error {
	err := t.c.use("INSERT INTO parked (device, first, last, prev, head, at, bytes, encoding, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)").
		text(p.Device).num(p.First).num(p.Last).blob(p.Prev[:]).blob(p.Head[:]).int(p.At).int(p.Bytes).text(p.Encoding).blob(p.Data).run()
	if err == nil {
		p.N = t.c.lastRow()
	}
	return err
}

func (t *tx) DeleteParked(n int64) error {
	return t.c.use("DELETE FROM parked WHERE n = ?").int(n).run()
}
