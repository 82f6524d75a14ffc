package syncproto

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func change() *rapid.Generator[Change] {
	return rapid.Custom(func(t *rapid.T) Change {
		c := Change{Op: rapid.SampledFrom([]Op{OpPut, OpSet, OpAct, OpDelete}).Draw(t, "op"), Ref: ref().Draw(t, "ref")}
		switch c.Op {
		case OpPut:
			c.Fields = object().Draw(t, "fields")
			c.Bucket = rapid.SampledFrom([]string{"", "ref", "user:u-1", "grid:430681101200-001"}).Draw(t, "bucket")
		case OpSet:
			c.Base = map[string]Stamp{}
			for i, f := range rapid.SliceOfNDistinct(field(), 1, 5, rapid.ID[string]).Draw(t, "names") {
				c.Base[f] = stamp().Draw(t, "base")
				if i > 0 && rapid.Bool().Draw(t, "clear") {
					c.Clear = append(c.Clear, f)
				} else {
					c.Fields = c.Fields.With(f, raw().Draw(t, "value"))
				}
			}
			slices.Sort(c.Clear)
		case OpAct:
			c.Act = name().Draw(t, "act")
			if args := object().Draw(t, "args"); len(args) > 0 {
				c.Args = args
			}
		case OpDelete:
			c.Base = rapid.MapOfN(field(), stamp(), 0, 4).Draw(t, "base")
		}
		return c
	})
}

func group() *rapid.Generator[Group] {
	return rapid.Custom(func(t *rapid.T) Group {
		g := Group{Device: id().Draw(t, "device"), Dseq: rapid.Uint64Range(1, 1<<40).Draw(t, "dseq"), Root: ref().Draw(t, "root"),
			Catalog: rapid.IntRange(0, 1000).Draw(t, "catalog"),
			Clock: Clock{rapid.Int64Range(-1<<41, 1<<42).Draw(t, "wall"), rapid.Int64Range(0, 1<<40).Draw(t, "mono"),
				rapid.SampledFrom([]string{"", "boot-7", "启动"}).Draw(t, "boot")}}
		if rapid.Bool().Draw(t, "pulled") {
			g.GV = Cursor{id().Draw(t, "incarnation"), rapid.Uint64Range(0, 1<<40).Draw(t, "seq")}.String()
		}
		if rapid.Bool().Draw(t, "reissued") {
			g.Origin = &Origin{id().Draw(t, "origin"), rapid.Uint64Range(1, 1<<40).Draw(t, "n"), GroupHash([]byte{1})}
		}
		g.Changes = rapid.SliceOfN(change(), 1, 4).Draw(t, "changes")
		return g
	})
}

func TestGroupRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := group().Draw(t, "group")
		b, err := g.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckCanonical(b); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		p, err := ParseGroup(b)
		if err != nil {
			t.Fatal(err)
		}
		again, err := p.Encode()
		if err != nil || string(again) != string(b) || p.Last() != g.Dseq+uint64(len(g.Changes))-1 {
			t.Fatalf("%s became %s, %v", b, again, err)
		}
		if p.Clock != g.Clock || p.GV != g.GV || p.Root != g.Root || p.Catalog != g.Catalog || !reflect.DeepEqual(p.Origin, g.Origin) {
			t.Fatalf("%+v became %+v", g, p)
		}
	})
}

// TestEncodeNeverSmuggles: a text with quotes in it is an error or stays the text it was.
func TestEncodeNeverSmuggles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := group().Draw(t, "group")
		bad := rapid.OneOf(text(), rapid.SampledFrom([]string{`a","dseq":5,"gv":"`, `x","args":{"a":"b`, `r","id":"a`, `a"`})).Draw(t, "bad")
		places := []*string{&g.Device, &g.GV, &g.Root.Kind, &g.Root.ID, &g.Clock.Boot, &g.Changes[0].Ref.ID, &g.Changes[0].Ref.Kind,
			&g.Changes[0].Act, &g.Changes[0].Bucket}
		*rapid.SampledFrom(places).Draw(t, "place") = bad
		b, err := g.Encode()
		if err != nil {
			return
		}
		p, err := ParseGroup(b)
		if err != nil {
			t.Fatal(err)
		}
		c, d := g.Changes[0], p.Changes[0]
		act := c.Act
		if c.Op != OpAct {
			act = ""
		}
		if p.Device != g.Device || p.GV != g.GV || p.Root != g.Root || p.Clock != g.Clock || c.Ref != d.Ref || act != d.Act || c.Bucket != d.Bucket {
			t.Fatalf("%s says something else than %+v", b, g)
		}
	})
}

