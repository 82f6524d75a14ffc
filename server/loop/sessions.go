package loop

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// How long things last that let somebody in.
const (
	RefreshLife   = 30 * 24 * time.Hour // a phone in a valley without a signal must still find its session alive
	EnrolCodeLife = 72 * time.Hour
	lockAfter     = 5
	lockFor       = 15 * time.Minute
)

// Signed is somebody who is let in: who he is, and the session that his tokens are renewed by.
type Signed struct {
	User    User
	Device  string // "" at the desk
	Session string
	Refresh string // the refresh token, in the open; only its hash is kept
	// UserKey is the newest version of the user's key, for a phone that enrols or renews its tokens.
	UserKey syncproto.Key
}

// Login lets a member of staff in by name and password. Wrong names, wrong passwords and disabled accounts are told
// apart by nobody; five wrong passwords lock the account for fifteen minutes.
func (l *Loop) Login(ctx context.Context, login, password string) (*Signed, error) {
	u, err := l.findLogin(ctx, login)
	if err != nil {
		return nil, err
	}
	var out *Signed
	err = l.proven(ctx, u, password, func(w *work, now *User) (err error) {
		w.note(Audit{Actor: now.ID, Role: now.Role, Verb: "login"})
		out, err = w.session(now, "")
		return err
	})
	return out, err
}

// ChangePassword gives somebody another password, at least 8 characters; he proves himself by the old one.
func (l *Loop) ChangePassword(ctx context.Context, by casework.Actor, old, password string) error {
	if len(password) < 8 || len(password) > MaxPassword || password == old {
		return casework.NewError(casework.CodeInvalidValue, "新密码至少8个字符,且不能与原密码相同。")
	}
	var u *User
	if err := l.store.Read(ctx, func(tx ReadTx) (err error) { u, err = tx.User(by.UserID); return err }); err != nil {
		return err
	}
	hash := HashPassword(password)
	return l.proven(ctx, u, old, func(w *work, now *User) error {
		now.Password = hash
		w.note(Audit{Actor: now.ID, Role: now.Role, Verb: "change_password"})
		return w.tx.PutUser(now)
	})
}

// proven runs then where the password is that of the account, which is nil where there is none; wrong ones are counted,
// and lock it for a while.
func (l *Loop) proven(ctx context.Context, u *User, password string, then func(*work, *User) error) error {
	hash := noPassword
	if u != nil && u.Password != "" {
		hash = u.Password
	}
	match := passwordMatches(hash, password) // before the transaction, which must not wait for it
	refused := false
	err := l.run(ctx, func(w *work) error {
		refused = true
		if u == nil {
			return nil
		}
		now, err := w.tx.User(u.ID)
		if err != nil {
			return err
		}
		if now.LockedTo > w.now {
			return casework.NewError("locked", "密码多次输错,账号已暂时锁定,请15分钟后再试。")
		}
		if !match || u.Password == "" || now.Password != u.Password || !usable(now, w.now) {
			now.Failed++
			if now.Failed >= lockAfter {
				now.Failed, now.LockedTo = 0, w.now+lockFor.Milliseconds()
				w.note(Audit{Actor: now.ID, Role: now.Role, Verb: "lock"})
			}
			return w.tx.PutUser(now)
		}
		refused = false
		if now.Failed > 0 {
			now.Failed = 0
			if err := w.tx.PutUser(now); err != nil {
				return err
			}
		}
		return then(w, now)
	})
	if err == nil && refused {
		err = casework.NewError("login_failed", "用户名或密码不正确,请重新输入。")
	}
	return err
}

func (l *Loop) findLogin(ctx context.Context, login string) (*User, error) {
	var u *User
	err := l.store.Read(ctx, func(tx ReadTx) error {
		var err error
		u, err = tx.UserByLogin(login)
		if errors.Is(err, ErrNotFound) {
			u, err = nil, nil
		}
		return err
	})
	return u, err
}

func usable(u *User, now int64) bool { return !u.Disabled && (u.Until == 0 || now < u.Until) }

// session opens a family of refresh tokens.
func (w *work) session(u *User, device string) (*Signed, error) {
	s := &Session{ID: w.l.newID(), User: u.ID, Device: device, CreatedAt: w.now, Expires: w.now + RefreshLife.Milliseconds()}
	token := secret()
	s.Token = hashSecret(token)
	return &Signed{User: *u, Device: device, Session: s.ID, Refresh: s.ID + "." + token}, w.tx.PutSession(s)
}

