package casework

import (
	"fmt"
	"slices"
	"time"
)

// The codes of the times of an application. They are standards like any other: a region may set shorter ones. Units are
// "workdays", or "days" where the law counts every day.
const (
	StdApplyInvestigate = "apply_investigate_days" // from acceptance until the investigation has begun
	StdApplyPublicize   = "apply_publicize_days"   // how long the town's opinion is on the board
	StdApplyCounty      = "apply_county_days"      // from the town's report until the county's decision
	StdApplyTotal       = "apply_total_days"       // from acceptance until the decision
	StdApplySpecial     = "apply_special_days"     // the same in special cases
	StdApplyTell        = "apply_tell_days"        // from a denial until the applicant is told in writing
)

// applicationSource is the document behind the times, and since when it is in force.
const applicationSource, applicationFrom = "民发〔2021〕57号", "2021-07-01"

// applicationTimes are the times of the law.
var applicationTimes = Standards{
	{StdApplyInvestigate, "", "all", 3, "workdays", applicationFrom, "", applicationSource},
	{StdApplyPublicize, "", "all", 7, "days", applicationFrom, "", applicationSource},
	{StdApplyCounty, "", "all", 10, "workdays", applicationFrom, "", applicationSource},
	{StdApplyTotal, "", "all", 30, "workdays", applicationFrom, "", applicationSource},
	{StdApplySpecial, "", "all", 45, "workdays", applicationFrom, "", applicationSource},
	{StdApplyTell, "", "all", 3, "workdays", applicationFrom, "", applicationSource},
}

// ApplicationTimes are the moments that the times of an application are counted from, zero for what has not come yet, and
// whose standards count.
type ApplicationTimes struct {
	Accepted, Reported, Decided time.Time
	Extended                    bool
	Place
}

// Due is the last day of a time, "2006-01-02", and the rule behind it in words. Provisional says that a year without a
// published calendar was counted with, Calendars which ones were.
type Due struct {
	On          string
	Rule        string
	Provisional bool
	Calendars   string
}

// applicationSteps says which times run in which states; every one runs until its state is left. The day that a time is
// counted from does not count.
var applicationSteps = []struct {
	states []string
	code   string
	since  func(*ApplicationTimes) time.Time
	rule   string
}{
	{[]string{"accepted"}, StdApplyInvestigate, accepted, "受理后%d个工作日内启动调查"},
	{[]string{"county_review"}, StdApplyCounty, func(t *ApplicationTimes) time.Time { return t.Reported }, "县级收到上报后%d个工作日内作出决定"},
	{[]string{"denied"}, StdApplyTell, func(t *ApplicationTimes) time.Time { return t.Decided }, "作出决定后%d个工作日内书面告知"},
	{[]string{"accepted", "investigating", "preliminary", "publicizing", "objected", "reinvestigating", "county_review"}, StdApplyTotal, accepted, "受理后%d个工作日内完成审核确认"},
}

func accepted(t *ApplicationTimes) time.Time { return t.Accepted }

// ApplicationDue is the day by which an application has to leave its state: the first of the times that run there. ok is
// false where none runs, as before acceptance and once help is active. A standard counts as it was on the day that its
// time began.
func ApplicationDue(state string, t ApplicationTimes, standards Standards, calendars Calendars) (due Due, ok bool, err error) {
	for _, s := range applicationSteps {
		since := s.since(&t)
		if since.IsZero() || !slices.Contains(s.states, state) {
			continue
		}
		code := s.code
		if code == StdApplyTotal && t.Extended {
			code = StdApplySpecial
		}
		days, err := standards.Term(code, t.Place, dayOf(since))
		if err != nil {
			return Due{}, false, err
		}
		end, provisional, version := Deadline(since, days, calendars)
		if on := end.Format(time.DateOnly); !ok || on < due.On {
			due, ok = Due{on, fmt.Sprintf(s.rule, days), provisional, version}, true
		}
	}
	return due, ok, nil
}

// PublicationEnd is the last day, "2006-01-02", on which an opinion that was posted then is on the board. Every day counts
// but the first.
func PublicationEnd(posted time.Time, t ApplicationTimes, standards Standards) (string, error) {
	days, err := standards.Term(StdApplyPublicize, t.Place, dayOf(posted))
	return posted.In(shanghai).AddDate(0, 0, days).Format(time.DateOnly), err
}

func dayOf(t time.Time) string { return t.In(shanghai).Format(time.DateOnly) }
