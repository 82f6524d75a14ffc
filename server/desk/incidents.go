package desk

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// IncidentView is a bucket whose rows did not add up on a phone, with what the server held when the phone asked for a
// repair.
type IncidentView struct {
	ID           int64  `json:"id"`
	At           string `json:"at"`
	Device       string `json:"device"`
	Bucket       string `json:"bucket"`
	Cursor       string `json:"cursor" doc:"Where the phone's rows did not add up."`
	Count        int64  `json:"count" doc:"The phone's rows there."`
	Digest       string `json:"digest"`
	Seq          uint64 `json:"seq" doc:"The server's head."`
	ServerCount  int64  `json:"server_count"`
	ServerDigest string `json:"server_digest"`
	Leaves       string `json:"leaves,omitempty" doc:"The leaves that differed, one bit each in hex; none where the whole bucket was sent again."`
}

// IncidentPage is a page of them.
type IncidentPage struct {
	Items []IncidentView `json:"items"`
	Next  int64          `json:"next,omitempty"`
}

func (a *API) incidents() {
	huma.Register(a.huma, op(http.MethodGet, "/incidents", "list-incidents", "devices", "List what did not add up on phones, newest first"),
		func(ctx context.Context, in *struct {
			Before int64 `query:"before" minimum:"0" doc:"Incidents older than this id."`
			Limit  int   `query:"limit" minimum:"1" maximum:"500" default:"200" doc:"Incidents of all regions to look at."`
		}) (*body[IncidentPage], error) {
			list, next, err := a.Loop.Incidents(ctx, actor(ctx), in.Before, in.Limit)
			out := IncidentPage{Items: make([]IncidentView, len(list)), Next: next}
			for i, x := range list {
				out.Items[i] = IncidentView{x.ID, millis(x.At), x.Device, x.Bucket, x.Cursor, x.Count, x.Digest.String(), x.Seq, x.ServerCount, x.ServerDigest.String(), x.Leaves}
			}
			return answer(out, err)
		})
}
