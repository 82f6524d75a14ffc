package casework

import (
	"fmt"
	"slices"
	"time"
)

// PeriodicReviewMachine takes the yearly review (年审复核) of a household that receives help from its day to its end: a
// visit, the town's proposal, the county's word on everything but "as before", and a written notice to the household. A
// household that has left in the meantime needs none any more.
var PeriodicReviewMachine = &Machine{"periodic_review", "定期复核", []Transition{
	{"", "open", []Role{RoleSystem, RoleTownReviewer, RoleTownClerk}, "", "due"},
	{"due", "assign", town, "", "due"},
	{"due", "visit", system, "", "visited"},
	{"visited", "maintain", reviewer, "not_own_visit", "maintain"},
	{"visited", "adjust", reviewer, "reasoned_review", "adjust"},
	{"visited", "grace", reviewer, "graceful", "grace"},
	{"visited", "propose_exit", reviewer, "reasoned_review", "exit_proposed"},
	{"adjust", "send_back", bureau, "reasoned", "visited"},
	{"grace", "send_back", bureau, "reasoned", "visited"},
	{"exit_proposed", "send_back", bureau, "reasoned", "visited"},
	{"adjust", "confirm", bureau, "", "confirmed"},
	{"grace", "confirm", bureau, "", "confirmed"},
	{"exit_proposed", "confirm", bureau, "", "confirmed"},
	{"maintain", "notify", window, "", "notified"},
	{"confirmed", "notify", window, "", "notified"},
	{"notified", "finish", system, "", "done"},
	{"due", "cancel", system, "", "cancelled"},
	{"visited", "cancel", system, "", "cancelled"},
}}

// ExitMachine takes a household out of help in order (渐退与退出): in grace, where work has lifted it over the line, help
// goes on until the grace is over; then, or at once, help ends and the household is watched for some time. A household
// that falls back while in grace keeps its help, one that is included anew is not watched any longer.
var ExitMachine = &Machine{"exit", "退出与渐退", []Transition{
	{"", "grant", bureau, "", "granted"},
	{"", "leave", bureau, "", "ended"},
	{"granted", "begin", system, "", "active"},
	{"granted", "resume", bureau, "reasoned", "cancelled"},
	{"active", "resume", bureau, "reasoned", "cancelled"},
	{"granted", "end", system, "", "ended"},
	{"active", "end", system, "", "ended"},
	{"ended", "watch", system, "", "monitored"},
	{"ended", "finish", system, "", "closed"},
	{"monitored", "finish", system, "", "closed"},
}}

// PeriodicReviewsRunning are the states in which a review waits for the town or the county.
var PeriodicReviewsRunning = []string{"due", "visited", "adjust", "grace", "exit_proposed"}

// ExitsRunning are the states in which a household is on its way out or watched afterwards.
var ExitsRunning = []string{"granted", "active", "ended", "monitored"}

// reasonedReview: the reviewer made no visit of the review himself, and says why.
func reasonedReview(f Facts) error {
	if err := notOwnVisit(f); err != nil {
		return err
	}
	return require(f.Reasoned, "请写明理由。")
}

// graceful: grace is for households whose income is over the line through work.
func graceful(f Facts) error {
	if err := reasonedReview(f); err != nil {
		return err
	}
	return require(f.Wages, "渐退期适用于因就业务工收入超过标准的家庭,本次走访没有工资性收入。")
}

// The codes of the times of reviews and exits. They are standards like any other; months are calendar months.
const (
	StdReviewYearly = "review_yearly_months" // between reviews of a household whose situation is stable
	StdReviewHalf   = "review_half_months"   // of one with labour capacity and an income that varies
	StdReviewDeath  = "review_death_months"  // from a death in the household until its check
	StdReviewChange = "review_change_months" // from another change that became known
	StdReviewAhead  = "review_ahead_days"    // how long before its day a review is opened
	StdGrace        = "grace_months"         // the most that a grace may last
	StdWatch        = "watch_months"         // how long a household is watched after its exit
	StdReturnVisit  = "return_visit_months"  // between return visits meanwhile
	StdHelpVisit    = "help_visit_months"    // between visits of a household that receives help
)

// reviewTimes are the times that hold where nobody set another one. The law leaves the last ones to the place.
var reviewTimes = Standards{
	{StdReviewYearly, "", "all", 12, "months", applicationFrom, "", applicationSource},
	{StdReviewHalf, "", "all", 6, "months", applicationFrom, "", applicationSource},
	{StdReviewDeath, "", "all", 3, "months", applicationFrom, "", "default"},
	{StdReviewChange, "", "all", 1, "months", applicationFrom, "", "default"},
	{StdReviewAhead, "", "all", 30, "days", applicationFrom, "", "default"},
	{StdGrace, "", "all", 6, "months", applicationFrom, "", "default"},
	{StdWatch, "", "all", 12, "months", applicationFrom, "", "default"},
	{StdReturnVisit, "", "all", 3, "months", applicationFrom, "", "default"},
	{StdHelpVisit, "", "all", 6, "months", applicationFrom, "", "default"},
}

