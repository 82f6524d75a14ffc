package desk

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/casework"
	"aidloop/server/loop"
)

func (a *API) leads() {
	imp := op(http.MethodPost, "/leads/import", "import-leads", "leads", "Import leads from CSV or XLSX, with a report per row")
	imp.MaxBodyBytes = maxSheet
	imp.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"text/csv": {}, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": {}}}
	huma.Register(a.huma, imp, func(ctx context.Context, in *struct {
		Source  string `query:"source" enum:"province,matching,self_report,department,patrol" default:"province" doc:"A department's officer pushes as a department."`
		Sender  string `query:"sender" maxLength:"64" doc:"Whose headings and words are understood, see /lead-senders."`
		Preview bool   `query:"preview" doc:"Say what would become of every row, and write nothing."`
		RawBody []byte
	}) (*body[loop.Report], error) {
		rep, err := a.Loop.ImportSheet(ctx, actor(ctx), loop.Sheet{Source: in.Source, Sender: in.Sender, Preview: in.Preview,
			Read: func(columns map[string]string) ([]loop.LeadRow, error) { return ReadSheet(in.RawBody, columns) }})
		if err != nil {
			return nil, wrap(err)
		}
		return answer(*rep, nil)
	})
	huma.Register(a.huma, op(http.MethodGet, "/lead-senders", "list-senders", "leads", "List the senders of leads, with the headings that each uses"),
		func(ctx context.Context, _ *empty) (*body[map[string]loop.LeadSender], error) {
			list, err := a.Loop.LeadSenders(ctx, actor(ctx))
			return answer(list, err)
		})
	huma.Register(a.huma, op(http.MethodPut, "/lead-senders/{name}", "put-sender", "leads", "Remember which headings and words a sender uses"),
		func(ctx context.Context, in *struct {
			Name string `path:"name" minLength:"1" maxLength:"64"`
			Body struct {
				Columns map[string]string `json:"columns" doc:"A sender's heading → ref, name, id, phone, town, village, address, type, reason or date."`
				Types   map[string]string `json:"types,omitempty" doc:"A sender's word → a code of the list lead_type."`
			}
		}) (*empty, error) {
			return done(a.Loop.PutLeadSender(ctx, actor(ctx), in.Name, loop.LeadSender(in.Body)))
		})
	a.dispatching()
	a.assigning()
	a.deadlines()
	a.calendars()
}

// dispatching are the operations that send leads to where they belong.
func (a *API) dispatching() {
	huma.Register(a.huma, op(http.MethodPost, "/leads/dispatch", "dispatch", "leads", "Send leads to their towns; the 40 working days start"),
		func(ctx context.Context, in *struct {
			Body struct {
				Leads []string `json:"leads" minItems:"1" maxItems:"500"`
				Town  string   `json:"town,omitempty" maxLength:"12" doc:"Instead of the town that each lead names."`
			}
		}) (*empty, error) {
			return done(a.Loop.Dispatch(ctx, actor(ctx), in.Body.Leads, in.Body.Town))
		})
	huma.Register(a.huma, op(http.MethodPost, "/leads/dispatch-new", "dispatch-new", "leads", "Send every new lead on: to the department that matching has named, or to the town that it names"),
		func(ctx context.Context, in *struct {
			Body struct {
				Types  []string `json:"types,omitempty" maxItems:"10" doc:"Only these."`
				Source string   `json:"source,omitempty" enum:"province,matching,self_report,department,patrol"`
				Town   string   `json:"town,omitempty" maxLength:"12"`
			}
		}) (*body[DispatchedView], error) {
			out, err := a.Loop.DispatchNew(ctx, actor(ctx), loop.NewLeads(in.Body))
			return answer(DispatchedView(out), err)
		})
	huma.Register(a.huma, op(http.MethodPost, "/leads/send", "send-to-dept", "leads", "Send leads to a department instead of a town; its feedback ends them"),
		func(ctx context.Context, in *struct {
			Body struct {
				Leads []string `json:"leads" minItems:"1" maxItems:"500"`
				Dept  string   `json:"dept,omitempty" maxLength:"16" doc:"Instead of the department that matching has named."`
			}
		}) (*empty, error) {
			return done(a.Loop.SendToDept(ctx, actor(ctx), in.Body.Leads, in.Body.Dept))
		})
}

