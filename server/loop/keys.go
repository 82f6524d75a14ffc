package loop

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"aidloop/syncproto"
	"aidloop/syncproto/bundle"
)

// Keys form a chain that a phone can follow offline: its user's key opens the bucket keys in the grants of its user:
// bucket, a bucket's key opens the case keys in the bucket's key records, and a case key opens the sealed fields of
// one household or lead. The first case key of each is random, since a phone may mint it; the others are derived from the
// server's master key and a version that the database counts. rotate.go gives out new versions.

func (s Secrets) derive(label string) syncproto.Key {
	b, err := hkdf.Key(sha256.New, s.Master[:], nil, label, 32)
	if err != nil {
		panic(err) // only for lengths that HKDF cannot give
	}
	return syncproto.Key(b)
}

// BucketKey is a version (from 1) of the key that wraps the case keys of a bucket. The key of "user:<id>" is the user's
// own: it is given to his devices and wraps the bucket keys in his grants.
func (s Secrets) BucketKey(bucket string, version uint64) syncproto.Key {
	label := "aidloop/bucket/"
	if user, ok := strings.CutPrefix(bucket, syncproto.BucketUser); ok {
		label, bucket = "aidloop/user/", user
	}
	return s.derive(label + strconv.FormatUint(version, 10) + "|" + bucket)
}

// caseKey is the nth renewal (from 1) of the case keys that a key record carries. A root's first case key is random. Later
// ones are derived, since phones seal with them before a backup has them: a database that is put back would lose what no
// phone may write, and the values with it.
func (s Secrets) caseKey(carrier syncproto.Ref, n int) syncproto.Key {
	return s.derive("aidloop/case/1|" + carrier.ID + "|" + strconv.Itoa(n))
}

// nextCaseKey is the first renewal that a set of keys, by their ids, lacks.
func (s Secrets) nextCaseKey(carrier syncproto.Ref, have map[string]any) syncproto.Key {
	for n := 1; ; n++ {
		if k := s.caseKey(carrier, n); have[k.ID()] == nil {
			return k
		}
	}
}

// recallCaseKey puts a renewed case key on a ring that the database has forgotten: phones seal under renewals that a backup
// lacks, and a value that is moved to another record must be opened now, since it opens nowhere else later.
func (l *Loop) recallCaseKey(r *syncproto.Keyring, kid string, roots ...syncproto.Ref) {
	if kid == "" || r.Get(kid) != nil {
		return
	}
	for _, root := range roots {
		if n := l.renewals.of(keyRef(root))[kid]; n > 0 {
			r.Add(l.secrets.caseKey(keyRef(root), n))
			return
		}
	}
}

// BlobKey is the key under which blobs are encrypted at rest.
func (s Secrets) BlobKey() syncproto.Key { return s.derive("aidloop/blob/1") }

// DatasetKey is the key under which it is sealed whom the rows of datasets are about.
func (s Secrets) DatasetKey() syncproto.Key { return s.derive("aidloop/dataset/1") }

// TokenSeed is the seed of the Ed25519 key that signs access tokens.
func (s Secrets) TokenSeed() syncproto.Key { return s.derive("aidloop/token/1") }

// FormKey is the key under which public forms are signed.
func (s Secrets) FormKey() syncproto.Key { return s.derive("aidloop/form/1") }

// BundleIdentity opens the bundles that are made for this server: its X25519 scalar is derived like every other key, so
// that whoever puts the master key back can read the files that are still on their way.
func (s Secrets) BundleIdentity() *bundle.Identity {
	return bundle.IdentityOf(s.derive("aidloop/age/1"))
}

// blind is the keyed index of an identity number: equal numbers give equal indexes, and nobody without the key can try
// numbers out.
func (s Secrets) blind(field, value string) string {
	k := s.derive("aidloop/blind/1|" + field)
	m := hmac.New(sha256.New, k[:])
	m.Write([]byte(strings.ToUpper(strings.TrimSpace(value))))
	return hex.EncodeToString(m.Sum(nil))
}

