package loop_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"aidloop/fixtures/world"
	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

func newRand() *rand.Rand { return rand.New(rand.NewPCG(5, 5)) }

func refOf(h world.Household) syncproto.Ref { return syncproto.Ref{Kind: "household", ID: h.ID} }

// Whatever is wrong with a group, it is stored, it gets an outcome with a code and words, its author finds the outcome
// in his own bucket, and the groups behind it go through.
func TestBadGroupsAreKeptAndToldApart(t *testing.T) {
	c := newCounty(t)
	cast := c.world.Cast()
	p := c.phone(cast.SurveyorOne)
	home := cast.Missed.Household
	var foreign world.Household
	for _, h := range c.world.Households {
		if h.Grid != cast.Grid.Code {
			foreign = h
		}
	}
	spoil := func(id string, fn func(syncproto.Object) syncproto.Object) []syncproto.Change {
		ch := p.visit(home, "", id)
		ch[0].Fields = fn(ch[0].Fields)
		return ch
	}
	put := func(kind string, fields map[string]any) []syncproto.Change {
		return []syncproto.Change{{Op: syncproto.OpPut, Ref: syncproto.Ref{Kind: kind, ID: "x-" + kind}, Fields: syncproto.Fields(fields)}}
	}
	unknown := func(act string) []syncproto.Change {
		id := "v-" + act
		return append(p.visit(home, "", id), syncproto.Change{Op: syncproto.OpAct, Ref: syncproto.Ref{Kind: "visit", ID: id}, Act: act})
	}
	for _, x := range []struct {
		name    string
		root    syncproto.Ref
		changes []syncproto.Change
		status  syncproto.GroupStatus
		code    syncproto.Code
	}{
		{"second surveyor missing", refOf(home), spoil("v1", func(o syncproto.Object) syncproto.Object { return o.With("surveyor_2", nil) }), "rejected", "guard_failed"},
		{"signature missing", refOf(home), spoil("v2", func(o syncproto.Object) syncproto.Object { return o.With("q_sign_surveyor_2", nil) }), "rejected", "guard_failed"},
		{"household of another grid", refOf(foreign), p.visit(foreign, "", "v3"), "held", "unknown_or_out_of_scope"},
		{"household that does not exist", syncproto.Ref{Kind: "household", ID: "nobody"}, p.visit(home, "", "v4"), "held", "unknown_or_out_of_scope"},
		{"kind of a newer app", refOf(home), put("drone_flight", map[string]any{"a": 1}), "held", "unknown_kind"},
		{"field of the server", refOf(home), spoil("v5", func(o syncproto.Object) syncproto.Object { return o.With("state", syncproto.Raw(`"approved"`)) }), "rejected", "server_field"},
		{"wrong type", refOf(home), spoil("v6", func(o syncproto.Object) syncproto.Object { return o.With("visited_at", syncproto.Raw(`12`)) }), "rejected", "invalid_value"},
		{"unknown choice", refOf(home), spoil("v7", func(o syncproto.Object) syncproto.Object { return o.With("met", syncproto.Raw(`"maybe"`)) }), "rejected", "invalid_value"},
		{"sensitive field in the open", refOf(home), put("person", map[string]any{"name": "某人"}), "rejected", "not_sealed"},
		{"a review by a grid worker", refOf(home), put("review", map[string]any{"decision": "approved"}), "rejected", "not_allowed"},
		{"a transition that is not there", refOf(home), unknown("fly"), "held", "stale_state"},
		{"an approval by a grid worker", refOf(home), unknown("approve"), "rejected", "not_allowed"},
		{"an edit of what is not there", refOf(home), []syncproto.Change{{Op: syncproto.OpSet, Ref: syncproto.Ref{Kind: "visit", ID: "v-none"},
			Fields: syncproto.Fields(map[string]any{"q_wages": 1}), Base: map[string]syncproto.Stamp{"q_wages": "d:1"}}}, "held", "missing_base"},
		{"somebody else's notices", syncproto.Ref{Kind: "user", ID: cast.SurveyorTwo.ID}, put("notice", map[string]any{"title": "x"}), "held", "unknown_or_out_of_scope"},
	} {
		t.Run(x.name, func(t *testing.T) {
			g := p.group(x.root, x.changes...)
			o := p.push(g)
			if o.Status != x.status || o.Code != x.code || o.Reason == "" {
				t.Fatalf("%+v", o)
			}
			told, _ := c.record(syncproto.Ref{Kind: "outcome", ID: syncproto.DerivedID("outcome", fmt.Sprintf("%s:%d", p.id, g.Dseq))})
			if told.Str("status") != string(x.status) || told.Str("code") != string(x.code) || told.Str("reason") == "" {
				t.Errorf("the author is told %v", told)
			}
		})
	}
	good := p.push(p.group(refOf(home), p.visit(home, "", "v-good")...))
	if good.Status != syncproto.GroupJudged || good.Changes != nil {
		t.Errorf("the queue is stuck: %+v", good)
	}
	c.balanced()
}

