package desk

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/casework"
	"aidloop/server/loop"
)

// DatasetView is a list that a department shares for matching.
type DatasetView struct {
	Code    string       `json:"code" zh:"代码"`
	Label   string       `json:"label" zh:"名称"`
	Dept    string       `json:"dept" zh:"部门"`
	Columns []ColumnView `json:"columns" zh:"列" doc:"Behind 身份证号; 姓名, 镇街 and 村社区 may stand beside them."`
	Loaded  string       `json:"loaded,omitempty" zh:"最近导入" doc:"When the newest list was loaded."`
	Rows    int          `json:"rows,omitempty" zh:"行数"`
}

// ColumnView is one column.
type ColumnView struct {
	Name     string `json:"name"`
	Heading  string `json:"heading"`
	Type     string `json:"type" enum:"text,int,date,month,flag"`
	Optional bool   `json:"optional,omitempty"`
}

// LoadView says what became of a list.
type LoadView struct {
	Dataset   string           `json:"dataset"`
	Rows      int              `json:"rows"`
	Refused   int              `json:"refused"`
	Unchanged bool             `json:"unchanged,omitempty" doc:"The same list was loaded last."`
	Refusals  []loop.RowReport `json:"refusals,omitempty" doc:"At most 1,000 of them."`
}

// PushedRow is one row that is pushed.
type PushedRow struct {
	IDNumber string            `json:"id_number" minLength:"1" maxLength:"32"`
	Name     string            `json:"name,omitempty" maxLength:"64" doc:"With town needed where a lead is to be made of somebody who is not on record."`
	Town     string            `json:"town,omitempty" maxLength:"64"`
	Village  string            `json:"village,omitempty" maxLength:"64"`
	Cells    map[string]string `json:"cells" doc:"By the name of the column, see /datasets."`
}

// PushView says what became of pushed rows.
type PushView struct {
	Load  LoadView  `json:"load"`
	Match MatchView `json:"match"`
}

// pushedLines puts cells in the order of a dataset's columns; a name that it does not have is an error.
func pushedLines(code string, rows []PushedRow) ([]loop.DatasetLine, error) {
	d, ok := casework.DatasetOf(code)
	if !ok {
		return nil, bad("没有这个数据集,请从列表中选择。")
	}
	lines := make([]loop.DatasetLine, len(rows))
	for i, r := range rows {
		lines[i] = loop.DatasetLine{Row: i + 1, IDNumber: r.IDNumber, Name: r.Name, Town: r.Town, Village: r.Village}
		for _, c := range d.Columns {
			lines[i].Cells = append(lines[i].Cells, strings.TrimSpace(r.Cells[c.Name]))
		}
		for name := range r.Cells {
			if !slices.ContainsFunc(d.Columns, func(c casework.Column) bool { return c.Name == name }) {
				return nil, bad("“" + d.Label + "”没有“" + name + "”这一列,请核对。")
			}
		}
	}
	return lines, nil
}

// MatchView says what a run of the rules found.
type MatchView struct {
	On       string             `json:"on"`
	Found    int                `json:"found"`
	Leads    int                `json:"leads" doc:"New ones."`
	Reviews  int                `json:"reviews" doc:"That were opened, since their day is near."`
	Open     int                `json:"open" doc:"Of which a lead or a review is under way."`
	Quiet    int                `json:"quiet" doc:"That people have looked at, with nothing new since."`
	Refused  []RefusedMatchView `json:"refused,omitempty" doc:"Of which no lead could be made."`
	Datasets map[string]int     `json:"datasets" doc:"Rows that were read."`
	Skipped  map[string]string  `json:"skipped,omitempty" doc:"Rules that could not be judged, with the dataset that nobody has loaded."`
}

// RefusedMatchView is a finding that no lead could be made of.
type RefusedMatchView struct {
	Rule    int      `json:"rule"`
	Rows    []string `json:"rows" doc:"Dataset and line."`
	Message string   `json:"message"`
}

