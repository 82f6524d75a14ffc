package loop

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// farthestWarning is how many days ahead a warning can lie: the most working days of Warnings, with the longest holiday
// and the weekends between.
const farthestWarning = 30

// Due is a running record whose deadline is near or over.
type Due struct {
	Ref         syncproto.Ref
	Region      string
	Town        string
	Assignee    string // the worker, or the department of a referral
	State       string
	DueOn       string
	Rule        string // behind the deadline, in words; "" for the 40 working days of a lead
	Left        int    // working days, negative once the deadline is over
	Overdue     bool   // the deadline is over
	Provisional bool   // the year has no published calendar yet
}

// deadlines are the kinds that have one, with the states in which it runs.
var deadlines = []struct {
	kind   string
	states []string
	phone  bool // the worker is the one who has to act
}{
	{"lead", casework.LeadsRunning, true},
	{"application", casework.ApplicationsRunning, false},
	{"periodic_review", casework.PeriodicReviewsRunning, true},
	{"exit", []string{"monitored"}, false}, // the return visit that it asks for is a task of its own
	{"referral", casework.ReferralsRunning, false},
	{"resolution", []string{"open"}, false},
	{"invitation", []string{"open"}, false},
	{"order", []string{"issued"}, false},
}

// DueFilter selects deadlines. Empty members do not restrict.
type DueFilter struct {
	Kinds   []string
	Region  string // within the caller's own
	Overdue bool   // only those that are over
}

// Deadlines lists what runs in the caller's region, or lies with his department, and calls for a warning: the most urgent
// first, at most 500 of each kind.
func (l *Loop) Deadlines(ctx context.Context, by casework.Actor, in DueFilter) ([]Due, error) {
	list := []Due{}
	err := l.store.Read(ctx, func(tx ReadTx) error {
		for _, k := range deadlines {
			f := Filter{Kind: k.kind, States: k.states, Region: in.Region, Limit: 500}
			if by.Role == casework.RoleDeptOfficer && !casework.OfDepartment(k.kind) || len(in.Kinds) > 0 && !slices.Contains(in.Kinds, k.kind) {
				continue
			}
			q, err := query(by, f)
			if err != nil {
				return err
			}
			more, _, err := l.dueOf(tx, q)
			if err != nil {
				return err
			}
			list = append(list, slices.DeleteFunc(more, func(d Due) bool { return in.Overdue && !d.Overdue })...)
		}
		slices.SortStableFunc(list, func(a, b Due) int { return cmp.Compare(a.DueOn, b.DueOn) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// dueOf is a page of them, in order of deadlines.
func (l *Loop) dueOf(tx ReadTx, q Query) (list []Due, next string, err error) {
	list = []Due{}
	now := l.clock()
	calendars, err := calendarsOf(storedIn(tx), now)
	if err != nil {
		return nil, "", err
	}
	q.ByDue, q.DueTo = true, now.In(beijing).AddDate(0, 0, farthestWarning).Format(time.DateOnly)
	page, err := tx.Find(q)
	if err != nil {
		return nil, "", err
	}
	for _, s := range page.Items {
		b, err := syncproto.ParseObject(s.Body)
		if err != nil {
			return nil, "", err
		}
		due, err := time.ParseInLocation(time.DateOnly, b.Str("due_on"), beijing)
		if err != nil {
			continue // dispatched by an older program without a deadline
		}
		x := Due{Ref: s.Ref, Region: regionOf(s.Bucket), Town: b.Str("town"), Assignee: b.Str("assignee"), State: b.Str("state"), DueOn: b.Str("due_on"),
			Rule: b.Str("due_rule"),
			Left: casework.WorkdaysLeft(now, due, calendars), Provisional: string(b.Get("due_provisional")) == "true"}
		if s.Ref.Kind != "lead" {
			x.Town, x.Assignee = casework.TownOf(x.Region), cmp.Or(b.Str("worker"), b.Str("to_dept"))
		}
		x.Overdue = now.In(beijing).Format(time.DateOnly) > x.DueOn
		if x.Overdue {
			x.Left = min(x.Left, -1) // also where nobody has worked since
		}
		if _, call := casework.WarningAt(x.Left); call {
			list = append(list, x)
		}
	}
	return list, page.Next, nil
}

// Remind leaves a notice with the worker of every running lead and review at 10, 5 and 2 working days left and once it is
// overdue. Each comes once, however often Remind runs; a deadline that was counted anew begins again. It returns how many
// notices were left.
func (l *Loop) Remind(ctx context.Context) (n int, err error) {
	for _, k := range deadlines {
		if !k.phone {
			continue
		}
		made, err := l.remindOf(ctx, k.kind, k.states)
		if n += made; err != nil {
			return n, err
		}
	}
	return n, nil
}

func (l *Loop) remindOf(ctx context.Context, kind string, states []string) (n int, err error) {
	for after := ""; ; {
		var list []Due
		if err := l.store.Read(ctx, func(tx ReadTx) error {
			list, after, err = l.dueOf(tx, Query{Kind: kind, States: states, After: after, Limit: 200})
			return err
		}); err != nil {
			return n, err
		}
		made := 0
		err := l.run(ctx, func(w *work) error {
			made = 0
			for i := range list {
				told, err := w.remind(&list[i])
				if err != nil {
					return err
				}
				if told {
					made++
				}
			}
			return nil
		})
		n += made
		if err != nil || after == "" {
			return n, err
		}
	}
}

// remind tells the worker of one deadline, unless he has been told.
func (w *work) remind(x *Due) (told bool, err error) {
	if x.Assignee == "" {
		return false, nil
	}
	warning, _ := casework.WarningAt(x.Left)
	ref := syncproto.Ref{Kind: "notice", ID: syncproto.DerivedID("notice", fmt.Sprintf("due|%s|%s|%d|%s", x.Ref.ID, x.DueOn, warning, x.Assignee))}
	if s, err := w.stored(ref); err != nil || s != nil {
		return false, err
	}
	if _, err := w.tx.User(x.Assignee); errors.Is(err, ErrNotFound) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	title, text := casework.WarningText(x.Ref.Kind, x.Rule, x.Left, warning, x.DueOn)
	g := w.newGroup()
	if err := g.notice(ref, x.Assignee, "deadline", title, text, x.Ref); err != nil {
		return false, err
	}
	return true, g.commit()
}
