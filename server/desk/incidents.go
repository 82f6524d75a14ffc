package desk

import (
	"context"
	"net/http"
)

// IncidentView is a bucket whose rows did not add up on a phone, with what the server held when the phone asked for a
// repair.
type IncidentView struct {
	ID           int64  `json:"id" zh:"编号"`
	At           string `json:"at" zh:"时间"`
	Device       string `json:"device" zh:"设备"`
	Bucket       string `json:"bucket" zh:"范围"`
	Cursor       string `json:"cursor" zh:"位置" doc:"Where the phone's rows did not add up."`
	Count        int64  `json:"count" zh:"手机行数" doc:"The phone's rows there."`
	Digest       string `json:"digest"`
	Seq          uint64 `json:"seq" zh:"服务器序号" doc:"The server's head."`
	ServerCount  int64  `json:"server_count" zh:"服务器行数"`
	ServerDigest string `json:"server_digest"`
	Leaves       string `json:"leaves,omitempty" zh:"不一致部分" doc:"The leaves that differed, one bit each in hex; none where the whole bucket was sent again."`
}

// IncidentPage is a page of them.
type IncidentPage struct {
	Items []IncidentView `json:"items"`
	Next  int64          `json:"next,omitempty"`
}

func (a *API) incidents() {
	listing(a, op(http.MethodGet, "/incidents", "list-incidents", "devices", "List what did not add up on phones, newest first"), "校验不符",
		func(ctx context.Context, in *struct {
			AsTable
			Before int64 `query:"before" minimum:"0" doc:"Incidents older than this id."`
			Limit  int   `query:"limit" minimum:"1" maximum:"500" default:"200" doc:"Incidents of all regions to look at."`
		}) (IncidentPage, []IncidentView, error) {
			list, next, err := a.Loop.Incidents(ctx, actor(ctx), in.Before, in.Limit)
			out := IncidentPage{Items: make([]IncidentView, len(list)), Next: next}
			for i, x := range list {
				out.Items[i] = IncidentView{x.ID, millis(x.At), x.Device, x.Bucket, x.Cursor, x.Count, x.Digest.String(), x.Seq, x.ServerCount, x.ServerDigest.String(), x.Leaves}
			}
			return out, out.Items, err
		})
}
