// Package public is what anybody may read and write without an account: publications (阳光公示) with objections to them, and
// the form by which people report hardship themselves. Pages are made on the server, work without scripts, and hold
// nothing but what the publications say.
package public

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"aidloop/server/casework"
	"aidloop/server/edge"
	"aidloop/server/loop"
	"aidloop/server/problem"
	"aidloop/syncproto"
)

// Options are what the pages are made of.
type Options struct {
	Loop    *loop.Loop
	Clock   loop.Clock
	Key     syncproto.Key  // signs forms, see Secrets.FormKey
	Proxies []netip.Prefix // whose word on a client's address counts
	// Practice says on every page that nothing in it is real.
	Practice bool
	Log      *slog.Logger
}

// Pages are the public pages, mounted on a fiber app.
type Pages struct {
	Options
	posts  *edge.Attempts
	bodies *edge.Budget
}

// Bounds of what the public may send: a form's bytes, forms of one network and of all in a minute, and the age of a form.
const (
	maxForm              = 16 << 10
	maxForms             = 8 << 20
	perNetwork, together = 6, 120
	youngest, oldest     = 3 * time.Second, 12 * time.Hour
	pageSize             = 100
)

//go:embed pages.html
var pagesHTML string

var pages = template.Must(template.New("pages").Funcs(template.FuncMap{
	"label": casework.Label, "yuan": casework.Yuan, "labels": func(enum string, codes []string) string {
		words := make([]string, len(codes))
		for i, c := range codes {
			words[i] = casework.Label(enum, c)
		}
		return strings.Join(words, "、")
	}}).Parse(pagesHTML))

// Mount registers the pages under /public.
func Mount(app *fiber.App, o Options) *Pages {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Pages{Options: o, posts: edge.NewAttempts(o.Clock, perNetwork, together), bodies: edge.NewBudget(maxForms)}
	app.Get("/public", p.page(p.places))
	app.Get("/public/policies", p.page(p.policies))
	app.Get("/public/report", p.page(p.reportForm))
	app.Post("/public/report", p.page(p.report))
	app.Get("/public/regions/:region", p.page(p.list))
	app.Get("/public/publications/:id", p.page(p.one))
	app.Post("/public/publications/:id/objections", p.page(p.object))
	return p
}

// view is what a page shows: the name of its template, and its data.
type view struct {
	Page     string
	Title    string
	Form     string // the signed time of a form
	Practice bool
	Notice   string // what was wrong with what somebody sent, in words
	Typed    url.Values
	Data     any
}

// page answers with a page, or with one that says what went wrong in words. Nothing is cached: what is over is to vanish.
func (p *Pages) page(fn func(*fiber.Ctx) (*view, error)) fiber.Handler {
	return func(c *fiber.Ctx) error {
		v, err := fn(c)
		status := http.StatusOK
		if err != nil {
			prob := problem.From(err)
			if status = prob.Status; status >= http.StatusInternalServerError {
				p.Log.Error("public page failed", "request_id", edge.RequestID(c), "error", err)
			}
			words := prob.Title
			if words == "" {
				words = "页面暂时打不开,请稍后再试。"
			}
			if v == nil {
				v = &view{Page: "wrong", Title: "没有办成"}
			}
			v.Notice = words
			if prob.Status == http.StatusTooManyRequests {
				c.Set(fiber.HeaderRetryAfter, "60")
			}
		}
		v.Practice = p.Practice
		var b bytes.Buffer
		if err := pages.ExecuteTemplate(&b, v.Page, v); err != nil {
			return err
		}
		c.Set(fiber.HeaderCacheControl, "no-store")
		c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
		c.Set("X-Robots-Tag", "noindex, nofollow")
		c.Type("html", "utf-8")
		return c.Status(status).Send(b.Bytes())
	}
}

func (p *Pages) places(c *fiber.Ctx) (*view, error) {
	towns, err := p.Loop.Villages(c.UserContext())
	return &view{Page: "places", Title: "社会救助公示", Data: towns}, err
}

func (p *Pages) policies(c *fiber.Ctx) (*view, error) {
	list, err := p.Loop.Policies(c.UserContext())
	return &view{Page: "policies", Title: "救助政策", Data: list}, err
}

// listed is the page of one region.
type listed struct {
	Region loop.Region
	List   []loop.Publication
	Next   string
}