// assigning are the operations of a town on its leads.
func (a *API) assigning() {
	listing(a, op(http.MethodGet, "/workers", "list-workers", "leads", "List the grid workers of your region with what lies with them, those with the least first"), "网格员",
		func(ctx context.Context, in *struct {
			AsTable
			Region string `query:"region" maxLength:"16"`
		}) ([]WorkerView, []WorkerView, error) {
			list, err := a.Loop.Workers(ctx, actor(ctx), in.Region)
			out := make([]WorkerView, len(list))
			for i, x := range list {
				out[i] = WorkerView{x.User.ID, x.User.Login, x.User.Name, x.User.Region, x.Leads, x.Tasks, x.Due}
			}
			return out, out, err
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
	huma.Register(a.huma, op(http.MethodPost, "/leads/{id}/transfer", "transfer", "leads", "Hand a lead to another town; its deadline stays"),
		func(ctx context.Context, in *struct {
			ID   string `path:"id" maxLength:"64"`
			Body struct {
				Town   string `json:"town" minLength:"12" maxLength:"12"`
				Reason string `json:"reason" minLength:"1" maxLength:"500"`
			}
		}) (*empty, error) {
			return done(a.Loop.Transfer(ctx, actor(ctx), in.ID, in.Body.Town, in.Body.Reason))
		})
	huma.Register(a.huma, op(http.MethodPost, "/leads/{id}/duplicate", "mark-duplicate", "leads", "Mark a lead as a duplicate of another one"),
		func(ctx context.Context, in *struct {
			ID   string `path:"id" maxLength:"64"`
			Body struct {
				Of string `json:"of" minLength:"1" maxLength:"64"`
			}
		}) (*empty, error) {
			return done(a.Loop.MarkDuplicate(ctx, actor(ctx), in.ID, in.Body.Of))
		})
}

// DispatchedView counts where leads went.
type DispatchedView struct {
	Towns       int `json:"towns"`
	Departments int `json:"departments"`
	Left        int `json:"left" doc:"That name neither a town nor a department."`
}

// WorkerView is a grid worker with what lies with him.
type WorkerView struct {
	ID     string `json:"id"`
	Login  string `json:"login" zh:"登录名"`
	Name   string `json:"name" zh:"姓名"`
	Region string `json:"region" zh:"区划"`
	Leads  int    `json:"leads" zh:"待入户线索" doc:"That wait for a visit of his."`
	Tasks  int    `json:"tasks" zh:"待办任务" doc:"Open ones of all kinds."`
	Due    string `json:"due,omitempty" zh:"最近期限" doc:"The earliest day of them."`
}

// DueView is something whose deadline is near or over.
type DueView struct {
	Kind         string `json:"kind" enum:"lead,application,periodic_review,exit,referral,resolution,invitation,order"`
	KindName     string `json:"kind_name" zh:"事项"`
	ID           string `json:"id" zh:"编号"`
	Lead         string `json:"lead,omitempty" doc:"The id again where it is a lead."`
	Region       string `json:"region" zh:"区划"`
	Town         string `json:"town" zh:"镇(街道)"`
	Assignee     string `json:"assignee,omitempty"`
	AssigneeName string `json:"assignee_name,omitempty" zh:"承办" doc:"A department's name, or the worker's id again."`
	State        string `json:"state"`
	StateName    string `json:"state_name" zh:"状态"`
	DueOn        string `json:"due_on" zh:"期限"`
	Rule         string `json:"rule,omitempty" zh:"期限依据" doc:"Behind the deadline; none with a lead that has the 40 working days of the notice."`
	Left         int    `json:"left" zh:"剩余工作日" doc:"Working days; negative once the deadline is over."`
	Overdue      bool   `json:"overdue,omitempty" zh:"超期"`
	Provisional  bool   `json:"provisional,omitempty" zh:"期限待定" doc:"The year has no published calendar yet."`
}

// Recounted says how many leads and applications got another deadline.
type Recounted struct {
	Moved int `json:"moved"`
}

func (a *API) deadlines() {
	listing(a, op(http.MethodGet, "/deadlines", "list-deadlines", "leads", "List the leads, applications, reviews, return visits, referrals, resolutions of meetings, invitations to them and orders whose time is nearly or quite over, the most urgent first"), "期限",
		func(ctx context.Context, in *struct {
			AsTable
			Kind    []string `query:"kind" enum:"lead,application,periodic_review,exit,referral,resolution,invitation,order" doc:"Only these, with commas between."`
			Region  string   `query:"region" maxLength:"16" doc:"A 12-digit code or a grid's id within your own region."`
			Overdue bool     `query:"overdue" doc:"Only what is over."`
		}) ([]DueView, []DueView, error) {
			list, err := a.Loop.Deadlines(ctx, actor(ctx), loop.DueFilter{Kinds: in.Kind, Region: in.Region, Overdue: in.Overdue})
			out := make([]DueView, len(list))
			for i, x := range list {
				out[i] = dueView(x)
			}
			return out, out, err
		})
}

func dueView(x loop.Due) DueView {
	v := DueView{Kind: x.Ref.Kind, ID: x.Ref.ID, Region: x.Region, Town: x.Town, Assignee: x.Assignee, AssigneeName: casework.Label("department", x.Assignee), State: x.State,
		StateName: casework.Label("state", x.State), DueOn: x.DueOn, Rule: x.Rule, Left: x.Left, Overdue: x.Overdue, Provisional: x.Provisional}
	if k, ok := casework.KindOf(x.Ref.Kind); ok {
		v.KindName = k.Label
	}
	if x.Ref.Kind == "lead" {
		v.Lead = x.Ref.ID
	}
	return v
}

func (a *API) calendars() {
	huma.Register(a.huma, op(http.MethodPut, "/calendars/{year}", "publish-calendar", "leads", "Publish a year's working days; provisional deadlines are counted anew"),
		func(ctx context.Context, in *struct {
			Year int `path:"year" minimum:"2000" maximum:"2200"`
			Body struct {
				Version  string   `json:"version" minLength:"1" maxLength:"64"`
				Source   string   `json:"source,omitempty" maxLength:"200" doc:"The official notice."`
				Holidays []string `json:"holidays" maxItems:"100" doc:"Days off, such as 2027-02-06, with the rest days that they are joined with."`
				Workdays []string `json:"workdays,omitempty" maxItems:"20" doc:"Weekend days on which people work in exchange."`
			}
		}) (*body[Recounted], error) {
			b := in.Body
			n, err := a.Loop.PublishCalendar(ctx, actor(ctx), casework.Calendar{Year: in.Year, Version: b.Version, Source: b.Source, Holidays: b.Holidays, Workdays: b.Workdays})
			return answer(Recounted{n}, err)
		})
}
