package loop_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"aidloop/fixtures/world"
	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// past is a county whose people do things at random, and what they did as they would remember it.
type past struct {
	*county
	r       *rand.Rand
	phones  map[string]*phone
	home    map[string]world.Household // of leads
	arrived map[string]string          // day of leads
	worker  map[string]world.User      // of visits
	returns []giveBack
	done    map[string]int // verbs that went through
}

type giveBack struct {
	day, town string
	questions []string
}

func newPast(t *testing.T, seed uint64) *past {
	p := &past{county: newCounty(t), r: rand.New(rand.NewPCG(seed, 7)), phones: map[string]*phone{}, home: map[string]world.Household{}, arrived: map[string]string{},
		worker: map[string]world.User{}, done: map[string]int{}}
	p.now = time.Date(2026, 3, 2, 2, 0, 0, 0, time.UTC)
	return p
}

// pick draws from what there is in order, so that a seed repeats.
func pick[T any](p *past, m map[string]T) (string, bool) {
	if len(m) == 0 {
		return "", false
	}
	keys := slices.Sorted(maps.Keys(m))
	return keys[p.r.IntN(len(keys))], true
}

func (p *past) day() string { return p.now.In(time.FixedZone("", 8*3600)).Format(time.DateOnly) }

// did counts what went through. What may not be done just then is refused in words, and changes nothing.
func (p *past) did(verb string, err error) bool {
	p.t.Helper()
	if err == nil {
		p.done[verb]++
	} else if casework.CodeOf(err) == "" {
		p.t.Fatalf("%s: %v", verb, err)
	}
	return err == nil
}

func (p *past) at(role casework.Role, town string) casework.Actor {
	return casework.Actor{UserID: string(role) + town, Role: role, Region: town}
}

func (p *past) arrive() {
	h := p.world.Households[p.r.IntN(len(p.world.Households))]
	sources := casework.Enums["lead_source"]
	ref := fmt.Sprintf("S-%d", len(p.arrived))
	rep, err := p.loop.ImportLeads(p.t.Context(), atBureau, sources[p.r.IntN(len(sources))].Code, []loop.LeadRow{{Row: 1, SourceRef: ref, Type: "suspected_missed",
		SubjectName: p.world.Members(h)[0].Name, IDNumber: p.world.Members(h)[0].IDNo, Town: h.Town, Village: h.Village}})
	if p.did("import", err); rep.Imported != 1 {
		p.t.Fatalf("%+v", rep)
	}
	p.home[rep.Rows[0].Lead], p.arrived[rep.Rows[0].Lead] = h, p.day()
}

// farTown is a town without households of the pool.
const farTown = "430681403000"

// step does one thing to a lead.
func (p *past) step() {
	lead, ok := pick(p, p.home)
	if !ok || len(p.home) < 14 && p.r.IntN(6) == 0 {
		p.arrive()
		return
	}
	ctx, h := p.t.Context(), p.home[lead]
	body, _ := p.record(syncproto.Ref{Kind: "lead", ID: lead})
	town := body.Str("town")
	leader, reviewer := p.at(casework.RoleTownLeader, town), p.at(casework.RoleTownReviewer, town)
	switch x := p.r.IntN(28); {
	case body.Str("state") == "new" || x == 0:
		p.did("dispatch", p.loop.Dispatch(ctx, atBureau, []string{lead}, ""))
	case x == 1:
		if other, _ := pick(p, p.home); other != lead {
			p.did("duplicate", p.loop.MarkDuplicate(ctx, atBureau, lead, other))
		}
	case x == 2:
		p.did("transfer", p.loop.Transfer(ctx, leader, lead, []string{h.Town, farTown}[p.r.IntN(2)], "已搬迁"))
	case x < 7:
		if town == h.Town {
			p.did("assign", p.loop.Assign(ctx, leader, lead, p.world.Workers(h.Grid)[0].ID, h.Grid))
		}
	case x < 10:
		p.call(lead, h)
	case x < 16:
		p.review(body, h)
	case x < 19:
		result := []string{"not_eligible", "duplicate", "referred", "included"}[p.r.IntN(4)]
		_, err := p.loop.Propose(ctx, reviewer, loop.Proposal{Lead: lead, Result: result, Categories: []string{"MARGINAL", "FPFP_SUDDEN"}, Reason: "已核实"})
		p.did("propose", err)
	default:
		p.decide(body, x)
	}
}

