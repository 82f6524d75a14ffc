package desk

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/loop"
)

// Made names the record that an operation made.
type Made struct {
	ID string `json:"id"`
}

func (a *API) reviews() {
	huma.Register(a.huma, op(http.MethodPost, "/visits/{id}/approve", "approve-visit", "review", "Approve a submitted visit"),
		func(ctx context.Context, in *struct {
			ID   string `path:"id" maxLength:"64"`
			Body struct {
				Text string `json:"text,omitempty" maxLength:"1000"`
			}
		}) (*empty, error) {
			return done(a.Loop.Review(ctx, actor(ctx), loop.ReviewInput{Visit: in.ID, Approve: true, Text: in.Body.Text}))
		})
	huma.Register(a.huma, op(http.MethodPost, "/visits/{id}/return", "return-visit", "review", "Return a visit with comments per question"),
		func(ctx context.Context, in *struct {
			ID   string `path:"id" maxLength:"64"`
			Body struct {
				Comments []loop.Comment `json:"comments" minItems:"1" maxItems:"100"`
				Text     string         `json:"text,omitempty" maxLength:"1000"`
			}
		}) (*empty, error) {
			return done(a.Loop.Review(ctx, actor(ctx), loop.ReviewInput{Visit: in.ID, Comments: in.Body.Comments, Text: in.Body.Text}))
		})
}

func (a *API) settlements() {
	huma.Register(a.huma, op(http.MethodPost, "/conflicts/{id}/settle", "settle-conflict", "review", "Settle a conflict: keep what stands, take what lost, or write another value"),
		func(ctx context.Context, in *struct {
			ID   string `path:"id" maxLength:"64"`
			Body struct {
				Choice string `json:"choice" enum:"keep,take,write"`
				Value  any    `json:"value,omitempty" doc:"With write: the value in the open; none removes the field."`
			}
		}) (*empty, error) {
			return done(a.Loop.SettleConflict(ctx, actor(ctx), loop.Choice{Conflict: in.ID, Choice: in.Body.Choice, Value: in.Body.Value}))
		})
	for decision, accept := range map[string]bool{"accept": true, "reject": false} {
		huma.Register(a.huma, op(http.MethodPost, "/amendments/{id}/"+decision, decision+"-amendment", "review", "Decide a correction to an approved visit: "+decision),
			func(ctx context.Context, in *struct {
				ID   string `path:"id" maxLength:"64"`
				Body struct {
					Reason string `json:"reason,omitempty" maxLength:"500" doc:"Needed with reject; the worker reads it."`
				}
			}) (*empty, error) {
				return done(a.Loop.DecideAmendment(ctx, actor(ctx), in.ID, accept, in.Body.Reason))
			})
	}
}

func (a *API) dispositions() {
	huma.Register(a.huma, op(http.MethodPost, "/leads/{id}/disposition", "propose", "dispositions", "Propose a disposition of a lead"),
		func(ctx context.Context, in *struct {
			ID   string `path:"id" maxLength:"64"`
			Body struct {
				Result     string   `json:"result" maxLength:"64"`
				Categories []string `json:"categories,omitempty" maxItems:"9"`
				Reason     string   `json:"reason" minLength:"1" maxLength:"1000"`
			}
		}) (*body[Made], error) {
			id, err := a.Loop.Propose(ctx, actor(ctx), loop.Proposal{Lead: in.ID, Result: in.Body.Result, Categories: in.Body.Categories, Reason: in.Body.Reason})
			return answer(Made{id}, err)
		})
	huma.Register(a.huma, op(http.MethodPost, "/dispositions/{id}/verify", "verify", "dispositions", "Verify, return, or put before a case conference"),
		func(ctx context.Context, in *struct {
			ID   string `path:"id" maxLength:"64"`
			Body struct {
				Action string `json:"action" enum:"verify,return,conference"`
				Reason string `json:"reason,omitempty" maxLength:"1000"`
			}
		}) (*empty, error) {
			return done(a.Loop.Verify(ctx, actor(ctx), loop.Verdict{Disposition: in.ID, Action: in.Body.Action, Reason: in.Body.Reason}))
		})
	huma.Register(a.huma, op(http.MethodPost, "/dispositions/{id}/feedback", "feed-back", "dispositions", "Feed a verified disposition back and close its lead"),
		func(ctx context.Context, in *struct {
			ID string `path:"id" maxLength:"64"`
		}) (*empty, error) {
			return done(a.Loop.FeedBack(ctx, actor(ctx), in.ID))
		})
}

func (a *API) referrals() {
	huma.Register(a.huma, op(http.MethodPost, "/dispositions/{id}/referrals", "refer", "referrals", "Refer a need to a department"),
		func(ctx context.Context, in *struct {
			ID   string `path:"id" maxLength:"64"`
			Body struct {
				Dept     string `json:"dept" maxLength:"16"`
				Need     string `json:"need" maxLength:"64"`
				Text     string `json:"text,omitempty" maxLength:"1000" doc:"Sealed in the household's record."`
				Workdays int    `json:"workdays,omitempty" minimum:"1" maximum:"250"`
			}
		}) (*body[Made], error) {
			b := in.Body
			id, err := a.Loop.Refer(ctx, actor(ctx), loop.ReferralInput{Disposition: in.ID, Dept: b.Dept, Need: b.Need, Text: b.Text, Workdays: b.Workdays})
			return answer(Made{id}, err)
		})
	huma.Register(a.huma, op(http.MethodPost, "/referrals/{id}/{action}", "answer-referral", "referrals", "Take a referral one step on"),
		func(ctx context.Context, in *struct {
			ID     string `path:"id" maxLength:"64"`
			Action string `path:"action" enum:"accept,decline,start,deliver,feed_back,close"`
			Body   struct {
				Result string `json:"result,omitempty" maxLength:"1000"`
				Code   string `json:"code,omitempty" maxLength:"64"`
				Amount int64  `json:"amount,omitempty" minimum:"0" doc:"分."`
			}
		}) (*empty, error) {
			return done(a.Loop.AnswerReferral(ctx, actor(ctx), loop.ReferralAnswer{Referral: in.ID, Action: in.Action,
				Result: in.Body.Result, Code: in.Body.Code, Amount: in.Body.Amount}))
		})
}
