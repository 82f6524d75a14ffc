package casework

import "fmt"

// LeadsRunning are the states of a lead whose 40 working days run: on time means proposed by the deadline.
var LeadsRunning = []string{"dispatched", "assigned", "visiting", "visited", "town_review", "returned", "county_returned"}

// Overdue is the warning of a deadline that has passed.
const Overdue = 0

// WarningAt is the warning that so many working days left call for: the smallest of Warnings that is not below, Overdue
// once the deadline has passed, and none where there is more time than any of them.
func WarningAt(left int) (warning int, due bool) {
	if left < 0 {
		return Overdue, true
	}
	for _, w := range Warnings { // descending
		if left <= w {
			warning, due = w, true
		}
	}
	return warning, due
}

// leadRule is the rule behind a lead's deadline (notice, 三·三·3).
const leadRule = "预警线索须在镇街收到之日起40个工作日内入户核实并提出处置(收到当日不计,调休上班日计入)"

// WarningText says a warning to the person concerned, with the rule behind it: that of the record's deadline, or of leads.
func WarningText(kind, rule string, left, warning int, dueOn string) (title, text string) {
	what := kind
	if k, ok := KindOf(kind); ok {
		what = k.Label
	}
	if kind == "lead" {
		what = "线索"
		if rule == "" {
			rule = leadRule
		}
	}
	if warning == Overdue {
		return what + "已超期", fmt.Sprintf("期限%s已过%d个工作日,请尽快办理并说明原因。%s。", dueOn, -left, rule)
	}
	return fmt.Sprintf("%s还剩%d个工作日", what, left), fmt.Sprintf("请在%s前办理。%s。", dueOn, rule)
}
