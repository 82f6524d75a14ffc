package casework

import (
	"slices"
	"time"
)

// LateEntry is how long after a visit its entry into the phone counts as late (补录). No rule of the state fixes it: forms
// are to be filled in on the spot, and a day leaves room for an evening at home. What only waits for a network is not late:
// the entry is measured by when it was captured, not by when it arrived.
const LateEntry = 24 * time.Hour

// IsLate reports whether a visit that ended at one time, as corrected, was entered late at another; milliseconds.
func IsLate(visit, entered int64) bool { return entered-visit > LateEntry.Milliseconds() }

// VisitTimes are the fields of a visit that say when it was, the one that counts for a late entry first.
var VisitTimes = []string{"ended_at", "visited_at", "started_at"}

// Evidence names what a reviewer should look at in a visit, the gravest first: codes of the list "evidence". It is shown
// beside the visit and never stands in its way.
func Evidence(late bool, doubts []string) (list []string) {
	for _, t := range Enums["evidence"] {
		if t.Code == "late_entry" && late || slices.Contains(doubts, t.Code) {
			list = append(list, t.Code)
		}
	}
	return list
}
