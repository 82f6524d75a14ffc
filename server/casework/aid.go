package casework

import (
	"slices"
	"time"
)

// AidMachine takes help that is given to a household or a person from its plan to its arrival. What failed, such as a
// transfer to a closed account, is approved again and goes out anew; what was paid without a right to it is recovered.
var AidMachine = &Machine{"aid", "救助记录", []Transition{
	{"", "plan", giver, "", "planned"},
	{"planned", "approve", giver, "", "approved"},
	{"planned", "cancel", giver, "reasoned", "cancelled"},
	{"approved", "cancel", giver, "reasoned", "cancelled"},
	{"approved", "disburse", giver, "", "disbursed"},
	{"disbursed", "confirm", giver, "", "confirmed"},
	{"disbursed", "fail", giver, "reasoned", "failed"},
	{"failed", "approve", giver, "", "approved"},
	{"failed", "cancel", giver, "reasoned", "cancelled"},
	{"disbursed", "recover", giver, "reasoned", "recovered"},
	{"confirmed", "recover", giver, "reasoned", "recovered"},
}}

var giver = []Role{RoleDeptOfficer, RoleBureauOfficer}

// Measure is a kind of help that a department gives. Layer is a code of the list "aid_layer"; Needs are the difficulties
// that it answers; Money says that an amount is paid out.
type Measure struct {
	Code, Label, Dept, Layer string
	Needs                    []string
	Money                    bool
}

// Measures are what each department owes (notice, part 4), by department. Codes are added, never reused.
var Measures = []Measure{
	{"dibao_cash", "最低生活保障金", "MZJ", "basic", []string{"no_labor", "other"}, true},
	{"tekun_cash", "特困人员救助供养金", "MZJ", "basic", []string{"no_labor", "elder_care"}, true},
	{"temporary_aid", "临时救助", "MZJ", "basic", []string{"accident", "illness", "disaster", "other"}, true},
	{"care_subsidy", "重度残疾人护理补贴", "MZJ", "special", []string{"disability"}, true},
	{"living_subsidy", "困难残疾人生活补贴", "MZJ", "special", []string{"disability"}, true},
	{"orphan_cash", "孤儿和事实无人抚养儿童基本生活费", "MZJ", "basic", []string{"child"}, true},
	{"charity", "慈善和社会力量帮扶", "MZJ", "social", []string{"other"}, false},
	{"farm_training", "实用技术培训", "NYJ", "special", []string{"unemployment"}, false},
	{"public_job_rural", "乡村公益性岗位", "NYJ", "special", []string{"unemployment", "no_labor"}, false},
	{"workshop", "帮扶车间就业", "NYJ", "special", []string{"unemployment"}, false},
	{"microloan", "小额信贷", "NYJ", "special", []string{"other"}, true},
	{"industry", "产业帮扶", "NYJ", "special", []string{"other"}, false},
	{"insured", "资助参保", "YBJ", "special", []string{"illness"}, true},
	{"serious_illness", "大病保险倾斜支付", "YBJ", "special", []string{"illness"}, true},
	{"medical_aid", "医疗救助", "YBJ", "special", []string{"illness"}, true},
	{"grant", "助学金", "JTJ", "special", []string{"education"}, true},
	{"boarding", "寄宿生生活补助", "JTJ", "special", []string{"education"}, true},
	{"student_loan", "助学贷款", "JTJ", "special", []string{"education"}, true},
	{"fee_waiver", "学费减免", "JTJ", "special", []string{"education"}, true},
	{"dropout", "控辍保学", "JTJ", "special", []string{"education"}, false},
	{"job_offer", "推荐就业岗位", "RSJ", "special", []string{"unemployment"}, false},
	{"job_guidance", "职业指导", "RSJ", "special", []string{"unemployment"}, false},
	{"job_training", "职业培训", "RSJ", "special", []string{"unemployment"}, false},
	{"public_job", "公益性岗位", "RSJ", "special", []string{"unemployment"}, false},
	{"premiums", "代缴养老保险费", "RSJ", "special", []string{"elder_care", "no_labor"}, true},
	{"public_rental", "公共租赁住房", "ZJJ", "special", []string{"housing"}, false},
	{"rent_subsidy", "租赁补贴", "ZJJ", "special", []string{"housing"}, true},
	{"renovation", "危房改造", "ZJJ", "special", []string{"housing"}, true},
	{"family_doctor", "家庭医生签约", "WJW", "special", []string{"illness"}, false},
	{"check_up", "免费体检", "WJW", "special", []string{"illness"}, false},
	{"emergency_aid", "应急救助", "YJJ", "special", []string{"disaster"}, true},
	{"transition_aid", "过渡期生活救助", "YJJ", "special", []string{"disaster"}, true},
	{"rebuilding", "倒损住房恢复重建", "YJJ", "special", []string{"disaster", "housing"}, true},
	{"winter_spring", "冬春救助", "YJJ", "special", []string{"disaster"}, true},
	{"aids", "辅助器具适配", "CL", "special", []string{"disability"}, false},
	{"rehabilitation", "康复服务", "CL", "special", []string{"disability"}, true},
	{"barrier_free", "无障碍改造", "CL", "special", []string{"disability", "housing"}, true},
	{"disabled_job", "残疾人就业帮扶", "CL", "special", []string{"disability", "unemployment"}, false},
	{"safe_water", "饮水安全改造", "SLJ", "special", []string{"water"}, false},
	{"water_fee", "水费减免", "SLJ", "special", []string{"water"}, true},
	{"work_relief", "以工代赈", "FGJ", "special", []string{"unemployment"}, true},
	{"relocation", "易地搬迁后续扶持", "FGJ", "special", []string{"housing"}, false},
	{"town_help", "镇(街道)帮扶", "TOWN", "social", []string{"other"}, false},
	{"other_help", "其他帮扶", "OTHER", "social", []string{"other"}, false},
}

