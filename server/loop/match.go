package loop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// MatchReport says what a run of the matching rules found.
type MatchReport struct {
	On       string
	Found    int
	Leads    int // new ones
	Reviews  int // that were opened
	Open     int // of which a lead or a review is under way
	Quiet    int // that people have looked at, and nothing has changed since
	Refused  []RefusedMatch
	Datasets map[string]int // rows that were read, by dataset
	Skipped  map[int]string // rules that could not be judged, with the dataset that nobody has loaded
}

// RefusedMatch is a finding that no lead could be made of, mostly since nobody said where the person lives.
type RefusedMatch struct {
	Rule    int
	Rows    []casework.SourceRow
	Message string
}

// Match runs the matching rules over the newest load of every dataset and everybody on record, on a day ("2006-01-02"; ""
// for today), and makes a lead of every finding that is new, or opens the review that is due. A second run over the same
// data makes none.
func (l *Loop) Match(ctx context.Context, by casework.Actor, on string) (*MatchReport, error) {
	if err := by.May(casework.VerbMatch, casework.Subject{Kind: "dataset", Region: by.Region}); err != nil {
		return nil, err
	}
	return l.match(ctx, by, on, nil)
}

// match runs the rules over everybody, or over some keys only. What everybody was matched up to is kept, so that what
// changes behind it can be matched by itself, see MatchChanges.
func (l *Loop) match(ctx context.Context, by casework.Actor, on string, keys []string) (*MatchReport, error) {
	m := &matchRun{l: l, by: by, only: keys, rep: &MatchReport{On: l.dayOr(on), Datasets: map[string]int{}}, homes: map[string]*Stored{}, due: map[string]string{}, subjects: map[casework.SourceRow]syncproto.Raw{}, keys: map[casework.SourceRow]string{}}
	var found []casework.Match
	var upTo matched
	err := l.store.Read(ctx, func(tx ReadTx) (err error) {
		if m.standards, err = readStandards(tx); err != nil {
			return err
		}
		data, err := m.data(tx)
		if err != nil {
			return err
		}
		if m.matching, err = casework.NewMatching(data, by.Region, m.rep.On, m.standards); err != nil {
			return err
		}
		if keys != nil {
			found = m.matching.Of(keys)
		} else {
			found = m.matching.All()
			upTo, err = matchedNow(tx, by.Region)
		}
		m.rep.Skipped = m.matching.Skipped()
		return err
	})
	if err != nil {
		return nil, err
	}
	m.rep.Found = len(found)
	if m.places, err = l.places(ctx); err != nil {
		return nil, err
	}
	for start := 0; start < len(found); start += importChunk {
		if err := m.leads(ctx, found[start:min(start+importChunk, len(found))]); err != nil {
			return m.rep, err
		}
	}
	if keys != nil {
		return m.rep, nil
	}
	return m.rep, l.keepMatched(ctx, by.Region, upTo)
}

// matchRun is one run.
type matchRun struct {
	l         *Loop
	by        casework.Actor
	only      []string // keys; nil for everybody
	standards casework.Standards
	matching  *casework.Matching
	places    *places
	rep       *MatchReport
	homes     map[string]*Stored // households by id
	due       map[string]string  // the day of the review that a household is to have by now
	subjects  map[casework.SourceRow]syncproto.Raw
	keys      map[casework.SourceRow]string
}

