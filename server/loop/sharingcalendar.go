package loop

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Owed is something that a unit owes the others in a month.
type Owed struct {
	Dept  string
	What  string // load, decide, make, receive
	Label string // of the data
	ID    string // of the need or the package, or the dataset's code
	DueOn string
	Done  string // the day, "" while it is owed
	Late  bool
}

// SharingCalendar says who owes what data in a month: lists to load and needs to decide on by the request day, packages to
// make and to sign for by the end of the month. No person's data is in it.
func (l *Loop) SharingCalendar(ctx context.Context, by casework.Actor, month string) (list []Owed, err error) {
	if !casework.ValidMonth(month) {
		return nil, casework.NewError(casework.CodeInvalidValue, "月份应写成2026-07的样子。")
	}
	if err := by.May(casework.VerbShareData, casework.Subject{Kind: "data_package", Region: by.Region}); err != nil {
		return nil, err
	}
	today := l.dayOr("")
	err = l.store.Read(ctx, func(tx ReadTx) error {
		list = []Owed{}
		standards, err := readStandards(tx)
		if err != nil {
			return err
		}
		day, err := standards.Term(casework.StdShareDay, casework.Place{Region: by.Region}, month+"-01")
		if err != nil {
			return err
		}
		asked, end := casework.ShareDay(month, day), casework.AddDays(casework.AddMonths(month+"-01", 1), -1)
		for _, collect := range []func() ([]Owed, error){
			func() ([]Owed, error) { return loadsOwed(tx, month, asked) },
			func() ([]Owed, error) { return decisionsOwed(tx, by.Region, month, end) },
			func() ([]Owed, error) { return packagesOwed(tx, by.Region, month, end) },
		} {
			more, err := collect()
			if err != nil {
				return err
			}
			list = append(list, more...)
		}
		return nil
	})
	for i := range list {
		list[i].Late = cmp.Or(list[i].Done, today) > list[i].DueOn
	}
	slices.SortStableFunc(list, func(a, b Owed) int { return cmp.Or(cmp.Compare(a.DueOn, b.DueOn), cmp.Compare(a.Dept, b.Dept)) })
	return list, err
}

// loadsOwed are the lists that departments share: each is loaded once a month.
func loadsOwed(tx ReadTx, month, due string) (list []Owed, err error) {
	for _, d := range casework.Datasets {
		x := Owed{Dept: d.Dept, What: "load", Label: d.Label, ID: d.Code, DueOn: due}
		last, err := tx.LastLoad(d.Code)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		if err == nil {
			if on := time.UnixMilli(last.At).In(beijing).Format(time.DateOnly); on[:7] >= month {
				x.Done = on
			}
		}
		list = append(list, x)
	}
	return list, nil
}

// decisionsOwed are the needs of a month that a unit decides on.
func decisionsOwed(tx ReadTx, region, month, due string) (list []Owed, err error) {
	q := Query{Kind: "data_need", States: []string{"requested", "approved", "refused"}, Region: casework.RegionPrefix(region), Limit: 500}
	err = eachFound(tx, q, func(s *Stored) error {
		b, err := syncproto.ParseObject(s.Body)
		if err != nil || b.Str("first_month") != month && (s.Index.State != "requested" || b.Str("first_month") > month) {
			return err
		}
		list = append(list, Owed{Dept: strings.Clone(b.Str("from_dept")), What: "decide", Label: sourceLabel(b.Str("source")), ID: s.Ref.ID, DueOn: due, Done: dayOf(b.Str("decided_at"))})
		return nil
	})
	return list, err
}

// packagesOwed are a month's packages: the bureau makes them, the unit that they are for signs.
func packagesOwed(tx ReadTx, region, month, due string) (list []Owed, err error) {
	wanted, err := packings(tx, region, month)
	for i := range wanted {
		p := &wanted[i]
		s, err := tx.Record(p.ref())
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		made, taken := Owed{Dept: "MZJ", What: "make", Label: p.source.Label, ID: p.ref().ID, DueOn: due}, Owed{Dept: p.dept, What: "receive", Label: p.source.Label, ID: p.ref().ID, DueOn: due}
		if err == nil {
			b, err := syncproto.ParseObject(s.Body)
			if err != nil {
				return nil, err
			}
			if s.Index.State != "returned" {
				made.Done, taken.Done = dayOf(b.Str("made_at")), dayOf(b.Str("received_at"))
			}
		}
		list = append(list, made, taken)
	}
	return list, err
}

func sourceLabel(code string) string {
	if s, ok := casework.SourceOf(code); ok {
		return s.Label
	}
	return code
}
