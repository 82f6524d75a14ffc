package loop

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// MaxSample bounds the households of a sample.
const MaxSample = 1000

// EvaluationInput draws a sample for a third party.
type EvaluationInput struct {
	Title     string // at most 100 characters
	Evaluator string // a user's id; his account has the role evaluator
	Size      int    // households, 1 to MaxSample
	Region    string // within the caller's own, "" for all of it
	Seed      string // at most 64 characters; "" for a new one
	DueOn     string // "2006-01-02"
}

// SampleColumns are what an evaluator learns of a household: nothing by which it can be found.
var SampleColumns = []string{"样本编号", "镇(街道)", "城乡", "救助类别", "人口数", "人均年收入", "困难类型", "走访次数", "转办落实", "帮扶情况"}

// DrawSample draws a stratified sample of the households that receive help, by category and town, and keeps what the
// evaluator is to see of them as it is on the day of the draw. The same seed over the same households draws the same
// ones, see casework.Stratify.
func (l *Loop) DrawSample(ctx context.Context, by casework.Actor, in EvaluationInput) (id string, err error) {
	in.Title, in.Seed = clipRunes(strings.TrimSpace(in.Title), 100), clipRunes(strings.TrimSpace(in.Seed), 64)
	in.Region, in.Seed = cmp.Or(in.Region, by.Region), cmp.Or(in.Seed, l.newID())
	switch {
	case in.Title == "":
		return "", casework.NewError(casework.CodeInvalidValue, "请填写评估名称。")
	case in.Size < 1 || in.Size > MaxSample:
		return "", casework.NewError(casework.CodeInvalidValue, fmt.Sprintf("样本数应为1至%d户。", MaxSample))
	case !validDate(in.DueOn) || in.DueOn < l.dayOr(""):
		return "", casework.NewError(casework.CodeInvalidValue, "期限应写成2026-01-31的样子,且不早于今天。")
	}
	if err := by.May(casework.VerbEvaluate, casework.Subject{Kind: "evaluation", Region: in.Region}); err != nil {
		return "", err
	}
	ref := syncproto.Ref{Kind: "evaluation", ID: l.newID()}
	load := &Load{Dataset: sampleSet(ref.ID), By: by.UserID}
	var rows []LoadRow
	population := 0
	if err := l.store.Read(ctx, func(tx ReadTx) error {
		u, err := tx.User(in.Evaluator)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if err != nil || casework.Role(u.Role) != casework.RoleEvaluator || !usable(u, l.clock().UnixMilli()) {
			return casework.NewError(casework.CodeInvalidValue, "请选择一个有效的第三方评估账号。")
		}
		rows, population, err = l.sample(ctx, tx, in, load.Dataset)
		return err
	}); err != nil {
		return "", err
	}
	if population == 0 {
		return "", casework.NewError(casework.CodeGuardFailed, "该区划没有正在享受救助的家庭。")
	}
	load.Rows = len(rows)
	if err := l.run(ctx, func(w *work) error { load.At = w.now; return w.tx.PutLoad(load) }); err != nil {
		return "", err
	}
	if err := l.storeRows(ctx, load, rows); err != nil {
		return "", err
	}
	key := randomKey()
	return ref.ID, l.run(ctx, func(w *work) error {
		state, err := casework.EvaluationMachine.Next("", "draw", by.Role, casework.Facts{})
		if err != nil {
			return err
		}
		g := w.newGroup()
		if err := g.putRoot(ref, syncproto.BucketDesk+by.Region, key, map[string]any{"title": in.Title, "evaluator": in.Evaluator, "region": in.Region,
			"size": len(rows), "population": population, "seed": in.Seed, "due_on": in.DueOn, "drawn_by": by.UserID, "drawn_at": w.clockTime(), "state": state}); err != nil {
			return err
		}
		w.auditBy(by, "draw_sample", ref, ref, map[string]any{"size": len(rows)})
		return g.commit()
	})
}

func sampleSet(id string) string { return "sample:" + id }

