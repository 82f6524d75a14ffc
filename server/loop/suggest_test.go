package loop_test

import (
	"fmt"
	"slices"
	"testing"

	"aidloop/fixtures/forms"
	"aidloop/fixtures/visits"
	"aidloop/fixtures/world"
	"aidloop/server/casework"
	"aidloop/syncproto"
)

var (
	atBureau  = casework.Actor{UserID: "b", Role: casework.RoleBureauOfficer, Region: "430681000000"}
	elsewhere = casework.Actor{UserID: "e", Role: casework.RoleBureauOfficer, Region: "430124000000"}
)

// A suggestion rests on the newest visit, and before there is one on the record.
func TestSuggestionFollowsTheVisit(t *testing.T) {
	c := newCounty(t)
	cast := c.world.Cast()
	h := c.world.HouseholdsIn(cast.SurveyorOne.Grid)[0]
	s, err := c.loop.Suggest(t.Context(), atBureau, h.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	if s.Visit != "" || len(s.Gaps) == 0 {
		t.Errorf("nobody has visited: %+v", s)
	}
	p := c.phone(cast.SurveyorOne)
	root := syncproto.Ref{Kind: "household", ID: h.ID}
	changes := p.visit(h, "", "v1")
	wages := int64(123_456_700)
	changes[0].Fields = changes[0].Fields.With("q_wages", syncproto.MustValue(wages))
	if o := p.push(p.group(root, changes...)); o.Status != syncproto.GroupJudged {
		t.Fatalf("%+v", o)
	}
	if s, err = c.loop.Suggest(t.Context(), atBureau, h.ID, ""); err != nil {
		t.Fatal(err)
	}
	if s.Visit != "v1" || s.Income < wages && len(s.Persons) == 0 || slices.Contains(s.Categories, "DIBAO") {
		t.Errorf("with %d of wages: %+v", wages, s)
	}
	if _, err := c.loop.Suggest(t.Context(), elsewhere, h.ID, ""); casework.CodeOf(err) != casework.CodeNotFound {
		t.Errorf("another county: %v", err)
	}
	if _, err := c.loop.Suggest(t.Context(), atBureau, h.ID, "2019-01-01"); casework.CodeOf(err) != "standard_missing" {
		t.Errorf("before any standard: %v", err)
	}
}

// The questions of the visit form say what they count for: what a visit of the world says adds up to what the world
// knows of the household.
func TestVisitFormCounts(t *testing.T) {
	w := world.New(5, world.Options{Households: 60})
	v, err := syncproto.Raw(must(forms.Load(visits.FormID))).Decode()
	if err != nil {
		t.Fatal(err)
	}
	form, err := casework.FormFrom(v.(map[string]any))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range w.Households {
		x := visits.At(w, h, "", w.Now)
		x.Met = "seen"
		fields, err := syncproto.FieldsOf(visits.Record(newRand(), forms.MustForm(visits.FormID), x))
		if err != nil {
			t.Fatal(err)
		}
		answers := map[string]any{}
		for _, q := range form.Questions {
			if raw := fields.Get(form.Field(q.Name)); raw != nil {
				if answers[q.Name], err = raw.Decode(); err != nil {
					t.Fatal(err)
				}
			}
		}
		s, _ := casework.Situate(casework.Situation{Region: h.Village, Urban: h.Urban, On: "2026-06-30"}, form, answers, nil)
		income := int64(0)
		for _, i := range s.Incomes {
			income += i.Amount
		}
		if income != h.Income.Total() || s.Expenses.Medical != h.Spending.Medical || len(s.Members) == 0 {
			t.Errorf("%s: income %d of %d, medical %d of %d, %d members", h.Code, income, h.Income.Total(), s.Expenses.Medical, h.Spending.Medical, len(s.Members))
		}
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// A simulation tells beforehand what new standards would do, and changes nothing.
func TestStandardsAreSimulated(t *testing.T) {
	c := newCounty(t)
	day := "2026-07-15"
	line := func(fen int64) []casework.Standard {
		var list []casework.Standard
		for _, area := range []string{"urban", "rural"} {
			list = append(list, casework.Standard{Code: casework.StdDibao, Region: "430681000000", Area: area, Value: fen, Unit: "fen_month", From: "2026-07-15", Source: "test"})
		}
		return list
	}
	high, err := c.loop.SimulateStandards(t.Context(), atBureau, day, line(10_000_000))
	if err != nil {
		t.Fatal(err)
	}
	if high.Households != len(c.world.Households) || high.Unjudged > 0 || high.GrantAfter <= high.GrantBefore || len(high.Moves) == 0 {
		t.Errorf("a line that everybody is below: %+v", high)
	}
	for move := range high.Moves {
		var from, to string
		if _, err := fmt.Sscanf(move, "%s → %s", &from, &to); err != nil || to != "DIBAO" && to != "TEKUN_SCATTERED" && to != "TEKUN_CENTRAL" {
			t.Errorf("%q under a line that everybody is below", move)
		}
	}
	same, err := c.loop.SimulateStandards(t.Context(), atBureau, "2026-07-14", line(10_000_000))
	if err != nil || len(same.Moves) > 0 || same.GrantBefore != same.GrantAfter {
		t.Errorf("the day before: %+v %v", same, err)
	}
	if again, err := c.loop.SimulateStandards(t.Context(), atBureau, day, line(1)); err != nil || again.GrantBefore != high.GrantBefore {
		t.Errorf("a simulation changed what stands: %+v %v", again, err)
	}
	reviewer := casework.Actor{UserID: "r", Role: casework.RoleTownReviewer, Region: "430681102000"}
	if _, err := c.loop.SimulateStandards(t.Context(), reviewer, day, line(1)); casework.CodeOf(err) != casework.CodeForbidden {
		t.Errorf("a reviewer: %v", err)
	}
	if _, err := c.loop.SimulateStandards(t.Context(), atBureau, day, []casework.Standard{{Code: "x"}}); casework.CodeOf(err) != casework.CodeInvalidValue {
		t.Errorf("no standard at all: %v", err)
	}
}
