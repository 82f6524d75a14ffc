package casework

// MeetingMachine takes a case conference (一事一议) or a joint meeting (联席会议) from its call to the end of what it
// resolved: its minutes are kept, and it is closed only once every resolution has been carried out.
var MeetingMachine = &Machine{"meeting", "会议", []Transition{
	{"", "call", bureau, "", "called"},
	{"called", "cancel", bureau, "reasoned", "cancelled"},
	{"called", "hold", bureau, "minuted", "held"},
	{"held", "close", bureau, "carried_out", "closed"},
}}

// ResolutionMachine follows what a meeting has asked of a department to its end.
var ResolutionMachine = &Machine{"resolution", "会议事项", []Transition{
	{"", "resolve", bureau, "", "open"},
	{"open", "answer", giver, "reasoned", "answered"},
	{"answered", "send_back", bureau, "reasoned", "open"},
	{"answered", "accept", bureau, "", "done"},
	{"open", "drop", bureau, "reasoned", "cancelled"},
}}

// InvitationMachine asks a department to a meeting, and takes its answer: who comes, or why nobody does.
var InvitationMachine = &Machine{"invitation", "会议通知", []Transition{
	{"", "invite", bureau, "", "open"},
	{"open", "accept", giver, "reasoned", "accepted"},
	{"open", "decline", giver, "reasoned", "declined"},
	{"open", "close", system, "", "closed"},
	{"accepted", "close", system, "", "closed"},
	{"open", "cancel", system, "", "cancelled"},
	{"accepted", "cancel", system, "", "cancelled"},
}}

func minuted(f Facts) error {
	return require(f.Minuted, "请填写会议纪要和参会人员。")
}

func carriedOut(f Facts) error {
	return require(f.OpenResolutions == 0, "还有会议事项没有办结,请先督促办理。")
}
