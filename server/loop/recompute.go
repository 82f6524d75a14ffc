package loop

import (
	"context"
	"slices"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Recomputed is a household whose dibao is another one under the standards of a day.
type Recomputed struct {
	Household   string
	Application string
	Before      int64 // 分 a month
	After       int64 // what the rules say now; 0 where they do not suggest dibao any more
	Review      bool  // the category would be another one: people decide in a review
}

// RecomputeReport says what new standards mean for help that is paid.
type RecomputeReport struct {
	On       string
	Judged   int
	Unjudged int // that lack what the rules need, or are one member's alone
	Changed  []Recomputed
	Applied  bool
}

// Recompute classifies every household that receives dibao anew, under the standards that hold on a day ("2026-07-01"; ""
// for today), such as after a standard has changed in the middle of a year. With apply the new amounts are paid from the
// next month on; where the rules suggest another category, a review is opened, and the amount stays until people have
// decided.
func (l *Loop) Recompute(ctx context.Context, by casework.Actor, on string, apply bool) (*RecomputeReport, error) {
	if on = l.dayOr(on); !validDate(on) {
		return nil, casework.NewError(casework.CodeInvalidValue, "日期应写成2026-07-01的样子。")
	}
	if err := by.May(casework.VerbDecideHelp, casework.Subject{Kind: "application", Region: by.Region}); err != nil {
		return nil, err
	}
	rep := &RecomputeReport{On: on, Changed: []Recomputed{}, Applied: apply}
	err := l.store.Read(ctx, func(tx ReadTx) error {
		rep.Judged, rep.Unjudged, rep.Changed = 0, 0, rep.Changed[:0]
		standards, err := readStandards(tx)
		if err != nil {
			return err
		}
		q := Query{Kind: "application", States: []string{"active"}, Region: casework.RegionPrefix(by.Region), Limit: 500}
		return eachFound(tx, q, func(s *Stored) error { return errorsOr(ctx, l.recompute(tx, s, standards, rep)) })
	})
	for start := 0; err == nil && apply && start < len(rep.Changed); start += paymentChunk {
		part := rep.Changed[start:min(start+paymentChunk, len(rep.Changed))]
		err = l.run(ctx, func(w *work) error {
			for i := range part {
				if err := w.applyRecomputed(by, on, &part[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return rep, err
}

func (l *Loop) recompute(tx ReadTx, s *Stored, standards casework.Standards, rep *RecomputeReport) error {
	a, err := parseStored(s)
	if err != nil || s.Root.Kind != "household" || !slices.Contains(categories(a), "DIBAO") {
		return err
	}
	if singlePerson(a.Body) { // the rules grant a household's help; what one member receives people decide
		rep.Unjudged++
		return nil
	}
	h, err := tx.Record(s.Root)
	if err != nil {
		return err
	}
	situation, _, _, err := l.situation(tx, h, rep.On)
	var now *casework.Suggestion
	if err == nil {
		now, err = casework.Classify(situation, standards)
	}
	if unjudged(err) {
		rep.Unjudged++
		return nil
	}
	if err != nil {
		return err
	}
	rep.Judged++
	x := Recomputed{Household: s.Root.ID, Application: s.Ref.ID, Before: a.Body.Int("amount")}
	if slices.Contains(now.Categories, "DIBAO") {
		x.After = now.GrantMonth
	} else {
		x.Review = true
	}
	if x.Review || x.Before != x.After {
		rep.Changed = append(rep.Changed, x)
	}
	return nil
}

func (w *work) applyRecomputed(by casework.Actor, on string, x *Recomputed) error {
	g := w.newGroup()
	d, err := g.live(syncproto.Ref{Kind: "application", ID: x.Application})
	if err != nil {
		return err
	}
	if d.rec.Body.Str("state") != "active" || d.rec.Body.Int("amount") != x.Before {
		return nil // it has changed meanwhile
	}
	if x.Review {
		err = g.reviewNow(d.rec.Root, "change")
	} else {
		_, err = g.serverSet(d.rec.Ref, map[string]any{"amount": x.After, "recomputed_at": w.clockTime(), "recomputed_on": on, "recomputed_by": by.UserID})
	}
	if err != nil {
		return err
	}
	w.auditBy(by, "recompute", d.rec.Ref, d.rec.Root, map[string]any{"before": x.Before, "after": x.After, "review": x.Review})
	return g.commit()
}

// Standards lists every standard on record.
func (l *Loop) Standards(ctx context.Context) (list casework.Standards, err error) {
	err = l.store.Read(ctx, func(tx ReadTx) error { list, err = readStandards(tx); return err })
	return list, err
}

// PutStandards writes standards. One that begins on the same day for the same place is written anew, with its former value
// in the history; any other one joins those on record, and counts from its day on.
func (l *Loop) PutStandards(ctx context.Context, by casework.Actor, list []casework.Standard) error {
	if err := by.May(casework.VerbReference, casework.Subject{Kind: "standard", Region: by.Region}); err != nil {
		return err
	}
	for _, s := range list {
		if err := s.Check(); err != nil {
			return err
		}
		if s.Region != "" && !casework.Covers(by.Region, s.Region) {
			return casework.NewError(casework.CodeInvalidValue, "标准的地区不在本县范围内。")
		}
	}
	return l.run(ctx, func(w *work) error {
		known := map[casework.Standard]syncproto.Ref{}
		if err := eachFound(w.tx, Query{Kind: "standard", Limit: 500}, func(s *Stored) error {
			b, err := syncproto.ParseObject(s.Body)
			known[standardKey(b.Str("code"), b.Str("region"), b.Str("area"), b.Str("from"))] = s.Ref
			return err
		}); err != nil {
			return err
		}
		for _, s := range list {
			key := standardKey(s.Code, s.Region, s.Area, s.From)
			ref, ok := known[key]
			if !ok {
				ref = syncproto.Ref{Kind: "standard", ID: syncproto.DerivedID("standard", s.Code+"|"+s.Region+"|"+s.Area+"|"+s.From)}
			}
			g := w.newGroup()
			f := map[string]any{"code": s.Code, "name": s.Code, "region": s.Region, "area": s.Area, "value": s.Value, "unit": s.Unit, "from": s.From, "until": optional(s.Until), "source": s.Source}
			if ok {
				delete(f, "name")
			} else if s.Until == "" {
				delete(f, "until")
			}
			if err := g.putReference(ref, f); err != nil {
				return err
			}
			if err := g.commit(); err != nil {
				return err
			}
			w.auditBy(by, "put_standard", ref, syncproto.Ref{}, map[string]any{"code": s.Code, "value": s.Value, "from": s.From})
		}
		return nil
	})
}

// standardKey tells standards apart: what, where and from when.
func standardKey(code, region, area, from string) casework.Standard {
	return casework.Standard{Code: code, Region: region, Area: area, From: from}
}
