package desk

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// Line is one line of a list. Fields that are sealed are not in it.
type Line struct {
	Kind      string         `json:"kind"`
	ID        string         `json:"id"`
	Region    string         `json:"region"`
	State     string         `json:"state"`
	StateName string         `json:"state_name"`
	Fields    map[string]any `json:"fields"`
	Evidence  []Flag         `json:"evidence,omitempty" doc:"What to look at in a visit, the gravest first. It stands in nobody's way."`
}

// Flag is a code with its label.
type Flag struct {
	Code  string `json:"code"`
	Label string `json:"label"`
}

func flags(codes []string) (list []Flag) {
	for _, c := range codes {
		list = append(list, Flag{c, casework.Label("evidence", c)})
	}
	return list
}

// Lines is a page of a list; next continues it and is empty on the last page.
type Lines struct {
	Items []Line `json:"items"`
	Next  string `json:"next,omitempty"`
}

type listInput struct {
	State  []string `query:"state" doc:"Only these states, with commas between."`
	Region string   `query:"region" maxLength:"16" doc:"A 12-digit code or a grid's id within your own region."`
	Owner  string   `query:"owner" maxLength:"64" doc:"Whose turn it is: a user's id."`
	DueTo  string   `query:"due_to" format:"date" doc:"Due on or before this day."`
	Sort   string   `query:"sort" enum:"newest,oldest,due" default:"newest"`
	After  string   `query:"after" maxLength:"256" doc:"The next of the page before."`
	Format string   `query:"format" enum:"json,csv,xlsx" default:"json" doc:"A table holds every page behind after, up to 10,000 lines."`
	Limit  int      `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

// Lists are the lists of the desk, by the last part of their addresses, with the kinds of what they hold.
var Lists = map[string]string{"households": "household", "persons": "person", "leads": "lead", "visits": "visit", "dispositions": "disposition", "referrals": "referral", "tasks": "task",
	"conflicts": "conflict", "amendments": "amendment", "applications": "application", "periodic-reviews": "periodic_review",
	"exits": "exit", "publications": "publication", "objections": "objection", "aid": "aid", "meetings": "meeting", "resolutions": "resolution", "invitations": "invitation",
	"orders": "order", "data-needs": "data_need", "data-packages": "data_package", "evaluations": "evaluation", "monitoring": "monitoring", "relocations": "relocation"}

func (a *API) queues() {
	for name, kind := range Lists {
		path := "/" + name
		list := op(http.MethodGet, path, "list-"+kind, "queues", "List "+kind+"s, or export them as a table")
		list.Responses = fileResponses[Lines](a, "A page of the list, or all of it up to 10,000 lines as a table")
		huma.Register(a.huma, list, func(ctx context.Context, in *listInput) (*file, error) {
			out, err := a.list(ctx, kind, in)
			return out, wrap(err)
		})
		huma.Register(a.huma, op(http.MethodGet, path+"/{id}", "get-"+kind, "queues", "Everything needed to decide on a "+kind),
			func(ctx context.Context, in *struct {
				ID string `path:"id" maxLength:"64"`
			}) (*body[CaseView], error) {
				c, err := a.Loop.Case(ctx, actor(ctx), syncproto.Ref{Kind: kind, ID: in.ID})
				if err != nil {
					return nil, wrap(err)
				}
				return answer(caseView(c), nil)
			})
	}
}

func (a *API) list(ctx context.Context, kind string, in *listInput) (*file, error) {
	f := loop.Filter{Kind: kind, States: in.State, Region: in.Region, Owner: in.Owner, DueTo: in.DueTo, ByDue: in.Sort == "due", Oldest: in.Sort == "oldest", After: in.After, Limit: in.Limit}
	if in.Format == "json" {
		page, err := a.Loop.Queue(ctx, actor(ctx), f)
		if err != nil {
			return nil, err
		}
		return jsonFile(lines(page))
	}
	all, err := a.Loop.Export(ctx, actor(ctx), f)
	if err != nil {
		return nil, err
	}
	k, _ := casework.KindOf(kind)
	return tableFile(in.Format, kind+"-"+a.Clock().Format(time.DateOnly), k.Label, listTable(k, all))
}

// listTable lays a list out in cells, under Chinese headings and with values in words. Sealed fields have no column.
func listTable(k *casework.Kind, l *loop.List) [][]any {
	fields := k.Tabular()
	head := []any{"编号", "区划", "状态"}
	for _, f := range fields {
		head = append(head, f.Label)
	}
	table := [][]any{head}
	for _, it := range l.Items {
		state, _ := it.Fields["state"].(string)
		row := []any{it.Ref.ID, it.Region, casework.Label("state", state)}
		for _, f := range fields {
			row = append(row, f.Words(it.Fields[f.Name]))
		}
		table = append(table, row)
	}
	if l.Next != "" {
		table = append(table, []any{fmt.Sprintf("仅导出前%d行,请按状态、区划或期限缩小范围后分次导出。", len(l.Items))})
	}
	return table
}

func lines(l *loop.List) Lines {
	out := Lines{Items: make([]Line, len(l.Items)), Next: l.Next}
	for i, it := range l.Items {
		state, _ := it.Fields["state"].(string)
		out.Items[i] = Line{it.Ref.Kind, it.Ref.ID, it.Region, state, casework.Label("state", state), it.Fields, flags(it.Evidence)}
	}
	return out
}

// RecordView is one record with its labels, its values and who wrote them.
type RecordView struct {
	Kind    string                  `json:"kind"`
	ID      string                  `json:"id"`
	Fields  map[string]any          `json:"fields"`
	Labels  map[string]string       `json:"labels" doc:"Chinese labels of the fields."`
	Hidden  []string                `json:"hidden,omitempty" doc:"Fields that you may not open."`
	Written map[string]loop.Written `json:"written"`
}

// Answer is one question of a visit or an application with its answer.
type Answer struct {
	Question string `json:"question"`
	Label    string `json:"label"`
	Type     string `json:"type"`
	Value    any    `json:"value,omitempty"`
}

// DifferenceView is an answer that differs from the record.
type DifferenceView struct {
	Kind     string `json:"kind"`
	ID       string `json:"id,omitempty"`
	New      bool   `json:"new,omitempty" doc:"Approving makes this record."`
	Field    string `json:"field"`
	Question string `json:"question"`
	Label    string `json:"label"`
	Before   any    `json:"before,omitempty"`
	After    any    `json:"after,omitempty"`
}

// Event is one line of the history.
type Event struct {
	At      string         `json:"at"`
	By      string         `json:"by"`
	Role    string         `json:"role,omitempty"`
	Verb    string         `json:"verb"`
	Record  string         `json:"record,omitempty"`
	Details syncproto.Raw  `json:"details,omitempty"`
	Was     map[string]any `json:"was,omitempty" doc:"Former values of fields that were written anew."`
}

// CaseView is everything that bears on a decision.
type CaseView struct {
	Record      RecordView       `json:"record"`
	Times       *loop.VisitTimes `json:"times,omitempty" doc:"Of a visit: as claimed, as received, as corrected. Milliseconds since 1970 UTC."`
	Evidence    []Flag           `json:"evidence,omitempty" doc:"What to look at in a visit, the gravest first."`
	Answers     []Answer         `json:"answers,omitempty"`
	Differences []DifferenceView `json:"differences,omitempty"`
	Conflicts   []RecordView     `json:"conflicts"`
	Related     []RecordView     `json:"related"`
	History     []Event          `json:"history"`
}

func caseView(c *loop.Case) CaseView {
	v := CaseView{Record: recordView(c.Record), Conflicts: recordViews(c.Conflicts), Related: recordViews(c.Related), History: []Event{}}
	if c.Times != nil {
		v.Times, v.Evidence = c.Times, flags(c.Times.Evidence)
	}
	if c.Form != nil {
		for _, q := range c.Form.Questions {
			v.Answers = append(v.Answers, Answer{q.Name, q.Label, q.Type, c.Record.Fields[c.Form.Field(q.Name)]})
		}
	}
	for _, d := range c.Differences {
		v.Differences = append(v.Differences, DifferenceView(d))
	}
	for _, h := range c.History {
		v.History = append(v.History, Event{At: millis(h.At), By: h.Actor, Role: h.Role, Verb: h.Verb, Record: h.Ref.String(), Details: h.Details})
	}
	for _, p := range c.Past {
		v.History = append(v.History, Event{At: millis(p.At), By: p.By, Verb: "write", Record: c.Record.Ref.String(), Was: p.Changed})
	}
	return v
}

func recordViews(list []loop.Entity) []RecordView {
	out := make([]RecordView, len(list))
	for i, e := range list {
		out[i] = recordView(e)
	}
	return out
}

func recordView(e loop.Entity) RecordView {
	v := RecordView{Kind: e.Ref.Kind, ID: e.Ref.ID, Fields: e.Fields, Hidden: e.Sealed, Written: e.Written, Labels: map[string]string{}}
	if k, ok := casework.KindOf(e.Ref.Kind); ok {
		for name := range e.Written {
			if f, ok := k.Field(name); ok {
				v.Labels[name] = f.Label
			}
		}
	}
	return v
}
