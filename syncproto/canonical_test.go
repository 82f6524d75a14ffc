package syncproto

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestEveryValueIsCanonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := value(4).Draw(t, "value")
		r, err := Value(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckCanonical(r); err != nil {
			t.Fatalf("%s: %v", r, err)
		}
		var want any
		got, err := r.Decode()
		if err != nil {
			t.Fatal(err)
		}
		if json.Unmarshal(r, &want) != nil || string(MustValue(got)) != string(r) {
			t.Fatalf("%s decodes to %v", r, got)
		}
	})
}

func TestCanonicalizeKeepsCanonicalBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := raw().Draw(t, "raw")
		c, err := Canonicalize(r)
		if err != nil || !bytes.Equal(c, r) {
			t.Fatalf("%s became %s, %v", r, c, err)
		}
		var v any
		dec := json.NewDecoder(bytes.NewReader(r))
		dec.UseNumber()
		if err := dec.Decode(&v); err != nil {
			t.Fatal(err)
		}
		pretty, err := json.MarshalIndent(v, " ", "\t") // escapes HTML, U+2028 and breaks lines
		if err != nil {
			t.Fatal(err)
		}
		if c, err = Canonicalize(pretty); err != nil || !bytes.Equal(c, r) {
			t.Fatalf("%s became %s, %v", pretty, c, err)
		}
	})
}

func TestEveryTruncationOfADocumentFails(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := object().Draw(t, "object").Bytes()
		for n := range r {
			if CheckCanonical(r[:n]) == nil {
				t.Fatalf("%q passes", r[:n])
			}
			if _, err := Canonicalize(r[:n]); err == nil {
				t.Fatalf("%q is canonicalized", r[:n])
			}
		}
	})
}

// TestMutationsAreRefusedOrOther: a changed byte gives an error or another document, never a panic and never two
// texts of one value.
func TestMutationsAreRefusedOrOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := object().Draw(t, "object").Bytes()
		m := bytes.Clone(r)
		for range rapid.IntRange(1, 3).Draw(t, "bytes") {
			m[rapid.IntRange(0, len(m)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		c, err := Canonicalize(m)
		if CheckCanonical(m) == nil && (err != nil || !bytes.Equal(c, m)) {
			t.Fatalf("%q is canonical, but canonicalizes to %q, %v", m, c, err)
		}
		if err == nil && CheckCanonical(c) != nil {
			t.Fatalf("%q canonicalizes to %q, which is not canonical", m, c)
		}
	})
}

