package desk

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/loop"
)

// orders are the operations of urging and supervising.
func (a *API) orders() {
	huma.Register(a.huma, op(http.MethodPost, "/orders", "issue-order", "orders", "Urge the town or the department whose turn it is, or supervise it as the county"),
		func(ctx context.Context, in *struct {
			Body struct {
				Kind     string `json:"kind" enum:"lead,application,periodic_review,exit,referral,resolution"`
				ID       string `json:"id" minLength:"1" maxLength:"64"`
				Level    string `json:"level" enum:"urge,supervise"`
				Text     string `json:"text" minLength:"1" maxLength:"1000" doc:"Sealed; what is asked for."`
				Workdays int    `json:"workdays,omitempty" minimum:"0" maximum:"250" doc:"Until an answer is due; the standard without it."`
			}
		}) (*body[Made], error) {
			id, err := a.Loop.IssueOrder(ctx, actor(ctx), loop.OrderInput(in.Body))
			return answer(Made{id}, err)
		})
	huma.Register(a.huma, op(http.MethodPost, "/orders/{id}/{action}", "step-order", "orders", "Answer an order, or follow it to its end"),
		func(ctx context.Context, in *struct {
			ID     string `path:"id" maxLength:"64"`
			Action string `path:"action" enum:"answer,accept,send_back,withdraw,escalate"`
			Body   struct {
				Text string `json:"text,omitempty" maxLength:"1000" doc:"Sealed; needed with answer, send_back and withdraw."`
			}
		}) (*empty, error) {
			return done(a.Loop.StepOrder(ctx, actor(ctx), in.ID, in.Action, in.Body.Text))
		})
}
