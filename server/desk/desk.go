// Package desk is the HTTP API of those who decide: town reviewers, the county's bureau, the departments, and the
// administrator. Each handler reads its request, calls one verb of server/loop and writes its answer; who may do what
// is decided in server/casework, what may happen next in its state machines.
package desk

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	"github.com/gofiber/fiber/v2"

	"aidloop/server/casework"
	"aidloop/server/edge"
	"aidloop/server/loop"
	"aidloop/server/problem"
	"aidloop/server/token"
)

// Blobs reads the evidence that the desk shows.
type Blobs interface {
	// Open returns a blob's plaintext and its size, or loop.ErrNotFound.
	Open(ctx context.Context, sha256 string) (io.ReadSeekCloser, int64, error)
	// Has says whether a blob has arrived.
	Has(ctx context.Context, sha256 string) (size int64, there bool, err error)
}

// Options are what the desk is made of.
type Options struct {
	Loop    *loop.Loop
	Tokens  *token.Signer
	Clock   loop.Clock
	Blobs   Blobs
	Version string // of the program, for the API's description
	// EnrolQR turns a one-time code into the link that a phone opens and its QR code as a PNG.
	EnrolQR func(code string) (link string, png []byte, err error)
	// Practice says that nothing here is real.
	Practice bool
	Log      *slog.Logger
}

// API is the desk, mounted on a fiber app.
type API struct {
	Options
	huma huma.API
}

// bearer marks the operations that need a token.
var bearer = []map[string][]string{{"bearer": {}}}

// maxSheet bounds an imported table, in bytes.
const maxSheet = 16 << 20

// Mount registers every operation under /desk/v1, the OpenAPI description at /openapi.json and a page for people at
// /docs.
func Mount(app *fiber.App, o Options) *API {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	huma.NewError = problem.New
	title := "Aidloop desk API"
	if o.Practice {
		title += " — 练习环境"
	}
	cfg := huma.DefaultConfig(title, o.Version)
	cfg.Info.Description = "Review, disposition, referral and administration of the closed loop of social assistance. " +
		"Phones use /enrol/v1, /auth/v1, /sync/v1, /bundles/v1 and /blobs/v1, which syncproto/PROTOCOL.md describes."
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "/openapi", "", ""
	cfg.CreateHooks = nil
	cfg.Transformers = append(cfg.Transformers, numbered(o.Log))
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"bearer": {Type: "http", Scheme: "bearer", BearerFormat: "JWT"}}
	a := &API{Options: o, huma: humafiber.New(app, cfg)}
	a.huma.UseMiddleware(a.authenticate)
	a.sessions()
	a.households() // before the lists, whose addresses would take its own
	a.queues()
	a.reviews()
	a.settlements()
	a.relocations()
	a.chains()
	a.standards()
	a.matching()
	a.figures()
	a.lost()
	a.histories()
	a.incidents()
	a.backlog()
	a.dispositions()
	a.referrals()
	a.applications()
	a.periodicReviews()
	a.aid()
	a.meetings()
	a.orders()
	a.sharing()
	a.evaluations()
	a.monitoring()
	a.publicity()
	a.leads()
	a.imports()
	a.exports()
	a.accounts()
	a.devices()
	a.keys()
	a.evidence(app)
	a.docs(app)
	return a
}

// OpenAPI returns the description of the API.
func (a *API) OpenAPI() *huma.OpenAPI { return a.huma.OpenAPI() }

type actorKey struct{}

type session struct {
	actor casework.Actor
	user  loop.User
	id    string
}

// authenticate lets nobody through to an operation that needs a token without a valid one, and puts who he is into
// the context.
func (a *API) authenticate(ctx huma.Context, next func(huma.Context)) {
	if len(ctx.Operation().Security) == 0 {
		next(ctx)
		return
	}
	s, err := a.who(ctx.Context(), ctx.Header("Authorization"))
	if err != nil {
		p := problem.From(err)
		_ = huma.WriteErr(a.huma, ctx, p.Status, p.Detail, err) // the connection is gone if this fails
		return
	}
	next(huma.WithValue(ctx, actorKey{}, s))
}

func (a *API) who(ctx context.Context, header string) (*session, error) {
	raw, ok := strings.CutPrefix(header, "Bearer ")
	if !ok {
		return nil, loop.ErrSession
	}
	c, err := a.Tokens.Parse(raw, token.Desk, a.Clock())
	if err != nil {
		return nil, loop.ErrSession
	}
	signed, err := a.Loop.Standing(ctx, c.Session)
	if err != nil {
		return nil, err
	}
	return &session{signed.User.Actor(), signed.User, signed.Session}, nil
}

// actor is who calls; authenticate put him there.
func actor(ctx context.Context) casework.Actor { return ctx.Value(actorKey{}).(*session).actor }

// op describes an operation that needs a token.
func op(method, path, id, tag, summary string) huma.Operation {
	return huma.Operation{Method: method, Path: "/desk/v1" + path, OperationID: id, Tags: []string{tag}, Summary: summary, Security: bearer,
		Errors: []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity}}
}

// open describes an operation that needs no token.
func open(method, path, id, tag, summary string) huma.Operation {
	o := op(method, path, id, tag, summary)
	o.Security = nil
	return o
}

// empty is the answer of an operation that only does something.
type empty struct{}

// done turns a verb's error into an answer.
func done(err error) (*empty, error) { return nil, wrap(err) }

// wrap turns an error into a problem; nil stays nil.
func wrap(err error) error {
	if err == nil {
		return nil
	}
	return problem.From(err)
}

// numbered writes the request's id into every problem, and the server's own faults into the log, since huma answers
// them before the app's error handler could.
func numbered(log *slog.Logger) huma.Transformer {
	return func(ctx huma.Context, _ string, v any) (any, error) {
		p, ok := v.(*problem.Problem)
		if !ok {
			return v, nil
		}
		p.RequestID = edge.RequestID(humafiber.Unwrap(ctx))
		if p.Status >= http.StatusInternalServerError {
			log.Error("request failed", "request_id", p.RequestID, "method", ctx.Method(), "route", ctx.Operation().Path, "error", p.Unwrap())
		}
		return p, nil
	}
}

// body wraps an answer the way huma wants it.
type body[T any] struct{ Body T }

func answer[T any](v T, err error) (*body[T], error) {
	if err != nil {
		return nil, wrap(err)
	}
	return &body[T]{v}, nil
}

// millis writes a time in milliseconds as people read it, "" for 0.
func millis(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).In(time.FixedZone("Asia/Shanghai", 8*3600)).Format(time.RFC3339)
}