// data gathers who is on record in the caller's region and what departments have loaded.
func (m *matchRun) data(tx ReadTx) (*casework.Data, error) {
	d := &casework.Data{Rows: map[string][]casework.Row{}}
	var err error
	if d.Pool, err = m.pool(tx); err != nil {
		return nil, err
	}
	for _, set := range casework.Datasets {
		last, err := tx.LastLoad(set.Code)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		rows := []casework.Row{}
		read := func(fn func(LoadRow) error) error { return tx.LoadRowsOf(last.N, m.only, fn) }
		if m.only == nil {
			rows = make([]casework.Row, 0, last.Rows)
			read = func(fn func(LoadRow) error) error { return tx.LoadRows(last.N, fn) }
		}
		err = read(func(r LoadRow) error {
			rows = append(rows, casework.Row{Line: r.Line, Key: r.Key, Values: r.Cells})
			if r.Subject != nil {
				at := casework.SourceRow{Dataset: set.Code, Line: r.Line}
				m.subjects[at], m.keys[at] = slices.Clone(r.Subject), r.Key
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		d.Rows[set.Code] = rows
		m.rep.Datasets[set.Code] = len(rows)
	}
	return d, nil
}

// pool reads everybody on record, with the day of the review that each household is to have by now.
func (m *matchRun) pool(tx ReadTx) ([]casework.PoolPerson, error) {
	pool, homes, err := poolOf(tx, m.by.Region)
	if err != nil {
		return nil, err
	}
	m.homes = homes
	if m.only != nil {
		keys := map[string]bool{}
		for _, k := range m.only {
			keys[k] = true
		}
		pool = slices.DeleteFunc(pool, func(p casework.PoolPerson) bool { return !keys[p.Key] })
	}
	for i := range pool {
		id := pool[i].Household
		if _, judged := m.due[id]; judged {
			continue
		}
		m.due[id] = ""
		due, _, err := m.l.reviewDue(tx, homes[id], m.standards)
		if unjudged(err) || err == nil && due == nil {
			continue
		}
		if err != nil {
			return nil, err
		}
		m.due[id] = due.On
	}
	for i := range pool {
		pool[i].DueOn = m.due[pool[i].Household]
	}
	return pool, nil
}

// poolOf reads everybody on record in a region, and the households by id, aliases left out.
func poolOf(tx ReadTx, region string) (pool []casework.PoolPerson, homes map[string]*Stored, err error) {
	keys := map[string]string{}
	if err := tx.EachBlind("person", "id_no", func(index, id string) error { keys[id] = index; return nil }); err != nil {
		return nil, nil, err
	}
	homes = map[string]*Stored{}
	households := map[string]*syncproto.Record{}
	if err := eachInPool(tx, region, "household", func(s *Stored, rec *syncproto.Record) error {
		homes[s.Ref.ID], households[s.Ref.ID] = s, rec
		return nil
	}); err != nil {
		return nil, nil, err
	}
	members := map[string]int{}
	err = eachInPool(tx, region, "person", func(s *Stored, rec *syncproto.Record) error {
		home := homes[s.Root.ID]
		if home == nil || s.Root.Kind != "household" {
			return nil
		}
		members[home.Ref.ID]++
		pool = append(pool, poolPerson(rec, households[home.Ref.ID], villageOf(home.Bucket), keys[rec.ID]))
		return nil
	})
	for i := range pool {
		pool[i].Members = members[pool[i].Household]
		pool[i].Alone = pool[i].Members == 1
	}
	return pool, homes, err
}

// eachInPool hands over the living records of a kind in a region, aliases left out.
func eachInPool(tx ReadTx, region, kind string, fn func(*Stored, *syncproto.Record) error) error {
	return eachFound(tx, Query{Kind: kind, Region: casework.RegionPrefix(region), Limit: 500}, func(s *Stored) error {
		rec, err := parseStored(s)
		if err != nil || rec.Body.Has(mergedInto) {
			return err
		}
		return fn(s, rec)
	})
}

// poolPerson is a person's record as matching sees it. Nothing sealed is looked at.
func poolPerson(p, h *syncproto.Record, village, key string) casework.PoolPerson {
	own, whole := categories(p), categories(h)
	x := casework.PoolPerson{ID: p.ID, Key: key, Household: h.ID, Region: village, Urban: string(h.Body.Get("urban")) == "true",
		Birth: p.Body.Str("birth"), Ill: p.Body.Str("health") == "serious"}
	x.Single = slices.Contains(own, "DIBAO") && slices.Contains(whole, "MARGINAL") && !slices.Contains(whole, "DIBAO")
	for _, c := range append(own, whole...) {
		if !slices.Contains(x.Categories, c) {
			x.Categories = append(x.Categories, c)
		}
	}
	slices.Sort(x.Categories)
	if slices.Contains(whole, "DIBAO") {
		x.WholeSince = time.UnixMilli(h.Of("categories").Time).In(beijing).Format(time.DateOnly)
	}
	return x
}

func categories(rec *syncproto.Record) []string {
	v, err := rec.Body.Get("categories").Decode()
	if err != nil {
		return nil
	}
	return texts(v)
}

// leads makes leads of findings in one transaction.
func (m *matchRun) leads(ctx context.Context, found []casework.Match) error {
	var rep MatchReport
	err := m.l.run(ctx, func(w *work) error {
		rep = MatchReport{}
		for i := range found {
			if err := m.lead(w, &found[i], &rep); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		m.rep.Leads, m.rep.Reviews, m.rep.Open, m.rep.Quiet = m.rep.Leads+rep.Leads, m.rep.Reviews+rep.Reviews, m.rep.Open+rep.Open, m.rep.Quiet+rep.Quiet
		m.rep.Refused = append(m.rep.Refused, rep.Refused...)
	}
	return err
}

func (m *matchRun) lead(w *work, f *casework.Match, rep *MatchReport) error {
	if f.Lead == "" {
		return m.review(w, f, rep)
	}
	id := syncproto.DerivedID("match", fmt.Sprintf("%s|%d|%s", f.Key, f.Rule, f.Lead))
	last, err := w.tx.FoundMatch(id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if err == nil {
		open, quiet, err := m.known(w, f, last)
		if err != nil {
			return err
		}
		if open {
			rep.Open++
			return nil
		}
		if quiet {
			rep.Quiet++
			return nil
		}
	}
	row, err := m.row(w, f)
	if err != nil {
		return err
	}
	row.SourceRef = id + "|" + m.rep.On
	r, err := w.importLead(w.newGroup(), m.by, "matching", row, m.places)
	if err != nil {
		return err
	}
	if r.Status == "refused" {
		rep.Refused = append(rep.Refused, RefusedMatch{f.Rule, f.Rows, r.Message})
		return nil
	}
	rep.Leads++
	return w.tx.PutFoundMatch(FoundMatch{ID: id, Print: f.Print, Lead: r.Lead, At: w.now})
}

// review opens the review of a household whose time has come.
func (m *matchRun) review(w *work, f *casework.Match, rep *MatchReport) error {
	s, err := w.stored(syncproto.Ref{Kind: "household", ID: f.Household})
	if err != nil || s == nil {
		return err
	}
	var done Advanced
	if err := w.advanceHousehold(s, m.standards, &done); err != nil {
		return err
	}
	rep.Reviews += done.Reviews
	rep.Open += 1 - done.Reviews // of another member of the household, or since the last run
	return nil
}

// known says what became of the last finding of the same person and rule: its lead is under way, or people are done with
// it and nothing is new.
func (m *matchRun) known(w *work, f *casework.Match, last *FoundMatch) (open, quiet bool, err error) {
	s, err := w.stored(syncproto.Ref{Kind: "lead", ID: last.Lead})
	if err != nil || s == nil || s.Deleted {
		return false, false, err
	}
	if !slices.Contains([]string{"closed", "duplicate", "feedback_sent"}, s.Index.State) {
		return true, false, nil
	}
	env, err := syncproto.ParseEnvelope(s.Env)
	if err != nil {
		return false, false, err
	}
	done := time.UnixMilli(env.Of("state").Time).In(beijing).Format(time.DateOnly)
	return false, m.matching.Quiet(f, casework.Verified{On: done, Print: last.Print}), nil
}

// row is a finding as a lead: the person as he is on record, or as the department named him.
func (m *matchRun) row(w *work, f *casework.Match) (LeadRow, error) {
	reason := fmt.Sprintf("数据比对规则%d:%s", f.Rule, f.Label)
	if len(f.To) > 0 {
		reason += ";承办:" + strings.Join(labels("department", f.To), "、")
	}
	for i, e := range f.Rows {
		if d, ok := casework.DatasetOf(e.Dataset); ok && i < 20 {
			reason += fmt.Sprintf(";%s%s", d.Label, lineWords(e.Line))
		}
	}
	row := LeadRow{Type: f.Lead, Reason: reason, IssuedOn: m.rep.On, Depts: f.To}
	if home := m.homes[f.Household]; home != nil {
		ring, err := w.ring(home.Root, home.Bucket)
		if err != nil {
			return row, err
		}
		p, err := w.stored(syncproto.Ref{Kind: "person", ID: f.Person})
		if err != nil || p == nil {
			return row, err
		}
		body, err := syncproto.ParseObject(p.Body)
		if err != nil {
			return row, err
		}
		fields := opened(ring, p.Ref, body)
		row.SubjectName, _ = fields["name"].(string)
		row.IDNumber, _ = fields["id_no"].(string)
		row.Village = villageOf(home.Bucket)
		row.Town = row.Village[:min(len(row.Village), 9)] + "000"
		return row, nil
	}
	return row, m.named(f, &row)
}

// lineWords says which row it was: of a list, or of those that were pushed since.
func lineWords(line int) string {
	if line > pushedFrom {
		return fmt.Sprintf("推送的第%d行", line-pushedFrom)
	}
	return fmt.Sprintf("第%d行", line)
}

// named fills in who a row is about from what the department said of him.
func (m *matchRun) named(f *casework.Match, row *LeadRow) error {
	for _, e := range f.Rows {
		raw := m.subjects[e]
		if raw == nil {
			continue
		}
		who, err := m.l.openSubject(e.Dataset, m.keys[e], raw)
		if err != nil {
			return err
		}
		row.SubjectName, row.IDNumber, row.Town, row.Village = who.Str("name"), who.Str("id_no"), who.Str("town"), who.Str("village")
		return nil
	}
	return nil
}

// labels are the Chinese labels of codes.
func labels(enum string, codes []string) []string {
	out := make([]string, len(codes))
	for i, c := range codes {
		out[i] = casework.Label(enum, c)
	}
	return out
}