// sample draws the households and writes down what is said of each.
func (l *Loop) sample(ctx context.Context, tx ReadTx, in EvaluationInput, set string) (rows []LoadRow, population int, err error) {
	var units []casework.Unit
	homes := map[string]*Stored{}
	if err := eachInPool(tx, in.Region, "household", func(s *Stored, rec *syncproto.Record) error {
		held, err := heldIn(tx, rec)
		if err != nil || len(held) == 0 {
			return errorsOr(ctx, err)
		}
		homes[s.Ref.ID] = s
		units = append(units, casework.Unit{ID: s.Ref.ID, Stratum: held[0] + "|" + casework.TownOf(regionOf(s.Bucket))})
		return ctx.Err()
	}); err != nil {
		return nil, 0, err
	}
	sealer := l.datasetSealer()
	for i, id := range casework.Stratify(units, in.Size, in.Seed) {
		cells, err := sampled(tx, homes[id])
		if err != nil {
			return nil, 0, err
		}
		number := strconv.Itoa(i + 1)
		who := syncproto.Fields(map[string]any{"household": id})
		rows = append(rows, LoadRow{Line: i + 1, Key: number, Cells: append([]string{number}, cells...), Subject: sealer.Seal(subjectRef(set), number, who.Bytes())})
	}
	return rows, len(units), nil
}

// sampled is what an evaluator learns of a household, in the order of SampleColumns behind the number.
func sampled(tx ReadTx, home *Stored) ([]string, error) {
	h, err := parseStored(home)
	if err != nil {
		return nil, err
	}
	town, err := placeName(tx, casework.TownOf(regionOf(home.Bucket)))
	if err != nil {
		return nil, err
	}
	visits, sent, delivered := 0, 0, 0
	var aid []casework.ChainRecord
	if err := tx.ByRoot(home.Root, "", func(s *Stored) error {
		switch {
		case s.Ref.Kind == "visit" && s.Index.State == "approved":
			visits++
		case s.Ref.Kind == "referral":
			sent++
			if slices.Contains([]string{"delivered", "result_fed_back", "closed"}, s.Index.State) {
				delivered++
			}
		case s.Ref.Kind == "aid":
			b, err := syncproto.ParseObject(s.Body)
			aid = append(aid, casework.ChainRecord{Kind: "aid", ID: s.Ref.ID, Fields: openFields(b)})
			return err
		}
		return nil
	}); err != nil {
		return nil, err
	}
	area := "农村"
	if placeOf(home.Bucket, h.Body).Urban {
		area = "城市"
	}
	var help []string
	for _, h := range casework.Received(aid) {
		help = append(help, fmt.Sprintf("%s%d次,共%s", casework.Label("measure", h.Measure), h.Times, casework.Yuan(h.Amount)))
	}
	members := max(h.Body.Int("members_count"), 1)
	return []string{town, area, strings.Join(labels("category", categories(h)), "、"), strconv.FormatInt(members, 10), casework.IncomeBand(h.Body.Int("income_year") / members),
		strings.Join(labels("difficulty", listOf(h.Body, "difficulties")), "、"), strconv.Itoa(visits), fmt.Sprintf("%d/%d", delivered, sent), strings.Join(help, ";")}, nil
}

// Sampled is one household of a sample, with what the evaluator said of it.
type Sampled struct {
	Number    int
	Cells     []string // of SampleColumns
	Household string   // only for the bureau
	Assessed  bool
	Rating    int // 1 to 5
	Delivered bool
	Text      string
}

// Sample opens a sample: for its evaluator without a trace of who is in it, for the bureau with the households' ids.
func (l *Loop) Sample(ctx context.Context, by casework.Actor, id string) (list []Sampled, err error) {
	err = l.run(ctx, func(w *work) error {
		list = []Sampled{}
		g := w.newGroup()
		d, err := g.evaluation(by, id)
		if err != nil {
			return err
		}
		ring, err := g.ring(d.rec.Root, d.bucket)
		if err != nil {
			return err
		}
		load, err := w.tx.LastLoad(sampleSet(id))
		if err != nil {
			return err
		}
		if err := w.tx.LoadRows(load.N, func(r LoadRow) error {
			x := Sampled{Number: r.Line, Cells: slices.Clone(r.Cells)}
			if by.Role == casework.RoleBureauOfficer {
				if x.Household, err = l.drawn(load, r); err != nil {
					return err
				}
			}
			list = append(list, x)
			return nil
		}); err != nil {
			return err
		}
		w.auditBy(by, "open_sample", d.rec.Ref, d.rec.Root, nil)
		return w.tx.ByRoot(d.rec.Root, "assessment", func(s *Stored) error {
			rec, err := parseStored(s)
			if err != nil {
				return err
			}
			if n := int(rec.Body.Int("number")); n >= 1 && n <= len(list) {
				x := &list[n-1]
				x.Assessed, x.Rating, x.Delivered = true, int(rec.Body.Int("rating")), string(rec.Body.Get("delivered")) == "true"
				x.Text, _ = opened(ring, rec.Ref, rec.Body)["text"].(string)
			}
			return nil
		})
	})
	return list, err
}

