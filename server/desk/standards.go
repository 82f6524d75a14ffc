package desk

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/casework"
)

// SuggestionView is what the rules make of a household. People decide.
type SuggestionView struct {
	Rules      string         `json:"rules" doc:"The version of the rules."`
	On         string         `json:"on" doc:"The day whose standards were used."`
	Categories []string       `json:"categories" doc:"The best first; empty where none applies."`
	Persons    []PersonView   `json:"persons,omitempty" doc:"Persons in extreme poverty."`
	Single     []string       `json:"single,omitempty" doc:"Members of a marginal household who may receive dibao alone."`
	Income     int64          `json:"income" doc:"Of a year, in 分, of those who share it."`
	Members    int            `json:"members" doc:"Who share it."`
	GrantYear  int64          `json:"grant_year,omitempty" doc:"Dibao: what is missing in a year, in 分."`
	GrantMonth int64          `json:"grant_month,omitempty"`
	ValidUntil string         `json:"valid_until,omitempty" doc:"Rigid expenses: the last day of the decision."`
	Push       []string       `json:"push,omitempty" doc:"Departments whose decision this may be."`
	Conference []string       `json:"conference,omitempty" doc:"Why people should sit together over it."`
	Findings   []FindingView  `json:"findings"`
	Standards  []StandardView `json:"standards"`
	Visit      string         `json:"visit,omitempty" doc:"That the figures come from."`
	Gaps       []string       `json:"gaps,omitempty" doc:"What nobody has said yet."`
}

// PersonView is a category of one person.
type PersonView struct {
	Person   string `json:"person"`
	Category string `json:"category"`
	Care     string `json:"care" enum:"full,partly,dependent"`
}

// FindingView is one condition.
type FindingView struct {
	Category string `json:"category,omitempty" doc:"None for what every category asks."`
	Met      bool   `json:"met"`
	Text     string `json:"text"`
}

// StandardView is a number that policy decides.
type StandardView struct {
	Code   string `json:"code" zh:"代码" minLength:"1" maxLength:"64"`
	Region string `json:"region,omitempty" zh:"地区" maxLength:"12" doc:"A 12-digit code; none for everywhere."`
	Area   string `json:"area" zh:"城乡" enum:"urban,rural,all"`
	Value  int64  `json:"value" zh:"数值" minimum:"0"`
	Unit   string `json:"unit,omitempty" zh:"单位" maxLength:"32"`
	From   string `json:"from" zh:"起" format:"date"`
	Until  string `json:"until,omitempty" zh:"止" doc:"The first day on which it does not hold any more."`
	Source string `json:"source" zh:"依据" minLength:"1" maxLength:"200" doc:"The document that sets it."`
}

// RecomputeView is what new standards mean for help that is paid.
type RecomputeView struct {
	On       string           `json:"on"`
	Judged   int              `json:"judged"`
	Unjudged int              `json:"unjudged" doc:"That lack what the rules need."`
	Applied  bool             `json:"applied,omitempty"`
	Changed  []RecomputedView `json:"changed"`
}

// RecomputedView is a household whose dibao is another one.
type RecomputedView struct {
	Household   string `json:"household" zh:"家庭"`
	Application string `json:"application" zh:"救助申请"`
	Before      int64  `json:"before" zh:"原月金额(分)" doc:"分 a month."`
	After       int64  `json:"after" zh:"新月金额(分)" doc:"0 where the rules do not suggest dibao any more."`
	Review      bool   `json:"review,omitempty" zh:"需复核" doc:"The category would be another one: people decide."`
}

// ShiftView is what a change of standards would do.
type ShiftView struct {
	Households  int            `json:"households"`
	Unjudged    int            `json:"unjudged" doc:"That lack what the rules need."`
	Moves       map[string]int `json:"moves" doc:"By first category before and after."`
	GrantBefore int64          `json:"grant_before" doc:"Dibao of a year, in 分."`
	GrantAfter  int64          `json:"grant_after"`
}

