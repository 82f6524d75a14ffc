package loop

import (
	"context"
	"errors"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Advanced counts what the calendar brought.
type Advanced struct {
	Reviews int // opened
	Begun   int // graces
	Ended   int // graces, and help with them
	Visits  int // return visits that were asked for
	Closed  int // households that are watched no longer
	Expired int // publications that left the page
}

// Total adds them up.
func (a Advanced) Total() int { return a.Reviews + a.Begun + a.Ended + a.Visits + a.Closed + a.Expired }

// returnAhead is how many days before its day a return visit is put on the worker's list.
const returnAhead = 14

// Advance does what the calendar brings: it opens the reviews whose time has come, begins and ends graces, asks for
// return visits, stops to watch, and closes publications whose time is over. Each comes once, however often Advance runs.
func (l *Loop) Advance(ctx context.Context) (done Advanced, err error) {
	var standards casework.Standards
	err = l.store.Read(ctx, func(tx ReadTx) error { standards, err = readStandards(tx); return err })
	if err != nil {
		return done, err
	}
	for _, x := range []struct {
		q   Query
		one func(*work, *Stored, *Advanced) error
	}{
		{Query{Kind: "household", Limit: 500}, func(w *work, s *Stored, a *Advanced) error { return w.advanceHousehold(s, standards, a) }},
		{Query{Kind: "exit", States: casework.ExitsRunning, Limit: 500}, func(w *work, s *Stored, a *Advanced) error { return w.advanceExit(s, standards, a) }},
		{Query{Kind: "publication", States: []string{"posted"}, ByDue: true, DueTo: l.dayOr(""), Limit: 500}, func(w *work, s *Stored, a *Advanced) error { return w.advancePublication(s, a) }},
	} {
		if err := l.advanceEach(ctx, x.q, standards, &done, x.one); err != nil {
			return done, err
		}
	}
	return done, nil
}

// advanceEach looks at every record of a query on a snapshot and takes those on whose time has come, each in a transaction
// of its own.
func (l *Loop) advanceEach(ctx context.Context, q Query, standards casework.Standards, done *Advanced, one func(*work, *Stored, *Advanced) error) error {
	for {
		var refs []syncproto.Ref
		if err := l.store.Read(ctx, func(tx ReadTx) error {
			refs = refs[:0]
			page, err := tx.Find(q)
			if err != nil {
				return err
			}
			for _, s := range page.Items {
				if err := ctx.Err(); err != nil {
					return err
				}
				if s.Ref.Kind == "household" {
					if due, _, err := l.reviewDue(tx, s, standards); unjudged(err) || err == nil && due == nil {
						continue
					} else if err != nil {
						return err
					}
				}
				refs = append(refs, s.Ref)
			}
			q.After = page.Next
			return nil
		}); err != nil {
			return err
		}
		for _, ref := range refs {
			var a Advanced
			if err := l.run(ctx, func(w *work) error {
				a = Advanced{}
				s, err := w.stored(ref)
				if err != nil || s == nil || s.Deleted {
					return err
				}
				return one(w, s, &a)
			}); err != nil {
				return err
			}
			done.add(a)
		}
		if q.After == "" {
			return nil
		}
	}
}

func (a *Advanced) add(b Advanced) {
	a.Reviews, a.Begun, a.Ended, a.Visits = a.Reviews+b.Reviews, a.Begun+b.Begun, a.Ended+b.Ended, a.Visits+b.Visits
	a.Closed, a.Expired = a.Closed+b.Closed, a.Expired+b.Expired
}

func (w *work) advanceHousehold(s *Stored, standards casework.Standards, a *Advanced) error {
	due, since, err := w.l.reviewDue(w.tx, s, standards)
	if err != nil || due == nil {
		return err
	}
	g := w.newGroup()
	h, err := g.live(s.Ref)
	if err != nil {
		return err
	}
	d, err := g.openReview(h, casework.System, *due, since)
	if err != nil || d == nil {
		return err
	}
	a.Reviews++
	return g.commit()
}

func (w *work) advanceExit(s *Stored, standards casework.Standards, a *Advanced) error {
	g := w.newGroup()
	d, err := g.live(s.Ref)
	if err != nil {
		return err
	}
	b, today := d.rec.Body, w.l.dayOr("")
	switch state := b.Str("state"); {
	case state == "granted" && b.Str("from") <= today:
		a.Begun++
		err = g.step(d, "begin", casework.RoleSystem, casework.Facts{}, nil)
	case state == "active" && b.Str("until") < today:
		a.Ended++
		err = g.endGrace(d, standards)
	case state == "monitored" && b.Str("watch_until") < today:
		a.Closed++
		err = errors.Join(g.cancelTasks(d), g.step(d, "finish", casework.RoleSystem, casework.Facts{}, map[string]any{"closed_at": w.clockTime(), "due_on": nil}))
	case state == "monitored" && b.Has("due_on") && !b.Has("asked_at") && casework.AddDays(b.Str("due_on"), -returnAhead) <= today:
		a.Visits++
		err = g.askReturn(d)
	}
	if err != nil {
		return err
	}
	return g.commit()
}

// endGrace ends the help of a household whose grace is over.
func (g *group) endGrace(d *draft, standards casework.Standards) error {
	if err := g.step(d, "end", casework.RoleSystem, casework.Facts{}, map[string]any{"ended_at": g.w.clockTime()}); err != nil {
		return err
	}
	h, err := g.live(d.rec.Root)
	if err != nil {
		return err
	}
	if err := g.closeApplications(h.rec.Ref, casework.RoleSystem, "渐退期满退出救助"); err != nil {
		return err
	}
	if err := g.notify(d.rec.Body.Str("worker"), "exit", "渐退期满,该户已退出救助", "退出后继续监测,届时会有回访任务。", d.rec.Ref); err != nil {
		return err
	}
	return g.left(h, d, false, standards)
}

// askReturn puts a return visit on the list of the household's worker.
func (g *group) askReturn(d *draft) error {
	h, err := g.live(d.rec.Root)
	if err != nil {
		return err
	}
	worker, err := g.workerOf(h)
	if err != nil {
		return err
	}
	if _, err := g.serverSet(d.rec.Ref, map[string]any{"asked_at": g.w.clockTime(), "worker": optional(worker)}); err != nil || worker == "" {
		return err
	}
	return g.askVisit(d, worker, "return_visit", "退出后回访", "退出救助后继续监测,防止返困")
}
