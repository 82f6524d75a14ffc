package casework

import "slices"

var (
	orderers   = []Role{RoleTownLeader, RoleBureauOfficer, RoleSystem}
	answerable = []Role{RoleTownReviewer, RoleTownLeader, RoleDeptOfficer, RoleBureauOfficer}
	leader     = []Role{RoleTownLeader}
	county     = []Role{RoleBureauOfficer, RoleSystem}
)

// OrderMachine follows an order to a unit that is late to its end. A town's leader or the county urges (催办), and the
// calendar does where a deadline is over; what is not answered in time is supervised by the county (督办), which then is
// the only one that accepts an answer. An order ends by itself once the thing is done that it asked for.
var OrderMachine = &Machine{"order", "督办单", []Transition{
	{"", "urge", orderers, "reasoned", "issued"},
	{"", "supervise", bureau, "reasoned", "issued"},
	{"issued", "escalate", county, "", "issued"},
	{"issued", "answer", answerable, "reasoned", "answered"},
	{"answered", "send_back", bureau, "reasoned", "issued"},
	{"answered", "send_back", leader, "urged_by_town", "issued"},
	{"answered", "accept", bureau, "", "done"},
	{"answered", "accept", leader, "urged_by_town", "done"},
	{"issued", "withdraw", bureau, "reasoned", "cancelled"},
	{"issued", "withdraw", leader, "urged_by_town", "cancelled"},
	{"issued", "settle", system, "", "done"},
	{"answered", "settle", system, "", "done"},
}}

// OrdersRunning are the states in which an order waits for somebody.
var OrdersRunning = []string{"issued", "answered"}

// urgedByTown: a town's leader decides on what he urged himself, with a reason, but neither on his own answer nor on what
// the county supervises.
func urgedByTown(f Facts) error {
	switch {
	case f.Supervised:
		return require(false, "督办件由县级处理,镇(街道)只能答复。")
	case f.OwnAnswer:
		return require(false, "不能处理自己的答复,请由县级或其他负责人处理。")
	}
	return require(f.Reasoned, "请写明理由。")
}

// Responsible is the department whose turn it is with a record that is late: TOWN for the town that it lies in. toDept is
// the department that the record names itself.
func Responsible(state, toDept string) string {
	switch {
	case toDept != "":
		return toDept
	case slices.Contains([]string{"proposed", "county_review", "conference", "verified", "adjust", "grace", "exit_proposed", "confirmed"}, state):
		return "MZJ"
	}
	return "TOWN"
}

// The codes of the times of orders, in working days. They are standards like any other.
const (
	StdUrge      = "order_urge_workdays"      // to answer what was urged, before the county supervises it
	StdSupervise = "order_supervise_workdays" // to answer what the county supervises
)

// orderTimes are the times that hold where nobody set another one; the notice leaves them to the county.
var orderTimes = Standards{
	{StdUrge, "", "all", 3, "workdays", applicationFrom, "", "default"},
	{StdSupervise, "", "all", 5, "workdays", applicationFrom, "", "default"},
}