func (a *API) standards() {
	huma.Register(a.huma, op(http.MethodGet, "/households/{id}/suggestion", "suggest", "standards", "Suggest a household's categories, with every condition in words"),
		func(ctx context.Context, in *struct {
			ID string `path:"id" maxLength:"64"`
			On string `query:"on" maxLength:"10" doc:"The day whose standards count; today where it is left out."`
		}) (*body[SuggestionView], error) {
			s, err := a.Loop.Suggest(ctx, actor(ctx), in.ID, in.On)
			if err != nil {
				return nil, wrap(err)
			}
			return answer(suggestionView(&s.Suggestion, s.Visit, s.Gaps), nil)
		})
	a.standardValues()
	huma.Register(a.huma, op(http.MethodPost, "/standards/simulate", "simulate-standards", "standards", "See what new standards would do to the households before they take effect"),
		func(ctx context.Context, in *struct {
			Body struct {
				On        string         `json:"on,omitempty" maxLength:"10"`
				Standards []StandardView `json:"standards" minItems:"1" maxItems:"100"`
			}
		}) (*body[ShiftView], error) {
			list := make([]casework.Standard, len(in.Body.Standards))
			for i, s := range in.Body.Standards {
				list[i] = casework.Standard(s)
			}
			s, err := a.Loop.SimulateStandards(ctx, actor(ctx), in.Body.On, list)
			if err != nil {
				return nil, wrap(err)
			}
			return answer(ShiftView(*s), nil)
		})
}

// standardValues are the operations on the numbers themselves, and on what is paid by them.
func (a *API) standardValues() {
	listing(a, op(http.MethodGet, "/standards", "list-standards", "standards", "List every number that policy decides"), "标准",
		func(ctx context.Context, in *struct {
			AsTable
			Code string `query:"code" maxLength:"64"`
			On   string `query:"on" maxLength:"10" doc:"Only those that hold on this day."`
		}) ([]StandardView, []StandardView, error) {
			list, err := a.Loop.Standards(ctx)
			out := []StandardView{}
			for _, s := range list {
				if (in.Code == "" || s.Code == in.Code) && (in.On == "" || s.From <= in.On && (s.Until == "" || in.On < s.Until)) {
					out = append(out, StandardView(s))
				}
			}
			return out, out, err
		})
	huma.Register(a.huma, op(http.MethodPut, "/standards", "put-standards", "standards", "Write standards; they count from their day on"),
		func(ctx context.Context, in *struct {
			Body struct {
				Standards []StandardView `json:"standards" minItems:"1" maxItems:"100"`
			}
		}) (*empty, error) {
			list := make([]casework.Standard, len(in.Body.Standards))
			for i, s := range in.Body.Standards {
				list[i] = casework.Standard(s)
			}
			return done(a.Loop.PutStandards(ctx, actor(ctx), list))
		})
	recompute := op(http.MethodPost, "/standards/recompute", "recompute", "standards", "Compute the dibao of every household anew after a standard has changed; with apply it is paid from the next month on")
	recompute.Responses = fileResponses[RecomputeView](a, "What changes")
	huma.Register(a.huma, recompute, func(ctx context.Context, in *struct {
		Format string `query:"format" enum:"json,csv,xlsx" default:"json"`
		Body   struct {
			On    string `json:"on,omitempty" maxLength:"10" doc:"Whose standards count; today without it."`
			Apply bool   `json:"apply,omitempty" doc:"Write the new amounts, and open a review where the category would be another one."`
		}
	}) (*file, error) {
		rep, err := a.Loop.Recompute(ctx, actor(ctx), in.Body.On, in.Body.Apply)
		if err != nil {
			return nil, wrap(err)
		}
		v := RecomputeView{rep.On, rep.Judged, rep.Unjudged, rep.Applied, []RecomputedView{}}
		for _, x := range rep.Changed {
			v.Changed = append(v.Changed, RecomputedView(x))
		}
		var out *file
		if in.Format == "json" {
			out, err = jsonFile(v)
		} else {
			out, err = tableFile(in.Format, "recompute-"+rep.On, "按标准调整", tableOf(v.Changed))
		}
		return out, wrap(err)
	})
}

func suggestionView(s *casework.Suggestion, visit string, gaps []string) SuggestionView {
	v := SuggestionView{Rules: s.Rules, On: s.On, Categories: append([]string{}, s.Categories...), Single: s.Single, Income: s.Income, Members: s.Members,
		GrantYear: s.GrantYear, GrantMonth: s.GrantMonth, ValidUntil: s.ValidUntil, Push: s.Push, Conference: s.Conference,
		Findings: []FindingView{}, Standards: []StandardView{}, Visit: visit, Gaps: gaps}
	for _, p := range s.Persons {
		v.Persons = append(v.Persons, PersonView{p.Member, p.Category, p.Care})
	}
	for _, f := range s.Findings {
		v.Findings = append(v.Findings, FindingView(f))
	}
	for _, x := range s.Standards {
		v.Standards = append(v.Standards, StandardView(x))
	}
	return v
}
