package casework

import (
	"fmt"
	"time"
)

// Situation is a household as classification looks at it: what a visit or an application found, on one day. Money is
// whole 分, incomes and expenses are those of the last 12 months.
type Situation struct {
	Region       string // the 12-digit code of the village where it lives
	Urban        bool
	On           string // the day, "2006-01-02", whose standards count
	Members      []Member
	Incomes      []Income
	Deductions   int64 // what the rules let it subtract
	Assets       int64 // financial assets
	Homes        int
	Vehicles     int // those that are exempt (for a living, for a disability) left out
	Expenses     Expenses
	Difficulties []string // codes of the list "difficulty"
	Sudden       bool     // a disaster, an accident or a sudden serious illness
}

// Member is one person who lives in the household.
type Member struct {
	ID              string
	Birth           string // "2006-01-02", "" where it is not known
	DisabilityKind  string // "limb", "sight", "hearing", "speech", "intellectual", "mental", "multiple" or ""
	DisabilityGrade int    // 1, the most severe, to 4; 0 for none
	SeriouslyIll    bool
	Supporter       bool // somebody, in the household or elsewhere, must support him and is able to
	SelfCareFailed  int  // of six: eating, dressing, getting up, toilet, moving indoors, washing
	CareHome        bool // lives in a care home, or wishes to
}

// Income is one net yearly income, of a member or, where Member is "", of all of them together. What a kind stands for
// is up to the standards, see Standards.Excluded; a loss of a business is negative.
type Income struct {
	Kind   string
	Member string
	Amount int64
}

// Expenses are what a household cannot avoid: medical ones are its own share, after all reimbursements.
type Expenses struct {
	Living, Medical, Education, Rehabilitation, Other int64
}

// Total adds them up.
func (e Expenses) Total() int64 {
	return e.Living + e.Medical + e.Education + e.Rehabilitation + e.Other
}

// Bounds of what is believed.
const (
	maxMembers = 50
	maxIncomes = 500
	maxAmount  = 1e13 // 分, a hundred thousand million yuan
	selfCare   = 6
)

// Check says what is wrong with a situation, before anything is computed from it.
func (s *Situation) Check() error {
	bad := func(format string, args ...any) error {
		return NewError(CodeInvalidValue, fmt.Sprintf(format, args...))
	}
	switch {
	case !plausibleDay(s.On):
		return bad("请填写认定日期,格式如2026-07-01。")
	case RegionPrefix(s.Region) == "":
		return bad("请填写居住地的12位区划代码。")
	case len(s.Members) == 0 || len(s.Members) > maxMembers:
		return bad("家庭成员应为1至%d人。", maxMembers)
	case len(s.Incomes) > maxIncomes:
		return bad("收入项目过多,最多%d项。", maxIncomes)
	case s.Homes < 0 || s.Vehicles < 0:
		return bad("住房和车辆数量不能是负数。")
	}
	known := map[string]bool{"": true}
	for i, m := range s.Members {
		switch {
		case m.ID == "" || known[m.ID]:
			return bad("第%d名成员没有编号,或编号重复。", i+1)
		case m.Birth != "" && (!plausibleDay(m.Birth) || m.Birth > s.On):
			return bad("第%d名成员的出生日期不正确。", i+1)
		case m.DisabilityGrade < 0 || m.DisabilityGrade > 4:
			return bad("第%d名成员的残疾等级应为1至4级。", i+1)
		case m.SelfCareFailed < 0 || m.SelfCareFailed > selfCare:
			return bad("第%d名成员的自理能力应为0至%d项。", i+1, selfCare)
		}
		known[m.ID] = true
	}
	for _, x := range s.Incomes {
		if !known[x.Member] {
			return bad("有一项收入属于不在名单上的成员,请核对。")
		}
		if x.Amount > maxAmount || x.Amount < -maxAmount {
			return bad("有一项收入数额不合理,请核对(单位为分)。")
		}
	}
	for _, v := range []int64{s.Deductions, s.Assets, s.Expenses.Living, s.Expenses.Medical, s.Expenses.Education, s.Expenses.Rehabilitation, s.Expenses.Other} {
		if v < 0 || v > maxAmount {
			return bad("支出、扣减和财产不能是负数,也不能超出合理范围(单位为分)。")
		}
	}
	return nil
}

// area is the word for where the household lives in the standards.
func (s *Situation) area() string {
	if s.Urban {
		return "urban"
	}
	return "rural"
}

// age is how many whole years somebody has lived on a day; ok is false where his birth is not known.
func (m *Member) age(on string) (years int64, ok bool) {
	birth, err := time.Parse(time.DateOnly, m.Birth)
	if err != nil {
		return 0, false
	}
	day, err := time.Parse(time.DateOnly, on)
	if err != nil {
		return 0, false
	}
	years = int64(day.Year() - birth.Year())
	if day.Month() < birth.Month() || day.Month() == birth.Month() && day.Day() < birth.Day() {
		years--
	}
	return years, true
}

// severe says whether a disability counts as severe: grades 1 and 2, and grade 3 of an intellectual or mental one (57,
// article 8).
func (m *Member) severe() bool {
	mind := m.DisabilityKind == "intellectual" || m.DisabilityKind == "mental"
	return m.DisabilityGrade == 1 || m.DisabilityGrade == 2 || mind && m.DisabilityGrade == 3
}
