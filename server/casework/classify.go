package casework

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// RulesVersion names the rules of Classify. It grows with every change of what they suggest.
const RulesVersion = "2026.1"

// Suggestion is what the rules make of a situation. People decide; it says why, and what was not met.
type Suggestion struct {
	Rules      string
	On         string
	Categories []string // of the list "category", the best first; empty where none applies
	Persons    []PersonCategory
	Single     []string // members of a marginal household who may receive dibao alone
	Members    int      // who share Income: the household without those in extreme poverty
	Income     int64    // theirs, of a year, in 分
	GrantYear  int64    // dibao: what is missing in a year, 分: standard × persons − income
	GrantMonth int64    // a twelfth of it, a broken 分 counted in full
	ValidUntil string   // rigid: the last day of the decision, "2006-01-02"
	Push       []string // departments whose decision this may be
	Conference []string // why people should sit together over it
	Findings   []Finding
	Standards  []Standard // that were used
}

// PersonCategory is a category of one person, with his need of care: "full", "partly" or "dependent".
type PersonCategory struct{ Member, Category, Care string }

// Finding is one condition: whether it is met, and the figures in words.
type Finding struct {
	Category string
	Met      bool
	Text     string
}

// Classify suggests the categories of a household under the standards of its day and place. Whether somebody could work
// is no condition anywhere: nobody is refused for that alone. The error says which figure or standard is missing.
func Classify(s Situation, standards Standards) (*Suggestion, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	c := &classifying{s: &s, all: standards, out: &Suggestion{Rules: RulesVersion, On: s.On}}
	c.load()
	if c.err != nil {
		return nil, c.err
	}
	within := c.property()
	c.tekun(within)
	c.rest()
	if c.out.Members > 0 {
		if !c.dibao(within) && !c.marginal(within) {
			c.rigid(within)
		}
		c.borderline()
	}
	c.monitoring()
	c.other()
	c.contradiction()
	return c.out, nil
}

// classifying is one run of the rules.
type classifying struct {
	s        *Situation
	all      Standards
	out      *Suggestion
	err      error
	excluded []string

	line, margin, assets, homes, vehicles, disposable, ratio, months, monitor, border, old, minor int64
	shared                                                                                        int64            // income of all together
	own                                                                                           map[string]int64 // by member
}

// defaults are the standards that hold where nobody set another one.
var defaults = Standards{
	{StdHomes, "", "all", 1, "count", "1970-01-01", "", "57: one home"},
	{StdVehicles, "", "all", 0, "count", "1970-01-01", "", "57: no vehicle but exempt ones"},
	{StdBorderline, "", "all", 50, "permille", "1970-01-01", "", "default"},
	{StdTekunAge, "", "all", 60, "years", "1970-01-01", "", "TK"},
	{StdTekunMinor, "", "all", 16, "years", "1970-01-01", "", "TK"},
}

func (c *classifying) load() {
	for _, x := range []struct {
		code string
		to   *int64
	}{{StdDibao, &c.line}, {StdMarginal, &c.margin}, {StdAssets, &c.assets}, {StdHomes, &c.homes}, {StdVehicles, &c.vehicles},
		{StdDisposable, &c.disposable}, {StdRigid, &c.ratio}, {StdRigidValid, &c.months}, {StdBorderline, &c.border},
		{StdTekunAge, &c.old}, {StdTekunMinor, &c.minor}} {
		*x.to = c.standard(x.code)
	}
	if !c.s.Urban {
		c.monitor = c.standard(StdMonitoring)
	}
	c.line *= 12
	c.excluded = c.all.Excluded(c.s.Region, c.s.area(), c.s.On)
	c.own = map[string]int64{}
	c.shared = -c.s.Deductions
	for _, x := range c.s.Incomes {
		switch {
		case slices.Contains(c.excluded, x.Kind):
		case x.Member == "":
			c.shared += x.Amount
		default:
			c.own[x.Member] += x.Amount
		}
	}
}

func (c *classifying) standard(code string) int64 {
	x, err := c.all.At(code, c.s.Region, c.s.area(), c.s.On)
	if err != nil {
		if x, e := defaults.At(code, c.s.Region, c.s.area(), c.s.On); e == nil {
			return c.use(x)
		}
		c.err = cmp.Or(c.err, err)
		return 0
	}
	return c.use(x)
}

func (c *classifying) use(x Standard) int64 {
	c.out.Standards = append(c.out.Standards, x)
	return x.Value
}

func (c *classifying) find(category string, met bool, format string, args ...any) bool {
	c.out.Findings = append(c.out.Findings, Finding{category, met, fmt.Sprintf(format, args...)})
	return met
}