// notCanonical lists the forms that other JSON writers produce and that must be refused, by the class of the reason.
var notCanonical = []struct{ name, text, class string }{
	{"empty", ``, "truncated"},
	{"white space before", ` 1`, "syntax"},
	{"white space behind", `1 `, "trailing"},
	{"white space inside", `{"a": 1}`, "syntax"},
	{"two values", `1 2`, "trailing"},
	{"a comma behind the last item", `[1,]`, "syntax"},
	{"a comma behind the last member", `{"a":1,}`, "key"},
	{"null", `null`, "null"},
	{"null member", `{"a":null}`, "null"},
	{"null item", `[null]`, "null"},
	{"keys out of order", `{"b":1,"a":2}`, "order"},
	{"duplicate key", `{"a":1,"a":1}`, "order"},
	{"digits sort before letters and '_'", `{"a":1,"0":2}`, "order"},
	{"'_' sorts before letters", `{"a":1,"_":2}`, "order"},
	{"capital in a key", `{"A":1}`, "key"},
	{"empty key", `{"":1}`, "key"},
	{"escaped key", `{"\u0061":1}`, "key"},
	{"Chinese key", `{"姓名":1}`, "key"},
	{"key of 65 characters", `{"` + strings.Repeat("a", 65) + `":1}`, "key"},
	{"key without quotes", `{a:1}`, "key"},
	{"float", `1.5`, "number"},
	{"float with a whole value", `1.0`, "number"},
	{"exponent", `1e3`, "number"},
	{"capital exponent", `1E3`, "number"},
	{"negative zero", `-0`, "number"},
	{"leading zero", `01`, "number"},
	{"plus sign", `+1`, "syntax"},
	{"minus alone", `-`, "number"},
	{"2^53", `9007199254740992`, "number"},
	{"-2^53", `-9007199254740992`, "number"},
	{"17 digits", `10000000000000000`, "number"},
	{"2^64+1", `18446744073709551617`, "number"},
	{"NaN", `NaN`, "syntax"},
	{"capital true", `True`, "syntax"},
	{"raw tab in a string", "\"\t\"", "control"},
	{"raw NUL in a string", "\"\x00\"", "control"},
	{"escaped solidus", `"\/"`, "escape"},
	{"escaped letter", `"\u0041"`, "escape"},
	{"escaped Chinese", `"\u5f20"`, "escape"},
	{"HTML escape", `"\u003cb\u003e"`, "escape"},
	{"escaped line separator", `"\u2028"`, "escape"},
	{"escaped DEL", `"\u007f"`, "escape"},
	{"long escape of a tab", `"\u0009"`, "escape"},
	{"long escape of a backspace", `"\u0008"`, "escape"},
	{"upper-case hex", `"\u001F"`, "escape"},
	{"lone high surrogate", `"\ud842"`, "escape"},
	{"lone low surrogate", `"\udfb7"`, "escape"},
	{"surrogate pair", `"\ud842\udfb7"`, "escape"},
	{"unknown escape", `"\x"`, "escape"},
	{"escape cut short", `"\u00`, "truncated"},
	{"string cut short", `"abc`, "truncated"},
	{"array cut short", `[1`, "truncated"},
	{"object cut short", `{"a":1`, "truncated"},
	{"single quotes", `'a'`, "syntax"},
	{"invalid UTF-8", "\"\xff\"", "utf8"},
	{"overlong UTF-8", "\"\xc0\xaf\"", "utf8"},
	{"surrogate in UTF-8", "\"\xed\xa0\x80\"", "utf8"},
	{"UTF-8 cut short", "\"\xe5\xbc", "utf8"},
	{"byte order mark", "\ufeff1", "syntax"},
	{"17 arrays deep", nested("[", "", "]", 17), "depth"},
	{"17 objects deep", nested(`{"a":`, `1`, "}", 17), "depth"},
	{"sealed value beside a field", `{"$s":"k.b","a":1}`, "sealed"},
	{"sealed value behind a field", `{"a":1,"$s":"k.b"}`, "order"},
	{"sealed value that is no string", `{"$s":1}`, "sealed"},
	{"other key with a dollar sign", `{"$t":"a"}`, "key"},
}

var canonical = []struct{ name, text string }{
	{"zero", `0`},
	{"2^53-1", `9007199254740991`},
	{"-(2^53-1)", `-9007199254740991`},
	{"true", `true`},
	{"false", `false`},
	{"empty string", `""`},
	{"empty array", `[]`},
	{"empty object", `{}`},
	{"short escapes", `"\"\\\b\t\n\f\r"`},
	{"long escapes", `"\u0000\u0001\u000b\u000e\u001f"`},
	{"HTML stands for itself", `"<b>&'/</b>"`},
	{"DEL and line separators stand for themselves", "\"\x7f\u2028\u2029\""},
	{"Chinese", `"汨罗市"`},
	{"astral characters", `"𠮷🚜"`},
	{"composed and decomposed are two strings", "[\"é\",\"e\u0301\"]"},
	{"noncharacters are allowed", "\"\uffff\ufeff\""},
	{"key order", `{"0":1,"9":1,"_":1,"a":1,"a0":1,"a_":1,"aa":1,"b":1}`},
	{"key of 64 characters", `{"` + strings.Repeat("a", 64) + `":1}`},
	{"16 levels deep", nested("[", "", "]", 16)},
	{"16 objects deep", nested(`{"a":`, `1`, "}", 16)},
	{"sealed value", `{"$s":"0123456789abcdef.AAAA"}`},
	{"sealed value in a field", `{"head_name":{"$s":"0123456789abcdef.AAAA"}}`},
	{"money and coordinates", `{"amount":1250000,"location":{"acc":12,"lat":287612345,"lng":1130654321}}`},
}

func TestCanonicalForms(t *testing.T) {
	for _, c := range canonical {
		if err := CheckCanonical([]byte(c.text)); err != nil {
			t.Errorf("%s: %q: %v", c.name, c.text, err)
		}
	}
	for _, c := range notCanonical {
		err := CheckCanonical([]byte(c.text))
		if !errors.Is(err, ErrCanonical) {
			t.Errorf("%s: %q: got %v", c.name, c.text, err)
		} else if got := canonicalClass(err); got != c.class {
			t.Errorf("%s: %q: %v is of class %s, want %s", c.name, c.text, err, got, c.class)
		}
	}
}

