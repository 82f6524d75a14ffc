package casework_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"aidloop/server/casework"
)

// The lines of the tests, per head: rural dibao 6,000 yuan a year, marginal below 9,000; urban 9,000 and 13,500.
var lines = casework.Standards{
	std(casework.StdDibao, "rural", 50_000), std(casework.StdDibao, "urban", 75_000), std(casework.StdMarginal, "all", 1500),
	std(casework.StdAssets, "rural", 1_200_000), std(casework.StdAssets, "urban", 1_800_000),
	std(casework.StdDisposable, "rural", 2_400_000), std(casework.StdDisposable, "urban", 4_200_000),
	std(casework.StdRigid, "all", 500), std(casework.StdRigidValid, "all", 12), std(casework.StdMonitoring, "rural", 860_000),
	std(casework.StdBorderline, "all", 0), std("excluded_income_kind:scholarship", "all", 1), std("excluded_income_kind:bereavement_pay", "all", 1),
}

func std(code, area string, value int64) casework.Standard {
	return casework.Standard{Code: code, Region: "430681000000", Area: area, Value: value, From: "2025-01-01", Source: "test"}
}

// change is one way in which a household differs from an adult who lives alone in the country without anything.
type change func(*casework.Situation)

func household(changes ...change) casework.Situation {
	s := casework.Situation{Region: "430681102212", On: "2026-06-30", Members: []casework.Member{{ID: "a", Birth: "1986-01-01"}}}
	for _, c := range changes {
		c(&s)
	}
	return s
}

func earns(yuan int64) change { return income("wages", "", yuan*100) }
func income(kind, member string, fen int64) change {
	return func(s *casework.Situation) {
		s.Incomes = append(s.Incomes, casework.Income{Kind: kind, Member: member, Amount: fen})
	}
}
func urban(s *casework.Situation) { s.Urban = true }
func with(id, birth string, more ...func(*casework.Member)) change {
	return func(s *casework.Situation) {
		m := casework.Member{ID: id, Birth: birth}
		for _, f := range more {
			f(&m)
		}
		s.Members = append(s.Members, m)
	}
}
func head(f ...func(*casework.Member)) change {
	return func(s *casework.Situation) {
		for _, f := range f {
			f(&s.Members[0])
		}
	}
}
func born(day string) func(*casework.Member) { return func(m *casework.Member) { m.Birth = day } }
func disabled(kind string, grade int) func(*casework.Member) {
	return func(m *casework.Member) { m.DisabilityKind, m.DisabilityGrade = kind, grade }
}
func ill(m *casework.Member)       { m.SeriouslyIll = true }
func supported(m *casework.Member) { m.Supporter = true }
func inCare(m *casework.Member)    { m.CareHome = true }
func fails(n int) func(*casework.Member) {
	return func(m *casework.Member) { m.SelfCareFailed = n }
}
func assets(yuan int64) change { return func(s *casework.Situation) { s.Assets = yuan * 100 } }
func homes(n int) change       { return func(s *casework.Situation) { s.Homes = n } }
func vehicles(n int) change    { return func(s *casework.Situation) { s.Vehicles = n } }
func medical(yuan int64) change {
	return func(s *casework.Situation) { s.Expenses.Medical = yuan * 100 }
}
func spends(e casework.Expenses) change {
	return func(s *casework.Situation) { s.Expenses = e }
}
func difficulty(d string) change { return func(s *casework.Situation) { s.Difficulties = []string{d} } }
func sudden(s *casework.Situation) {
	s.Sudden = true
}
func deducts(yuan int64) change { return func(s *casework.Situation) { s.Deductions = yuan * 100 } }

// said is a suggestion in one line: categories, the grant of a year in 分, persons, who may receive dibao alone, pushes.
func said(x *casework.Suggestion) string {
	parts := slices.Clone(x.Categories)
	if x.GrantYear > 0 {
		parts = append(parts, fmt.Sprint(x.GrantYear))
	}
	for _, p := range x.Persons {
		parts = append(parts, p.Member+":"+p.Care)
	}
	if len(x.Single) > 0 {
		parts = append(parts, "single:"+strings.Join(x.Single, ","))
	}
	if len(x.Push) > 0 {
		parts = append(parts, "push")
	}
	if len(x.Conference) > 0 {
		parts = append(parts, "conference")
	}
	return strings.Join(parts, " ")
}

