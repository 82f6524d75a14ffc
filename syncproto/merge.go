package syncproto

import (
	"bytes"
	"cmp"
	"slices"
)

// Policy says what becomes of concurrent writes to one field.
type Policy string

// The four policies. A successor (its base is the current stamp) is written under each of them, except over a value
// of a once field.
const (
	PolicyLatest Policy = "latest" // the later one by (time, origin, number) stands, the other is kept as a conflict
	PolicyReview Policy = "review" // the value on record stands until a person decides; the newcomer is kept
	PolicyServer Policy = "server" // only the server writes it
	PolicyOnce   Policy = "once"   // the first value stands
)

// Rules is what merge needs to know from outside. PolicyOf answers for every name, unknown fields with PolicyLatest.
// Equal compares two values; it opens sealed ones, and nil means equality of bytes.
type Rules struct {
	PolicyOf func(kind, field string) Policy
	Equal    func(ref Ref, field string, a, b Raw) bool
}

// Loser is a value that did not come to stand, or no longer stands, although its author did not know of the other.
// Nothing of it is lost: the caller keeps it as a conflict record. A nil value is a removal; the field "" is a
// deletion of the whole record that lost against an edit.
type Loser struct {
	Field       string
	Value       Raw
	Version     Version
	Base        Stamp
	Winner      Raw
	WinnerStamp Version
	Newcomer    bool // the loser is the change just merged, not the value that stood
}

// Merged is the outcome of one change. Exactly one of Record and Code is set. Where Code is set, nothing was written:
// CodeMissingBase is open (hold the group), every other one final.
type Merged struct {
	Record  *Record
	Changed bool // the record differs from before
	Status  ChangeStatus
	Losers  []Loser
	Code    Code
}

// FieldDeleted is the name under which an envelope keeps the version of a deletion. Names that begin with '_' are the
// protocol's own and never appear in a body.
const FieldDeleted = "_deleted"

// Merge applies a put, set or delete to the record as it stands (nil where there is none) and never changes cur. The
// version is the change's own stamp and corrected time. byServer is true for the server's own changes, which alone
// may write server fields.
func Merge(cur *Record, root Ref, c *Change, v Version, byServer bool, rules Rules) Merged {
	if !byServer && writesServerField(c, rules) {
		return Merged{Code: CodeServerField}
	}
	switch c.Op {
	case OpPut:
		if cur == nil {
			rec := &Record{Envelope{Ref: c.Ref, Root: root, Version: v}, c.Fields}
			return Merged{Record: rec, Changed: true, Status: StatusApplied}
		}
		return mergeFields(cur, c, v, rules)
	case OpSet:
		if cur == nil {
			return Merged{Code: CodeMissingBase}
		}
		return mergeFields(cur, c, v, rules)
	case OpDelete:
		return mergeDelete(cur, c, v)
	}
	return Merged{Code: CodeBadChange}
}

func writesServerField(c *Change, rules Rules) bool {
	for _, m := range c.Fields {
		if rules.PolicyOf(c.Ref.Kind, m.Name) == PolicyServer {
			return true
		}
	}
	for _, name := range c.Clear {
		if rules.PolicyOf(c.Ref.Kind, name) == PolicyServer {
			return true
		}
	}
	return false
}

// mergeFields writes field by field. A put of an id that exists counts as a set whose author knew none of the fields.
func mergeFields(cur *Record, c *Change, v Version, rules Rules) Merged {
	next := *cur
	m := Merged{Record: &next, Status: StatusApplied}
	write := func(field string, value Raw) {
		next.Body = next.Body.With(field, value)
		next.Envelope.set(field, v)
		m.Changed = true
	}
	one := func(field string, value Raw) {
		have, at, base := cur.Body.Get(field), cur.Of(field), c.Base[field]
		policy := rules.PolicyOf(c.Ref.Kind, field)
		concurrent := base != at.Stamp || c.Op == OpPut
		same := bytes.Equal(have, value) || have != nil && value != nil && rules.Equal != nil && rules.Equal(c.Ref, field, have, value)
		switch {
		case cur.Deleted:
			m.lose(Loser{field, value, v, base, nil, cur.Of(FieldDeleted), true})
		case !concurrent && (policy != PolicyOnce || have == nil):
			write(field, value)
		case same:
			m.raise(StatusMerged)
		case policy == PolicyLatest && v.after(at):
			write(field, value)
			m.lose(Loser{field, have, at, base, value, v, false})
		default:
			m.lose(Loser{field, value, v, base, have, at, true})
		}
	}
	for _, f := range c.Fields {
		one(f.Name, f.Value)
	}
	for _, name := range c.Clear {
		one(name, nil)
	}
	return m
}

// mergeDelete deletes only what its author saw: an edit he did not know of stands, and the deletion is kept as loser.
func mergeDelete(cur *Record, c *Change, v Version) Merged {
	if cur == nil {
		return Merged{Code: CodeMissingBase}
	}
	next := *cur
	m := Merged{Record: &next, Status: StatusApplied}
	if cur.Deleted {
		m.Status = StatusMerged
		return m
	}
	seen := func(field string) bool { return c.Base[field] == cur.Of(field).Stamp }
	unseen := slices.ContainsFunc(cur.Body, func(f Member) bool { return !seen(f.Name) }) ||
		slices.ContainsFunc(cur.Fields, func(f FieldVersion) bool { return !seen(f.Name) })
	if unseen {
		m.lose(Loser{"", nil, v, "", nil, cur.Version, true})
		return m
	}
	next.Deleted, next.Body, m.Changed = true, Object{}, true
	next.Envelope.set(FieldDeleted, v)
	return m
}

func (m *Merged) raise(s ChangeStatus) {
	if m.Status == StatusApplied {
		m.Status = s
	}
}

func (m *Merged) lose(l Loser) {
	m.Status = StatusConflict
	m.Losers = append(m.Losers, l)
}

// after ranks concurrent versions by (time, origin, number).
func (v Version) after(o Version) bool {
	if v.Time != o.Time {
		return v.Time > o.Time
	}
	vo, vn, _ := v.Stamp.Split()
	oo, on, _ := o.Stamp.Split()
	return cmp.Or(cmp.Compare(vo, oo), cmp.Compare(vn, on)) > 0
}