func (a *API) matching() {
	listing(a, op(http.MethodGet, "/datasets", "list-datasets", "matching", "List the datasets that you may load, with their columns"), "数据集",
		func(ctx context.Context, _ *struct{ AsTable }) ([]DatasetView, []DatasetView, error) {
			list, err := a.Loop.Datasets(ctx, actor(ctx))
			out := make([]DatasetView, len(list))
			for i, d := range list {
				out[i] = datasetView(d)
			}
			return out, out, err
		})
	load := op(http.MethodPost, "/datasets/{code}", "load-dataset", "matching", "Load a department's list as CSV or XLSX; identity numbers are not kept")
	load.MaxBodyBytes = maxDataset
	load.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"text/csv": {}, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": {}}}
	huma.Register(a.huma, load, func(ctx context.Context, in *struct {
		Code    string `path:"code" maxLength:"32"`
		RawBody []byte
	}) (*body[LoadView], error) {
		lines, err := ReadDataset(in.Code, in.RawBody)
		if err != nil {
			return nil, wrap(err)
		}
		rep, err := a.Loop.LoadDataset(ctx, actor(ctx), in.Code, lines)
		if err != nil {
			return nil, wrap(err)
		}
		return answer(LoadView(*rep), nil)
	})
	huma.Register(a.huma, op(http.MethodPost, "/datasets/{code}/rows", "push-rows", "matching", "Add rows to a dataset as they come up, and match the persons at once"),
		func(ctx context.Context, in *struct {
			Code string `path:"code" maxLength:"32"`
			Body struct {
				Rows []PushedRow `json:"rows" minItems:"1" maxItems:"1000"`
			}
		}) (*body[PushView], error) {
			lines, err := pushedLines(in.Code, in.Body.Rows)
			if err != nil {
				return nil, wrap(err)
			}
			rep, found, err := a.Loop.PushRows(ctx, actor(ctx), in.Code, lines)
			if err != nil {
				return nil, wrap(err)
			}
			return answer(PushView{LoadView(*rep), matchView(found)}, nil)
		})
	huma.Register(a.huma, op(http.MethodPost, "/matching", "match", "matching", "Run the matching rules and make leads of what is new"),
		func(ctx context.Context, in *struct {
			On string `query:"on" maxLength:"10" doc:"The day, 2026-07-01; today where it is left out."`
		}) (*body[MatchView], error) {
			rep, err := a.Loop.Match(ctx, actor(ctx), in.On)
			if err != nil {
				return nil, wrap(err)
			}
			return answer(matchView(rep), nil)
		})
}

func datasetView(d loop.DatasetStatus) DatasetView {
	v := DatasetView{Code: d.Code, Label: d.Label, Dept: d.Dept, Columns: []ColumnView{}}
	for _, c := range d.Columns {
		v.Columns = append(v.Columns, ColumnView{c.Name, c.Label, c.Type, c.Optional})
	}
	if d.Last != nil {
		v.Loaded, v.Rows = millis(d.Last.At), d.Last.Rows
	}
	return v
}

func matchView(r *loop.MatchReport) MatchView {
	v := MatchView{On: r.On, Found: r.Found, Leads: r.Leads, Reviews: r.Reviews, Open: r.Open, Quiet: r.Quiet, Datasets: r.Datasets}
	for rule, dataset := range r.Skipped {
		if v.Skipped == nil {
			v.Skipped = map[string]string{}
		}
		v.Skipped[strconv.Itoa(rule)] = dataset
	}
	for _, x := range r.Refused {
		v.Refused = append(v.Refused, RefusedMatchView{x.Rule, rowNames(x.Rows), x.Message})
	}
	return v
}

func rowNames(rows []casework.SourceRow) []string {
	out := make([]string, len(rows))
	for i, e := range rows {
		out[i] = e.String()
	}
	return out
}

// maxDataset bounds an uploaded list, in bytes.
const maxDataset = 64 << 20

// people are the headings that say who a row is about.
var people = map[string]string{"身份证号": "id", "身份证号码": "id", "证件号码": "id", "姓名": "name", "镇街": "town", "镇(街道)": "town", "乡镇": "town", "村社区": "village", "村(社区)": "village", "村": "village"}

// ReadDataset reads a department's list: XLSX or CSV as ReadSheet does. The first row names the columns by their
// headings or codes, in any order.
func ReadDataset(code string, b []byte) ([]loop.DatasetLine, error) {
	d, ok := casework.DatasetOf(code)
	if !ok {
		return nil, bad("没有这个数据集,请从列表中选择。")
	}
	t, err := readNamed(b, loop.MaxDatasetRows, func(heading string) string {
		if f, ok := people[heading]; ok {
			return f
		}
		if k := slices.IndexFunc(d.Columns, func(c casework.Column) bool { return c.Label == heading || c.Name == heading }); k >= 0 {
			return ownColumn + d.Columns[k].Name
		}
		return ""
	})
	if err != nil {
		return nil, err
	}
	if t.lacks("id") != "" {
		return nil, bad("缺少“身份证号”列。")
	}
	for _, c := range d.Columns {
		if !c.Optional && t.lacks(ownColumn+c.Name) != "" {
			return nil, bad("缺少“" + c.Label + "”列。")
		}
	}
	lines := make([]loop.DatasetLine, len(t.rows))
	for i, r := range t.rows {
		lines[i] = loop.DatasetLine{Row: r.n, IDNumber: t.cell(r, "id"), Name: t.cell(r, "name"), Town: t.cell(r, "town"), Village: t.cell(r, "village")}
		for _, c := range d.Columns {
			v := t.cell(r, ownColumn+c.Name)
			if c.Type == "date" {
				v = dateOf(v)
			}
			lines[i].Cells = append(lines[i].Cells, v)
		}
	}
	return lines, nil
}

// ownColumn begins the names of a dataset's own columns, which may be called like those of a person.
const ownColumn = "own:"
