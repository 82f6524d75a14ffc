package casework_test

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"aidloop/server/casework"
)

func form(t *testing.T) *casework.Form {
	t.Helper()
	f, err := casework.FormFrom(map[string]any{"form_id": "f", "version": "1", "title": "走访", "questions": []any{
		map[string]any{"name": "met", "type": "select_one", "label": "见面情况", "required": true},
		map[string]any{"name": "income", "type": "integer", "label": "年收入", "required": true, "maps_to": "household.income_year",
			"relevant": map[string]any{"question": "met", "in": []any{"seen"}}},
		map[string]any{"name": "when", "type": "dateTime", "label": "时间", "maps_to": "visit.visited_at"},
		map[string]any{"name": "members", "type": "group_repeat", "label": "成员", "questions": []any{
			map[string]any{"name": "id_no", "type": "text", "label": "身份证号", "maps_to": "person.id_no"},
			map[string]any{"name": "health", "type": "text", "label": "健康", "maps_to": "person.health"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFormsThatCannotBeAskedAreRefused(t *testing.T) {
	deep := []any{map[string]any{"name": "q"}}
	for range 5 {
		deep = []any{map[string]any{"name": "g", "questions": deep}}
	}
	for name, m := range map[string]map[string]any{
		"empty": {}, "no questions": {"form_id": "f"}, "nameless": {"form_id": "f", "questions": []any{map[string]any{"label": "?"}}},
		"not an object": {"form_id": "f", "questions": []any{3}}, "too deep": {"form_id": "f", "questions": deep},
		"too long": {"form_id": "f", "questions": make([]any, 2001)},
	} {
		if _, err := casework.FormFrom(m); casework.CodeOf(err) != "form_invalid" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFormKnowsFieldsAndWhatIsMissing(t *testing.T) {
	f := form(t)
	if f.Field("when") != "visited_at" || f.Field("income") != "q_income" || f.Field("unknown") != "q_unknown" {
		t.Error("the questions' fields are wrong")
	}
	for _, c := range []struct {
		answers map[string]any
		want    []string
	}{
		{map[string]any{}, []string{"met"}}, {map[string]any{"met": "absent"}, nil}, {map[string]any{"met": "seen"}, []string{"income"}},
		{map[string]any{"met": "seen", "income": 0}, nil}, {map[string]any{"met": ""}, []string{"met"}},
	} {
		got := f.Missing(func(name string) (any, bool) { v, ok := c.answers[name]; return v, ok })
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: %v", c.answers, got)
		}
	}
}

func TestDifferencesNameWhatChangedAndWhoIsNew(t *testing.T) {
	household := map[string]any{"id": "h", "income_year": 100}
	persons := map[string]map[string]any{"p1": {"id_no": "11010519491231002x", "health": "好"}, "p2": {"health": "好"}}
	answers := map[string]any{"income": 200, "members": []any{
		map[string]any{"person": "p2", "health": "病"},
		map[string]any{"id_no": "11010519491231002X", "health": "病"}, // p1, by his number
		map[string]any{"id_no": "none", "health": "好"},               // somebody new
		map[string]any{"person": "p9", "health": "好"},                // somebody new whom the phone has named
		"nonsense",
	}}
	got := map[string]bool{}
	for _, d := range casework.Differences(form(t), answers, household, persons) {
		got[d.Kind+" "+d.ID+" "+d.Field] = d.New
	}
	want := map[string]bool{"household h income_year": false, "person p2 health": false, "person p1 id_no": false, "person p1 health": false,
		"person new:3 health": true, "person p9 health": true}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A record that says what was answered makes no difference, and nothing that was not asked makes one.
func TestNoDifferenceBetweenEquals(t *testing.T) {
	f := form(t)
	rapid.Check(t, func(t *rapid.T) {
		income, health := rapid.Int64Range(0, 1e9).Draw(t, "income"), rapid.StringN(0, 20, 60).Draw(t, "health")
		answers := map[string]any{}
		if rapid.Bool().Draw(t, "asked") {
			answers = map[string]any{"income": income, "members": []any{map[string]any{"person": "p", "health": health}}}
		}
		list := casework.Differences(f, answers, map[string]any{"id": "h", "income_year": income}, map[string]map[string]any{"p": {"health": health}})
		if len(list) > 0 {
			t.Fatalf("%+v", list)
		}
	})
}

func TestCalendarsAreCheckedBeforeTheyCount(t *testing.T) {
	good := casework.Calendar{Year: 2027, Version: "2027-official", Holidays: []string{"2027-01-01", "2027-02-06"}, Workdays: []string{"2027-02-14"}}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*casework.Calendar){
		"no version":          func(c *casework.Calendar) { c.Version = "" },
		"no days":             func(c *casework.Calendar) { c.Holidays = nil },
		"another year":        func(c *casework.Calendar) { c.Holidays = []string{"2026-01-01"} },
		"no date":             func(c *casework.Calendar) { c.Holidays = []string{"2027-02-30"} },
		"both":                func(c *casework.Calendar) { c.Workdays = []string{"2027-02-06"} },
		"a Monday to work on": func(c *casework.Calendar) { c.Workdays = []string{"2027-02-15"} },
		"a far year":          func(c *casework.Calendar) { c.Year = 9999 },
	} {
		c := good
		spoil(&c)
		if err := c.Check(); casework.CodeOf(err) != casework.CodeInvalidValue {
			t.Errorf("%s: %v", name, err)
		}
	}
}
