package sqlite

import (
	"aidloop/server/loop"
	"aidloop/syncproto"
)

func (v *view) Incidents(before int64, limit int) (list []loop.Incident, err error) {
	if before <= 0 {
		before = 1<<63 - 1
	}
	q := v.c.use("SELECT n, at, device, bucket, cursor, count, digest, seq, server_count, server_digest, leaves FROM incidents WHERE n < ? ORDER BY n DESC LIMIT ?")
	err = v.each(q.int(before).int(int64(limit)), func(q *stmt) (bool, error) {
		list = append(list, loop.Incident{ID: q.get(0), At: q.get(1), Device: q.str(2), Bucket: q.str(3), Cursor: q.str(4), Count: q.get(5),
			Digest: syncproto.Digest(q.hash(6)), Seq: q.uget(7), ServerCount: q.get(8), ServerDigest: syncproto.Digest(q.hash(9)), Leaves: q.str(10)})
		return true, nil
	})
	return list, err
}

func (t *tx) PutIncident(i loop.Incident) error {
	err := t.c.use(`INSERT INTO incidents (at, device, bucket, cursor, count, digest, seq, server_count, server_digest, leaves)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (device, bucket, cursor) DO NOTHING`).
		int(i.At).text(i.Device).text(i.Bucket).text(i.Cursor).int(i.Count).blob(i.Digest[:]).num(i.Seq).int(i.ServerCount).blob(i.ServerDigest[:]).text(i.Leaves).run()
	if err != nil {
		return err
	}
	return t.c.use("DELETE FROM incidents WHERE device = ?1 AND n <= (SELECT n FROM incidents WHERE device = ?1 ORDER BY n DESC LIMIT 1 OFFSET ?2)").
		text(i.Device).int(loop.MaxIncidents).run()
}
