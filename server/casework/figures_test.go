package casework_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"aidloop/server/casework"
)

// Whatever is counted, behind every cell stand as many ids as it says, and the total counts each record once.
func TestTallyCountsWhatItLists(t *testing.T) {
	keys := []string{"a", "b", "c"}
	subset := rapid.SliceOfNDistinct(rapid.SampledFrom(keys), 0, 3, rapid.ID)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 30).Draw(t, "records")
		rows, columns := make([][]string, n), make([][]string, n)
		for i := range n {
			rows[i], columns[i] = subset.Draw(t, "rows"), subset.Draw(t, "columns")
		}
		count := func(row, column string) *casework.Tally {
			x := &casework.Tally{Row: row, Column: column}
			for i := range n {
				x.Add(string(rune('A'+i)), rows[i], columns[i])
			}
			return x
		}
		all := count("", "").Rows()
		if last := all[len(all)-1]; last.Key != casework.TotalRow {
			t.Fatalf("the last row is %s", last.Key)
		}
		for _, row := range all {
			for _, c := range keys {
				want := 0
				for i := range n {
					if slices.Contains(columns[i], c) && (row.Key == casework.TotalRow || slices.Contains(rows[i], row.Key)) {
						want++
					}
				}
				if ids := count(row.Key, c).IDs(); row.Counts[c] != want || len(ids) != want || !slices.IsSorted(ids) {
					t.Errorf("%s %s: %d, want %d, %v", row.Key, c, row.Counts[c], want, ids)
				}
			}
		}
	})
}

// The proposal must be made on the last day at the latest; a lead that the county returned is under way again.
func TestOnTimeIsTheDayOfTheProposal(t *testing.T) {
	const due = "2026-05-20"
	for _, c := range []struct {
		state, proposed, today, want string
	}{
		{"assigned", "", due, "open"},
		{"assigned", "", "2026-05-21", "overdue"},
		{"county_review", due, "2026-08-01", "on_time"},
		{"closed", "2026-05-21", "2026-08-01", "late"},
		{"county_returned", due, due, "open"},
		{"county_returned", due, "2026-05-21", "overdue"},
		{"duplicate", "", "2026-08-01", "duplicate"},
	} {
		f := casework.LeadFacts{State: c.state, DueOn: due, ProposedOn: c.proposed}
		if got := f.OnTime(c.today); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	if r := casework.Rate(map[string]int{"on_time": 2, "late": 1, "open": 9, "duplicate": 3}); r != "66.7%" {
		t.Error(r)
	}
	if r := casework.Rate(map[string]int{"open": 9}); r != "" {
		t.Error(r)
	}
}

func TestUnitOf(t *testing.T) {
	for region, town := range map[string]string{"430681102212-001": "430681102000", "430681102212": "430681102000", "430681102000": "430681102000",
		"430681000000": "430681000000", "x": ""} {
		if got := casework.UnitOf(region); got != town {
			t.Errorf("%s: %q", region, got)
		}
	}
}
