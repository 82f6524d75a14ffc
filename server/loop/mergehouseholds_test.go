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

// twins enters a second household for the people of the first, in another grid, as somebody who did not know of the
// first one would: one person with the same identity number, one without any.
func (c *county) twins(home world.Household) (other syncproto.Ref, grid string) {
	c.t.Helper()
	cast := c.world.Cast()
	member := cast.Missed.Members[0]
	grid = cast.Grid.Code[:13] + "002"
	other = syncproto.Ref{Kind: "household", ID: "h-twin"}
	_, err := c.loop.Register(c.t.Context(), casework.System, []loop.Registration{{ID: other.ID, Grid: grid,
		Fields: map[string]any{"head_name": home.HeadName, "phone": "13700000000", "members_count": 7, "note": "住在女儿家", "income_year": 100,
			"categories": []any{"dibao_edge"}, "state": "active"},
		Persons: []loop.Member{{ID: "p-twin", Fields: map[string]any{"household": other.ID, "name": member.Name, "id_no": member.IDNo, "work": "务农临时"}},
			{ID: "p-new", Fields: map[string]any{"household": other.ID, "name": "新人"}}}}})
	if err != nil {
		c.t.Fatal(err)
	}
	return other, grid
}

// opened reads a sealed field the way the desk is shown it.
func (c *county) opened(ref syncproto.Ref, field string) any {
	c.t.Helper()
	got, err := c.loop.Case(c.t.Context(), actor(c.world.Cast().TownReviewer), ref)
	if err != nil {
		c.t.Fatal(err)
	}
	return got.Record.Fields[field]
}

func (c *county) conflictsOn(rec syncproto.Ref) map[string]any {
	c.t.Helper()
	got, err := c.loop.Case(c.t.Context(), actor(c.world.Cast().TownReviewer), rec)
	if err != nil {
		c.t.Fatal(err)
	}
	losers := map[string]any{}
	for _, x := range got.Conflicts {
		if x.Fields["rec"] == rec.String() {
			losers[x.Fields["field"].(string)] = x.Fields["loser"].(map[string]any)["value"]
		}
	}
	return losers
}

// Two households of the same people are found by the identity number and become one: nothing of either is lost, what
// differs is a conflict, everything lies in one place and can be opened there.
func TestHouseholdsAreMerged(t *testing.T) {
	c, ctx := newCounty(t), t.Context()
	cast := c.world.Cast()
	home := refOf(cast.Missed.Household)
	other, _ := c.twins(cast.Missed.Household)
	reviewer := actor(cast.TownReviewer)
	twin, head := syncproto.Ref{Kind: "person", ID: "p-twin"}, syncproto.Ref{Kind: "person", ID: cast.Missed.Members[0].ID}

	list, _, err := c.loop.Duplicates(ctx, reviewer, "", 10)
	if err != nil || len(list) != 1 || !slices.Contains(list[0].Households, other.ID) || !slices.Contains(list[0].Households, home.ID) {
		t.Fatalf("duplicates: %+v, %v", list, err)
	}
	before, _ := c.record(home)
	_, err = c.loop.MergeHouseholds(ctx, reviewer, other.ID, home.ID, "")
	wants(t, err, casework.CodeInvalidValue)
	_, err = c.loop.MergeHouseholds(ctx, reviewer, home.ID, home.ID, "重复")
	wants(t, err, casework.CodeInvalidValue)
	far := reviewer
	far.Region = "430681201000"
	_, err = c.loop.MergeHouseholds(ctx, far, other.ID, home.ID, "重复")
	wants(t, err, casework.CodeNotFound)
	m, err := c.loop.MergeHouseholds(ctx, reviewer, other.ID, home.ID, "同一家庭重复建档")
	if err != nil || m.Persons != 1 || m.Conflicts == 0 {
		t.Fatalf("%+v, %v", m, err)
	}
	_, err = c.loop.MergeHouseholds(ctx, reviewer, other.ID, home.ID, "再来")
	wants(t, err, casework.CodeInvalidTransition)

	alias, env := c.record(other)
	if alias.Str("state") != "merged" || alias.Str("merged_into") != home.ID || env.Root != home || alias.Int("members_count") != 7 {
		t.Errorf("the alias is %s under %s", alias.Bytes(), env.Root)
	}
	now, _ := c.record(home)
	if now.Int("members_count") != before.Int("members_count") || c.opened(home, "note") != "住在女儿家" || !slices.ContainsFunc(now.Get("categories").Items(), func(r syncproto.Raw) bool { return r.Str() == "dibao_edge" }) {
		t.Errorf("it should stand as before, with what was missing: %s", now.Bytes())
	}
	lost := c.conflictsOn(home)
	if lost["phone"] != "13700000000" || lost["members_count"] != int64(7) || lost["head_name"] != nil || lost["income_year"] != int64(100) {
		t.Errorf("conflicts: %v", lost)
	}
	if p, e := c.record(twin); p.Str("merged_into") != head.ID || e.Root != home {
		t.Errorf("the twin is %s", p.Bytes())
	}
	if c.opened(syncproto.Ref{Kind: "person", ID: "p-new"}, "name") != "新人" || c.conflictsOn(head)["work"] != "务农临时" {
		t.Error("a person's values are lost")
	}
	if list, _, err := c.loop.Duplicates(ctx, reviewer, "", 10); err != nil || len(list) != 0 {
		t.Errorf("still listed: %+v, %v", list, err)
	}
	// A lead about the person finds the household that stands, and so does one that named the alias before.
	rep, err := c.loop.ImportLeads(ctx, actor(cast.BureauOfficer), "province", []loop.LeadRow{{Row: 2, SourceRef: "M-1", Type: "suspected_missed",
		SubjectName: cast.Missed.Members[0].Name, IDNumber: cast.Missed.Members[0].IDNo, Town: cast.Town.Code}})
	if err != nil || !rep.Rows[0].Linked {
		t.Fatalf("%+v, %v", rep, err)
	}
	if l, _ := c.record(syncproto.Ref{Kind: "lead", ID: rep.Rows[0].Lead}); l.Str("household") != home.ID {
		t.Errorf("the lead names %s", l.Str("household"))
	}
	c.balanced()
}

