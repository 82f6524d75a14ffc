package desk

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/xuri/excelize/v2"

	"aidloop/server/casework"
	"aidloop/server/loop"
)

const xlsxType = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

// FigureView is a table of counts.
type FigureView struct {
	Name    string          `json:"name"`
	Title   string          `json:"title"`
	Heading string          `json:"heading" doc:"Of the rows."`
	Kind    string          `json:"kind" doc:"Of the records that are counted."`
	Dated   string          `json:"dated,omitempty" doc:"Which day of a record falls within the range; none where records count as they stand."`
	From    string          `json:"from,omitempty"`
	To      string          `json:"to,omitempty"`
	Region  string          `json:"region"`
	AsOf    string          `json:"as_of" doc:"The day on which it was counted."`
	Columns []ColumnLabel   `json:"columns"`
	Rows    []FigureRowView `json:"rows" doc:"The last one is the total, in which every record counts once."`
}

// ColumnLabel is a column of a figure.
type ColumnLabel struct {
	Code  string `json:"code"`
	Label string `json:"label"`
}

// FigureRowView is one row.
type FigureRowView struct {
	Key    string         `json:"key"`
	Label  string         `json:"label"`
	Counts map[string]int `json:"counts" doc:"By column; 0 where one is left out."`
	Rate   string         `json:"rate,omitempty" doc:"Of the leads that were disposed of or are overdue, the share disposed of in time."`
}

// FigureIDs is a page of the ids behind a cell.
type FigureIDs struct {
	Kind string   `json:"kind"`
	IDs  []string `json:"ids"`
	Next string   `json:"next,omitempty"`
}

// FigureRange says what is counted.
type FigureRange struct {
	Name   string `path:"name" enum:"on_time,funnel,returns,households,referrals"`
	From   string `query:"from" maxLength:"10" doc:"The first day, 2026-07-01; households take none."`
	To     string `query:"to" maxLength:"10" doc:"The last day."`
	Region string `query:"region" maxLength:"16" doc:"A 12-digit code or a grid's id within your own region."`
}

func (r *FigureRange) input() loop.FigureInput {
	return loop.FigureInput{Name: r.Name, From: r.From, To: r.To, Region: r.Region}
}

// file is an answer in one of several formats.
type file struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        []byte
}

// fileResponses describe an answer that is JSON of a type, or a table.
func fileResponses[T any](a *API, about string) map[string]*huma.Response {
	return map[string]*huma.Response{"200": {Description: about + ", as JSON, CSV or XLSX.", Content: map[string]*huma.MediaType{
		"application/json": {Schema: a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[T](), true, "")}, "text/csv": {}, xlsxType: {}}}}
}

