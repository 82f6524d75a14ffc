package loop_test

import (
	"testing"
	"time"

	"aidloop/fixtures/world"
	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// clash lets two phones write one field of a household without knowing of each other, and returns the conflict. The
// second phone's value stands.
func (c *county) clash(home syncproto.Ref, field string, first, second any) (p *phone, conflict syncproto.Ref) {
	c.t.Helper()
	cast := c.world.Cast()
	_, env := c.record(home)
	phones := []*phone{c.phone(cast.SurveyorOne), c.phone(cast.SurveyorTwo)}
	var last syncproto.Stamp
	for i, value := range []any{first, second} {
		c.now = c.now.Add(time.Hour)
		g := phones[i].group(home, syncproto.Change{Op: syncproto.OpSet, Ref: home, Fields: syncproto.Fields(map[string]any{field: value}),
			Base: map[string]syncproto.Stamp{field: env.Of(field).Stamp}})
		if i == 0 {
			last = syncproto.MakeStamp(g.Device, g.Dseq)
		}
		phones[i].push(g)
	}
	ref := syncproto.Ref{Kind: "conflict", ID: syncproto.DerivedID("conflict", string(last)+"|"+home.String()+"|"+field)}
	if got, _ := c.record(ref); got.Str("state") != "open" {
		c.t.Fatalf("no open conflict: %s", got.Bytes())
	}
	return phones[0], ref
}

func settle(conflict syncproto.Ref, choice string) syncproto.Change {
	return syncproto.Change{Op: syncproto.OpAct, Ref: conflict, Act: "settle", Args: syncproto.Fields(map[string]any{"choice": choice})}
}

// A phone settles a conflict by a change like any other, once; whoever comes second waits for people.
func TestAPhoneSettlesAConflict(t *testing.T) {
	c := newCounty(t)
	home := refOf(c.world.Cast().Missed.Household)
	p, conflict := c.clash(home, "members_count", 5, 6)
	_, env := c.record(home)
	take := func(value any) syncproto.Outcome {
		return p.push(p.group(home, syncproto.Change{Op: syncproto.OpSet, Ref: home, Fields: syncproto.Fields(map[string]any{"members_count": value}),
			Base: map[string]syncproto.Stamp{"members_count": env.Of("members_count").Stamp}}, settle(conflict, "take")))
	}
	if o := take(5); o.Status != syncproto.GroupJudged || o.Code != "" {
		t.Fatalf("%+v", o)
	}
	got, _ := c.record(home)
	done, _ := c.record(conflict)
	if got.Int("members_count") != 5 || done.Str("state") != "settled" || done.Str("choice") != "take" || done.Str("settled_by") != p.user.ID {
		t.Errorf("%s, %s", got.Bytes(), done.Bytes())
	}
	if o := take(6); o.Status != syncproto.GroupHeld || o.Code != syncproto.CodeStaleState {
		t.Errorf("settled again: %+v", o)
	}
	if got, _ := c.record(home); got.Int("members_count") != 5 {
		t.Errorf("a held group wrote %s", got.Bytes())
	}
	c.balanced()
}

func TestTheDeskSettlesAConflict(t *testing.T) {
	for choice, want := range map[string]int64{loop.ChoiceKeep: 6, loop.ChoiceTake: 5, loop.ChoiceWrite: 7} {
		c, ctx := newCounty(t), t.Context()
		cast := c.world.Cast()
		home := refOf(cast.Missed.Household)
		_, conflict := c.clash(home, "members_count", 5, 6)
		in := loop.Choice{Conflict: conflict.ID, Choice: choice, Value: 7}
		far := actor(cast.TownReviewer)
		far.Region = "430681201000"
		wants(t, c.loop.SettleConflict(ctx, far, in), casework.CodeNotFound)
		wants(t, c.loop.SettleConflict(ctx, actor(cast.TownLeader), in), casework.CodeForbidden)
		wants(t, c.loop.SettleConflict(ctx, actor(cast.TownReviewer), in), "")
		wants(t, c.loop.SettleConflict(ctx, actor(cast.TownReviewer), in), casework.CodeInvalidTransition)
		if got, _ := c.record(home); got.Int("members_count") != want {
			t.Errorf("%s: %s", choice, got.Bytes())
		}
		c.balanced()
	}
}

// Both values of a sealed conflict are shown to whoever may open them, and a chosen one is sealed again.
func TestSealedConflicts(t *testing.T) {
	c, ctx := newCounty(t), t.Context()
	cast := c.world.Cast()
	home := refOf(cast.Missed.Household)
	sealer := c.sealer(cast.Missed.Household)
	seal := func(v string) syncproto.Raw { return sealer.Seal(home, "phone", syncproto.MustValue(v)) }
	_, conflict := c.clash(home, "phone", seal("13900000001"), seal("13900000002"))
	reviewer := actor(cast.TownReviewer)
	shown, err := c.loop.Case(ctx, reviewer, conflict)
	if err != nil {
		t.Fatal(err)
	}
	side := func(name string) any { return shown.Record.Fields[name].(map[string]any)["value"] }
	if side("loser") != "13900000001" || side("winner") != "13900000002" {
		t.Errorf("%+v", shown.Record.Fields)
	}
	wants(t, c.loop.SettleConflict(ctx, reviewer, loop.Choice{Conflict: conflict.ID, Choice: loop.ChoiceWrite, Value: 5}), "")
	_, other := c.clash(home, "phone", seal("13900000003"), seal("13900000004"))
	wants(t, c.loop.SettleConflict(ctx, reviewer, loop.Choice{Conflict: other.ID, Choice: loop.ChoiceTake}), "")
	got, _ := c.record(home)
	if v, err := sealer.Open(home, "phone", got.Get("phone")); err != nil || v.Str() != "13900000003" {
		t.Errorf("%s, %v", v, err)
	}
	c.balanced()
}

// amended is an approved visit that its author corrects: wages of 77.
func (c *county) amended(home world.Household) (visit, amendment syncproto.Ref) {
	c.t.Helper()
	p := c.phone(c.world.Cast().SurveyorOne)
	visit = syncproto.Ref{Kind: "visit", ID: "v1"}
	p.push(p.group(refOf(home), p.visit(home, "", "v1")...))
	if err := c.loop.Review(c.t.Context(), actor(c.world.Cast().TownReviewer), loop.ReviewInput{Visit: "v1", Approve: true}); err != nil {
		c.t.Fatal(err)
	}
	_, env := c.record(visit)
	g := p.group(refOf(home), syncproto.Change{Op: syncproto.OpSet, Ref: visit, Fields: syncproto.Fields(map[string]any{"q_wages": 77}),
		Base: map[string]syncproto.Stamp{"q_wages": env.Of("q_wages").Stamp}})
	p.push(g)
	return visit, syncproto.Ref{Kind: "amendment", ID: syncproto.DerivedID("amendment", string(syncproto.MakeStamp(g.Device, g.Dseq)))}
}

func TestAmendmentsAreDecidedOnce(t *testing.T) {
	for _, accept := range []bool{true, false} {
		c, ctx := newCounty(t), t.Context()
		cast := c.world.Cast()
		visit, amendment := c.amended(cast.Missed.Household)
		before, _ := c.record(visit)
		reviewer := actor(cast.TownReviewer)
		wants(t, c.loop.DecideAmendment(ctx, actor(cast.BureauOfficer), amendment.ID, accept, "x"), casework.CodeForbidden)
		wants(t, c.loop.DecideAmendment(ctx, reviewer, amendment.ID, false, ""), casework.CodeInvalidValue)
		wants(t, c.loop.DecideAmendment(ctx, reviewer, amendment.ID, accept, "核对工资流水"), "")
		wants(t, c.loop.DecideAmendment(ctx, reviewer, amendment.ID, accept, "核对工资流水"), casework.CodeInvalidTransition)
		got, env := c.record(visit)
		done, _ := c.record(amendment)
		if accept {
			if got.Int("q_wages") != 77 || string(env.Of("q_wages").Stamp) != done.Str("stamp") || env.Of("q_wages").Time != done.Int("time") || done.Str("state") != "accepted" {
				t.Errorf("%s, %s", got.Bytes(), done.Bytes())
			}
		} else if got.Int("q_wages") != before.Int("q_wages") || done.Str("state") != "rejected" || !syncproto.IsSealed(done.Get("reason")) {
			t.Errorf("%s, %s", got.Bytes(), done.Bytes())
		}
		c.balanced()
	}
}
