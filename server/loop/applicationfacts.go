package loop

import (
	"errors"
	"time"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// applicationFacts gathers what the guards of an application look at, but for the reviewer and his reason.
func (g *group) applicationFacts(d *draft) (f casework.Facts, err error) {
	b := d.rec.Body
	isTrue := func(name string) bool { return string(b.Get(name)) == "true" }
	f = casework.Facts{Agreed: isTrue("q_privacy_agreed") && isTrue("q_truthful"), SupplementAsked: b.Has("supplement_at"),
		RelativeOfStaff: isTrue("staff_relative") || b.Str("q_staff_relative") == "yes", CountyVisited: b.Has("county_visit_at"),
		Extended: isTrue("extended")}
	if until := b.Str("published_until"); until != "" {
		f.PublicationOver = time.UnixMilli(g.w.now).In(beijing).Format(time.DateOnly) > until
	}
	if f.ObjectionOpen, err = g.objected(d); err != nil {
		return f, err
	}
	if f.Missing, err = g.missing(d); err != nil {
		return f, err
	}
	if f.Unsigned, err = g.unsigned(d); err != nil {
		return f, err
	}
	if f.OtherRunning, err = g.otherApplication(d.rec.Root, d.rec.ID); err != nil {
		return f, err
	}
	visit, err := g.investigation(d)
	if err != nil || visit == nil {
		return f, err
	}
	f.HasApprovedVisit, f.Surveyor1, f.Surveyor2 = true, visit.Body.Str("surveyor_1"), visit.Body.Str("surveyor_2")
	return f, nil
}

// unsigned counts the adults who have not consented to the check of their means. Answers that cannot be opened yet count
// for nothing: the window sees them again at the acceptance.
func (g *group) unsigned(d *draft) (int, error) {
	ring, err := g.ring(d.rec.Root, d.bucket)
	if err != nil {
		return 0, err
	}
	rows := func(field string) (list []any, ok bool) {
		raw, err := ring.Open(d.rec.Ref, field, d.rec.Body.Get(field))
		if err != nil {
			return nil, false
		}
		v, err := raw.Decode()
		list, ok = v.([]any)
		return list, ok && err == nil
	}
	members, ok := rows("q_members")
	consents, told := rows("q_check_consents")
	if !ok || !told {
		return 0, nil
	}
	return casework.Unsigned(members, consents, g.w.l.dayOr("")), nil
}

// investigation is the approved visit that an application rests on: the newest one since its acceptance, or the one that
// it was started from, and after an objection only one that was made since. nil where there is none.
func (g *group) investigation(d *draft) (*syncproto.Record, error) {
	b := d.rec.Body
	since := parseTime(b.Str("accepted_at"))
	if again := parseTime(b.Str("objected_at")); again > 0 {
		since = again
	}
	var found *syncproto.Record
	at := int64(0)
	err := g.w.tx.ByRoot(d.rec.Root, "visit", func(s *Stored) error {
		if s.Index.State != "approved" {
			return nil
		}
		rec, err := parseStored(s)
		if err != nil {
			return err
		}
		// A phone may claim any time; that of its capture is the server's.
		if t := min(visitTime(rec.Body), rec.Of("visited_at").Time); since > 0 && t >= since && t > at {
			found, at = rec, t
		}
		return nil
	})
	if err != nil || found != nil || b.Has("objected_at") || !b.Has("visit") {
		return found, err
	}
	v, err := g.live(syncproto.Ref{Kind: "visit", ID: b.Str("visit")})
	if errors.Is(err, ErrNotFound) || err == nil && (v.rec.Root != d.rec.Root || v.rec.Body.Str("state") != "approved") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &v.rec, nil
}

// applicationTimes are the moments that an application's times are counted from.
func (g *group) applicationTimes(d *draft) (t casework.ApplicationTimes, err error) {
	b := d.rec.Body
	moment := func(name string) (at time.Time) {
		if ms := parseTime(b.Str(name)); ms > 0 {
			at = time.UnixMilli(ms)
		}
		return at
	}
	t = casework.ApplicationTimes{Accepted: moment("accepted_at"), Reported: moment("reported_at"), Decided: moment("decided_at"),
		Extended: string(b.Get("extended")) == "true"}
	h, err := g.open(d.rec.Root)
	if err == nil {
		t.Place = placeOf(d.bucket, h.rec.Body)
	}
	return t, err
}

// dueApplication writes the time that runs in an application's state, or takes the former one off. It returns the day,
// "" for none.
func (g *group) dueApplication(d *draft, standards casework.Standards, calendars casework.Calendars) (string, error) {
	t, err := g.applicationTimes(d)
	if err != nil {
		return "", err
	}
	due, ok, err := casework.ApplicationDue(d.rec.Body.Str("state"), t, standards, calendars)
	if err != nil {
		return "", err
	}
	f := map[string]any{"due_on": nil, "due_rule": nil, "due_provisional": nil, "calendar_version": nil}
	if ok {
		f = map[string]any{"due_on": due.On, "due_rule": due.Rule, "due_provisional": due.Provisional, "calendar_version": due.Calendars}
	}
	_, err = g.serverSet(d.rec.Ref, f)
	return due.On, err
}

// suggested is what the rules make of an application's household today; nil where they lack a figure or a standard, with
// the reason in words.
func (g *group) suggested(d *draft, standards casework.Standards) (s *casework.Suggestion, why string, err error) {
	household, err := g.w.stored(d.rec.Root)
	if err != nil || household == nil {
		return nil, "", errors.Join(err, errNoHousehold(household))
	}
	x, _, _, err := g.w.l.situation(g.w.tx, household, g.w.l.dayOr(""))
	if err == nil {
		s, err = casework.Classify(x, standards)
	}
	if unjudged(err) {
		return nil, casework.MessageOf(err), nil
	}
	return s, "", err
}

func errNoHousehold(s *Stored) error {
	if s == nil {
		return ErrNotFound
	}
	return nil
}
