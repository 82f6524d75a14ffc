package loop

import (
	"context"
	"slices"

	"aidloop/syncproto"
)

// A phone that was erased keeps the photos that never arrived, under a key that it gave away. Enrolled anew it finds that
// key in the key record of its user. A database that was put back to a time before the key was made has no such record:
// the phone names the key, and the server, which derives what it has forgotten, makes a newer one and hands on the former
// ones with it.

// lacks says whether the device names keys of its user's that the database has forgotten.
func (l *Loop) lacks(user string, req *syncproto.Request) bool {
	if len(req.Hello.Lacks) == 0 {
		return false
	}
	var n uint64
	err := l.store.Read(context.Background(), func(tx ReadTx) (err error) {
		n, err = l.ahead(tx, user, req.Hello.Lacks)
		return err
	})
	return n > 0 && err == nil
}

// ahead is the highest version of a user's key, among those with the given ids, that is beyond the newest on record; 0 if
// there is none. Nobody can name a key that was never given out.
func (l *Loop) ahead(tx ReadTx, user string, kids []string) (version uint64, err error) {
	v, err := tx.KeyVersion(syncproto.BucketUser + user)
	if err != nil {
		return 0, err
	}
	for n := v.Version + keysAhead; n > v.Version; n-- {
		if slices.Contains(kids, l.secrets.BucketKey(syncproto.BucketUser+user, n).ID()) {
			return n, nil
		}
	}
	return 0, nil
}

// catchUp gives a device's user a key beyond those that the device names and the database has forgotten. It is not the
// newest of those itself: there was a reason to make that one, and it may have been the last one's loss.
func (w *work) catchUp(d *Device, kids []string) error {
	if len(kids) == 0 {
		return nil
	}
	n, err := w.l.ahead(w.tx, d.User, kids)
	if err != nil || n == 0 {
		return err
	}
	w.note(Audit{Actor: d.User, Verb: "user_key_caught_up", Ref: syncproto.Ref{Kind: "device", ID: d.ID},
		Details: syncproto.Fields(map[string]any{"version": n + 1}).Bytes()})
	return w.newUserKey(d.User, n+1)
}
