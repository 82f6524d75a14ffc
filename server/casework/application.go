package casework

import (
	"fmt"
	"slices"
)

var (
	clerks    = []Role{RoleVillageClerk, RoleTownClerk}
	applying  = []Role{RoleGridWorker, RoleVillageClerk, RoleTownClerk}
	window    = []Role{RoleTownClerk, RoleTownReviewer}
	objecting = []Role{RoleVillageClerk, RoleTownClerk, RoleTownReviewer}
)

// ApplicationMachine takes a household's application from the window or the phone to its end. The applicant does not
// choose the category. What is missing is asked for once, all at the same time, and before acceptance, so that no time
// runs meanwhile. After an objection the town investigates again and reports with a new opinion. An applicant may
// withdraw until the county has decided. What was granted before this program came is taken over as it stands. A denied application is
// closed once the applicant has been told in writing. The order is that of 民发〔2021〕57号.
var ApplicationMachine = &Machine{"application", "救助申请", []Transition{
	{"", "start", clerks, "", "draft"},
	{"", "submit", applying, "application_complete", "submitted"},
	{"draft", "submit", applying, "application_complete", "submitted"},
	{"submitted", "supplement", window, "asked_once", "supplement"},
	{"supplement", "submit", applying, "application_complete", "submitted"},
	{"submitted", "accept", window, "acceptable", "accepted"},
	{"accepted", "investigate", reviewer, "", "investigating"},
	{"investigating", "opine", reviewer, "investigated", "preliminary"},
	{"preliminary", "publicize", reviewer, "not_own_visit", "publicizing"},
	{"publicizing", "object", objecting, "reasoned", "objected"},
	{"objected", "reinvestigate", reviewer, "", "reinvestigating"},
	{"publicizing", "report", reviewer, "publication_over", "county_review"},
	{"reinvestigating", "report", reviewer, "investigated", "county_review"},
	{"county_review", "county_visit", bureau, "reasoned", "county_review"},
	{"county_review", "confirm", bureau, "county_visited", "confirmed"},
	{"county_review", "deny", bureau, "reasoned", "denied"},
	{"confirmed", "activate", bureau, "", "active"},
	{"", "take_over", bureau, "", "active"},
	{"active", "close", []Role{RoleBureauOfficer, RoleSystem}, "reasoned", "closed"},
	{"denied", "tell", window, "", "closed"},
	{"supplement", "terminate", reviewer, "reasoned", "terminated"},
	{"accepted", "terminate", reviewer, "reasoned", "terminated"},
	{"investigating", "terminate", reviewer, "reasoned", "terminated"},
	{"reinvestigating", "terminate", reviewer, "reasoned", "terminated"},
	{"draft", "withdraw", window, "reasoned", "withdrawn"},
	{"submitted", "withdraw", window, "reasoned", "withdrawn"},
	{"supplement", "withdraw", window, "reasoned", "withdrawn"},
	{"accepted", "withdraw", window, "reasoned", "withdrawn"},
	{"investigating", "withdraw", window, "reasoned", "withdrawn"},
	{"preliminary", "withdraw", window, "reasoned", "withdrawn"},
	{"publicizing", "withdraw", window, "reasoned", "withdrawn"},
	{"objected", "withdraw", window, "reasoned", "withdrawn"},
	{"reinvestigating", "withdraw", window, "reasoned", "withdrawn"},
	{"county_review", "withdraw", window, "reasoned", "withdrawn"},
	{"accepted", "extend", bureau, "extendable", "accepted"},
	{"investigating", "extend", bureau, "extendable", "investigating"},
	{"preliminary", "extend", bureau, "extendable", "preliminary"},
	{"publicizing", "extend", bureau, "extendable", "publicizing"},
	{"objected", "extend", bureau, "extendable", "objected"},
	{"reinvestigating", "extend", bureau, "extendable", "reinvestigating"},
	{"county_review", "extend", bureau, "extendable", "county_review"},
}}

// ApplicationForm is the id of the form of an application.
const ApplicationForm = "apply_v1"

// ApplicationsFilling are the states in which the answers of an application may be written. Later ones were accepted as
// they are: what a phone writes then waits for a reviewer.
var ApplicationsFilling = []string{"", "draft", "supplement"}

// ApplicationsRunning are the states in which somebody has to act within a time of the law.
var ApplicationsRunning = []string{"accepted", "investigating", "preliminary", "publicizing", "objected", "reinvestigating", "county_review", "denied"}

// ApplicationEnded reports whether a household may hand in another application: this one has come to its decision.
func ApplicationEnded(state string) bool {
	return slices.Contains([]string{"active", "closed", "denied", "terminated", "withdrawn"}, state)
}