// ring is the keyring of a root: every case key in the key records that lie under it, those that this group writes
// included, opened with its bucket's key.
func (g *group) ring(root syncproto.Ref, bucket string) (*syncproto.Keyring, error) {
	r, err := g.w.ring(root, bucket)
	if err != nil {
		return nil, err
	}
	for _, d := range g.order {
		if d.dirty && d.rec.Kind == "key" && d.rec.Root == root {
			if err := g.w.l.unwrap(g.w.tx, r, d.rec.Ref, d.rec.Body.Get("keys"), d.bucket); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

func (w *work) ring(root syncproto.Ref, bucket string) (*syncproto.Keyring, error) {
	if r, ok := w.rings[root]; ok {
		return r, nil
	}
	r, err := w.l.openRing(w.tx, root, bucket)
	if err == nil {
		w.rings[root] = r
	}
	return r, err
}

func (l *Loop) openRing(tx ReadTx, root syncproto.Ref, bucket string) (*syncproto.Keyring, error) {
	r := &syncproto.Keyring{}
	key, err := l.bucketKey(tx, bucket)
	if err != nil {
		return nil, err
	}
	r.Add(key)
	err = tx.ByRoot(root, "key", func(s *Stored) error {
		body, err := syncproto.ParseObject(s.Body)
		if err != nil {
			return err
		}
		return l.unwrap(tx, r, s.Ref, body.Get("keys"), s.Bucket)
	})
	return r, err
}

// bucketKey is the newest version of a bucket's key.
func (l *Loop) bucketKey(tx ReadTx, bucket string) (syncproto.Key, error) {
	v, err := tx.KeyVersion(bucket)
	return l.secrets.BucketKey(bucket, v.Version), err
}

// keysAhead is how many versions beyond the newest on record a key is looked for: a database put back from a backup has
// forgotten rotations whose keys phones still use.
const keysAhead = 64

// unwrap puts the keys of a wrapped set on a ring, whichever version of the bucket's key they are wrapped under: a phone
// that was offline for weeks wraps under the one that it knows. A key that nobody can open is passed over.
func (l *Loop) unwrap(tx ReadTx, r *syncproto.Keyring, carrier syncproto.Ref, wrapped syncproto.Raw, bucket string) error {
	if len(wrapped) == 0 {
		return nil
	}
	set, err := syncproto.ParseObject(wrapped)
	if err != nil {
		return err
	}
	for _, m := range set {
		if kid := syncproto.SealedBy(m.Value); kid != "" && r.Get(kid) == nil {
			if err := l.find(tx, r, kid, bucket); err != nil {
				return err
			}
		}
		if _, err := r.Unwrap(carrier, syncproto.Object{m}.Bytes()); err != nil && !errors.Is(err, syncproto.ErrSealed) {
			return err
		}
	}
	return nil
}

// find puts the version of a bucket's key that has an id on a ring, if there is one.
func (l *Loop) find(tx ReadTx, r *syncproto.Keyring, kid, bucket string) error {
	v, err := tx.KeyVersion(bucket)
	if err != nil {
		return err
	}
	for n := v.Version + keysAhead; n > 0; n-- {
		if k := l.secrets.BucketKey(bucket, n); k.ID() == kid {
			r.Add(k)
			break
		}
	}
	return nil
}

// newCaseKey is the key record that carries a new root's first case key.
func (w *work) newCaseKey(root syncproto.Ref, bucket string, key syncproto.Key) (ref syncproto.Ref, fields syncproto.Object, err error) {
	ref = keyRef(root)
	bk, err := w.l.bucketKey(w.tx, bucket)
	fields = syncproto.Fields(map[string]any{
		"root": root.String(), "current": key.ID(), "keys": map[string]any{key.ID(): syncproto.NewSealer(bk).Wrap(ref, key)},
	})
	return ref, fields, err
}

// keyRef is the key record of a root.
func keyRef(root syncproto.Ref) syncproto.Ref {
	return syncproto.Ref{Kind: "key", ID: syncproto.DerivedID("key", root.String())}
}

// closed is a value as the server may write it: what the catalog seals is sealed under the root's current case key, or
// under the user's key where the record is a user's own. A value that is sealed already stays as it is.
func (g *group) closed(ref, root syncproto.Ref, bucket, field string, value syncproto.Raw) (syncproto.Raw, error) {
	if !sealedField(ref.Kind, field) || syncproto.IsSealed(value) {
		return value, nil
	}
	if root.Kind == "user" {
		key, err := g.w.l.bucketKey(g.w.tx, syncproto.BucketUser+root.ID)
		return syncproto.NewSealer(key).Seal(ref, field, value), err
	}
	_, sealer, err := g.keys(root, bucket)
	if err != nil {
		return nil, err
	}
	return sealer.Seal(ref, field, value), nil
}

// text is a text field of a case record, opened.
func (g *group) text(d *draft, field string) (string, error) {
	ring, err := g.ring(d.rec.Root, d.bucket)
	if err != nil {
		return "", err
	}
	v, err := ring.Open(d.rec.Ref, field, d.rec.Body.Get(field))
	return v.Str(), err
}

// rewrap is a set of case keys, wrapped for one bucket, as it is wrapped under another one's newest key. A key that
// nobody can open stays as it is.
func (l *Loop) rewrap(tx ReadTx, carrier syncproto.Ref, wrapped syncproto.Raw, from, to string) (map[string]any, error) {
	ring := &syncproto.Keyring{}
	if err := l.unwrap(tx, ring, carrier, wrapped, from); err != nil {
		return nil, err
	}
	set, err := syncproto.ParseObject(wrapped)
	if err != nil {
		return nil, err
	}
	key, err := l.bucketKey(tx, to)
	if err != nil {
		return nil, err
	}
	out := make(map[string]any, len(set))
	sealer := syncproto.NewSealer(key)
	for _, m := range set {
		if v, err := ring.Open(carrier, m.Name, m.Value); err == nil {
			out[m.Name] = sealer.Seal(carrier, m.Name, v)
		} else {
			out[m.Name] = m.Value
		}
	}
	return out, nil
}
