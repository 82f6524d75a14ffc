package loop

import (
	"slices"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// patrolFindings are the conclusions of a visit without a lead that call for a disposition.
var patrolFindings = []string{"included", "application_started", "referred", "temp_aid", "conference"}

// patrol makes a lead of what a worker found at a household without having been sent there. It begins at the town's review,
// with the visit; where the visit belongs to a review, an application, or a household that is watched, it is theirs.
func (g *group) patrol(visit *draft) error {
	b := visit.rec.Body
	if visit.rec.Root.Kind != "household" || b.Str("met") != "seen" || !slices.Contains(patrolFindings, b.Str(casework.AnswerPrefix+"conclusion")) {
		return nil
	}
	for kind, states := range map[string][]string{"periodic_review": casework.PeriodicReviewsRunning, "application": casework.ApplicationsRunning, "exit": {"monitored"}, "lead": casework.LeadsRunning} {
		running, err := g.under(visit.rec.Root, kind, states...)
		if err != nil || len(running) > 0 {
			return err
		}
	}
	h, err := g.live(visit.rec.Root)
	if err != nil {
		return err
	}
	ring, err := g.ring(h.rec.Root, h.bucket)
	if err != nil {
		return err
	}
	name := textOf(opened(ring, h.rec.Ref, h.rec.Body)["head_name"])
	standards, err := readStandards(g.w.tx)
	if err != nil {
		return err
	}
	calendars, err := g.w.calendars()
	if err != nil {
		return err
	}
	village := villageOf(h.bucket)
	f := map[string]any{"household": h.rec.ID, "lead_type": "suspected_missed", "source": "patrol", "source_ref": visit.rec.ID, "town": casework.TownOf(village), "village": village,
		"grid": gridOf(h.bucket), "assignee": b.Str("surveyor_1"), "issued_on": g.w.l.dayOr(""), "received_at": g.w.clockTime(), "state": "new"}
	due, err := leadDue(syncproto.Fields(f), casework.TownOf(village), g.w.now, standards, calendars)
	if err != nil {
		return err
	}
	for k, v := range due {
		f[k] = v
	}
	if name != "" {
		f["subject_name"] = name
	}
	ref := syncproto.Ref{Kind: "lead", ID: syncproto.DerivedID("lead", "patrol|"+visit.rec.ID)}
	if d, err := g.open(ref); err != nil || d.exists {
		return err
	}
	if err := g.putValues(ref, h.rec.Root, h.bucket, f); err != nil {
		return err
	}
	lead, err := g.live(ref)
	if err != nil {
		return err
	}
	for _, action := range []string{"find", "take_review"} {
		if err := g.step(lead, action, casework.RoleSystem, casework.Facts{}, map[string]any{"visit": visit.rec.ID}); err != nil {
			return err
		}
	}
	return nil
}
