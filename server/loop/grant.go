package loop

import (
	"context"
	"errors"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// GridGrant says that a user's phones may hold a grid.
type GridGrant struct{ User, Grid string }

// Grant lets users' phones hold grids: a grant record in each user's own bucket, with the grid's key wrapped for him.
// A grid granted already is left as it is; one revoked before is granted anew.
func (l *Loop) Grant(ctx context.Context, by casework.Actor, grants ...GridGrant) error {
	return l.run(ctx, func(w *work) error {
		for _, in := range grants {
			bucket := syncproto.BucketGrid + in.Grid
			if !casework.IsGrid(in.Grid) {
				return casework.NewError(casework.CodeInvalidValue, "网格编号不正确,应为12位村代码加3位网格号。")
			}
			if err := by.May(casework.VerbGrant, casework.Subject{Kind: "user", Region: in.Grid}); err != nil {
				return err
			}
			u, err := w.tx.User(in.User)
			if err != nil {
				return err
			}
			g := w.newGroup()
			if err := w.grant(g, u, bucket); err != nil {
				return err
			}
			w.auditBy(by, "grant", syncproto.Ref{Kind: "user", ID: u.ID}, syncproto.Ref{}, map[string]any{"bucket": bucket})
			if err := g.commit(); err != nil {
				return err
			}
		}
		return nil
	})
}

func grantRef(user, bucket string) syncproto.Ref {
	return syncproto.Ref{Kind: "grant", ID: syncproto.DerivedID("grant", user+"|"+bucket)}
}

func (w *work) grant(g *group, u *User, bucket string) error {
	ref := grantRef(u.ID, bucket)
	keys, current, err := w.grantKeys(ref, u.ID, bucket)
	if err != nil {
		return err
	}
	fields := map[string]any{"user": u.ID, "bucket": bucket, "role": u.Role, "from": w.clockTime(), "state": "active", "keys": keys, "current": current}
	d, err := g.open(ref)
	if err != nil {
		return err
	}
	switch {
	case !d.exists:
		_, err = g.serverPut(ref, userRoot(u.ID), syncproto.BucketUser+u.ID, syncproto.Fields(fields))
	case d.rec.Body.Str("state") != "active":
		fields["ended_at"] = nil
		_, err = g.serverSet(ref, fields)
	}
	return err
}

// RevokeGrant takes a grid from a user. His phones drop its rows at their next sync, and keep what they captured.
func (l *Loop) RevokeGrant(ctx context.Context, by casework.Actor, userID, grid string) error {
	return l.run(ctx, func(w *work) error {
		if err := by.May(casework.VerbGrant, casework.Subject{Kind: "user", Region: grid}); err != nil {
			return err
		}
		g := w.newGroup()
		ref := grantRef(userID, syncproto.BucketGrid+grid)
		d, err := g.live(ref)
		if err != nil {
			return err
		}
		if d.rec.Body.Str("state") != "active" {
			return nil
		}
		if _, err := g.serverSet(ref, map[string]any{"state": "revoked", "ended_at": w.clockTime(), "keys": nil, "current": nil}); err != nil {
			return err
		}
		w.note(Audit{Actor: by.UserID, Role: string(by.Role), Verb: "revoke_grant", Ref: syncproto.Ref{Kind: "user", ID: userID},
			Details: syncproto.Fields(map[string]any{"bucket": d.rec.Body.Str("bucket")}).Bytes()})
		return g.commit()
	})
}

// NewUser is an account to be made. Password, or its Hash by HashPassword, may be "" for somebody who only uses a phone.
type NewUser struct {
	ID, Login, Name, Role, Region, Dept, Password, Hash string
}

// CreateUsers makes accounts, all or none. An id that exists already is left as it is, so that a list can be repeated.
func (l *Loop) CreateUsers(ctx context.Context, by casework.Actor, list ...NewUser) (made []User, err error) {
	for i := range list {
		if err := checkUser(list[i]); err != nil {
			return nil, err
		}
		if list[i].Password != "" {
			list[i].Hash = HashPassword(list[i].Password)
		}
		if list[i].ID == "" {
			list[i].ID = l.newID()
		}
	}
	err = l.run(ctx, func(w *work) error {
		made = make([]User, 0, len(list))
		for _, in := range list {
			u, err := w.createUser(by, in)
			if err != nil {
				return err
			}
			made = append(made, *u)
		}
		return nil
	})
	return made, err
}

func (w *work) createUser(by casework.Actor, in NewUser) (*User, error) {
	if err := by.May(casework.VerbManageUsers, casework.Subject{Kind: "user", Region: in.Region, Dept: in.Dept}); err != nil {
		return nil, err
	}
	if u, err := w.tx.User(in.ID); err == nil || !errors.Is(err, ErrNotFound) {
		return u, err
	}
	if _, err := w.tx.UserByLogin(in.Login); err == nil {
		return nil, casework.NewError("login_taken", "登录名已被使用,请换一个。")
	} else if !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	u := &User{ID: in.ID, Login: in.Login, Name: in.Name, Role: in.Role, Region: in.Region, Dept: in.Dept, Password: in.Hash}
	w.auditBy(by, "create_user", syncproto.Ref{Kind: "user", ID: u.ID}, syncproto.Ref{}, nil)
	return u, w.tx.PutUser(u)
}

func checkUser(in NewUser) error {
	switch {
	case in.ID != "" && !syncproto.ValidID(in.ID), !syncproto.ValidID(in.Login):
		return casework.NewError("invalid_value", "登录名只能用字母、数字、点和横线,最多64个字符。")
	case in.Name == "" || len([]rune(in.Name)) > 64:
		return casework.NewError("invalid_value", "请填写姓名,最多64个字。")
	case !casework.ValidRole(casework.Role(in.Role)):
		return casework.NewError("invalid_value", "岗位不存在,请从列表中选择。")
	case in.Password != "" && (len(in.Password) < 8 || len(in.Password) > MaxPassword):
		return casework.NewError("invalid_value", "密码至少8个字符。")
	}
	return nil
}

// DisableUser shuts an account: nobody comes in by it any more, and its phones' pushes are kept apart.
func (l *Loop) DisableUser(ctx context.Context, by casework.Actor, userID string, disabled bool) error {
	return l.run(ctx, func(w *work) error {
		u, err := w.tx.User(userID)
		if err != nil {
			return err
		}
		if err := by.May(casework.VerbManageUsers, casework.Subject{Kind: "user", Region: u.Region, Dept: u.Dept}); err != nil {
			return err
		}
		u.Disabled = disabled
		verb := "enable_user"
		if disabled {
			verb = "disable_user"
		}
		w.note(Audit{Actor: by.UserID, Role: string(by.Role), Verb: verb, Ref: syncproto.Ref{Kind: "user", ID: u.ID}})
		return w.tx.PutUser(u)
	})
}