// call visits the home, or corrects what was returned.
func (p *past) call(lead string, h world.Household) {
	u := p.world.Workers(h.Grid)[0]
	if p.phones[u.ID] == nil {
		p.phones[u.ID] = p.phone(u)
	}
	ph := p.phones[u.ID]
	for _, id := range slices.Sorted(maps.Keys(p.worker)) {
		ref := syncproto.Ref{Kind: "visit", ID: id}
		if v, env := p.record(ref); v.Str("lead") == lead && v.Str("state") == "returned" {
			set := syncproto.Change{Op: syncproto.OpSet, Ref: ref, Fields: syncproto.Fields(map[string]any{"mode_reason": p.day()}),
				Base: map[string]syncproto.Stamp{"mode_reason": env.Of("mode_reason").Stamp}}
			changes := []syncproto.Change{set, {Op: syncproto.OpAct, Ref: ref, Act: "submit"}}[:1+p.r.IntN(2)]
			if o := ph.push(ph.group(env.Root, changes...)); o.Code == "" {
				p.done[[]string{"edit", "correct"}[len(changes)-1]]++
			}
			return
		}
	}
	id := fmt.Sprintf("v-%04d", len(p.worker))
	changes := ph.visit(h, lead, id)
	if p.r.IntN(6) == 0 {
		changes = changes[:1] // a draft
	}
	if o := ph.push(ph.group(refOf(h), changes...)); o.Code == "" && p.has(syncproto.Ref{Kind: "visit", ID: id}) {
		p.worker[id] = u
		p.done["visit"]++
	}
}

func (p *past) review(lead syncproto.Object, h world.Household) {
	visit := lead.Str("visit")
	if visit == "" {
		return
	}
	in := loop.ReviewInput{Visit: visit, Approve: p.r.IntN(3) == 0}
	var questions []string
	if !in.Approve {
		for _, q := range []string{"conclusion", "wages", "conclusion"}[:1+p.r.IntN(3)] {
			in.Comments = append(in.Comments, loop.Comment{Question: q, Text: "请补充"})
			if !slices.Contains(questions, q) {
				questions = append(questions, q)
			}
		}
	}
	err := p.loop.Review(p.t.Context(), p.at(casework.RoleTownReviewer, h.Town), in)
	if p.did(fmt.Sprint("review ", in.Approve), err) && !in.Approve {
		p.returns = append(p.returns, giveBack{p.day(), h.Town, questions})
	}
}

func (p *past) decide(lead syncproto.Object, x int) {
	ctx, d := p.t.Context(), lead.Str("disposition")
	if d == "" {
		return
	}
	switch {
	case x < 22:
		action := []string{"verify", "verify", "return", "conference"}[p.r.IntN(4)]
		p.did(action, p.loop.Verify(ctx, atBureau, loop.Verdict{Disposition: d, Action: action, Reason: "理由"}))
	case x < 24:
		p.did("feed back", p.loop.FeedBack(ctx, atBureau, d))
	default:
		dept := []string{"YBJ", "RSJ"}[p.r.IntN(2)]
		id, err := p.loop.Refer(ctx, atBureau, loop.ReferralInput{Disposition: d, Dept: dept, Need: "illness", Workdays: 3})
		if !p.did("refer", err) {
			return
		}
		officer := casework.Actor{UserID: "o", Role: casework.RoleDeptOfficer, Region: atBureau.Region, Dept: dept}
		for _, action := range []string{"accept", "start", "deliver", "feed_back"}[:p.r.IntN(5)] {
			p.did(action, p.loop.AnswerReferral(ctx, officer, loop.ReferralAnswer{Referral: id, Action: action, Result: "已办"}))
		}
	}
}

