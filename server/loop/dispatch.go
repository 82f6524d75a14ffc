package loop

import (
	"context"
	"time"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Dispatch sends leads to their towns. The town's clock starts in the same transaction, whether or not a phone is
// within reach of a signal.
func (l *Loop) Dispatch(ctx context.Context, by casework.Actor, leads []string, town string) error {
	return l.run(ctx, func(w *work) error {
		calendars, err := w.calendars()
		if err != nil {
			return err
		}
		standards, err := readStandards(w.tx)
		if err != nil {
			return err
		}
		for _, id := range leads {
			if err := w.dispatch(w.newGroup(), by, syncproto.Ref{Kind: "lead", ID: id}, town, standards, calendars); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *work) dispatch(g *group, by casework.Actor, ref syncproto.Ref, town string, standards casework.Standards, calendars casework.Calendars) error {
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
	fields, err := leadDue(d.rec.Body, town, w.now, standards, calendars)
	if err != nil {
		return err
	}
	fields["town"], fields["received_at"] = town, w.clockTime()
	if err := g.step(d, "dispatch", by.Role, casework.Facts{}, fields); err != nil {
		return err
	}
	if err := g.moveRoot(d.rec.Root, d.rec.Root, syncproto.BucketDesk+town); err != nil {
		return err
	}
	w.auditBy(by, "dispatch", ref, d.rec.Root, map[string]any{"town": town, "due_on": fields["due_on"]})
	return g.commit()
}

// leadDue is the deadline of a lead that a town received at a time (milliseconds), as the fields that say so.
func leadDue(b syncproto.Object, town string, received int64, standards casework.Standards, calendars casework.Calendars) (map[string]any, error) {
	days, rule, err := casework.LeadTime(b.Str("lead_type"), town, dayAt(received), standards)
	if err != nil {
		return nil, err
	}
	due, provisional, version := casework.Deadline(time.UnixMilli(received), days, calendars)
	return map[string]any{"due_on": due.In(beijing).Format(time.DateOnly), "due_provisional": provisional, "calendar_version": version, "due_rule": optional(rule)}, nil
}
