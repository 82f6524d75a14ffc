package desk

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/loop"
)

// MeetingConclusion is what a meeting says of a disposition.
type MeetingConclusion struct {
	Disposition string `json:"disposition" maxLength:"64"`
	Text        string `json:"text" minLength:"1" maxLength:"1000" doc:"Sealed; stands in the case."`
}

// MeetingResolution is something that a meeting asks of a department.
type MeetingResolution struct {
	Dept  string `json:"dept" maxLength:"16"`
	Text  string `json:"text" minLength:"1" maxLength:"1000" doc:"Sealed."`
	DueOn string `json:"due_on" format:"date"`
}

// meetings are the operations of case conferences and joint meetings, and of what they resolve.
func (a *API) meetings() {
	huma.Register(a.huma, op(http.MethodPost, "/meetings", "call-meeting", "meetings", "Call a case conference or a joint meeting"),
		func(ctx context.Context, in *struct {
			Body struct {
				Type         string   `json:"type" enum:"conference,joint"`
				On           string   `json:"on" format:"date"`
				Place        string   `json:"place,omitempty" maxLength:"100"`
				Agenda       string   `json:"agenda" minLength:"1" maxLength:"4000" doc:"Sealed."`
				Departments  []string `json:"departments,omitempty" maxItems:"15"`
				Dispositions []string `json:"dispositions,omitempty" maxItems:"50" doc:"That wait for a conference; a conference has at least one."`
			}
		}) (*body[Made], error) {
			id, err := a.Loop.CallMeeting(ctx, actor(ctx), loop.MeetingCall(in.Body))
			return answer(Made{id}, err)
		})
	huma.Register(a.huma, op(http.MethodPost, "/meetings/{id}/{action}", "step-meeting", "meetings", "Enter a meeting's minutes and what it resolved, cancel it, or close it"),
		func(ctx context.Context, in *struct {
			ID     string `path:"id" maxLength:"64"`
			Action string `path:"action" enum:"hold,cancel,close"`
			Body   struct {
				Reason      string              `json:"reason,omitempty" maxLength:"1000" doc:"Sealed; needed with cancel."`
				Present     []string            `json:"present,omitempty" maxItems:"100" doc:"Sealed; who was there, with hold."`
				Minutes     string              `json:"minutes,omitempty" maxLength:"4000" doc:"Sealed; with hold."`
				Conclusions []MeetingConclusion `json:"conclusions,omitempty" maxItems:"50"`
				Resolutions []MeetingResolution `json:"resolutions,omitempty" maxItems:"100"`
			}
		}) (*empty, error) {
			b := in.Body
			step := loop.MeetingStep{Meeting: in.ID, Action: in.Action, Reason: b.Reason, Present: b.Present, Minutes: b.Minutes}
			for _, c := range b.Conclusions {
				step.Conclusions = append(step.Conclusions, loop.Conclusion(c))
			}
			for _, r := range b.Resolutions {
				step.Resolutions = append(step.Resolutions, loop.Resolved(r))
			}
			return done(a.Loop.StepMeeting(ctx, actor(ctx), step))
		})
	huma.Register(a.huma, op(http.MethodPost, "/invitations/{id}/{action}", "answer-invitation", "meetings", "Say who of your department comes to a meeting, or why nobody does"),
		func(ctx context.Context, in *struct {
			ID     string `path:"id" maxLength:"64"`
			Action string `path:"action" enum:"accept,decline"`
			Body   struct {
				Text string `json:"text" minLength:"1" maxLength:"500" doc:"Sealed; who comes, or why nobody does."`
			}
		}) (*empty, error) {
			return done(a.Loop.AnswerInvitation(ctx, actor(ctx), in.ID, in.Action, in.Body.Text))
		})
	huma.Register(a.huma, op(http.MethodPost, "/resolutions/{id}/{action}", "step-resolution", "meetings", "Answer what a meeting asked of your department, or follow it to its end"),
		func(ctx context.Context, in *struct {
			ID     string `path:"id" maxLength:"64"`
			Action string `path:"action" enum:"answer,accept,send_back,drop"`
			Body   struct {
				Text string `json:"text,omitempty" maxLength:"1000" doc:"Sealed; needed with answer, send_back and drop."`
			}
		}) (*empty, error) {
			return done(a.Loop.StepResolution(ctx, actor(ctx), in.ID, in.Action, in.Body.Text))
		})
}