// Helped is a household that receives help from civil affairs, as the rules of review see it.
type Helped struct {
	Place
	Categories []string
	Since      string // the day of the decision that it rests on, or of the last review, "2006-01-02"
	Until      string // the last day of a decision for a term, ""
	Varies     bool   // somebody can work, and the income varies
}

// PeriodicDue is when a household is to be reviewed: why, a code of the list "review_cause"; the last day; the day from
// which it is to be done; and the rule in words.
type PeriodicDue struct {
	Cause, On, Opens, Rule string
}

// ReviewDue is the next review of a household: yearly where its situation is stable, half-yearly where somebody can work
// and the income varies (57), and in any case before a decision for a term runs out. ok is false for a
// household that receives nothing from civil affairs: agriculture reviews those that it monitors.
func ReviewDue(h Helped, standards Standards) (due PeriodicDue, ok bool, err error) {
	if !slices.ContainsFunc(h.Categories, func(c string) bool { return DecidedBy(c) == "MZJ" }) || !plausibleDay(h.Since) {
		return due, false, nil
	}
	code := StdReviewYearly
	due.Cause, due.Rule = "yearly", "情况稳定的家庭每%d个月复核一次"
	if h.Varies {
		code = StdReviewHalf
		due.Cause, due.Rule = "half_yearly", "有劳动能力、收入不固定的家庭每%d个月复核一次"
	}
	months, err := standards.Term(code, h.Place, h.Since)
	if err != nil {
		return due, false, err
	}
	due.On, due.Rule = AddMonths(h.Since, months), fmt.Sprintf(due.Rule, months)
	if h.Until != "" && h.Until < due.On {
		due.Cause, due.On, due.Rule = "term", h.Until, "认定有效期届满前复核"
	}
	ahead, err := standards.Term(StdReviewAhead, h.Place, due.On)
	due.Opens = AddDays(due.On, -ahead)
	return due, err == nil, err
}

// ReviewOn is the review that something which became known asks for, counted from the day on which it happened: a death
// in the household ("death") or another change ("change").
func ReviewOn(cause, since string, at Place, standards Standards) (due PeriodicDue, err error) {
	code, rule := StdReviewChange, "情况发生变化后%d个月内核查"
	switch cause {
	case "death":
		code, rule = StdReviewDeath, "成员死亡后%d个月内核查"
	case "change":
	default:
		return due, NewError(CodeInvalidValue, "请选择复核原因:成员死亡或情况变化。")
	}
	months, err := standards.Term(code, at, since)
	return PeriodicDue{cause, AddMonths(since, months), since, fmt.Sprintf(rule, months)}, err
}

// Varies reports whether somebody in a household can work and it has an income from work or business, which varies.
func Varies(s Situation, standards Standards) bool {
	c := &classifying{s: &s, all: standards, out: &Suggestion{}}
	c.old, c.minor = c.standard(StdTekunAge), c.standard(StdTekunMinor)
	able := slices.ContainsFunc(s.Members, func(m Member) bool { _, unable := c.noLabour(&m); return !unable })
	return able && s.Earns()
}

// Earns reports whether a household has an income from work or business.
func (s *Situation) Earns() bool {
	return slices.ContainsFunc(s.Incomes, func(x Income) bool {
		return x.Amount > 0 && (x.Kind == "wages" || x.Kind == "business")
	})
}

// Grace is from when until when a grace of some months lasts that is granted on a day: whole months, from the next one on.
// 0 stands for the most that the standards allow; more is refused.
func Grace(granted string, months int, at Place, standards Standards) (from, until string, err error) {
	most, err := standards.Term(StdGrace, at, granted)
	if err != nil {
		return "", "", err
	}
	if months == 0 {
		months = most
	}
	if months < 1 || months > most {
		return "", "", NewError(CodeInvalidValue, fmt.Sprintf("渐退期应为1至%d个月。", most))
	}
	from = AddMonths(granted[:8]+"01", 1)
	return from, AddDays(AddMonths(from, months), -1), nil
}

// AddMonths is the same day some months later, or the last day of a month that has no such day. What is no day stays as
// it is.
func AddMonths(day string, months int) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	to := t.AddDate(0, months, 0)
	if to.Day() != t.Day() { // it ran over into the next month
		to = to.AddDate(0, 0, -to.Day())
	}
	return to.Format(time.DateOnly)
}

// AddDays is the day so many days later. What is no day stays as it is.
func AddDays(day string, n int) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	return t.AddDate(0, 0, n).Format(time.DateOnly)
}
