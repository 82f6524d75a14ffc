package desk

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/casework"
	"aidloop/server/loop"
)

// TemplateView is a table that a county's own data come in by.
type TemplateView struct {
	Code    string               `json:"code"`
	Label   string               `json:"label"`
	Columns []TemplateColumnView `json:"columns"`
}

// TemplateColumnView is one column.
type TemplateColumnView struct {
	Name    string   `json:"name"`
	Heading string   `json:"heading"`
	Type    string   `json:"type" enum:"text,int,date,flag,yuan,enum,enums"`
	Need    bool     `json:"need,omitempty"`
	Choices []string `json:"choices,omitempty"`
}

// imports are the operations of bringing a county's own data in.
func (a *API) imports() {
	huma.Register(a.huma, op(http.MethodGet, "/imports", "list-templates", "imports", "List the tables that a county's own data come in by, in the order in which they are filled in"),
		func(context.Context, *empty) (*body[[]TemplateView], error) {
			list := make([]TemplateView, len(casework.Templates))
			for i, t := range casework.Templates {
				list[i] = TemplateView{Code: t.Code, Label: t.Label}
				for _, c := range t.Columns {
					list[i].Columns = append(list[i].Columns, TemplateColumnView{c.Name, c.Label, c.Type, c.Need, c.Choices()})
				}
			}
			return answer(list, nil)
		})
	template := op(http.MethodGet, "/imports/{code}", "get-template", "imports", "Take an empty table to fill in; columns with * must not be empty")
	template.Responses = map[string]*huma.Response{"200": {Description: "The table.", Content: map[string]*huma.MediaType{"text/csv": {}, xlsxType: {}}}}
	huma.Register(a.huma, template, func(_ context.Context, in *struct {
		Code   string `path:"code" maxLength:"32"`
		Format string `query:"format" enum:"csv,xlsx" default:"xlsx"`
	}) (*file, error) {
		t, ok := casework.TemplateOf(in.Code)
		if !ok {
			return nil, wrap(bad("没有这个模板,请从列表中选择。"))
		}
		var head []any
		for _, c := range t.Columns {
			if c.Need {
				head = append(head, c.Label+"*")
			} else {
				head = append(head, c.Label)
			}
		}
		out, err := tableFile(in.Format, t.Code, t.Label, [][]any{head})
		return out, wrap(err)
	})
	imp := op(http.MethodPost, "/imports/{code}", "import-table", "imports", "Import a table as CSV or XLSX, with a report per row; what is on record already stays as it is")
	imp.MaxBodyBytes = maxSheet
	imp.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"text/csv": {}, xlsxType: {}}}
	huma.Register(a.huma, imp, func(ctx context.Context, in *struct {
		Code    string `path:"code" maxLength:"32"`
		Preview bool   `query:"preview" doc:"Say what would become of every row, and write nothing."`
		RawBody []byte
	}) (*body[loop.Report], error) {
		rows, err := ReadTemplate(in.Code, in.RawBody)
		if err != nil {
			return nil, wrap(err)
		}
		rep, err := a.Loop.ImportTable(ctx, actor(ctx), in.Code, rows, in.Preview)
		if err != nil {
			return nil, wrap(err)
		}
		return answer(*rep, nil)
	})
}

// ReadTemplate reads a table of one of casework.Templates as readNamed does.
func ReadTemplate(code string, b []byte) ([]loop.TableRow, error) {
	t, ok := casework.TemplateOf(code)
	if !ok {
		return nil, bad("没有这个模板,请从列表中选择。")
	}
	table, err := readNamed(b, loop.MaxImportRows, func(heading string) string {
		name, _ := t.Column(heading)
		return name
	})
	if err != nil {
		return nil, err
	}
	for _, c := range t.Columns {
		if c.Need && table.lacks(c.Name) != "" {
			return nil, bad("缺少“" + c.Label + "”列,请使用“" + t.Label + "”模板。")
		}
	}
	rows := make([]loop.TableRow, len(table.rows))
	for i, r := range table.rows {
		rows[i] = loop.TableRow{Row: r.n, Cells: map[string]string{}}
		for _, c := range t.Columns {
			v := table.cell(r, c.Name)
			if c.Type == "date" {
				v = dateOf(v)
			}
			rows[i].Cells[c.Name] = v
		}
	}
	return rows, nil
}
