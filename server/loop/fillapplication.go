package loop

import (
	"context"
	"slices"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Filling are answers of an application that were given at the window or on paper.
type Filling struct {
	Application string
	Answers     map[string]any // by the names of the form's questions; nil takes an answer back
	Submit      bool           // hand it in afterwards
}

// FillApplication writes answers into an application that is a draft or waits for its supplement, and hands it in where
// asked to. A supplement takes answers to the questions that were asked only.
func (l *Loop) FillApplication(ctx context.Context, by casework.Actor, in Filling) error {
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		ref := syncproto.Ref{Kind: "application", ID: in.Application}
		d, err := g.visible(by, casework.VerbApply, ref)
		if err != nil {
			return err
		}
		if !slices.Contains(casework.ApplicationsFilling, d.rec.Body.Str("state")) {
			return casework.NewError(casework.CodeInvalidTransition, "申请已提交,不能再修改,请刷新后查看。")
		}
		fields, err := g.filled(d, in.Answers)
		if err != nil {
			return err
		}
		if d, err = g.serverSet(ref, fields); err != nil {
			return err
		}
		w.auditBy(by, "fill_application", ref, d.rec.Root, map[string]any{"questions": len(in.Answers)})
		if in.Submit {
			facts, err := g.applicationFacts(d)
			if err != nil {
				return err
			}
			if err := g.step(d, "submit", by.Role, facts, nil); err != nil {
				return err
			}
			if err := g.applied(d, ""); err != nil {
				return err
			}
			w.auditBy(by, "submit_application", ref, d.rec.Root, nil)
		}
		return g.commit()
	})
}

// filled turns answers into the fields that hold them.
func (g *group) filled(d *draft, answers map[string]any) (map[string]any, error) {
	form, err := g.form(d)
	if err != nil {
		return nil, err
	}
	var asked []string
	if d.rec.Body.Str("state") == "supplement" {
		for _, q := range d.rec.Body.Get("supplement_questions").Items() {
			asked = append(asked, q.Str())
		}
	}
	fields := map[string]any{}
	for name, v := range answers {
		q, ok := form.Question(name)
		switch {
		case !ok || q.Type == "note":
			return nil, casework.NewError(casework.CodeInvalidValue, "表单里没有这个问题:"+clipRunes(name, 64))
		case asked != nil && !slices.Contains(asked, name):
			return nil, casework.NewError(casework.CodeInvalidValue, "“"+q.Label+"”不在需补正的问题中,不能修改。")
		case v == nil:
			fields[form.Field(name)] = nil
			continue
		}
		v = integers(v)
		if err := q.Check(v); err != nil {
			return nil, err
		}
		raw, err := g.answer(d.rec.Ref, d.rec.Root, d.bucket, form, name, v)
		if err != nil {
			return nil, err
		}
		fields[form.Field(name)] = raw
	}
	return fields, nil
}

// integers turns the whole numbers of decoded JSON into integers; others stay, and are refused as answers.
func integers(v any) any {
	switch x := v.(type) {
	case float64:
		if n := int64(x); float64(n) == x && n <= syncproto.MaxInt && n >= -syncproto.MaxInt {
			return n
		}
	case []any:
		list := make([]any, len(x))
		for i := range x {
			list[i] = integers(x[i])
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(x))
		for k := range x {
			m[k] = integers(x[k])
		}
		return m
	}
	return v
}

// applied notes what follows from the submission of an application: when it was, who answers for it in the field, and
// that the applicant is a near relative of staff, which stays registered whatever is written later. The task that asked
// for a supplement is done. worker is the user whose phone it came from, "" from a desk.
func (g *group) applied(d *draft, worker string) error {
	f := map[string]any{"submitted_at": g.w.clockTime()}
	if d.rec.Body.Str("q_staff_relative") == "yes" {
		f["staff_relative"] = true
	}
	if worker != "" {
		f["worker"] = worker
	}
	if _, err := g.serverSet(d.rec.Ref, f); err != nil {
		return err
	}
	return g.closeTasks(d, "supplement")
}