// property looks at what the household has. Every category but help in a single case wants it within limits.
func (c *classifying) property() bool {
	n := int64(len(c.s.Members))
	ok := c.find("", c.s.Assets <= c.assets*n, "金融资产%s,限额%s(每人%s)", Yuan(c.s.Assets), Yuan(c.assets*n), Yuan(c.assets))
	ok = c.find("", int64(c.s.Homes) <= c.homes, "住房%d套,限%d套", c.s.Homes, c.homes) && ok
	return c.find("", int64(c.s.Vehicles) <= c.vehicles, "非豁免车辆%d辆,限%d辆", c.s.Vehicles, c.vehicles) && ok
}

// tekun finds the persons in extreme poverty: without labour capacity, without a source of income (their own and their
// share of the common income below the dibao line), and without anybody who must and can support them (TK).
func (c *classifying) tekun(within bool) {
	n := int64(len(c.s.Members))
	for _, m := range slices.SortedFunc(slices.Values(c.s.Members), func(a, b Member) int { return cmp.Compare(a.ID, b.ID) }) {
		why, unable := c.noLabour(&m)
		poor := c.own[m.ID]*n+c.shared < c.line*n
		if !unable {
			continue
		}
		met := within && poor && !m.Supporter
		c.find("TEKUN", met, "成员%s:%s;%s;%s", m.ID, why, choose(poor, "本人收入低于低保标准", "本人收入不低于低保标准"), choose(m.Supporter, "有履行义务能力的赡养、抚养、扶养人", "没有履行义务能力的赡养、抚养、扶养人"))
		if met {
			c.out.Persons = append(c.out.Persons, PersonCategory{m.ID, choose(m.CareHome, "TEKUN_CENTRAL", "TEKUN_SCATTERED"), Care(m.SelfCareFailed)})
		}
	}
	for _, category := range []string{"TEKUN_CENTRAL", "TEKUN_SCATTERED"} {
		if slices.ContainsFunc(c.out.Persons, func(p PersonCategory) bool { return p.Category == category }) {
			c.out.Categories = append(c.out.Categories, category)
		}
	}
}

// noLabour says why somebody counts as without labour capacity: old, a minor, or severely disabled (TK).
func (c *classifying) noLabour(m *Member) (why string, unable bool) {
	age, known := m.age(c.s.On)
	grade := m.DisabilityGrade
	switch kind := m.DisabilityKind; {
	case known && age >= c.old:
		return fmt.Sprintf("%d周岁,年满%d周岁", age, c.old), true
	case known && age < c.minor:
		return fmt.Sprintf("%d周岁,未满%d周岁", age, c.minor), true
	case grade == 0:
		return "", false
	case (kind == "intellectual" || kind == "mental") && grade <= 3:
		return fmt.Sprintf("智力或精神残疾%d级", grade), true
	case kind == "limb" && grade <= 2:
		return fmt.Sprintf("肢体残疾%d级", grade), true
	case kind == "sight" && grade == 1:
		return "视力残疾1级", true
	}
	return "", false
}

// Care is the need of care by how many of the six items of self-care fail: none is full self-care, up to three partly,
// more dependent (TK).
func Care(failed int) string {
	switch {
	case failed == 0:
		return "full"
	case failed <= 3:
		return "partly"
	}
	return "dependent"
}

// rest adds up what those have who are not in extreme poverty: their own incomes and their share of the common one.
func (c *classifying) rest() {
	own, n := int64(0), int64(0)
	for _, m := range c.s.Members {
		if !slices.ContainsFunc(c.out.Persons, func(p PersonCategory) bool { return p.Member == m.ID }) {
			own += c.own[m.ID]
			n++
		}
	}
	share := c.shared * n / int64(len(c.s.Members))
	c.out.Members, c.out.Income = int(n), max(own+share, 0)
}

// below compares the income per head with a line without dividing.
func (c *classifying) below(line int64) bool { return c.out.Income < line*int64(c.out.Members) }

// dibao: income per head below the line, property within limits (57).
func (c *classifying) dibao(within bool) bool {
	line := c.line * int64(c.out.Members)
	met := c.find("DIBAO", c.below(c.line), "%d人年收入%s,低保标准%s(每人每年%s)", c.out.Members, Yuan(c.out.Income), Yuan(line), Yuan(c.line)) && within
	if met {
		c.out.Categories = append(c.out.Categories, "DIBAO")
		c.out.GrantYear = line - c.out.Income
		c.out.GrantMonth = (c.out.GrantYear + 11) / 12
	}
	return met
}

