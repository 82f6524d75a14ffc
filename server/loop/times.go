package loop

import (
	"encoding/json"
	"errors"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// timeVisits notes in visits that were submitted for the first time what a reviewer should know of their times: that they
// were entered long after the visit, and that the phone's clock is in doubt. Nothing is refused for it. The group before
// is only looked at within one push, so that a push reads nothing more; Times looks further.
func (t *trial) timeVisits(captured int64) error {
	for _, d := range t.g.order {
		if !d.dirty || d.rec.Kind != "visit" || d.rec.Body.Str("state") != "submitted" || d.before == "submitted" || d.before == "returned" {
			continue
		}
		fields := map[string]any{}
		timing := syncproto.Timing{Claimed: t.group.Clock.Wall, Received: t.j.received, Corrected: captured}
		if at := visitTime(d.rec.Body); at > 0 && casework.IsLate(timing.Shift(at), captured) {
			fields["late"] = true
		}
		if doubts := syncproto.Doubts(t.j.last, t.group.Clock, t.j.clock, t.j.received); len(doubts) > 0 {
			fields["clock_doubts"] = doubtCodes(doubts)
		}
		if len(fields) == 0 {
			continue
		}
		if _, err := t.g.serverSet(d.rec.Ref, fields); err != nil {
			return err
		}
	}
	return nil
}

func doubtCodes(doubts []syncproto.Doubt) []any {
	list := make([]any, len(doubts))
	for i, d := range doubts {
		list[i] = string(d)
	}
	return list
}

// visitTime is when a visit was, as its form claims; 0 where it does not say.
func visitTime(body syncproto.Object) int64 {
	for _, name := range casework.VisitTimes {
		if at := parseTime(body.Str(name)); at > 0 {
			return at
		}
	}
	return 0
}

// Times is when something was written: as the phone claimed, when the server received it, what it takes for true, how it
// knows, and what is odd about the phone's clock. Milliseconds since 1970 UTC; Claimed and Received are 0 where the
// change's push is not on record.
type Times struct {
	Claimed   int64                `json:"claimed,omitempty"`
	Received  int64                `json:"received,omitempty"`
	Corrected int64                `json:"corrected"`
	By        syncproto.Correction `json:"by,omitempty" doc:"monotonic, wall, receipt or server"`
	Clamp     syncproto.Clamp      `json:"clamp,omitempty" doc:"base: not before what it was based on; receipt: not behind the receipt"`
	Offset    int64                `json:"offset,omitempty" doc:"The phone's clock was ahead by so much, milliseconds."`
	Adopted   bool                 `json:"adopted,omitempty" doc:"A restore lay in between: the receipt of the life before counts."`
	Doubts    []syncproto.Doubt    `json:"doubts,omitempty"`
}

// VisitTimes are the times of a visit: of its entry, and of what its form says, put right by how far the phone's clock was
// off.
type VisitTimes struct {
	Entry    Times            `json:"entry"`
	Claimed  map[string]int64 `json:"claimed"`
	Form     map[string]int64 `json:"corrected"`
	Waited   int64            `json:"waited" doc:"From the visit to its receipt, milliseconds."`
	Late     bool             `json:"late" doc:"Entered long after the visit."`
	Evidence []string         `json:"evidence,omitempty" doc:"What to look at, the gravest first."`
}

// provenance tells when changes were written. It remembers the clocks of the pushes that it has read.
type provenance struct {
	tx     ReadTx
	pushes map[string][]*pushClocks // by device
	read   int
}

// maxPushes bounds how many pushes are read for one answer: each may be 8 MiB when it is opened. What came with further
// ones is told by its corrected time alone.
const maxPushes = 32

// pushClocks are the clock readings of one push.
type pushClocks struct {
	at     int64
	push   syncproto.Clock
	groups []groupClock
}

type groupClock struct {
	first, last uint64
	captured    syncproto.Clock // the zero Clock where the group cannot be read
	corrected   int64           // as its outcome says
	received    int64           // likewise: in a life that was lost; 0 where it was not
}

func newProvenance(tx ReadTx) *provenance {
	return &provenance{tx: tx, pushes: map[string][]*pushClocks{}}
}

// of tells when the change of a stamp was written; t is its time in the record.
func (p *provenance) of(s syncproto.Stamp, t int64) (Times, error) {
	out := Times{Corrected: t}
	origin, n, ok := s.Split()
	if !ok {
		return out, nil
	}
	if _, err := p.tx.Device(origin); errors.Is(err, ErrNotFound) {
		return Times{Claimed: t, Received: t, Corrected: t, By: syncproto.ByServer}, nil
	} else if err != nil {
		return out, err
	}
	push, g, err := p.find(origin, n)
	if err != nil || g == nil || g.captured == (syncproto.Clock{}) {
		return out, err
	}
	prev := syncproto.Clock{}
	if g.first > 1 {
		if _, before, err := p.find(origin, g.first-1); err != nil {
			return out, err
		} else if before != nil {
			prev = before.captured
		}
	}
	timing := syncproto.Correct(g.captured, push.push, push.at, 0)
	out.Claimed, out.Received, out.By, out.Clamp = timing.Claimed, push.at, timing.By, timing.Clamp
	out.Doubts = syncproto.Doubts(prev, g.captured, push.push, push.at)
	out.Offset = g.captured.Wall - g.corrected
	if g.received > 0 {
		out.Received, out.Adopted = g.received, true
	}
	if out.Corrected > g.corrected {
		out.Clamp = syncproto.ClampBase
	}
	return out, nil
}

// find is the push that brought a device's change, and the clocks of its group; nil where it is not on record.
func (p *provenance) find(device string, n uint64) (*pushClocks, *groupClock, error) {
	for _, c := range p.pushes[device] {
		if g := c.group(n); g != nil {
			return c, g, nil
		}
	}
	if p.read >= maxPushes {
		return nil, nil, nil
	}
	b, err := p.tx.Batch(device, n)
	if errors.Is(err, ErrNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	p.read++
	c, err := clocksOf(b)
	if err != nil {
		return nil, nil, err
	}
	p.pushes[device] = append(p.pushes[device], c)
	return c, c.group(n), nil
}

func (c *pushClocks) group(n uint64) *groupClock {
	for i := range c.groups {
		if g := &c.groups[i]; g.first <= n && n <= g.last {
			return g
		}
	}
	return nil
}

func clocksOf(b *Batch) (*pushClocks, error) {
	groups, clock, err := b.open()
	if err != nil {
		return nil, err
	}
	var outs syncproto.Outcomes
	if err := json.Unmarshal(b.Outcomes, &outs); err != nil {
		return nil, err
	}
	c := &pushClocks{at: b.At, push: clock}
	for i, sg := range groups {
		g := groupClock{first: sg.Dseq, last: sg.Last()}
		if i < len(outs.Groups) {
			g.corrected, g.received = outs.Groups[i].Time, outs.Groups[i].Received
		}
		if parsed, err := sg.Parse(b.Device); err == nil {
			g.captured = parsed.Clock
		}
		c.groups = append(c.groups, g)
	}
	return c, nil
}

// visit tells the times of a visit.
func (p *provenance) visit(rec *syncproto.Record) (*VisitTimes, error) {
	entry, err := p.of(rec.Version.Stamp, rec.Version.Time)
	if err != nil {
		return nil, err
	}
	v := &VisitTimes{Entry: entry, Claimed: map[string]int64{}, Form: map[string]int64{}}
	for _, name := range casework.VisitTimes {
		at := parseTime(rec.Body.Str(name))
		if at == 0 {
			continue
		}
		written := rec.Of(name)
		t, err := p.of(written.Stamp, written.Time)
		if err != nil {
			return nil, err
		}
		v.Claimed[name], v.Form[name] = at, at
		if t.Received > 0 && t.By != syncproto.ByServer {
			v.Form[name] = syncproto.Timing{Claimed: t.Offset, Received: t.Received}.Shift(at)
		}
	}
	for _, name := range casework.VisitTimes {
		if at, ok := v.Form[name]; ok {
			v.Waited = max(entry.Received-at, 0)
			break
		}
	}
	v.Late, v.Evidence = evidenceOf(rec.Body)
	for _, d := range entry.Doubts {
		v.Evidence = append(v.Evidence, string(d))
	}
	v.Evidence = casework.Evidence(v.Late, v.Evidence)
	return v, nil
}

// evidenceOf reads what was noted at the receipt of a visit, the gravest first.
func evidenceOf(body syncproto.Object) (late bool, codes []string) {
	for _, raw := range body.Get("clock_doubts").Items() {
		if x, err := raw.Decode(); err == nil {
			if s, ok := x.(string); ok {
				codes = append(codes, s)
			}
		}
	}
	late = string(body.Get("late")) == "true"
	return late, casework.Evidence(late, codes)
}
