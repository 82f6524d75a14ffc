package mobileapi

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"aidloop/server/edge"
	"aidloop/server/loop"
	"aidloop/server/token"
	"aidloop/syncproto"
)

// AppConfig are the settings of the fiber app that an API is mounted on.
func AppConfig(log *slog.Logger) fiber.Config {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return edge.Config(log)
}

// Limits bound what all phones together may use of the machine. The zero value of a member stands for its default.
type Limits struct {
	Exchanges int           // that run at once: 32; each may hold a push and a page, 8 MiB each at most
	Waiting   int           // that wait for their turn: 1,024; more are asked to come back
	Wait      time.Duration // for a turn: 15 s
	Exchange  time.Duration // for the whole work on one exchange: 60 s
	BodyBytes int64         // of all bodies under way: 256 MiB
	Live      int           // live connections: 10,000

	Bundles     int           // bundles that are received at once: 2; each may hold a request and a reply of 64 MiB
	Bundle      time.Duration // for the whole work on one bundle, its transfer included: 30 min
	BundleBytes int64         // of one bundle: 512 MiB
}

func (l *Limits) defaults() {
	setDefault(&l.Exchanges, 32)
	setDefault(&l.Waiting, 1024)
	setDefault(&l.Wait, 15*time.Second)
	setDefault(&l.Exchange, time.Minute)
	setDefault(&l.BodyBytes, 256<<20)
	setDefault(&l.Live, 10_000)
	setDefault(&l.Bundles, 2)
	setDefault(&l.Bundle, bundleTime)
	setDefault(&l.BundleBytes, 512<<20)
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// Options are what an API is made of. Loop, Tokens, Clock and Hub are needed.
type Options struct {
	Loop   *loop.Loop
	Tokens *token.Signer
	Clock  loop.Clock
	Hub    *Hub // the same that loop.Options.Poke tells
	Log    *slog.Logger
	// Photos keeps the photos of bundles; nil leaves them out.
	Photos loop.PhotoSink
	NewID  func() string // mints request ids; nil for UUIDv7
	// Proxies are the networks whose X-Forwarded-For is believed.
	Proxies []netip.Prefix
	Limits  Limits
	// Beat gives every live connection its heartbeat; nil for one in 25 seconds.
	Beat func() (beat <-chan time.Time, stop func())
}

// API is the phones' HTTP API.
type API struct {
	Options
	gate     *gate
	bodies   *edge.Budget
	enrolled *edge.Attempts // wrong enrolment codes
	renewed  *edge.Attempts // wrong refresh tokens
	bundles  *gate
	bundled  *edge.Attempts // files that are no bundles of this server's phones
}

// New makes an API.
func New(o Options) *API {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.NewID == nil {
		o.NewID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	if o.Beat == nil {
		o.Beat = everyBeat
	}
	o.Limits.defaults()
	o.Hub.setMax(o.Limits.Live)
	return &API{Options: o, gate: newGate(o.Limits), bodies: edge.NewBudget(o.Limits.BodyBytes),
		enrolled: edge.NewAttempts(o.Clock, 10, 200), renewed: edge.NewAttempts(o.Clock, 60, 1000),
		bundles: newGate(Limits{Exchanges: o.Limits.Bundles, Waiting: o.Limits.Bundles, Wait: o.Limits.Wait}), bundled: edge.NewAttempts(o.Clock, 10, 200)}
}

// Mount adds the routes to app, which was made with AppConfig, and wraps everything that is mounted on it from now on
// with request ids, problems and the access log.
func (a *API) Mount(app *fiber.App) {
	app.Server().KeepHijackedConns = true // live connections, which close themselves
	app.Use(edge.Around(a.Log, a.Clock, a.NewID))
	app.Post("/enrol/v1", a.enrol)
	app.Post("/auth/v1/refresh", a.refresh)
	app.Post("/auth/v1/logout", a.logout)
	app.Post("/sync/v1", a.exchange)
	app.Get("/sync/v1/chunks/:sha", a.chunk)
	app.Post("/bundles/v1", a.bundle)
	app.Add(fiber.MethodGet, "/sync/v1/live", a.live) // not Get, which would answer HEAD with a stream, too
}

// Close ends the live connections and lets no new exchange begin. Call it before the app's Shutdown, which waits for
// what is under way.
func (a *API) Close() {
	a.gate.close()
	a.bundles.close()
	a.Hub.Close()
}

// bearer reads the access token of a request.
func (a *API) bearer(c *fiber.Ctx) (token.Claims, error) {
	raw := c.Get(fiber.HeaderAuthorization)
	const scheme = "Bearer "
	if len(raw) <= len(scheme) || raw[:len(scheme)] != scheme {
		return token.Claims{}, token.ErrInvalid
	}
	return a.Tokens.Parse(raw[len(scheme):], token.Phone, a.Clock())
}

// standing lets in who has a good token and a living session.
func (a *API) standing(ctx context.Context, c *fiber.Ctx) (*loop.Reader, token.Claims, error) {
	claims, err := a.bearer(c)
	if err != nil {
		return nil, claims, err
	}
	signed, err := a.Loop.Standing(ctx, claims.Session)
	if err != nil {
		return nil, claims, err
	}
	if signed.Device != claims.Device || signed.User.ID != claims.User {
		return nil, claims, syncproto.Refuse(syncproto.CodeForeignToken, "")
	}
	return &loop.Reader{User: signed.User.ID, Device: signed.Device}, claims, nil
}