// measureTerms is the code list "measure".
func measureTerms() (list []Term) {
	for _, m := range Measures {
		list = append(list, Term{m.Code, m.Label})
	}
	return list
}

// MeasureOf finds a measure by its code.
func MeasureOf(code string) (*Measure, bool) {
	for i := range Measures {
		if Measures[i].Code == code {
			return &Measures[i], true
		}
	}
	return nil, false
}

// NeedOf is the difficulty that a department mostly answers: the first one of its first measure; "other" for a department
// without one.
func NeedOf(dept string) string {
	for _, m := range Measures {
		if m.Dept == dept {
			return m.Needs[0]
		}
	}
	return "other"
}

// CashMeasure is what is paid out every month to a household of these categories, or ok is false: only the two kinds of
// basic living are.
func CashMeasure(categories []string) (code string, ok bool) {
	for _, c := range categories {
		switch c {
		case "TEKUN_CENTRAL", "TEKUN_SCATTERED":
			return "tekun_cash", true
		case "DIBAO":
			code, ok = "dibao_cash", true
		}
	}
	return code, ok
}

// CheckAid says whether somebody may give help by a measure: his own department's, and an amount of 分 exactly where the
// measure pays one. The county's bureau gives what is civil affairs'.
func CheckAid(by Actor, measure string, amount int64) (*Measure, error) {
	m, ok := MeasureOf(measure)
	if !ok {
		return nil, NewError(CodeInvalidValue, "救助措施不正确,请从目录中选择。")
	}
	own := by.Dept
	if by.Role == RoleBureauOfficer {
		own = "MZJ"
	}
	switch {
	case m.Dept != own:
		return nil, NewError(CodeForbidden, "“"+m.Label+"”由"+Label("department", m.Dept)+"负责,请转办该部门。")
	case amount < 0 || amount > maxAmount:
		return nil, NewError(CodeInvalidValue, "金额应为不小于0的整数,以分为单位。")
	case m.Money && amount == 0:
		return nil, NewError(CodeInvalidValue, "“"+m.Label+"”请填写金额,以分为单位。")
	}
	return m, nil
}

// Publishable reports whether help by a measure can be published: what answers nothing but illness or disability says of
// somebody that he is ill, which no publication does.
func (m *Measure) Publishable() bool {
	return slices.ContainsFunc(m.Needs, func(n string) bool { return n != "illness" && n != "disability" })
}

// ValidMonth reports whether s is a month, "2026-07".
func ValidMonth(s string) bool {
	t, err := time.Parse("2006-01", s)
	return err == nil && t.Year() >= 2000 && t.Year() < 2100
}

// PaidFor reports whether help that began on a day is paid in a month: it is from the month after the decision on (57).
func PaidFor(since, month string) bool {
	return plausibleDay(since) && ValidMonth(month) && since[:7] < month
}