const goodChange = `{"fields":{"name":"a"},"id":"h-1","kind":"household","op":"put"}`

// groupText writes a group with one member replaced, or left out where its text is "".
func groupText(replace ...string) string {
	members := [][2]string{{"boot", `"b"`}, {"catalog", `1`}, {"changes", `[` + goodChange + `]`}, {"device", `"d-1"`}, {"dseq", `7`},
		{"gv", `"inc-1:12"`}, {"mono", `5`}, {"origin", ``}, {"root", `"household/h-1"`}, {"v", `1`}, {"wall", `1760000000000`}}
	var b strings.Builder
	for _, m := range members {
		for i := 0; i+1 < len(replace); i += 2 {
			if replace[i] == m[0] {
				m[1] = replace[i+1]
			}
		}
		if m[1] != "" {
			fmt.Fprintf(&b, `,"%s":%s`, m[0], m[1])
		}
	}
	return "{" + strings.TrimPrefix(b.String(), ",") + "}"
}

func groupOf(changes ...string) string {
	return groupText("changes", "["+strings.Join(changes, ",")+"]")
}

const zeroHash = `0000000000000000000000000000000000000000000000000000000000000000`

// badGroups breaks every rule of a group once.
var badGroups = []struct{ name, text string }{
	{"not JSON", `put`},
	{"an array", `[]`},
	{"white space", groupText() + " "},
	{"unknown member", strings.Replace(groupText(), `"wall"`, `"w":1,"wall"`, 1)},
	{"boot missing", groupText("boot", "")},
	{"boot no text", groupText("boot", "1")},
	{"boot of 65 characters", groupText("boot", `"`+strings.Repeat("b", 65)+`"`)},
	{"catalog missing", groupText("catalog", "")},
	{"catalog no number", groupText("catalog", `"1"`)},
	{"catalog negative", groupText("catalog", `-1`)},
	{"changes missing", groupText("changes", "")},
	{"changes no array", groupText("changes", `{}`)},
	{"no changes", groupText("changes", `[]`)},
	{"65 changes", groupOf(strings.Split(strings.TrimSuffix(strings.Repeat(goodChange+";", 65), ";"), ";")...)},
	{"change no object", groupOf(`1`)},
	{"device missing", groupText("device", "")},
	{"device empty", groupText("device", `""`)},
	{"device with a colon", groupText("device", `"a:b"`)},
	{"dseq missing", groupText("dseq", "")},
	{"dseq zero", groupText("dseq", "0")},
	{"dseq negative", groupText("dseq", "-1")},
	{"dseq no number", groupText("dseq", `"7"`)},
	{"dseq so high that its stamps would not be exact", groupText("dseq", `9007199254740991`)},
	{"gv missing", groupText("gv", "")},
	{"gv no text", groupText("gv", "1")},
	{"gv no cursor", groupText("gv", `"12"`)},
	{"mono missing", groupText("mono", "")},
	{"mono no number", groupText("mono", `"5"`)},
	{"origin no object", groupText("origin", `1`)},
	{"origin empty", groupText("origin", `{}`)},
	{"origin with more", groupText("origin", `{"device":"d-0","dseq":1,"hash":"`+zeroHash+`","x":1}`)},
	{"origin without device", groupText("origin", `{"dseq":1,"hash":"`+zeroHash+`"}`)},
	{"origin with number zero", groupText("origin", `{"device":"d-0","dseq":0,"hash":"`+zeroHash+`"}`)},
	{"origin with a short hash", groupText("origin", `{"device":"d-0","dseq":1,"hash":"00"}`)},
	{"origin with a hash in capitals", groupText("origin", `{"device":"d-0","dseq":1,"hash":"`+strings.Repeat("AA", 32)+`"}`)},
	{"root missing", groupText("root", "")},
	{"root without id", groupText("root", `"household"`)},
	{"version missing", groupText("v", "")},
	{"version 2", groupText("v", "2")},
	{"version as text", groupText("v", `"1"`)},
	{"wall missing", groupText("wall", "")},
	{"wall no number", groupText("wall", `"now"`)},

	{"change without operation", groupOf(`{"fields":{},"id":"a","kind":"person"}`)},
	{"unknown operation", groupOf(`{"fields":{},"id":"a","kind":"person","op":"merge"}`)},
	{"change with unknown member", groupOf(`{"fields":{},"id":"a","kind":"person","op":"put","x":1}`)},
	{"change without id", groupOf(`{"fields":{},"kind":"person","op":"put"}`)},
	{"change with a bad id", groupOf(`{"fields":{},"id":"a b","kind":"person","op":"put"}`)},
	{"change without kind", groupOf(`{"fields":{},"id":"a","op":"put"}`)},
	{"change with a bad kind", groupOf(`{"fields":{},"id":"a","kind":"Person","op":"put"}`)},
	{"put without fields", groupOf(`{"id":"a","kind":"person","op":"put"}`)},
	{"put with base", groupOf(`{"base":{},"fields":{},"id":"a","kind":"person","op":"put"}`)},
	{"put with clear", groupOf(`{"clear":["name"],"fields":{},"id":"a","kind":"person","op":"put"}`)},
	{"put with act", groupOf(`{"act":"submit","fields":{},"id":"a","kind":"person","op":"put"}`)},
	{"put with fields that are no object", groupOf(`{"fields":[],"id":"a","kind":"person","op":"put"}`)},
	{"put with a sealed value for its fields", groupOf(`{"fields":{"$s":"k.b"},"id":"a","kind":"person","op":"put"}`)},
	{"put of a field that begins with '_'", groupOf(`{"fields":{"_deleted":1},"id":"a","kind":"person","op":"put"}`)},
	{"put with an empty bucket", groupOf(`{"bucket":"","fields":{},"id":"a","kind":"household","op":"put"}`)},
	{"put with a bad bucket", groupOf(`{"bucket":"town:1","fields":{},"id":"a","kind":"household","op":"put"}`)},
	{"put with a bucket that is no text", groupOf(`{"bucket":1,"fields":{},"id":"a","kind":"household","op":"put"}`)},
	{"set without base", groupOf(`{"fields":{"name":"a"},"id":"a","kind":"person","op":"set"}`)},
	{"set with base no object", groupOf(`{"base":[],"fields":{"name":"a"},"id":"a","kind":"person","op":"set"}`)},
	{"set of nothing", groupOf(`{"base":{},"id":"a","kind":"person","op":"set"}`)},
	{"set with a base that is no stamp", groupOf(`{"base":{"name":"d"},"fields":{"name":"a"},"id":"a","kind":"person","op":"set"}`)},
	{"set with an empty base stamp", groupOf(`{"base":{"name":""},"fields":{"name":"a"},"id":"a","kind":"person","op":"set"}`)},
	{"set with base of another field", groupOf(`{"base":{"work":"d:1"},"fields":{"name":"a"},"id":"a","kind":"person","op":"set"}`)},
	{"set with base of one field more", groupOf(`{"base":{"name":"d:1","work":"d:1"},"fields":{"name":"a"},"id":"a","kind":"person","op":"set"}`)},
	{"set with base of one field less", groupOf(`{"base":{"name":"d:1"},"fields":{"name":"a","work":"b"},"id":"a","kind":"person","op":"set"}`)},
	{"set that writes and clears a field", groupOf(`{"base":{"name":"d:1","work":"d:1"},"clear":["name"],"fields":{"name":"a"},"id":"a","kind":"person","op":"set"}`)},
	{"set that clears twice", groupOf(`{"base":{"name":"d:1","work":"d:1"},"clear":["name","name"],"id":"a","kind":"person","op":"set"}`)},
	{"set that clears out of order", groupOf(`{"base":{"name":"d:1","work":"d:1"},"clear":["work","name"],"id":"a","kind":"person","op":"set"}`)},
	{"set that clears no names", groupOf(`{"base":{"name":"d:1"},"clear":[1],"id":"a","kind":"person","op":"set"}`)},
	{"set with clear no array", groupOf(`{"base":{"name":"d:1"},"clear":"name","id":"a","kind":"person","op":"set"}`)},
	{"set of a field that begins with '_'", groupOf(`{"base":{"_x":"d:1"},"fields":{"_x":1},"id":"a","kind":"person","op":"set"}`)},
	{"set that clears a field that begins with '_'", groupOf(`{"base":{"_x":"d:1"},"clear":["_x"],"id":"a","kind":"person","op":"set"}`)},
	{"set with bucket", groupOf(`{"base":{"name":"d:1"},"bucket":"ref","fields":{"name":"a"},"id":"a","kind":"person","op":"set"}`)},
	{"set with args", groupOf(`{"args":{},"base":{"name":"d:1"},"fields":{"name":"a"},"id":"a","kind":"person","op":"set"}`)},
	{"act without act", groupOf(`{"id":"a","kind":"visit","op":"act"}`)},
	{"act empty", groupOf(`{"act":"","id":"a","kind":"visit","op":"act"}`)},
	{"act with a bad name", groupOf(`{"act":"Submit","id":"a","kind":"visit","op":"act"}`)},
	{"act with args no object", groupOf(`{"act":"submit","args":[],"id":"a","kind":"visit","op":"act"}`)},
	{"act with fields", groupOf(`{"act":"submit","fields":{},"id":"a","kind":"visit","op":"act"}`)},
	{"act with base", groupOf(`{"act":"submit","base":{},"id":"a","kind":"visit","op":"act"}`)},
	{"delete without base", groupOf(`{"id":"a","kind":"person","op":"delete"}`)},
	{"delete with fields", groupOf(`{"base":{},"fields":{},"id":"a","kind":"person","op":"delete"}`)},
	{"delete with a base that is no stamp", groupOf(`{"base":{"name":1},"id":"a","kind":"person","op":"delete"}`)},
	{"the second change is bad", groupOf(goodChange, `{}`)},
	{"larger than 256 KiB", groupOf(`{"fields":{"name":"` + strings.Repeat("a", MaxGroupBytes) + `"},"id":"a","kind":"person","op":"put"}`)},
	{"nested too deep", groupOf(`{"fields":{"name":` + nested("[", "", "]", 13) + `},"id":"a","kind":"person","op":"put"}`)},
}

