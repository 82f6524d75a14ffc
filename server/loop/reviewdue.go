package loop

import (
	"hash/fnv"
	"slices"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// help is what bears on the next review of a household.
type help struct {
	reviewing bool   // a review is under way
	leaving   bool   // a grace is granted or runs
	since     string // the day of the last review or of the last decision to help
	takenOver string // the day on which help was entered that had been granted before this program came
	reviewed  string // the day of its last review before that, "" where nobody has said
	until     string // the last day of a decision for a term
}

// helpOf reads it from the records under a household's root.
func helpOf(tx ReadTx, root syncproto.Ref) (x help, err error) {
	err = tx.ByRoot(root, "", func(s *Stored) error {
		state := s.Index.State
		switch {
		case s.Ref.Kind == "periodic_review" && !slices.Contains([]string{"done", "cancelled"}, state):
			x.reviewing = true
		case s.Ref.Kind == "exit" && slices.Contains([]string{"granted", "active"}, state):
			x.leaving = true
		case s.Ref.Kind == "periodic_review" && state == "done", s.Ref.Kind == "application" && state == "active":
			b, err := syncproto.ParseObject(s.Body)
			if err != nil {
				return err
			}
			x.since = max(x.since, dayOf(b.Str("proposed_at")), dayOf(b.Str("activated_at")))
			x.until = max(x.until, b.Str("valid_until"))
			x.takenOver, x.reviewed = max(x.takenOver, dayOf(b.Str("taken_over_at"))), max(x.reviewed, b.Str("reviewed_on"))
		}
		return nil
	})
	return x, err
}

// spreadDays is over how many days the first reviews of help are spread that was taken over and of whose reviews nobody
// has said anything: a county that comes in with thousands of households must not have them all due on one day. It is
// below half a year, so that none is due at once.
const spreadDays = 150

// from is the day that the next review of a household is counted from: of the last one, of the last decision, or the day
// on which its categories were written where neither is on record. Taking help over is no decision.
func (x *help) from(household *syncproto.Record) string {
	written := dayAt(household.Of("categories").Time)
	if x.since == "" || written != x.takenOver {
		return max(x.since, written)
	}
	if x.reviewed != "" {
		return max(x.since, x.reviewed)
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(household.ID)) // never fails
	return max(x.since, casework.AddDays(x.takenOver, -int(h.Sum32()%spreadDays)))
}

// reviewDue is the review that a household is to have by now; nil where its time has not come.
func (l *Loop) reviewDue(tx ReadTx, s *Stored, standards casework.Standards) (due *casework.PeriodicDue, since string, err error) {
	rec, err := parseStored(s)
	if err != nil || s.Ref != s.Root || rec.Body.Has(mergedInto) {
		return nil, "", err
	}
	h := casework.Helped{Place: placeOf(s.Bucket, rec.Body), Varies: true}
	if h.Categories, err = heldIn(tx, rec); err != nil || len(h.Categories) == 0 {
		return nil, "", err
	}
	x, err := helpOf(tx, s.Ref)
	if err != nil || x.reviewing || x.leaving {
		return nil, "", err
	}
	h.Since, h.Until = x.from(rec), x.until
	today := l.dayOr("")
	// Who varies is known from visits only, which are dear to read: nobody is due later for it.
	if early, ok, err := casework.ReviewDue(h, standards); err != nil || !ok || early.Opens > today {
		return nil, "", err
	}
	situation, _, _, err := l.situation(tx, s, today)
	if err != nil {
		return nil, "", err
	}
	h.Varies = casework.Varies(situation, standards)
	next, ok, err := casework.ReviewDue(h, standards)
	if err != nil || !ok || next.Opens > today {
		return nil, "", err
	}
	return &next, h.Since, nil
}
