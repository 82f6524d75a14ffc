package casework

import (
	"fmt"
	"strings"
)

// MatchRule is one rule of the regular cross-matching: whose keys are gone through, what must hold for one of them, and
// what becomes of it.
type MatchRule struct {
	No    int
	Label string
	Over  string // a dataset's code, or "pool"
	When  []Cond
	Lead  string   // of the list "lead_type"; "" makes a task
	To    []string // departments, or TOWN for the town where the person is on record
}

// Cond is one condition. What its members mean is up to Is; see conditions. Std names the threshold, Data the dataset.
type Cond struct {
	Is     string
	Data   string
	Column string
	Std    string
	In     []string
}

// The thresholds of matching, all of them standards that can be set by place and date; defaultThresholds hold where
// nobody did.
const (
	stdHighMedical   = "match_medical_missed" // 分 in 12 months
	stdMedicalAid    = "match_medical_aid"    // 分 in 12 months
	stdCareDelay     = "match_care_delay"     // days
	stdJobless       = "match_jobless"        // days
	stdServicesAfter = "match_services_after" // days since the registration
	stdOffers        = "match_offers"         // a year
	stdDisasterDelay = "match_disaster_delay" // days
	stdNewDibao      = "match_new_dibao"      // days
	stdDueSoon       = "match_due_soon"       // days
	stdSchoolFrom    = "match_school_from"    // years
	stdSchoolTo      = "match_school_to"      // years
	stdAloneAge      = "match_alone_age"      // years
	stdTerm          = "match_term"           // days of a school term
	stdMonths        = "match_subsidy_months" // months a subsidy may be late
	stdQuietMonths   = "match_quiet_months"   // how long what people have looked at stays silent
	stdYear          = "match_year"           // days that count as the last 12 months
	defaultSource    = "built in, until somebody sets it"
	since1970        = "1970-01-01"
)

var defaultThresholds = func() (list Standards) {
	for code, v := range map[string]int64{stdHighMedical: 1_000_000, stdMedicalAid: 500_000, stdCareDelay: 30, stdJobless: 90, stdServicesAfter: 365, stdOffers: 3,
		stdDisasterDelay: 30, stdNewDibao: 31, stdDueSoon: 30, stdSchoolFrom: 6, stdSchoolTo: 15, stdAloneAge: 60, stdTerm: 183, stdMonths: 2, stdQuietMonths: 6, stdYear: 365} {
		list = append(list, Standard{Code: code, Area: "all", Value: v, From: since1970, Source: defaultSource})
	}
	return list
}()

// The groups of categories that rules speak of.
var (
	dibaoOnly   = []string{"DIBAO"}
	marginals   = []string{"MARGINAL", "RIGID"}
	extreme     = []string{"TEKUN_CENTRAL", "TEKUN_SCATTERED"}
	lowIncome   = []string{"DIBAO", "TEKUN_CENTRAL", "TEKUN_SCATTERED", "MARGINAL", "RIGID", "FPFP_UNSTABLE", "FPFP_MARGINAL", "FPFP_SUDDEN", "OTHER"}
	sixPopulace = []string{"DIBAO", "TEKUN_CENTRAL", "TEKUN_SCATTERED", "MARGINAL", "RIGID", "FPFP_UNSTABLE", "FPFP_MARGINAL", "FPFP_SUDDEN"}
)

