package syncproto

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func version() *rapid.Generator[Version] {
	return rapid.Custom(func(t *rapid.T) Version {
		return Version{stamp().Draw(t, "stamp"), rapid.Int64Range(0, 1<<42).Draw(t, "time")}
	})
}

func ref() *rapid.Generator[Ref] {
	return rapid.Custom(func(t *rapid.T) Ref { return Ref{name().Draw(t, "kind"), id().Draw(t, "id")} })
}

func envelope() *rapid.Generator[Envelope] {
	return rapid.Custom(func(t *rapid.T) Envelope {
		e := Envelope{Ref: ref().Draw(t, "ref"), Version: version().Draw(t, "version"), Deleted: rapid.Bool().Draw(t, "deleted")}
		if rapid.Bool().Draw(t, "rooted") {
			e.Root = ref().Draw(t, "root")
		}
		for _, f := range rapid.SliceOfN(name(), 0, 5).Draw(t, "fields") {
			e.set(f, version().Draw(t, "field version"))
		}
		return e
	})
}

func TestEnvelopeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := envelope().Draw(t, "envelope")
		b := e.Bytes()
		if err := CheckCanonical(b); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		p, err := ParseEnvelope(b)
		if err != nil || !reflect.DeepEqual(p, e) {
			t.Fatalf("%s: %+v, %v", b, p, err)
		}
	})
}

func TestEnvelopeRemembersWhoWroteAField(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e, f, g := envelope().Draw(t, "e"), name().Draw(t, "f"), name().Draw(t, "g")
		v, before := version().Draw(t, "v"), e.Of(g)
		kept := string(e.Bytes())
		next := e
		next.set(f, v)
		if next.Of(f) != v || g != f && next.Of(g) != before || string(e.Bytes()) != kept {
			t.Fatal("set wrote more than its field, or in place")
		}
	})
}

// badEnvelopes lists forms that say the same as a good one, or nothing at all. Every one is refused.
var badEnvelopes = []struct{ name, text string }{
	{"no object", `[]`},
	{"empty", `{}`},
	{"white space", `{"id":"a","k":"person","s":"d:1","t": 0}`},
	{"without id", `{"k":"person","s":"d:1","t":0}`},
	{"without kind", `{"id":"a","s":"d:1","t":0}`},
	{"without stamp", `{"id":"a","k":"person","t":0}`},
	{"without time", `{"id":"a","k":"person","s":"d:1"}`},
	{"unknown member", `{"id":"a","k":"person","s":"d:1","t":0,"u":1}`},
	{"empty fields", `{"f":{},"id":"a","k":"person","s":"d:1","t":0}`},
	{"fields that are no object", `{"f":[],"id":"a","k":"person","s":"d:1","t":0}`},
	{"field version with more items", `{"f":{"name":["d:2",1,1]},"id":"a","k":"person","s":"d:1","t":0}`},
	{"field version without time", `{"f":{"name":["d:2"]},"id":"a","k":"person","s":"d:1","t":0}`},
	{"field version with its time as text", `{"f":{"name":["d:2","1"]},"id":"a","k":"person","s":"d:1","t":0}`},
	{"field version with a bad stamp", `{"f":{"name":["d:0",1]},"id":"a","k":"person","s":"d:1","t":0}`},
	{"not deleted, said aloud", `{"id":"a","k":"person","s":"d:1","t":0,"x":false}`},
	{"deleted as a number", `{"id":"a","k":"person","s":"d:1","t":0,"x":1}`},
	{"empty root", `{"id":"a","k":"person","r":"","s":"d:1","t":0}`},
	{"root without id", `{"id":"a","k":"person","r":"household/","s":"d:1","t":0}`},
	{"capital in the kind", `{"id":"a","k":"Person","s":"d:1","t":0}`},
	{"colon in the id", `{"id":"a:b","k":"person","s":"d:1","t":0}`},
	{"id of 65 characters", `{"id":"` + strings.Repeat("a", 65) + `","k":"person","s":"d:1","t":0}`},
	{"stamp with number zero", `{"id":"a","k":"person","s":"d:0","t":0}`},
	{"stamp with a leading zero", `{"id":"a","k":"person","s":"d:01","t":0}`},
	{"stamp without origin", `{"id":"a","k":"person","s":":1","t":0}`},
	{"time as text", `{"id":"a","k":"person","s":"d:1","t":"0"}`},
	{"kind as a number", `{"id":"a","k":1,"s":"d:1","t":0}`},
}

func TestEnvelopeRefusesOtherForms(t *testing.T) {
	for _, c := range badEnvelopes {
		if e, err := ParseEnvelope([]byte(c.text)); err == nil {
			t.Errorf("%s: %s parses as %+v", c.name, c.text, e)
		}
	}
}

func TestTextFormsOfNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, s := ref().Draw(t, "ref"), stamp().Draw(t, "stamp")
		if p, err := ParseRef(r.String()); err != nil || p != r {
			t.Fatalf("%v became %v, %v", r, p, err)
		}
		if o, n, ok := s.Split(); !ok || MakeStamp(o, n) != s {
			t.Fatalf("%s splits into %s and %d", s, o, n)
		}
		c := Cursor{id().Draw(t, "incarnation"), rapid.Uint64Range(0, MaxInt).Draw(t, "seq")}
		if p, err := ParseCursor(c.String()); err != nil || p != c {
			t.Fatalf("%v became %v, %v", c, p, err)
		}
	})
	if (Ref{}).String() != "" {
		t.Error("the zero reference has a text")
	}
}
