package syncproto

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// Raw is one canonical JSON value: RFC 8785 restricted to what every language reads alike. Keys are [a-z0-9_]+ in
// strictly ascending byte order, numbers are integers within ±(2^53−1), there is no null, no white space, no escape
// but the short ones and \u00xx for the remaining control characters. The one other key is "$s", alone in its object:
// a sealed value.
type Raw []byte

// ErrCanonical is wrapped by every error about bytes that are not canonical JSON.
var ErrCanonical = errors.New("not canonical JSON")

func canonErr(at int, what string) error {
	return fmt.Errorf("%w: %s at byte %d", ErrCanonical, what, at)
}

// CheckCanonical reports whether b is exactly one canonical JSON value.
func CheckCanonical(b []byte) error {
	end, err := scanValue(b, 0, 0)
	if err != nil {
		return err
	}
	if end != len(b) {
		return canonErr(end, "trailing bytes")
	}
	return nil
}

// scanValue checks the value that starts at i and returns the index behind it.
func scanValue(b []byte, i, depth int) (int, error) {
	if i >= len(b) {
		return i, canonErr(i, "value cut short")
	}
	switch c := b[i]; {
	case c == '"':
		return scanString(b, i)
	case c == '{':
		return scanObject(b, i, depth, nil)
	case c == '[':
		return scanArray(b, i, depth)
	case c == '-' || c >= '0' && c <= '9':
		return scanInt(b, i)
	case c == 't':
		return scanWord(b, i, "true")
	case c == 'f':
		return scanWord(b, i, "false")
	case c == 'n':
		return i, canonErr(i, "null (leave the field out instead)")
	}
	return i, canonErr(i, "unexpected character")
}

func scanWord(b []byte, i int, w string) (int, error) {
	if len(b)-i < len(w) || string(b[i:i+len(w)]) != w {
		return i, canonErr(i, "unexpected character")
	}
	return i + len(w), nil
}

func scanInt(b []byte, i int) (int, error) {
	start := i
	if b[i] == '-' {
		i++
	}
	digits := i
	var n uint64
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		if i-digits >= 16 {
			return start, canonErr(start, "integer beyond ±(2^53−1)")
		}
		n = n*10 + uint64(b[i]-'0')
		i++
	}
	switch {
	case i == digits:
		return start, canonErr(start, "number without digits")
	case b[digits] == '0' && (i-digits > 1 || digits > start):
		return start, canonErr(start, "number with a leading zero or a negative zero")
	case n > MaxInt:
		return start, canonErr(start, "integer beyond ±(2^53−1)")
	case i < len(b) && (b[i] == '.' || b[i] == 'e' || b[i] == 'E'):
		return start, canonErr(start, "number that is not an integer")
	}
	return i, nil
}

// plain marks the ASCII bytes that stand for themselves inside a string.
var plain = func() (t [256]bool) {
	for c := 0x20; c < 0x80; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return
}()

func scanString(b []byte, i int) (int, error) {
	start := i
	i++
	for i < len(b) {
		c := b[i]
		switch {
		case plain[c]:
			i++
		case c == '"':
			return i + 1, nil
		case c == '\\':
			n, err := scanEscape(b, i)
			if err != nil {
				return start, err
			}
			i = n
		case c < 0x20:
			return start, canonErr(i, "raw control character in a string")
		default:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				return start, canonErr(i, "invalid UTF-8")
			}
			i += n
		}
	}
	return start, canonErr(start, "string cut short")
}

func scanEscape(b []byte, i int) (int, error) {
	if i+1 >= len(b) {
		return i, canonErr(i, "string cut short")
	}
	switch b[i+1] {
	case '"', '\\', 'b', 't', 'n', 'f', 'r':
		return i + 2, nil
	case 'u':
		if i+6 > len(b) {
			return i, canonErr(i, "string cut short")
		}
		h := b[i+2 : i+6]
		hi, lo := h[2], h[3]
		lower := lo >= '0' && lo <= '9' || lo >= 'a' && lo <= 'f'
		if h[0] != '0' || h[1] != '0' || hi != '0' && hi != '1' || !lower {
			return i, canonErr(i, "escape of a character that stands for itself")
		}
		if hi == '0' && (lo == '8' || lo == '9' || lo == 'a' || lo == 'c' || lo == 'd') {
			return i, canonErr(i, "long escape where a short one exists")
		}
		return i + 6, nil
	}
	return i, canonErr(i, "unknown escape")
}

