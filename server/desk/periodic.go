package desk

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/loop"
)

// periodicReviews are the operations of reviews and of exits.
func (a *API) periodicReviews() {
	huma.Register(a.huma, op(http.MethodPost, "/households/{id}/periodic-reviews", "open-review", "reviews", "Open a review of a household's help out of turn, because something became known"),
		func(ctx context.Context, in *struct {
			ID   string `path:"id" maxLength:"64"`
			Body struct {
				Cause string `json:"cause" enum:"death,change"`
				Since string `json:"since,omitempty" format:"date" doc:"The day on which it happened; today without it."`
			}
		}) (*body[Made], error) {
			id, err := a.Loop.OpenReview(ctx, actor(ctx), loop.ReviewOpening{Household: in.ID, Cause: in.Body.Cause, Since: in.Body.Since})
			return answer(Made{id}, err)
		})
	huma.Register(a.huma, op(http.MethodPost, "/periodic-reviews/{id}/{action}", "step-review", "reviews", "Take a periodic review one step on"),
		func(ctx context.Context, in *struct {
			ID     string `path:"id" maxLength:"64"`
			Action string `path:"action" enum:"assign,maintain,adjust,grace,propose_exit,send_back,confirm,notify"`
			Body   struct {
				Reason     string   `json:"reason,omitempty" maxLength:"1000" doc:"Sealed; needed with every change, and where people decide otherwise than the rules suggest."`
				Categories []string `json:"categories,omitempty" maxItems:"9" doc:"With adjust."`
				Months     int      `json:"months,omitempty" minimum:"0" maximum:"366" doc:"With grace: how long help goes on; the most that the standards allow without it."`
				Worker     string   `json:"worker,omitempty" maxLength:"64" doc:"With assign."`
				Unwatched  bool     `json:"unwatched,omitempty" doc:"With confirm of an exit: nobody is left to be watched."`
			}
		}) (*empty, error) {
			b := in.Body
			return done(a.Loop.StepReview(ctx, actor(ctx), loop.ReviewStep{Review: in.ID, Action: in.Action, Reason: b.Reason, Categories: b.Categories,
				Months: b.Months, Worker: b.Worker, Unwatched: b.Unwatched}))
		})
	huma.Register(a.huma, op(http.MethodPost, "/exits/{id}/resume", "resume-help", "reviews", "End a household's grace: its help goes on"),
		func(ctx context.Context, in *struct {
			ID   string `path:"id" maxLength:"64"`
			Body struct {
				Reason string `json:"reason" minLength:"1" maxLength:"1000"`
			}
		}) (*empty, error) {
			return done(a.Loop.ResumeHelp(ctx, actor(ctx), in.ID, in.Body.Reason))
		})
}