func TestClassification(t *testing.T) {
	for i, row := range []struct {
		s    casework.Situation
		want string
	}{
		// dibao: the line, one 分 either side, zero and negative income
		{household(), "DIBAO 600000 push"},
		{household(earns(3000)), "DIBAO 300000 push"},
		{household(income("wages", "", 599_999)), "DIBAO 1 push"},
		{household(income("wages", "", 600_000)), "MARGINAL push"},
		{household(income("wages", "", 600_001)), "MARGINAL push"},
		{household(income("business", "", -500_000)), "DIBAO 600000 push"},
		{household(income("business", "", -500_000), earns(7000)), "DIBAO 400000 push"},
		{household(urban, income("wages", "", 899_999)), "DIBAO 1"},
		{household(urban, income("wages", "", 900_000)), "MARGINAL"},
		{household(with("b", "1986-01-01"), with("c", "2015-01-01"), earns(12_000)), "TEKUN_SCATTERED DIBAO 400000 c:full push"},
		{household(with("b", "1986-01-01"), with("c", "2015-01-01", supported), earns(12_000)), "DIBAO 600000 push"},
		{household(with("b", "1986-01-01"), with("c", "2015-01-01", supported), income("wages", "", 1_799_999)), "DIBAO 1 push"},
		{household(with("b", "1986-01-01"), with("c", "2015-01-01", supported), income("wages", "", 1_800_000)), "MARGINAL push"},
		// what counts as income
		{household(earns(5000), income("pension", "a", 99_999)), "DIBAO 1 push"},
		{household(earns(5000), income("scholarship", "a", 5_000_000)), "DIBAO 100000 push"},
		{household(earns(5000), income("bereavement_pay", "", 5_000_000)), "DIBAO 100000 push"},
		{household(earns(7000), deducts(1500)), "DIBAO 50000 push"},
		{household(earns(7000), deducts(1000)), "MARGINAL push"},
		{household(earns(500), deducts(1500)), "DIBAO 600000 push"},
		// property
		{household(assets(12_000)), "DIBAO 600000 push"},
		{household(assets(12_001)), "push"},
		{household(with("b", "1986-01-01"), assets(24_000)), "DIBAO 1200000 push"},
		{household(with("b", "1986-01-01"), assets(24_001)), "push"},
		{household(urban, assets(18_000)), "DIBAO 900000"},
		{household(urban, assets(18_001)), ""},
		{household(homes(1)), "DIBAO 600000 push"},
		{household(homes(2)), "push"},
		{household(vehicles(1)), "push"},
		{household(vehicles(1), difficulty("illness")), "OTHER push"},
		// marginal: the multiple, one 分 either side, who may receive dibao alone
		{household(income("wages", "", 859_999)), "MARGINAL push"},
		{household(income("wages", "", 860_000)), "MARGINAL"},
		{household(income("wages", "", 899_999)), "MARGINAL"},
		{household(income("wages", "", 900_000)), ""},
		{household(urban, income("wages", "", 1_349_999)), "MARGINAL"},
		{household(urban, income("wages", "", 1_350_000)), ""},
		{household(earns(8700), head(disabled("limb", 2))), "MARGINAL single:a"},
		{household(earns(8700), head(disabled("limb", 3))), "MARGINAL"},
		{household(earns(8700), head(disabled("mental", 3))), "MARGINAL single:a"},
		{household(earns(8700), head(disabled("intellectual", 4))), "MARGINAL"},
		{household(earns(8700), head(ill)), "MARGINAL single:a"},
		{household(with("b", "1990-01-01", ill), earns(17_400), head(disabled("sight", 2))), "MARGINAL single:a,b"},
		{household(earns(8700), head(ill), assets(13_000)), ""},
		// rigid expenses: the ratio, one 分 either side, zero income is no division
		{household(earns(10_000), medical(5000)), ""},
		{household(earns(10_000), spends(casework.Expenses{Medical: 500_001})), "RIGID"},
		{household(earns(10_000), spends(casework.Expenses{Medical: 200_001, Education: 100_000, Rehabilitation: 100_000, Other: 50_000, Living: 50_000})), "RIGID"},
		{household(income("wages", "", 2_399_999), medical(20_000)), "RIGID"},
		{household(income("wages", "", 2_400_000), medical(20_000)), ""},
		{household(urban, income("wages", "", 4_199_999), medical(30_000)), "RIGID"},
		{household(earns(10_000), medical(8000), assets(12_001)), ""},
		{household(earns(7000), medical(30_000)), "MARGINAL push"},
		{household(medical(1)), "DIBAO 600000 push"},
		// extreme poverty: age, disability, support, income, care
		{household(head(born("1966-06-30"))), "TEKUN_SCATTERED a:full"},
		{household(head(born("1966-07-01"))), "DIBAO 600000 push"},
		{household(head(born("2010-07-01"))), "TEKUN_SCATTERED a:full"},
		{household(head(born("2010-06-30"))), "DIBAO 600000 push"},
		{household(head(born("1950-01-01"), supported)), "DIBAO 600000 push"},
		{household(head(born("1950-01-01"), inCare, fails(4))), "TEKUN_CENTRAL a:dependent"},
		{household(head(born("1950-01-01"), fails(1))), "TEKUN_SCATTERED a:partly"},
		{household(head(born("1950-01-01"), fails(3))), "TEKUN_SCATTERED a:partly"},
		{household(head(born("1950-01-01"), fails(6))), "TEKUN_SCATTERED a:dependent"},
		{household(head(born("1950-01-01")), income("pension", "a", 599_999)), "TEKUN_SCATTERED a:full"},
		{household(head(born("1950-01-01")), income("pension", "a", 600_000)), "MARGINAL push"},
		{household(head(born("1950-01-01")), assets(12_001)), "push"},
		{household(head(born(""))), "DIBAO 600000 push"},
		{household(head(disabled("limb", 2))), "TEKUN_SCATTERED a:full"},
		{household(head(disabled("limb", 3))), "DIBAO 600000 push"},
		{household(head(disabled("mental", 3))), "TEKUN_SCATTERED a:full"},
		{household(head(disabled("sight", 1))), "TEKUN_SCATTERED a:full"},
		{household(head(disabled("sight", 2))), "DIBAO 600000 push"},
		{household(head(disabled("hearing", 1))), "DIBAO 600000 push"},
		// somebody in extreme poverty is not counted among the rest
		{household(with("b", "1950-01-01"), income("wages", "a", 600_000)), "TEKUN_SCATTERED MARGINAL b:full push"},
		{household(with("b", "1950-01-01"), income("wages", "a", 599_999)), "TEKUN_SCATTERED DIBAO 1 b:full push"},
		// neither, and in need all the same
		{household(earns(50_000), difficulty("illness")), "OTHER"},
		{household(earns(50_000), sudden), "OTHER push"},
		{household(urban, earns(60_000), sudden), "OTHER"},
		{household(earns(50_000)), ""},
		// people should look
		{household(spends(casework.Expenses{Living: 100})), "DIBAO 600000 push conference"},
		{household(assets(1), spends(casework.Expenses{Living: 100})), "DIBAO 600000 push"},
	} {
		x, err := casework.Classify(row.s, lines)
		if err != nil {
			t.Fatalf("row %d: %v", i+1, err)
		}
		want := row.want
		if got := said(x); got != want {
			t.Errorf("row %d: %+v\n is %q, want %q: %+v", i+1, row.s, got, want, x.Findings)
		}
	}
}

