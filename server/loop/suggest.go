package loop

import (
	"context"
	"errors"
	"slices"
	"time"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Suggested is what the rules make of a household, and from what.
type Suggested struct {
	casework.Suggestion
	Visit string   // that its figures come from; "" where there is none and only the record was used
	Gaps  []string // what nobody has said yet, in words
}

// Suggest classifies a household by its newest visit that was submitted or approved, and by its record, under the
// standards of a day ("2006-01-02"; "" for today). It decides nothing and changes nothing.
func (l *Loop) Suggest(ctx context.Context, by casework.Actor, id, on string) (out *Suggested, err error) {
	err = l.store.Read(ctx, func(tx ReadTx) error {
		s, err := tx.Record(syncproto.Ref{Kind: "household", ID: id})
		if err == nil && s.Deleted {
			err = ErrNotFound
		}
		if err != nil {
			return err
		}
		if err := by.May(casework.VerbReadCase, casework.Subject{Kind: "household", Region: regionOf(s.Bucket)}); err != nil {
			return err
		}
		standards, err := readStandards(tx)
		if err != nil {
			return err
		}
		situation, visit, gaps, err := l.situation(tx, s, l.dayOr(on))
		if err != nil {
			return err
		}
		x, err := casework.Classify(situation, standards)
		if err == nil {
			out = &Suggested{*x, visit, gaps}
		}
		return err
	})
	return out, err
}

// dayOr is a day, or today in the county.
func (l *Loop) dayOr(on string) string {
	if on == "" {
		return l.clock().In(beijing).Format(time.DateOnly)
	}
	return on
}

// readStandards reads every standard of the ref bucket.
func readStandards(tx ReadTx) (list casework.Standards, err error) {
	err = eachFound(tx, Query{Kind: "standard", Limit: 500}, func(s *Stored) error {
		b, err := syncproto.ParseObject(s.Body)
		if err == nil {
			list = append(list, casework.Standard{Code: b.Str("code"), Region: b.Str("region"), Area: b.Str("area"), Value: b.Int("value"),
				Unit: b.Str("unit"), From: b.Str("from"), Until: b.Str("until"), Source: b.Str("source")})
		}
		return err
	})
	return list, err
}

// situation gathers what classification looks at. A household that nobody has visited has the income of its record only.
func (l *Loop) situation(tx ReadTx, household *Stored, on string) (s casework.Situation, visit string, gaps []string, err error) {
	ring, err := l.openRing(tx, household.Root, household.Bucket)
	if err != nil {
		return s, "", nil, err
	}
	record, persons, err := caseRecords(tx, ring, household.Root)
	if err != nil {
		return s, "", nil, err
	}
	if record == nil {
		return s, "", nil, ErrNotFound
	}
	s = casework.Situation{Region: villageOf(household.Bucket), On: on}
	s.Urban, _ = record["urban"].(bool)
	newest, err := newestVisit(tx, household.Root)
	if err != nil {
		return s, "", nil, err
	}
	var form *casework.Form
	var answers map[string]any
	if newest != nil {
		form, err = formOf(storedIn(tx), newest.Body)
		if err != nil && casework.CodeOf(err) != "form_unknown" {
			return s, "", nil, err
		}
	}
	if form != nil {
		visit = newest.ID
		answers = answersOf(form, opened(ring, newest.Ref, newest.Body))
	} else {
		income, _ := record["income_year"].(int64)
		s.Incomes = []casework.Income{{Kind: "recorded", Amount: income}}
		gaps = append(gaps, "还没有可用的入户走访,收入取自家庭档案")
	}
	s, more := casework.Situate(s, form, answers, persons)
	return s, visit, append(gaps, more...), nil
}

// storedIn reads records of one snapshot, nil where there is none.
func storedIn(tx ReadTx) func(syncproto.Ref) (*Stored, error) {
	return func(ref syncproto.Ref) (*Stored, error) {
		s, err := tx.Record(ref)
		if errors.Is(err, ErrNotFound) {
			return nil, nil
		}
		return s, err
	}
}

// villageOf is the village of a grid's bucket, or "".
func villageOf(bucket string) string {
	region := regionOf(bucket)
	return region[:min(len(region), 12)]
}

// newestVisit is the visit of a root that was made last, among those that met somebody and were submitted or approved.
func newestVisit(tx ReadTx, root syncproto.Ref) (newest *syncproto.Record, err error) {
	at := int64(0)
	err = tx.ByRoot(root, "visit", func(s *Stored) error {
		if !slices.Contains([]string{"submitted", "approved"}, s.Index.State) {
			return nil
		}
		rec, err := parseStored(s)
		if err != nil {
			return err
		}
		if t := parseTime(rec.Body.Str("visited_at")); rec.Body.Str("met") == "seen" && (newest == nil || t > at) {
			newest, at = rec, t
		}
		return nil
	})
	return newest, err
}

// Shift is what a change of standards would do to the households of a region.
type Shift struct {
	Households  int
	Unjudged    int            // that lack what the rules need, such as a standard or a member
	Moves       map[string]int // "DIBAO → MARGINAL": households whose first category would change
	GrantBefore int64          // dibao of a year, 分
	GrantAfter  int64
}

// SimulateStandards classifies the caller's households on a day under the standards on record, and under those with
// more of them added, before anything takes effect. Nothing is changed.
func (l *Loop) SimulateStandards(ctx context.Context, by casework.Actor, on string, more []casework.Standard) (out *Shift, err error) {
	if err := by.May(casework.VerbSimulate, casework.Subject{Kind: "standard", Region: by.Region}); err != nil {
		return nil, err
	}
	for _, s := range more {
		if err := s.Check(); err != nil {
			return nil, err
		}
	}
	err = l.store.Read(ctx, func(tx ReadTx) error {
		out = &Shift{Moves: map[string]int{}}
		now, err := readStandards(tx)
		if err != nil {
			return err
		}
		then := append(slices.Clone(now), more...)
		q := Query{Kind: "household", Region: casework.RegionPrefix(by.Region), Limit: 500}
		return eachFound(tx, q, func(s *Stored) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return l.shift(tx, out, s, l.dayOr(on), now, then)
		})
	})
	return out, err
}

// shift adds one household to a simulation.
func (l *Loop) shift(tx ReadTx, out *Shift, household *Stored, on string, now, then casework.Standards) error {
	if household.Root != household.Ref {
		return nil // an alias of another one
	}
	s, _, _, err := l.situation(tx, household, on)
	if err != nil {
		return err
	}
	out.Households++
	before, err := casework.Classify(s, now)
	if err == nil {
		var after *casework.Suggestion
		if after, err = casework.Classify(s, then); err == nil {
			out.GrantBefore += before.GrantYear
			out.GrantAfter += after.GrantYear
			if a, b := first(before.Categories), first(after.Categories); a != b {
				out.Moves[a+" → "+b]++
			}
			return nil
		}
	}
	if !unjudged(err) {
		return err
	}
	out.Unjudged++
	return nil
}

// first is the best category, or "none".
func first(categories []string) string {
	if len(categories) == 0 {
		return "none"
	}
	return categories[0]
}

// unjudged says that a household lacks what the rules need.
func unjudged(err error) bool {
	code := casework.CodeOf(err)
	return code == casework.CodeInvalidValue || code == "standard_missing"
}
