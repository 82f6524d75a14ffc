package loop_test

import (
	"slices"
	"testing"
	"time"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// sent pushes one visit that was captured under a clock, with the phone's clock at the push.
func (p *phone) sent(id string, captured, atPush syncproto.Clock, edit func(syncproto.Object) syncproto.Object) syncproto.Outcome {
	p.c.t.Helper()
	home := p.c.world.Cast().Missed.Household
	changes := p.visit(home, "", id)
	changes[0].Fields = edit(changes[0].Fields)
	g := p.group(refOf(home), changes...)
	g.Clock = captured
	push := p.request(p.signed(g))
	push.Request.Hello.Wall, push.Request.Hello.Mono, push.Request.Hello.Boot = atPush.Wall, atPush.Mono, atPush.Boot
	b := syncproto.AppendJSON(nil, syncproto.FrameHello, push.Request.Hello)
	for _, x := range push.Request.Groups {
		b = syncproto.AppendGroup(b, x.Dseq, x.Changes, x.Bytes)
	}
	b = syncproto.AppendJSON(b, syncproto.FrameSign, push.Request.Sign)
	push.Body = syncproto.AppendJSON(b, syncproto.FrameEnd, syncproto.End{Frames: 3})
	out, err := p.c.loop.Receive(p.c.t.Context(), push)
	if err != nil {
		p.c.t.Fatal(err)
	}
	return out.Outcomes.Groups[0]
}

// at writes the visit's times as the phone's clock has them.
func at(start, end int64) func(syncproto.Object) syncproto.Object {
	return func(o syncproto.Object) syncproto.Object {
		write := func(name string, ms int64) {
			o = o.With(name, syncproto.MustValue(time.UnixMilli(ms).UTC().Format(time.RFC3339)))
		}
		write("visited_at", start)
		write("started_at", start)
		write("ended_at", end)
		return o
	}
}

// A visit's times are shown as claimed, received and corrected; late entry and clocks that were set are noted for the
// reviewer, and nothing is refused for them.
func TestTimesOfVisits(t *testing.T) {
	c := newCounty(t)
	cast := c.world.Cast()
	p := c.phone(cast.SurveyorOne)
	now := c.now.UnixMilli() / 1000 * 1000 // forms write whole seconds
	c.now = time.UnixMilli(now)
	const minute, hour = int64(60_000), int64(3600_000)
	year := 365 * 24 * hour
	for _, x := range []struct {
		name             string
		captured, atPush syncproto.Clock
		start, end       int64
		late             bool
		doubts           []string
		correctedEnd     int64
		by               syncproto.Correction
	}{
		{"in order", syncproto.Clock{Wall: now - 2*hour, Mono: 1, Boot: "a"}, syncproto.Clock{Wall: now, Mono: 2*hour + 1, Boot: "a"},
			now - 3*hour, now - 2*hour, false, nil, now - 2*hour, syncproto.ByMono},
		{"three days without a network", syncproto.Clock{Wall: now - 72*hour, Mono: 1, Boot: "b"}, syncproto.Clock{Wall: now, Mono: 72*hour + 1, Boot: "b"},
			now - 73*hour, now - 72*hour, false, nil, now - 72*hour, syncproto.ByMono},
		{"entered two days later", syncproto.Clock{Wall: now - hour, Mono: 1, Boot: "c"}, syncproto.Clock{Wall: now, Mono: hour + 1, Boot: "c"},
			now - 50*hour, now - 49*hour, true, []string{"late_entry"}, now - 49*hour, syncproto.ByMono},
		{"a clock that is a year behind", syncproto.Clock{Wall: now - year - 2*hour, Mono: 1, Boot: "d"}, syncproto.Clock{Wall: now - year, Mono: 2*hour + 1, Boot: "d"},
			now - year - 3*hour, now - year - 2*hour - 10*minute, false, nil, now - 2*hour - 10*minute, syncproto.ByMono},
		{"set forward before the push", syncproto.Clock{Wall: now - year - 2*hour, Mono: 1, Boot: "e"}, syncproto.Clock{Wall: now, Mono: 2*hour + 1, Boot: "e"},
			now - year - 3*hour, now - year - 2*hour, false, []string{"clock_jumped"}, now - 2*hour, syncproto.ByMono},
		{"in 1970, started anew", syncproto.Clock{Wall: 5 * hour, Mono: 1, Boot: "f"}, syncproto.Clock{Wall: 7 * hour, Mono: 1, Boot: "g"},
			4 * hour, 5 * hour, false, []string{"clock_before_app"}, now - 2*hour, syncproto.ByWall},
		{"a day ahead", syncproto.Clock{Wall: now + 24*hour, Mono: 1, Boot: "h"}, syncproto.Clock{Wall: now + 25*hour, Mono: hour + 1, Boot: "h"},
			now + 23*hour, now + 24*hour, false, []string{"clock_ahead"}, now - hour, syncproto.ByMono},
	} {
		t.Run(x.name, func(t *testing.T) {
			id := "v-" + x.captured.Boot
			if o := p.sent(id, x.captured, x.atPush, at(x.start, x.end)); o.Status != syncproto.GroupJudged {
				t.Fatalf("%+v", o)
			}
			ref := syncproto.Ref{Kind: "visit", ID: id}
			body, _ := c.record(ref)
			if got := string(body.Get("late")) == "true"; got != x.late {
				t.Errorf("late %v", got)
			}
			view, err := c.loop.Case(t.Context(), actor(cast.TownReviewer), ref)
			if err != nil {
				t.Fatal(err)
			}
			v := view.Times
			if v == nil || v.Claimed["ended_at"] != x.end || v.Form["ended_at"] != x.correctedEnd || v.Entry.Claimed != x.captured.Wall || v.Entry.Received != now ||
				v.Entry.By != x.by || v.Late != x.late || v.Waited != now-x.correctedEnd {
				t.Errorf("%+v, want the end at %d", v, x.correctedEnd)
			}
			noted := slices.DeleteFunc(slices.Clone(v.Evidence), func(s string) bool { return s == "clock_set_back" }) // from one case to the next
			if !slices.Equal(noted, x.doubts) {
				t.Errorf("evidence %v, want %v", v.Evidence, x.doubts)
			}
			written := view.Record.Written["visited_at"]
			if written.By != cast.SurveyorOne.ID || written.Times == nil || written.Times.Corrected != written.At {
				t.Errorf("%+v", written)
			}
			list, err := c.loop.Queue(t.Context(), actor(cast.TownReviewer), loop.Filter{Kind: "visit", States: []string{"submitted"}})
			if err != nil {
				t.Fatal(err)
			}
			for _, it := range list.Items {
				if it.Ref == ref && !slices.Equal(it.Evidence, x.doubts) {
					t.Errorf("the queue shows %v, want %v", it.Evidence, x.doubts)
				}
			}
		})
	}
	c.balanced()
}

// A record's history says who wrote what, where and when, without opening what is sealed; who may not read the case may
// not read it either.
func TestHistoryOfARecord(t *testing.T) {
	c := newCounty(t)
	cast := c.world.Cast()
	ctx := t.Context()
	p := c.phone(cast.SurveyorOne)
	home := cast.Missed.Household
	if o := p.push(p.group(refOf(home), p.visit(home, "", "v1")...)); o.Status != syncproto.GroupJudged {
		t.Fatalf("%+v", o)
	}
	c.now = c.now.Add(time.Hour)
	reviewer := actor(cast.TownReviewer)
	if err := c.loop.Review(ctx, reviewer, loop.ReviewInput{Visit: "v1", Comments: []loop.Comment{{Question: "conclusion", Text: "请补充"}}}); err != nil {
		t.Fatal(err)
	}
	ref := syncproto.Ref{Kind: "visit", ID: "v1"}
	_, env := c.record(ref)
	c.now = c.now.Add(time.Hour)
	fix := p.group(refOf(home), syncproto.Change{Op: syncproto.OpSet, Ref: ref, Fields: syncproto.Fields(map[string]any{"mode_reason": "电话补问"}),
		Base: map[string]syncproto.Stamp{"mode_reason": env.Of("mode_reason").Stamp}}, syncproto.Change{Op: syncproto.OpAct, Ref: ref, Act: "submit"})
	if o := p.push(fix); o.Status != syncproto.GroupJudged {
		t.Fatalf("%+v", o)
	}
	list, next, err := c.loop.History(ctx, reviewer, ref, 0, 0)
	if err != nil || len(list) != 3 || next != 0 {
		t.Fatalf("%+v, %d, %v", list, next, err)
	}
	first, second, third := list[0], list[1], list[2]
	if first.By != cast.SurveyorOne.ID || first.Device != p.id || first.Stamp != syncproto.MakeStamp(p.id, 1) || first.Set["met"] != "seen" || len(first.Sealed) == 0 || first.Times.Received == 0 {
		t.Errorf("%+v", first)
	}
	for name, v := range first.Set {
		if m, ok := v.(map[string]any); ok && m["$s"] != nil || slices.Contains(first.Sealed, name) {
			t.Errorf("%s is shown", name)
		}
	}
	if second.By != "server" || second.Device != "" || second.Times.By != syncproto.ByServer || second.Set["state"] != "returned" || second.At != c.now.Add(-time.Hour).UnixMilli() {
		t.Errorf("%+v", second)
	}
	if third.By != cast.SurveyorOne.ID || third.Set["mode_reason"] != "电话补问" || third.Set["state"] != "submitted" || !slices.Contains(third.Cleared, "returned_questions") ||
		!slices.Contains(third.Server, "returned_questions") || slices.Contains(third.Server, "mode_reason") || third.At != c.now.UnixMilli() || third.Times.Corrected != c.now.UnixMilli() {
		t.Errorf("%+v", third)
	}
	page, next, err := c.loop.History(ctx, reviewer, ref, 1, 1)
	if err != nil || len(page) != 1 || page[0].N != 2 || next != 2 {
		t.Errorf("%+v, %d, %v", page, next, err)
	}
	_, _, err = c.loop.History(ctx, actor(cast.YBJ), ref, 0, 0)
	wants(t, err, casework.CodeForbidden)
	_, _, err = c.loop.History(ctx, casework.Actor{UserID: "x", Role: casework.RoleTownReviewer, Region: "430682101000"}, ref, 0, 0)
	wants(t, err, casework.CodeNotFound)
	_, _, err = c.loop.History(ctx, reviewer, syncproto.Ref{Kind: "key", ID: syncproto.DerivedID("key", refOf(home).String())}, 0, 0)
	if err == nil {
		t.Error("keys have a history to show")
	}
}

// A group that people decide later is dated by its receipt all the same.
func TestHeldGroupsKeepTheirTime(t *testing.T) {
	c := newCounty(t)
	cast := c.world.Cast()
	p := c.phone(cast.SurveyorOne)
	home := cast.Missed.Household
	for _, h := range c.world.Households {
		if h.Grid != cast.Grid.Code && h.Grid[:9] == cast.Grid.Code[:9] {
			home = h
		}
	}
	g := p.group(refOf(home), syncproto.Change{Op: syncproto.OpSet, Ref: refOf(home), Fields: syncproto.Fields(map[string]any{"members_count": 9}),
		Base: map[string]syncproto.Stamp{"members_count": c.stampOf(home)}})
	o := p.push(g)
	if o.Status != syncproto.GroupHeld {
		t.Fatalf("%+v", o)
	}
	if err := c.loop.Grant(t.Context(), casework.System, loop.GridGrant{User: cast.SurveyorOne.ID, Grid: home.Grid}); err != nil {
		t.Fatal(err)
	}
	c.now = c.now.Add(5 * time.Hour)
	if n, err := c.loop.Settle(t.Context()); err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	if n, at := c.count(home); n != 9 || at != o.Time {
		t.Errorf("%d people at %d, want 9 at %d", n, at, o.Time)
	}
}
