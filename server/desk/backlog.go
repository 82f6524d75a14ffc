package desk

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/loop"
)

// SpanView is a range of change numbers of a phone.
type SpanView struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// BacklogView is a phone of which bundles wait for what comes before them.
type BacklogView struct {
	Device   string     `json:"device"`
	Name     string     `json:"name"`
	User     string     `json:"user"`
	UserName string     `json:"user_name"`
	State    string     `json:"state" enum:"active,revoked,frozen"`
	Have     uint64     `json:"have" doc:"The last change that is on record."`
	Waiting  []SpanView `json:"waiting" doc:"Changes that have arrived and cannot be judged yet."`
	Missing  []SpanView `json:"missing" doc:"Changes that have to arrive before them, in another bundle or when the phone syncs."`
	Parts    int        `json:"parts"`
	Bytes    int64      `json:"bytes"`
	Since    string     `json:"since" doc:"When the oldest of them arrived."`
}

func (a *API) backlog() {
	huma.Register(a.huma, op(http.MethodGet, "/backlog", "list-backlog", "devices", "List the phones of which bundles wait for earlier ones"),
		func(ctx context.Context, _ *empty) (*body[[]BacklogView], error) {
			list, err := a.Loop.ReadBacklog(ctx, actor(ctx))
			out := make([]BacklogView, len(list))
			for i, b := range list {
				out[i] = BacklogView{b.ID, b.Name, b.User, b.UserName, b.State, b.Have, spans(b.Waiting), spans(b.Missing), b.Parts, b.Bytes, millis(b.Since)}
			}
			return answer(out, err)
		})
}

func spans(list []loop.Span) []SpanView {
	out := make([]SpanView, len(list))
	for i, s := range list {
		out[i] = SpanView(s)
	}
	return out
}
