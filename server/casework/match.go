package casework

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// PoolPerson is somebody on record as matching sees him, once for every household that he is in.
type PoolPerson struct {
	ID         string
	Key        string // the keyed index of his identity number, "" where it is not known
	Household  string
	Region     string // the village
	Urban      bool
	Categories []string // his own and his household's
	Birth      string
	Alone      bool // the only member
	Supporter  bool
	Ill        bool   // seriously
	Single     bool   // receives dibao alone, as a member of a marginal household
	Members    int    // of the household
	WholeSince string // the day from which the whole household has been in dibao, ""
	DueOn      string // the next review or the end of a term, ""
}

// Match is one finding: a rule that holds for a person, with the rows that led to it.
type Match struct {
	Rule      int
	Label     string
	Lead      string // "" for a task
	To        []string
	Key       string
	Person    string // "" for somebody who is not on record
	Household string
	Period    string      // the month, "2006-01": a rule finds a person once in it
	Rows      []SourceRow // in order of datasets and lines
	// Print is the SHA-256, in hex, of the rows' contents and of where and in which categories the person is on record: what
	// people have looked at stays silent while it is the same.
	Print string
}

// ID tells findings apart: a person, a rule and a period.
func (m *Match) ID() string { return fmt.Sprintf("%s|%d|%s|%s", m.Key, m.Rule, m.Lead, m.Period) }

// SourceRow names a row of a dataset by the number of its line.
type SourceRow struct {
	Dataset string
	Line    int
}

// String writes the dataset's code and the line.
func (e SourceRow) String() string { return fmt.Sprintf("%s:%d", e.Dataset, e.Line) }

// Data is what has been loaded, newest snapshot of each dataset, and who is on record.
type Data struct {
	Pool []PoolPerson
	Rows map[string][]Row // by dataset
}

// Matching is data made ready: every dataset by key.
type Matching struct {
	region    string
	on        string
	day       time.Time
	standards Standards
	pool      map[string][]*PoolPerson
	rows      map[string]map[string][]*Row
}

// NewMatching indexes data for a day, "2006-01-02". Region is where somebody is taken to live who is not on record.
func NewMatching(d *Data, region, on string, standards Standards) (*Matching, error) {
	day, err := time.Parse(time.DateOnly, on)
	if err != nil {
		return nil, NewError(CodeInvalidValue, "比对日期应写成2026-01-31的样子。")
	}
	m := &Matching{region: region, on: on, day: day, standards: standards, pool: map[string][]*PoolPerson{}, rows: map[string]map[string][]*Row{}}
	for i := range d.Pool {
		if p := &d.Pool[i]; p.Key != "" {
			m.pool[p.Key] = append(m.pool[p.Key], p)
		}
	}
	for _, persons := range m.pool { // the order in which people came must not matter
		slices.SortFunc(persons, func(a, b *PoolPerson) int {
			return cmp.Or(cmp.Compare(a.Household, b.Household), cmp.Compare(a.ID, b.ID))
		})
	}
	for code, rows := range d.Rows {
		if _, ok := DatasetOf(code); !ok {
			return nil, NewError(CodeInvalidValue, "没有这个数据集:"+clip(code))
		}
		byKey := make(map[string][]*Row, len(rows))
		for i := range rows {
			byKey[rows[i].Key] = append(byKey[rows[i].Key], &rows[i])
		}
		m.rows[code] = byKey
	}
	return m, nil
}

// All runs every rule over everybody, in order of rules and keys.
func (m *Matching) All() []Match { return m.run(nil) }

// Of runs every rule over some keys only, such as those that a load or a change of the pool has touched.
func (m *Matching) Of(keys []string) []Match {
	only := make(map[string]bool, len(keys))
	for _, k := range keys {
		only[k] = true
	}
	return m.run(only)
}

func (m *Matching) run(only map[string]bool) (list []Match) {
	for i := range MatchRules {
		r := &MatchRules[i]
		if m.lacking(r) != "" {
			continue
		}
		for _, key := range m.over(r.Over, only) {
			c := &candidate{m: m, key: key, persons: m.pool[key]}
			if c.meets(r.When) {
				list = append(list, c.match(r))
			}
		}
	}
	return list
}