// A group whose inside cannot be read takes its place in the chain and is rejected; what is behind it goes through.
func TestUnreadableGroupDoesNotWedgeTheQueue(t *testing.T) {
	c := newCounty(t)
	p := c.phone(c.world.Cast().SurveyorOne)
	home := c.world.Cast().Missed.Household
	p.next = 3
	bad := syncproto.SignedGroup{Dseq: 1, Changes: 2, Bytes: []byte(`{"half a gr`)}
	out, err := c.loop.Receive(t.Context(), p.request(bad, p.signed(p.group(refOf(home), p.visit(home, "", "v1")...))))
	if err != nil {
		t.Fatal(err)
	}
	if o := out.Outcomes.Groups; o[0].Code != syncproto.CodeBadChange || o[1].Status != syncproto.GroupJudged {
		t.Errorf("%+v", o)
	}
	c.balanced()
}

// The same push again, in whole or in part, changes nothing and is answered as it was the first time.
func TestRedeliveryChangesNothing(t *testing.T) {
	c := newCounty(t)
	p := c.phone(c.world.Cast().SurveyorOne)
	home := c.world.Cast().Missed.Household
	var groups []syncproto.SignedGroup
	for i := range 6 {
		groups = append(groups, p.signed(p.group(refOf(home), p.visit(home, "", fmt.Sprintf("v%d", i))...)))
	}
	first, err := c.loop.Receive(t.Context(), p.request(groups...))
	if err != nil {
		t.Fatal(err)
	}
	before, err := c.loop.Check(t.Context(), noBlobs)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(r *rapid.T) {
		from := rapid.IntRange(0, 5).Draw(r, "from")
		to := rapid.IntRange(from+1, 6).Draw(r, "to")
		p.head = syncproto.ChainStart(p.id)
		for _, g := range groups[:from] {
			p.head = syncproto.ChainNext(p.head, syncproto.GroupHash(g.Bytes))
		}
		again, err := c.loop.Receive(t.Context(), p.request(groups[from:to]...))
		if err != nil {
			r.Fatal(err)
		}
		for i, o := range again.Outcomes.Groups {
			want := first.Outcomes.Groups[from+i]
			if !o.Replay || o.Dseq != want.Dseq || o.Status != want.Status || *o.At != *want.At || o.Time != want.Time {
				r.Fatalf("%+v, first %+v", o, want)
			}
		}
	})
	after, err := c.loop.Check(t.Context(), noBlobs)
	if err != nil || after.Rows != before.Rows || after.Entries != before.Entries || after.Groups != before.Groups {
		t.Errorf("redelivery left something behind: %+v, before %+v", after, before)
	}
	c.balanced()
}

// A gap says where the server stands; a fork or other bytes under a known number freeze the phone and keep the bytes.
func TestGapsAndForks(t *testing.T) {
	c := newCounty(t)
	home := c.world.Cast().Missed.Household
	refusal := func(p *phone, groups ...syncproto.SignedGroup) *syncproto.Error {
		_, err := c.loop.Receive(t.Context(), p.request(groups...))
		var e *syncproto.Error
		if !errors.As(err, &e) {
			t.Fatalf("taken: %v", err)
		}
		return e
	}
	p := c.phone(c.world.Cast().SurveyorOne)
	p.push(p.group(refOf(home), p.visit(home, "", "v1")...))
	lost := p.signed(p.group(refOf(home), p.visit(home, "", "v2")...))
	_ = p.request(lost)
	if e := refusal(p, p.signed(p.group(refOf(home), p.visit(home, "", "v3")...))); e.Code != syncproto.CodeDseqGap || e.Have != 2 {
		t.Errorf("%+v", e)
	}

	q := c.phone(c.world.Cast().SurveyorTwo)
	start := q.head
	q.push(q.group(refOf(home), q.visit(home, "", "w1")...))
	q.head, q.next = start, 1 // the phone was put back from an older copy, and captured something else
	other := q.signed(q.group(refOf(home), q.visit(home, "", "w2")...))
	for range 2 {
		q.head = start
		if e := refusal(q, other); e.Code != syncproto.CodeDseqReused && e.Code != syncproto.CodeFork {
			t.Errorf("%+v", e)
		}
	}
	if c.has(syncproto.Ref{Kind: "visit", ID: "w2"}) {
		t.Error("a fork's group was applied")
	}
	kept := 0
	err := c.store.Read(t.Context(), func(tx loop.ReadTx) error {
		return tx.Batches(q.id, func(b *loop.Batch) error {
			if b.Foreign {
				kept++
			}
			return nil
		})
	})
	if err != nil || kept != 1 {
		t.Errorf("%d copies of the foreign bytes are kept, %v", kept, err)
	}
	c.balanced()
}

