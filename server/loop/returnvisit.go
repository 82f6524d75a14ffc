package loop

import (
	"errors"
	"time"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// returnDue is the day by which a household that receives help is to be visited again (定期回访), and the day that it is
// counted from: of its last visit, review or decision. "" where its time has not come, where a review or an exit brings a
// visit of its own, or where that visit was asked for.
func (l *Loop) returnDue(tx ReadTx, s *Stored, standards casework.Standards) (due, since string, err error) {
	rec, err := parseStored(s)
	if err != nil || s.Ref != s.Root || rec.Body.Has(mergedInto) {
		return "", "", err
	}
	if held, err := heldIn(tx, rec); err != nil || len(held) == 0 {
		return "", "", err
	}
	x, err := helpOf(tx, s.Ref)
	if err != nil || x.reviewing || x.leaving {
		return "", "", err
	}
	since = x.from(rec)
	months, err := standards.Term(casework.StdHelpVisit, placeOf(s.Bucket, rec.Body), since)
	today := l.dayOr("")
	if due = casework.AddMonths(since, months); err != nil || casework.AddDays(due, -returnAhead) > today {
		return "", "", err
	}
	visit, err := newestVisit(tx, s.Root) // dear to read, hence last: nobody is due earlier for it
	if err != nil {
		return "", "", err
	}
	if visit != nil {
		since = max(since, dayAt(min(visitTime(visit.Body), visit.Of("visited_at").Time))) // a phone may claim any time
	}
	if due = casework.AddMonths(since, months); casework.AddDays(due, -returnAhead) > today {
		return "", "", nil
	}
	if _, err = tx.Record(returnTask(s.Ref, since)); !errors.Is(err, ErrNotFound) {
		return "", "", err
	}
	return due, since, nil
}

// returnTask is the task of the visit that follows a day; there is one.
func returnTask(household syncproto.Ref, since string) syncproto.Ref {
	return syncproto.Ref{Kind: "task", ID: syncproto.DerivedID("task", "return_visit|"+household.ID+"|"+since)}
}

// askReturnOf puts a return visit on the list of a household's worker; without one, on the town's.
func (w *work) askReturnOf(s *Stored, standards casework.Standards, a *Advanced) error {
	due, since, err := w.l.returnDue(w.tx, s, standards)
	if err != nil || due == "" {
		return err
	}
	g := w.newGroup()
	h, err := g.live(s.Ref)
	if err != nil {
		return err
	}
	worker, err := g.workerOf(h)
	if err != nil {
		return err
	}
	ref := returnTask(s.Ref, since)
	if err := g.task(ref, h, worker, "return_visit", "救助对象回访", due, nil); err != nil {
		return err
	}
	if err := g.notify(worker, "return_visit", "请回访一户救助对象", "请在"+due+"前入户回访,了解生活状况和救助落实情况。", s.Ref); err != nil {
		return err
	}
	a.Visits++
	return g.commit()
}

// returned closes the return visits that a visit of the household was made for: those that had been asked for by then.
func (g *group) returned(visit *draft) error {
	h, err := g.live(visit.rec.Root)
	if err != nil {
		return err
	}
	made := min(visitTime(visit.rec.Body), visit.rec.Of("visited_at").Time)
	return g.eachTask(h, func(t *draft) error {
		asked, err := time.Parse(time.RFC3339, t.rec.Body.Str("created_at"))
		if err != nil || t.rec.Body.Str("type") != "return_visit" || made < asked.UnixMilli() {
			return nil
		}
		_, err = g.serverSet(t.rec.Ref, map[string]any{"state": "done"})
		return err
	})
}
