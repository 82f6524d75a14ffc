package loop_test

import (
	"slices"
	"testing"
	"time"

	"aidloop/fixtures/world"
	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// sealer is the case key of a household, as its grid's phones hold it.
func (c *county) sealer(h world.Household) *syncproto.Sealer {
	c.t.Helper()
	ref := syncproto.Ref{Kind: "key", ID: syncproto.DerivedID("key", refOf(h).String())}
	rec, _ := c.record(ref)
	ring := &syncproto.Keyring{}
	ring.Add(loop.Secrets{Master: syncproto.Key{1}}.BucketKey(syncproto.BucketGrid+h.Grid, 1))
	if _, err := ring.Unwrap(ref, rec.Get("keys")); err != nil {
		c.t.Fatal(err)
	}
	return ring.Get(rec.Str("current"))
}

// lead imports and dispatches a lead about somebody; the town is his own.
func (c *county) lead(ref string, p world.Person, town string) string {
	c.t.Helper()
	bureau := actor(c.world.Cast().BureauOfficer)
	rep, err := c.loop.ImportLeads(c.t.Context(), bureau, "province", []loop.LeadRow{{Row: 2, SourceRef: ref, Type: "suspected_missed", SubjectName: p.Name, IDNumber: p.IDNo, Town: town}})
	if err != nil || rep.Imported != 1 {
		c.t.Fatalf("%+v, %v", rep, err)
	}
	if err := c.loop.Dispatch(c.t.Context(), bureau, []string{rep.Rows[0].Lead}, ""); err != nil {
		c.t.Fatal(err)
	}
	return rep.Rows[0].Lead
}

func TestTransferKeepsTheClockAndTheSecret(t *testing.T) {
	c, ctx := newCounty(t), t.Context()
	cast := c.world.Cast()
	leader, bureau := actor(cast.TownLeader), actor(cast.BureauOfficer)
	lead := c.lead("T-1", cast.Missed.Members[0], cast.Town.Code)
	if err := c.loop.Assign(ctx, leader, lead, cast.SurveyorOne.ID, ""); err != nil {
		t.Fatal(err)
	}
	ref := syncproto.Ref{Kind: "lead", ID: lead}
	before, _ := c.record(ref)
	elsewhere := ""
	for _, r := range c.world.Regions {
		if r.Level == "town" && r.Code != cast.Town.Code {
			elsewhere = r.Code
		}
	}
	wants(t, c.loop.Transfer(ctx, leader, lead, elsewhere, ""), casework.CodeInvalidValue)
	wants(t, c.loop.Transfer(ctx, leader, lead, cast.Town.Code, "x"), casework.CodeInvalidValue)
	wants(t, c.loop.Transfer(ctx, leader, lead, cast.Village.Code, "x"), casework.CodeInvalidValue)
	wants(t, c.loop.Transfer(ctx, leader, lead, "430682101000", "x"), casework.CodeInvalidValue)
	wants(t, c.loop.Transfer(ctx, bureau, lead, elsewhere, "x"), casework.CodeForbidden)
	c.now = c.now.Add(72 * time.Hour)
	if err := c.loop.Transfer(ctx, leader, lead, elsewhere, "已搬迁"); err != nil {
		t.Fatal(err)
	}
	after, env := c.record(ref)
	if env.Root != ref || after.Str("state") != "dispatched" || after.Str("town") != elsewhere || after.Has("assignee") ||
		after.Str("due_on") != before.Str("due_on") || after.Str("received_at") != before.Str("received_at") {
		t.Errorf("transferred: %s", after.Bytes())
	}
	_, err := c.loop.Case(ctx, leader, ref)
	wants(t, err, casework.CodeNotFound) // the first town has nothing to do with it any more
	seen, err := c.loop.Case(ctx, bureau, ref)
	if err != nil || seen.Record.Fields["subject_name"] != cast.Missed.Members[0].Name {
		t.Errorf("the county reads %v, %v", seen.Record.Fields["subject_name"], err)
	}
	tasks, err := c.loop.Queue(ctx, leader, loop.Filter{Kind: "task", States: []string{"open"}, Owner: cast.SurveyorOne.ID})
	if err != nil || slices.ContainsFunc(tasks.Items, func(i loop.Item) bool { return i.Fields["lead"] == lead }) {
		t.Errorf("the worker still has a task: %v", err)
	}
	c.balanced()
}

func TestDuplicateLeadsEnd(t *testing.T) {
	c, ctx := newCounty(t), t.Context()
	cast := c.world.Cast()
	one, two := c.lead("D-1", cast.Missed.Members[0], cast.Town.Code), c.lead("D-2", cast.Missed.Members[0], cast.Town.Code)
	reviewer := actor(cast.TownReviewer)
	wants(t, c.loop.MarkDuplicate(ctx, reviewer, one, one), casework.CodeInvalidValue)
	wants(t, c.loop.MarkDuplicate(ctx, actor(cast.YBJ), one, two), casework.CodeForbidden)
	if err := c.loop.MarkDuplicate(ctx, reviewer, two, one); err != nil {
		t.Fatal(err)
	}
	wants(t, c.loop.MarkDuplicate(ctx, reviewer, one, two), casework.CodeInvalidValue) // round and round
	wants(t, c.loop.Assign(ctx, actor(cast.TownLeader), two, cast.SurveyorOne.ID, ""), casework.CodeInvalidTransition)
	if rec, _ := c.record(syncproto.Ref{Kind: "lead", ID: two}); rec.Str("state") != "duplicate" || rec.Str("duplicate_of") != one {
		t.Errorf("%s", rec.Bytes())
	}
}

// The official calendar of a year appears when leads are open already: what was provisional is counted anew, and the
// former deadline stays in the history.
func TestCalendarMovesProvisionalDeadlines(t *testing.T) {
	c, ctx := newCounty(t), t.Context()
	cast := c.world.Cast()
	c.now = time.Date(2026, 5, 6, 2, 0, 0, 0, time.UTC)
	early := c.lead("C-0", cast.Missed.Members[0], cast.Town.Code)
	c.now = time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)
	late := c.lead("C-1", cast.Rising.Members[0], cast.Town.Code)
	if err := c.loop.Assign(ctx, actor(cast.TownLeader), late, cast.SurveyorOne.ID, ""); err != nil {
		t.Fatal(err)
	}
	ref := syncproto.Ref{Kind: "lead", ID: late}
	if rec, _ := c.record(ref); rec.Str("due_on") != "2027-01-20" || string(rec.Get("due_provisional")) != "true" {
		t.Fatalf("due %s", rec.Bytes())
	}
	admin, ok := c.world.User("admin")
	if !ok {
		t.Fatal("the world has no administrator")
	}
	cal := casework.Calendar{Year: 2027, Version: "2027-official", Holidays: []string{"2027-01-01", "2027-01-04"}}
	_, err := c.loop.PublishCalendar(ctx, actor(cast.BureauOfficer), cal)
	wants(t, err, casework.CodeForbidden)
	_, err = c.loop.PublishCalendar(ctx, actor(admin), casework.Calendar{Year: 2027})
	wants(t, err, casework.CodeInvalidValue)
	moved, err := c.loop.PublishCalendar(ctx, actor(admin), cal)
	if err != nil || moved != 1 {
		t.Fatalf("%d deadlines moved, %v", moved, err)
	}
	rec, _ := c.record(ref)
	if rec.Str("due_on") != "2027-01-21" || string(rec.Get("due_provisional")) != "false" || rec.Str("calendar_version") == "" {
		t.Errorf("counted anew: %s", rec.Bytes())
	}
	before := false
	err = c.store.Read(ctx, func(tx loop.ReadTx) error {
		return tx.History(ref, func(p loop.Past) error {
			body, err := syncproto.ParseObject(slices.Clone(p.Body))
			before = before || body.Str("due_on") == "2027-01-20"
			return err
		})
	})
	if err != nil || !before {
		t.Errorf("the former deadline is gone: %v", err)
	}
	tasks, err := c.loop.Queue(ctx, actor(cast.TownLeader), loop.Filter{Kind: "task", States: []string{"open"}, Owner: cast.SurveyorOne.ID})
	if err != nil || len(tasks.Items) != 1 || tasks.Items[0].Fields["due_on"] != "2027-01-21" {
		t.Errorf("the task: %+v, %v", tasks, err)
	}
	if rec, _ := c.record(syncproto.Ref{Kind: "lead", ID: early}); rec.Str("due_on") >= "2027" {
		t.Errorf("the early lead is due %s", rec.Str("due_on"))
	}
	if moved, err = c.loop.PublishCalendar(ctx, actor(admin), cal); err != nil || moved != 0 {
		t.Errorf("published again: %d, %v", moved, err)
	}
	c.balanced()
}