func (p *Pages) list(c *fiber.Ctx) (*view, error) {
	var d listed
	var err error
	region := c.Params("region")
	if d.Region, err = p.Loop.RegionPage(c.UserContext(), region); err != nil {
		return nil, err
	}
	if d.List, d.Next, err = p.Loop.Publications(c.UserContext(), region, c.Query("after"), pageSize); err != nil {
		return nil, err
	}
	return &view{Page: "list", Title: d.Region.Name + "社会救助公示", Data: d}, nil
}

func (p *Pages) one(c *fiber.Ctx) (*view, error) {
	pub, err := p.Loop.Publication(c.UserContext(), strings.Clone(c.Params("id")))
	if err != nil {
		return nil, err
	}
	return &view{Page: "one", Title: "公示详情", Data: pub, Form: p.sign("object"), Typed: url.Values{}}, nil
}

func (p *Pages) object(c *fiber.Ctx) (*view, error) {
	v, err := p.one(c)
	if err != nil {
		return nil, err
	}
	typed, err := p.typed(c, "object")
	if err != nil {
		return keep(v, typed), err
	}
	receipt, err := p.Loop.Object(c.UserContext(), loop.PublicObjection{Publication: strings.Clone(c.Params("id")), Name: typed.Get("name"), Phone: typed.Get("phone"), Text: typed.Get("text")})
	if err != nil {
		return keep(v, typed), err
	}
	return &view{Page: "received", Title: "异议已收到", Data: receipt}, nil
}

func (p *Pages) reportForm(c *fiber.Ctx) (*view, error) {
	villages, err := p.Loop.Villages(c.UserContext())
	return &view{Page: "report", Title: "困难申报", Data: villages, Form: p.sign("report"), Typed: url.Values{}}, err
}

func (p *Pages) report(c *fiber.Ctx) (*view, error) {
	v, err := p.reportForm(c)
	if err != nil {
		return nil, err
	}
	typed, err := p.typed(c, "report")
	if err != nil {
		return keep(v, typed), err
	}
	receipt, err := p.Loop.SelfReport(c.UserContext(), loop.SelfReport{Name: typed.Get("name"), Phone: typed.Get("phone"), Village: typed.Get("village"),
		Address: typed.Get("address"), Text: typed.Get("text")})
	if err != nil {
		return keep(v, typed), err
	}
	return &view{Page: "received", Title: "申报已收到", Data: receipt}, nil
}

// keep leaves what somebody typed in the form, so that he need not type it again.
func keep(v *view, typed url.Values) *view {
	if typed != nil {
		v.Typed = typed
	}
	return v
}

var (
	errStale = casework.NewError(casework.CodeInvalidValue, "页面打开太久或提交太快,内容已保留,请再点一次提交。")
	errForm  = casework.NewError(casework.CodeInvalidValue, "提交的内容不完整,请重新填写。")
)

// typed reads a form that somebody sent. Machines are kept out without a riddle: one network and all together may send only
// so many a minute, a form is good only for a while and not in its first seconds, and a field that people do not see has
// to be empty.
func (p *Pages) typed(c *fiber.Ctx, kind string) (url.Values, error) {
	if _, err := p.posts.Try(edge.Remote(c, p.Proxies)); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(c.Get(fiber.HeaderContentType), fiber.MIMEApplicationForm) {
		return nil, errForm
	}
	body, done, err := edge.ReadBody(c, maxForm, p.bodies)
	if err != nil {
		return nil, err
	}
	defer done()
	v, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errForm
	}
	if v.Get("website") != "" {
		return v, errForm
	}
	return v, p.check(v.Get("form"), kind)
}

// sign writes the time into a form so that nobody else can.
func (p *Pages) sign(kind string) string {
	at := strconv.FormatInt(p.Clock().Unix(), 10)
	return at + "." + p.mac(kind, at)
}

func (p *Pages) mac(kind, at string) string {
	m := hmac.New(sha256.New, p.Key[:])
	m.Write([]byte(kind + "|" + at))
	return hex.EncodeToString(m.Sum(nil))
}

func (p *Pages) check(form, kind string) error {
	at, mac, _ := strings.Cut(form, ".")
	if !hmac.Equal([]byte(mac), []byte(p.mac(kind, at))) {
		return errForm
	}
	sec, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return errForm
	}
	if age := p.Clock().Sub(time.Unix(sec, 0)); age < youngest || age > oldest {
		return errStale
	}
	return nil
}
