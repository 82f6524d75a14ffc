package desk

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/loop"
)

// MovedView says what is left to do after two households became one, or one moved.
type MovedView struct {
	Conflicts int      `json:"conflicts" doc:"Values that differed; the other one is kept as a conflict."`
	Persons   int      `json:"persons" doc:"People who were on record twice and are one now."`
	Reassign  []string `json:"reassign" doc:"Leads whose worker cannot see the household any more: assign them anew."`
}

// Twin is somebody on record in more than one household.
type Twin struct {
	Persons    []string `json:"persons" zh:"人员"`
	Households []string `json:"households" zh:"家庭"`
}

// Twins is a page of them.
type Twins struct {
	Items []Twin `json:"items"`
	Next  string `json:"next,omitempty"`
}

func (a *API) households() {
	listing(a, op(http.MethodGet, "/households/duplicates", "list-duplicates", "households", "List people on record in more than one household"), "重复人员",
		func(ctx context.Context, in *struct {
			AsTable
			After string `query:"after" maxLength:"128"`
			Limit int    `query:"limit" minimum:"1" maximum:"500" default:"50"`
		}) (Twins, []Twin, error) {
			list, next, err := a.Loop.Duplicates(ctx, actor(ctx), in.After, in.Limit)
			out := Twins{Items: make([]Twin, len(list)), Next: next}
			for i, t := range list {
				out.Items[i].Households = t.Households
				for _, p := range t.Persons {
					out.Items[i].Persons = append(out.Items[i].Persons, p.ID)
				}
			}
			return out, out.Items, err
		})
	huma.Register(a.huma, op(http.MethodPost, "/households/{id}/merge", "merge-households", "households", "Merge another household into this one; both histories are kept"),
		func(ctx context.Context, in *struct {
			ID   string `path:"id" maxLength:"64"`
			Body struct {
				From   string `json:"from" minLength:"1" maxLength:"64" doc:"The household that becomes an alias of this one."`
				Reason string `json:"reason" minLength:"1" maxLength:"500"`
			}
		}) (*body[MovedView], error) {
			return moved(a.Loop.MergeHouseholds(ctx, actor(ctx), in.Body.From, in.ID, in.Body.Reason))
		})
	huma.Register(a.huma, op(http.MethodPost, "/households/{id}/move", "move-household", "households", "Move a household to another grid"),
		func(ctx context.Context, in *struct {
			ID   string `path:"id" maxLength:"64"`
			Body struct {
				Grid   string `json:"grid" minLength:"16" maxLength:"16" doc:"A village's 12 digits, a hyphen, and the grid's 3."`
				Reason string `json:"reason" minLength:"1" maxLength:"500"`
			}
		}) (*body[MovedView], error) {
			return moved(a.Loop.MoveHousehold(ctx, actor(ctx), in.ID, in.Body.Grid, in.Body.Reason))
		})
}

func moved(m *loop.Merged, err error) (*body[MovedView], error) {
	if err != nil {
		return nil, wrap(err)
	}
	return answer(MovedView{m.Conflicts, m.Persons, m.Reassign}, nil)
}

// relocations are the operations of a household's move, as both ends see it.
func (a *API) relocations() {
	huma.Register(a.huma, op(http.MethodPost, "/relocations", "propose-relocation", "households", "Propose that a household moves to another town, or hand it over to a place outside of the county"),
		func(ctx context.Context, in *struct {
			Body struct {
				Household string `json:"household" minLength:"1" maxLength:"64"`
				ToTown    string `json:"to_town,omitempty" maxLength:"12" doc:"Of the county."`
				ToPlace   string `json:"to_place,omitempty" maxLength:"100" doc:"Outside of it, in words; by the bureau."`
				Reason    string `json:"reason" minLength:"1" maxLength:"1000" doc:"Sealed."`
			}
		}) (*body[Made], error) {
			id, err := a.Loop.ProposeRelocation(ctx, actor(ctx), loop.RelocationInput(in.Body))
			return answer(Made{id}, err)
		})
	huma.Register(a.huma, op(http.MethodPost, "/relocations/{id}/{action}", "step-relocation", "households", "Accept or decline a household as the town that takes over, drop its move, or confirm that another county pays"),
		func(ctx context.Context, in *struct {
			ID     string `path:"id" maxLength:"64"`
			Action string `path:"action" enum:"accept,decline,drop,confirm"`
			Body   struct {
				Grid      string `json:"grid,omitempty" maxLength:"16" doc:"With accept."`
				NextMonth string `json:"next_month,omitempty" maxLength:"7" doc:"With confirm: the first month paid there, 2026-07."`
				Text      string `json:"text,omitempty" maxLength:"1000" doc:"Sealed; needed with decline and drop."`
			}
		}) (*empty, error) {
			b := in.Body
			return done(a.Loop.StepRelocation(ctx, actor(ctx), loop.RelocationStep{Relocation: in.ID, Action: in.Action, Grid: b.Grid, NextMonth: b.NextMonth, Text: b.Text}))
		})
}
