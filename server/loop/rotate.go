package loop

import (
	"context"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Keys are rotated in an order in which nobody is ever stuck. First, in one small transaction, the bucket's version goes
// up and every active grant gets the new key beside the former ones, so that a phone can open key records of both
// kinds, whichever arrive first. Then the key records are wrapped anew, batch by batch. What a phone captured meanwhile,
// or weeks before, comes wrapped under an older version: the server opens it and wraps it anew as it comes in. Grants
// keep some former versions for what lies captured on phones and was not sent yet.

// grantVersions is how many versions of a bucket's key a grant carries, the newest included. A phone that sleeps through
// more rotations than that cannot open what it captured itself until its first push.
const grantVersions = 8

// maxCaseKeys bounds the case keys of one root. Older ones are never taken away, since values are sealed under them.
const maxCaseKeys = 64

// rewrapBatch is how many key records one transaction wraps anew, and rewrapRows how many rows of a bucket it looks at
// for them: a commit of some ten milliseconds, between which others get their turn.
const (
	rewrapBatch = 200
	rewrapRows  = 5000
)

// RotateBucket gives a bucket a new key, and with cases every household and lead in it a new case key: for new values,
// since older ones stay sealed as they are. It begins the rotation; Rewrap carries it through.
func (l *Loop) RotateBucket(ctx context.Context, by casework.Actor, bucket, reason string, cases bool) error {
	region := regionOf(bucket)
	if !syncproto.ValidBucket(bucket) || region == "" {
		return casework.NewError(casework.CodeInvalidValue, "请选择要更换密钥的网格或单位。")
	}
	if reason = clipRunes(reason, 500); reason == "" {
		return casework.NewError(casework.CodeInvalidValue, "请写明更换密钥的原因。")
	}
	if err := by.May(casework.VerbRotateKeys, casework.Subject{Kind: "key", Region: region}); err != nil {
		return err
	}
	return l.run(ctx, func(w *work) error {
		w.auditBy(by, "rotate_bucket", syncproto.Ref{}, syncproto.Ref{}, map[string]any{"bucket": bucket, "reason": reason, "cases": cases})
		return w.rotate(bucket, cases)
	})
}

// rotate begins the rotation of a bucket's key: its next version, in every grant.
func (w *work) rotate(bucket string, cases bool) error {
	v, err := w.tx.KeyVersion(bucket)
	if err != nil {
		return err
	}
	next := KeyVersion{Bucket: bucket, Version: v.Version + 1, Cases: cases || v.Pending && v.Cases, Pending: true, Begun: w.now}
	if err := w.tx.PutKeyVersion(next); err != nil {
		return err
	}
	return w.eachGrant(Query{Kind: "grant", States: []string{"active"}, Parent: bucket}, (*group).renewGrant)
}

// eachGrant lets fn change grants, one group each: they lie in their users' buckets.
func (w *work) eachGrant(q Query, fn func(*group, *draft) error) error {
	for q.Limit = 500; ; {
		page, err := w.tx.Find(q)
		if err != nil {
			return err
		}
		for _, s := range page.Items {
			g := w.newGroup()
			d, err := g.live(s.Ref)
			if err != nil {
				return err
			}
			if err := fn(g, d); err != nil {
				return err
			}
			if err := g.commit(); err != nil {
				return err
			}
		}
		if q.After = page.Next; q.After == "" {
			return nil
		}
	}
}

// renewGrant gives an active grant the keys of its bucket, wrapped under its user's key, both as they are now.
func (g *group) renewGrant(d *draft) error {
	if d.rec.Body.Str("state") != "active" {
		return nil
	}
	keys, current, err := g.w.grantKeys(d.rec.Ref, d.rec.Body.Str("user"), d.rec.Body.Str("bucket"))
	if err != nil {
		return err
	}
	_, err = g.serverSet(d.rec.Ref, map[string]any{"keys": keys, "current": current})
	return err
}

// grantKeys are the versions of a bucket's key that a grant carries, wrapped under the user's newest key, and the id of
// the newest.
func (w *work) grantKeys(carrier syncproto.Ref, user, bucket string) (keys map[string]any, current string, err error) {
	own, err := w.l.bucketKey(w.tx, syncproto.BucketUser+user)
	if err != nil {
		return nil, "", err
	}
	v, err := w.tx.KeyVersion(bucket)
	if err != nil {
		return nil, "", err
	}
	sealer := syncproto.NewSealer(own)
	keys = map[string]any{}
	for n := v.Version; n > 0 && n+grantVersions > v.Version; n-- {
		k := w.l.secrets.BucketKey(bucket, n)
		keys[k.ID()] = sealer.Wrap(carrier, k)
	}
	return keys, w.l.secrets.BucketKey(bucket, v.Version).ID(), nil
}

// Rewrap takes one rotation that is under way a batch further. More says that there may be something left to do; what
// was done stays, so that a server which stops over it goes on from there.
func (l *Loop) Rewrap(ctx context.Context) (more bool, err error) {
	err = l.store.Read(ctx, func(tx ReadTx) error {
		open, err := tx.KeyVersions(true, "", 1)
		more = len(open) > 0
		return err
	})
	if err != nil || !more {
		return false, err
	}
	err = l.run(ctx, func(w *work) error {
		open, err := w.tx.KeyVersions(true, "", 1)
		if more = len(open) > 0; err != nil || !more {
			return err
		}
		return w.rewrap(open[0])
	})
	return more && err == nil, err
}

// rewrap wraps the next key records of a bucket anew.
func (w *work) rewrap(v KeyVersion) error {
	refs, end, err := w.nextKeys(&v)
	if err != nil {
		return err
	}
	g := w.newGroup()
	for _, ref := range refs {
		d, err := g.live(ref)
		if err != nil {
			return err
		}
		changed, err := g.renewKey(d, v.Cases)
		if err != nil {
			return err
		}
		if changed {
			v.Done++
		}
	}
	if v.Pending = !end; end {
		w.note(Audit{Actor: "system", Verb: "bucket_rotated", Details: syncproto.Fields(map[string]any{"bucket": v.Bucket, "keys": v.Done}).Bytes()})
	}
	if err := w.tx.PutKeyVersion(v); err != nil {
		return err
	}
	return g.commit()
}

// nextKeys are the key records of a bucket behind v.After, which moves on; end says that there are no more. Rows of one
// seq are not parted.
func (w *work) nextKeys(v *KeyVersion) (refs []syncproto.Ref, end bool, err error) {
	end = true
	rows := 0
	err = w.tx.Feed(v.Bucket, v.After, func(e Entry) (bool, error) {
		if e.Seq != v.After && (rows >= rewrapRows || len(refs) >= w.l.keyBatch) {
			end = false
			return false, nil
		}
		v.After = e.Seq
		rows++
		if e.Ref.Kind == "key" && !e.Exit && !e.Deleted {
			refs = append(refs, e.Ref)
		}
		return true, nil
	})
	return refs, end, err
}

// renewKey wraps a key record under its bucket's newest key, if it is not yet, and gives it a new case key where there is
// one to give and the record is the one that the root's new values are sealed by.
func (g *group) renewKey(d *draft, cases bool) (changed bool, err error) {
	bk, err := g.w.l.bucketKey(g.w.tx, d.bucket)
	if err != nil {
		return false, err
	}
	set, err := syncproto.ParseObject(d.rec.Body.Get("keys"))
	if err != nil {
		return false, err
	}
	done := true
	for _, m := range set {
		done = done && syncproto.SealedBy(m.Value) == bk.ID()
	}
	if done {
		return false, nil
	}
	keys, err := g.w.l.rewrap(g.w.tx, d.rec.Ref, d.rec.Body.Get("keys"), d.bucket, d.bucket)
	if err != nil {
		return false, err
	}
	fields := map[string]any{"keys": keys}
	if cases && d.rec.Ref == keyRef(d.rec.Root) && len(keys) < maxCaseKeys {
		next := g.w.l.secrets.nextCaseKey(d.rec.Ref, keys)
		keys[next.ID()], fields["current"] = syncproto.NewSealer(bk).Wrap(d.rec.Ref, next), next.ID()
	}
	before := d.rec.Body.Get("keys")
	if _, err := g.serverSet(d.rec.Ref, fields); err != nil {
		return false, err
	}
	delete(g.w.rings, d.rec.Root)
	return string(before) != string(d.rec.Body.Get("keys")), nil
}

// RotateCaseKey gives a household or lead a new case key. Values on record stay sealed as they are and can be read; new
// ones are sealed under the new key.
func (l *Loop) RotateCaseKey(ctx context.Context, by casework.Actor, root syncproto.Ref, reason string) error {
	if reason = clipRunes(reason, 500); reason == "" {
		return casework.NewError(casework.CodeInvalidValue, "请写明更换密钥的原因。")
	}
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.live(keyRef(root))
		if err != nil {
			return err
		}
		if err := by.May(casework.VerbRotateKeys, casework.Subject{Kind: "key", Region: regionOf(d.bucket)}); err != nil {
			return err
		}
		keys, err := l.rewrap(w.tx, d.rec.Ref, d.rec.Body.Get("keys"), d.bucket, d.bucket)
		if err != nil {
			return err
		}
		if len(keys) >= maxCaseKeys {
			return casework.NewError(casework.CodeGuardFailed, "这户的密钥更换次数已达上限,请联系系统管理员。")
		}
		bk, err := l.bucketKey(w.tx, d.bucket)
		if err != nil {
			return err
		}
		next := l.secrets.nextCaseKey(d.rec.Ref, keys)
		keys[next.ID()] = syncproto.NewSealer(bk).Wrap(d.rec.Ref, next)
		if _, err := g.serverSet(d.rec.Ref, map[string]any{"keys": keys, "current": next.ID()}); err != nil {
			return err
		}
		delete(w.rings, d.rec.Root)
		w.auditBy(by, "rotate_case_key", root, d.rec.Root, map[string]any{"reason": reason})
		return g.commit()
	})
}

