package desk

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/casework"
	"aidloop/server/loop"
)

// SampledView is one household of a sample.
type SampledView struct {
	Number    int               `json:"number"`
	About     map[string]string `json:"about" doc:"What is said of it, by Chinese heading; nothing by which it can be found."`
	Household string            `json:"household,omitempty" doc:"Only for the bureau."`
	Assessed  bool              `json:"assessed,omitempty"`
	Rating    int               `json:"rating,omitempty"`
	Delivered bool              `json:"delivered,omitempty"`
	Text      string            `json:"text,omitempty"`
}

// evaluations are the operations of third-party evaluation.
func (a *API) evaluations() {
	huma.Register(a.huma, op(http.MethodPost, "/evaluations", "draw-sample", "evaluation", "Draw a stratified sample of households that receive help, for a third party"),
		func(ctx context.Context, in *struct {
			Body struct {
				Title     string `json:"title" minLength:"1" maxLength:"100"`
				Evaluator string `json:"evaluator" minLength:"1" maxLength:"64" doc:"A user's id, of the role evaluator."`
				Size      int    `json:"size" minimum:"1" maximum:"1000"`
				Region    string `json:"region,omitempty" maxLength:"12" doc:"Within your own; all of it without."`
				Seed      string `json:"seed,omitempty" maxLength:"64" doc:"The same seed over the same households draws the same ones; a new one without."`
				DueOn     string `json:"due_on" format:"date"`
			}
		}) (*body[Made], error) {
			id, err := a.Loop.DrawSample(ctx, actor(ctx), loop.EvaluationInput(in.Body))
			return answer(Made{id}, err)
		})
	sample := op(http.MethodGet, "/evaluations/{id}/sample", "open-sample", "evaluation", "Open a sample with what was said of it; every time is audited")
	sample.Responses = fileResponses[[]SampledView](a, "The sample")
	huma.Register(a.huma, sample, func(ctx context.Context, in *struct {
		ID     string `path:"id" maxLength:"64"`
		Format string `query:"format" enum:"json,csv,xlsx" default:"json"`
	}) (*file, error) {
		list, err := a.Loop.Sample(ctx, actor(ctx), in.ID)
		if err != nil {
			return nil, wrap(err)
		}
		out, err := sampleAs(in.Format, list)
		return out, wrap(err)
	})
	huma.Register(a.huma, op(http.MethodPut, "/evaluations/{id}/assessments/{number}", "assess", "evaluation", "Say what you found at a household of your sample; said again, it replaces what was said"),
		func(ctx context.Context, in *struct {
			ID     string `path:"id" maxLength:"64"`
			Number int    `path:"number" minimum:"1" maximum:"1000"`
			Body   struct {
				Rating    int    `json:"rating" minimum:"1" maximum:"5"`
				Delivered bool   `json:"delivered" doc:"The help has arrived."`
				Text      string `json:"text,omitempty" maxLength:"1000" doc:"Sealed."`
			}
		}) (*empty, error) {
			b := in.Body
			return done(a.Loop.Assess(ctx, actor(ctx), loop.AssessmentInput{Evaluation: in.ID, Number: in.Number, Rating: b.Rating, Delivered: b.Delivered, Text: b.Text}))
		})
	huma.Register(a.huma, op(http.MethodPost, "/evaluations/{id}/{action}", "step-evaluation", "evaluation", "Submit an evaluation as its evaluator, or decide on it as the bureau"),
		func(ctx context.Context, in *struct {
			ID     string `path:"id" maxLength:"64"`
			Action string `path:"action" enum:"submit,send_back,accept,cancel"`
			Body   struct {
				Text string `json:"text,omitempty" maxLength:"4000" doc:"Sealed; the summary with submit, the reason with send_back and cancel."`
			}
		}) (*empty, error) {
			return done(a.Loop.StepEvaluation(ctx, actor(ctx), in.ID, in.Action, in.Body.Text))
		})
}

func sampleAs(format string, list []loop.Sampled) (*file, error) {
	out := make([]SampledView, len(list))
	var head []any
	for _, h := range loop.SampleColumns {
		head = append(head, h)
	}
	table := [][]any{append(head, "评分", "已落实", "评估意见")}
	for i, x := range list {
		out[i] = SampledView{x.Number, map[string]string{}, x.Household, x.Assessed, x.Rating, x.Delivered, x.Text}
		var row []any
		for k, h := range loop.SampleColumns {
			out[i].About[h] = x.Cells[k]
			row = append(row, x.Cells[k])
		}
		if x.Assessed {
			row = append(row, x.Rating, casework.Field{}.Words(x.Delivered), x.Text)
		}
		table = append(table, row)
	}
	if format == "json" {
		return jsonFile(out)
	}
	return tableFile(format, "sample", "评估样本", table)
}
