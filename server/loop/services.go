package loop

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// ServedPerson is an unemployed person of the low-income population, with what he was offered in a year.
type ServedPerson struct {
	Person, Household                    string
	Name, IDNumber, Town, Village, Since string
	casework.Served
	Lacks string // of "311" in words, "" for nothing
}

// JobServices counts the "311" of a year for everybody in a category whom the employment bureau has as unemployed: from its
// own list of services, and from the help that it entered. It is for the employment bureau and the county's, and every
// person is in the audit.
func (l *Loop) JobServices(ctx context.Context, by casework.Actor, year int) (list []ServedPerson, err error) {
	if year < 2000 || year > 2100 {
		return nil, casework.NewError(casework.CodeInvalidValue, "年份应写成2026的样子。")
	}
	if err := by.May(casework.VerbGiveAid, casework.Subject{Kind: "aid", Region: by.Region, Dept: "RSJ"}); err != nil {
		return nil, err
	}
	var found []SharedRow
	if err := l.store.Read(ctx, func(tx ReadTx) error {
		list, found = []ServedPerson{}, nil
		standards, err := readStandards(tx)
		if err != nil {
			return err
		}
		s, err := l.newSharing(tx, by.Region, "unemployed", []string{"id_no", "name", "town", "village", "since"})
		if err != nil {
			return err
		}
		byKey, byPerson, err := servicesOf(tx, strconv.Itoa(year))
		if err != nil {
			return err
		}
		return s.each(nil, nil, func(r SharedRow) error {
			x := ServedPerson{Person: r.person.ID, Household: r.root.ID, IDNumber: r.Cells[0], Name: r.Cells[1], Town: r.Cells[2], Village: r.Cells[3], Since: r.Cells[4]}
			for _, kinds := range [][]string{byKey[r.Key], byPerson[r.person.ID]} {
				for _, k := range kinds {
					x.Add(k)
				}
			}
			if x.Lacks, err = x.Served.Lacks(casework.Place{Region: by.Region}, l.dayOr(""), standards); err != nil {
				return err
			}
			list, found = append(list, x), append(found, r)
			return ctx.Err()
		})
	}); err != nil {
		return nil, err
	}
	return list, l.told(ctx, by, "job_services", found, nil)
}

// servicesOf reads a year's services: by the keyed index from the newest list, by person from aid records.
func servicesOf(tx ReadTx, year string) (byKey, byPerson map[string][]string, err error) {
	byKey, byPerson = map[string][]string{}, map[string][]string{}
	in := func(day string) bool { return len(day) >= 4 && day[:4] == year }
	load, err := tx.LastLoad("job_services")
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, nil, err
	}
	if err == nil {
		if err := tx.LoadRows(load.N, func(r LoadRow) error {
			if in(r.Cells[0]) {
				key := strings.Clone(r.Key)
				byKey[key] = append(byKey[key], strings.Clone(r.Cells[1]))
			}
			return nil
		}); err != nil {
			return nil, nil, err
		}
	}
	err = eachFound(tx, Query{Kind: "aid", Owner: "RSJ", States: []string{"disbursed", "confirmed"}, Limit: 500}, func(s *Stored) error {
		b, err := syncproto.ParseObject(s.Body)
		if person := strings.Clone(b.Str("person")); err == nil && in(dayOf(b.Str("disbursed_at"))) && person != "" {
			byPerson[person] = append(byPerson[person], strings.Clone(b.Str("measure")))
		}
		return err
	})
	return byKey, byPerson, err
}
