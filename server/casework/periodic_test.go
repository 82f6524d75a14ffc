package casework_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"aidloop/server/casework"
)

func TestReviewDue(t *testing.T) {
	local := casework.Standards{
		{Code: casework.StdReviewYearly, Region: "430681101000", Area: "all", Value: 9, Unit: "months", From: "2026-01-01", Source: "demo"},
		{Code: casework.StdReviewAhead, Area: "all", Value: 10, Unit: "days", From: "2026-01-01", Source: "demo"},
	}
	for name, c := range map[string]struct {
		h    casework.Helped
		all  casework.Standards
		want casework.PeriodicDue // without its rule
		none bool
	}{
		"stable":                       {h: casework.Helped{Categories: []string{"DIBAO"}, Since: "2025-03-10"}, want: casework.PeriodicDue{Cause: "yearly", On: "2026-03-10", Opens: "2026-02-08"}},
		"somebody works":               {h: casework.Helped{Categories: []string{"DIBAO"}, Since: "2025-03-10", Varies: true}, want: casework.PeriodicDue{Cause: "half_yearly", On: "2025-09-10", Opens: "2025-08-11"}},
		"for a term":                   {h: casework.Helped{Categories: []string{"RIGID"}, Since: "2025-03-10", Until: "2025-12-31"}, want: casework.PeriodicDue{Cause: "term", On: "2025-12-31", Opens: "2025-12-01"}},
		"a term that ends later":       {h: casework.Helped{Categories: []string{"RIGID"}, Since: "2025-03-10", Until: "2026-03-31"}, want: casework.PeriodicDue{Cause: "yearly", On: "2026-03-10", Opens: "2026-02-08"}},
		"since the end of a month":     {h: casework.Helped{Categories: []string{"MARGINAL"}, Since: "2025-08-31", Varies: true}, want: casework.PeriodicDue{Cause: "half_yearly", On: "2026-02-28", Opens: "2026-01-29"}},
		"a town of its own":            {h: casework.Helped{Place: casework.Place{Region: "430681101200"}, Categories: []string{"DIBAO"}, Since: "2026-03-10"}, all: local, want: casework.PeriodicDue{Cause: "yearly", On: "2026-12-10", Opens: "2026-11-30"}},
		"before that town's rule":      {h: casework.Helped{Place: casework.Place{Region: "430681101200"}, Categories: []string{"DIBAO"}, Since: "2025-03-10"}, all: local, want: casework.PeriodicDue{Cause: "yearly", On: "2026-03-10", Opens: "2026-02-28"}},
		"no help":                      {h: casework.Helped{Since: "2025-03-10"}, none: true},
		"agriculture reviews its own":  {h: casework.Helped{Categories: []string{"FPFP_SUDDEN"}, Since: "2025-03-10"}, none: true},
		"nobody knows since when":      {h: casework.Helped{Categories: []string{"DIBAO"}}, none: true},
		"both departments have a word": {h: casework.Helped{Categories: []string{"FPFP_SUDDEN", "DIBAO"}, Since: "2025-03-10"}, want: casework.PeriodicDue{Cause: "yearly", On: "2026-03-10", Opens: "2026-02-08"}},
	} {
		got, ok, err := casework.ReviewDue(c.h, c.all)
		if err != nil || ok == c.none || ok && got.Rule == "" {
			t.Errorf("%s: %+v, %v, %v", name, got, ok, err)
		}
		if got.Rule = ""; ok && got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
		if ok && !casework.ValidEnum("review_cause", got.Cause) {
			t.Errorf("%s: the cause %q", name, got.Cause)
		}
	}
}

// Whoever can work is reviewed no later than others; a review is opened before its day, and its day lies behind the former
// one and within what was decided.
func TestReviewsComeInOrder(t *testing.T) {
	day := rapid.Custom(func(t *rapid.T) string {
		return time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 2000).Draw(t, "day")).Format(time.DateOnly)
	})
	rapid.Check(t, func(t *rapid.T) {
		h := casework.Helped{Categories: []string{rapid.SampledFrom([]string{"DIBAO", "RIGID", "TEKUN_CENTRAL"}).Draw(t, "category")}, Since: day.Draw(t, "since")}
		if rapid.Bool().Draw(t, "term") {
			h.Until = day.Draw(t, "until")
		}
		stable, ok, err := casework.ReviewDue(h, nil)
		h.Varies = true
		varies, ok2, err2 := casework.ReviewDue(h, nil)
		if !ok || !ok2 || err != nil || err2 != nil {
			t.Fatal(ok, ok2, err, err2)
		}
		if varies.On > stable.On || stable.Opens > stable.On || h.Until != "" && stable.On > h.Until || h.Until == "" && stable.On <= h.Since {
			t.Fatalf("%+v: %+v, %+v", h, stable, varies)
		}
	})
}

