package casework

import "testing"

// A department is asked about what it mostly helps with.
func TestNeedOf(t *testing.T) {
	for dept, want := range map[string]string{"YBJ": "illness", "CL": "disability", "JTJ": "education", "RSJ": "unemployment", "ZJJ": "housing", "SLJ": "water", "CZJ": "other"} {
		if got := NeedOf(dept); got != want {
			t.Errorf("%s: %q, want %q", dept, got, want)
		}
	}
}

func TestMeasuresAreWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range Measures {
		if seen[m.Code] || m.Label == "" || len(m.Needs) == 0 || !ValidEnum("department", m.Dept) || !ValidEnum("aid_layer", m.Layer) || !ValidEnum("measure", m.Code) {
			t.Errorf("%+v", m)
		}
		seen[m.Code] = true
		for _, n := range m.Needs {
			if !ValidEnum("difficulty", n) {
				t.Errorf("%s answers %q", m.Code, n)
			}
		}
	}
	owing := map[string]bool{}
	for _, m := range Measures {
		owing[m.Dept] = true
	}
	for _, d := range Enums["department"] {
		if d.Code != "CZJ" && d.Code != "SJJ" && !owing[d.Code] { // these two owe money and data, to no household
			t.Errorf("%s gives nothing", d.Label)
		}
	}
}

// Whoever may give a measure is its own department, and nobody else, whatever the amount.
func TestOnlyItsOwnDepartmentGivesAMeasure(t *testing.T) {
	for _, m := range Measures {
		for _, d := range Enums["department"] {
			by := Actor{Role: RoleDeptOfficer, Dept: d.Code}
			if d.Code == "MZJ" {
				by = Actor{Role: RoleBureauOfficer}
			}
			for _, amount := range []int64{-1, 0, 1, 100_00, maxAmount + 1} {
				_, err := CheckAid(by, m.Code, amount)
				may := d.Code == m.Dept && amount >= 0 && amount <= maxAmount && (amount > 0 || !m.Money)
				if (err == nil) != may {
					t.Errorf("%s gives %s of %d: %v", d.Code, m.Code, amount, err)
				}
			}
		}
	}
	if _, err := CheckAid(System, "no_such", 1); CodeOf(err) != CodeInvalidValue {
		t.Error(err)
	}
}

func TestWhatIsPaidEveryMonth(t *testing.T) {
	for _, x := range []struct {
		categories []string
		want       string
	}{{nil, ""}, {[]string{"MARGINAL"}, ""}, {[]string{"FPFP_SUDDEN", "DIBAO"}, "dibao_cash"}, {[]string{"DIBAO", "TEKUN_SCATTERED"}, "tekun_cash"},
		{[]string{"TEKUN_CENTRAL"}, "tekun_cash"}, {[]string{"RIGID", "OTHER"}, ""}} {
		if got, ok := CashMeasure(x.categories); got != x.want || ok != (x.want != "") {
			t.Errorf("%v: %q", x.categories, got)
		}
	}
	for _, x := range []struct {
		since, month string
		want         bool
	}{{"2026-07-31", "2026-07", false}, {"2026-07-31", "2026-08", true}, {"2026-12-01", "2027-01", true}, {"2026-08-01", "2026-07", false},
		{"", "2026-07", false}, {"2026-07-31", "2026-13", false}, {"2026-07-31", "2026-8", false}} {
		if got := PaidFor(x.since, x.month); got != x.want {
			t.Errorf("%+v", x)
		}
	}
}