// drawn is the household behind a row of a sample.
func (l *Loop) drawn(sample *Load, r LoadRow) (string, error) {
	who, err := l.openSubject(sample.Dataset, r.Key, slices.Clone(r.Subject))
	return strings.Clone(who.Str("household")), err
}

// evaluation opens an evaluation for the bureau or for its evaluator.
func (g *group) evaluation(by casework.Actor, id string) (*draft, error) {
	verb := casework.VerbEvaluate
	if by.Role == casework.RoleEvaluator {
		verb = casework.VerbAssess
	}
	return g.visible(by, verb, syncproto.Ref{Kind: "evaluation", ID: id})
}

// AssessmentInput is what an evaluator says of one household of his sample; said again, it replaces what was said.
type AssessmentInput struct {
	Evaluation string
	Number     int
	Rating     int    // 1 to 5
	Delivered  bool   // the help has arrived
	Text       string // sealed, at most 1000 characters
}

// Assess writes an assessment down.
func (l *Loop) Assess(ctx context.Context, by casework.Actor, in AssessmentInput) error {
	if in.Rating < 1 || in.Rating > 5 {
		return casework.NewError(casework.CodeInvalidValue, "评分应为1至5分。")
	}
	text := clipRunes(strings.TrimSpace(in.Text), 1000)
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.visible(by, casework.VerbAssess, syncproto.Ref{Kind: "evaluation", ID: in.Evaluation})
		if err != nil {
			return err
		}
		switch {
		case d.rec.Body.Str("state") != "open":
			return casework.NewError(casework.CodeGuardFailed, "评估已提交或已结束,不能再修改。")
		case in.Number < 1 || int64(in.Number) > d.rec.Body.Int("size"):
			return casework.NewError(casework.CodeInvalidValue, "样本里没有这个编号。")
		}
		ref := syncproto.Ref{Kind: "assessment", ID: syncproto.DerivedID("assessment", fmt.Sprintf("%s|%d", in.Evaluation, in.Number))}
		f := map[string]any{"evaluation": in.Evaluation, "number": in.Number, "rating": in.Rating, "delivered": in.Delivered, "text": optional(text), "by": by.UserID, "at": w.clockTime()}
		old, err := g.open(ref)
		if err != nil {
			return err
		}
		if old.exists {
			_, err = g.serverSet(ref, f)
		} else {
			_, err = g.serverPut(ref, d.rec.Root, d.bucket, syncproto.Fields(f))
		}
		if err != nil {
			return err
		}
		return g.commit()
	})
}

// StepEvaluation takes an evaluation one step on: submit with its summary by the evaluator, send_back, accept or cancel by
// the bureau. Text is sealed, at most 4000 characters.
func (l *Loop) StepEvaluation(ctx context.Context, by casework.Actor, id, action, text string) error {
	text = clipRunes(strings.TrimSpace(text), 4000)
	if !slices.Contains([]string{"submit", "send_back", "accept", "cancel"}, action) {
		return casework.NewError(casework.CodeInvalidValue, "请选择提交、退回、认可或取消。")
	}
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		d, err := g.evaluation(by, id)
		if err != nil {
			return err
		}
		said, sum := 0, int64(0)
		if err := w.tx.ByRoot(d.rec.Root, "assessment", func(s *Stored) error {
			b, err := syncproto.ParseObject(s.Body)
			said, sum = said+1, sum+b.Int("rating")
			return err
		}); err != nil {
			return err
		}
		f := map[string]any{}
		stamp, field := map[string]string{"submit": "submitted_at", "accept": "closed_at", "cancel": "closed_at"}[action], "reason"
		if action == "submit" {
			field = "summary"
			f["rating"] = 100 * sum / int64(max(said, 1))
		}
		writeStep(f, map[string]string{field: text, stamp: w.clockTime()})
		if err := g.step(d, action, by.Role, casework.Facts{Reasoned: text != "", Unassessed: int(d.rec.Body.Int("size")) - said}, f); err != nil {
			return err
		}
		w.auditBy(by, "evaluation_"+action, d.rec.Ref, d.rec.Root, nil)
		return g.commit()
	})
}