// canonicalClass maps an error to the reason class that the vectors use.
func canonicalClass(err error) string {
	for _, c := range [][2]string{
		{"cut short", "truncated"}, {"trailing bytes", "trailing"}, {"null", "null"}, {"ascending order", "order"},
		{"a key must", "key"}, {"expected a key", "key"}, {"escape", "escape"}, {"control character", "control"},
		{"UTF-8", "utf8"}, {"too deep", "depth"}, {"sealed value", "sealed"}, {"number", "number"}, {"integer", "number"},
	} {
		if strings.Contains(err.Error(), c[0]) {
			return c[1]
		}
	}
	return "syntax"
}

func TestCanonicalizeRefusesWhatItWouldHaveToGuess(t *testing.T) {
	for _, s := range []string{`1.5`, `1.0`, `1e3`, `9007199254740992`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"A":1}`, `{"姓名":1}`,
		`"\ud842"`, `"\udfb7"`, `"\ud842\u0041"`, `"\ud842\ud842"`, "\"\xff\"", `null`, `[null]`, `1 2`, `[1,]`, `{"a":1,}`, `[1 2]`, ``,
		`{"$s":"a","b":1}`, nested("[", "", "]", 17), nested(`{"a":`, `{}`, "}", 16), nested("[", "1", "]", 5000)} {
		if c, err := Canonicalize([]byte(s)); !errors.Is(err, ErrCanonical) {
			t.Errorf("%.60q became %.60q, %v", s, c, err)
		}
	}
	for in, want := range map[string]string{
		" { \"b\" : 1 , \"a\" : null } ": `{"b":1}`,
		`"\u003c\u5f20\/\ud842\udfb7"`:   `"<张/𠮷"`,
		`"\u2028\u0009\u001F"`:           "\"\u2028\\t\\u001f\"",
		`{"b":[],"a":{"c":null}}`:        `{"a":{},"b":[]}`,
		`-0`:                             `0`,
		nested("[", "", "]", 16):         nested("[", "", "]", 16),
	} {
		if c, err := Canonicalize([]byte(in)); err != nil || string(c) != want {
			t.Errorf("%q became %q, %v; want %q", in, c, err, want)
		}
	}
}

// TestValueNeverWritesWhatCheckRefuses covers the inputs of Value that hold bytes of their own.
func TestValueNeverWritesWhatCheckRefuses(t *testing.T) {
	deep := func(n int) any {
		var v any = []any{}
		for range n - 1 {
			v = []any{v}
		}
		return v
	}
	for name, v := range map[string]any{
		"16 arrays": deep(16), "17 arrays": deep(17), "raw in arrays": []any{[]any{Raw(nested("[", "", "]", 15))}},
		"object in an array":  []any{Object{{"a", Raw(nested("[", "", "]", 15))}}},
		"object out of order": Object{{"b", Raw("1")}, {"a", Raw("1")}}, "object with a bad name": Object{{"A", Raw("1")}},
		"object without a value": Object{{"a", nil}}, "nil": nil, "nil raw": Raw(nil), "nil item": []any{nil},
		"nil raw member": map[string]any{"a": Raw(nil)}, "float": 1.5, "number with a fraction": json.Number("1.5"),
		"too large": int64(MaxInt + 1), "too large unsigned": uint64(MaxInt + 1), "too small": int64(-MaxInt - 1),
		"invalid UTF-8": "\xff", "sealed": map[string]any{"$s": "k.b"}, "sealed beside": map[string]any{"$s": "k.b", "a": 1},
		"sealed number": map[string]any{"$s": 1},
	} {
		r, err := Value(v)
		if err == nil {
			err = CheckCanonical(r)
			if err != nil {
				t.Errorf("%s: wrote %q: %v", name, r, err)
			}
		}
	}
	if _, err := Value(deep(16)); err != nil {
		t.Error(err)
	}
	if o, err := FieldsOf(map[string]any{"a": deep(16)}); err == nil && CheckCanonical(o.Bytes()) != nil {
		t.Errorf("a field nested so deep that its object is not canonical: %s", o.Bytes())
	}
	if o, err := FieldsOf(map[string]any{"a": Raw(nil), "b": 1}); err != nil || string(o.Bytes()) != `{"b":1}` {
		t.Errorf("a nil value is left out: %s, %v", o.Bytes(), err)
	}
}