func secret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}

func hashSecret(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

func sameHash(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// ErrSession says that a refresh token lets nobody in any more.
var ErrSession = casework.NewError("token_invalid", "登录已过期,请重新登录;已采集的内容仍可上传。")

// maxIssued bounds how many answers to one refresh token may be under way at once.
const maxIssued = 4

// issued says whether a token is among those last handed out.
func (s *Session) issued(hash string) bool {
	return slices.ContainsFunc(strings.Fields(s.Token), func(t string) bool { return sameHash(hash, t) })
}

// issue hands out one more token for the same one before: nobody knows which of the answers arrived.
func (s *Session) issue(hash string) {
	all := append(strings.Fields(s.Token), hash)
	s.Token = strings.Join(all[max(0, len(all)-maxIssued):], " ")
}

// Refresh exchanges a refresh token for the next one. A token is taken again until one of those that it was exchanged
// for has been used, since answers are lost on the way and requests repeated; any older one means that somebody copied
// it, and ends the session.
func (l *Loop) Refresh(ctx context.Context, token string) (*Signed, error) {
	id, plain, ok := strings.Cut(token, ".")
	if !ok || len(token) > 256 {
		return nil, ErrSession
	}
	var out *Signed
	err := l.run(ctx, func(w *work) error {
		out = nil
		s, err := w.tx.Session(id)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		u, err := s.holder(w.tx, w.now)
		if err != nil {
			return err
		}
		next := secret()
		switch h := hashSecret(plain); {
		case s.issued(h):
			s.Prev, s.Token = h, hashSecret(next)
		case sameHash(h, s.Prev):
			s.issue(hashSecret(next))
		default:
			s.RevokedAt = w.now
			w.note(Audit{Actor: u.ID, Role: u.Role, Verb: "refresh_reuse"})
			return w.tx.PutSession(s)
		}
		s.Expires = w.now + RefreshLife.Milliseconds()
		out = &Signed{User: *u, Device: s.Device, Session: s.ID, Refresh: s.ID + "." + next}
		if s.Device != "" {
			if out.UserKey, err = l.bucketKey(w.tx, syncproto.BucketUser+u.ID); err != nil {
				return err
			}
		}
		return w.tx.PutSession(s)
	})
	if err == nil && out == nil {
		err = ErrSession
	}
	return out, err
}

// Logout ends a session. Ending one that is over is no error.
func (l *Loop) Logout(ctx context.Context, session string) error {
	return l.run(ctx, func(w *work) error {
		s, err := w.tx.Session(session)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if s.RevokedAt == 0 {
			s.RevokedAt = w.now
		}
		return w.tx.PutSession(s)
	})
}

// Standing checks that the bearer of an access token may still come in: the session lives, the user is not disabled,
// the device not revoked. Tokens last fifteen minutes; this makes a revocation count at once.
func (l *Loop) Standing(ctx context.Context, session string) (*Signed, error) {
	var out *Signed
	err := l.store.Read(ctx, func(tx ReadTx) error {
		s, err := tx.Session(session)
		if errors.Is(err, ErrNotFound) {
			return ErrSession
		}
		if err != nil {
			return err
		}
		u, err := s.holder(tx, l.clock().UnixMilli())
		if err != nil {
			return err
		}
		out = &Signed{User: *u, Device: s.Device, Session: s.ID}
		return nil
	})
	return out, err
}

// holder is the user whom a session still lets in, or ErrSession: the session lives, the user may come in, and the
// phone was not revoked. A frozen phone keeps its session, so that its person is told to enrol again.
func (s *Session) holder(tx ReadTx, now int64) (*User, error) {
	if s.RevokedAt > 0 || now >= s.Expires {
		return nil, ErrSession
	}
	u, err := tx.User(s.User)
	if errors.Is(err, ErrNotFound) || err == nil && !usable(u, now) {
		return nil, ErrSession
	}
	if err != nil || s.Device == "" {
		return u, err
	}
	dev, err := tx.Device(s.Device)
	if errors.Is(err, ErrNotFound) || err == nil && dev.Out() {
		return nil, ErrSession
	}
	return u, err
}

// Actor is who the user is to the rules of the domain.
func (u *User) Actor() casework.Actor {
	a := casework.Actor{UserID: u.ID, Role: casework.Role(u.Role), Region: u.Region, Dept: u.Dept}
	if u.Until > 0 {
		a.Until = time.UnixMilli(u.Until)
	}
	return a
}
