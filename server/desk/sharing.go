package desk

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/casework"
	"aidloop/server/loop"
)

// SourceView is data that one unit can ask another one for.
type SourceView struct {
	Code    string       `json:"code"`
	Label   string       `json:"label"`
	Dept    string       `json:"dept" doc:"That has it."`
	Columns []ColumnView `json:"columns"`
	Monthly string       `json:"monthly,omitempty" doc:"The department that receives it every month without a request."`
}

// PackagesView says what became of a month's packages.
type PackagesView struct {
	Made      int      `json:"made"`
	Unchanged int      `json:"unchanged" doc:"On record already."`
	Waiting   []string `json:"waiting,omitempty" doc:"What could not be packed, and why."`
}

// OwedView is something that a unit owes the others in a month.
type OwedView struct {
	Dept     string `json:"dept"`
	DeptName string `json:"dept_name" zh:"单位"`
	What     string `json:"what" enum:"load,decide,make,receive"`
	WhatName string `json:"what_name" zh:"事项"`
	Label    string `json:"label" zh:"数据"`
	ID       string `json:"id" zh:"编号" doc:"Of the need or the package, or the dataset's code."`
	DueOn    string `json:"due_on" zh:"期限"`
	Done     string `json:"done,omitempty" zh:"完成日期"`
	Late     bool   `json:"late,omitempty" zh:"超期"`
}

// owedWords say what is owed.
var owedWords = map[string]string{"load": "归集数据", "decide": "审批数据需求", "make": "生成数据包", "receive": "签收数据包"}

// LookupView is what is known of persons.
type LookupView struct {
	Source  string          `json:"source"`
	Columns []ColumnLabel   `json:"columns"`
	Rows    []LookupRowView `json:"rows" doc:"In the order of the question."`
}

// LookupRowView is one person.
type LookupRowView struct {
	IDNumber string     `json:"id_number"`
	Problem  string     `json:"problem,omitempty" doc:"What is wrong with the number."`
	Rows     [][]string `json:"rows" doc:"Cells by column; none where nothing is known."`
}

// Manifest stands beside the files of a package. content_sha256 is over its rows, each as a JSON array of texts and a line feed, as
// the register has it; sha256 of a file is over its bytes.
type Manifest struct {
	Package string            `json:"package"`
	Month   string            `json:"month"`
	From    string            `json:"from"`
	To      string            `json:"to"`
	Source  string            `json:"source"`
	Label   string            `json:"label"`
	Columns []ColumnLabel     `json:"columns"`
	Rows    int               `json:"rows"`
	MadeAt  string            `json:"made_at"`
	Content string            `json:"content_sha256"`
	Files   map[string]string `json:"files"`
}

