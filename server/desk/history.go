package desk

import (
	"context"
	"net/http"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// EditionView is one version of a record.
type EditionView struct {
	N       int               `json:"n" zh:"版本"`
	Stamp   string            `json:"stamp" zh:"修改编号"`
	By      string            `json:"by" zh:"填写人" doc:"A user's id, or server."`
	Device  string            `json:"device,omitempty" zh:"设备"`
	At      string            `json:"at,omitempty" zh:"时间" doc:"When it was committed."`
	Times   loop.Times        `json:"times"`
	Jumped  bool              `json:"jumped,omitempty" doc:"The phone's clock was set while it worked: see times.doubts."`
	Deleted bool              `json:"deleted,omitempty" zh:"删除"`
	Set     map[string]any    `json:"set,omitempty" zh:"内容"`
	Sealed  []string          `json:"sealed,omitempty" zh:"加密项目" doc:"Fields that were written and are sealed; they are not opened here."`
	Cleared []string          `json:"cleared,omitempty" zh:"清除项目"`
	Server  []string          `json:"server,omitempty" zh:"服务器写入" doc:"Fields that the server wrote in the same step."`
	Labels  map[string]string `json:"labels,omitempty"`
}

// Editions is a page of a record's versions, oldest first.
type Editions struct {
	Items []EditionView `json:"items"`
	Next  int           `json:"next,omitempty"`
}

// LostRangeView is what a device can never send again.
type LostRangeView struct {
	Device string `json:"device" zh:"设备"`
	User   string `json:"user" zh:"使用人"`
	From   uint64 `json:"from" zh:"起" doc:"The first of the changes."`
	To     uint64 `json:"to" zh:"止"`
	At     string `json:"at" zh:"申报时间" doc:"When the device declared it."`
}

// LostRanges is a page of them.
type LostRanges struct {
	Items []LostRangeView `json:"items"`
	Next  int64           `json:"next,omitempty"`
}

func (a *API) histories() {
	listing(a, op(http.MethodGet, "/records/{kind}/{id}/history", "record-history", "queues", "Every version of a record: who wrote it, where and when"), "修改历史",
		func(ctx context.Context, in *struct {
			AsTable
			Kind  string `path:"kind" maxLength:"64"`
			ID    string `path:"id" maxLength:"64"`
			After int    `query:"after" minimum:"0"`
			Limit int    `query:"limit" minimum:"1" maximum:"200" default:"100"`
		}) (Editions, []EditionView, error) {
			list, next, err := a.Loop.History(ctx, actor(ctx), syncproto.Ref{Kind: in.Kind, ID: in.ID}, in.After, in.Limit)
			out := Editions{Items: make([]EditionView, len(list)), Next: next}
			for i, e := range list {
				out.Items[i] = editionView(in.Kind, e)
			}
			return out, out.Items, err
		})
	listing(a, op(http.MethodGet, "/lost/changes", "list-lost-changes", "devices", "List what phones can never send again"), "无法找回",
		func(ctx context.Context, in *struct {
			AsTable
			After int64 `query:"after" minimum:"0"`
			Limit int   `query:"limit" minimum:"1" maximum:"500" default:"200"`
		}) (LostRanges, []LostRangeView, error) {
			list, next, err := a.Loop.LostRanges(ctx, actor(ctx), in.After, in.Limit)
			out := LostRanges{Items: make([]LostRangeView, len(list)), Next: next}
			for i, x := range list {
				out.Items[i] = LostRangeView{x.Device, x.User, x.From, x.To, millis(x.At)}
			}
			return out, out.Items, err
		})
}

func editionView(kind string, e loop.Edition) EditionView {
	v := EditionView{N: e.N, Stamp: string(e.Stamp), By: e.By, Device: e.Device, At: millis(e.At), Times: e.Times, Deleted: e.Deleted,
		Set: e.Set, Sealed: e.Sealed, Cleared: e.Cleared, Server: e.Server, Labels: map[string]string{}}
	for _, d := range e.Times.Doubts {
		v.Jumped = v.Jumped || d == syncproto.DoubtJump || d == syncproto.DoubtBack
	}
	if k, ok := casework.KindOf(kind); ok {
		name := func(field string) {
			if f, ok := k.Field(field); ok {
				v.Labels[field] = f.Label
			}
		}
		for field := range e.Set {
			name(field)
		}
		for _, field := range append(e.Sealed, e.Cleared...) {
			name(field)
		}
	}
	return v
}