// Whoever a visit found in the household is entered when it is approved, so that nobody types him again.
func TestApprovalEntersNewMembers(t *testing.T) {
	c, ctx := newCounty(t), t.Context()
	cast := c.world.Cast()
	home := cast.Missed.Household
	p := c.phone(cast.SurveyorOne)
	changes := p.visit(home, "", "v-new")
	members := []any{map[string]any{"person": "p-baby", "name": "湛小宝", "id_no": "none", "relation": "child", "lives_together": "yes", "health": "healthy"},
		map[string]any{"name": "湛奶奶", "relation": "parent", "health": "sick"}}
	seal := c.sealer(home)
	field := "q_members"
	changes[0].Fields = changes[0].Fields.With(field, seal.Seal(changes[0].Ref, field, syncproto.MustValue(members)))
	if o := p.push(p.group(refOf(home), changes...)); o.Status != syncproto.GroupJudged || o.Code != "" {
		t.Fatalf("%+v", o)
	}
	if err := c.loop.Review(ctx, actor(cast.TownReviewer), loop.ReviewInput{Visit: "v-new", Approve: true}); err != nil {
		t.Fatal(err)
	}
	for id, name := range map[string]string{"p-baby": "湛小宝", syncproto.DerivedID("person", "v-new|new:2"): "湛奶奶"} {
		ref := syncproto.Ref{Kind: "person", ID: id}
		rec, env := c.record(ref)
		open, err := seal.Open(ref, "name", rec.Get("name"))
		if err != nil || open.Str() != name || env.Root != refOf(home) || rec.Str("household") != home.ID {
			t.Errorf("%s: %s, %v", id, open, err)
		}
	}
	c.balanced()
}