// rotateUser gives a user the next key of his own.
func (w *work) rotateUser(user string) error {
	v, err := w.tx.KeyVersion(syncproto.BucketUser + user)
	if err != nil {
		return err
	}
	return w.newUserKey(user, v.Version+1)
}

// newUserKey gives a user a version of his key that is newer than the one on record, and wraps his grants under it. The
// former ones lie in the key record of his bucket, wrapped under the newest, so that what was sealed for him stays
// readable. His living phones get the newest when they renew their tokens; one that is shut out cannot.
func (w *work) newUserKey(user string, version uint64) error {
	bucket := syncproto.BucketUser + user
	v, err := w.tx.KeyVersion(bucket)
	if err != nil {
		return err
	}
	v.Version, v.Begun = version, w.now
	if err := w.tx.PutKeyVersion(v); err != nil {
		return err
	}
	newest := w.l.secrets.BucketKey(bucket, v.Version)
	ref, sealer := keyRef(userRoot(user)), syncproto.NewSealer(newest)
	keys := map[string]any{}
	for n := uint64(1); n < v.Version; n++ {
		k := w.l.secrets.BucketKey(bucket, n)
		keys[k.ID()] = sealer.Wrap(ref, k)
	}
	fields := map[string]any{"root": userRoot(user).String(), "current": newest.ID(), "keys": keys}
	g := w.newGroup()
	if d, err := g.open(ref); err != nil {
		return err
	} else if d.exists {
		_, err = g.serverSet(ref, fields)
	} else {
		_, err = g.serverPut(ref, userRoot(user), bucket, syncproto.Fields(fields))
	}
	if err != nil {
		return err
	}
	if err := g.commit(); err != nil {
		return err
	}
	grants, err := w.l.grants(w.tx, user)
	if err != nil {
		return err
	}
	for _, x := range grants {
		g := w.newGroup()
		d, err := g.live(grantRef(user, x.bucket))
		if err != nil {
			return err
		}
		if err := g.renewGrant(d); err != nil {
			return err
		}
		if err := g.commit(); err != nil {
			return err
		}
	}
	return nil
}

// Rotations lists the keys that were rotated, newest versions only, behind after; pending ones are under way.
func (l *Loop) Rotations(ctx context.Context, by casework.Actor, after string, limit int) (list []KeyVersion, err error) {
	if err := by.May(casework.VerbRotateKeys, casework.Subject{Kind: "key", Region: by.Region}); err != nil {
		return nil, err
	}
	err = l.store.Read(ctx, func(tx ReadTx) error {
		list = []KeyVersion{}
		all, err := tx.KeyVersions(false, after, min(max(limit, 1), 500))
		for _, v := range all {
			if region := regionOf(v.Bucket); region != "" && casework.Covers(by.Region, region) || by.Role == casework.RoleSystem {
				list = append(list, v)
			}
		}
		return err
	})
	return list, err
}
