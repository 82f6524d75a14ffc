package loop

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// onTime places a lead that a town received within the range.
func (c *counting) onTime(lead *syncproto.Record, region string) error {
	if lead.Body.Str("due_on") == "" || !c.within(dayOf(lead.Body.Str("received_at"))) {
		return nil
	}
	f, err := c.leadFacts(lead)
	if err == nil {
		c.tally.Add(lead.ID, []string{casework.UnitOf(region)}, []string{"received", f.OnTime(c.today)})
	}
	return err
}

// funnel places a lead that was entered within the range: its channel is written once, when it is.
func (c *counting) funnel(lead *syncproto.Record, _ string) error {
	if !c.within(dayAt(lead.Of("source").Time)) {
		return nil
	}
	f, err := c.leadFacts(lead)
	if err != nil {
		return err
	}
	err = c.tx.ByRoot(lead.Root, "visit", func(s *Stored) error {
		if s.Index.Parent != lead.ID {
			return nil
		}
		body, err := syncproto.ParseObject(s.Body)
		f.Visits = append(f.Visits, body.Str("state"))
		return err
	})
	if err == nil {
		c.tally.Add(lead.ID, []string{lead.Body.Str("source")}, f.Stages())
	}
	return err
}

// leadFacts reads what both figures of leads look at; visits are left out.
func (c *counting) leadFacts(lead *syncproto.Record) (*casework.LeadFacts, error) {
	b := lead.Body
	f := &casework.LeadFacts{State: b.Str("state"), DueOn: b.Str("due_on"), Assigned: b.Has("assignee")}
	id := b.Str("disposition")
	if id == "" {
		return f, nil
	}
	s, err := c.tx.Record(syncproto.Ref{Kind: "disposition", ID: id})
	if errors.Is(err, ErrNotFound) {
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	d, err := syncproto.ParseObject(s.Body)
	f.Disposition, f.ProposedOn = d.Str("state"), dayOf(d.Str("proposed_at"))
	return f, err
}

// household places a household under its village and its town; an alias of another one is none.
func (c *counting) household(h *syncproto.Record, region string) error {
	if h.Root != h.Ref {
		return nil
	}
	var categories []string
	for _, raw := range h.Body.Get("categories").Items() {
		categories = append(categories, raw.Str())
	}
	rows := []string{casework.UnitOf(region)}
	if village := region[:min(len(region), 12)]; village != rows[0] {
		rows = append(rows, village)
	}
	c.tally.Add(h.ID, rows, casework.HouseholdColumns(categories))
	return nil
}

// referral places a referral that was sent within the range.
func (c *counting) referral(r *syncproto.Record, _ string) error {
	if b := r.Body; c.within(dayOf(b.Str("sent_at"))) {
		c.tally.Add(r.ID, []string{b.Str("to_dept")}, casework.ReferralColumns(b.Str("state"), b.Str("due_on"), c.today))
	}
	return nil
}

// returned is a review that gave a visit back.
type returned struct {
	id, at string
}

// returns places every return within the range under the questions that it asked again. What a reviewer says of a
// question is sealed, and reviews carry no coded reasons; the questions stand in the open in the visit's versions.
func (c *counting) returns() error {
	visits := map[string][]returned{}
	err := c.each("review", func(r *syncproto.Record, _ string) error {
		if id := r.Body.Str("visit"); r.Body.Str("decision") == "returned" {
			visits[id] = append(visits[id], returned{r.ID, r.Body.Str("at")})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(visits)) {
		list := visits[id]
		slices.SortFunc(list, func(a, b returned) int {
			return cmp.Or(cmp.Compare(parseTime(a.at), parseTime(b.at)), cmp.Compare(a.id, b.id))
		})
		if !slices.ContainsFunc(list, func(r returned) bool { return c.within(dayOf(r.at)) }) {
			continue
		}
		asked, err := c.asked(syncproto.Ref{Kind: "visit", ID: id})
		if err != nil {
			return err
		}
		for i, r := range list {
			var rows []string
			if i < len(asked) {
				rows = asked[i]
			}
			if c.within(dayOf(r.at)) {
				c.tally.Add(r.id, rows, []string{"returns"})
			}
		}
	}
	return nil
}

// asked are the rows of the questions of each return of a visit, in order of returns.
func (c *counting) asked(ref syncproto.Ref) (list [][]string, err error) {
	s, err := c.tx.Record(ref)
	if err != nil {
		if errors.Is(err, ErrNotFound) {
			err = nil
		}
		return nil, err
	}
	was, now := "", syncproto.Object{}
	take := func(raw syncproto.Raw) error {
		if now, err = syncproto.ParseObject(raw); err != nil {
			return err
		}
		state := now.Str("state")
		if state == "returned" && was != state {
			list = append(list, questionRows(now))
		}
		was = state
		return nil
	}
	if err := c.tx.History(ref, func(p Past) error { return take(p.Body) }); err != nil {
		return nil, err
	}
	if err := take(s.Body); err != nil {
		return nil, err
	}
	return list, c.nameQuestions(now)
}

// questionRows are the keys of the rows of a returned visit's questions, each once.
func questionRows(visit syncproto.Object) (rows []string) {
	for _, q := range visit.Get("returned_questions").Items() {
		if key := visit.Str("form") + "/" + q.Str(); !slices.Contains(rows, key) {
			rows = append(rows, key)
		}
	}
	return rows
}

// nameQuestions takes the labels of a visit's questions from its form; where that is gone, rows keep their keys.
func (c *counting) nameQuestions(visit syncproto.Object) error {
	form, err := formOf(storedIn(c.tx), visit)
	if casework.CodeOf(err) == "form_unknown" {
		return nil
	}
	if err != nil {
		return err
	}
	for _, q := range form.Questions {
		c.labels[visit.Str("form")+"/"+q.Name] = q.Label
	}
	return nil
}
