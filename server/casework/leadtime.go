package casework

import "fmt"

// StdLead is the time, in working days, that a town has for a lead from its receipt. A type of leads can have a shorter
// one under the same code with ":" and the type behind it, never a longer one.
const StdLead = "lead_workdays"

// leadTimes are the times that hold where nobody set another one: 40 working days by the notice (三·三·3); risk data of
// the province are to be verified promptly, for which the county sets its own time.
var leadTimes = Standards{
	{StdLead, "", "all", 40, "workdays", since1970, "", "汨民发〔2025〕9号"},
	{StdLead + ":risk_rising", "", "all", 20, "workdays", since1970, "", "default"},
}

// LeadTime is the time for a lead of a type that a town received on a day, with the rule in words; the rule is "" where it
// is the 40 working days of every lead.
func LeadTime(leadType, town, day string, standards Standards) (workdays int, rule string, err error) {
	at := Place{Region: town}
	workdays, err = standards.Term(StdLead, at, day)
	if err != nil {
		return 0, "", err
	}
	own, err := standards.Term(StdLead+":"+leadType, at, day)
	if err != nil || own >= workdays {
		return workdays, "", nil // a type without a time of its own
	}
	return own, fmt.Sprintf("“%s”线索须在镇街收到之日起%d个工作日内核实(县内时限)", Label("lead_type", leadType), own), nil
}
