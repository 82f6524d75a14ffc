package sqlite

import (
	"encoding/json"
	"fmt"

	"aidloop/server/loop"
)

func (v *view) LastLoad(dataset string) (*loop.Load, error) {
	var l loop.Load
	q := v.c.use("SELECT n, dataset, sha256, by, at, rows FROM loads WHERE dataset = ? AND done = 1 ORDER BY n DESC LIMIT 1").text(dataset)
	err := one(q, func(q *stmt) {
		l = loop.Load{N: q.get(0), Dataset: q.str(1), SHA256: q.str(2), By: q.str(3), At: q.get(4), Rows: int(q.get(5)), Done: true}
	})
	if err != nil {
		return nil, err
	}
	return &l, nil
}

func (v *view) LoadRows(load int64, fn func(loop.LoadRow) error) error {
	return v.loadRows(v.c.use("SELECT line, key, cells, subject FROM load_rows WHERE load = ? ORDER BY n").int(load), fn)
}

func (v *view) LoadRowsOf(load int64, keys []string, fn func(loop.LoadRow) error) error {
	for _, key := range keys {
		if err := v.loadRows(v.c.use("SELECT line, key, cells, subject FROM load_rows WHERE load = ? AND key = ? ORDER BY n").int(load).text(key), fn); err != nil {
			return err
		}
	}
	return nil
}

func (v *view) loadRows(q *stmt, fn func(loop.LoadRow) error) error {
	return v.each(q, func(q *stmt) (bool, error) {
		r := loop.LoadRow{Line: int(q.get(0)), Key: q.str(1)}
		if err := json.Unmarshal(q.view(2), &r.Cells); err != nil {
			return false, fmt.Errorf("line %d of a load: %w", r.Line, err)
		}
		if s := q.bytes(3); len(s) > 0 {
			r.Subject = s
		}
		return true, fn(r)
	})
}

func (v *view) EachBlind(kind, field string, fn func(index, id string) error) error {
	return v.each(v.c.use("SELECT hash, id FROM blind WHERE kind = ? AND field = ?").text(kind).text(field), func(q *stmt) (bool, error) {
		return true, fn(q.str(0), q.str(1))
	})
}

func (v *view) FoundMatch(id string) (*loop.FoundMatch, error) {
	m := loop.FoundMatch{ID: id}
	err := one(v.c.use("SELECT print, lead, at FROM matches WHERE id = ?").text(id), func(q *stmt) { m.Print, m.Lead, m.At = q.str(0), q.str(1), q.get(2) })
	if err != nil {
		return nil, err
	}
	return &m, nil
}

func (t *tx) PutLoad(l *loop.Load) error {
	if l.N != 0 {
		return t.c.use("UPDATE loads SET sha256 = ?, rows = ?, done = ? WHERE n = ?").text(l.SHA256).int(int64(l.Rows)).flag(l.Done).int(l.N).run()
	}
	err := t.c.use("INSERT INTO loads (dataset, sha256, by, at, rows, done) VALUES (?, ?, ?, ?, ?, ?)").
		text(l.Dataset).text(l.SHA256).text(l.By).int(l.At).int(int64(l.Rows)).flag(l.Done).run()
	if err == nil {
		l.N = t.c.lastRow()
	}
	return err
}

func (t *tx) PutLoadRow(load int64, r loop.LoadRow) error {
	cells, err := json.Marshal(append([]string{}, r.Cells...))
	if err != nil {
		return err
	}
	return t.c.use("INSERT INTO load_rows (load, line, key, cells, subject) VALUES (?, ?, ?, ?, ?)").
		int(load).int(int64(r.Line)).text(r.Key).text(string(cells)).text(string(r.Subject)).run()
}

func (t *tx) PutFoundMatch(m loop.FoundMatch) error {
	return t.c.use("INSERT INTO matches (id, print, lead, at) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET print = excluded.print, lead = excluded.lead, at = excluded.at").
		text(m.ID).text(m.Print).text(m.Lead).int(m.At).run()
}
