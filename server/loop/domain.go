package loop

import (
	"maps"
	"slices"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// This file is where the protocol meets the catalog.

const catalogVersion = casework.CatalogVersion

func policyOf(kind, field string) syncproto.Policy {
	return syncproto.Policy(casework.PolicyOf(kind, field))
}

func sealedField(kind, field string) bool {
	k, ok := casework.KindOf(kind)
	if !ok {
		return false
	}
	f, ok := k.Field(field)
	return ok && f.Sealed
}

// rules are the merge rules of the catalog; sealed values are opened to be compared.
func (g *group) rules(root syncproto.Ref, bucket string) syncproto.Rules {
	return syncproto.Rules{PolicyOf: policyOf, Equal: func(ref syncproto.Ref, field string, a, b syncproto.Raw) bool {
		if !syncproto.IsSealed(a) || !syncproto.IsSealed(b) {
			return false
		}
		ring, err := g.ring(root, bucket)
		if err != nil {
			return false
		}
		x, errA := ring.Open(ref, field, a)
		y, errB := ring.Open(ref, field, b)
		return errA == nil && errB == nil && string(x) == string(y)
	}}
}

// checkChange checks one put, set or delete of a device against the catalog, before it is merged.
func checkChange(c *syncproto.Change, root syncproto.Ref) error {
	k, ok := casework.KindOf(c.Ref.Kind)
	switch {
	case !ok:
		return hold(syncproto.CodeUnknownKind, holdDesk)
	case k.Bucket == casework.BucketRef, c.Op == syncproto.OpPut && !k.Device, c.Op == syncproto.OpDelete && !k.Device:
		return reject(syncproto.CodeNotAllowed, "")
	case k.Bucket == casework.BucketCase && root.Kind == "user", k.Bucket == casework.BucketUser && root.Kind != "user":
		return reject(syncproto.CodeWrongRoot, "")
	case k.Root && c.Op == syncproto.OpPut && c.Ref != root:
		return reject(syncproto.CodeWrongRoot, "")
	}
	for _, m := range c.Fields {
		switch err := casework.CheckValue(c.Ref.Kind, m.Name, m.Value); casework.CodeOf(err) {
		case "":
		case casework.CodeNotSealed:
			return reject(syncproto.CodeNotSealed, casework.MessageOf(err))
		default:
			return reject(syncproto.CodeInvalidValue, casework.MessageOf(err))
		}
	}
	return nil
}

// locked reports whether a record in that state may no longer be written by a device; what is written then becomes an
// amendment.
func locked(kind, state string, op syncproto.Op) bool {
	switch kind {
	case "visit":
		return state == "approved" || state == "void"
	case "application": // once handed in, it does not vanish either
		return !slices.Contains(casework.ApplicationsFilling, state) || op == syncproto.OpDelete && state == "supplement"
	}
	return false
}

// indexOf fills the columns that a record is found by, as the catalog names them.
func indexOf(d *draft) Index {
	b := d.rec.Body
	x := Index{State: b.Str("state"), Region: regionOf(d.bucket)}
	k, ok := casework.KindOf(d.rec.Kind)
	if !ok || d.rec.Deleted {
		return x
	}
	x.Owner, x.Due, x.Parent = b.Str(k.Owner), b.Str(k.Due), b.Str(k.Parent)
	return x
}

// index keeps what records are found by besides their columns: blind indexes of identity numbers, and the blobs that
// they refer to.
func (g *group) index(d *draft) error {
	if d.rec.Kind == "evidence" {
		if sha := d.rec.Body.Str("sha256"); sha != "" {
			return g.w.tx.PutBlobRef(sha, d.rec.Ref)
		}
		return nil
	}
	k, ok := casework.KindOf(d.rec.Kind)
	if !ok {
		return nil
	}
	for _, field := range k.Blind {
		if err := g.indexBlind(d, field); err != nil {
			return err
		}
	}
	return nil
}

// indexBlind opens an identity number and indexes it. One that nobody can open is left out, not refused: matching does
// without it until its key arrives. An alias is not found: whoever looks for it is to find what it stands for.
func (g *group) indexBlind(d *draft, field string) error {
	index := ""
	if d.rec.Body.Has(field) && !d.rec.Deleted && !d.rec.Body.Has(mergedInto) {
		ring, err := g.ring(d.rec.Root, d.bucket)
		if err != nil {
			return err
		}
		index = g.w.l.blindOf(ring, d, field)
	}
	return g.w.tx.PutBlind(d.rec.Ref, field, index)
}

// blindOf is the blind index of a field that holds an identity number, or "" where it cannot be opened or is none.
func (l *Loop) blindOf(ring *syncproto.Keyring, d *draft, field string) string {
	v := d.rec.Body.Get(field)
	if v == nil {
		return ""
	}
	open, err := ring.Open(d.rec.Ref, field, v)
	if err != nil {
		return ""
	}
	id, err := casework.NormalizeIDNumber(open.Str())
	if err != nil {
		return ""
	}
	return l.secrets.blind("id_no", id)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
