package desk

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// monitoring are the operations of agriculture's decision on households.
func (a *API) monitoring() {
	huma.Register(a.huma, op(http.MethodPost, "/referrals/{id}/monitoring", "monitor", "monitoring", "Put the household of a referral to agriculture under monitoring"),
		func(ctx context.Context, in *struct {
			ID   string `path:"id" maxLength:"64"`
			Body struct {
				Category string `json:"category" enum:"FPFP_UNSTABLE,FPFP_MARGINAL,FPFP_SUDDEN"`
				Reason   string `json:"reason" minLength:"1" maxLength:"1000" doc:"Sealed."`
			}
		}) (*body[Made], error) {
			id, err := a.Loop.Monitor(ctx, actor(ctx), in.ID, in.Body.Category, in.Body.Reason)
			return answer(Made{id}, err)
		})
	huma.Register(a.huma, op(http.MethodPost, "/monitoring/{id}/{action}", "step-monitoring", "monitoring", "Change the category of a monitored household, or end its monitoring since the risk is gone"),
		func(ctx context.Context, in *struct {
			ID     string `path:"id" maxLength:"64"`
			Action string `path:"action" enum:"reclassify,remove"`
			Body   struct {
				Category string `json:"category,omitempty" enum:"FPFP_UNSTABLE,FPFP_MARGINAL,FPFP_SUDDEN" doc:"With reclassify."`
				Reason   string `json:"reason" minLength:"1" maxLength:"1000" doc:"Sealed."`
			}
		}) (*empty, error) {
			return done(a.Loop.StepMonitoring(ctx, actor(ctx), in.ID, in.Action, in.Body.Category, in.Body.Reason))
		})
}
