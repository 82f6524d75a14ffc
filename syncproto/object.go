package syncproto

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Member is one field of an object: its name and its canonical value.
type Member struct {
	Name  string
	Value Raw
}

// Object is a canonical JSON object split one level deep, in ascending order of names. Values alias the bytes it was
// parsed from.
type Object []Member

// ParseObject checks that b is one canonical JSON object and splits it.
func ParseObject(b []byte) (Object, error) {
	if len(b) == 0 || b[0] != '{' {
		return nil, canonErr(0, "expected an object")
	}
	var m members
	end, err := scanObject(b, 0, 0, m.add)
	if err != nil {
		return nil, err
	}
	if end != len(b) {
		return nil, canonErr(end, "trailing bytes")
	}
	return m.object(b)
}

func (o Object) find(name string) (int, bool) {
	i := sort.Search(len(o), func(i int) bool { return o[i].Name >= name })
	return i, i < len(o) && o[i].Name == name
}

// Get returns the value of a field, or nil where it is absent.
func (o Object) Get(name string) Raw {
	if i, ok := o.find(name); ok {
		return o[i].Value
	}
	return nil
}

// Has reports whether the field is present.
func (o Object) Has(name string) bool { _, ok := o.find(name); return ok }

// Str returns the text of a string field, or "" where it is absent or something else.
func (o Object) Str(name string) string { return o.Get(name).Str() }

// Int returns the number of an integer field, or 0 where it is absent or something else.
func (o Object) Int(name string) int64 { return o.Get(name).Int() }

// Bool reports whether the field is true.
func (o Object) Bool(name string) bool { return string(o.Get(name)) == "true" }

// With returns a copy of o in which the field has the value; a nil value removes it.
func (o Object) With(name string, value Raw) Object {
	i, ok := o.find(name)
	switch {
	case value == nil && !ok:
		return o
	case value == nil:
		return slices.Delete(slices.Clone(o), i, i+1)
	case ok:
		c := slices.Clone(o)
		c[i].Value = value
		return c
	}
	return slices.Insert(slices.Clone(o), i, Member{name, value})
}

// Bytes writes the object as canonical JSON.
func (o Object) Bytes() Raw {
	n := 2
	for _, m := range o {
		n += len(m.Name) + len(m.Value) + 4
	}
	return o.Append(make([]byte, 0, n))
}

// Append writes the object behind dst.
func (o Object) Append(dst []byte) []byte {
	dst = append(dst, '{')
	for i, m := range o {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = append(dst, m.Name...)
		dst = append(dst, '"', ':')
		dst = append(dst, m.Value...)
	}
	return append(dst, '}')
}

// Fields builds an object from Go values (see Value). It panics on a value that has no canonical form, since names
// and types are the caller's own; data from outside goes through ParseObject, Canonicalize or FieldsOf.
func Fields(m map[string]any) Object {
	o, err := FieldsOf(m)
	if err != nil {
		panic(err)
	}
	return o
}

// FieldsOf builds an object from Go values. Nil values are left out, a nil Raw (what Get returns for an absent field)
// among them.
func FieldsOf(m map[string]any) (Object, error) {
	o := make(Object, 0, len(m))
	for k, v := range m {
		if absent(v) {
			continue
		}
		if !ValidName(k) {
			return nil, fmt.Errorf("%w: bad field name %q", ErrCanonical, clip(k))
		}
		raw, err := appendValue(nil, v, 1)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", k, err)
		}
		o = append(o, Member{k, raw})
	}
	slices.SortFunc(o, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	return o, nil
}

// Value writes a Go value as canonical JSON. It takes strings, bools, integers, Raw, Object, []any, []string,
// map[string]any and json.Number; nil members of maps are left out, any other nil is an error.
func Value(v any) (Raw, error) { return appendValue(nil, v, 0) }

// MustValue is Value for values that are the caller's own; it panics where Value fails.
func MustValue(v any) Raw {
	r, err := Value(v)
	if err != nil {
		panic(err)
	}
	return r
}

// absent reports whether a member of a map is to be left out.
func absent(v any) bool {
	r, ok := v.(Raw)
	return v == nil || ok && r == nil
}

// sealedForm reports whether m is {"$s": text}.
func sealedForm(m map[string]any) bool {
	_, ok := m[sealedKey].(string)
	return ok && len(m) == 1
}

