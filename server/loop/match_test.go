package loop_test

import (
	"fmt"
	"strings"
	"testing"

	"aidloop/fixtures/world"
	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

var medicalBureau = casework.Actor{UserID: "y", Role: casework.RoleDeptOfficer, Region: "430681000000", Dept: "YBJ"}

// A department loads its list, the rules find somebody in it, and the finding becomes a lead once, for as long as
// nothing changes.
func TestMatchingMakesLeadsOnce(t *testing.T) {
	c := newCounty(t)
	ctx := t.Context()
	stranger := world.New(9, world.Options{Households: 1}).Persons[0]
	line := func(row int, id string, cells ...string) loop.DatasetLine {
		return loop.DatasetLine{Row: row, IDNumber: id, Name: "外来人", Town: "430681102000", Cells: cells}
	}
	lines := []loop.DatasetLine{line(2, stranger.IDNo, "2026-06-01", "600000"), line(3, stranger.IDNo, "2026-06-20", "700000"),
		line(4, "123", "2026-06-20", "1"), line(5, c.world.Persons[0].IDNo, "gestern", "1")}
	rep, err := c.loop.LoadDataset(ctx, medicalBureau, "medical", lines)
	if err != nil || rep.Rows != 2 || rep.Refused != 2 || rep.Unchanged || rep.Refusals[0].Row != 4 {
		t.Fatalf("%+v %v", rep, err)
	}
	if rep, err = c.loop.LoadDataset(ctx, medicalBureau, "medical", lines); err != nil || !rep.Unchanged {
		t.Fatalf("the same list again: %+v %v", rep, err)
	}
	on := "2026-07-01"
	first, err := c.loop.Match(ctx, atBureau, on)
	if err != nil {
		t.Fatal(err)
	}
	if first.Leads == 0 || first.Datasets["medical"] != 2 || first.Found != first.Leads+len(first.Refused) || first.Skipped[4] != "insurance" {
		t.Fatalf("%+v", first)
	}
	lead := c.leadNamed("外来人")
	if lead == nil || lead.Body.Str("lead_type") != "suspected_missed" || lead.Body.Str("source") != "matching" {
		t.Fatalf("%+v", lead)
	}
	if strings.Contains(string(lead.Body.Bytes()), stranger.IDNo) {
		t.Error("the identity number lies in the open")
	}
	again, err := c.loop.Match(ctx, atBureau, on)
	if err != nil || again.Leads != 0 || again.Open != first.Leads || again.Found != first.Found {
		t.Errorf("a second run: %+v %v", again, err)
	}
	if err := c.loop.Dispatch(ctx, atBureau, []string{lead.ID}, ""); err != nil {
		t.Fatal(err)
	}
	if err := c.loop.MarkDuplicate(ctx, atBureau, lead.ID, c.anyLead(lead.ID)); err != nil {
		t.Fatal(err)
	}
	done, err := c.loop.Match(ctx, atBureau, on)
	if err != nil || done.Leads != 0 || done.Quiet != 1 {
		t.Errorf("people are done with it: %+v %v", done, err)
	}
	lines = append(lines, line(6, stranger.IDNo, "2026-06-25", "1"))
	if _, err := c.loop.LoadDataset(ctx, medicalBureau, "medical", lines); err != nil {
		t.Fatal(err)
	}
	if more, err := c.loop.Match(ctx, atBureau, "2026-07-02"); err != nil || more.Leads != 1 {
		t.Errorf("a new row: %+v %v", more, err)
	}
	c.balanced()
}

// Nothing that identifies anybody is stored with a list, and only the department that shares it and the bureau load it.
func TestDatasetsAreKeptWithoutNumbers(t *testing.T) {
	c := newCounty(t)
	ctx := t.Context()
	p := c.world.Persons[0]
	lines := []loop.DatasetLine{{Row: 2, IDNumber: p.IDNo, Name: p.Name, Cells: []string{"2026-06-01", "1"}}}
	for _, by := range []casework.Actor{atBureau, medicalBureau} {
		if _, err := c.loop.LoadDataset(ctx, by, "medical", lines); err != nil {
			t.Errorf("%s: %v", by.Role, err)
		}
	}
	school := casework.Actor{UserID: "j", Role: casework.RoleDeptOfficer, Region: "430681000000", Dept: "JTJ"}
	if _, err := c.loop.LoadDataset(ctx, school, "medical", lines); casework.CodeOf(err) != casework.CodeNotFound {
		t.Errorf("another department: %v", err)
	}
	if _, err := c.loop.LoadDataset(ctx, casework.Actor{Role: casework.RoleTownReviewer, Region: "430681102000"}, "medical", lines); casework.CodeOf(err) != casework.CodeForbidden {
		t.Errorf("a reviewer: %v", err)
	}
	if _, err := c.loop.Match(ctx, medicalBureau, ""); casework.CodeOf(err) != casework.CodeForbidden {
		t.Errorf("a department runs the rules: %v", err)
	}
	mine, err := c.loop.Datasets(ctx, medicalBureau)
	if err != nil || len(mine) != 3 || mine[0].Last == nil || mine[0].Last.Rows != 1 {
		t.Errorf("%+v %v", mine, err)
	}
	err = c.store.Read(ctx, func(tx loop.ReadTx) error {
		last, err := tx.LastLoad("medical")
		if err != nil {
			return err
		}
		return tx.LoadRows(last.N, func(r loop.LoadRow) error {
			if s := fmt.Sprintf("%+v %s", r, r.Subject); strings.Contains(s, p.IDNo) || strings.Contains(s, p.Name) || !syncproto.IsSealed(r.Subject) {
				t.Errorf("kept in the open: %s", s)
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// leadNamed finds a lead by its subject, opened as the bureau sees it.
func (c *county) leadNamed(name string) *syncproto.Record {
	c.t.Helper()
	for _, id := range c.leadIDs() {
		x, err := c.loop.Case(c.t.Context(), atBureau, syncproto.Ref{Kind: "lead", ID: id})
		if err != nil {
			c.t.Fatal(err)
		}
		if x.Record.Fields["subject_name"] == name {
			body, env := c.record(syncproto.Ref{Kind: "lead", ID: id})
			return &syncproto.Record{Envelope: env, Body: body}
		}
	}
	return nil
}

func (c *county) leadIDs() (ids []string) {
	c.t.Helper()
	err := c.store.Read(c.t.Context(), func(tx loop.ReadTx) error {
		page, err := tx.Find(loop.Query{Kind: "lead", Limit: 500})
		for _, s := range page.Items {
			ids = append(ids, s.Ref.ID)
		}
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return ids
}

// anyLead is a lead other than one.
func (c *county) anyLead(not string) string {
	for _, id := range c.leadIDs() {
		if id != not {
			return id
		}
	}
	c.t.Fatal("there is one lead only")
	return ""
}