// Two people write the same fields without a signal. The later one stands, the earlier one is kept with its author for
// people to settle, whoever comes first and whatever the phones' clocks say.
func TestConcurrentEditsLoseNothing(t *testing.T) {
	for _, order := range [][]int{{0, 1}, {1, 0}} {
		c := newCounty(t)
		cast := c.world.Cast()
		home := refOf(cast.Missed.Household)
		_, env := c.record(home)
		phones := []*phone{c.phone(cast.SurveyorOne), c.phone(cast.SurveyorTwo)}
		var groups []syncproto.SignedGroup
		for i, p := range phones {
			c.now = c.now.Add(time.Hour)
			groups = append(groups, p.signed(p.group(home, syncproto.Change{Op: syncproto.OpSet, Ref: home,
				Fields: syncproto.Fields(map[string]any{"members_count": 10 + i}), Base: map[string]syncproto.Stamp{"members_count": env.Of("members_count").Stamp}})))
		}
		for _, i := range order {
			if _, err := c.loop.Receive(t.Context(), phones[i].request(groups[i])); err != nil {
				t.Fatal(err)
			}
		}
		got, _ := c.record(home)
		if n := got.Int("members_count"); n != 11 {
			t.Errorf("order %v: %d stands", order, n)
		}
		losers := 0
		err := c.store.Read(t.Context(), func(tx loop.ReadTx) error {
			return tx.ByRoot(home, "", func(s *loop.Stored) error {
				if s.Ref.Kind != "conflict" {
					return nil
				}
				losers++
				body, err := syncproto.ParseObject(s.Body)
				if err != nil {
					return err
				}
				loser, err := syncproto.ParseObject(body.Get("loser"))
				if loser.Int("value") != 10 || loser.Str("author") != cast.SurveyorOne.ID {
					t.Errorf("order %v: kept %s", order, body.Get("loser"))
				}
				return err
			})
		})
		if err != nil || losers != 1 {
			t.Errorf("order %v: %d values are kept, %v", order, losers, err)
		}
		c.balanced()
	}
}

// An edit of an approved visit does not change it; it waits as an amendment.
func TestApprovedVisitsAreAmended(t *testing.T) {
	c := newCounty(t)
	cast := c.world.Cast()
	p := c.phone(cast.SurveyorOne)
	home := cast.Missed.Household
	visit := syncproto.Ref{Kind: "visit", ID: "v1"}
	p.push(p.group(refOf(home), p.visit(home, "", "v1")...))
	reviewer := casework.Actor{UserID: cast.TownReviewer.ID, Role: casework.RoleTownReviewer, Region: cast.TownReviewer.Region}
	if err := c.loop.Review(t.Context(), reviewer, loop.ReviewInput{Visit: "v1", Approve: true}); err != nil {
		t.Fatal(err)
	}
	was, env := c.record(visit)
	o := p.push(p.group(refOf(home), syncproto.Change{Op: syncproto.OpSet, Ref: visit, Fields: syncproto.Fields(map[string]any{"q_wages": 77}),
		Base: map[string]syncproto.Stamp{"q_wages": env.Of("q_wages").Stamp}}))
	if o.Code != syncproto.CodeAmendment || !slices.Equal(o.Changes, []syncproto.ChangeStatus{syncproto.StatusConflict}) {
		t.Errorf("%+v", o)
	}
	if now, _ := c.record(visit); string(now.Bytes()) != string(was.Bytes()) {
		t.Error("an approved visit was changed")
	}
	c.balanced()
}