func scanArray(b []byte, i, depth int) (int, error) {
	if depth >= MaxDepth {
		return i, canonErr(i, "nested too deep")
	}
	start := i
	i++
	if i < len(b) && b[i] == ']' {
		return i + 1, nil
	}
	for {
		n, err := scanValue(b, i, depth+1)
		if err != nil {
			return start, err
		}
		i = n
		if i >= len(b) {
			return start, canonErr(start, "array cut short")
		}
		switch b[i] {
		case ']':
			return i + 1, nil
		case ',':
			i++
		default:
			return start, canonErr(i, "expected , or ] in an array")
		}
	}
}

// scanObject checks the object at i. Where each is given it is called with every member: where its name begins and ends,
// and its value ends.
func scanObject(b []byte, i, depth int, each func(name, nameEnd, end int)) (int, error) {
	if depth >= MaxDepth {
		return i, canonErr(i, "nested too deep")
	}
	start := i
	i++
	if i < len(b) && b[i] == '}' {
		return i + 1, nil
	}
	var last []byte
	for first := true; ; first = false {
		name, n, err := scanName(b, i)
		if err != nil {
			return start, err
		}
		sealed := string(name) == sealedKey
		if sealed && !first || !sealed && !first && string(name) <= string(last) {
			return start, canonErr(i, "keys not in strictly ascending order")
		}
		if n >= len(b) || b[n] != ':' {
			return start, canonErr(n, "expected : behind a key")
		}
		end, err := scanValue(b, n+1, depth+1)
		if err != nil {
			return start, err
		}
		if sealed && (end >= len(b) || b[end] != '}' || b[n+1] != '"') {
			return start, canonErr(i, "a sealed value is one string, alone in its object")
		}
		if each != nil {
			each(n-1-len(name), n-1, end)
		}
		last, i = name, end
		if i >= len(b) {
			return start, canonErr(start, "object cut short")
		}
		switch b[i] {
		case '}':
			return i + 1, nil
		case ',':
			i++
		default:
			return start, canonErr(i, "expected , or } in an object")
		}
	}
}

const sealedKey = "$s"

// scanName checks a key and returns it without its quotes.
func scanName(b []byte, i int) (name []byte, next int, err error) {
	if i >= len(b) || b[i] != '"' {
		return nil, i, canonErr(i, "expected a key")
	}
	j := i + 1
	for j < len(b) && nameByte(b[j]) {
		j++
	}
	if j < len(b) && j == i+1 && b[j] == '$' && j+1 < len(b) && b[j+1] == 's' {
		j += 2
	}
	if j >= len(b) || b[j] != '"' || j == i+1 || j-i-1 > MaxNameLen {
		return nil, i, canonErr(i, "a key must be 1 to 64 characters of a-z, 0-9 and _")
	}
	return b[i+1 : j], j + 1, nil
}

func nameByte(c byte) bool { return nameBytes[c] }

var nameBytes = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_'
	}
	return
}()

// ValidName reports whether s may name a field, a kind, an act or a code.
func ValidName(s string) bool {
	if s == "" || len(s) > MaxNameLen {
		return false
	}
	for i := 0; i < len(s); i++ {
		if !nameByte(s[i]) {
			return false
		}
	}
	return true
}

// ValidID reports whether s may be the id of a record, a device, a user or an incarnation: 1 to 64 characters of
// A-Z, a-z, 0-9, '_', '.' and '-'. A ':' is not among them, since it parts a stamp.
func ValidID(s string) bool {
	if s == "" || len(s) > MaxIDLen {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(nameByte(c) || c >= 'A' && c <= 'Z' || c == '.' || c == '-') {
			return false
		}
	}
	return true
}
