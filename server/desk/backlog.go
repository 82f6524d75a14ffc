package desk

import (
	"context"
	"net/http"

	"aidloop/server/loop"
)

// SpanView is a range of change numbers of a phone.
type SpanView struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// BacklogView is a phone of which bundles wait for what comes before them.
type BacklogView struct {
	Device   string     `json:"device" zh:"设备"`
	Name     string     `json:"name" zh:"名称"`
	User     string     `json:"user" zh:"使用人"`
	UserName string     `json:"user_name" zh:"姓名"`
	State    string     `json:"state" zh:"状态" enum:"active,revoked,frozen"`
	Have     uint64     `json:"have" zh:"已收到" doc:"The last change that is on record."`
	Waiting  []SpanView `json:"waiting" zh:"等待" doc:"Changes that have arrived and cannot be judged yet."`
	Missing  []SpanView `json:"missing" zh:"缺少" doc:"Changes that have to arrive before them, in another bundle or when the phone syncs."`
	Parts    int        `json:"parts" zh:"份数"`
	Bytes    int64      `json:"bytes" zh:"字节"`
	Since    string     `json:"since" zh:"自" doc:"When the oldest of them arrived."`
}

func (a *API) backlog() {
	listing(a, op(http.MethodGet, "/backlog", "list-backlog", "devices", "List the phones of which bundles wait for earlier ones"), "积压",
		func(ctx context.Context, _ *struct{ AsTable }) ([]BacklogView, []BacklogView, error) {
			list, err := a.Loop.ReadBacklog(ctx, actor(ctx))
			out := make([]BacklogView, len(list))
			for i, b := range list {
				out[i] = BacklogView{b.ID, b.Name, b.User, b.UserName, b.State, b.Have, spans(b.Waiting), spans(b.Missing), b.Parts, b.Bytes, millis(b.Since)}
			}
			return out, out, err
		})
}

func spans(list []loop.Span) []SpanView {
	out := make([]SpanView, len(list))
	for i, s := range list {
		out[i] = SpanView(s)
	}
	return out
}
