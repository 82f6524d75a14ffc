package syncproto

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
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
	o := make(Object, 0, 16)
	end, err := scanObject(b, 0, 0, func(name, value []byte) {
		o = append(o, Member{Name: string(name), Value: value})
	})
	if err != nil {
		return nil, err
	}
	if end != len(b) {
		return nil, canonErr(end, "trailing bytes")
	}
	if len(o) == 1 && o[0].Name == sealedKey {
		return nil, canonErr(0, "a sealed value where an object of fields belongs")
	}
	return o, nil
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
func (o Object) Bytes() Raw { return o.Append(make([]byte, 0, 256)) }

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

// FieldsOf builds an object from Go values. Nil values are left out.
func FieldsOf(m map[string]any) (Object, error) {
	o := make(Object, 0, len(m))
	for k, v := range m {
		if v == nil {
			continue
		}
		if !ValidName(k) {
			return nil, fmt.Errorf("%w: bad field name %q", ErrCanonical, k)
		}
		raw, err := Value(v)
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

func appendValue(dst []byte, v any, depth int) ([]byte, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("%w: nested too deep", ErrCanonical)
	}
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
		if err := CheckCanonical(x); err != nil {
			return nil, err
		}
		return append(dst, x...), nil
	case Object:
		return x.Append(dst), nil
	case []string:
		return appendList(dst, len(x), func(i int) any { return x[i] }, depth)
	case []any:
		return appendList(dst, len(x), func(i int) any { return x[i] }, depth)
	case map[string]any:
		return appendMap(dst, x, depth)
	}
	return nil, fmt.Errorf("%w: %T has no canonical form", ErrCanonical, v)
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
	dst = append(dst, '[')
	var err error
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
	keys := make([]string, 0, len(m))
	for k, v := range m {
		if v == nil {
			continue
		}
		if !ValidName(k) && !(k == sealedKey && len(m) == 1) {
			return nil, fmt.Errorf("%w: bad key %q", ErrCanonical, clip(k))
		}
		keys = append(keys, k)
	}
	slices.Sort(keys)
	dst = append(dst, '{')
	var err error
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

// Canonicalize turns any JSON text into its canonical form; null members are left out. Floats, duplicate keys, lone
// surrogates and keys outside [a-z0-9_]+ are errors, not guesses.
func Canonicalize(b []byte) (Raw, error) {
	if !utf8.Valid(b) {
		return nil, fmt.Errorf("%w: invalid UTF-8", ErrCanonical)
	}
	if err := checkEscapes(b); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	v, err := decodeValue(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: trailing bytes", ErrCanonical)
	}
	return Value(v)
}

// checkEscapes refuses the \u escapes of lone surrogates, which encoding/json would replace in silence.
func checkEscapes(b []byte) error {
	unit := func(i int) (uint64, bool) {
		if i+6 > len(b) || b[i] != '\\' || b[i+1] != 'u' {
			return 0, false
		}
		u, err := strconv.ParseUint(string(b[i+2:i+6]), 16, 16)
		return u, err == nil
	}
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			continue
		}
		u, ok := unit(i)
		switch {
		case !ok:
			i++
		case u >= 0xdc00 && u <= 0xdfff:
			return canonErr(i, "lone surrogate")
		case u >= 0xd800 && u <= 0xdbff:
			if low, ok := unit(i + 6); !ok || low < 0xdc00 || low > 0xdfff {
				return canonErr(i, "lone surrogate")
			}
			i += 11
		default:
			i += 5
		}
	}
	return nil
}

func decodeValue(dec *json.Decoder, depth int) (any, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("%w: nested too deep", ErrCanonical)
	}
	tok, err := dec.Token()
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrCanonical, err)
	}
	switch t := tok.(type) {
	case json.Delim:
		if t == '[' {
			return decodeArray(dec, depth)
		}
		return decodeObject(dec, depth)
	case nil, string, bool, json.Number:
		return t, nil
	}
	return nil, fmt.Errorf("%w: unexpected token", ErrCanonical)
}

func decodeArray(dec *json.Decoder, depth int) (any, error) {
	list := []any{}
	for dec.More() {
		v, err := decodeValue(dec, depth+1)
		if err != nil {
			return nil, err
		}
		if v == nil {
			return nil, fmt.Errorf("%w: null in an array", ErrCanonical)
		}
		list = append(list, v)
	}
	_, err := dec.Token()
	return list, err
}

func decodeObject(dec *json.Decoder, depth int) (any, error) {
	m := map[string]any{}
	for dec.More() {
		k, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: %v", ErrCanonical, err)
		}
		name, _ := k.(string)
		if _, dup := m[name]; dup {
			return nil, fmt.Errorf("%w: duplicate key %q", ErrCanonical, clip(name))
		}
		if m[name], err = decodeValue(dec, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := dec.Token()
	return m, err
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

// Decode returns the value as Go values: string, int64, bool, []any, map[string]any. Nil stays nil.
func (r Raw) Decode() (any, error) {
	if r == nil {
		return nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(r))
	dec.UseNumber()
	v, err := decodeValue(dec, 0)
	if err != nil {
		return nil, err
	}
	return integers(v)
}

func integers(v any) (any, error) {
	var err error
	switch x := v.(type) {
	case json.Number:
		return x.Int64()
	case []any:
		for i := range x {
			if x[i], err = integers(x[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range x {
			if x[k], err = integers(x[k]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
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