func (a *API) figures() {
	get := op(http.MethodGet, "/figures/{name}", "get-figure", "figures", "Count what the closed loop has come to in your region: deadlines, stages, returns, households, referrals")
	get.Responses = fileResponses[FigureView](a, "The figure")
	huma.Register(a.huma, get, func(ctx context.Context, in *struct {
		FigureRange
		Format string `query:"format" enum:"json,csv,xlsx" default:"json"`
	}) (*file, error) {
		f, err := a.Loop.Figure(ctx, actor(ctx), in.input())
		if err != nil {
			return nil, wrap(err)
		}
		out, err := figureAs(in.Format, f)
		return out, wrap(err)
	})
	huma.Register(a.huma, op(http.MethodGet, "/figures/{name}/records", "list-figure-records", "figures", "List the ids of the records that a cell of a figure counts"),
		func(ctx context.Context, in *struct {
			FigureRange
			Row    string `query:"row" maxLength:"160" doc:"A row's key; the total where it is left out."`
			Column string `query:"column" required:"true" maxLength:"64" doc:"A column's code."`
			After  string `query:"after" maxLength:"64" doc:"The next of the page before."`
			Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"100"`
		}) (*body[FigureIDs], error) {
			ids, next, err := a.Loop.FigureRecords(ctx, actor(ctx), in.input(), in.Row, in.Column, in.After, in.Limit)
			if err != nil {
				return nil, wrap(err)
			}
			spec, _ := casework.FigureNamed(in.Name)
			return answer(FigureIDs{spec.Kind, append([]string{}, ids...), next}, nil)
		})
}

func figureAs(format string, f *loop.Figure) (*file, error) {
	if format == "json" {
		return jsonFile(figureView(f))
	}
	return tableFile(format, f.Spec.Name+"-"+f.AsOf, f.Spec.Title, figureTable(f))
}

func jsonFile(v any) (*file, error) {
	b, err := json.Marshal(v)
	return &file{ContentType: "application/json", Body: b}, err
}

// tableFile is a table to be saved under a name, as CSV or XLSX.
func tableFile(format, name, title string, table [][]any) (out *file, err error) {
	out = &file{ContentType: "text/csv; charset=utf-8", Disposition: fmt.Sprintf(`attachment; filename="%s.%s"`, name, format)}
	if format == "xlsx" {
		out.ContentType = xlsxType
		out.Body, err = writeXLSX(title, table)
		return out, err
	}
	out.Body, err = writeCSV(table)
	return out, err
}

func figureView(f *loop.Figure) FigureView {
	v := FigureView{Name: f.Spec.Name, Title: f.Spec.Title, Heading: f.Spec.Heading, Kind: f.Spec.Kind, Dated: f.Spec.Dated, From: f.From, To: f.To,
		Region: f.Region, AsOf: f.AsOf}
	for _, c := range f.Spec.Columns {
		v.Columns = append(v.Columns, ColumnLabel(c))
	}
	for _, r := range f.Rows {
		row := FigureRowView{Key: r.Key, Label: r.Label, Counts: r.Counts}
		if f.Spec.Rate != "" {
			row.Rate = casework.Rate(r.Counts)
		}
		v.Rows = append(v.Rows, row)
	}
	return v
}

// figureTable lays a figure out in cells: texts, and counts as int. The key stands beside the label, since villages of two
// towns may share a name.
func figureTable(f *loop.Figure) [][]any {
	head := []any{f.Spec.Heading, "代码"}
	for _, c := range f.Spec.Columns {
		head = append(head, c.Label)
	}
	if f.Spec.Rate != "" {
		head = append(head, f.Spec.Rate)
	}
	table := [][]any{head}
	for _, r := range f.Rows {
		key := r.Key
		if key == casework.TotalRow {
			key = ""
		}
		row := []any{r.Label, key}
		for _, c := range f.Spec.Columns {
			row = append(row, r.Counts[c.Code])
		}
		if f.Spec.Rate != "" {
			row = append(row, casework.Rate(r.Counts))
		}
		table = append(table, row)
	}
	return table
}

// writeCSV writes UTF-8 behind a byte order mark, by which office programs know it.
func writeCSV(table [][]any) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("\ufeff")
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	for _, row := range table {
		cells := make([]string, len(row))
		for i, c := range row {
			if n, ok := c.(int); ok {
				cells[i] = strconv.Itoa(n)
			} else {
				cells[i] = harmless(fmt.Sprint(c))
			}
		}
		if err := w.Write(cells); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

// harmless keeps an office program from taking a text for a formula: names of places and questions are typed by people.
func harmless(s string) string {
	if trimmed := strings.TrimLeft(s, " \u3000"); strings.IndexAny(trimmed, "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20") == 0 {
		return "'" + s
	}
	return s
}

// writeXLSX writes one sheet; texts are cells of text, which no program takes for formulas.
func writeXLSX(title string, table [][]any) ([]byte, error) {
	f := excelize.NewFile()
	defer f.Close()
	if err := f.SetSheetName(f.GetSheetName(0), title); err != nil {
		return nil, err
	}
	for i, row := range table {
		if err := f.SetSheetRow(title, fmt.Sprintf("A%d", i+1), &row); err != nil {
			return nil, err
		}
	}
	if err := f.SetColWidth(title, "A", "A", 36); err != nil {
		return nil, err
	}
	b, err := f.WriteToBuffer()
	if err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
