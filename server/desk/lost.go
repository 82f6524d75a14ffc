package desk

import (
	"context"
	"net/http"
)

// LostView is a value that was lost when the database was put back from a backup, as phones had received it.
type LostView struct {
	Record  string `json:"record" zh:"记录"`
	Root    string `json:"root,omitempty" zh:"所属"`
	Field   string `json:"field" zh:"项目"`
	Value   any    `json:"value,omitempty" zh:"值" doc:"None for a removed or a sealed one."`
	Sealed  bool   `json:"sealed,omitempty" zh:"已加密"`
	By      string `json:"by" zh:"填写人"`
	At      string `json:"at" zh:"时间"`
	Device  string `json:"device" zh:"带回设备" doc:"That brought it back."`
	Arrived string `json:"arrived" zh:"带回时间"`
}

// LostPage is a page of them.
type LostPage struct {
	Items []LostView `json:"items"`
	Next  int64      `json:"next,omitempty"`
}

func (a *API) lost() {
	listing(a, op(http.MethodGet, "/lost", "list-lost", "devices", "List what a restore from a backup lost and nobody has made good yet"), "恢复丢失",
		func(ctx context.Context, in *struct {
			AsTable
			After int64 `query:"after" minimum:"0"`
			Limit int   `query:"limit" minimum:"1" maximum:"500" default:"200" doc:"Rows of phones to look at."`
		}) (LostPage, []LostView, error) {
			list, next, err := a.Loop.LostValues(ctx, actor(ctx), in.After, in.Limit)
			out := LostPage{Items: make([]LostView, len(list)), Next: next}
			for i, x := range list {
				out.Items[i] = LostView{x.Ref.String(), x.Root.String(), x.Field, x.Value, x.Sealed, x.By, millis(x.At), x.Device, millis(x.Arrived)}
			}
			return out, out.Items, err
		})
}
