package syncproto_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	sp "aidloop/syncproto"
)

// What a group's change holds after it was split is what a check of every part by itself finds, however many members
// there are and whatever quotes, backslashes and brackets stand in texts.
func TestAGroupIsSplitAsItsPartsAreParsed(t *testing.T) {
	text := rapid.StringOf(rapid.SampledFrom([]rune(`"\[]{},:a访` + "\n\x01")))
	value := rapid.Custom(func(t *rapid.T) any {
		switch rapid.IntRange(0, 4).Draw(t, "type") {
		case 0:
			return rapid.Int64Range(-sp.MaxInt, sp.MaxInt).Draw(t, "number")
		case 1:
			return rapid.Bool().Draw(t, "flag")
		case 2:
			return []any{text.Draw(t, "item"), []any{}, map[string]any{"a": text.Draw(t, "inner")}}
		case 3:
			return map[string]any{"$s": text.Draw(t, "sealed")}
		}
		return text.Draw(t, "text")
	})
	rapid.Check(t, func(t *rapid.T) {
		fields := map[string]any{}
		for i := range rapid.IntRange(1, 200).Draw(t, "fields") {
			fields[fmt.Sprintf("f%d", i)] = value.Draw(t, "value")
		}
		want := sp.Fields(fields)
		g := &sp.Group{Device: "d-1", Dseq: 1, Root: sp.Ref{Kind: "household", ID: "h"}, Catalog: 1,
			Changes: []sp.Change{{Op: sp.OpPut, Ref: sp.Ref{Kind: "visit", ID: "v"}, Fields: want}}}
		raw, err := g.Encode()
		if err != nil {
			t.Fatal(err)
		}
		p, err := sp.ParseGroup(raw)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := sp.ParseObject(want.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range []sp.Object{p.Changes[0].Fields, parsed} {
			if len(got) != len(want) {
				t.Fatalf("%d fields of %d", len(got), len(want))
			}
			for i, m := range got {
				if m.Name != want[i].Name || string(m.Value) != string(want[i].Value) {
					t.Fatalf("%s is %s, want %s: %s", m.Name, m.Value, want[i].Name, want[i].Value)
				}
			}
		}
	})
}
