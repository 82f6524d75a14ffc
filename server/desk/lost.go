package desk

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

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
