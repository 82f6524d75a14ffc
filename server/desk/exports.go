package desk

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/casework"
	"aidloop/server/loop"
)

// RosterFieldView is something that can stand in a list for others.
type RosterFieldView struct {
	Name    string   `json:"name"`
	Heading string   `json:"heading"`
	Also    []string `json:"also,omitempty" doc:"What it is called elsewhere."`
}

// RosterQuery says whom a list is about.
type RosterQuery struct {
	Region   string   `query:"region" maxLength:"16" doc:"A 12-digit code or a grid's id within your own region."`
	From     string   `query:"from" maxLength:"10" doc:"Of leads: fed back on this day or later."`
	To       string   `query:"to" maxLength:"10"`
	Source   string   `query:"source" enum:"province,matching,self_report,department,patrol" doc:"Of leads."`
	Category []string `query:"category" doc:"Of households and persons: in one of these, with commas between."`
}

func (q *RosterQuery) input(over string, fields []string) loop.RosterInput {
	return loop.RosterInput{Over: over, Fields: fields, Region: q.Region, From: q.From, To: q.To, Source: q.Source, Categories: q.Category}
}

// exports are the operations of handing data on in the templates of others.
func (a *API) exports() {
	huma.Register(a.huma, op(http.MethodGet, "/exports", "list-rosters", "exports", "List what a template of others can be filled with: the headings that are understood"),
		func(context.Context, *empty) (*body[map[string][]RosterFieldView], error) {
			out := map[string][]RosterFieldView{}
			for over, fields := range casework.Rosters {
				for _, f := range fields {
					out[over] = append(out[over], RosterFieldView{f.Name, f.Label, f.Also})
				}
			}
			return answer(out, nil)
		})
	fill := op(http.MethodPost, "/exports/{over}", "fill-template", "exports", "Fill a template of a higher platform from the record: an empty table with its headings goes in, the same one with rows comes out; making it is audited")
	fill.MaxBodyBytes = maxSheet
	fill.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"text/csv": {}, xlsxType: {}}}
	fill.Responses = map[string]*huma.Response{"200": {Description: "The table.", Content: map[string]*huma.MediaType{"text/csv": {}, xlsxType: {}}}}
	huma.Register(a.huma, fill, func(ctx context.Context, in *struct {
		RosterQuery
		Over    string `path:"over" enum:"leads,households,persons"`
		Partial bool   `query:"partial" doc:"Leave columns empty whose headings nobody understands."`
		Format  string `query:"format" enum:"csv,xlsx" default:"xlsx"`
		RawBody []byte
	}) (*file, error) {
		headings, err := readHeadings(in.RawBody)
		if err != nil {
			return nil, wrap(err)
		}
		out, err := a.fill(ctx, in.input(in.Over, nil), headings, in.Partial, in.Format, in.Over)
		return out, wrap(err)
	})
	feedback := op(http.MethodGet, "/exports/province-feedback", "feedback-file", "exports", "Take the file that goes back to the province: its leads that were fed back within a range of days; making it is audited")
	feedback.Responses = fill.Responses
	huma.Register(a.huma, feedback, func(ctx context.Context, in *struct {
		From   string `query:"from" required:"true" format:"date"`
		To     string `query:"to" required:"true" format:"date"`
		Format string `query:"format" enum:"csv,xlsx" default:"xlsx"`
	}) (*file, error) {
		out, err := a.fill(ctx, loop.RosterInput{Over: "leads", From: in.From, To: in.To, Source: "province"}, casework.FeedbackHeadings, false, in.Format, "province-feedback")
		return out, wrap(err)
	})
}

// readHeadings are the cells of a template's first row.
func readHeadings(b []byte) ([]string, error) {
	table, err := readTable(b, loop.MaxImportRows)
	if err != nil {
		return nil, err
	}
	if len(table) == 0 {
		return nil, bad("模板是空的,第一行应为列名。")
	}
	headings := make([]string, len(table[0]))
	for i, h := range table[0] {
		headings[i] = strings.TrimSpace(strings.TrimPrefix(h, "\ufeff"))
	}
	return headings, nil
}

func (a *API) fill(ctx context.Context, in loop.RosterInput, headings []string, partial bool, format, name string) (*file, error) {
	var unknown []string
	head := make([]any, len(headings))
	in.Fields = make([]string, len(headings))
	for i, h := range headings {
		head[i] = h
		field, ok := casework.RosterFieldOf(in.Over, h)
		if in.Fields[i] = field; !ok {
			unknown = append(unknown, h)
		}
	}
	if len(unknown) == len(headings) || len(unknown) > 0 && !partial {
		return nil, bad("模板里有不认识的列:" + strings.Join(unknown[:min(len(unknown), 20)], "、") + "。请改成可用的列名,或选择留空后重试。")
	}
	rows, err := a.Loop.Roster(ctx, actor(ctx), in)
	if err != nil {
		return nil, err
	}
	table := [][]any{head}
	for _, r := range rows {
		row := make([]any, len(r))
		for i, cell := range r {
			row[i] = cell
		}
		table = append(table, row)
	}
	return tableFile(format, name+"-"+a.Clock().Format(time.DateOnly), "名册", table)
}
