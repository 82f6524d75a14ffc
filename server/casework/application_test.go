package casework_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"aidloop/server/casework"
)

func on(day string) time.Time {
	t, err := time.ParseInLocation(time.DateOnly, day, beijing)
	if err != nil {
		panic(err)
	}
	return t.Add(10 * time.Hour)
}

// The times of 57 to the day, over a make-up workday and a long holiday, and where a region set a shorter one.
func TestApplicationTimes(t *testing.T) {
	accepted := casework.ApplicationTimes{Accepted: on("2026-02-12"), Place: casework.Place{Region: "430681101200"}} // a Thursday before the Spring Festival
	with := func(change func(*casework.ApplicationTimes)) casework.ApplicationTimes {
		x := accepted
		change(&x)
		return x
	}
	shorter := casework.Standards{{casework.StdApplyCounty, "430681000000", "all", 5, "workdays", "2026-03-01", "", "test"}}
	for _, c := range []struct {
		name, state string
		t           casework.ApplicationTimes
		standards   casework.Standards
		want        string
	}{
		{"not accepted", "submitted", casework.ApplicationTimes{}, nil, ""},
		{"a supplement stops nothing, since nothing runs", "supplement", casework.ApplicationTimes{}, nil, ""},
		{"investigation", "accepted", accepted, nil, "2026-02-24"}, // 13, Saturday 14 at work, then off until the 23rd
		{"the whole", "investigating", accepted, nil, "2026-04-01"},
		{"the whole in a special case", "publicizing", with(func(t *casework.ApplicationTimes) { t.Extended = true }), nil, "2026-04-23"},
		{"county", "county_review", with(func(t *casework.ApplicationTimes) { t.Reported = on("2026-03-09") }), nil, "2026-03-23"},
		{"county, reported late: the whole is first", "county_review", with(func(t *casework.ApplicationTimes) { t.Reported = on("2026-03-30") }), nil, "2026-04-01"},
		{"county, a shorter time of its own", "county_review", with(func(t *casework.ApplicationTimes) { t.Reported = on("2026-03-09") }), shorter, "2026-03-16"},
		{"county, the day before that is in force", "county_review", with(func(t *casework.ApplicationTimes) { t.Reported = on("2026-02-28") }), shorter, "2026-03-13"},
		{"denial", "denied", with(func(t *casework.ApplicationTimes) { t.Decided = on("2026-03-20") }), nil, "2026-03-25"},
		{"help", "active", with(func(t *casework.ApplicationTimes) { t.Decided = on("2026-03-20") }), nil, ""},
	} {
		due, ok, err := casework.ApplicationDue(c.state, c.t, c.standards, casework.Published())
		if err != nil || due.On != c.want || ok != (c.want != "") || ok && (due.Rule == "" || due.Provisional || due.Calendars == "") {
			t.Errorf("%s: %+v %v, want %s", c.name, due, err, c.want)
		}
	}
	late := casework.ApplicationTimes{Accepted: on("2026-12-20")}
	if due, ok, err := casework.ApplicationDue("accepted", late, nil, casework.Published()); err != nil || !ok || due.On != "2026-12-23" || due.Provisional {
		t.Errorf("in a year with a calendar: %+v %v", due, err)
	}
	if due, _, err := casework.ApplicationDue("investigating", late, nil, casework.Published()); err != nil || !due.Provisional {
		t.Errorf("into a year without one: %+v %v", due, err)
	}
	early := casework.ApplicationTimes{Accepted: on("2021-06-30")}
	if _, _, err := casework.ApplicationDue("accepted", early, nil, casework.Published()); casework.CodeOf(err) != "standard_missing" {
		t.Errorf("before the law: %v", err)
	}
}

// Seven days on the board are natural days, whatever is off, and the day of posting is none of them.
func TestPublicationEnds(t *testing.T) {
	for posted, want := range map[time.Time]string{
		on("2026-02-13"):                     "2026-02-20",
		on("2026-02-13").Add(14 * time.Hour): "2026-02-21", // midnight is the next day
	} {
		if got, err := casework.PublicationEnd(posted, casework.ApplicationTimes{}, nil); err != nil || got != want {
			t.Errorf("posted %v: %s %v, want %s", posted, got, err, want)
		}
	}
}

