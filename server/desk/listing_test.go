package desk

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

type lineOf struct {
	Name  string `json:"name,omitempty" zh:"名称"`
	N     int    `json:"n" zh:"数"`
	Plain string `json:"plain"`
}

// Whatever is asked for: a list is narrowed to lines of it, in the order asked for, and its pages put together are all of it.
func TestListsAreNarrowed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var items []lineOf
		for range rapid.IntRange(0, 20).Draw(t, "lines") {
			items = append(items, lineOf{rapid.SampledFrom([]string{"甲", "乙", "甲乙", ""}).Draw(t, "name"), rapid.IntRange(-20, 20).Draw(t, "n"), "甲"})
		}
		how := AsTable{Filter: rapid.SampledFrom([]string{"", "甲"}).Draw(t, "filter"), By: "n", Down: rapid.Bool().Draw(t, "down")}
		all, err := narrow(slices.Clone(items), how)
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		for _, x := range items {
			if how.Filter == "" || x.Name == "甲" || x.Name == "甲乙" { // a member without a heading is no cell
				want++
			}
		}
		sorted := slices.IsSortedFunc(all, func(a, b lineOf) int {
			if how.Down {
				return b.N - a.N
			}
			return a.N - b.N
		})
		if len(all) != want || !sorted {
			t.Fatalf("%+v of %+v, asked for %+v", all, items, how)
		}
		var pages []lineOf
		for how.Take = 3; ; how.Skip += how.Take {
			page, err := narrow(slices.Clone(items), how)
			if err != nil || len(page) > 3 {
				t.Fatal(page, err)
			}
			if pages = append(pages, page...); len(page) == 0 {
				break
			}
		}
		if !slices.Equal(pages, all) {
			t.Fatalf("the pages are %+v, all is %+v", pages, all)
		}
	})
	if _, err := narrow([]lineOf{{}}, AsTable{By: "plain"}); err == nil {
		t.Error("sorted by a member that is no column")
	}
}
