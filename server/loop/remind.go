package loop

import (
	"context"
	"errors"
	"fmt"
	"time"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// farthestWarning is how many days ahead a warning can lie: the most working days of Warnings, with the longest holiday
// and the weekends between.
const farthestWarning = 30

// DueLead is a running lead whose deadline is near or over.
type DueLead struct {
	Ref         syncproto.Ref
	Region      string
	Town        string
	Assignee    string
	State       string
	DueOn       string
	Left        int  // working days, negative once the deadline is over
	Overdue     bool // the deadline is over
	Provisional bool // the year has no published calendar yet
}

// DueLeads lists the running leads of the caller's region that call for a warning, the most urgent first, at most 500.
func (l *Loop) DueLeads(ctx context.Context, by casework.Actor) (list []DueLead, err error) {
	if err := by.May(casework.VerbList, casework.Subject{Kind: "lead", Region: by.Region}); err != nil {
		return nil, err
	}
	err = l.store.Read(ctx, func(tx ReadTx) error {
		list, _, err = l.dueLeads(tx, casework.RegionPrefix(by.Region), "", 500)
		return err
	})
	return list, err
}

// dueLeads is a page of them, in order of deadlines.
func (l *Loop) dueLeads(tx ReadTx, prefix, after string, limit int) (list []DueLead, next string, err error) {
	list = []DueLead{}
	now := l.clock()
	calendars, err := calendarsOf(storedIn(tx), now)
	if err != nil {
		return nil, "", err
	}
	page, err := tx.Find(Query{Kind: "lead", States: casework.LeadsRunning, Region: prefix, ByDue: true, After: after, Limit: limit,
		DueTo: now.In(beijing).AddDate(0, 0, farthestWarning).Format(time.DateOnly)})
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
		x := DueLead{Ref: s.Ref, Region: regionOf(s.Bucket), Town: b.Str("town"), Assignee: b.Str("assignee"), State: b.Str("state"), DueOn: b.Str("due_on"),
			Left: casework.WorkdaysLeft(now, due, calendars), Provisional: string(b.Get("due_provisional")) == "true"}
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
		var list []DueLead
		if err := l.store.Read(ctx, func(tx ReadTx) error {
			list, after, err = l.dueLeads(tx, "", after, 200)
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
func (w *work) remind(x *DueLead) (told bool, err error) {
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
