package casework

import (
	"slices"
	"strings"
	"time"
)

// conditions are the words of the matching rules. What holds because of rows keeps them as evidence.
var conditions = map[string]func(*candidate, *Cond) bool{
	"category":     func(c *candidate, x *Cond) bool { return c.inAny(x.In) },
	"not_category": func(c *candidate, x *Cond) bool { return !c.inAny(x.In) },
	"no_category":  func(c *candidate, _ *Cond) bool { return !c.inAny(lowIncome) },
	"unknown":      func(c *candidate, _ *Cond) bool { return len(c.persons) == 0 },
	"not_single":   func(c *candidate, _ *Cond) bool { return !c.anybody(func(p *PoolPerson) bool { return p.Single }) },
	"alone": func(c *candidate, _ *Cond) bool {
		return c.anybody(func(p *PoolPerson) bool { return p.Alone && !p.Supporter })
	},
	"has":          func(c *candidate, x *Cond) bool { return c.all(x.Data, nil) },
	"lacks":        func(c *candidate, x *Cond) bool { return len(c.of(x.Data)) == 0 },
	"lacks_recent": lacksRecent,
	"lacks_months": lacksMonths,
	"older":        older,
	"flagged":      flagged,
	"graded":       func(c *candidate, x *Cond) bool { return flagged(c, &Cond{Data: x.Data, Column: "grade", In: x.In}) },
	"age_from": func(c *candidate, x *Cond) bool {
		return c.aged(func(age int64) bool { return age >= c.threshold(x.Std) })
	},
	"age_to": func(c *candidate, x *Cond) bool {
		return c.aged(func(age int64) bool { return age <= c.threshold(x.Std) })
	},
	"sum_at_least":     sumAtLeast,
	"paid_after_death": paidAfterDeath,
	"not_insured":      notInsured,
	"severe":           severeOrIll,
	"underserved":      underserved,
	"over_line":        overLine,
	"twice":            twice,
	"left_behind":      func(c *candidate, x *Cond) bool { return relocation(c, x, false) },
	"in_both":          func(c *candidate, x *Cond) bool { return relocation(c, x, true) },
	"new_whole_dibao":  newWholeDibao,
	"due_soon":         dueSoon,
}

func (c *candidate) anybody(is func(*PoolPerson) bool) bool {
	return slices.ContainsFunc(c.persons, is)
}

func (c *candidate) inAny(categories []string) bool {
	return c.anybody(func(p *PoolPerson) bool {
		return slices.ContainsFunc(p.Categories, func(s string) bool { return slices.Contains(categories, s) })
	})
}

// all keeps every row of a dataset that is so, and says whether there is one.
func (c *candidate) all(dataset string, is func(*Row) bool) (some bool) {
	for _, r := range c.of(dataset) {
		if is == nil || is(r) {
			some = c.because(dataset, r)
		}
	}
	return some
}

// columnOf is the place of a column of a dataset.
func columnOf(dataset, column string) int {
	d, ok := DatasetOf(dataset)
	if !ok {
		panic("casework: there is no dataset " + dataset)
	}
	return d.column(column)
}

func lacksRecent(c *candidate, x *Cond) bool {
	i, from := columnOf(x.Data, x.Column), c.daysAgo(c.threshold(x.Std))
	return !slices.ContainsFunc(c.of(x.Data), func(r *Row) bool { return r.Values[i] > from && r.Values[i] <= c.m.on })
}

// lacksMonths: no payment for one of the last so many months.
func lacksMonths(c *candidate, x *Cond) bool {
	i := columnOf(x.Data, x.Column)
	first := time.Date(c.m.day.Year(), c.m.day.Month(), 1, 0, 0, 0, 0, time.UTC).AddDate(0, -int(c.threshold(x.Std)), 0).Format("2006-01")
	return !slices.ContainsFunc(c.of(x.Data), func(r *Row) bool { return r.Values[i] >= first })
}

// older: the newest of the dates lies at least so many days back.
func older(c *candidate, x *Cond) bool {
	i, newest := columnOf(x.Data, x.Column), (*Row)(nil)
	for _, r := range c.of(x.Data) {
		if newest == nil || r.Values[i] > newest.Values[i] {
			newest = r
		}
	}
	return newest != nil && newest.Values[i] <= c.daysAgo(c.threshold(x.Std)) && c.because(x.Data, newest)
}

func flagged(c *candidate, x *Cond) bool {
	i := columnOf(x.Data, x.Column)
	return c.all(x.Data, func(r *Row) bool { return slices.Contains(x.In, r.Values[i]) })
}

func (c *candidate) aged(is func(int64) bool) bool {
	return c.anybody(func(p *PoolPerson) bool {
		age, known := (&Member{Birth: p.Birth}).age(c.m.on)
		return known && is(age)
	})
}