// Work under a revoked grant is not lost: clean edits still count, workflow steps wait for people.
func TestWorkUnderARevokedGrant(t *testing.T) {
	c := newCounty(t)
	cast := c.world.Cast()
	p := c.phone(cast.SurveyorOne)
	home := refOf(cast.Missed.Household)
	_, env := c.record(home)
	edit := p.signed(p.group(home, syncproto.Change{Op: syncproto.OpSet, Ref: home, Fields: syncproto.Fields(map[string]any{"members_count": 9}),
		Base: map[string]syncproto.Stamp{"members_count": env.Of("members_count").Stamp}}))
	step := p.signed(p.group(home, p.visit(cast.Missed.Household, "", "v1")...))
	admin := casework.Actor{UserID: "a", Role: casework.RoleAdmin, Region: "430681000000"}
	if err := c.loop.RevokeGrant(t.Context(), admin, p.user.ID, cast.Grid.Code); err != nil {
		t.Fatal(err)
	}
	c.now = c.now.Add(24 * time.Hour)
	out, err := c.loop.Receive(t.Context(), p.request(edit, step))
	if err != nil {
		t.Fatal(err)
	}
	if o := out.Outcomes.Groups; o[0].Status != syncproto.GroupJudged || o[0].At != nil || o[1].Code != syncproto.CodeGrantRevoked {
		t.Errorf("%+v", o)
	}
	if now, _ := c.record(home); now.Int("members_count") != 9 {
		t.Error("a clean edit was lost")
	}
	// The desk gives the grid back; the open group is judged and its author hears of it.
	if err := c.loop.Grant(t.Context(), admin, loop.GridGrant{User: p.user.ID, Grid: cast.Grid.Code}); err != nil {
		t.Fatal(err)
	}
	if n, err := c.loop.Settle(t.Context()); err != nil || n != 1 {
		t.Errorf("settled %d, %v", n, err)
	}
	if v, _ := c.record(syncproto.Ref{Kind: "visit", ID: "v1"}); v.Str("state") != "submitted" {
		t.Errorf("the visit is %s", v.Str("state"))
	}
	c.balanced()
}

// What a revoked phone still sends is kept, apart, whatever people decide, until it is enrolled anew.
func TestRevokedPhonesWorkIsKeptApart(t *testing.T) {
	c, ctx := newCounty(t), t.Context()
	cast := c.world.Cast()
	home := cast.Missed.Household
	p := c.phone(cast.SurveyorOne)
	if err := c.loop.RevokeDevice(ctx, casework.System, p.id); err != nil {
		t.Fatal(err)
	}
	o := p.push(p.group(refOf(home), syncproto.Change{Op: syncproto.OpPut, Ref: syncproto.Ref{Kind: "person", ID: "p-new"},
		Fields: syncproto.Fields(map[string]any{"household": home.ID, "relation": "child"})}))
	if o.Status != syncproto.GroupHeld || o.Code != syncproto.CodeQuarantine || c.has(syncproto.Ref{Kind: "person", ID: "p-new"}) {
		t.Fatalf("%+v", o)
	}
	again, err := c.loop.DecideHeld(ctx, actor(cast.TownReviewer), p.id, o.Dseq, true, "")
	if err != nil || again.Status != syncproto.GroupHeld || again.Time != o.Time {
		t.Errorf("tried again: %+v, %v", again, err)
	}
	c.balanced()
}

// Every step but a phone's own has effects or guards that only a desk's verb brings: whoever holds the phone, and whatever
// his role may do at the desk, it is not taken by a push.
func TestPhonesTakeNoStepOfTheDesk(t *testing.T) {
	c := newCounty(t)
	cast := c.world.Cast()
	home := cast.Missed.Household
	worker, reviewer := c.phone(cast.SurveyorOne), c.phone(cast.TownReviewer)
	if err := c.loop.Grant(t.Context(), casework.System, loop.GridGrant{User: cast.TownReviewer.ID, Grid: cast.Grid.Code}); err != nil {
		t.Fatal(err)
	}
	if out := worker.push(worker.group(refOf(home), worker.visit(home, "", "v1")...)); out.Status != syncproto.GroupJudged {
		t.Fatalf("%+v", out)
	}
	visit := syncproto.Ref{Kind: "visit", ID: "v1"}
	for _, step := range []string{"approve", "return", "void"} {
		out := reviewer.push(reviewer.group(refOf(home), syncproto.Change{Op: syncproto.OpAct, Ref: visit, Act: step}))
		if body, _ := c.record(visit); out.Status != syncproto.GroupRejected || out.Code != syncproto.CodeNotAllowed || body.Str("state") != "submitted" {
			t.Errorf("%s: %+v, the visit is %s", step, out, body.Str("state"))
		}
	}
}