// Near a line people sit together.
func TestBorderline(t *testing.T) {
	near := append(slices.Clone(lines[:len(lines):len(lines)]), casework.Standard{Code: casework.StdBorderline, Region: "430681102000", Area: "all", Value: 50, From: "2025-01-01", Source: "test"})
	for fen, want := range map[int64]bool{570_000: false, 570_001: true, 600_000: true, 629_999: true, 630_000: false, 855_000: false, 855_001: true, 944_999: true, 945_000: false} {
		x, err := casework.Classify(household(income("wages", "", fen)), near)
		if err != nil || (len(x.Conference) > 0) != want {
			t.Errorf("%d: %v %v", fen, x.Conference, err)
		}
	}
}

// What is found does not hang on whether somebody could work: an adult in good health is judged by figures alone.
func TestNobodyIsRefusedForBeingAbleToWork(t *testing.T) {
	x, err := casework.Classify(household(head(born("1996-01-01"))), lines)
	if err != nil || said(x) != "DIBAO 600000 push" {
		t.Errorf("%s %v", said(x), err)
	}
}

// The standards of the day count, also where they change in the middle of a year, and those of the smaller region.
func TestStandardsByDayAndPlace(t *testing.T) {
	s := append(slices.Clone(lines), casework.Standard{Code: casework.StdDibao, Region: "430681102000", Area: "rural", Value: 60_000, From: "2026-07-01", Source: "test"})
	for day, want := range map[string]string{"2026-06-30": "MARGINAL push", "2026-07-01": "DIBAO 100000 push"} {
		h := household(income("wages", "", 620_000))
		h.On = day
		if x, err := casework.Classify(h, s); err != nil || said(x) != want {
			t.Errorf("%s: %v %v", day, x, err)
		}
	}
	elsewhere := household(income("wages", "", 620_000))
	elsewhere.On, elsewhere.Region = "2026-07-01", "430681103201"
	if x, err := casework.Classify(elsewhere, s); err != nil || said(x) != "MARGINAL push" {
		t.Errorf("another town: %v %v", x, err)
	}
	abroad := household()
	abroad.Region = "430124100201"
	if _, err := casework.Classify(abroad, s); casework.CodeOf(err) != "standard_missing" {
		t.Errorf("no standard: %v", err)
	}
}

