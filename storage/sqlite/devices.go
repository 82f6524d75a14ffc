package sqlite

import (
	"strings"

	"aidloop/server/loop"
	"aidloop/syncproto"
)

const deviceColumns = "id, user, name, public_key, state, have, head, created_at, seen_at, day_bytes, day, claimed, photos, erased_at, reason, since FROM devices "

func deviceOf(q *stmt) loop.Device {
	return loop.Device{ID: q.str(0), User: q.str(1), Name: q.str(2), PublicKey: q.bytes(3), State: q.str(4), Have: q.uget(5), Head: q.hash(6),
		CreatedAt: q.get(7), SeenAt: q.get(8), DayBytes: q.get(9), Day: q.str(10), Claimed: q.uget(11), Photos: q.get(12), ErasedAt: q.get(13), Reason: q.str(14), Since: q.get(15)}
}

func (v *view) Device(id string) (*loop.Device, error) {
	var d loop.Device
	if err := one(v.c.use("SELECT "+deviceColumns+"WHERE id = ?").text(id), func(q *stmt) { d = deviceOf(q) }); err != nil {
		return nil, err
	}
	return &d, nil
}

func (v *view) Devices(user string) (list []loop.Device, err error) {
	q := v.c.use("SELECT " + deviceColumns + "WHERE ? = '' OR user = ? ORDER BY n").text(user).text(user)
	err = v.each(q, func(q *stmt) (bool, error) {
		list = append(list, deviceOf(q))
		return true, nil
	})
	return list, err
}

func (t *tx) PutDevice(d *loop.Device) error {
	return t.c.use(`INSERT INTO devices (id, user, name, public_key, state, have, head, created_at, seen_at, day_bytes, day,
claimed, photos, erased_at, reason, since) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET user = excluded.user, name = excluded.name, public_key = excluded.public_key,
state = excluded.state, have = excluded.have, head = excluded.head, created_at = excluded.created_at, seen_at = excluded.seen_at,
day_bytes = excluded.day_bytes, day = excluded.day, claimed = excluded.claimed, photos = excluded.photos, erased_at = excluded.erased_at,
reason = excluded.reason, since = excluded.since`).text(d.ID).text(d.User).text(d.Name).blob(d.PublicKey).text(d.State).num(d.Have).
		blob(d.Head[:]).int(d.CreatedAt).int(d.SeenAt).int(d.DayBytes).text(d.Day).num(d.Claimed).int(d.Photos).
		int(d.ErasedAt).text(d.Reason).int(d.Since).run()
}

const batchColumns = "n, device, first, last, is_foreign, prev, head, sig, at, encoding, outcomes, data FROM batches "

func batchOf(q *stmt) *loop.Batch {
	return &loop.Batch{ID: q.get(0), Device: q.str(1), First: q.uget(2), Last: q.uget(3), Foreign: q.is(4), Prev: q.hash(5), Head: q.hash(6),
		Sig: q.bytes(7), At: q.get(8), Encoding: q.str(9), Outcomes: q.bytes(10), Data: q.bytes(11)}
}

// Batch takes the last batch that begins at or before the change: the chain's batches do not overlap.
func (v *view) Batch(device string, dseq uint64) (*loop.Batch, error) {
	var b *loop.Batch
	q := v.c.use("SELECT " + batchColumns + "WHERE device = ? AND is_foreign = 0 AND first <= ? ORDER BY first DESC LIMIT 1")
	if err := one(q.text(device).num(dseq), func(q *stmt) { b = batchOf(q) }); err != nil {
		return nil, err
	}
	if b.Last < dseq {
		return nil, loop.ErrNotFound
	}
	return b, nil
}

func (v *view) Batches(device string, fn func(*loop.Batch) error) error {
	q := v.c.use("SELECT " + batchColumns + "WHERE device = ? ORDER BY n").text(device)
	return v.each(q, func(q *stmt) (bool, error) { return true, fn(batchOf(q)) })
}

