package desk

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/loop"
)

func (a *API) leads() {
	imp := op(http.MethodPost, "/leads/import", "import-leads", "leads", "Import leads from CSV or XLSX, with a report per row")
	imp.MaxBodyBytes = maxSheet
	imp.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"text/csv": {}, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": {}}}
	huma.Register(a.huma, imp, func(ctx context.Context, in *struct {
		Source  string `query:"source" enum:"province,matching,self_report,department,patrol" default:"province"`
		RawBody []byte
	}) (*body[loop.Report], error) {
		rows, err := ReadSheet(in.RawBody)
		if err != nil {
			return nil, wrap(err)
		}
		rep, err := a.Loop.ImportLeads(ctx, actor(ctx), in.Source, rows)
		if err != nil {
			return nil, wrap(err)
		}
		return answer(*rep, nil)
	})
	huma.Register(a.huma, op(http.MethodPost, "/leads/dispatch", "dispatch", "leads", "Send leads to their towns; the 40 working days start"),
		func(ctx context.Context, in *struct {
			Body struct {
				Leads []string `json:"leads" minItems:"1" maxItems:"500"`
				Town  string   `json:"town,omitempty" maxLength:"12" doc:"Instead of the town that each lead names."`
			}
		}) (*empty, error) {
			return done(a.Loop.Dispatch(ctx, actor(ctx), in.Body.Leads, in.Body.Town))
		})
	huma.Register(a.huma, op(http.MethodPost, "/leads/{id}/assign", "assign", "leads", "Assign a lead to a grid worker"),
		func(ctx context.Context, in *struct {
			ID   string `path:"id" maxLength:"64"`
			Body struct {
				User string `json:"user" minLength:"1" maxLength:"64"`
				Grid string `json:"grid,omitempty" maxLength:"16" doc:"For a person who is not in the pool yet."`
			}
		}) (*empty, error) {
			return done(a.Loop.Assign(ctx, actor(ctx), in.ID, in.Body.User, in.Body.Grid))
		})
}
