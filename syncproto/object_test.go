package syncproto

import (
	"bytes"
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

func TestObjectLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o, f, v := object().Draw(t, "o"), field().Draw(t, "f"), raw().Draw(t, "v")
		before := bytes.Clone(o.Bytes())
		with := o.With(f, v)
		switch {
		case !bytes.Equal(with.Get(f), v) || !with.Has(f):
			t.Fatalf("With then Get: %s", with.Get(f))
		case CheckCanonical(with.Bytes()) != nil:
			t.Fatalf("With broke the form: %s", with.Bytes())
		case !bytes.Equal(with.With(f, v).Bytes(), with.Bytes()):
			t.Fatal("With twice differs from once")
		case with.With(f, nil).Has(f) || !bytes.Equal(with.With(f, nil).Bytes(), o.With(f, nil).Bytes()):
			t.Fatal("With nil does not remove")
		case !bytes.Equal(o.Bytes(), before):
			t.Fatal("With changed the object it was called on")
		}
		for _, m := range o {
			if m.Name != f && !bytes.Equal(with.Get(m.Name), m.Value) {
				t.Fatalf("With(%s) changed %s", f, m.Name)
			}
			if !bytes.Equal(o.With(m.Name, o.Get(m.Name)).Bytes(), before) {
				t.Fatal("writing what is there changes something")
			}
		}
	})
}

func TestObjectParsesWhatItWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := object().Draw(t, "o")
		p, err := ParseObject(o.Bytes())
		if err != nil || len(p) != len(o) || !bytes.Equal(p.Bytes(), o.Bytes()) {
			t.Fatalf("%s: %v", o.Bytes(), err)
		}
	})
	for _, s := range []string{``, `1`, `[]`, `"a"`, `{"a":1} `, `{"$s":"k.b"}`, `{"a":{"$s":1}}`} {
		if _, err := ParseObject([]byte(s)); err == nil {
			t.Errorf("%q parses as an object", s)
		}
	}
}

func TestTypedReads(t *testing.T) {
	o := Fields(map[string]any{"s": "张\"三\n", "i": -7, "t": true, "l": []any{1, "a"}, "o": map[string]any{"a": 1}})
	if o.Str("s") != "张\"三\n" || o.Int("i") != -7 || !o.Bool("t") {
		t.Fatal("a value reads as something else")
	}
	for _, f := range []string{"none", "s", "i", "t", "l", "o"} {
		if f != "s" && o.Str(f) != "" || f != "i" && o.Int(f) != 0 || f != "t" && o.Bool(f) {
			t.Errorf("%s reads as another type", f)
		}
	}
	if items := o.Get("l").Items(); len(items) != 2 || string(items[1]) != `"a"` {
		t.Errorf("items: %s", items)
	}
	for _, r := range []Raw{nil, Raw(`1`), Raw(`"["`), Raw(`[1`), Raw(`{}`)} {
		if r.Items() != nil {
			t.Errorf("%s has items", r)
		}
	}
}

func TestRawInsideOtherJSON(t *testing.T) {
	type box struct {
		V Raw `json:"v"`
	}
	rapid.Check(t, func(t *rapid.T) {
		in := box{raw().Draw(t, "v")}
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var out box
		if err := json.Unmarshal(b, &out); err != nil || !bytes.Equal(out.V, in.V) {
			t.Fatalf("%s became %s, %v", in.V, out.V, err)
		}
	})
	var b box
	if json.Unmarshal([]byte(`{"v":null}`), &b) != nil || b.V != nil {
		t.Error("null must read as absent")
	}
	if json.Unmarshal([]byte(`{"v":1.5}`), &b) == nil {
		t.Error("a float was taken")
	}
}