// MatchRules are the 21 rules. Two of them have two outcomes and stand twice.
var MatchRules = []MatchRule{
	{1, "死亡后仍在发放", "deaths", []Cond{{Is: "paid_after_death"}}, "deceased", []string{"TOWN", "MZJ"}},
	{2, "医疗自付高而不在任何类别", "medical", []Cond{{Is: "sum_at_least", Data: "medical", Column: "own_cost", Std: stdHighMedical}, {Is: "no_category"}}, "suspected_missed", []string{"TOWN"}},
	{3, "在册人员自付高而无医疗救助", "medical", []Cond{{Is: "category", In: lowIncome}, {Is: "sum_at_least", Data: "medical", Column: "own_cost", Std: stdMedicalAid}, {Is: "lacks_recent", Data: "medical_aid", Column: "granted_on", Std: stdYear}}, "benefit_not_delivered", []string{"YBJ"}},
	{4, "未参保或未资助参保", "pool", []Cond{{Is: "category", In: sixPopulace}, {Is: "not_insured", Data: "insurance"}}, "benefit_not_delivered", []string{"YBJ"}},
	{5, "重度残疾无护理补贴", "disability", []Cond{{Is: "graded", Data: "disability", In: []string{"1", "2"}}, {Is: "older", Data: "disability", Column: "issued_on", Std: stdCareDelay}, {Is: "lacks_months", Data: "care_subsidy", Column: "month", Std: stdMonths}}, "benefit_not_delivered", []string{"MZJ", "CL"}},
	{6, "残疾低保对象无生活补贴", "disability", []Cond{{Is: "category", In: dibaoOnly}, {Is: "has", Data: "disability"}, {Is: "lacks_months", Data: "living_subsidy", Column: "month", Std: stdMonths}}, "benefit_not_delivered", []string{"MZJ"}},
	{7, "低保边缘重残重病未单人保", "pool", []Cond{{Is: "category", In: []string{"MARGINAL"}}, {Is: "severe", Data: "disability"}, {Is: "not_single"}}, "suspected_missed", []string{"TOWN"}},
	{8, "适龄未入学", "pool", []Cond{{Is: "category", In: lowIncome}, {Is: "age_from", Std: stdSchoolFrom}, {Is: "age_to", Std: stdSchoolTo}, {Is: "lacks", Data: "enrolment"}}, "risk_rising", []string{"JTJ"}},
	{9, "在校生本学期无资助", "enrolment", []Cond{{Is: "category", In: lowIncome}, {Is: "has", Data: "enrolment"}, {Is: "lacks_recent", Data: "education_aid", Column: "granted_on", Std: stdTerm}}, "benefit_not_delivered", []string{"JTJ"}},
	{10, "登记失业未达311服务", "unemployed", []Cond{{Is: "category", In: lowIncome}, {Is: "older", Data: "unemployed", Column: "since", Std: stdServicesAfter}, {Is: "underserved", Data: "job_services", Std: stdOffers}}, "benefit_not_delivered", []string{"RSJ"}},
	{11, "新失业满三个月", "unemployed", []Cond{{Is: "category", In: marginals}, {Is: "older", Data: "unemployed", Column: "since", Std: stdJobless}}, "risk_rising", []string{"TOWN"}},
	{12, "低保对象就业或领养老金收入超标", "pool", []Cond{{Is: "category", In: dibaoOnly}, {Is: "over_line"}}, "suspected_ineligible", []string{"TOWN"}},
	{13, "一人多户、多地或类别互斥", "pool", []Cond{{Is: "twice"}}, "duplicate", []string{"MZJ"}},
	{14, "搬迁后迁入地无记录", "relocated", []Cond{{Is: "left_behind", Data: "relocated"}}, "suspected_missed", []string{"MZJ"}},
	{14, "搬迁后两地都有记录", "relocated", []Cond{{Is: "in_both", Data: "relocated"}}, "duplicate", []string{"MZJ"}},
	{15, "监测对象民政未掌握", "monitored", []Cond{{Is: "flagged", Data: "monitored", Column: "risk_removed", In: []string{"0"}}, {Is: "unknown"}}, "suspected_missed", []string{"MZJ"}},
	{16, "新增整户保农业农村未掌握", "pool", []Cond{{Is: "new_whole_dibao", Std: stdNewDibao}, {Is: "lacks", Data: "agri_known"}}, "info_mismatch", []string{"NYJ"}},
	{17, "受灾救助结束仍困难", "disaster_aid", []Cond{{Is: "older", Data: "disaster_aid", Column: "ended_on", Std: stdDisasterDelay}, {Is: "no_category"}}, "suspected_missed", []string{"TOWN"}},
	{18, "危房或无房未保障", "dwellings", []Cond{{Is: "category", In: lowIncome}, {Is: "flagged", Data: "dwellings", Column: "grade", In: []string{"C", "D", "无"}}, {Is: "lacks", Data: "housing_help"}}, "benefit_not_delivered", []string{"ZJJ"}},
	{19, "独居老人无人赡养未特困", "pool", []Cond{{Is: "category", In: lowIncome}, {Is: "age_from", Std: stdAloneAge}, {Is: "alone"}, {Is: "not_category", In: extreme}}, "suspected_missed", []string{"TOWN"}},
	{20, "退捕渔民失业且无养老金", "fishers", []Cond{{Is: "has", Data: "fishers"}, {Is: "has", Data: "unemployed"}, {Is: "lacks", Data: "pensions"}}, "risk_rising", []string{"RSJ", "NYJ"}},
	{21, "认定或复核即将到期", "pool", []Cond{{Is: "due_soon", Std: stdDueSoon}}, "", []string{"TOWN"}},
}

// MatchTable prints the rules.
func MatchTable() string {
	var b strings.Builder
	for _, r := range MatchRules {
		var when []string
		for _, c := range r.When {
			s := c.Is
			for _, part := range []string{c.Data, c.Column, c.Std} {
				if part != "" {
					s += " " + part
				}
			}
			if len(c.In) > 0 && len(c.In) < 5 {
				s += " " + strings.Join(c.In, "/")
			}
			when = append(when, s)
		}
		fmt.Fprintf(&b, "%2d %-12s %s -> %s %s\n", r.No, r.Over, strings.Join(when, "; "), choose(r.Lead == "", "(task)", r.Lead), strings.Join(r.To, ", "))
	}
	return b.String()
}
