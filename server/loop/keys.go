package loop

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"aidloop/syncproto"
	"aidloop/syncproto/bundle"
)

// Keys form a chain that a phone can follow offline: its user's key opens the bucket keys in the grants of its user:
// bucket, a bucket's key opens the case keys in the bucket's key records, and a case key opens the sealed fields of
// one household or lead. Only case keys are random; the others are derived from the server's master key.

func (s Secrets) derive(label string) syncproto.Key {
	b, err := hkdf.Key(sha256.New, s.Master[:], nil, label, 32)
	if err != nil {
		panic(err) // only for lengths that HKDF cannot give
	}
	return syncproto.Key(b)
}

// UserKey is the key that a user's devices are given at enrolment.
func (s Secrets) UserKey(user string) syncproto.Key { return s.derive("aidloop/user/1|" + user) }

// BucketKey is the key that wraps the case keys of a bucket.
func (s Secrets) BucketKey(bucket string) syncproto.Key {
	return s.derive("aidloop/bucket/1|" + bucket)
}

// BlobKey is the key under which blobs are encrypted at rest.
func (s Secrets) BlobKey() syncproto.Key { return s.derive("aidloop/blob/1") }

// DatasetKey is the key under which it is sealed whom the rows of datasets are about.
func (s Secrets) DatasetKey() syncproto.Key { return s.derive("aidloop/dataset/1") }

// TokenSeed is the seed of the Ed25519 key that signs access tokens.
func (s Secrets) TokenSeed() syncproto.Key { return s.derive("aidloop/token/1") }

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
			if _, err := r.Unwrap(d.rec.Ref, d.rec.Body.Get("keys")); err != nil {
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
	r.Add(l.secrets.BucketKey(bucket))
	err := tx.ByRoot(root, func(s *Stored) error {
		if s.Ref.Kind != "key" {
			return nil
		}
		body, err := syncproto.ParseObject(s.Body)
		if err != nil {
			return err
		}
		_, err = r.Unwrap(s.Ref, body.Get("keys"))
		return err
	})
	return r, err
}

// newCaseKey mints a root's case key and the fields of the key record that carries it.
func (l *Loop) newCaseKey(root syncproto.Ref, bucket string, key syncproto.Key) (ref syncproto.Ref, fields syncproto.Object) {
	ref = syncproto.Ref{Kind: "key", ID: syncproto.DerivedID("key", root.String())}
	bk := syncproto.NewSealer(l.secrets.BucketKey(bucket))
	fields = syncproto.Fields(map[string]any{
		"root": root.String(), "current": key.ID(), "keys": map[string]any{key.ID(): bk.Wrap(ref, key)},
	})
	return ref, fields
}

// closed is a value as the server may write it: what the catalog seals is sealed under the root's current case key, or
// under the user's key where the record is a user's own. A value that is sealed already stays as it is.
func (g *group) closed(ref, root syncproto.Ref, bucket, field string, value syncproto.Raw) (syncproto.Raw, error) {
	if !sealedField(ref.Kind, field) || syncproto.IsSealed(value) {
		return value, nil
	}
	if root.Kind == "user" {
		return syncproto.NewSealer(g.w.l.secrets.UserKey(root.ID)).Seal(ref, field, value), nil
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

// rewrap turns a set of case keys wrapped for one bucket into the same set wrapped for another.
func (l *Loop) rewrap(carrier syncproto.Ref, wrapped syncproto.Raw, from, to string) (syncproto.Raw, error) {
	ring := &syncproto.Keyring{}
	ring.Add(l.secrets.BucketKey(from))
	set, err := syncproto.ParseObject(wrapped)
	if err != nil {
		return nil, err
	}
	out := make(map[string]any, len(set))
	sealer := syncproto.NewSealer(l.secrets.BucketKey(to))
	for _, m := range set {
		v, err := ring.Open(carrier, m.Name, m.Value)
		if err != nil {
			return nil, err
		}
		out[m.Name] = sealer.Seal(carrier, m.Name, v)
	}
	return syncproto.Value(out)
}
