package desk

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/loop"
)

func (a *API) applications() {
	huma.Register(a.huma, op(http.MethodPost, "/objections/{id}/{action}", "answer-objection", "applications", "Register an objection that came by the public page, or dismiss it"),
		func(ctx context.Context, in *struct {
			ID     string `path:"id" maxLength:"64"`
			Action string `path:"action" enum:"register,dismiss"`
			Body   struct {
				Reason string `json:"reason" minLength:"1" maxLength:"1000" doc:"In your own words: it goes into the household's case, which does not tell who objected."`
			}
		}) (*empty, error) {
			return done(a.Loop.AnswerObjection(ctx, actor(ctx), in.ID, in.Action, in.Body.Reason))
		})
	huma.Register(a.huma, op(http.MethodPost, "/applications", "apply", "applications", "Start an application, filled in with what is known of the household"),
		func(ctx context.Context, in *struct {
			Body struct {
				Disposition string `json:"disposition,omitempty" maxLength:"64" doc:"That it follows from; the first of the three that is given counts."`
				Visit       string `json:"visit,omitempty" maxLength:"64"`
				Household   string `json:"household,omitempty" maxLength:"64"`
			}
		}) (*body[Made], error) {
			id, err := a.Loop.Apply(ctx, actor(ctx), loop.ApplicationInput(in.Body))
			return answer(Made{id}, err)
		})
	huma.Register(a.huma, op(http.MethodPut, "/applications/{id}/answers", "fill-application", "applications", "Write answers, and hand the application in"),
		func(ctx context.Context, in *struct {
			ID   string `path:"id" maxLength:"64"`
			Body struct {
				Answers map[string]any `json:"answers,omitempty" maxProperties:"200" doc:"By question, in the open; null takes one back. A supplement takes the questions asked only."`
				Submit  bool           `json:"submit,omitempty"`
			}
		}) (*empty, error) {
			return done(a.Loop.FillApplication(ctx, actor(ctx), loop.Filling{Application: in.ID, Answers: in.Body.Answers, Submit: in.Body.Submit}))
		})
	huma.Register(a.huma, op(http.MethodPost, "/applications/{id}/{action}", "step-application", "applications", "Take an application one step on"),
		func(ctx context.Context, in *struct {
			ID     string `path:"id" maxLength:"64"`
			Action string `path:"action" enum:"supplement,accept,investigate,opine,publicize,object,reinvestigate,report,extend,county_visit,confirm,deny,tell,activate,close,terminate,withdraw"`
			Body   struct {
				Reason     string         `json:"reason,omitempty" maxLength:"1000" doc:"Sealed; needed with a refusal, and where people decide otherwise than the rules suggest."`
				Questions  []loop.Comment `json:"questions,omitempty" maxItems:"100" doc:"With supplement: everything that is missing; it is asked for once."`
				Categories []string       `json:"categories,omitempty" maxItems:"9" doc:"With opine, confirm, and a report after an objection; none with an opinion against help."`
				Amount     int64          `json:"amount,omitempty" minimum:"0" doc:"With opine and confirm: 分 a month; what the rules suggest without it."`
				Relative   bool           `json:"relative,omitempty" doc:"With accept: the applicant is a near relative of staff."`
			}
		}) (*empty, error) {
			b := in.Body
			return done(a.Loop.StepApplication(ctx, actor(ctx), loop.ApplicationStep{Application: in.ID, Action: in.Action, Reason: b.Reason,
				Questions: b.Questions, Categories: b.Categories, Amount: b.Amount, Relative: b.Relative}))
		})
}