var goodGroups = []struct{ name, text string }{
	{"put of a new root", groupOf(`{"bucket":"grid:430681101200-001","fields":{"members_count":3},"id":"h-1","kind":"household","op":"put"}`)},
	{"put without fields of its own", groupOf(`{"fields":{},"id":"a","kind":"person","op":"put"}`)},
	{"set", groupOf(`{"base":{"name":"d-1:1","work":"inc-1:9"},"clear":["work"],"fields":{"name":"张三"},"id":"a","kind":"person","op":"set"}`)},
	{"set that only clears", groupOf(`{"base":{"work":"inc-1:9"},"clear":["work"],"id":"a","kind":"person","op":"set"}`)},
	{"act", groupOf(`{"act":"submit_visit","id":"v-1","kind":"visit","op":"act"}`)},
	{"act with args", groupOf(`{"act":"submit_visit","args":{"late":true},"id":"v-1","kind":"visit","op":"act"}`)},
	{"delete", groupOf(`{"base":{"name":"d-1:1"},"id":"a","kind":"person","op":"delete"}`)},
	{"delete of an empty record", groupOf(`{"base":{},"id":"a","kind":"person","op":"delete"}`)},
	{"before the first pull, in 1970, after a clock reset", groupText("gv", `""`, "wall", "-28800000", "boot", `""`)},
	{"reissued after a fork", groupText("origin", `{"device":"d-0","dseq":3,"hash":"`+zeroHash+`"}`)},
	{"64 changes", groupOf(strings.Split(strings.TrimSuffix(strings.Repeat(goodChange+";", 64), ";"), ";")...)},
	{"a sealed field", groupOf(`{"fields":{"head_name":{"$s":"0123456789abcdef.AAAA"}},"id":"h-1","kind":"household","op":"put"}`)},
	{"nested as deep as it goes", groupOf(`{"fields":{"name":` + nested("[", "", "]", 12) + `},"id":"a","kind":"person","op":"put"}`)},
}

func TestGroupRefusals(t *testing.T) {
	for _, c := range goodGroups {
		g, err := ParseGroup([]byte(c.text))
		if err != nil {
			t.Errorf("%s: %s: %v", c.name, c.text, err)
			continue
		}
		if b, err := g.Encode(); err != nil || string(b) != c.text {
			t.Errorf("%s: %s is written as %s, %v", c.name, c.text, b, err)
		}
	}
	for _, c := range badGroups {
		if _, err := ParseGroup([]byte(c.text)); !errors.Is(err, ErrGroup) {
			t.Errorf("%s: %.300s: got %v", c.name, c.text, err)
		}
	}
}

func TestEveryTruncationOfAGroupFails(t *testing.T) {
	for _, c := range goodGroups {
		for n := range min(len(c.text), 600) {
			if _, err := ParseGroup([]byte(c.text[:n])); err == nil {
				t.Fatalf("%s: %q parses", c.name, c.text[:n])
			}
		}
	}
}