// Every figure says what a plain count over the raw records and over what people remember says, for the county and for
// every town, in any range; behind every cell stand as many ids; and the towns add up to the county.
func TestFiguresReconcileWithTheRecords(t *testing.T) {
	all := map[string]int{}
	for seed := range uint64(3) {
		p := newPast(t, seed)
		for range 350 {
			p.step()
			if p.r.IntN(4) == 0 {
				p.now = p.now.Add(time.Duration(p.r.IntN(40)) * time.Hour)
			}
		}
		p.balanced()
		regions := []string{atBureau.Region}
		for _, h := range p.world.Households {
			if !slices.Contains(regions, h.Town) {
				regions = append(regions, h.Town)
			}
		}
		regions = append(regions, farTown)
		raw := p.raw()
		for _, days := range [][2]string{{"", ""}, {"2026-04-01", "2026-05-10"}, {"", "2026-03-25"}, {"2026-05-01", ""}} {
			sums := map[string]map[string]int{}
			for _, region := range regions {
				for _, spec := range casework.Figures {
					in := loop.FigureInput{Name: spec.Name, From: days[0], To: days[1], Region: region}
					if spec.Dated == "" {
						in.From, in.To = "", ""
					}
					p.reconcile(in, raw, sums)
				}
			}
		}
		for what, n := range p.done {
			all[what] += n
		}
	}
	for _, verb := range []string{"import", "dispatch", "duplicate", "transfer", "assign", "visit", "edit", "correct", "review true", "review false", "propose", "verify", "return",
		"conference", "feed back", "refer", "accept", "deliver", "feed_back", "on_time on_time",
		"on_time late", "on_time open", "on_time overdue", "on_time duplicate", "funnel closed", "referrals overdue"} {
		if all[verb] == 0 {
			t.Errorf("no history has %s: %v", verb, all)
		}
	}
}

// reconcile compares one figure with the naive one, and its cells with the ids behind them.
func (p *past) reconcile(in loop.FigureInput, raw []rawRecord, sums map[string]map[string]int) {
	p.t.Helper()
	f, err := p.loop.Figure(p.t.Context(), atBureau, in)
	if err != nil {
		p.t.Fatal(err)
	}
	got := map[string]map[string]int{}
	for column, n := range f.Rows[len(f.Rows)-1].Counts {
		p.done[in.Name+" "+column] += n
	}
	for _, r := range f.Rows {
		got[r.Key] = r.Counts
		if r.Label == "" || r.Label == r.Key {
			p.t.Errorf("%s: the row %q has no label", in.Name, r.Key)
		}
		for column, n := range r.Counts {
			if in.Region != atBureau.Region {
				break
			}
			if ids := p.behind(in, r.Key, column); len(ids) != n {
				p.t.Errorf("%+v: %d ids behind %s %s, which says %d", in, len(ids), r.Key, column, n)
			}
		}
	}
	if want := p.naive(in, raw); !equalTables(got, want) {
		p.t.Errorf("%+v:\n got %v\nwant %v", in, got, want)
	}
	if in.Region == atBureau.Region {
		sums[in.Name] = maps.Clone(got[casework.TotalRow])
		return
	}
	own, err := p.loop.Figure(p.t.Context(), casework.Actor{UserID: "x", Role: casework.RoleTownLeader, Region: in.Region}, loop.FigureInput{Name: in.Name, From: in.From, To: in.To})
	if err != nil || fmt.Sprint(own.Rows) != fmt.Sprint(f.Rows) {
		p.t.Errorf("%+v: the town itself reads %v, %v", in, own, err)
	}
	last := in.Region == farTown
	for column, n := range got[casework.TotalRow] {
		sums[in.Name][column] -= n
	}
	for column, n := range sums[in.Name] {
		if last && n != 0 && (in.Name != "funnel" || column != "arrived") { // what is not dispatched lies at the county
			p.t.Errorf("%s %s: the county has %d that no town has", in.Name, column, n)
		}
	}
}

// behind pages through the ids of a cell.
func (p *past) behind(in loop.FigureInput, row, column string) (all []string) {
	p.t.Helper()
	for after := ""; ; {
		ids, next, err := p.loop.FigureRecords(p.t.Context(), atBureau, in, row, column, after, 5)
		if err != nil || len(ids) > 5 || len(all) > 0 && len(ids) > 0 && ids[0] <= all[len(all)-1] {
			p.t.Fatalf("%v behind %v, %v", ids, all, err)
		}
		all = append(all, ids...)
		if after = next; after == "" {
			return all
		}
	}
}

func equalTables(a, b map[string]map[string]int) bool {
	for _, row := range slices.Concat(slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b))) {
		for _, column := range slices.Concat(slices.Collect(maps.Keys(a[row])), slices.Collect(maps.Keys(b[row]))) {
			if a[row][column] != b[row][column] {
				return false
			}
		}
	}
	return true
}
