package loop

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"strings"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Enrolment is what a phone is given for a one-time code: an identity of its own, a session, and the keys to begin with.
type Enrolment struct {
	Signed
	ServerKey   ed25519.PublicKey
	Incarnation string
	Recipient   string // where bundles are encrypted to, "age1…"
}

// spoken is a random code of so many capital letters and digits, which can be read out on the telephone: five bits each.
func spoken(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b)[:n]
}

// NewEnrolCode makes a one-time code for a user's next phone, ten characters that can be read out on the telephone.
// Only its hash is kept.
func (l *Loop) NewEnrolCode(ctx context.Context, by casework.Actor, userID string) (code string, err error) {
	code = spoken(10)
	err = l.run(ctx, func(w *work) error {
		u, err := w.tx.User(userID)
		if err != nil {
			return err
		}
		if err := by.May(casework.VerbManageUsers, casework.Subject{Kind: "user", Region: u.Region, Dept: u.Dept}); err != nil {
			return err
		}
		w.note(Audit{Actor: by.UserID, Role: string(by.Role), Verb: "enrol_code", Ref: syncproto.Ref{Kind: "user", ID: u.ID}})
		return w.tx.PutEnrolCode(&EnrolCode{Hash: hashSecret(code), User: u.ID, By: by.UserID, Expires: w.now + EnrolCodeLife.Milliseconds()})
	})
	return code, err
}

// errEnrol is the one answer to every code that does not work.
var errEnrol = syncproto.Refuse(syncproto.CodeEnrolCode, "")

// Enrol exchanges a one-time code for a device identity with the phone's own Ed25519 public key. The same code with
// the same key again is answered again for as long as the code lives, since the first answer may have been lost.
func (l *Loop) Enrol(ctx context.Context, code string, publicKey []byte, name string) (*Enrolment, error) {
	if len(publicKey) != ed25519.PublicKeySize {
		return nil, syncproto.Refuse(syncproto.CodeMalformed, "public_key: want 32 bytes")
	}
	code = strings.ToUpper(strings.TrimSpace(code))
	name = clipRunes(name, 64)
	var out *Enrolment
	err := l.run(ctx, func(w *work) error {
		out = nil
		c, err := w.tx.EnrolCode(hashSecret(code))
		if errors.Is(err, ErrNotFound) || err == nil && w.now >= c.Expires {
			return errEnrol
		}
		if err != nil {
			return err
		}
		u, err := w.tx.User(c.User)
		if err != nil {
			return err
		}
		if !usable(u, w.now) {
			return errEnrol
		}
		dev, err := w.enrolled(c, publicKey, name)
		if err != nil {
			return err
		}
		signed, err := w.session(u, dev.ID)
		if err != nil {
			return err
		}
		w.note(Audit{Actor: u.ID, Role: u.Role, Verb: "enrol", Ref: syncproto.Ref{Kind: "device", ID: dev.ID}})
		out = &Enrolment{*signed, l.ServerKey(), w.incarnation, l.secrets.BundleIdentity().Recipient().String()}
		out.UserKey, err = l.bucketKey(w.tx, syncproto.BucketUser+u.ID)
		return err
	})
	return out, err
}

// enrolled is the device that a code stands for: a new one, or the same one at a repeated call.
func (w *work) enrolled(c *EnrolCode, publicKey []byte, name string) (*Device, error) {
	if c.UsedAt > 0 {
		dev, err := w.tx.Device(c.Device)
		if err != nil {
			return nil, err
		}
		if string(dev.PublicKey) != string(publicKey) || dev.State != DeviceActive {
			return nil, errEnrol
		}
		return dev, nil
	}
	id := w.l.newID()
	dev := &Device{ID: id, User: c.User, Name: name, PublicKey: publicKey, State: DeviceActive,
		Head: syncproto.ChainStart(id), CreatedAt: w.now, SeenAt: w.now}
	c.UsedAt, c.Device = w.now, id
	if err := w.tx.PutEnrolCode(c); err != nil {
		return nil, err
	}
	return dev, w.tx.PutDevice(dev)
}

// clipRunes shortens a text to at most n characters.
func clipRunes(s string, n int) string {
	r := []rune(strings.ToValidUTF8(s, ""))
	return string(r[:min(len(r), n)])
}
