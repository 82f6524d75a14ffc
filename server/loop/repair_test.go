package loop_test

import (
	"crypto/ed25519"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/storage/sqlite"
	"aidloop/syncproto"
)

// fed is one bucket of a response.
type fed struct {
	start syncproto.BucketStart
	rows  []syncproto.Row
	refs  []string
	check *syncproto.Checkpoint
}

// feed pulls, and parts the response into its buckets. Drops are buckets without a start.
func feed(t *testing.T, l *loop.Loop, r loop.Reader, want syncproto.Want) (map[string]*fed, bool) {
	t.Helper()
	out, _, more, err := l.Feed(t.Context(), r, &want, nil)
	if err != nil {
		t.Fatal(err)
	}
	list := map[string]*fed{}
	var at *fed
	for len(out) > 0 {
		f, rest, err := syncproto.NextFrame(out)
		if err != nil {
			t.Fatal(err)
		}
		out = rest
		switch f.Type {
		case syncproto.FrameBucket:
			at = &fed{}
			err = f.Decode(&at.start)
			list[at.start.Bucket] = at
		case syncproto.FrameRow:
			row, _ := syncproto.ParseRow(f.Payload)
			var env syncproto.Envelope
			env, err = syncproto.ParseEnvelope(row.Envelope)
			at.rows, at.refs = append(at.rows, row), append(at.refs, env.Ref.String())
		case syncproto.FrameCheckpoint:
			at.check = &syncproto.Checkpoint{}
			err = f.Decode(at.check)
		case syncproto.FrameDrop:
			var d syncproto.Drop
			err = f.Decode(&d)
			list[d.Bucket] = &fed{}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return list, more
}

// leavesOf are the leaves of rows as a device holds them.
func leavesOf(t *testing.T, rows []syncproto.Row) *syncproto.Leaves {
	t.Helper()
	leaves := &syncproto.Leaves{}
	for _, r := range rows {
		env, err := syncproto.ParseEnvelope(r.Envelope)
		if err != nil {
			t.Fatal(err)
		}
		leaves.Add(env.Ref, syncproto.RowHash(r.Envelope, r.Body))
	}
	return leaves
}

func (c *county) looping(store *sqlite.Store, repairRows int) *loop.Loop {
	newID := func() string { c.ids++; return syncproto.DerivedID("test", time.Unix(int64(c.ids), 0).String()) }
	return loop.New(loop.Options{Store: store, Clock: func() time.Time { return c.now }, NewID: newID, RepairRows: repairRows,
		Secrets: loop.Secrets{Master: syncproto.Key{1}, Signing: ed25519.NewKeyFromSeed(make([]byte, 32))}})
}

// repairs is a county, a phone of it, the grid that it holds, and what a device that lost bits would ask.
func repairs(t *testing.T) (c *county, r loop.Reader, grid string, held *fed, ask syncproto.Repair) {
	t.Helper()
	c = newCounty(t)
	p := c.phone(c.world.Cast().SurveyorOne)
	r = loop.Reader{User: p.user.ID, Device: p.id}
	grid = syncproto.BucketGrid + c.world.Cast().Grid.Code
	all, _ := feed(t, c.loop, r, syncproto.Want{})
	held = all[grid]
	if held == nil || len(held.rows) < 10 {
		t.Fatalf("the grid has too few rows: %+v", held)
	}
	cur := syncproto.Cursor{Incarnation: held.check.Incarnation, Seq: held.check.Seq}
	ask = syncproto.Repair{Bucket: grid, Cursor: cur.String(), Count: held.check.Count, Digest: syncproto.Hash{1}.String()}
	return c, r, grid, held, ask
}

// A device that holds one row otherwise, lacks one and has one too many gets the rows of these three leaves and no
// others, and the mismatch is on record once.
func TestRepairSendsTheLeavesThatDiffer(t *testing.T) {
	c, r, grid, held, ask := repairs(t)
	l := c.looping(c.store, 5)
	mine := leavesOf(t, held.rows[1:])
	spoilt := append(syncproto.Raw(nil), held.rows[1].Body...)
	spoilt[len(spoilt)/2] ^= 1
	second, err := syncproto.ParseRef(held.refs[1])
	if err != nil {
		t.Fatal(err)
	}
	mine[syncproto.Leaf(second)] = mine[syncproto.Leaf(second)].Sub(syncproto.RowHash(held.rows[1].Envelope, held.rows[1].Body)).
		Add(syncproto.RowHash(held.rows[1].Envelope, spoilt))
	ghost := syncproto.Ref{Kind: "visit", ID: "ghost"}
	mine.Add(ghost, syncproto.Hash{9})
	ask.Leaves = mine.Bytes()
	first, err := syncproto.ParseRef(held.refs[0])
	if err != nil {
		t.Fatal(err)
	}
	odd := []byte{syncproto.Leaf(first), syncproto.Leaf(second), syncproto.Leaf(ghost)}
	var want []string
	for _, ref := range held.refs {
		if x, err := syncproto.ParseRef(ref); err == nil && slices.Contains(odd, syncproto.Leaf(x)) {
			want = append(want, ref)
		}
	}
	for range 2 {
		all, more := feed(t, l, r, syncproto.Want{Repair: []syncproto.Repair{ask}, Cursors: []syncproto.BucketCursor{}})
		got := all[grid]
		if got == nil || more || got.start.Fresh || !slices.Equal(got.refs, want) || *got.check != *held.check {
			t.Fatalf("it sends %+v", got)
		}
		set, err := syncproto.ParseLeafSet(got.start.Leaves)
		if err != nil {
			t.Fatal(err)
		}
		for leaf := range syncproto.LeafCount {
			if set.Has(byte(leaf)) != slices.Contains(odd, byte(leaf)) {
				t.Errorf("leaf %d: %v", leaf, set.Has(byte(leaf)))
			}
		}
		list, next, err := l.Incidents(t.Context(), actor(c.world.Cast().BureauOfficer), 0, 0)
		if err != nil || len(list) != 1 || next != 0 {
			t.Fatalf("%+v, %v", list, err)
		}
		i := list[0]
		if i.Device != r.Device || i.Bucket != grid || i.Cursor != ask.Cursor || i.Count != ask.Count || i.Digest != (syncproto.Digest{1}) ||
			i.Seq != held.check.Seq || i.ServerCount != held.check.Count || i.ServerDigest.String() != held.check.Digest || i.Leaves != got.start.Leaves || i.At != c.now.UnixMilli() {
			t.Errorf("%+v", i)
		}
	}
}

// The whole bucket is sent where leaves are not worth while or not possible.
func TestRepairSendsTheWholeBucket(t *testing.T) {
	c, r, grid, held, ask := repairs(t)
	small, large := c.looping(c.store, len(held.rows)+1), c.looping(c.store, 5)
	with := func(fn func(*syncproto.Repair)) syncproto.Repair {
		x := ask
		x.Leaves = (&syncproto.Leaves{}).Bytes() // nothing is right
		fn(&x)
		return x
	}
	for _, x := range []struct {
		name string
		l    *loop.Loop
		ask  syncproto.Repair
		max  int
	}{
		{"small bucket", small, with(func(x *syncproto.Repair) {}), 0},
		{"no leaves", large, with(func(x *syncproto.Repair) { x.Leaves = nil }), 0},
		{"another life", large, with(func(x *syncproto.Repair) { x.Cursor = "other:1" }), 0},
		{"beyond the head", large, with(func(x *syncproto.Repair) {
			x.Cursor = syncproto.Cursor{Incarnation: held.check.Incarnation, Seq: held.check.Seq + 1}.String()
		}), 0},
		{"larger than the response", large, with(func(x *syncproto.Repair) {}), 4096},
	} {
		t.Run(x.name, func(t *testing.T) {
			want := syncproto.Want{Repair: []syncproto.Repair{x.ask}, MaxBytes: x.max, Cursors: []syncproto.BucketCursor{}}
			if x.max > 0 { // the other buckets are up to date and take no room
				all, _ := feed(t, x.l, r, syncproto.Want{})
				for name, b := range all {
					if name != grid {
						want.Cursors = append(want.Cursors, syncproto.BucketCursor{Bucket: name, Cursor: syncproto.Cursor{Incarnation: b.check.Incarnation, Seq: b.check.Seq}.String()})
					}
				}
			}
			all, more := feed(t, x.l, r, want)
			got := all[grid]
			if got == nil || !got.start.Fresh || got.start.Leaves != "" || more != (x.max > 0) || x.max == 0 && len(got.rows) != len(held.rows) {
				t.Errorf("it sends %+v, more %v", got.start, more)
			}
		})
	}
	before, _, err := large.Incidents(t.Context(), actor(c.world.Cast().BureauOfficer), 0, 0)
	if err != nil || len(before) == 0 || before[0].Leaves != "" {
		t.Errorf("%+v, %v", before, err)
	}
	foreign := syncproto.BucketGrid + "430681999999-001"
	all, _ := feed(t, large, r, syncproto.Want{Repair: []syncproto.Repair{with(func(x *syncproto.Repair) { x.Bucket = foreign })}})
	if got := all[foreign]; got == nil || got.start.Bucket != "" {
		t.Errorf("a bucket outside the scope is not dropped: %+v", got)
	}
	after, _, err := large.Incidents(t.Context(), actor(c.world.Cast().BureauOfficer), 0, 0)
	if err != nil || len(after) != len(before) {
		t.Errorf("a bucket outside the scope is an incident: %+v, %v", after, err)
	}
}

// Leaves that do not fit behind what is sent already wait for the next response.
func TestRepairWaitsForRoom(t *testing.T) {
	c, r, grid, held, ask := repairs(t)
	l := c.looping(c.store, 5)
	ask.Leaves = (&syncproto.Leaves{}).Bytes()
	size := 0
	for _, row := range held.rows {
		size += len(row.Envelope) + len(row.Body) + 17
	}
	whole, _ := feed(t, l, r, syncproto.Want{})
	cursor := func(bucket string) syncproto.BucketCursor {
		k := whole[bucket].check
		return syncproto.BucketCursor{Bucket: bucket, Cursor: syncproto.Cursor{Incarnation: k.Incarnation, Seq: k.Seq}.String()}
	}
	want := syncproto.Want{Repair: []syncproto.Repair{ask}, MaxBytes: size + 100}
	for name := range whole {
		if name != grid && name != syncproto.BucketUser+r.User {
			want.Cursors = append(want.Cursors, cursor(name))
		}
	}
	all, more := feed(t, l, r, want)
	if all[grid] != nil || !more || all[syncproto.BucketUser+r.User].check == nil {
		t.Fatalf("it sends the leaves behind %+v, more %v", all[syncproto.BucketUser+r.User], more)
	}
	want.Cursors = append(want.Cursors, cursor(syncproto.BucketUser+r.User))
	all, more = feed(t, l, r, want)
	if got := all[grid]; got == nil || more || got.start.Fresh || len(got.rows) != len(held.rows) || got.check == nil {
		t.Errorf("with room it sends %+v, more %v", got, more)
	}
}

// Incidents are for those who keep devices and data, each within his region.
func TestIncidentsStayInTheRegion(t *testing.T) {
	c, r, _, _, ask := repairs(t)
	cast := c.world.Cast()
	feed(t, c.loop, r, syncproto.Want{Repair: []syncproto.Repair{ask, {Bucket: syncproto.BucketUser + r.User, Cursor: ask.Cursor, Digest: ask.Digest}}})
	for _, x := range []struct {
		by   casework.Actor
		code string
		n    int
	}{{actor(cast.BureauOfficer), "", 2}, {casework.Actor{UserID: "a", Role: casework.RoleAdmin, Region: cast.Town.Code}, "", 2},
		{casework.Actor{UserID: "a", Role: casework.RoleAdmin, Region: "430682000000"}, "", 0}, {actor(cast.TownReviewer), casework.CodeForbidden, 0}} {
		list, _, err := c.loop.Incidents(t.Context(), x.by, 0, 0)
		wants(t, err, x.code)
		if len(list) != x.n {
			t.Errorf("%s of %s sees %d", x.by.Role, x.by.Region, len(list))
		}
	}
	admin := casework.Actor{UserID: "a", Role: casework.RoleAdmin, Region: cast.Town.Code}
	page, next, err := c.loop.Incidents(t.Context(), admin, 0, 1)
	if err != nil || len(page) != 1 || next != page[0].ID {
		t.Fatalf("%+v %d %v", page, next, err)
	}
	if rest, _, err := c.loop.Incidents(t.Context(), admin, next, 1); err != nil || len(rest) != 1 || rest[0].ID >= next {
		t.Errorf("%+v %v", rest, err)
	}
}

// A restored database goes on from the checkpoints that the backup holds. What the lost life numbered beyond, what was
// staged in it, and what no life of this database ever said begins afresh.
func TestCursorsOfFormerLives(t *testing.T) {
	c := newCounty(t)
	p := c.phone(c.world.Cast().SurveyorOne)
	r := loop.Reader{User: p.user.ID, Device: p.id}
	home := c.world.Cast().Missed.Household
	grid := syncproto.BucketGrid + home.Grid
	at := func() syncproto.Cursor {
		all, _ := feed(t, c.loop, r, syncproto.Want{})
		return syncproto.Cursor{Incarnation: all[grid].check.Incarnation, Seq: all[grid].check.Seq}
	}
	early := at()
	p.push(p.group(refOf(home), p.visit(home, "", "v1")...))
	end := at()
	backup := filepath.Join(t.TempDir(), sqlite.FileName)
	if err := c.store.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	saved := *p
	p.push(p.group(refOf(home), p.visit(home, "", "v2")...))
	lost := at()

	newID := func() string { c.ids++; return syncproto.DerivedID("life", time.Unix(int64(c.ids), 0).String()) }
	store, err := sqlite.Open(t.Context(), sqlite.Options{Dir: filepath.Dir(backup), Clock: func() time.Time { return c.now }, NewID: newID})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	restored := c.looping(store, 0)
	all, _ := feed(t, restored, r, syncproto.Want{Cursors: []syncproto.BucketCursor{{Bucket: grid, Cursor: end.String()}}})
	if got := all[grid]; got == nil || got.start.Fresh || len(got.rows) > 0 || got.check == nil || got.check.Seq != end.Seq || got.check.Incarnation == end.Incarnation {
		t.Fatalf("a cursor at the end does not come home: %+v", got)
	}
	c.loop, p = restored, &saved
	p.push(p.group(refOf(home), p.visit(home, "", "v3")...))
	p.push(p.group(refOf(home), p.visit(home, "", "v4")...))
	head := at()
	if head.Seq < lost.Seq {
		t.Fatalf("the new life is at %s, the lost one was at %s", head, lost)
	}
	for _, x := range []struct {
		name  string
		at    syncproto.BucketCursor
		fresh bool
		from  uint64
		rows  []string
	}{
		{"before the end", syncproto.BucketCursor{Cursor: early.String()}, false, early.Seq, []string{"visit/v1", "lead/" + syncproto.DerivedID("lead", "patrol|v1"), "visit/v3", "visit/v4"}},
		{"at the end", syncproto.BucketCursor{Cursor: end.String()}, false, end.Seq, []string{"visit/v3", "visit/v4"}},
		{"beyond the end", syncproto.BucketCursor{Cursor: lost.String()}, true, 0, nil},
		{"staged", syncproto.BucketCursor{Cursor: early.String(), Staged: true}, true, 0, nil},
		{"of no life", syncproto.BucketCursor{Cursor: "nobody:1"}, true, 0, nil},
	} {
		t.Run(x.name, func(t *testing.T) {
			x.at.Bucket = grid
			all, _ := feed(t, restored, r, syncproto.Want{Cursors: []syncproto.BucketCursor{x.at}})
			got := all[grid]
			if got == nil || got.start.Fresh != x.fresh || got.start.From != x.from || got.check == nil || got.check.Incarnation == early.Incarnation || got.check.Seq != head.Seq {
				t.Fatalf("%+v", got)
			}
			if !x.fresh && !slices.Equal(got.refs, x.rows) {
				t.Errorf("it sends %v, want %v", got.refs, x.rows)
			}
		})
	}
}
