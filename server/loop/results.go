package loop

import (
	"context"
	"slices"
	"strings"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Result is what a measure has come to over some months.
type Result struct {
	Measure    casework.Measure
	Records    int
	Arrived    int // handed out, or confirmed
	Failed     int
	Recovered  int
	Days       int // median from the plan to the handing out; -1 where nothing was handed out
	Households int
	Exits      int // of them, those that have left help since
	Rated      int // assessments by third parties of households that it reached
	Rating     int // their mean in hundredths, of 1 to 5
	Delivered  int // of them, those that found the help delivered
}

// reached is what one household has seen of a measure.
type reached struct {
	Result
	days       []int
	households map[string]bool
}

// MeasureResults says what became of the help that was planned for the months from one to another ("2026-01"), by
// measure: at the bureau of its region, for a department its own, for the finance bureau that of all. No record and no
// name is in it.
func (l *Loop) MeasureResults(ctx context.Context, by casework.Actor, from, to string) ([]Result, error) {
	if !casework.ValidMonth(from) || !casework.ValidMonth(to) || from > to || casework.AddMonths(from+"-01", 36)[:7] <= to {
		return nil, casework.NewError(casework.CodeInvalidValue, "起止月份应写成2026-07的样子,前后不超过三年。")
	}
	if err := by.May(casework.VerbSeeFunds, casework.Subject{Kind: "aid", Region: by.Region, Dept: by.Dept}); err != nil {
		return nil, err
	}
	q := fundsQuery(by)
	sums := map[string]*reached{}
	err := l.store.Read(ctx, func(tx ReadTx) error {
		clear(sums)
		for m := from; m <= to; m = casework.AddMonths(m+"-01", 1)[:7] {
			q.Parent = m
			if err := eachFound(tx, q, func(s *Stored) error { return errorsOr(ctx, countAid(s, sums)) }); err != nil {
				return err
			}
		}
		ratings, err := l.ratings(tx, by.Region)
		if err != nil {
			return err
		}
		for _, r := range sums {
			if err := r.follow(tx, ratings); err != nil {
				return err
			}
		}
		return nil
	})
	list := []Result{}
	for _, m := range casework.Measures {
		if r := sums[m.Code]; r != nil {
			r.Measure = m
			list = append(list, r.Result)
		}
	}
	return list, err
}

// errorsOr is the first error of a step and its context.
func errorsOr(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	return ctx.Err()
}

// fundsQuery selects the aid that somebody sees sums of.
func fundsQuery(by casework.Actor) Query {
	q := Query{Kind: "aid", Limit: 500, Region: casework.RegionPrefix(by.Region)}
	if by.Role == casework.RoleDeptOfficer && by.Dept != "CZJ" {
		q.Owner = by.Dept
	}
	return q
}

func countAid(s *Stored, sums map[string]*reached) error {
	b, err := syncproto.ParseObject(s.Body)
	if err != nil {
		return err
	}
	code := strings.Clone(b.Str("measure"))
	r := sums[code]
	if r == nil {
		r = &reached{households: map[string]bool{}}
		sums[code] = r
	}
	r.Records++
	switch s.Index.State {
	case "disbursed", "confirmed":
		r.Arrived++
		if h := b.Str("household"); h != "" {
			r.households[strings.Clone(h)] = true
		}
	case "failed":
		r.Failed++
	case "recovered":
		r.Recovered++
	}
	if planned, out := parseTime(b.Str("planned_at")), parseTime(b.Str("disbursed_at")); planned > 0 && out >= planned {
		r.days = append(r.days, int((out-planned)/(24*3600*1000)))
	}
	return nil
}

// rating is what third parties said of a household.
type rating struct{ n, sum, delivered int }

// ratings reads the assessments of evaluations that the county has accepted, by household.
func (l *Loop) ratings(tx ReadTx, region string) (map[string]rating, error) {
	out := map[string]rating{}
	err := eachFound(tx, Query{Kind: "evaluation", States: []string{"closed"}, Region: casework.RegionPrefix(region), Limit: 500}, func(e *Stored) error {
		load, err := tx.LastLoad(sampleSet(e.Ref.ID))
		if err != nil {
			return err
		}
		households := map[int64]string{}
		if err := tx.LoadRows(load.N, func(r LoadRow) error {
			var err error
			households[int64(r.Line)], err = l.drawn(load, r)
			return err
		}); err != nil {
			return err
		}
		return tx.ByRoot(e.Root, "assessment", func(s *Stored) error {
			b, err := syncproto.ParseObject(s.Body)
			if err != nil {
				return err
			}
			h := households[b.Int("number")]
			x := out[h]
			x.n, x.sum = x.n+1, x.sum+int(b.Int("rating"))
			if string(b.Get("delivered")) == "true" {
				x.delivered++
			}
			out[h] = x
			return nil
		})
	})
	return out, err
}

// follow looks at what became of the households since, and adds up what was said of them.
func (r *reached) follow(tx ReadTx, ratings map[string]rating) error {
	r.Days = -1
	if n := len(r.days); n > 0 {
		slices.Sort(r.days)
		r.Days = r.days[n/2]
	}
	sum := 0
	for h := range r.households {
		r.Households++
		x := ratings[h]
		r.Rated, sum, r.Delivered = r.Rated+x.n, sum+x.sum, r.Delivered+x.delivered
		left := false
		if err := tx.ByRoot(syncproto.Ref{Kind: "household", ID: h}, "exit", func(s *Stored) error {
			left = left || slices.Contains([]string{"ended", "monitored", "closed"}, s.Index.State)
			return nil
		}); err != nil {
			return err
		}
		if left {
			r.Exits++
		}
	}
	if r.Rated > 0 {
		r.Rating = 100 * sum / r.Rated
	}
	return nil
}