// sharing are the operations of the register of data needs, of packages and of look-ups.
func (a *API) sharing() {
	huma.Register(a.huma, op(http.MethodGet, "/data-sources", "list-sources", "sharing", "List the data that units share, with its columns"),
		func(context.Context, *empty) (*body[[]SourceView], error) {
			list := make([]SourceView, len(casework.Sources))
			for i, s := range casework.Sources {
				list[i] = SourceView{s.Code, s.Label, s.Dept, []ColumnView{}, s.Monthly}
				for _, c := range append(append([]casework.Column{}, casework.WhoColumns...), s.Columns...) {
					list[i].Columns = append(list[i].Columns, ColumnView{c.Name, c.Label, c.Type, c.Optional})
				}
			}
			return answer(list, nil)
		})
	huma.Register(a.huma, op(http.MethodPost, "/data-needs", "request-data", "sharing", "Ask another unit for data; what is asked for by the 10th is served in the same month"),
		func(ctx context.Context, in *struct {
			Body struct {
				Source  string   `json:"source" minLength:"1" maxLength:"64" doc:"Of /data-sources."`
				Columns []string `json:"columns" minItems:"1" maxItems:"20"`
				Purpose string   `json:"purpose" minLength:"1" maxLength:"500" doc:"Open to every department: nobody's data belongs into it."`
				Basis   string   `json:"basis,omitempty" maxLength:"200" doc:"The duty that it serves."`
				Mode    string   `json:"mode" enum:"monthly,lookup"`
				Last    string   `json:"last,omitempty" maxLength:"7" doc:"The last month, 2027-06; no end without it."`
			}
		}) (*body[Made], error) {
			id, err := a.Loop.RequestData(ctx, actor(ctx), loop.DataNeedInput(in.Body))
			return answer(Made{id}, err)
		})
	huma.Register(a.huma, op(http.MethodPost, "/data-needs/{id}/{action}", "step-data-need", "sharing", "Approve or refuse a need as the unit that has the data, withdraw it as the one that asked, or end it"),
		func(ctx context.Context, in *struct {
			ID     string `path:"id" maxLength:"64"`
			Action string `path:"action" enum:"approve,refuse,withdraw,end"`
			Body   struct {
				Reason string `json:"reason,omitempty" maxLength:"500" doc:"Open; needed with refuse and end."`
			}
		}) (*empty, error) {
			return done(a.Loop.StepDataNeed(ctx, actor(ctx), in.ID, in.Action, in.Body.Reason))
		})
	a.packages()
	a.lookups()
}

func (a *API) packages() {
	huma.Register(a.huma, op(http.MethodPost, "/data-packages", "make-packages", "sharing", "Make a month's packages for every approved need, and those that agriculture and civil affairs exchange"),
		func(ctx context.Context, in *struct {
			Body struct {
				Month string `json:"month" minLength:"7" maxLength:"7" doc:"2026-07."`
			}
		}) (*body[PackagesView], error) {
			made, err := a.Loop.MakePackages(ctx, actor(ctx), in.Body.Month)
			if err != nil {
				return nil, wrap(err)
			}
			return answer(PackagesView(*made), nil)
		})
	content := op(http.MethodGet, "/data-packages/{id}/content", "fetch-package", "sharing", "Take a package that is for your department; every time is audited")
	content.Responses = map[string]*huma.Response{"200": {Description: "The rows as CSV or XLSX, or both with a manifest in a ZIP file.",
		Content: map[string]*huma.MediaType{"application/zip": {}, "text/csv": {}, xlsxType: {}}}}
	huma.Register(a.huma, content, func(ctx context.Context, in *struct {
		ID     string `path:"id" maxLength:"64"`
		Format string `query:"format" enum:"zip,csv,xlsx" default:"zip"`
	}) (*file, error) {
		p, err := a.Loop.FetchPackage(ctx, actor(ctx), in.ID)
		if err != nil {
			return nil, wrap(err)
		}
		out, err := packageAs(in.Format, p)
		return out, wrap(err)
	})
	huma.Register(a.huma, op(http.MethodPost, "/data-packages/{id}/receipt", "take-package", "sharing", "Sign for a package, or return it to be made anew"),
		func(ctx context.Context, in *struct {
			ID   string `path:"id" maxLength:"64"`
			Body struct {
				Rows     int    `json:"rows,omitempty" minimum:"0" doc:"How many arrived."`
				Rejected string `json:"rejected,omitempty" maxLength:"500" doc:"Why it is returned; open."`
			}
		}) (*empty, error) {
			return done(a.Loop.TakePackage(ctx, actor(ctx), in.ID, in.Body.Rows, in.Body.Rejected))
		})
	listing(a, op(http.MethodGet, "/data-calendar", "list-owed", "sharing", "Say who owes what data in a month"), "数据归集共享",
		func(ctx context.Context, in *struct {
			AsTable
			Month string `query:"month" required:"true" minLength:"7" maxLength:"7" doc:"2026-07."`
			Dept  string `query:"dept" maxLength:"16"`
		}) ([]OwedView, []OwedView, error) {
			list, err := a.Loop.SharingCalendar(ctx, actor(ctx), in.Month)
			out := []OwedView{}
			for _, x := range list {
				if in.Dept == "" || x.Dept == in.Dept {
					out = append(out, OwedView{x.Dept, casework.Label("department", x.Dept), x.What, owedWords[x.What], x.Label, x.ID, x.DueOn, x.Done, x.Late})
				}
			}
			return out, out, err
		})
}