func TestReviewOn(t *testing.T) {
	for cause, want := range map[string]string{"death": "2026-02-28", "change": "2025-12-30"} {
		if got, err := casework.ReviewOn(cause, "2025-11-30", casework.Place{}, nil); err != nil || got.On != want || got.Cause != cause || got.Rule == "" {
			t.Errorf("%s: %+v, %v", cause, got, err)
		}
	}
	if _, err := casework.ReviewOn("yearly", "2025-11-30", casework.Place{}, nil); casework.CodeOf(err) != casework.CodeInvalidValue {
		t.Errorf("nobody opens a yearly review by hand: %v", err)
	}
}

func TestGrace(t *testing.T) {
	for _, c := range []struct {
		granted     string
		months      int
		from, until string
	}{
		{"2026-03-10", 0, "2026-04-01", "2026-09-30"},
		{"2026-03-31", 1, "2026-04-01", "2026-04-30"},
		{"2026-12-01", 2, "2027-01-01", "2027-02-28"},
	} {
		if from, until, err := casework.Grace(c.granted, c.months, casework.Place{}, nil); err != nil || from != c.from || until != c.until {
			t.Errorf("%+v: %s to %s, %v", c, from, until, err)
		}
	}
	for _, months := range []int{-1, 7, 400} {
		if _, _, err := casework.Grace("2026-03-10", months, casework.Place{}, nil); casework.CodeOf(err) != casework.CodeInvalidValue {
			t.Errorf("%d months of grace: %v", months, err)
		}
	}
}

func TestAddMonths(t *testing.T) {
	for _, c := range []struct {
		day    string
		months int
		want   string
	}{
		{"2026-01-31", 1, "2026-02-28"}, {"2024-01-31", 1, "2024-02-29"}, {"2026-08-31", 6, "2027-02-28"}, {"2026-10-31", 1, "2026-11-30"},
		{"2026-05-15", 12, "2027-05-15"}, {"2026-12-31", 2, "2027-02-28"}, {"2026-03-31", -1, "2026-02-28"}, {"soon", 3, "soon"},
	} {
		if got := casework.AddMonths(c.day, c.months); got != c.want {
			t.Errorf("%s and %d months: %s, want %s", c.day, c.months, got, c.want)
		}
	}
}

// Income varies where somebody who can work earns some.
func TestVaries(t *testing.T) {
	adult := casework.Member{ID: "a", Birth: "1980-01-01"}
	old := casework.Member{ID: "b", Birth: "1940-01-01"}
	child := casework.Member{ID: "c", Birth: "2020-01-01"}
	wages, pension := casework.Income{Kind: "wages", Amount: 100}, casework.Income{Kind: "transfers", Amount: 100}
	for name, c := range map[string]struct {
		members []casework.Member
		incomes []casework.Income
		want    bool
	}{
		"works":                     {[]casework.Member{adult, child}, []casework.Income{pension, wages}, true},
		"could work":                {[]casework.Member{adult}, []casework.Income{pension}, false},
		"old, with a field":         {[]casework.Member{old, child}, []casework.Income{{Kind: "business", Amount: 100}}, false},
		"a business that made less": {[]casework.Member{adult}, []casework.Income{{Kind: "business", Amount: -100}}, false},
		"nobody":                    {nil, nil, false},
	} {
		s := casework.Situation{Region: "430681101200", On: "2026-05-01", Members: c.members, Incomes: c.incomes}
		if got := casework.Varies(s, nil); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Every state in which a review or an exit waits for somebody is one of its machine.
func TestRunningStatesExist(t *testing.T) {
	for m, states := range map[*casework.Machine][]string{casework.PeriodicReviewMachine: casework.PeriodicReviewsRunning, casework.ExitMachine: casework.ExitsRunning,
		casework.ReferralMachine: casework.ReferralsRunning} {
		for _, s := range states {
			if !slices.Contains(m.States(), s) || slices.Contains(m.Terminal(), s) {
				t.Errorf("%s does not wait in %q", m.Name, s)
			}
		}
	}
}
