package syncproto

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

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
