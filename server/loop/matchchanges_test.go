package loop_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"aidloop/server/casework"
	"aidloop/server/loop"
)

// What changes is matched by itself, and finds what a run over everybody finds: behind it, such a run makes no lead and
// opens no review. Random histories of loads, pushes and changes of the pool.
func TestChangesAreMatched(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			o := newOffice(t)
			ctx := t.Context()
			r := rand.New(rand.NewPCG(seed, 5))
			if n, err := o.loop.MatchChanges(ctx); err != nil || n != 0 {
				t.Fatalf("matched %d before anybody has run the rules: %v", n, err)
			}
			people := o.world.Persons
			day := func() string { return o.now.AddDate(0, 0, -r.IntN(300)).Format("2006-01-02") }
			sets := []struct {
				code string
				cell func() []string
			}{{"medical", func() []string { return []string{day(), fmt.Sprint(r.IntN(2_000_000))} }}, {"unemployed", func() []string { return []string{day()} }},
				{"disability", func() []string { return []string{"肢体", fmt.Sprint(1 + r.IntN(4)), day()} }}, {"care_subsidy", func() []string { return []string{day()[:7]} }},
				{"deaths", func() []string { return []string{day()} }}, {"payments", func() []string { return []string{"低保", day()[:7], "1"} }}}
			load := func(push bool) {
				set := sets[r.IntN(len(sets))]
				d, _ := casework.DatasetOf(set.code)
				by := casework.Actor{UserID: "x", Role: casework.RoleDeptOfficer, Region: o.desk.Region, Dept: d.Dept}
				var lines []loop.DatasetLine
				for i := range 1 + r.IntN(8) {
					lines = append(lines, loop.DatasetLine{Row: i + 2, IDNumber: people[r.IntN(len(people))].IDNo, Cells: set.cell()})
				}
				var err error
				if push {
					_, _, err = o.loop.PushRows(ctx, by, set.code, lines)
				} else {
					_, err = o.loop.LoadDataset(ctx, by, set.code, lines)
				}
				o.must(err)
			}
			for range 4 {
				load(false)
			}
			_, err := o.loop.Match(ctx, o.desk, "")
			o.must(err)
			changed := 0
			for range 12 {
				switch r.IntN(4) {
				case 0:
					load(true)
				case 1:
					load(false)
				default:
					h := o.world.Households[r.IntN(len(o.world.Households))]
					category := []string{"最低生活保障", "低保边缘家庭", "刚性支出困难家庭"}[r.IntN(3)]
					o.table(o.desk, "aid", false, h.Code+"|"+category+"|100|"+day())
				}
				n, err := o.loop.MatchChanges(ctx)
				o.must(err)
				changed += n
				all, err := o.loop.Match(ctx, o.desk, "")
				if o.must(err); all.Leads != 0 || all.Reviews != 0 {
					t.Fatalf("a run over everybody finds %d leads and %d reviews more", all.Leads, all.Reviews)
				}
			}
			if n, err := o.loop.MatchChanges(ctx); err != nil || n != 0 {
				t.Errorf("matched %d again: %v", n, err)
			}
			if changed == 0 {
				t.Error("nothing was matched by itself")
			}
			o.balanced()
		})
	}
}

// Rows that are pushed are there at once and make leads at once; the same row again changes nothing.
func TestRowsArePushed(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	line := loop.DatasetLine{Row: 1, IDNumber: "11010519491231002X", Name: "外来人", Town: o.cast.Town.Code, Cells: []string{o.now.AddDate(0, 0, -9).Format("2006-01-02"), "1500000"}}
	bad := loop.DatasetLine{Row: 2, IDNumber: "123", Cells: line.Cells}
	rep, found, err := o.loop.PushRows(ctx, medicalBureau, "medical", []loop.DatasetLine{line, bad})
	o.must(err)
	if rep.Rows != 1 || rep.Refused != 1 || rep.Refusals[0].Row != 2 || found.Leads != 1 || o.leadNamed("外来人") == nil {
		t.Fatalf("%+v, %+v", rep, found)
	}
	second := line
	second.Cells = []string{line.Cells[0], "1700000"}
	o.must(errOf(o.loop.PushRows(ctx, medicalBureau, "medical", []loop.DatasetLine{second})))
	seen := map[int]bool{}
	o.must(o.store.Read(ctx, func(tx loop.ReadTx) error {
		last, err := tx.LastLoad("medical")
		if err != nil {
			return err
		}
		return tx.LoadRows(last.N, func(r loop.LoadRow) error {
			if seen[r.Line] || r.Line <= loop.MaxDatasetRows {
				t.Errorf("a pushed row has the number %d of another one", r.Line)
			}
			seen[r.Line] = true
			return nil
		})
	}))
	rep, found, err = o.loop.PushRows(ctx, medicalBureau, "medical", []loop.DatasetLine{line})
	if o.must(err); !rep.Unchanged || found.Leads != 0 {
		t.Errorf("again: %+v, %+v", rep, found)
	}
	line.Row = 2
	if again, err := o.loop.LoadDataset(ctx, medicalBureau, "medical", []loop.DatasetLine{line}); err != nil || again.Unchanged {
		t.Errorf("the next whole list: %+v, %v", again, err)
	}
	_, _, err = o.loop.PushRows(ctx, o.officer("JTJ"), "medical", []loop.DatasetLine{line})
	wants(t, err, casework.CodeNotFound)
	_, _, err = o.loop.PushRows(ctx, medicalBureau, "medical", nil)
	wants(t, err, casework.CodeInvalidValue)
}

func errOf(_ *loop.LoadReport, _ *loop.MatchReport, err error) error { return err }
