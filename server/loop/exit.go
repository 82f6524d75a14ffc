package loop

import (
	"context"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// leaving says why a household leaves help.
type leaving struct {
	review    string // the periodic review that led to it, ""
	cause     string // of the list "exit_cause"
	by        casework.Actor
	unwatched bool // nobody is left to be watched
}

// grantGrace lets a household's help go on for some months although its income is over the line through work.
func (g *group) grantGrace(h, review *draft, by casework.Actor, months int, standards casework.Standards) error {
	state, err := casework.ExitMachine.Next("", "grant", by.Role, casework.Facts{})
	if err != nil {
		return err
	}
	held, err := heldIn(g.w.tx, &h.rec)
	if err != nil {
		return err
	}
	from, until, err := casework.Grace(g.w.l.dayOr(""), months, placeOf(h.bucket, h.rec.Body), standards)
	if err != nil {
		return err
	}
	_, err = g.serverPut(syncproto.Ref{Kind: "exit", ID: g.w.l.newID()}, h.rec.Ref, h.bucket, syncproto.Fields(map[string]any{"household": h.rec.ID, "periodic_review": review.rec.ID,
		"cause": "grace", "held": anys(casework.OfCivilAffairs(held)), "worker": optional(review.rec.Body.Str("worker")),
		"granted_by": by.UserID, "granted_at": g.w.clockTime(), "from": from, "until": until, "state": state}))
	return err
}

// leaveHelp ends a household's help at once and has it watched.
func (g *group) leaveHelp(h *draft, why leaving, standards casework.Standards) error {
	running, err := g.under(h.rec.Ref, "exit", "granted", "active")
	if err != nil {
		return err
	}
	for _, d := range running { // its grace ends before its time
		if err := g.step(d, "end", casework.RoleSystem, casework.Facts{}, map[string]any{"ended_at": g.w.clockTime()}); err != nil {
			return err
		}
		return g.left(h, d, why.unwatched, standards)
	}
	state, err := casework.ExitMachine.Next("", "leave", why.by.Role, casework.Facts{})
	if err != nil {
		return err
	}
	worker, err := g.workerOf(h)
	if err != nil {
		return err
	}
	held, err := heldIn(g.w.tx, &h.rec)
	if err != nil {
		return err
	}
	ref := syncproto.Ref{Kind: "exit", ID: g.w.l.newID()}
	d, err := g.serverPut(ref, h.rec.Ref, h.bucket, syncproto.Fields(map[string]any{"household": h.rec.ID, "periodic_review": optional(why.review),
		"cause": why.cause, "held": anys(casework.OfCivilAffairs(held)), "worker": optional(worker), "granted_by": why.by.UserID,
		"ended_at": g.w.clockTime(), "state": state}))
	if err != nil {
		return err
	}
	return g.left(h, d, why.unwatched, standards)
}

// left takes a household out of the categories of civil affairs and begins to watch it.
func (g *group) left(h, exit *draft, unwatched bool, standards casework.Standards) error {
	if err := g.recategorise(h, casework.Withdrawn(categories(&h.rec))); err != nil {
		return err
	}
	if err := g.withdrawMembers(h); err != nil {
		return err
	}
	if err := g.endPublications(h.rec.Ref, "", "withdraw", casework.RoleSystem); err != nil {
		return err
	}
	if unwatched {
		return g.step(exit, "finish", casework.RoleSystem, casework.Facts{}, map[string]any{"closed_at": g.w.clockTime()})
	}
	place, today := placeOf(h.bucket, h.rec.Body), g.w.l.dayOr("")
	watch, err := standards.Term(casework.StdWatch, place, today)
	if err != nil {
		return err
	}
	visit, err := standards.Term(casework.StdReturnVisit, place, today)
	if err != nil {
		return err
	}
	until := g.todayAnd(watch)
	return g.step(exit, "watch", casework.RoleSystem, casework.Facts{}, map[string]any{"watch_until": until, "due_on": min(g.todayAnd(visit), until), "visits": 0})
}

// recategorise writes a household's categories.
func (g *group) recategorise(h *draft, list []string) error {
	_, err := g.serverSet(h.rec.Ref, map[string]any{"categories": anys(list)})
	return err
}

// closeApplications ends the applications whose help a household received.
func (g *group) closeApplications(root syncproto.Ref, by casework.Role, reason string) error {
	list, err := g.under(root, "application", "active")
	for _, d := range list {
		if err == nil {
			err = g.step(d, "close", by, casework.Facts{Reasoned: true}, map[string]any{"closed_at": g.w.clockTime(), "closed_reason": reason})
		}
	}
	return err
}

// includedAnew ends what a household that left help was watched for, and a grace, once help is granted again.
func (g *group) includedAnew(root syncproto.Ref) error {
	list, err := g.under(root, "exit", casework.ExitsRunning...)
	if err != nil {
		return err
	}
	for _, d := range list {
		f := map[string]any{"closed_at": g.w.clockTime(), "due_on": nil}
		action, role := "finish", casework.RoleSystem
		if s := d.rec.Body.Str("state"); s == "granted" || s == "active" {
			action, role, f = "resume", casework.RoleBureauOfficer, map[string]any{"resumed_at": g.w.clockTime(), "resumed_reason": "重新纳入救助"}
		}
		if err := g.step(d, action, role, casework.Facts{Reasoned: true}, f); err != nil {
			return err
		}
		if err := g.cancelTasks(d); err != nil {
			return err
		}
	}
	return nil
}

// returnVisited counts a return visit and sets the next one, as long as the household is watched.
func (g *group) returnVisited(exit *draft) error {
	b := exit.rec.Body
	f := map[string]any{"visits": b.Int("visits") + 1, "asked_at": nil, "due_on": nil}
	standards, err := readStandards(g.w.tx)
	if err != nil {
		return err
	}
	h, err := g.live(exit.rec.Root)
	if err != nil {
		return err
	}
	months, err := standards.Term(casework.StdReturnVisit, placeOf(h.bucket, h.rec.Body), g.w.l.dayOr(""))
	if err != nil {
		return err
	}
	if next := g.todayAnd(months); next <= b.Str("watch_until") {
		f["due_on"] = next
	}
	_, err = g.serverSet(exit.rec.Ref, f)
	return err
}

// ResumeHelp ends a household's grace because its work was lost or did not carry: help simply goes on.
func (l *Loop) ResumeHelp(ctx context.Context, by casework.Actor, exit, reason string) error {
	reason = clipRunes(reason, 1000)
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.visible(by, casework.VerbDecideHelp, syncproto.Ref{Kind: "exit", ID: exit})
		if err != nil {
			return err
		}
		facts := casework.Facts{Reasoned: reason != ""}
		if err := g.step(d, "resume", by.Role, facts, map[string]any{"resumed_at": w.clockTime(), "resumed_reason": optional(reason)}); err != nil {
			return err
		}
		if err := g.notify(d.rec.Body.Str("worker"), "exit", "渐退已取消,救助继续", reason, d.rec.Ref); err != nil {
			return err
		}
		w.auditBy(by, "resume_help", d.rec.Ref, d.rec.Root, nil)
		return g.commit()
	})
}