// What phones captured under a household before they heard of its merging arrives where it belongs: new visits as they
// are, edits as conflicts, and equal values silently.
func TestLateWorkFollowsAMerge(t *testing.T) {
	c, ctx := newCounty(t), t.Context()
	cast := c.world.Cast()
	home := refOf(cast.Missed.Household)
	other, grid := c.twins(cast.Missed.Household)
	if err := c.loop.Grant(ctx, casework.System, loop.GridGrant{User: cast.SurveyorOne.ID, Grid: grid}); err != nil {
		t.Fatal(err)
	}
	p := c.phone(cast.SurveyorOne)
	seal := c.sealer(world.Household{ID: other.ID, Grid: grid})
	_, env := c.record(other)
	set := func(fields map[string]any) syncproto.Change {
		ch := syncproto.Change{Op: syncproto.OpSet, Ref: other, Fields: syncproto.Fields(fields), Base: map[string]syncproto.Stamp{}}
		for f := range fields {
			ch.Base[f] = env.Of(f).Stamp
		}
		return ch
	}
	visit := p.signed(p.group(other, p.visit(cast.Missed.Household, "", "v1")...))
	edit := p.signed(p.group(other, set(map[string]any{"phone": seal.Seal(other, "phone", syncproto.MustValue("13711111111"))})))
	same := p.signed(p.group(other, set(map[string]any{"head_name": seal.Seal(other, "head_name", syncproto.MustValue(cast.Missed.Household.HeadName))})))
	erase := p.signed(p.group(other, syncproto.Change{Op: syncproto.OpDelete, Ref: other, Base: map[string]syncproto.Stamp{}}))
	bad := p.signed(p.group(other, set(map[string]any{"state": "active"})))
	if _, err := c.loop.MergeHouseholds(ctx, actor(cast.TownReviewer), other.ID, home.ID, "重复"); err != nil {
		t.Fatal(err)
	}
	alias, _ := c.record(other)
	c.now = c.now.Add(time.Hour)
	out, err := c.loop.Receive(ctx, p.request(visit, edit, same, erase, bad))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []syncproto.ChangeStatus{"", syncproto.StatusConflict, syncproto.StatusMerged, syncproto.StatusConflict} {
		o := out.Outcomes.Groups[i]
		if o.Status != syncproto.GroupJudged || want == "" && o.Changes != nil || want != "" && !slices.Contains(o.Changes, want) {
			t.Errorf("group %d: %+v", i, o)
		}
	}
	if o := out.Outcomes.Groups[4]; o.Status != syncproto.GroupRejected || o.Code != syncproto.CodeServerField {
		t.Errorf("a server's field: %+v", o)
	}
	if v, e := c.record(syncproto.Ref{Kind: "visit", ID: "v1"}); e.Root != home || v.Str("state") != "submitted" {
		t.Errorf("the visit is %s under %s", v.Str("state"), e.Root)
	}
	if after, _ := c.record(other); string(after.Bytes()) != string(alias.Bytes()) {
		t.Error("the alias was written to")
	}
	id := syncproto.DerivedID("conflict", string(syncproto.MakeStamp(p.id, edit.Dseq))+"|"+home.String()+"|phone")
	if err := c.loop.SettleConflict(ctx, actor(cast.TownReviewer), loop.Choice{Conflict: id, Choice: loop.ChoiceTake}); err != nil {
		t.Fatal(err)
	}
	if got := c.opened(home, "phone"); got != "13711111111" {
		t.Errorf("the phone taken over is %v", got)
	}
	c.balanced()
}

