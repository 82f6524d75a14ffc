package casework

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// FigureSpec declares one of the figures of the closed loop: a table of counts.
type FigureSpec struct {
	Name    string
	Title   string // Chinese
	Heading string // of the rows, Chinese
	Kind    string // of the records that are counted
	Columns []Term
	Dated   string // which day of a record falls within the range, Chinese; "" where the records count as they stand
	Rate    string // the label of the share that Rate tells, "" where the figure has none
}

// Figures are the figures that there are. on_time measures what the notice asks of towns: a lead is to be disposed of
// within 40 working days of its receipt (part 3, section 3, item 3).
var Figures = []*FigureSpec{
	{"on_time", "预警线索按期处置情况", "镇(街道)", "lead", []Term{{"received", "收到线索"}, {"on_time", "按期处置"}, {"late", "超期处置"},
		{"open", "办理中未到期"}, {"overdue", "办理中已超期"}, {"duplicate", "标为重复"}}, "镇街收到线索的日期", "按期率"},
	{"funnel", "线索办理漏斗", "线索渠道", "lead", []Term{{"arrived", "收到"}, {"dispatched", "已派发"}, {"assigned", "已分派"}, {"visited", "已入户"},
		{"submitted", "走访已提交"}, {"approved", "走访已通过"}, {"proposed", "已提出处置"}, {"verified", "县级已核定"}, {"closed", "已办结"}}, "线索录入系统的日期", ""},
	{"returns", "走访退回的问题", "问题", "review", []Term{{"returns", "退回次数"}}, "退回的日期", ""},
	{"households", "在册家庭分类", "镇(街道)、村(社区)", "household", append(append([]Term{{"households", "户数"}}, Enums["category"]...),
		Term{"none", "未认定类别"}), "", ""},
	{"referrals", "转办部门办理情况", "承办部门", "referral", []Term{{"referrals", "转办"}, {"sent", "已转办"}, {"accepted", "已受理"}, {"in_progress", "办理中"},
		{"delivered", "已落实"}, {"result_fed_back", "已反馈结果"}, {"declined", "不予受理"}, {"closed", "已办结"}, {"overdue", "未反馈且已超期"}}, "转办的日期", ""},
}

// FigureNamed finds a figure.
func FigureNamed(name string) (*FigureSpec, bool) {
	i := slices.IndexFunc(Figures, func(s *FigureSpec) bool { return s.Name == name })
	if i < 0 {
		return nil, false
	}
	return Figures[i], true
}

// Has reports whether the figure has such a column.
func (s *FigureSpec) Has(column string) bool {
	return slices.ContainsFunc(s.Columns, func(t Term) bool { return t.Code == column })
}

// TotalRow is the key of the row that every record is counted in, once.
const TotalRow = "total"

// UnitOf is the town that a region lies in, or the county for what lies at the county itself.
func UnitOf(region string) string {
	return cmp.Or(TownOf(region), CountyOf(region))
}

// LeadFacts are what figures look at in a lead. Days are "2006-01-02", "" where it has not happened.
type LeadFacts struct {
	State    string
	DueOn    string
	Assigned bool
	Visits   []string // the states of its visits
	// Disposition is the state of its disposition, ProposedOn the day on which that was last proposed.
	Disposition string
	ProposedOn  string
}

// OnTime is the column of the figure on_time that a lead which a town has received belongs to on a day. A lead that the
// county returned is under way again, so the proposal that counts is the one that stands.
func (f *LeadFacts) OnTime(today string) string {
	switch {
	case f.State == "duplicate":
		return "duplicate"
	case slices.Contains(LeadsRunning, f.State) && today > f.DueOn:
		return "overdue"
	case slices.Contains(LeadsRunning, f.State):
		return "open"
	case f.ProposedOn > f.DueOn:
		return "late"
	}
	return "on_time"
}

// Stages are the columns of the figure funnel that a lead has come to, as things stand: what was returned, or taken back
// by a transfer to another town, has to be done again. A duplicate is proposed without a visit, so a later stage can
// count more leads than one before it.
func (f *LeadFacts) Stages() []string {
	list := []string{"arrived"}
	add := func(stage string, reached bool) {
		if reached {
			list = append(list, stage)
		}
	}
	visit := func(states ...string) bool {
		return slices.ContainsFunc(f.Visits, func(s string) bool { return slices.Contains(states, s) })
	}
	add("dispatched", f.DueOn != "")
	add("assigned", f.Assigned)
	add("visited", visit("", "draft", "submitted", "returned", "approved"))
	add("submitted", visit("submitted", "returned", "approved"))
	add("approved", visit("approved"))
	add("proposed", f.Disposition == "proposed" || f.Disposition == "verified")
	add("verified", f.Disposition == "verified")
	add("closed", f.State == "closed")
	return list
}

// ReferralColumns are the columns of the figure referrals that a referral belongs to on a day: its state, and overdue
// where the department owes a result whose day has passed.
func ReferralColumns(state, dueOn, today string) []string {
	list := []string{"referrals", state}
	if slices.Contains([]string{"sent", "accepted", "in_progress", "delivered"}, state) && dueOn != "" && today > dueOn {
		list = append(list, "overdue")
	}
	return list
}

// HouseholdColumns are the columns of the figure households that a household belongs to. It may be in several
// categories, so the columns add up to more than there are households.
func HouseholdColumns(categories []string) []string {
	list := []string{"households"}
	if len(categories) == 0 {
		return append(list, "none")
	}
	for _, c := range categories {
		if !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

// Rate is the share of leads that were disposed of in time among those of which it is known: disposed of, or overdue. It
// is "" where there are none.
func Rate(counts map[string]int) string {
	known := counts["on_time"] + counts["late"] + counts["overdue"]
	if known == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f%%", 100*float64(counts["on_time"])/float64(known))
}

// Tally counts records into the cells of a figure. Counts and the ids behind them come of the same placing, so the two
// cannot differ.
type Tally struct {
	Row, Column string // collects the ids of this cell, where a column is named
	rows        map[string]map[string]int
	ids         map[string]bool
}

// Add counts a record in every pair of a row and a column. TotalRow is among the rows by itself.
func (t *Tally) Add(id string, rows, columns []string) {
	if t.rows == nil {
		t.rows, t.ids = map[string]map[string]int{TotalRow: {}}, map[string]bool{}
	}
	for _, row := range append([]string{TotalRow}, rows...) {
		if t.rows[row] == nil {
			t.rows[row] = map[string]int{}
		}
		for _, c := range columns {
			t.rows[row][c]++
			if row == t.Row && c == t.Column {
				t.ids[id] = true
			}
		}
	}
}

// FigureRow is one row of counts by column. Columns that are not there count 0.
type FigureRow struct {
	Key    string
	Counts map[string]int
}

// Rows are the rows in order of keys, so that a town stands before its villages; the total is last.
func (t *Tally) Rows() []FigureRow {
	list := []FigureRow{}
	for key, counts := range t.rows {
		list = append(list, FigureRow{key, counts})
	}
	slices.SortFunc(list, func(a, b FigureRow) int {
		if a.Key == TotalRow || b.Key == TotalRow {
			return cmp.Compare(rank(a.Key), rank(b.Key))
		}
		return strings.Compare(a.Key, b.Key)
	})
	if len(list) == 0 {
		list = append(list, FigureRow{TotalRow, map[string]int{}})
	}
	return list
}

func rank(key string) int {
	if key == TotalRow {
		return 1
	}
	return 0
}

// IDs are the ids of the cell that was asked for, in order.
func (t *Tally) IDs() []string { return slices.Sorted(maps.Keys(t.ids)) }
