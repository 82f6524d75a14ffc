package loop

import (
	"context"
	"errors"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Advanced counts what the calendar brought.
type Advanced struct {
	Reviews   int // opened
	Begun     int // graces
	Ended     int // graces, and help with them
	Visits    int // return visits that were asked for
	Closed    int // households that are watched no longer
	Expired   int // publications that left the page
	Urged     int // orders about what is late
	Escalated int // orders that the county supervises now
	Settled   int // orders about what was done meanwhile
}

// Total adds them up.
func (a Advanced) Total() int {
	return a.Reviews + a.Begun + a.Ended + a.Visits + a.Closed + a.Expired + a.Urged + a.Escalated + a.Settled
}

// returnAhead is how many days before its day a return visit is put on the worker's list.
const returnAhead = 14

// duty is what the calendar asks of records: those that a query finds and whose time has come.
type duty struct {
	q    Query
	come func(ReadTx, *Stored) (bool, error) // looks on a snapshot, so that whoever has time costs no transaction
	do   func(*work, *Stored, *Advanced) error
}

// duties are all of them. do looks again, since things may have changed behind the snapshot.
func (l *Loop) duties(standards casework.Standards) []duty {
	today := l.dayOr("")
	yesterday := casework.AddDays(today, -1)
	list := []duty{
		{Query{Kind: "household", Limit: 500}, func(tx ReadTx, s *Stored) (bool, error) {
			due, _, err := l.reviewDue(tx, s, standards)
			if unjudged(err) {
				return false, nil
			}
			return due != nil, err
		}, func(w *work, s *Stored, a *Advanced) error { return w.advanceHousehold(s, standards, a) }},
		{Query{Kind: "household", Limit: 500}, func(tx ReadTx, s *Stored) (bool, error) {
			due, _, err := l.returnDue(tx, s, standards)
			return due != "", err
		}, func(w *work, s *Stored, a *Advanced) error { return w.askReturnOf(s, standards, a) }},
		{Query{Kind: "exit", States: casework.ExitsRunning, Limit: 500}, func(_ ReadTx, s *Stored) (bool, error) {
			b, err := syncproto.ParseObject(s.Body)
			return exitDue(b, today) != "", err
		}, func(w *work, s *Stored, a *Advanced) error { return w.advanceExit(s, standards, a) }},
		{Query{Kind: "publication", States: []string{"posted"}, ByDue: true, DueTo: today, Limit: 500}, nil, (*work).advancePublication},
		{Query{Kind: "order", States: casework.OrdersRunning, Limit: 500}, func(tx ReadTx, s *Stored) (bool, error) {
			what, err := orderLate(tx, s, today)
			return what != "", err
		}, (*work).advanceOrder},
	}
	for _, k := range deadlines {
		if k.kind != "order" {
			list = append(list, duty{Query{Kind: k.kind, States: k.states, ByDue: true, DueTo: yesterday, Limit: 500}, unurged, (*work).urgeLate})
		}
	}
	return list
}

// Advance does what the calendar brings: it opens the reviews whose time has come, begins and ends graces, asks for
// return visits, stops to watch, closes publications whose time is over, and urges whoever is late. Each comes once,
// however often Advance runs.
func (l *Loop) Advance(ctx context.Context) (done Advanced, err error) {
	var standards casework.Standards
	err = l.store.Read(ctx, func(tx ReadTx) error { standards, err = readStandards(tx); return err })
	if err != nil {
		return done, err
	}
	for _, d := range l.duties(standards) {
		if err := l.advanceEach(ctx, d, &done); err != nil {
			return done, err
		}
	}
	return done, nil
}

// advanceEach does a duty on every record whose time has come, each in a transaction of its own.
func (l *Loop) advanceEach(ctx context.Context, d duty, done *Advanced) error {
	for {
		var refs []syncproto.Ref
		if err := l.store.Read(ctx, func(tx ReadTx) error {
			refs = refs[:0]
			page, err := tx.Find(d.q)
			if err != nil {
				return err
			}
			for _, s := range page.Items {
				come := d.come == nil
				if !come {
					come, err = d.come(tx, s)
				}
				if err = errors.Join(err, ctx.Err()); err != nil {
					return err
				}
				if come {
					refs = append(refs, s.Ref)
				}
			}
			d.q.After = page.Next
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
				return d.do(w, s, &a)
			}); err != nil {
				return err
			}
			done.add(a)
		}
		if d.q.After == "" {
			return nil
		}
	}
}

func (a *Advanced) add(b Advanced) {
	a.Reviews, a.Begun, a.Ended, a.Visits = a.Reviews+b.Reviews, a.Begun+b.Begun, a.Ended+b.Ended, a.Visits+b.Visits
	a.Closed, a.Expired = a.Closed+b.Closed, a.Expired+b.Expired
	a.Urged, a.Escalated, a.Settled = a.Urged+b.Urged, a.Escalated+b.Escalated, a.Settled+b.Settled
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

// exitDue says what the calendar asks of an exit today; "" for nothing.
func exitDue(b syncproto.Object, today string) string {
	switch state := b.Str("state"); {
	case state == "granted" && b.Str("from") <= today:
		return "begin"
	case state == "active" && b.Str("until") < today:
		return "end"
	case state == "monitored" && b.Str("watch_until") < today:
		return "finish"
	case state == "monitored" && b.Has("due_on") && !b.Has("asked_at") && casework.AddDays(b.Str("due_on"), -returnAhead) <= today:
		return "visit"
	}
	return ""
}

func (w *work) advanceExit(s *Stored, standards casework.Standards, a *Advanced) error {
	g := w.newGroup()
	d, err := g.live(s.Ref)
	if err != nil {
		return err
	}
	switch exitDue(d.rec.Body, w.l.dayOr("")) {
	case "begin":
		a.Begun++
		err = g.step(d, "begin", casework.RoleSystem, casework.Facts{}, nil)
	case "end":
		a.Ended++
		err = g.endGrace(d, standards)
	case "finish":
		a.Closed++
		err = errors.Join(g.cancelTasks(d), g.step(d, "finish", casework.RoleSystem, casework.Facts{}, map[string]any{"closed_at": w.clockTime(), "due_on": nil}))
	case "visit":
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
