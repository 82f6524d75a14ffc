package desk

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// EditionView is one version of a record.
type EditionView struct {
	N       int               `json:"n"`
	Stamp   string            `json:"stamp"`
	By      string            `json:"by" doc:"A user's id, or server."`
	Device  string            `json:"device,omitempty"`
	At      string            `json:"at,omitempty" doc:"When it was committed."`
	Times   loop.Times        `json:"times"`
	Jumped  bool              `json:"jumped,omitempty" doc:"The phone's clock was set while it worked: see times.doubts."`
	Deleted bool              `json:"deleted,omitempty"`
	Set     map[string]any    `json:"set,omitempty"`
	Sealed  []string          `json:"sealed,omitempty" doc:"Fields that were written and are sealed; they are not opened here."`
	Cleared []string          `json:"cleared,omitempty"`
	Server  []string          `json:"server,omitempty" doc:"Fields that the server wrote in the same step."`
	Labels  map[string]string `json:"labels,omitempty"`
}

// Editions is a page of a record's versions, oldest first.
type Editions struct {
	Items []EditionView `json:"items"`
	Next  int           `json:"next,omitempty"`
}

// LostRangeView is what a device can never send again.
type LostRangeView struct {
	Device string `json:"device"`
	User   string `json:"user"`
	From   uint64 `json:"from" doc:"The first of the changes."`
	To     uint64 `json:"to"`
	At     string `json:"at" doc:"When the device declared it."`
}

// LostRanges is a page of them.
type LostRanges struct {
	Items []LostRangeView `json:"items"`
	Next  int64           `json:"next,omitempty"`
}

func (a *API) histories() {
	huma.Register(a.huma, op(http.MethodGet, "/records/{kind}/{id}/history", "record-history", "queues", "Every version of a record: who wrote it, where and when"),
		func(ctx context.Context, in *struct {
			Kind  string `path:"kind" maxLength:"64"`
			ID    string `path:"id" maxLength:"64"`
			After int    `query:"after" minimum:"0"`
			Limit int    `query:"limit" minimum:"1" maximum:"200" default:"100"`
		}) (*body[Editions], error) {
			list, next, err := a.Loop.History(ctx, actor(ctx), syncproto.Ref{Kind: in.Kind, ID: in.ID}, in.After, in.Limit)
			out := Editions{Items: make([]EditionView, len(list)), Next: next}
			for i, e := range list {
				out.Items[i] = editionView(in.Kind, e)
			}
			return answer(out, err)
		})
	huma.Register(a.huma, op(http.MethodGet, "/lost/changes", "list-lost-changes", "devices", "List what phones can never send again"),
		func(ctx context.Context, in *struct {
			After int64 `query:"after" minimum:"0"`
			Limit int   `query:"limit" minimum:"1" maximum:"500" default:"200"`
		}) (*body[LostRanges], error) {
			list, next, err := a.Loop.LostRanges(ctx, actor(ctx), in.After, in.Limit)
			out := LostRanges{Items: make([]LostRangeView, len(list)), Next: next}
			for i, x := range list {
				out.Items[i] = LostRangeView{x.Device, x.User, x.From, x.To, millis(x.At)}
			}
			return answer(out, err)
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