// sumAtLeast adds up what was settled within the last 12 months.
func sumAtLeast(c *candidate, x *Cond) bool {
	i, when, from, sum := columnOf(x.Data, x.Column), columnOf(x.Data, "settled_on"), c.daysAgo(c.threshold(stdYear)), int64(0)
	var rows []*Row
	for _, r := range c.of(x.Data) {
		if r.Values[when] > from && r.Values[when] <= c.m.on {
			sum += number(r, i)
			rows = append(rows, r)
		}
	}
	if sum < c.threshold(x.Std) {
		return false
	}
	for _, r := range rows {
		c.because(x.Data, r)
	}
	return true
}

// paidAfterDeath: something was paid for a month behind that of the death.
func paidAfterDeath(c *candidate, _ *Cond) bool {
	died, month := columnOf("deaths", "died_on"), columnOf("payments", "month")
	some := false
	for _, d := range c.of("deaths") {
		if c.all("payments", func(r *Row) bool { return r.Values[month] > d.Values[died][:7] }) {
			some = c.because("deaths", d)
		}
	}
	return some
}

// notInsured: not enrolled for the year, or enrolled without the subsidy.
func notInsured(c *candidate, x *Cond) bool {
	year, subsidised := columnOf(x.Data, "year"), columnOf(x.Data, "subsidised")
	enrolled := func(r *Row) bool { return r.Values[year] == c.m.on[:4] }
	if slices.ContainsFunc(c.of(x.Data), func(r *Row) bool { return enrolled(r) && r.Values[subsidised] == "1" }) {
		return false
	}
	c.all(x.Data, enrolled)
	return true
}

// severeOrIll: severely disabled by the certificate, or seriously ill by the record.
func severeOrIll(c *candidate, x *Cond) bool {
	kind, grade := columnOf(x.Data, "kind"), columnOf(x.Data, "grade")
	severe := c.all(x.Data, func(r *Row) bool {
		m := Member{DisabilityKind: r.Values[kind], DisabilityGrade: int(number(r, grade))}
		return m.severe()
	})
	return severe || c.anybody(func(p *PoolPerson) bool { return p.Ill })
}

// underserved: within the last 12 months fewer than three job offers, no guidance, or no training ("311").
func underserved(c *candidate, x *Cond) bool {
	on, kind, from := columnOf(x.Data, "on"), columnOf(x.Data, "kind"), c.daysAgo(c.threshold(stdYear))
	var got Served
	c.all(x.Data, func(r *Row) bool {
		if r.Values[on] <= from || r.Values[on] > c.m.on {
			return false
		}
		got.Add(r.Values[kind])
		return true
	})
	return int64(got.Offers) < c.threshold(x.Std) || got.Guidance < 1 || got.Training < 1
}

// overLine: wages and pensions of this one person alone bring the whole household over the dibao line.
func overLine(c *candidate, _ *Cond) bool {
	month := int64(0)
	for dataset, column := range map[string]string{"employment": "wage_month", "pensions": "amount_month"} {
		i := columnOf(dataset, column)
		c.all(dataset, func(r *Row) bool { month += number(r, i); return true })
	}
	line := c.threshold(StdDibao)
	return line > 0 && month >= line*int64(max(c.persons[0].Members, 1)) && len(c.rows) > 0
}

// exclusive are categories of which a person can have one only.
var exclusive = []string{"DIBAO", "TEKUN_CENTRAL", "TEKUN_SCATTERED", "MARGINAL", "RIGID"}

// twice: in two households, or in two categories that exclude each other.
func twice(c *candidate, _ *Cond) bool {
	seen := map[string]bool{}
	for _, p := range c.persons {
		if p.Household != c.persons[0].Household {
			return true
		}
		for _, s := range p.Categories {
			if slices.Contains(exclusive, s) && !(p.Single && s == "MARGINAL") {
				seen[s] = true
			}
		}
	}
	return len(seen) > 1
}

// relocation: on record at the old place and not at the new one, or at both.
func relocation(c *candidate, x *Cond, both bool) bool {
	from, to := columnOf(x.Data, "from"), columnOf(x.Data, "to")
	in := func(region string) bool {
		prefix := RegionPrefix(region)
		return prefix != "" && c.anybody(func(p *PoolPerson) bool { return len(p.Categories) > 0 && strings.HasPrefix(p.Region, prefix) })
	}
	return c.all(x.Data, func(r *Row) bool {
		return r.Values[from] != r.Values[to] && in(r.Values[from]) && in(r.Values[to]) == both
	})
}

func newWholeDibao(c *candidate, x *Cond) bool {
	from := c.daysAgo(c.threshold(x.Std))
	return c.anybody(func(p *PoolPerson) bool { return p.WholeSince > from && p.WholeSince <= c.m.on })
}

func dueSoon(c *candidate, x *Cond) bool {
	by := c.m.day.AddDate(0, 0, int(c.threshold(x.Std))).Format(time.DateOnly)
	return c.anybody(func(p *PoolPerson) bool { return p.DueOn != "" && p.DueOn <= by })
}
