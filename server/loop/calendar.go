package loop

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// calendars reads the published calendars of the ref bucket over those that the program was built with, for every year
// that a deadline from now on can reach.
func (w *work) calendars() (casework.Calendars, error) {
	return calendarsOf(w.stored, time.UnixMilli(w.now))
}

func calendarsOf(stored func(syncproto.Ref) (*Stored, error), now time.Time) (casework.Calendars, error) {
	cals := casework.Published()
	year := now.In(beijing).Year()
	for y := year - 1; y <= year+2; y++ {
		s, err := stored(syncproto.Ref{Kind: "calendar", ID: strconv.Itoa(y)})
		if err != nil {
			return nil, err
		}
		if s == nil || s.Deleted {
			continue
		}
		v, err := s.Body.Decode()
		if err != nil {
			return nil, err
		}
		m, _ := v.(map[string]any)
		cals[y] = casework.Calendar{Year: y, Version: textOf(m["version"]), Source: textOf(m["source"]), Holidays: texts(m["holidays"]), Workdays: texts(m["workdays"])}
	}
	return cals, nil
}

func textOf(v any) string { s, _ := v.(string); return s }

func texts(v any) []string {
	list, _ := v.([]any)
	out := make([]string, 0, len(list))
	for _, x := range list {
		out = append(out, textOf(x))
	}
	return out
}

// PublishCalendar takes a year's official arrangement and counts the deadlines of open leads and applications anew that were
// provisional or reach into that year. Former deadlines stay in the records' history. It returns how many got another
// deadline.
func (l *Loop) PublishCalendar(ctx context.Context, by casework.Actor, cal casework.Calendar) (moved int, err error) {
	if err := cal.Check(); err != nil {
		return 0, err
	}
	err = l.run(ctx, func(w *work) error {
		moved = 0
		if err := by.May(casework.VerbReference, casework.Subject{Kind: "calendar", Region: by.Region}); err != nil {
			return err
		}
		ref := syncproto.Ref{Kind: "calendar", ID: strconv.Itoa(cal.Year)}
		g := w.newGroup()
		err := g.putReference(ref, map[string]any{"year": cal.Year, "version": cal.Version, "source": cal.Source,
			"holidays": anys(cal.Holidays), "workdays": anys(cal.Workdays)})
		if err != nil {
			return err
		}
		if err := g.commit(); err != nil {
			return err
		}
		w.auditBy(by, "publish_calendar", ref, syncproto.Ref{}, map[string]any{"version": cal.Version})
		moved, err = w.recount(cal.Year)
		return err
	})
	return moved, err
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// recount gives open leads and applications the deadlines that today's calendars give.
func (w *work) recount(year int) (moved int, err error) {
	cals, err := w.calendars()
	if err != nil {
		return 0, err
	}
	standards, err := readStandards(w.tx)
	if err != nil {
		return 0, err
	}
	for _, kind := range []struct {
		q   Query
		one func(syncproto.Ref) (bool, error)
	}{
		{Query{Kind: "lead", States: casework.LeadsRunning, Limit: 500}, func(ref syncproto.Ref) (bool, error) { return w.recountLead(ref, year, standards, cals) }},
		{Query{Kind: "application", States: casework.ApplicationsRunning, Limit: 500},
			func(ref syncproto.Ref) (bool, error) { return w.recountApplication(ref, year, standards, cals) }},
	} {
		n, err := w.recountEach(kind.q, kind.one)
		if moved += n; err != nil {
			return moved, err
		}
	}
	return moved, nil
}

// recountEach counts the records of a query anew and returns how many changed.
func (w *work) recountEach(q Query, one func(syncproto.Ref) (bool, error)) (moved int, err error) {
	for {
		page, err := w.tx.Find(q)
		if err != nil {
			return moved, err
		}
		for _, s := range page.Items {
			changed, err := one(s.Ref)
			if err != nil {
				return moved, err
			}
			if changed {
				moved++
			}
		}
		if page.Next == "" {
			return moved, nil
		}
		q.After = page.Next
	}
}

// recounts reports whether a deadline is counted anew once the calendar of a year appears.
func recounts(b syncproto.Object, year int) bool {
	return string(b.Get("due_provisional")) == "true" || b.Str("due_on") >= fmt.Sprintf("%d-01-01", year)
}

// recountApplication writes the new deadline of an application.
func (w *work) recountApplication(ref syncproto.Ref, year int, standards casework.Standards, cals casework.Calendars) (bool, error) {
	g := w.newGroup()
	d, err := g.live(ref)
	if err != nil || !recounts(d.rec.Body, year) {
		return false, err
	}
	old := d.rec.Body.Str("due_on")
	day, err := g.dueApplication(d, standards, cals)
	if err != nil {
		return false, err
	}
	return day != old, g.commit()
}

// recountLead writes a lead's new deadline, and that of its open tasks.
func (w *work) recountLead(ref syncproto.Ref, year int, standards casework.Standards, cals casework.Calendars) (bool, error) {
	g := w.newGroup()
	d, err := g.live(ref)
	if err != nil {
		return false, err
	}
	b := d.rec.Body
	received, old := parseTime(b.Str("received_at")), b.Str("due_on")
	if received == 0 || !recounts(b, year) {
		return false, nil
	}
	fields, err := leadDue(b, b.Str("town"), received, standards, cals)
	if err != nil {
		return false, err
	}
	day := textOf(fields["due_on"])
	if _, err := g.serverSet(ref, fields); err != nil {
		return false, err
	}
	if day != old {
		if err := g.eachTask(d, func(t *draft) error {
			_, err := g.serverSet(t.rec.Ref, map[string]any{"due_on": day})
			return err
		}); err != nil {
			return false, err
		}
	}
	return day != old, g.commit()
}

// eachTask hands over the open tasks that belong to a lead or a visit.
func (g *group) eachTask(of *draft, fn func(*draft) error) error {
	var refs []syncproto.Ref
	err := g.w.tx.ByRoot(of.rec.Root, "task", func(s *Stored) error {
		if s.Index.State == "open" {
			refs = append(refs, s.Ref)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, ref := range refs {
		t, err := g.live(ref)
		if err != nil {
			return err
		}
		if t.rec.Body.Str(of.rec.Kind) != of.rec.ID {
			continue
		}
		if err := fn(t); err != nil {
			return err
		}
	}
	return nil
}