// No walk over the table comes to a state from which no end can be reached, whatever the guards say on the way.
func TestApplicationsCanAlwaysEnd(t *testing.T) {
	m := casework.ApplicationMachine
	if got := slices.Sorted(slices.Values(m.Terminal())); !slices.Equal(got, []string{"closed", "terminated", "withdrawn"}) {
		t.Errorf("ends: %v", got)
	}
	ends := m.Terminal()
	for range len(m.Table) {
		for _, x := range m.Table {
			if slices.Contains(ends, x.To) && !slices.Contains(ends, x.From) {
				ends = append(ends, x.From)
			}
		}
	}
	for _, s := range m.States() {
		if !slices.Contains(ends, s) {
			t.Errorf("%q leads to no end", s)
		}
		if casework.Label("state", s) == s && s != "" {
			t.Errorf("%q has no label", s)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		state, asked, decided := "", 0, false
		for range 30 {
			x := rapid.SampledFrom(m.Table).Draw(t, "row")
			f := willing
			f.SupplementAsked = asked > 0
			to, err := m.Next(state, x.Action, x.Actors[0], f)
			if err != nil {
				continue
			}
			if x.Action == "supplement" {
				asked++
			}
			decided = decided || to == "county_review" || x.Action == "take_over" // what the county granted before
			if (to == "confirmed" || to == "denied" || to == "active") && !decided {
				t.Fatalf("%s without the county", to)
			}
			state = to
		}
		if asked > 1 {
			t.Fatalf("asked for a supplement %d times", asked)
		}
	})
}

func TestApplicationGuards(t *testing.T) {
	for _, c := range []struct {
		state, action string
		role          casework.Role
		spoil         func(*casework.Facts)
	}{
		{"draft", "submit", casework.RoleTownClerk, func(f *casework.Facts) { f.Agreed = false }},
		{"draft", "submit", casework.RoleGridWorker, func(f *casework.Facts) { f.Missing = []string{"联系电话"} }},
		{"draft", "submit", casework.RoleTownClerk, func(f *casework.Facts) { f.Unsigned = 1 }},
		{"", "submit", casework.RoleGridWorker, func(f *casework.Facts) { f.Missing = []string{"联系电话"} }},
		{"submitted", "supplement", casework.RoleTownClerk, func(f *casework.Facts) { f.SupplementAsked = true }},
		{"submitted", "accept", casework.RoleTownClerk, func(f *casework.Facts) { f.OtherRunning = true }},
		{"submitted", "accept", casework.RoleTownReviewer, func(f *casework.Facts) { f.Missing = []string{"联系电话"} }},
		{"investigating", "opine", casework.RoleTownReviewer, func(f *casework.Facts) { f.HasApprovedVisit = false }},
		{"investigating", "opine", casework.RoleTownReviewer, func(f *casework.Facts) { f.Reviewer = f.Surveyor1 }},
		{"reinvestigating", "report", casework.RoleTownReviewer, func(f *casework.Facts) { f.HasApprovedVisit = false }},
		{"publicizing", "report", casework.RoleTownReviewer, func(f *casework.Facts) { f.PublicationOver = false }},
		{"county_review", "confirm", casework.RoleBureauOfficer, func(f *casework.Facts) { f.RelativeOfStaff, f.CountyVisited = true, false }},
		{"county_review", "deny", casework.RoleBureauOfficer, func(f *casework.Facts) { f.Reasoned = false }},
		{"county_review", "extend", casework.RoleBureauOfficer, func(f *casework.Facts) { f.Extended = true }},
		{"accepted", "terminate", casework.RoleTownReviewer, func(f *casework.Facts) { f.Reasoned = false }},
	} {
		f := willing
		if _, err := casework.ApplicationMachine.Next(c.state, c.action, c.role, f); err != nil {
			t.Errorf("%s from %q: %v", c.action, c.state, err)
		}
		c.spoil(&f)
		if _, err := casework.ApplicationMachine.Next(c.state, c.action, c.role, f); casework.CodeOf(err) != casework.CodeGuardFailed {
			t.Errorf("%s from %q, spoiled: %v", c.action, c.state, err)
		}
	}
}