// Skipped lists the rules that cannot be judged, with the dataset that nobody has loaded: what is missing from a list
// says nothing as long as there is no list.
func (m *Matching) Skipped() map[int]string {
	skipped := map[int]string{}
	for i := range MatchRules {
		if d := m.lacking(&MatchRules[i]); d != "" {
			skipped[MatchRules[i].No] = d
		}
	}
	return skipped
}

// absence are the conditions that hold where a list does not name somebody.
var absence = []string{"lacks", "lacks_recent", "lacks_months", "not_insured", "underserved"}

func (m *Matching) lacking(r *MatchRule) string {
	for _, c := range r.When {
		if _, loaded := m.rows[c.Data]; !loaded && slices.Contains(absence, c.Is) {
			return c.Data
		}
	}
	return ""
}

// over lists the keys that a rule goes through, in order.
func (m *Matching) over(what string, only map[string]bool) []string {
	var keys []string
	add := func(k string) {
		if only == nil || only[k] {
			keys = append(keys, k)
		}
	}
	if what == "pool" {
		for k := range m.pool {
			add(k)
		}
	} else {
		for k := range m.rows[what] {
			add(k)
		}
	}
	slices.Sort(keys)
	return keys
}

// candidate is one person under one rule.
type candidate struct {
	m       *Matching
	key     string
	persons []*PoolPerson // none: not on record
	rows    map[SourceRow]*Row
}

func (c *candidate) meets(when []Cond) bool {
	for i := range when {
		if !conditions[when[i].Is](c, &when[i]) {
			return false
		}
	}
	return true
}

// of are the candidate's rows of a dataset.
func (c *candidate) of(dataset string) []*Row { return c.m.rows[dataset][c.key] }

// because keeps a row that led to the finding.
func (c *candidate) because(dataset string, r *Row) bool {
	if c.rows == nil {
		c.rows = map[SourceRow]*Row{}
	}
	c.rows[SourceRow{dataset, r.Line}] = r
	return true
}

// threshold is a standard where the candidate lives.
func (c *candidate) threshold(code string) int64 {
	region, area := c.m.region, "all"
	if len(c.persons) > 0 {
		region, area = c.persons[0].Region, choose(c.persons[0].Urban, "urban", "rural")
	}
	x, err := c.m.standards.At(code, region, area, c.m.on)
	if err != nil {
		if x, err = defaultThresholds.At(code, region, area, c.m.on); err != nil {
			return 0
		}
	}
	return x.Value
}

// daysAgo is the day so many days before.
func (c *candidate) daysAgo(n int64) string {
	return c.m.day.AddDate(0, 0, -int(n)).Format(time.DateOnly)
}

func (c *candidate) match(r *MatchRule) Match {
	m := Match{Rule: r.No, Label: r.Label, Lead: r.Lead, To: r.To, Key: c.key, Period: c.m.on[:7]}
	if len(c.persons) > 0 {
		m.Person, m.Household = c.persons[0].ID, c.persons[0].Household
	}
	m.Rows = slices.SortedFunc(maps.Keys(c.rows), func(a, b SourceRow) int {
		return cmp.Or(cmp.Compare(a.Dataset, b.Dataset), cmp.Compare(a.Line, b.Line))
	})
	h := sha256.New()
	for _, p := range c.persons {
		fmt.Fprintf(h, "%s %q %s\n", p.Household, p.Categories, p.DueOn)
	}
	for _, e := range m.Rows {
		fmt.Fprintf(h, "%s %q\n", e.Dataset, c.rows[e].Values)
	}
	m.Print = hex.EncodeToString(h.Sum(nil))
	return m
}

// Verified is what became of an earlier finding of the same person and rule: people looked at it on a day.
type Verified struct {
	On    string // "2006-01-02"
	Print string
}

// Quiet says that a finding need not be told again: somebody looked at the same rows, and not too long ago.
func (m *Matching) Quiet(f *Match, last Verified) bool {
	if last.On == "" || last.Print != f.Print {
		return false
	}
	at, err := time.Parse(time.DateOnly, last.On)
	c := &candidate{m: m, key: f.Key, persons: m.pool[f.Key]}
	return err == nil && m.day.Before(at.AddDate(0, int(c.threshold(stdQuietMonths)), 0))
}

// number is a cell of type int.
func number(r *Row, column int) int64 {
	n, err := strconv.ParseInt(r.Values[column], 10, 64)
	if err != nil {
		return 0
	}
	return n
}