func (t *tx) PutBatch(b *loop.Batch) error {
	err := t.c.use("INSERT INTO batches (device, first, last, is_foreign, prev, head, sig, at, encoding, outcomes, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)").
		text(b.Device).num(b.First).num(b.Last).flag(b.Foreign).blob(b.Prev[:]).blob(b.Head[:]).blob(b.Sig).int(b.At).text(b.Encoding).
		blob(b.Outcomes).blob(b.Data).run()
	if err == nil {
		b.ID = t.c.lastRow()
	}
	return err
}

func (t *tx) SetOutcomes(batch int64, outcomes []byte) error {
	return t.c.use("UPDATE batches SET outcomes = ? WHERE n = ?").blob(outcomes).int(batch).run()
}

func (v *view) Held(device string, limit int) (list []loop.Held, err error) {
	q := v.c.use("SELECT device, dseq, batch, user, root, code, refs, at, expires, bytes FROM held WHERE ? = '' OR device = ? ORDER BY n LIMIT ?").
		text(device).text(device).int(int64(limit))
	err = v.each(q, func(q *stmt) (bool, error) {
		list = append(list, loop.Held{Device: q.str(0), Dseq: q.uget(1), Batch: q.get(2), User: q.str(3), Root: split(q.str(4)),
			Code: syncproto.Code(q.str(5)), Refs: strings.Fields(q.str(6)), At: q.get(7), Expires: q.get(8), Group: q.bytes(9)})
		return true, nil
	})
	return list, err
}

func (t *tx) PutHeld(h loop.Held) error {
	return t.c.use(`INSERT INTO held (device, dseq, batch, user, root, code, refs, at, expires, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (device, dseq) DO UPDATE SET batch = excluded.batch, user = excluded.user, root = excluded.root, code = excluded.code, refs = excluded.refs,
at = excluded.at, expires = excluded.expires, bytes = excluded.bytes`).text(h.Device).num(h.Dseq).int(h.Batch).text(h.User).text(h.Root.String()).
		text(string(h.Code)).text(strings.Join(h.Refs, " ")).int(h.At).int(h.Expires).blob(h.Group).run()
}

func (t *tx) DeleteHeld(device string, dseq uint64) error {
	return t.c.use("DELETE FROM held WHERE device = ? AND dseq = ?").text(device).num(dseq).run()
}

func (v *view) Reissued(o syncproto.Origin) (device string, dseq uint64, err error) {
	q := v.c.use("SELECT by_device, by_dseq FROM origins WHERE device = ? AND dseq = ? AND hash = ?").text(o.Device).num(o.Dseq).blob(o.Hash[:])
	err = one(q, func(q *stmt) { device, dseq = q.str(0), q.uget(1) })
	return device, dseq, err
}

func (t *tx) PutReissued(o syncproto.Origin, device string, dseq uint64) error {
	return t.c.use("INSERT INTO origins (device, dseq, hash, by_device, by_dseq) VALUES (?, ?, ?, ?, ?) " +
		"ON CONFLICT (device, dseq, hash) DO UPDATE SET by_device = excluded.by_device, by_dseq = excluded.by_dseq").
		text(o.Device).num(o.Dseq).blob(o.Hash[:]).text(device).num(dseq).run()
}

func (v *view) Gaps(device string, after int64, limit int) (list []loop.Gap, err error) {
	q := v.c.use("SELECT n, device, first, last, head, sig, at FROM gaps WHERE (? = '' OR device = ?) AND n > ? ORDER BY n LIMIT ?").
		text(device).text(device).int(after).int(int64(limit))
	err = v.each(q, func(q *stmt) (bool, error) {
		list = append(list, loop.Gap{N: q.get(0), Device: q.str(1), From: q.uget(2), To: q.uget(3), Head: syncproto.Hash(q.hash(4)), Sig: q.bytes(5), At: q.get(6)})
		return true, nil
	})
	return list, err
}

func (t *tx) PutGap(g loop.Gap) error {
	return t.c.use("INSERT INTO gaps (device, first, last, head, sig, at) VALUES (?, ?, ?, ?, ?, ?)").
		text(g.Device).num(g.From).num(g.To).blob(g.Head[:]).blob(g.Sig).int(g.At).run()
}