func TestSituationsAreChecked(t *testing.T) {
	for what, c := range map[string]change{
		"no member":      func(s *casework.Situation) { s.Members = nil },
		"no day":         func(s *casework.Situation) { s.On = "2026-13-01" },
		"no region":      func(s *casework.Situation) { s.Region = "x" },
		"doubled member": with("a", ""),
		"unborn":         with("b", "2026-07-01"),
		"grade":          head(disabled("limb", 5)),
		"self-care":      head(fails(7)),
		"stranger":       income("wages", "z", 1),
		"huge":           income("wages", "", 1<<60),
		"negative":       assets(-1),
	} {
		if _, err := casework.Classify(household(c), lines); casework.CodeOf(err) != casework.CodeInvalidValue {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func anySituation(t *rapid.T) casework.Situation {
	s := casework.Situation{Region: "430681102212", On: "2026-06-30", Urban: rapid.Bool().Draw(t, "urban")}
	kinds := []string{"", "limb", "sight", "mental", "hearing"}
	for i := range rapid.IntRange(1, 6).Draw(t, "members") {
		s.Members = append(s.Members, casework.Member{ID: fmt.Sprint("m", i), Birth: fmt.Sprintf("%d-03-01", rapid.IntRange(1930, 2025).Draw(t, "year")),
			DisabilityKind: rapid.SampledFrom(kinds).Draw(t, "kind"), DisabilityGrade: rapid.IntRange(0, 4).Draw(t, "grade"),
			SeriouslyIll: rapid.Bool().Draw(t, "ill"), Supporter: rapid.Bool().Draw(t, "supporter"), SelfCareFailed: rapid.IntRange(0, 6).Draw(t, "fails")})
	}
	for range rapid.IntRange(0, 5).Draw(t, "incomes") {
		m := ""
		if rapid.Bool().Draw(t, "own") {
			m = rapid.SampledFrom(s.Members).Draw(t, "whose").ID
		}
		s.Incomes = append(s.Incomes, casework.Income{Kind: "wages", Member: m, Amount: rapid.Int64Range(-200_000, 3_000_000).Draw(t, "amount")})
	}
	s.Deductions = rapid.Int64Range(0, 200_000).Draw(t, "deductions")
	s.Assets = rapid.Int64Range(0, 3_000_000).Draw(t, "assets")
	s.Expenses.Medical = rapid.Int64Range(0, 6_000_000).Draw(t, "medical")
	s.Sudden = rapid.Bool().Draw(t, "sudden")
	return s
}

func TestMoreIncomeNeverImprovesTheCategory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySituation(t)
		more := s
		m := rapid.SampledFrom(append([]casework.Member{{}}, s.Members...)).Draw(t, "earner")
		more.Incomes = append(slices.Clone(s.Incomes), casework.Income{Kind: "wages", Member: m.ID, Amount: rapid.Int64Range(0, 4_000_000).Draw(t, "more")})
		before, err1 := casework.Classify(s, lines)
		after, err2 := casework.Classify(more, lines)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if after.Rank() < before.Rank() {
			t.Fatalf("%s became %s with more income", said(before), said(after))
		}
	})
}

func TestOrderOfMembersChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySituation(t)
		other := s
		other.Members = rapid.Permutation(s.Members).Draw(t, "members")
		other.Incomes = rapid.Permutation(s.Incomes).Draw(t, "incomes")
		a, err1 := casework.Classify(s, lines)
		b, err2 := casework.Classify(other, lines)
		if err1 != nil || err2 != nil || !reflect.DeepEqual(a, b) {
			t.Fatalf("%+v\n%+v %v %v", a, b, err1, err2)
		}
	})
}

// A grant is what is missing, for all together and never by head first.
func TestGrantIsTheShortfall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, err := casework.Classify(anySituation(t), lines)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(x.Categories, "DIBAO") {
			if x.GrantYear != 0 {
				t.Fatal("a grant without dibao")
			}
			return
		}
		line := int64(600_000)
		if i := slices.IndexFunc(x.Standards, func(s casework.Standard) bool { return s.Code == casework.StdDibao }); i >= 0 {
			line = x.Standards[i].Value * 12
		}
		if x.GrantYear != line*int64(x.Members)-x.Income || x.GrantYear <= 0 || x.GrantMonth*12 < x.GrantYear || x.GrantMonth*12 >= x.GrantYear+12 {
			t.Fatalf("%d a year, %d a month, for %d persons with %d", x.GrantYear, x.GrantMonth, x.Members, x.Income)
		}
	})
}
