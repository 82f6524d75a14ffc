package syncproto

import (
	"bytes"
	"strings"
)

// A group is checked from its first byte to its last once; what lies inside it is then only split. Splitting trusts its
// bytes, so nothing in this file may be given bytes that no scan has passed.

// members collects where an object's members lie while it is read. It holds no pointer to itself, so that it can live
// on the stack.
type members struct {
	n    int
	few  [96]member // a visit's answers and some more
	rest []member
}

// member is a name without its quotes, and the end of the value; the value begins behind a quote and a colon.
type member struct{ name, nameEnd, end int32 }

func (m *members) add(name, nameEnd, end int) {
	x := member{int32(name), int32(nameEnd), int32(end)}
	if m.n < len(m.few) {
		m.few[m.n] = x
	} else {
		m.rest = append(m.rest, x)
	}
	m.n++
}

func (m *members) at(i int) member {
	if i < len(m.few) {
		return m.few[i]
	}
	return m.rest[i-len(m.few)]
}

// object cuts the members out of the bytes they lie in. Names are kept in one piece of memory, since an object has
// dozens of short ones.
func (m *members) object(b []byte) (Object, error) {
	size := 0
	for i := range m.n {
		x := m.at(i)
		size += int(x.nameEnd - x.name)
	}
	var text strings.Builder
	text.Grow(size)
	for i := range m.n {
		x := m.at(i)
		text.Write(b[x.name:x.nameEnd])
	}
	names := text.String()
	if m.n == 1 && names == sealedKey {
		return nil, canonErr(0, "a sealed value where an object of fields belongs")
	}
	o := make(Object, m.n)
	for i := range o {
		x := m.at(i)
		n := x.nameEnd - x.name
		o[i] = Member{Name: names[:n], Value: b[x.nameEnd+2 : x.end]}
		names = names[n:]
	}
	return o, nil
}

// split is ParseObject for a value that was scanned as part of another one.
func (r Raw) split() (Object, error) {
	if len(r) == 0 || r[0] != '{' {
		return nil, canonErr(0, "expected an object")
	}
	var m members
	for i := 1; r[i] != '}'; {
		name := i + 1
		nameEnd := name + bytes.IndexByte(r[name:], '"')
		end := skipValue(r, nameEnd+2)
		m.add(name, nameEnd, end)
		if i = end; r[i] == ',' {
			i++
		}
	}
	return m.object(r)
}

// skipValue returns the index behind the value that starts at i.
func skipValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		for depth := 0; ; {
			switch b[i] {
			case '"':
				i = skipString(b, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
	}
	for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' {
		i++
	}
	return i
}

// skipString returns the index behind the string that starts at i. A quote ends it unless an odd number of backslashes
// stands before it.
func skipString(b []byte, i int) int {
	for i++; ; i++ {
		i += bytes.IndexByte(b[i:], '"')
		n := 0
		for b[i-1-n] == '\\' {
			n++
		}
		if n%2 == 0 {
			return i + 1
		}
	}
}
