package loop_test

import (
	"slices"
	"testing"
	"time"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// need is a need of a department that the one that has the data has approved.
func (o *office) need(by casework.Actor, in loop.DataNeedInput) string {
	o.t.Helper()
	id, err := o.loop.RequestData(o.t.Context(), by, in)
	o.must(err)
	source, _ := casework.SourceOf(in.Source)
	giver := o.desk
	if source.Dept != "MZJ" {
		giver = o.officer(source.Dept)
	}
	o.must(o.loop.StepDataNeed(o.t.Context(), giver, id, "approve", ""))
	return id
}

func (o *office) packages(month string) loop.PackagesMade {
	o.t.Helper()
	made, err := o.loop.MakePackages(o.t.Context(), o.desk, month)
	o.must(err)
	return *made
}

// packageOf is the id of a month's package of a source.
func (o *office) packageOf(source, month string) string {
	o.t.Helper()
	list, err := o.loop.Queue(o.t.Context(), o.officer("YBJ"), loop.Filter{Kind: "data_package", Limit: 500})
	o.must(err)
	for _, i := range list.Items {
		if i.Fields["source"] == source && i.Fields["month"] == month {
			return i.Ref.ID
		}
	}
	o.t.Fatalf("no package of %s in %s among %d", source, month, len(list.Items))
	return ""
}

func (o *office) month() string { return o.now.Format("2006-01") }

// A need is decided on by the unit that has the data, and seen by all.
func TestDataIsAskedFor(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	medical, schools := o.officer("YBJ"), o.officer("JTJ")
	in := loop.DataNeedInput{Source: "pool", Columns: []string{"id_no", "categories"}, Purpose: "核定资助参保", Mode: "monthly"}
	for name, change := range map[string]func(*loop.DataNeedInput){"source": func(x *loop.DataNeedInput) { x.Source = "secrets" }, "columns": func(x *loop.DataNeedInput) { x.Columns = []string{"phone"} },
		"no columns": func(x *loop.DataNeedInput) { x.Columns = nil }, "purpose": func(x *loop.DataNeedInput) { x.Purpose = " " }, "mode": func(x *loop.DataNeedInput) { x.Mode = "all" },
		"last": func(x *loop.DataNeedInput) { x.Last = "soon" }, "own": func(x *loop.DataNeedInput) { x.Source = "medical"; x.Columns = []string{"id_no"} }} {
		bad := in
		change(&bad)
		if _, err := o.loop.RequestData(ctx, medical, bad); casework.CodeOf(err) != casework.CodeInvalidValue {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := o.loop.RequestData(ctx, o.reviewer, in)
	wants(t, err, casework.CodeForbidden)
	id, err := o.loop.RequestData(ctx, medical, in)
	o.must(err)
	if made := o.packages(o.month()); made.Made != 1 || len(made.Waiting) != 1 { // the standing ones only; nobody has loaded the monitored
		t.Errorf("made before it was approved: %+v", made)
	}
	step := func(by casework.Actor, action, reason string) error {
		return o.loop.StepDataNeed(ctx, by, id, action, reason)
	}
	wants(t, step(medical, "approve", ""), casework.CodeGuardFailed)
	wants(t, step(schools, "withdraw", ""), casework.CodeGuardFailed)
	wants(t, step(o.desk, "refuse", ""), casework.CodeGuardFailed)
	o.must(step(o.desk, "approve", ""))
	wants(t, step(schools, "end", "不用了"), casework.CodeForbidden)
	list, err := o.loop.Queue(ctx, schools, loop.Filter{Kind: "data_need"})
	if o.must(err); len(list.Items) != 1 || list.Items[0].Fields["purpose"] != "核定资助参保" {
		t.Errorf("the register is %+v", list.Items)
	}
	o.must(step(medical, "end", "不再需要"))
	wants(t, step(o.desk, "approve", ""), casework.CodeInvalidTransition)
	for day, want := range map[string]string{"2026-11-01": "2026-11", "2026-11-10": "2026-11", "2026-11-11": "2026-12", "2026-12-31": "2027-01"} {
		if got := casework.FirstMonth(day, 10); got != want {
			t.Errorf("asked for on %s it is served from %s, want %s", day, got, want)
		}
	}
	o.balanced()
}

// A month's packages hold what was approved and nobody else's data, are made once, signed for by the department that they
// are for, and made anew when they are returned.
func TestPackagesAreSignedFor(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	medical := o.officer("YBJ")
	o.now = o.now.AddDate(0, 0, 1-o.now.Day())
	o.need(medical, loop.DataNeedInput{Source: "pool", Columns: []string{"categories", "id_no"}, Purpose: "核定资助参保", Mode: "monthly"})
	if made := o.packages(o.month()); made.Made != 2 {
		t.Fatalf("%+v", made)
	}
	if made := o.packages(o.month()); made.Made != 0 || made.Unchanged != 2 {
		t.Fatalf("made twice: %+v", made)
	}
	_, err := o.loop.MakePackages(ctx, medical, o.month())
	wants(t, err, casework.CodeForbiddenActor)
	id := o.packageOf("pool", o.month())
	for _, by := range []casework.Actor{o.desk, o.officer("JTJ")} {
		_, err := o.loop.FetchPackage(ctx, by, id)
		wants(t, err, casework.CodeGuardFailed)
	}
	wants(t, o.loop.TakePackage(ctx, medical, id, 0, ""), casework.CodeInvalidTransition)
	p, err := o.loop.FetchPackage(ctx, medical, id)
	o.must(err)
	want := 0
	for _, h := range o.world.Households {
		if len(h.Categories) > 0 {
			want += h.MembersCount
		}
	}
	if len(p.Rows) == 0 || len(p.Rows) > want || len(p.Columns) != 2 || p.Columns[0].Name != "id_no" {
		t.Fatalf("%d rows of at most %d, %+v", len(p.Rows), want, p.Columns)
	}
	for _, r := range p.Rows {
		if _, err := casework.NormalizeIDNumber(r[0]); err != nil || r[1] == "" {
			t.Errorf("the row %q", r)
		}
	}
	wants(t, o.loop.TakePackage(ctx, medical, id, len(p.Rows)+1, ""), casework.CodeGuardFailed)
	o.must(o.loop.TakePackage(ctx, medical, id, 0, "类别为空"))
	if made := o.packages(o.month()); made.Made != 1 || made.Unchanged != 1 {
		t.Fatalf("made anew: %+v", made)
	}
	_, err = o.loop.FetchPackage(ctx, medical, id)
	o.must(err)
	o.must(o.loop.TakePackage(ctx, medical, id, len(p.Rows), ""))
	if again, err := o.loop.FetchPackage(ctx, medical, id); err != nil || again.SHA256 != p.SHA256 {
		t.Errorf("it can be read after it was signed for: %v", err)
	}
	owed, err := o.loop.SharingCalendar(ctx, medical, o.month())
	o.must(err)
	i := slices.IndexFunc(owed, func(x loop.Owed) bool { return x.What == "receive" && x.ID == id })
	if i < 0 || owed[i].Done == "" || owed[i].Dept != "YBJ" || owed[i].Late {
		t.Errorf("the calendar says %+v", owed)
	}
	if i = slices.IndexFunc(owed, func(x loop.Owed) bool { return x.What == "load" && x.ID == "medical" }); i < 0 || owed[i].Done != "" || owed[i].DueOn != o.month()+"-10" {
		t.Errorf("the calendar says %+v", owed)
	}
	o.balanced()
}

// Agriculture learns every month of new whole households in dibao, civil affairs of newly monitored ones; each once.
func TestNewOnesAreExchangedOnce(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	farm := o.officer("NYJ")
	load := func(lines ...loop.DatasetLine) {
		rep, err := o.loop.LoadDataset(ctx, farm, "monitored", lines)
		if o.must(err); rep.Refused > 0 {
			t.Fatalf("%+v", rep)
		}
	}
	inPool := o.cast.Missed.Members[0]
	first := loop.DatasetLine{Row: 2, IDNumber: inPool.IDNo, Cells: []string{"边缘易致贫户", "否"}}
	named := loop.DatasetLine{Row: 3, IDNumber: "11010519491231002X", Name: "湛某", Town: "归义镇", Cells: []string{"突发严重困难户", "否"}}
	unnamed := loop.DatasetLine{Row: 4, IDNumber: "110105194912310038", Cells: []string{"突发严重困难户", "否"}}
	load(first)
	o.packages(o.month())
	rows := func(by casework.Actor, source string) int {
		p, err := o.loop.FetchPackage(ctx, by, o.packageOf(source, o.month()))
		o.must(err)
		return len(p.Rows)
	}
	before := rows(farm, "dibao_new")
	o.days(31)
	load(first, named, unnamed)
	id := o.published()
	o.days(8)
	o.step(o.reviewer, id, "report")
	o.step(o.desk, id, "confirm", granting("DIBAO"), because("同意"))
	o.step(o.desk, id, "activate")
	o.packages(o.month())
	if got := rows(farm, "dibao_new"); got != len(o.cast.Missed.Members) {
		t.Errorf("%d new persons in dibao, want those %d of the household; %d before", got, len(o.cast.Missed.Members), before)
	}
	p, err := o.loop.FetchPackage(ctx, o.desk, o.packageOf("monitored_new", o.month()))
	o.must(err)
	for _, r := range p.Rows {
		if r[0] != named.IDNumber && r[0] != inPool.IDNo || r[4] == "" {
			t.Errorf("%q", r)
		}
	}
	rec, _ := o.record(syncproto.Ref{Kind: "data_package", ID: p.ID})
	if n := rec.Int("unnamed"); n != 1 || rec.Int("rows") != int64(len(p.Rows)) || len(p.Rows) == 0 {
		t.Errorf("%d unnamed, %d rows", n, len(p.Rows))
	}
	o.days(31)
	o.packages(o.month())
	if a, b := rows(farm, "dibao_new"), rows(o.desk, "monitored_new"); a != 0 || b != 0 {
		t.Errorf("told twice: %d and %d", a, b)
	}
}

// A department looks persons up within what was approved for it, and every person who was found is in the audit.
func TestLookUps(t *testing.T) {
	o := helped(t)
	ctx := t.Context()
	schools := o.officer("JTJ")
	id := o.need(schools, loop.DataNeedInput{Source: "pool", Columns: []string{"name", "categories"}, Purpose: "教育资助资格核验", Mode: "lookup"})
	member := o.cast.Missed.Members[0]
	found, err := o.loop.LookUp(ctx, schools, id, []string{member.IDNo, "11010519491231002X", "42", member.IDNo})
	o.must(err)
	if len(found.Rows) != 4 || len(found.Rows[0].Rows) != 1 || found.Rows[0].Rows[0][0] != member.Name || found.Rows[0].Rows[0][1] != "最低生活保障" {
		t.Fatalf("%+v", found)
	}
	if len(found.Rows[1].Rows) != 0 || found.Rows[1].Problem != "" || found.Rows[2].Problem == "" || found.Rows[3].Problem == "" {
		t.Errorf("%+v", found.Rows)
	}
	trail, err := o.loop.AuditTrail(ctx, casework.Actor{UserID: "x", Role: casework.RoleAuditor, Region: o.desk.Region}, 0, 50)
	o.must(err)
	looks := 0
	for _, a := range trail {
		if a.Verb == "look_up" {
			looks++
			if a.Root.ID != o.home.ID || a.Ref.ID != member.ID {
				t.Errorf("%+v", a)
			}
		}
	}
	if looks != 1 {
		t.Errorf("%d look-ups in the audit", looks)
	}
	_, err = o.loop.LookUp(ctx, o.officer("YBJ"), id, []string{member.IDNo})
	wants(t, err, casework.CodeForbidden)
	monthly := o.need(schools, loop.DataNeedInput{Source: "pool", Columns: []string{"name"}, Purpose: "x", Mode: "monthly"})
	_, err = o.loop.LookUp(ctx, schools, monthly, []string{member.IDNo})
	wants(t, err, casework.CodeGuardFailed)
	o.must(o.loop.StepDataNeed(ctx, o.desk, id, "end", "到期"))
	_, err = o.loop.LookUp(ctx, schools, id, []string{member.IDNo})
	wants(t, err, casework.CodeGuardFailed)
	_, err = o.loop.LookUp(ctx, schools, id, nil)
	wants(t, err, casework.CodeInvalidValue)
}

// Two who make the same packages at once make each once, and what is fetched is what its manifest says.
func TestPackagesAreMadeOnceAtOnce(t *testing.T) {
	o := newOffice(t)
	done := make(chan int)
	for range 4 {
		go func() {
			made, err := o.loop.MakePackages(t.Context(), o.desk, o.month())
			if err != nil {
				t.Error(err)
			}
			done <- made.Made
		}()
	}
	total := 0
	for range 4 {
		total += <-done
	}
	if total != 1 {
		t.Errorf("made %d times", total)
	}
	p, err := o.loop.FetchPackage(t.Context(), o.officer("NYJ"), o.packageOf("dibao_new", o.month()))
	o.must(err)
	rec, _ := o.record(syncproto.Ref{Kind: "data_package", ID: p.ID})
	if int64(len(p.Rows)) != rec.Int("rows") || rec.Int("rows") == 0 {
		t.Errorf("%d rows, the manifest says %d", len(p.Rows), rec.Int("rows"))
	}
	o.balanced()
}

// Behind the request day a month's packages are made by themselves, once, and nothing before it.
func TestPackagesAreMadeByThemselves(t *testing.T) {
	o := newOffice(t)
	o.now = time.Date(2026, 12, 10, 9, 0, 0, 0, time.FixedZone("", 8*3600))
	for _, want := range []int{0, 1, 0} {
		n, err := o.loop.MakeDuePackages(t.Context())
		if o.must(err); n != want {
			t.Errorf("%d made on %s, want %d", n, o.now.Format("2006-01-02"), want)
		}
		o.days(1)
	}
	p, err := o.loop.FetchPackage(t.Context(), o.officer("NYJ"), o.packageOf("dibao_new", "2026-12"))
	if o.must(err); len(p.Rows) == 0 {
		t.Error("it is empty")
	}
	o.balanced()
}

// Two counties on one server have packages of their own.
func TestCountiesHaveTheirOwnPackages(t *testing.T) {
	o := newOffice(t)
	o.packages(o.month())
	other := o.desk
	other.Region = "430682000000"
	made, err := o.loop.MakePackages(t.Context(), other, o.month())
	if o.must(err); made.Made != 1 || made.Unchanged != 0 {
		t.Errorf("%+v", made)
	}
}
