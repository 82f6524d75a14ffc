package casework

import "slices"

var (
	worker   = []Role{RoleGridWorker}
	reviewer = []Role{RoleTownReviewer}
	town     = []Role{RoleTownReviewer, RoleTownLeader}
	bureau   = []Role{RoleBureauOfficer}
	system   = []Role{RoleSystem}
	staff    = []Role{RoleTownReviewer, RoleTownLeader, RoleBureauOfficer}
	dept     = []Role{RoleDeptOfficer}
	keepers  = []Role{RoleTownLeader, RoleAdmin, RoleSystem} // of phones
)

// phoneSteps are the steps that a phone takes by an act of its own, by kind. Every other one has effects or guards that
// only a desk's verb brings, whoever holds the phone.
var phoneSteps = map[string][]string{
	"visit": {"submit"}, "application": {"submit"}, "lead": {"start"}, "conflict": {"settle"},
}

// OnPhones reports whether a step on records of a kind can be taken by an act that a phone pushes.
func OnPhones(kind, action string) bool { return slices.Contains(phoneSteps[kind], action) }

// LeadMachine takes a warning lead from its arrival to its closing. On time means: proposed by the deadline. Overdue
// is derived, not a state.
var LeadMachine = &Machine{"lead", "线索", []Transition{
	{"new", "dispatch", bureau, "", "dispatched"},
	{"new", "find", system, "", "visited"},
	{"new", "send_dept", bureau, "", "with_dept"},
	{"with_dept", "dept_done", system, "", "closed"},
	{"with_dept", "dept_declined", system, "", "new"},
	{"dispatched", "assign", town, "", "assigned"},
	{"assigned", "assign", town, "", "assigned"},
	{"assigned", "start", worker, "", "visiting"},
	{"assigned", "submit_visit", system, "", "visited"},
	{"visiting", "submit_visit", system, "", "visited"},
	{"visited", "take_review", system, "", "town_review"},
	{"town_review", "return", reviewer, "", "returned"},
	{"returned", "revisit", []Role{RoleGridWorker, RoleSystem}, "", "visiting"},
	{"town_review", "propose", reviewer, "approved_visit", "proposed"},
	{"proposed", "submit_county", system, "", "county_review"},
	{"county_review", "county_return", bureau, "", "county_returned"},
	{"county_returned", "reopen", town, "", "town_review"},
	{"county_review", "conference", bureau, "", "conference"},
	{"county_review", "verify", bureau, "", "verified"},
	{"conference", "verify", bureau, "conference_minuted", "verified"},
	{"verified", "feed_back", bureau, "", "feedback_sent"},
	{"feedback_sent", "close", system, "fed_back", "closed"},
	{"dispatched", "transfer", town, "", "dispatched"},
	{"assigned", "transfer", town, "", "dispatched"},
	{"dispatched", "propose", reviewer, "duplicate_result", "proposed"},
	{"assigned", "propose", reviewer, "duplicate_result", "proposed"},
	{"new", "mark_duplicate", bureau, "", "duplicate"},
	{"dispatched", "mark_duplicate", staff, "", "duplicate"},
}}

// VisitMachine takes a home visit from the phone to its approval. An edit after the approval is an amendment under
// review, not a transition.
var VisitMachine = &Machine{"visit", "走访", []Transition{
	{"", "submit", worker, "visit_complete", "submitted"},
	{"draft", "submit", worker, "visit_complete", "submitted"},
	{"returned", "submit", worker, "visit_complete", "submitted"},
	{"submitted", "return", reviewer, "not_own_visit", "returned"},
	{"submitted", "approve", reviewer, "visit_reviewable", "approved"},
	{"submitted", "void", town, "", "void"},
	{"returned", "void", town, "", "void"},
}}

// DispositionMachine takes a town's proposal through the county's verification.
var DispositionMachine = &Machine{"disposition", "处置", []Transition{
	{"", "propose", reviewer, "", "proposed"},
	{"proposed", "verify", bureau, "", "verified"},
	{"proposed", "return", bureau, "", "returned"},
	{"returned", "repropose", reviewer, "", "proposed"},
}}