// DecidedBy is the department that decides on a category: agriculture on monitored households, civil affairs on the others
// (notice, 三·一·1).
func DecidedBy(category string) string {
	switch category {
	case "FPFP_UNSTABLE", "FPFP_MARGINAL", "FPFP_SUDDEN":
		return "NYJ"
	}
	return "MZJ"
}

// CheckDecision says what is wrong with the categories that the county's bureau wants to grant: at least one, none twice,
// each of the list "category", and none that another department decides on.
func CheckDecision(categories []string) error {
	if len(categories) == 0 {
		return NewError(CodeInvalidValue, "请选择救助类别。")
	}
	for i, c := range categories {
		switch {
		case !ValidEnum("category", c):
			return NewError(CodeInvalidValue, "救助类别不正确,请从列表中选择。")
		case slices.Contains(categories[:i], c):
			return NewError(CodeInvalidValue, "同一类别选了两次:"+Label("category", c)+"。")
		case DecidedBy(c) != "MZJ":
			return NewError(CodeInvalidValue, Label("category", c)+"由农业农村部门认定,请转办农业农村局。")
		}
	}
	return nil
}

// OfCivilAffairs are those of some categories that civil affairs decides on.
func OfCivilAffairs(categories []string) []string {
	return slices.DeleteFunc(slices.Clone(categories), func(c string) bool { return DecidedBy(c) != "MZJ" })
}

// Granted are a household's categories after one of its applications took effect: those decided, and those of other
// departments, which stay.
func Granted(before, decided []string) []string {
	list := append([]string{}, decided...)
	for _, c := range before {
		if DecidedBy(c) != "MZJ" && !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

// Withdrawn are a household's categories after help from civil affairs has ended: those of other departments.
func Withdrawn(before []string) []string { return Granted(before, nil) }

// Differs reports whether a decision is another one than the rules suggested; the order does not matter.
func Differs(decided, suggested []string) bool {
	a, b := slices.Sorted(slices.Values(decided)), slices.Sorted(slices.Values(suggested))
	return !slices.Equal(a, b)
}

// Unsigned is how many adults of an application's household have not consented to the check of their means: those who
// live there and whose identity number tells that they are of age on a day ("2006-01-02"), less the consents. Both are
// rows of the form; a row that says nothing of an age counts for nobody.
func Unsigned(members, consents []any, on string) int {
	adults := 0
	for _, r := range members {
		row, _ := r.(map[string]any)
		if lives, told := row["lives_together"].(bool); told && !lives {
			continue
		}
		m := Member{Birth: birthOf(row)}
		if age, known := m.age(on); known && age >= adultAge {
			adults++
		}
	}
	return max(adults-len(consents), 0)
}

const adultAge = 18

// applicationComplete: every question that is asked and required has an answer, the applicant agreed to the privacy
// notice and promised to tell the truth, and every adult consented to the check.
func applicationComplete(f Facts) error {
	switch {
	case !f.Agreed:
		return require(false, "申请人须同意隐私说明并承诺所填内容真实。")
	case len(f.Missing) > 0:
		return require(false, "还有必填项没有填写:"+f.Missing[0]+"。")
	case f.Unsigned > 0:
		return require(false, fmt.Sprintf("还有%d名成年成员没有签署经济状况核对授权。", f.Unsigned))
	}
	return nil
}

// acceptable: complete, and the only one of its household that is under way.
func acceptable(f Facts) error {
	if f.OtherRunning {
		return require(false, "该户已有正在办理的救助申请,一户一次申请,不能重复受理。")
	}
	return applicationComplete(f)
}

// investigated: a visit of this application is approved, and the reviewer was not one of its surveyors.
func investigated(f Facts) error {
	if err := notOwnVisit(f); err != nil {
		return err
	}
	return require(f.HasApprovedVisit, "请先完成本次申请的入户调查,并审核通过。")
}

func publicationOver(f Facts) error {
	if f.ObjectionOpen {
		return require(false, "公示页面收到的异议还没有处理,请先登记或说明理由不予采纳。")
	}
	return require(f.PublicationOver, "公示期未满,期满无异议后才能上报。")
}

// countyVisited: the county itself visits a near relative of staff before it confirms.
func countyVisited(f Facts) error {
	return require(!f.RelativeOfStaff || f.CountyVisited, "申请人是经办人员近亲属,确认前须由县级入户调查并登记。")
}

func extendable(f Facts) error {
	if f.Extended {
		return require(false, "办理期限只能延长一次。")
	}
	return require(f.Reasoned, "请写明延长办理的特殊情况。")
}