// marginal: from the line to below its multiple, property within limits. Members who are severely disabled or seriously
// ill may receive dibao alone (57).
func (c *classifying) marginal(within bool) bool {
	n := int64(c.out.Members)
	under := c.out.Income*1000 < c.line*n*c.margin
	met := c.find("MARGINAL", !c.below(c.line) && under, "年收入%s,低保边缘为%s至%s", Yuan(c.out.Income), Yuan(c.line*n), Yuan(c.line*n*c.margin/1000)) && within
	if !met {
		return false
	}
	c.out.Categories = append(c.out.Categories, "MARGINAL")
	for _, m := range c.s.Members {
		if (m.severe() || m.SeriouslyIll) && !slices.ContainsFunc(c.out.Persons, func(p PersonCategory) bool { return p.Member == m.ID }) {
			c.out.Single = append(c.out.Single, m.ID)
		}
	}
	slices.Sort(c.out.Single)
	return true
}

// rigid: income per head below last year's disposable income, property within limits, and unavoidable expenses over a
// share of the income; with no income at all any expense is over it (RE).
func (c *classifying) rigid(within bool) {
	spent := c.s.Expenses.Total()
	under := c.find("RIGID", c.below(c.disposable), "人均年收入低于上年度人均可支配收入%s", Yuan(c.disposable))
	heavy := c.find("RIGID", spent*1000 > c.out.Income*c.ratio, "刚性支出%s,收入%s,比例须超过%d‰", Yuan(spent), Yuan(c.out.Income), c.ratio)
	if under && heavy && within {
		c.out.Categories = append(c.out.Categories, "RIGID")
		day, err := time.Parse(time.DateOnly, c.s.On)
		if err == nil {
			c.out.ValidUntil = day.AddDate(0, int(c.months), -1).Format(time.DateOnly)
		}
	}
}

// borderline asks for a conference where a line is near on either side.
func (c *classifying) borderline() {
	n := int64(c.out.Members)
	for _, x := range []struct {
		line int64
		name string
	}{{c.line * n, "低保标准"}, {c.line * n * c.margin / 1000, "低保边缘标准"}} {
		if d := c.out.Income - x.line; max(d, -d)*1000 < x.line*c.border {
			c.out.Conference = append(c.out.Conference, fmt.Sprintf("年收入%s接近%s%s", Yuan(c.out.Income), x.name, Yuan(x.line)))
		}
	}
}

// monitoring proposes a push to the department of agriculture, which decides on monitored households.
func (c *classifying) monitoring() {
	if c.s.Urban {
		return
	}
	near := c.out.Members > 0 && c.below(c.monitor)
	if c.find("FPFP", near || c.s.Sudden, "农村家庭;人均年收入%s监测线%s;%s", choose(near, "低于", "不低于"), Yuan(c.monitor), choose(c.s.Sudden, "有突发严重困难", "没有突发严重困难")) {
		c.out.Push = append(c.out.Push, "NYJ")
	}
}

// other: in no category, and in difficulty all the same: temporary aid, or a referral.
func (c *classifying) other() {
	if len(c.out.Categories) == 0 && (c.s.Sudden || len(c.s.Difficulties) > 0) {
		c.find("OTHER", true, "不属于以上类别,但有突发困难或其他困难,可临时救助或转介部门")
		c.out.Categories = append(c.out.Categories, "OTHER")
	}
}

// contradiction asks for a conference where the household lives on more than it says to have. Bills for illness or
// school may well be larger than that: they are paid with debts.
func (c *classifying) contradiction() {
	have := c.s.Assets
	for _, x := range c.s.Incomes {
		have += x.Amount
	}
	if have = max(have, 0); c.s.Expenses.Living > have {
		c.out.Conference = append(c.out.Conference, fmt.Sprintf("生活支出%s大于全部收入和存款之和%s,请核实来源", Yuan(c.s.Expenses.Living), Yuan(have)))
	}
}

// Rank orders categories by how far they reach: 0 for extreme poverty, up to 5 for none.
func (s *Suggestion) Rank() int {
	if len(s.Categories) == 0 {
		return 5
	}
	return map[string]int{"TEKUN_CENTRAL": 0, "TEKUN_SCATTERED": 0, "DIBAO": 1, "MARGINAL": 2, "RIGID": 3, "OTHER": 4}[s.Categories[0]]
}

// Yuan writes an amount in 分 as people read it.
func Yuan(fen int64) string {
	sign := ""
	if fen < 0 {
		sign, fen = "-", -fen
	}
	if fen%100 == 0 {
		return fmt.Sprintf("%s%d元", sign, fen/100)
	}
	return fmt.Sprintf("%s%d.%02d元", sign, fen/100, fen%100)
}

func choose[T any](ok bool, yes, no T) T {
	if ok {
		return yes
	}
	return no
}
