package loop

import (
	"context"
	"time"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// LeadWorkdays is the time a town has for a province lead: 40 working days from its receipt (the county's notice, part
// 3, section 3, item 3).
const LeadWorkdays = 40

// Dispatch sends leads to their towns. The town's clock starts in the same transaction, whether or not a phone is
// within reach of a signal.
func (l *Loop) Dispatch(ctx context.Context, by casework.Actor, leads []string, town string) error {
	return l.run(ctx, func(w *work) error {
		calendars, err := w.calendars()
		if err != nil {
			return err
		}
		for _, id := range leads {
			if err := w.dispatch(w.newGroup(), by, syncproto.Ref{Kind: "lead", ID: id}, town, calendars); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *work) dispatch(g *group, by casework.Actor, ref syncproto.Ref, town string, calendars casework.Calendars) error {
	d, err := g.visible(by, casework.VerbDispatch, ref)
	if err != nil {
		return err
	}
	if town == "" {
		town = d.rec.Body.Str("town")
	}
	if !casework.Covers(by.Region, town) {
		return ErrNotFound
	}
	due, provisional, version := casework.Deadline(time.UnixMilli(w.now), LeadWorkdays, calendars)
	fields := map[string]any{"town": town, "received_at": w.clockTime(), "due_on": due.In(beijing).Format(time.DateOnly), "due_provisional": provisional,
		"calendar_version": version}
	if err := g.step(d, "dispatch", by.Role, casework.Facts{}, fields); err != nil {
		return err
	}
	if err := g.moveRoot(d.rec.Root, d.rec.Root, syncproto.BucketDesk+town); err != nil {
		return err
	}
	w.auditBy(by, "dispatch", ref, d.rec.Root, map[string]any{"town": town, "due_on": fields["due_on"]})
	return g.commit()
}
