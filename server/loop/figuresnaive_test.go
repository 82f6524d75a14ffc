package loop_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"aidloop/fixtures/visits"
	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// rawRecord is a record as a bucket's feed has it.
type rawRecord struct {
	ref, root syncproto.Ref
	region    string
	body      syncproto.Object
}

// raw reads every live record by way of the feeds, which no figure uses.
func (p *past) raw() (list []rawRecord) {
	p.t.Helper()
	var names []string
	err := p.store.Read(p.t.Context(), func(tx loop.ReadTx) error {
		if err := tx.Buckets(func(b loop.Bucket) error { names = append(names, b.Name); return nil }); err != nil {
			return err
		}
		for _, name := range names {
			err := tx.Feed(name, 0, func(e loop.Entry) (bool, error) {
				if e.Exit || e.Deleted {
					return true, nil
				}
				env, err := syncproto.ParseEnvelope(slices.Clone(e.Env))
				if err != nil {
					return false, err
				}
				body, err := syncproto.ParseObject(slices.Clone(e.Body))
				_, region, _ := strings.Cut(name, ":")
				list = append(list, rawRecord{e.Ref, env.Root, region, body})
				return true, err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return list
}

// naive counts a figure in the plainest way.
func (p *past) naive(in loop.FigureInput, raw []rawRecord) map[string]map[string]int {
	table := map[string]map[string]int{casework.TotalRow: {}}
	count := func(column string, rows ...string) {
		for _, row := range append(rows, casework.TotalRow) {
			if table[row] == nil {
				table[row] = map[string]int{}
			}
			table[row][column]++
		}
	}
	inside := func(day string) bool {
		return day != "" && (in.From == "" || day >= in.From) && (in.To == "" || day <= in.To)
	}
	prefix := strings.TrimRight(in.Region, "0")
	if len(prefix) > 6 {
		prefix = in.Region[:9]
	}
	if in.Name == "returns" {
		for _, x := range p.returns {
			if inside(x.day) && strings.HasPrefix(x.town, prefix) {
				rows := make([]string, len(x.questions))
				for i, q := range x.questions {
					rows[i] = visits.FormID + "/" + q
				}
				count("returns", rows...)
			}
		}
		return table
	}
	for _, r := range raw {
		if !strings.HasPrefix(r.region, prefix) {
			continue
		}
		b := r.body
		switch {
		case in.Name == "on_time" && r.ref.Kind == "lead" && b.Has("received_at") && inside(b.Str("received_at")[:10]):
			count("received", r.region[:9]+"000")
			count(p.naiveOnTime(b, raw), r.region[:9]+"000")
		case in.Name == "funnel" && r.ref.Kind == "lead" && inside(p.arrived[r.ref.ID]):
			for _, stage := range naiveStages(r, raw) {
				count(stage, b.Str("source"))
			}
		case in.Name == "households" && r.ref.Kind == "household" && b.Str("state") != "merged":
			columns := []string{"households"}
			for _, c := range b.Get("categories").Items() {
				columns = append(columns, c.Str())
			}
			if len(columns) == 1 {
				columns = append(columns, "none")
			}
			for _, c := range columns {
				count(c, r.region[:9]+"000", r.region[:12])
			}
		case in.Name == "referrals" && r.ref.Kind == "referral" && inside(b.Str("sent_at")[:10]):
			count("referrals", b.Str("to_dept"))
			count(b.Str("state"), b.Str("to_dept"))
			if !slices.Contains([]string{"declined", "result_fed_back", "closed"}, b.Str("state")) && b.Str("due_on") < p.day() {
				count("overdue", b.Str("to_dept"))
			}
		}
	}
	return table
}

func (p *past) naiveOnTime(lead syncproto.Object, raw []rawRecord) string {
	switch lead.Str("state") {
	case "duplicate":
		return "duplicate"
	case "county_review", "conference", "verified", "closed":
		for _, d := range raw {
			if d.ref.Kind == "disposition" && d.ref.ID == lead.Str("disposition") && d.body.Str("proposed_at")[:10] <= lead.Str("due_on") {
				return "on_time"
			}
		}
		return "late"
	}
	if p.day() > lead.Str("due_on") {
		return "overdue"
	}
	return "open"
}

func naiveStages(lead rawRecord, raw []rawRecord) []string {
	reached := map[string]bool{"arrived": true, "dispatched": lead.body.Has("received_at"), "assigned": lead.body.Has("assignee"),
		"closed": lead.body.Str("state") == "closed"}
	for _, r := range raw {
		if r.body.Str("lead") != lead.ref.ID || r.root != lead.root {
			continue
		}
		state := r.body.Str("state")
		switch {
		case r.ref.Kind == "disposition":
			reached["proposed"] = state != "returned"
			reached["verified"] = state == "verified"
		case r.ref.Kind == "visit" && state != "void":
			reached["visited"] = true
			reached["submitted"] = reached["submitted"] || state == "submitted" || state == "returned" || state == "approved"
			reached["approved"] = reached["approved"] || state == "approved"
		}
	}
	list := []string{}
	for stage, yes := range reached {
		if yes {
			list = append(list, stage)
		}
	}
	return list
}

// Figures open to those who answer for the loop, within their region; everybody else is told so, or finds nothing.
func TestFiguresStayWithinTheRegion(t *testing.T) {
	c, ctx := newCounty(t), t.Context()
	town := c.world.Households[0].Town
	for _, role := range casework.Roles {
		for _, spec := range casework.Figures {
			a := casework.Actor{UserID: "u", Role: casework.Role(role.Code), Region: town, Dept: "YBJ"}
			may := a.Role == casework.RoleTownLeader || a.Role == casework.RoleBureauOfficer
			f, err := c.loop.Figure(ctx, a, loop.FigureInput{Name: spec.Name})
			if !may {
				if code := casework.CodeOf(err); code != casework.CodeForbidden {
					t.Errorf("%s reads %s: %v", role.Code, spec.Name, err)
				}
			} else if err != nil {
				t.Errorf("%s does not read %s: %v", role.Code, spec.Name, err)
			} else {
				for _, r := range f.Rows {
					if casework.RegionPrefix(r.Key) != "" && !casework.Covers(town, r.Key) {
						t.Errorf("%s reads of %s", role.Code, r.Label)
					}
				}
			}
			for _, elsewhere := range []string{"430681000000", farTown, "430682000000", "43068", "000000000000", "*"} {
				if f, err := c.loop.Figure(ctx, a, loop.FigureInput{Name: spec.Name, Region: elsewhere}); err == nil {
					t.Errorf("%s reads %s of %q: %v", role.Code, spec.Name, elsewhere, f.Rows)
				}
				if ids, _, err := c.loop.FigureRecords(ctx, a, loop.FigureInput{Name: spec.Name, Region: elsewhere}, "", spec.Columns[0].Code, "", 0); err == nil {
					t.Errorf("%s lists %s of %q: %v", role.Code, spec.Name, elsewhere, ids)
				}
			}
		}
	}
	for _, in := range []loop.FigureInput{{Name: "on_time", From: "2026-13-01"}, {Name: "on_time", From: "2026-02-01", To: "2026-01-01"}, {Name: "households", To: "2026-01-01"}} {
		_, err := c.loop.Figure(ctx, atBureau, in)
		wants(t, err, casework.CodeInvalidValue)
	}
	_, _, err := c.loop.FigureRecords(ctx, atBureau, loop.FigureInput{Name: "on_time"}, "", "x", "", 0)
	wants(t, err, casework.CodeInvalidValue)
}

// Each return counts under the questions that it asked, however often the visit was edited between two of them.
func TestReturnsCountUnderTheirQuestions(t *testing.T) {
	c, ctx := newCounty(t), t.Context()
	cast := c.world.Cast()
	p, home, reviewer := c.phone(cast.SurveyorOne), cast.Missed.Household, actor(cast.TownReviewer)
	push := func(changes ...syncproto.Change) {
		t.Helper()
		if o := p.push(p.group(refOf(home), changes...)); o.Code != "" {
			t.Fatalf("%+v", o)
		}
	}
	push(p.visit(home, "", "v1")...)
	ref := syncproto.Ref{Kind: "visit", ID: "v1"}
	for _, question := range []string{"conclusion", "wages", "wages"} {
		if err := c.loop.Review(ctx, reviewer, loop.ReviewInput{Visit: "v1", Comments: []loop.Comment{{Question: question, Text: "请补充"}}}); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"一", "二"} {
			_, env := c.record(ref)
			push(syncproto.Change{Op: syncproto.OpSet, Ref: ref, Fields: syncproto.Fields(map[string]any{"mode_reason": text}),
				Base: map[string]syncproto.Stamp{"mode_reason": env.Of("mode_reason").Stamp}})
		}
		push(syncproto.Change{Op: syncproto.OpAct, Ref: ref, Act: "submit"})
	}
	f, err := c.loop.Figure(ctx, actor(cast.TownLeader), loop.FigureInput{Name: "returns"})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, r := range f.Rows {
		got[r.Key] = r.Counts["returns"]
	}
	if want := map[string]int{visits.FormID + "/conclusion": 1, visits.FormID + "/wages": 2, casework.TotalRow: 3}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
