package loop

import (
	"context"
	"fmt"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

// Comment is a reviewer's word on one question of a visit.
type Comment struct {
	Question string `json:"question" maxLength:"64"`
	Text     string `json:"text" minLength:"1" maxLength:"500"`
}

// ReviewInput is a reviewer's decision on a submitted visit.
type ReviewInput struct {
	Visit    string
	Approve  bool
	Comments []Comment // with a return: at least one, each on a question of the visit's form
	Text     string
}

// Review approves a submitted visit or returns it with comments on single questions, which become a task on the
// worker's phone: only these questions are asked again. Approving carries the answers that the reviewer saw as
// differences over into the household's record.
func (l *Loop) Review(ctx context.Context, by casework.Actor, in ReviewInput) error {
	return l.run(ctx, func(w *work) error {
		g := w.newGroup()
		ref := syncproto.Ref{Kind: "visit", ID: in.Visit}
		d, err := g.visible(by, casework.VerbReviewVisit, ref)
		if err != nil {
			return err
		}
		facts, err := g.visitFacts(d)
		if err != nil {
			return err
		}
		facts.Reviewer = by.UserID
		if in.Approve {
			err = g.approve(d, by, facts, in)
		} else {
			err = g.giveBack(d, by, facts, in)
		}
		if err != nil {
			return err
		}
		return g.commit()
	})
}

func (g *group) approve(d *draft, by casework.Actor, facts casework.Facts, in ReviewInput) error {
	if err := g.step(d, "approve", by.Role, facts, map[string]any{"returned_questions": nil}); err != nil {
		return err
	}
	if err := g.carryOver(d); err != nil {
		return err
	}
	if err := g.closeTasks(d, "correction"); err != nil {
		return err
	}
	if err := g.served(d); err != nil {
		return err
	}
	return g.reviewed(d, by, "approved", in)
}

func (g *group) giveBack(d *draft, by casework.Actor, facts casework.Facts, in ReviewInput) error {
	questions, err := g.checkComments(d, in.Comments)
	if err != nil {
		return err
	}
	names := make([]any, len(in.Comments))
	for i, c := range in.Comments {
		names[i] = c.Question
	}
	if err := g.step(d, "return", by.Role, facts, map[string]any{"returned_questions": names}); err != nil {
		return err
	}
	leads, err := g.leadsOf(d, false)
	if err != nil {
		return err
	}
	for _, lead := range leads {
		if err := g.step(lead, "return", by.Role, casework.Facts{}, nil); err != nil {
			return err
		}
	}
	title := fmt.Sprintf("退回补正:%d个问题", len(questions))
	if err := g.openTask(d, d.rec.Body.Str("surveyor_1"), "correction", title, questions); err != nil {
		return err
	}
	return g.reviewed(d, by, "returned", in)
}

// checkComments insists that a return names questions of the visit's form, so that the phone can ask them again.
func (g *group) checkComments(d *draft, comments []Comment) ([]any, error) {
	if len(comments) == 0 {
		return nil, casework.NewError("invalid_value", "退回时请至少指出一个问题,并写明原因。")
	}
	form, err := g.form(d)
	if err != nil {
		return nil, err
	}
	list := make([]any, 0, len(comments))
	for _, c := range comments {
		text := clipRunes(c.Text, 500)
		if text == "" {
			return nil, casework.NewError("invalid_value", "请写明退回原因。")
		}
		if !form.Has(c.Question) {
			return nil, casework.NewError("invalid_value", "表单里没有这个问题:"+clipRunes(c.Question, 64))
		}
		list = append(list, map[string]any{"question": c.Question, "comment": text})
	}
	return list, nil
}

// reviewed leaves a review record beside the visit.
func (g *group) reviewed(d *draft, by casework.Actor, decision string, in ReviewInput) error {
	comments := make([]any, len(in.Comments))
	for i, c := range in.Comments {
		comments[i] = map[string]any{"question": c.Question, "text": clipRunes(c.Text, 500)}
	}
	f := map[string]any{"visit": d.rec.ID, "reviewer": by.UserID, "decision": decision, "at": g.w.clockTime(), "text": optional(clipRunes(in.Text, 1000))}
	if len(comments) > 0 {
		f["comments"] = comments
	}
	g.w.auditBy(by, "review_"+decision, d.rec.Ref, d.rec.Root, map[string]any{"questions": len(comments)})
	_, err := g.serverPut(syncproto.Ref{Kind: "review", ID: g.w.l.newID()}, d.rec.Root, d.bucket, syncproto.Fields(f))
	return err
}

// leadOf is the lead that a visit answers, or nil.
func (g *group) leadOf(d *draft) (*draft, error) {
	id := d.rec.Body.Str("lead")
	if id == "" {
		return nil, nil
	}
	return g.live(syncproto.Ref{Kind: "lead", ID: id})
}