// ReferralMachine takes a referral to a department and its result back.
var ReferralMachine = &Machine{"referral", "转办", []Transition{
	{"", "send", staff, "", "sent"},
	{"sent", "accept", dept, "", "accepted"},
	{"sent", "decline", dept, "", "declined"},
	{"accepted", "decline", dept, "", "declined"},
	{"accepted", "start", dept, "", "in_progress"},
	{"accepted", "deliver", dept, "", "delivered"},
	{"in_progress", "deliver", dept, "", "delivered"},
	{"delivered", "feed_back", dept, "", "result_fed_back"},
	{"result_fed_back", "close", []Role{RoleBureauOfficer, RoleTownReviewer}, "", "closed"},
	{"declined", "close", []Role{RoleBureauOfficer, RoleTownReviewer}, "", "closed"},
}}

// ReferralsRunning are the states in which a department owes an answer.
var ReferralsRunning = []string{"sent", "accepted", "in_progress", "delivered"}

// TaskMachine is what a phone shows as to be done.
var TaskMachine = &Machine{"task", "任务", []Transition{
	{"", "open", system, "", "open"},
	{"open", "finish", []Role{RoleSystem, RoleGridWorker}, "", "done"},
	{"open", "cancel", town, "", "cancelled"},
}}

// Review states follow from the visit: a review record is a decision, made once.
var ReviewMachine = &Machine{"review", "审核", []Transition{
	{"pending", "approve", reviewer, "not_own_visit", "approved"},
	{"pending", "return", reviewer, "not_own_visit", "returned"},
	{"pending", "reject", reviewer, "not_own_visit", "rejected"},
	{"pending", "escalate", reviewer, "", "escalated"},
	{"escalated", "approve", bureau, "", "approved"},
	{"escalated", "return", bureau, "", "returned"},
}}

// ConflictMachine is what becomes of a value that lost against a concurrent one: somebody looks at both, once.
var ConflictMachine = &Machine{"conflict", "冲突", []Transition{
	{"", "open", system, "", "open"},
	{"open", "settle", []Role{RoleGridWorker, RoleTownReviewer, RoleBureauOfficer}, "", "settled"},
}}

// AmendmentMachine is what becomes of a correction to an approved record.
var AmendmentMachine = &Machine{"amendment", "更正申请", []Transition{
	{"", "open", system, "", "open"},
	{"open", "accept", reviewer, "", "accepted"},
	{"open", "reject", reviewer, "", "rejected"},
}}

// DeviceMachine is what becomes of an enrolled phone. Lost is provisional: most phones that are missed turn up, so nothing
// is erased, and whoever finds one lets it go on; the user's own key is new by then. Stolen is final, and so is every
// other end: such a phone only comes back by a new enrolment. A phone that is to be retired hands over first; people may
// retire it at once after they have seen what it may hold. A fork is final too, since two histories cannot be one.
var DeviceMachine = &Machine{"device", "设备", []Transition{
	{"", "enrol", system, "", "active"},
	{"active", "freeze", system, "", "frozen"},
	{"retiring", "freeze", system, "", "frozen"},
	{"active", "lose", keepers, "", "lost"},
	{"retiring", "lose", keepers, "", "lost"},
	{"lost", "find", keepers, "", "active"},
	{"active", "steal", keepers, "", "stolen"},
	{"retiring", "steal", keepers, "", "stolen"},
	{"lost", "steal", keepers, "", "stolen"},
	{"frozen", "steal", keepers, "", "stolen"},
	{"revoked", "steal", keepers, "", "stolen"},
	{"retired", "steal", keepers, "", "stolen"},
	{"active", "retire", keepers, "", "retiring"},
	{"retiring", "keep", keepers, "", "active"},
	{"retiring", "retire", keepers, "", "retired"},
	{"retiring", "hand_over", system, "", "retired"},
	{"lost", "retire", keepers, "", "retired"},
	{"frozen", "retire", keepers, "", "retired"},
	{"active", "revoke", keepers, "", "revoked"},
	{"retiring", "revoke", keepers, "", "revoked"},
	{"lost", "revoke", keepers, "", "revoked"},
	{"frozen", "revoke", keepers, "", "revoked"},
}}

// Machines lists every state machine.
var Machines = []*Machine{LeadMachine, VisitMachine, DispositionMachine, ReferralMachine, TaskMachine, ReviewMachine, ConflictMachine, AmendmentMachine,
	DeviceMachine, ApplicationMachine, PeriodicReviewMachine, ExitMachine, PublicationMachine, ObjectionMachine, AidMachine, MeetingMachine,
	ResolutionMachine, OrderMachine, DataNeedMachine, DataPackageMachine, EvaluationMachine, MonitoringMachine, RelocationMachine, InvitationMachine}
