package desk

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/casework"
	"aidloop/server/loop"
)

//go:embed chain.html
var chainHTML string

var chainPage = template.Must(template.New("chain").Parse(chainHTML))

// ChainView is a household's aid chain.
type ChainView struct {
	Household  string      `json:"household"`
	Code       string      `json:"code,omitempty"`
	Head       string      `json:"head,omitempty" doc:"The head's name, for those who may open it."`
	Place      string      `json:"place" doc:"The town's and the village's name."`
	Members    int64       `json:"members,omitempty"`
	Categories []string    `json:"categories" doc:"Labels of what the household receives now."`
	AsOf       string      `json:"as_of"`
	Person     string      `json:"person,omitempty" doc:"Of a person's chain."`
	Name       string      `json:"name,omitempty" doc:"The person's name, for those who may open it."`
	Received   []HelpView  `json:"received" doc:"The list of received help, by measure."`
	Events     []ChainLine `json:"events" doc:"Oldest first."`
}

// HelpView is what was received by a measure.
type HelpView struct {
	Measure string `json:"measure"`
	Label   string `json:"label"`
	Times   int    `json:"times"`
	Amount  int64  `json:"amount,omitempty" doc:"分, in all."`
	Yuan    string `json:"yuan,omitempty" doc:"The same in words."`
	Last    string `json:"last" doc:"The day on which it was received last."`
}

// ChainLine is something that happened.
type ChainLine struct {
	At    string      `json:"at"`
	Kind  string      `json:"kind" doc:"Of the record that says so."`
	ID    string      `json:"id"`
	Label string      `json:"label"`
	By    string      `json:"by,omitempty"`
	Facts []ChainFact `json:"facts,omitempty"`
}

// ChainFact is a value in words.
type ChainFact struct {
	Name  string `json:"name"`
	Label string `json:"label"`
	Text  string `json:"text"`
}

type chainFile struct {
	ContentType string `header:"Content-Type"`
	Policy      string `header:"Content-Security-Policy"`
	Body        []byte
}

func (a *API) chains() {
	for path, chain := range map[string]func(context.Context, casework.Actor, string) (*loop.Chain, error){"households": a.Loop.Chain, "persons": a.Loop.PersonChain} {
		of := strings.TrimSuffix(path, "s")
		get := op(http.MethodGet, "/"+path+"/{id}/chain", "get-"+of+"-chain", "households", "Everything that happened to a "+of+", from the first lead to today, and what help was received; as a page to print with format=html")
		get.Responses = map[string]*huma.Response{"200": {Description: "The aid chain, as JSON or as a page.", Content: map[string]*huma.MediaType{
			"application/json": {Schema: a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[ChainView](), true, "")}, "text/html": {}}}}
		huma.Register(a.huma, get, func(ctx context.Context, in *struct {
			ID     string `path:"id" maxLength:"64"`
			Format string `query:"format" enum:"json,html" default:"json"`
		}) (*chainFile, error) {
			c, err := chain(ctx, actor(ctx), in.ID)
			if err != nil {
				return nil, wrap(err)
			}
			out, err := chainAs(in.Format, chainView(c))
			return out, wrap(err)
		})
	}
}

func chainAs(format string, v ChainView) (*chainFile, error) {
	if format == "html" {
		var b bytes.Buffer
		err := chainPage.Execute(&b, v)
		return &chainFile{"text/html; charset=utf-8", "default-src 'none'; style-src 'unsafe-inline'", b.Bytes()}, err
	}
	b, err := json.Marshal(v)
	return &chainFile{ContentType: "application/json", Body: b}, err
}

func chainView(c *loop.Chain) ChainView {
	text := func(name string) string { s, _ := c.Household.Fields[name].(string); return s }
	v := ChainView{Household: c.Household.Ref.ID, Code: text("code"), Head: text("head_name"), Place: c.Place, AsOf: millis(c.AsOf.UnixMilli()),
		Categories: []string{}, Events: []ChainLine{}, Received: []HelpView{}}
	if c.Person != nil {
		v.Person = c.Person.Ref.ID
		v.Name, _ = c.Person.Fields["name"].(string)
	}
	for _, h := range c.Received {
		r := HelpView{h.Measure, casework.Label("measure", h.Measure), h.Times, h.Amount, "", h.Last.Format(time.DateOnly)}
		if h.Amount > 0 {
			r.Yuan = casework.Yuan(h.Amount)
		}
		v.Received = append(v.Received, r)
	}
	v.Members, _ = c.Household.Fields["members_count"].(int64)
	codes, _ := c.Household.Fields["categories"].([]any)
	for _, code := range codes {
		if s, ok := code.(string); ok {
			v.Categories = append(v.Categories, casework.Label("category", s))
		}
	}
	for _, e := range c.Events {
		line := ChainLine{At: millis(e.At.UnixMilli()), Kind: e.Kind, ID: e.ID, Label: e.Label, By: e.By}
		if name := c.Names[e.By]; name != "" {
			line.By = name
		}
		for _, f := range e.Facts {
			line.Facts = append(line.Facts, ChainFact(f))
		}
		v.Events = append(v.Events, line)
	}
	return v
}

// ChainDay is the lines of one day, as the page groups them.
type ChainDay struct {
	Day   string
	Lines []ChainLine
}

// Days groups the events by their day in the county.
func (v ChainView) Days() (days []ChainDay) {
	for _, e := range v.Events {
		day := e.At[:len(time.DateOnly)]
		if n := len(days); n == 0 || days[n-1].Day != day {
			days = append(days, ChainDay{Day: day})
		}
		d := &days[len(days)-1]
		d.Lines = append(d.Lines, e)
	}
	return days
}