// A household that moves takes everything along; what its former worker captured before he heard of it still counts for
// 30 days where it is clean, and waits for people else.
func TestHouseholdsMove(t *testing.T) {
	c, ctx := newCounty(t), t.Context()
	cast := c.world.Cast()
	home := refOf(cast.Missed.Household)
	leader, reviewer := actor(cast.TownLeader), actor(cast.TownReviewer)
	grid := cast.Grid.Code[:13] + "002"
	lead := c.lead("M-1", cast.Missed.Members[0], cast.Town.Code)
	if err := c.loop.Assign(ctx, leader, lead, cast.SurveyorOne.ID, ""); err != nil {
		t.Fatal(err)
	}
	p := c.phone(cast.SurveyorOne)
	_, env := c.record(home)
	edit := func(n int) *syncproto.Group {
		return p.group(home, syncproto.Change{Op: syncproto.OpSet, Ref: home, Fields: syncproto.Fields(map[string]any{"members_count": n}),
			Base: map[string]syncproto.Stamp{"members_count": env.Of("members_count").Stamp}})
	}
	for _, bad := range []string{"", cast.Grid.Code, "430681102212", "430681999999-001", "430681201201-001"} {
		_, err := c.loop.MoveHousehold(ctx, leader, home.ID, bad, "搬家")
		wants(t, err, casework.CodeInvalidValue)
	}
	m, err := c.loop.MoveHousehold(ctx, leader, home.ID, grid, "搬家")
	if err != nil || !slices.Equal(m.Reassign, []string{lead}) {
		t.Fatalf("%+v, %v", m, err)
	}
	if h, _ := c.record(home); h.Str("grid") != grid || c.opened(home, "phone") != cast.Missed.Household.Phone {
		t.Errorf("%s", h.Bytes())
	}
	if o := p.push(edit(9)); o.Status != syncproto.GroupJudged || o.At != nil {
		t.Errorf("a clean edit of before the move: %+v", o)
	}
	held := p.push(edit(8))
	if held.Status != syncproto.GroupHeld || held.Code != syncproto.CodeGrantRevoked {
		t.Errorf("a conflicting one: %+v", held)
	}
	if n, err := c.loop.Settle(ctx); err != nil || n != 0 {
		t.Errorf("%d settled without a person, %v", n, err)
	}
	if o, err := c.loop.DecideHeld(ctx, reviewer, p.id, held.Dseq, true, ""); err != nil || o.Status != syncproto.GroupJudged {
		t.Errorf("accepted by a person: %+v, %v", o, err)
	}
	c.now = c.now.Add(31 * 24 * time.Hour)
	if o := p.push(edit(7)); o.Status != syncproto.GroupHeld || o.Code != syncproto.CodeGrantRevoked {
		t.Errorf("after 31 days: %+v", o)
	}
	stranger := c.phone(cast.SurveyorTwo)
	if err := c.loop.RevokeGrant(ctx, casework.System, cast.SurveyorTwo.ID, cast.Grid.Code); err != nil {
		t.Fatal(err)
	}
	g := stranger.group(home, syncproto.Change{Op: syncproto.OpSet, Ref: home, Fields: syncproto.Fields(map[string]any{"members_count": 1}),
		Base: map[string]syncproto.Stamp{"members_count": env.Of("members_count").Stamp}})
	g.GV = syncproto.Cursor{Incarnation: "i", Seq: 1 << 40}.String()
	if o := stranger.push(g); o.Status != syncproto.GroupHeld || o.Code != syncproto.CodeOutOfScope {
		t.Errorf("captured after the grant had gone: %+v", o)
	}
	c.balanced()
}

// Before something is moved or wiped the desk sees which phones are silent.
func TestSilentPhonesAreShown(t *testing.T) {
	c, ctx := newCounty(t), t.Context()
	cast := c.world.Cast()
	one, two := c.phone(cast.SurveyorOne), c.phone(cast.SurveyorTwo)
	c.now = c.now.Add(5 * 24 * time.Hour)
	if _, err := c.loop.Exchange(ctx, loop.Push{Request: &syncproto.Request{Hello: syncproto.Hello{Versions: [2]int{1, 1}, Device: two.id}}}, &loop.Reader{User: two.user.ID, Device: two.id}); err != nil {
		t.Fatal(err)
	}
	list, err := c.loop.GridDevices(ctx, actor(cast.TownLeader), cast.Grid.Code)
	if err != nil || len(list) != 2 || list[0].ID != one.id || list[0].Silent != 5 || !list[0].Granted || list[1].Silent != 0 || list[0].UserName != cast.SurveyorOne.Name {
		t.Errorf("%+v, %v", list, err)
	}
	far := actor(cast.TownLeader)
	far.Region = "430681201000"
	if _, err := c.loop.GridDevices(ctx, far, cast.Grid.Code); err == nil {
		t.Error("another town's phones are shown")
	}
}
