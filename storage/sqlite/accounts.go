package sqlite

import (
	"aidloop/server/loop"
)

const userColumns = "id, login, name, role, region, dept, password, failed, locked_to, disabled, until, version FROM users "

func userOf(q *stmt) loop.User {
	return loop.User{ID: q.str(0), Login: q.str(1), Name: q.str(2), Role: q.str(3), Region: q.str(4), Dept: q.str(5), Password: q.str(6),
		Failed: int(q.get(7)), LockedTo: q.get(8), Disabled: q.is(9), Until: q.get(10), Version: q.get(11)}
}

func (v *view) user(q *stmt) (*loop.User, error) {
	var u loop.User
	if err := one(q, func(q *stmt) { u = userOf(q) }); err != nil {
		return nil, err
	}
	return &u, nil
}

func (v *view) User(id string) (*loop.User, error) {
	return v.user(v.c.use("SELECT " + userColumns + "WHERE id = ?").text(id))
}

func (v *view) UserByLogin(login string) (*loop.User, error) {
	return v.user(v.c.use("SELECT " + userColumns + "WHERE login = ?").text(login))
}

func (v *view) Users(region, after string, limit int) (list []loop.User, err error) {
	q := v.c.use("SELECT " + userColumns + "WHERE login > ? AND (? = '' OR region >= ? AND region < ?) ORDER BY login LIMIT ?")
	err = v.each(q.text(after).text(region).text(region).text(region+"\x7f").int(int64(limit)), func(q *stmt) (bool, error) {
		list = append(list, userOf(q))
		return true, nil
	})
	return list, err
}

func (t *tx) PutUser(u *loop.User) error {
	return t.c.use(`INSERT INTO users (id, login, name, role, region, dept, password, failed, locked_to, disabled, until, version)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET login = excluded.login, name = excluded.name, role = excluded.role,
region = excluded.region, dept = excluded.dept, password = excluded.password, failed = excluded.failed, locked_to = excluded.locked_to,
disabled = excluded.disabled, until = excluded.until, version = excluded.version`).text(u.ID).text(u.Login).text(u.Name).text(u.Role).text(u.Region).
		text(u.Dept).text(u.Password).int(int64(u.Failed)).int(u.LockedTo).flag(u.Disabled).int(u.Until).int(u.Version).run()
}

func (v *view) EnrolCode(hash string) (*loop.EnrolCode, error) {
	var c loop.EnrolCode
	err := one(v.c.use("SELECT hash, user, by, expires, used_at, device FROM enrol_codes WHERE hash = ?").text(hash), func(q *stmt) {
		c = loop.EnrolCode{Hash: q.str(0), User: q.str(1), By: q.str(2), Expires: q.get(3), UsedAt: q.get(4), Device: q.str(5)}
	})
	if err != nil {
		return nil, err
	}
	return &c, nil
}

func (t *tx) PutEnrolCode(c *loop.EnrolCode) error {
	return t.c.use(`INSERT INTO enrol_codes (hash, user, by, expires, used_at, device) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (hash) DO UPDATE SET user = excluded.user, by = excluded.by, expires = excluded.expires, used_at = excluded.used_at, device = excluded.device`).
		text(c.Hash).text(c.User).text(c.By).int(c.Expires).int(c.UsedAt).text(c.Device).run()
}

func (v *view) Session(id string) (*loop.Session, error) {
	var s loop.Session
	err := one(v.c.use("SELECT id, user, device, token, prev, created_at, expires, revoked_at FROM sessions WHERE id = ?").text(id), func(q *stmt) {
		s = loop.Session{ID: q.str(0), User: q.str(1), Device: q.str(2), Token: q.str(3), Prev: q.str(4), CreatedAt: q.get(5), Expires: q.get(6), RevokedAt: q.get(7)}
	})
	if err != nil {
		return nil, err
	}
	return &s, nil
}

func (t *tx) PutSession(s *loop.Session) error {
	return t.c.use(`INSERT INTO sessions (id, user, device, token, prev, created_at, expires, revoked_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET user = excluded.user, device = excluded.device, token = excluded.token, prev = excluded.prev,
created_at = excluded.created_at, expires = excluded.expires, revoked_at = excluded.revoked_at`).text(s.ID).text(s.User).text(s.Device).text(s.Token).
		text(s.Prev).int(s.CreatedAt).int(s.Expires).int(s.RevokedAt).run()
}

func (t *tx) PutSetting(name, value string) error {
	return t.c.use("INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value").text(name).text(value).run()
}
