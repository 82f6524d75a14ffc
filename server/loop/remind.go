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

// Due is a running lead or application whose deadline is near or over.
type Due struct {
	Ref         syncproto.Ref
	Region      string
	Town        string
	Assignee    string // the worker
	State       string
	DueOn       string
	Rule        string // behind an application's deadline, in words
	Left        int    // working days, negative once the deadline is over
	Overdue     bool   // the deadline is over
	Provisional bool   // the year has no published calendar yet
}

// Deadlines lists the running leads and applications of the caller's region that call for a warning, the most urgent
// first, at most 500 of each.
func (l *Loop) Deadlines(ctx context.Context, by casework.Actor) (list []Due, err error) {
	if err := by.May(casework.VerbList, casework.Subject{Kind: "lead", Region: by.Region}); err != nil {
		return nil, err
	}
	err = l.store.Read(ctx, func(tx ReadTx) error {
		prefix := casework.RegionPrefix(by.Region)
		if list, _, err = l.dueOf(tx, Query{Kind: "lead", States: casework.LeadsRunning, Region: prefix, Limit: 500}); err != nil {
			return err
		}
		more, _, err := l.dueOf(tx, Query{Kind: "application", States: casework.ApplicationsRunning, Region: prefix, Limit: 500})
		list = append(list, more...)
		slices.SortStableFunc(list, func(a, b Due) int { return cmp.Compare(a.DueOn, b.DueOn) })
		return err
	})
	return list, err
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
		if s.Ref.Kind == "application" {
			x.Town, x.Assignee = casework.TownOf(x.Region), b.Str("worker")
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

// Remind leaves a notice with the worker of every running lead at 10, 5 and 2 working days left and once it is overdue.
// Each comes once, however often Remind runs; a deadline that was counted anew begins again. It returns how many notices
// were left.
func (l *Loop) Remind(ctx context.Context) (n int, err error) {
	for after := ""; ; {
		var list []Due
		if err := l.store.Read(ctx, func(tx ReadTx) error {
			list, after, err = l.dueOf(tx, Query{Kind: "lead", States: casework.LeadsRunning, After: after, Limit: 200})
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

// remind tells the worker of one lead, unless he has been told.
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
	title, text := casework.WarningText(x.Left, warning, x.DueOn)
	g := w.newGroup()
	if err := g.notice(ref, x.Assignee, "deadline", title, text, x.Ref); err != nil {
		return false, err
	}
	return true, g.commit()
}