func TestWhoDecidesOnCategories(t *testing.T) {
	for _, c := range casework.Enums["category"] {
		monitored := c.Code[:min(len(c.Code), 4)] == "FPFP"
		if err := casework.CheckDecision([]string{c.Code}); (err != nil) != monitored || (casework.DecidedBy(c.Code) == "NYJ") != monitored {
			t.Errorf("%s: %v", c.Code, err)
		}
	}
	for _, bad := range [][]string{nil, {"x"}, {"DIBAO", "DIBAO"}, {"DIBAO", "FPFP_SUDDEN"}} {
		if casework.CodeOf(casework.CheckDecision(bad)) != casework.CodeInvalidValue {
			t.Errorf("%v passes", bad)
		}
	}
	if got := casework.Granted([]string{"MARGINAL", "FPFP_SUDDEN"}, []string{"DIBAO"}); !slices.Equal(got, []string{"DIBAO", "FPFP_SUDDEN"}) {
		t.Errorf("granted: %v", got)
	}
	if got := casework.Withdrawn([]string{"DIBAO", "FPFP_SUDDEN"}); !slices.Equal(got, []string{"FPFP_SUDDEN"}) {
		t.Errorf("withdrawn: %v", got)
	}
	if casework.Differs([]string{"A", "B"}, []string{"B", "A"}) || !casework.Differs(nil, []string{"A"}) {
		t.Error("differences")
	}
}

// Every adult who lives in the household consents; a birthday counts on its day.
func TestEveryAdultConsents(t *testing.T) {
	born := func(id string) map[string]any { return map[string]any{"id_no": id, "lives_together": true} }
	old, young := born("11010519491231002X"), map[string]any{"birth": "2010-05-01"}
	away := map[string]any{"birth": "1980-01-01", "lives_together": false}
	for _, c := range []struct {
		on       string
		consents int
		want     int
	}{{"2028-04-30", 0, 1}, {"2028-05-01", 0, 2}, {"2028-05-01", 1, 1}, {"2028-05-01", 3, 0}} {
		if got := casework.Unsigned([]any{old, young, away, map[string]any{"name": "某"}, 7}, make([]any, c.consents), c.on); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

// What is known is not asked again; what does not fit, accounts and signatures are.
func TestPrefill(t *testing.T) {
	q := func(name, kind, mapsTo string) casework.Question {
		return casework.Question{Name: name, Type: kind, MapsTo: mapsTo}
	}
	members := q("members", "group_repeat", "")
	health := q("health", "select_one", "person.health")
	health.Choices = []string{"healthy"}
	members.Questions = []casework.Question{q("person", "text", ""), q("name", "text", "person.name"), health}
	form := &casework.Form{Questions: []casework.Question{q("phone", "text", "household.phone"), members, q("wages", "money", ""), q("debts", "money", ""),
		q("account", "text", "person.account"), q("sign", "signature", "")}}
	visit := &casework.Form{Questions: []casework.Question{q("wages", "money", ""), q("debts", "text", ""), q("sign", "signature", ""), q("account", "text", "")}}
	answers, names := casework.Prefill(form, casework.Known{Household: map[string]any{"phone": "13900000000"}, Form: visit,
		Persons: map[string]map[string]any{"b": {"name": "乙", "health": "ill"}, "a": {"name": "甲", "health": "healthy", "account": "1"}, "c": {"name": "丙", "state": "dead"}},
		Answers: map[string]any{"wages": int64(7), "debts": "许多", "sign": "x", "account": "1"}})
	want := map[string]any{"phone": "13900000000", "wages": int64(7), "members": []any{
		map[string]any{"person": "a", "name": "甲", "health": "healthy"}, map[string]any{"person": "b", "name": "乙"}}}
	if !reflect.DeepEqual(answers, want) || !slices.Equal(names, []string{"phone", "members", "wages"}) {
		t.Errorf("%v %v", names, answers)
	}
	if answers, names := casework.Prefill(form, casework.Known{}); len(answers)+len(names) != 0 {
		t.Errorf("of nothing: %v", answers)
	}
}
