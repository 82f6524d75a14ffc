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
	Persons    []string `json:"persons"`
	Households []string `json:"households"`
}

// Twins is a page of them.
type Twins struct {
	Items []Twin `json:"items"`
	Next  string `json:"next,omitempty"`
}

// GridDeviceView is a phone that holds a grid, or may still hold work of it.
type GridDeviceView struct {
	DeviceView
	UserName string `json:"user_name"`
	Granted  bool   `json:"granted" doc:"False: the grant has ended within the last 30 days."`
	Silent   int    `json:"silent_days" doc:"Whole days since the phone was last heard of."`
	Tasks    int    `json:"open_tasks" doc:"Open tasks of its user: work that may lie on the phone."`
	Held     int    `json:"held" doc:"What it sent and waits for people."`
}

func (a *API) households() {
	huma.Register(a.huma, op(http.MethodGet, "/households/duplicates", "list-duplicates", "households", "List people on record in more than one household"),
		func(ctx context.Context, in *struct {
			After string `query:"after" maxLength:"128"`
			Limit int    `query:"limit" minimum:"1" maximum:"500" default:"50"`
		}) (*body[Twins], error) {
			list, next, err := a.Loop.Duplicates(ctx, actor(ctx), in.After, in.Limit)
			out := Twins{Items: make([]Twin, len(list)), Next: next}
			for i, t := range list {
				out.Items[i].Households = t.Households
				for _, p := range t.Persons {
					out.Items[i].Persons = append(out.Items[i].Persons, p.ID)
				}
			}
			return answer(out, err)
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
	huma.Register(a.huma, op(http.MethodGet, "/grids/{grid}/devices", "list-grid-devices", "devices", "List the phones of a grid, the longest silent first, before something is moved or wiped"),
		func(ctx context.Context, in *struct {
			Grid string `path:"grid" maxLength:"16"`
		}) (*body[[]GridDeviceView], error) {
			list, err := a.Loop.GridDevices(ctx, actor(ctx), in.Grid)
			out := make([]GridDeviceView, len(list))
			for i, d := range list {
				out[i] = GridDeviceView{deviceView(d.Device), d.UserName, d.Granted, d.Silent, d.Tasks, d.Held}
			}
			return answer(out, err)
		})
}

// LostView is a value that was lost when the database was put back from a backup, as phones had received it.
type LostView struct {
	Record  string `json:"record"`
	Root    string `json:"root,omitempty"`
	Field   string `json:"field"`
	Value   any    `json:"value,omitempty" doc:"None for a removed or a sealed one."`
	Sealed  bool   `json:"sealed,omitempty"`
	By      string `json:"by"`
	At      string `json:"at"`
	Device  string `json:"device" doc:"That brought it back."`
	Arrived string `json:"arrived"`
}

// LostPage is a page of them.
type LostPage struct {
	Items []LostView `json:"items"`
	Next  int64      `json:"next,omitempty"`
}

func (a *API) lost() {
	huma.Register(a.huma, op(http.MethodGet, "/lost", "list-lost", "devices", "List what a restore from a backup lost and nobody has made good yet"),
		func(ctx context.Context, in *struct {
			After int64 `query:"after" minimum:"0"`
			Limit int   `query:"limit" minimum:"1" maximum:"500" default:"200" doc:"Rows of phones to look at."`
		}) (*body[LostPage], error) {
			list, next, err := a.Loop.LostValues(ctx, actor(ctx), in.After, in.Limit)
			out := LostPage{Items: make([]LostView, len(list)), Next: next}
			for i, x := range list {
				out.Items[i] = LostView{x.Ref.String(), x.Root.String(), x.Field, x.Value, x.Sealed, x.By, millis(x.At), x.Device, millis(x.Arrived)}
			}
			return answer(out, err)
		})
}

func moved(m *loop.Merged, err error) (*body[MovedView], error) {
	if err != nil {
		return nil, wrap(err)
	}
	return answer(MovedView{m.Conflicts, m.Persons, m.Reassign}, nil)
}