// appendValue writes v behind dst; depth is how many arrays and objects it lies in.
func appendValue(dst []byte, v any, depth int) ([]byte, error) {
	switch x := v.(type) {
	case string:
		return appendString(dst, x)
	case bool:
		return strconv.AppendBool(dst, x), nil
	case int:
		return appendInt(dst, int64(x))
	case int64:
		return appendInt(dst, x)
	case uint64:
		if x > MaxInt {
			return nil, fmt.Errorf("%w: integer beyond ±(2^53−1)", ErrCanonical)
		}
		return strconv.AppendUint(dst, x, 10), nil
	case json.Number:
		n, err := strconv.ParseInt(x.String(), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%w: number that is not an integer: %s", ErrCanonical, clip(x.String()))
		}
		return appendInt(dst, n)
	case Raw:
		return appendChecked(dst, x, depth)
	case Object:
		return appendChecked(dst, x.Bytes(), depth)
	case []string:
		return appendList(dst, len(x), func(i int) any { return x[i] }, depth)
	case []any:
		return appendList(dst, len(x), func(i int) any { return x[i] }, depth)
	case map[string]any:
		return appendMap(dst, x, depth)
	}
	return nil, fmt.Errorf("%w: %T has no canonical form", ErrCanonical, v)
}

// appendChecked writes bytes that somebody else made.
func appendChecked(dst, b []byte, depth int) ([]byte, error) {
	end, err := scanValue(b, 0, depth)
	if err != nil {
		return nil, err
	}
	if end != len(b) {
		return nil, canonErr(end, "trailing bytes")
	}
	return append(dst, b...), nil
}

func tooDeep(depth int) error {
	if depth >= MaxDepth {
		return fmt.Errorf("%w: nested too deep", ErrCanonical)
	}
	return nil
}

func clip(s string) string {
	if len(s) > 32 {
		return s[:32] + "…"
	}
	return s
}

func appendInt(dst []byte, n int64) ([]byte, error) {
	if n > MaxInt || n < -MaxInt {
		return nil, fmt.Errorf("%w: integer beyond ±(2^53−1)", ErrCanonical)
	}
	return strconv.AppendInt(dst, n, 10), nil
}

func appendList(dst []byte, n int, at func(int) any, depth int) ([]byte, error) {
	err := tooDeep(depth)
	if err != nil {
		return nil, err
	}
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = appendValue(dst, at(i), depth+1); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

func appendMap(dst []byte, m map[string]any, depth int) ([]byte, error) {
	err := tooDeep(depth)
	if err != nil {
		return nil, err
	}
	keys := make([]string, 0, len(m))
	for k, v := range m {
		if absent(v) {
			continue
		}
		if !ValidName(k) && !sealedForm(m) {
			return nil, fmt.Errorf("%w: bad key %q", ErrCanonical, clip(k))
		}
		keys = append(keys, k)
	}
	slices.Sort(keys)
	dst = append(dst, '{')
	for i, k := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), k...), '"', ':')
		if dst, err = appendValue(dst, m[k], depth+1); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

const hexDigits = "0123456789abcdef"

// appendString writes s with the escapes of RFC 8785. Invalid UTF-8 is an error: it is never replaced in silence.
func appendString(dst []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("%w: invalid UTF-8", ErrCanonical)
	}
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if plain[c] || c >= 0x80 {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\r':
			dst = append(dst, '\\', 'r')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(dst, s[start:]...), '"'), nil
}

// Str returns the text of a canonical string, or "" where r is something else.
func (r Raw) Str() string {
	if len(r) < 2 || r[0] != '"' {
		return ""
	}
	if bytes.IndexByte(r, '\\') < 0 {
		return string(r[1 : len(r)-1])
	}
	var s string
	if json.Unmarshal(r, &s) != nil {
		return ""
	}
	return s
}

// Int returns the number of a canonical integer, or 0 where r is something else.
func (r Raw) Int() int64 {
	n, err := strconv.ParseInt(string(r), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// MarshalJSON writes the value as it stands, so that API answers can embed stored bytes.
func (r Raw) MarshalJSON() ([]byte, error) {
	if r == nil {
		return []byte("null"), nil
	}
	return r, nil
}

// UnmarshalJSON takes any JSON and keeps its canonical form.
func (r *Raw) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*r = nil
		return nil
	}
	c, err := Canonicalize(b)
	*r = c
	return err
}
