package desk

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"slices"
	"sort"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"
)

//go:embed docs.html
var docsHTML string

var docsPage = template.Must(template.New("docs").Parse(docsHTML))

// The page is written from the same description that machines read, so that the two cannot drift.
type docsView struct {
	Title, About string
	Groups       []docsGroup
}

type docsGroup struct {
	Tag string
	Ops []docsOp
}

type docsOp struct {
	Method, Path, Summary, Description string
	Open                               bool
	Params                             []docsParam
	Body, Answer                       []docsParam
}

type docsParam struct {
	Name, In, Type, Doc string
	Required            bool
}

func (a *API) docs(app *fiber.App) {
	var page []byte
	app.Get("/docs", func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
		c.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		return c.Send(page)
	})
	var buf bytes.Buffer
	if err := docsPage.Execute(&buf, a.view()); err != nil {
		panic(err) // the template and what it is given are both part of the program
	}
	page = buf.Bytes()
}

func (a *API) view() docsView {
	doc := a.huma.OpenAPI()
	groups := map[string][]docsOp{}
	for path, item := range doc.Paths {
		for method, o := range map[string]*huma.Operation{http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put, http.MethodDelete: item.Delete} {
			if o == nil {
				continue
			}
			d := docsOp{Method: method, Path: path, Summary: o.Summary, Description: o.Description, Open: len(o.Security) == 0}
			for _, p := range o.Parameters {
				d.Params = append(d.Params, docsParam{p.Name, p.In, typeName(p.Schema), p.Description + p.Schema.Description, p.Required})
			}
			if o.RequestBody != nil {
				d.Body = a.members(o.RequestBody.Content)
			}
			if r := o.Responses["200"]; r != nil {
				d.Answer = a.members(r.Content)
			}
			groups[o.Tags[0]] = append(groups[o.Tags[0]], d)
		}
	}
	v := docsView{Title: doc.Info.Title, About: doc.Info.Description}
	for tag, ops := range groups {
		sort.Slice(ops, func(i, j int) bool { return ops[i].Path+ops[i].Method < ops[j].Path+ops[j].Method })
		v.Groups = append(v.Groups, docsGroup{tag, ops})
	}
	sort.Slice(v.Groups, func(i, j int) bool { return v.Groups[i].Tag < v.Groups[j].Tag })
	return v
}

// members lists the members of a JSON body.
func (a *API) members(content map[string]*huma.MediaType) (list []docsParam) {
	m := content["application/json"]
	if m == nil || m.Schema == nil {
		return nil
	}
	s := m.Schema
	if s.Ref != "" {
		s = a.huma.OpenAPI().Components.Schemas.SchemaFromRef(s.Ref)
	}
	for name, p := range s.Properties {
		list = append(list, docsParam{name, "", typeName(p), p.Description, slices.Contains(s.Required, name)})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

func typeName(s *huma.Schema) string {
	switch {
	case s == nil:
		return ""
	case s.Ref != "":
		return s.Ref[strings.LastIndex(s.Ref, "/")+1:]
	case s.Type == "array":
		return typeName(s.Items) + "[]"
	case len(s.Enum) > 0:
		names := make([]string, 0, len(s.Enum))
		for _, e := range s.Enum {
			if n, ok := e.(string); ok {
				names = append(names, n)
			}
		}
		return strings.Join(names, " | ")
	}
	return s.Type
}
