package syncproto

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Stamp names the change that last wrote a field: "origin:n", where origin is a device and n its change number, or
// an incarnation of the server and its change number. The empty stamp stands for "never written".
type Stamp string

// MakeStamp joins an origin and a number.
func MakeStamp(origin string, n uint64) Stamp {
	return Stamp(origin + ":" + strconv.FormatUint(n, 10))
}

// Split returns the origin and the number; ok is false for anything that is not a well-formed stamp.
func (s Stamp) Split() (origin string, n uint64, ok bool) {
	o, num, found := strings.Cut(string(s), ":")
	if !found || !ValidID(o) || num == "" || num[0] == '0' || num[0] == '+' {
		return "", 0, false
	}
	n, err := strconv.ParseUint(num, 10, 53)
	return o, n, err == nil
}

// Valid reports whether s is a well-formed stamp.
func (s Stamp) Valid() bool { _, _, ok := s.Split(); return ok }

// Ref names a record: "kind/id" in text.
type Ref struct{ Kind, ID string }

// String writes the reference as "kind/id", or "" for the zero Ref.
func (r Ref) String() string {
	if r == (Ref{}) {
		return ""
	}
	return r.Kind + "/" + r.ID
}

// ParseRef reads "kind/id".
func ParseRef(s string) (Ref, error) {
	k, id, ok := strings.Cut(s, "/")
	if !ok || !ValidName(k) || !ValidID(id) {
		return Ref{}, fmt.Errorf("bad reference %q: want kind/id", clip(s))
	}
	return Ref{k, id}, nil
}

// Version is a stamp with the time that its change was taken to have, in milliseconds since 1970 UTC (CorrectTime).
// Time ranks concurrent values and is shown to people; it never refuses anything.
type Version struct {
	Stamp Stamp
	Time  int64
}

// FieldVersion says that a field differs in version from its record.
type FieldVersion struct {
	Name string
	Version
}

// Envelope is what the protocol knows of a record. Version is the put that made the record; Fields lists, in order
// of names, the fields written since, removed ones included. A deleted record keeps its envelope for ever.
type Envelope struct {
	Ref
	Root    Ref
	Version Version
	Fields  []FieldVersion
	Deleted bool
}

// Of returns the version of a field: its own where it has one, else the record's.
func (e *Envelope) Of(field string) Version {
	for i := range e.Fields {
		if e.Fields[i].Name == field {
			return e.Fields[i].Version
		}
	}
	return e.Version
}

// set records that a field was last written by v; Fields is replaced, never changed in place.
func (e *Envelope) set(field string, v Version) {
	fields := make([]FieldVersion, 0, len(e.Fields)+1)
	done := false
	for _, f := range e.Fields {
		if !done && f.Name >= field {
			fields = append(fields, FieldVersion{field, v})
			done = true
		}
		if f.Name != field {
			fields = append(fields, f)
		}
	}
	if !done {
		fields = append(fields, FieldVersion{field, v})
	}
	e.Fields = fields
}

// Append writes the envelope as canonical JSON:
//
//	{"f":{"<field>":["<stamp>",<ms>]},"id":"…","k":"<kind>","r":"<root kind>/<root id>","s":"<stamp>","t":<ms>,"x":true}
//
// f is left out where no field differs, r where the record has no root, x unless the record is deleted.
func (e *Envelope) Append(dst []byte) []byte {
	dst = append(dst, '{')
	if len(e.Fields) > 0 {
		dst = append(dst, `"f":{`...)
		for i, f := range e.Fields {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(append(append(dst, '"'), f.Name...), `":["`...)
			dst = append(append(dst, f.Stamp...), `",`...)
			dst = append(strconv.AppendInt(dst, f.Time, 10), ']')
		}
		dst = append(dst, `},`...)
	}
	dst = append(append(append(dst, `"id":"`...), e.ID...), `","k":"`...)
	dst = append(append(dst, e.Kind...), '"')
	if e.Root != (Ref{}) {
		dst = append(append(dst, `,"r":"`...), e.Root.Kind...)
		dst = append(append(append(dst, '/'), e.Root.ID...), '"')
	}
	dst = append(append(append(dst, `,"s":"`...), e.Version.Stamp...), `","t":`...)
	dst = strconv.AppendInt(dst, e.Version.Time, 10)
	if e.Deleted {
		dst = append(dst, `,"x":true`...)
	}
	return append(dst, '}')
}

// Bytes is Append into fresh memory.
func (e *Envelope) Bytes() Raw { return e.Append(make([]byte, 0, 160+64*len(e.Fields))) }

var errEnvelope = errors.New("bad envelope")

// ParseEnvelope reads an envelope and refuses every form but the one that Append writes.
func ParseEnvelope(b []byte) (Envelope, error) {
	var e Envelope
	o, err := ParseObject(b)
	if err != nil {
		return e, fmt.Errorf("%w: %w", errEnvelope, err)
	}
	for _, m := range o {
		switch m.Name {
		case "f":
			err = e.parseFields(m.Value)
		case "id":
			e.ID = m.Value.Str()
		case "k":
			e.Kind = m.Value.Str()
		case "r":
			e.Root, err = ParseRef(m.Value.Str())
		case "s":
			e.Version.Stamp = Stamp(m.Value.Str())
		case "t":
			e.Version.Time = m.Value.Int()
		case "x":
			e.Deleted = string(m.Value) == "true"
		default:
			err = fmt.Errorf("unknown member %s", m.Name)
		}
		if err != nil {
			return e, fmt.Errorf("%w: %w", errEnvelope, err)
		}
	}
	if !ValidName(e.Kind) || !ValidID(e.ID) || !e.Version.Stamp.Valid() || string(e.Bytes()) != string(b) {
		return e, fmt.Errorf("%w: a member is missing or has the wrong form", errEnvelope)
	}
	return e, nil
}

func (e *Envelope) parseFields(v Raw) error {
	o, err := v.split()
	if err != nil {
		return err
	}
	for _, m := range o {
		stamp, ms, ok := strings.Cut(strings.TrimPrefix(string(m.Value), `["`), `",`)
		t, err := strconv.ParseInt(strings.TrimSuffix(ms, "]"), 10, 64)
		if !ok || err != nil || !Stamp(stamp).Valid() {
			return fmt.Errorf("field %s: want [stamp, milliseconds]", m.Name)
		}
		e.Fields = append(e.Fields, FieldVersion{m.Name, Version{Stamp(stamp), t}})
	}
	return nil
}

// Record is an envelope with its body. The body of a deleted record is the empty object.
type Record struct {
	Envelope
	Body Object
}