func columnLabels(columns []casework.Column) []ColumnLabel {
	out := make([]ColumnLabel, len(columns))
	for i, c := range columns {
		out[i] = ColumnLabel{c.Name, c.Label}
	}
	return out
}

func packageTable(p *loop.Package) [][]any {
	var head []any
	for _, c := range p.Columns {
		head = append(head, c.Label)
	}
	table := [][]any{head}
	for _, r := range p.Rows {
		row := make([]any, len(r))
		for i, cell := range r {
			row[i] = cell
		}
		table = append(table, row)
	}
	return table
}

func packageAs(format string, p *loop.Package) (*file, error) {
	name, table := p.Source.Code+"-"+p.Month, packageTable(p)
	if format != "zip" {
		return tableFile(format, name, p.Source.Label, table)
	}
	m := Manifest{p.ID, p.Month, p.FromDept, p.Dept, p.Source.Code, p.Source.Label, columnLabels(p.Columns), len(p.Rows), p.MadeAt, p.SHA256, map[string]string{}}
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	put := func(name string, b []byte) error {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(b)
		}
		return err
	}
	for _, format := range []string{"csv", "xlsx"} {
		f, err := tableFile(format, name, p.Source.Label, table)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(f.Body)
		m.Files["data."+format] = hex.EncodeToString(sum[:])
		if err := put("data."+format, f.Body); err != nil {
			return nil, err
		}
	}
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := put("manifest.json", b); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return &file{ContentType: "application/zip", Disposition: `attachment; filename="` + name + `.zip"`, Body: out.Bytes()}, nil
}

func (a *API) lookups() {
	look := op(http.MethodPost, "/data-lookups", "look-up", "sharing", "Look persons of the low-income population up, one or a list, within a need that was approved for it; every person found is audited")
	look.Responses = fileResponses[LookupView](a, "What is known")
	huma.Register(a.huma, look, func(ctx context.Context, in *struct {
		Format string `query:"format" enum:"json,csv,xlsx" default:"json"`
		Body   struct {
			Need      string   `json:"need" minLength:"1" maxLength:"64" doc:"Of your department, approved for look-ups."`
			IDNumbers []string `json:"id_numbers" minItems:"1" maxItems:"1000"`
		}
	}) (*file, error) {
		found, err := a.Loop.LookUp(ctx, actor(ctx), in.Body.Need, in.Body.IDNumbers)
		if err != nil {
			return nil, wrap(err)
		}
		out, err := lookupAs(in.Format, found)
		return out, wrap(err)
	})
}

func lookupAs(format string, l *loop.Lookup) (*file, error) {
	if format == "json" {
		v := LookupView{l.Source.Code, columnLabels(l.Columns), []LookupRowView{}}
		for _, r := range l.Rows {
			v.Rows = append(v.Rows, LookupRowView{r.IDNumber, r.Problem, append([][]string{}, r.Rows...)})
		}
		return jsonFile(v)
	}
	head := []any{"查询的身份证号", "结果"}
	for _, c := range l.Columns {
		head = append(head, c.Label)
	}
	table := [][]any{head}
	for _, r := range l.Rows {
		if len(r.Rows) == 0 {
			said := r.Problem
			if said == "" {
				said = "没有相关记录"
			}
			table = append(table, []any{r.IDNumber, said})
		}
		for _, cells := range r.Rows {
			row := []any{r.IDNumber, "有"}
			for _, c := range cells {
				row = append(row, c)
			}
			table = append(table, row)
		}
	}
	return tableFile(format, "lookup-"+strings.ReplaceAll(l.Source.Code, "_", "-"), l.Source.Label, table)
}
