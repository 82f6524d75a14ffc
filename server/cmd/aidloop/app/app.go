// Package app wires the server together, in a straight line: data folder, keys, store, blobs, loop, HTTP.
package app

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	mobileapi "aidloop/mobile-api"
	"aidloop/mobile-api/blobs"
	"aidloop/server/desk"
	"aidloop/server/loop"
	"aidloop/server/public"
	"aidloop/server/token"
	"aidloop/storage/blob"
	"aidloop/storage/chunks"
	"aidloop/storage/sqlite"
)

// Config is everything that can be set. Errors about it name the setting as it is spelled on the command line.
type Config struct {
	Addr      string // host:port to listen on; port 0 takes any
	Data      string // the data folder
	PublicURL string // what phones reach the server by; "" for the address it listens on
	TLSCert   string
	TLSKey    string
	TLSSelf   bool
	S3        S3Config
	Version   string
	Practice  bool       // on data of its own, which every answer says
	Clock     loop.Clock // nil for the machine's
	Log       *slog.Logger
	Patience  time.Duration // how long Close waits for requests that are under way; 0: 20 s
}

// Check says what is wrong with a configuration, before anything is opened.
func (c *Config) Check() error {
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		return fmt.Errorf("--addr (AIDLOOP_ADDR): want host:port, such as 127.0.0.1:8080: %w", err)
	}
	if c.Data == "" {
		return errors.New("--data (AIDLOOP_DATA): name the folder for the database, keys and photos")
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key (AIDLOOP_TLS_CERT, AIDLOOP_TLS_KEY) go together")
	}
	if c.TLSSelf && c.TLSCert != "" {
		return errors.New("--tls-self makes a certificate of its own: leave --tls-cert and --tls-key out, or --tls-self")
	}
	return c.S3.check()
}

// App is a running server.
type App struct {
	Loop   *loop.Loop
	Store  *sqlite.Store
	Blobs  *blob.Vault
	Tokens *token.Signer
	URL    string // where it listens, once Listen was called

	cfg      Config
	hub      *mobileapi.Hub
	phones   *mobileapi.API
	fiber    *fiber.App
	uploads  *blobs.Handler
	listener net.Listener
	served   chan error
	stop     context.CancelFunc
}

// Open opens the data folder and wires everything; nothing listens yet.
func Open(ctx context.Context, cfg Config) (*App, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("--data: %w", err)
	}
	if err := cfg.keepApart(); err != nil {
		return nil, err
	}
	_, err := os.Stat(filepath.Join(cfg.Data, sqlite.FileName))
	secrets, err := loadSecrets(cfg.Data, errors.Is(err, os.ErrNotExist))
	if err != nil {
		return nil, err
	}
	store, err := sqlite.Open(ctx, sqlite.Options{Dir: cfg.Data, Logger: cfg.Log, Clock: cfg.Clock, NewID: NewID})
	if err != nil {
		return nil, err
	}
	a := &App{Store: store, cfg: cfg, hub: mobileapi.NewHub()}
	a.Loop = loop.New(loop.Options{Store: store, Clock: cfg.Clock, Secrets: secrets, NewID: NewID, Poke: a.hub.Poke, Log: cfg.Log,
		Chunks: chunks.New(chunkCache)})
	if a.Blobs, err = openBlobs(ctx, cfg, secrets); err == nil {
		err = a.mount(secrets)
	}
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return a, nil
}

// chunkCache is how many bytes of packed chunks of large buckets are kept in memory.
const chunkCache = 64 << 20

// NewID mints a UUIDv7.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// mount puts every route on one fiber app.
func (a *App) mount(secrets loop.Secrets) error {
	a.fiber = fiber.New(mobileapi.AppConfig(a.cfg.Log))
	a.Tokens = token.New(secrets.TokenSeed(), NewID)
	tokens := a.Tokens
	a.sayPractice()
	a.phones = mobileapi.New(mobileapi.Options{Loop: a.Loop, Tokens: tokens, Clock: a.cfg.Clock, Hub: a.hub, Photos: a.KeepPhoto, Log: a.cfg.Log})
	a.health()
	a.phones.Mount(a.fiber)
	if err := a.mountBlobs(tokens); err != nil {
		return err
	}
	desk.Mount(a.fiber, desk.Options{Loop: a.Loop, Tokens: tokens, Clock: a.cfg.Clock, Blobs: deskBlobs{a.Blobs}, Version: a.cfg.Version,
		EnrolQR: a.enrolQR, Practice: a.cfg.Practice, Log: a.cfg.Log})
	public.Mount(a.fiber, public.Options{Loop: a.Loop, Clock: a.cfg.Clock, Key: secrets.FormKey(), Practice: a.cfg.Practice, Log: a.cfg.Log})
	return nil
}

func (a *App) enrolQR(code string) (string, []byte, error) {
	link := mobileapi.EnrolURI(a.URL, code)
	png, _, err := mobileapi.EnrolQR(link)
	return link, png, err
}

// health answers the two questions of a supervisor: is the process alive, and can it do its work.
func (a *App) health() {
	a.fiber.Get("/", func(c *fiber.Ctx) error { return c.Redirect("/docs") })
	a.fiber.Get("/healthz", func(c *fiber.Ctx) error { return c.JSON(fiber.Map{"status": "ok"}) })
	a.fiber.Get("/readyz", func(c *fiber.Ctx) error {
		if err := a.Store.Read(c.UserContext(), func(tx loop.ReadTx) error { _, err := tx.Setting("ready"); return err }); err != nil {
			return c.Status(fiber.StatusServiceUnavailable).JSON(fiber.Map{"status": "database unavailable"})
		}
		return c.JSON(fiber.Map{"status": "ready"})
	})
}

// Listen starts to serve and returns once the address is known.
func (a *App) Listen() error {
	ln, err := net.Listen("tcp", a.cfg.Addr)
	if err != nil {
		return fmt.Errorf("--addr (AIDLOOP_ADDR): %w", err)
	}
	scheme := "http"
	if ln, scheme, err = a.secure(ln); err != nil {
		return err
	}
	if a.URL = a.cfg.PublicURL; a.URL == "" {
		a.URL = scheme + "://" + ln.Addr().String()
	}
	ctx, stop := context.WithCancel(context.Background())
	a.stop, a.listener, a.served = stop, ln, make(chan error, 1)
	go func() { a.served <- a.fiber.Listener(ln) }()
	go a.keepHouse(ctx)
	return nil
}

func (a *App) secure(ln net.Listener) (net.Listener, string, error) {
	var cert tls.Certificate
	var err error
	switch {
	case a.cfg.TLSSelf:
		host, _, _ := net.SplitHostPort(a.cfg.Addr)
		cert, err = selfSigned(a.cfg.Data, host, a.cfg.Clock())
	case a.cfg.TLSCert != "":
		cert, err = tls.LoadX509KeyPair(a.cfg.TLSCert, a.cfg.TLSKey)
	default:
		return ln, "http", nil
	}
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("--tls-cert, --tls-key: %w", err), ln.Close())
	}
	return tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}), "https", nil
}

// Wait returns when the server stops listening by itself, which it does only on a fault, or when ctx ends.
func (a *App) Wait(ctx context.Context) error {
	select {
	case err := <-a.served:
		return err
	case <-ctx.Done():
		return nil
	}
}

// shutdownTime bounds how long Close waits for requests that are under way.
const shutdownTime = 20 * time.Second

// Close stops: live connections end, pushes that are under way commit or are refused whole, the store is closed last.
// Whoever still sends after Config.Patience is cut off, which loses nothing: no answer was given.
func (a *App) Close() error {
	if a.stop != nil {
		a.stop()
	}
	a.phones.Close()
	a.uploads.Close()
	if a.listener != nil {
		_ = a.listener.Close() // fiber closes it too, unless it is stopped before it began
	}
	err := a.fiber.ShutdownWithTimeout(cmp.Or(a.cfg.Patience, shutdownTime))
	switch {
	case errors.Is(err, net.ErrClosed):
		err = nil
	case errors.Is(err, context.DeadlineExceeded):
		a.cfg.Log.Warn("cut off connections that were still sending", "after", cmp.Or(a.cfg.Patience, shutdownTime))
		err = nil
	}
	if a.listener != nil {
		a.seal(context.Background())
	}
	return errors.Join(err, a.Store.Close())
}

// keepHouse does what has to be done from time to time, until ctx ends: every few seconds rotations of keys are carried
// on; every minute the ledgers are sealed; every ten open groups are looked at again, workers are reminded of deadlines,
// what has changed is matched, and photos that nothing refers to are swept; every hour reviews are opened whose time has come, what is late is urged, a month's data packages are made, graces begin
// and end, and old tombstones are trimmed.
func (a *App) keepHouse(ctx context.Context) {
	tick, often := time.NewTicker(time.Minute), time.NewTicker(5*time.Second)
	defer tick.Stop()
	defer often.Stop()
	for minute := 0; ; {
		a.rewrap(ctx)
		select {
		case <-ctx.Done():
			return
		case <-often.C:
			continue
		case <-tick.C:
			minute++
		}
		a.seal(ctx)
		if minute%10 == 0 {
			a.settle(ctx)
			a.remind(ctx)
			a.match(ctx)
			a.sweep(ctx)
		}
		if minute%60 == 0 {
			a.advance(ctx)
			a.share(ctx)
			a.trim(ctx)
		}
	}
}

func (a *App) seal(ctx context.Context) {
	if _, err := a.Loop.Seal(ctx); err != nil {
		a.cfg.Log.Error("seal the ledgers", "err", err)
	}
}

func (a *App) settle(ctx context.Context) {
	if n, err := a.Loop.Settle(ctx); err != nil {
		a.cfg.Log.Error("settle open groups", "err", err)
	} else if n > 0 {
		a.cfg.Log.Info("settled open groups", "n", n)
	}
	if err := a.Loop.SettleParked(ctx); err != nil {
		a.cfg.Log.Error("settle parked bundles", "err", err)
	}
}

func (a *App) remind(ctx context.Context) {
	if n, err := a.Loop.Remind(ctx); err != nil {
		a.cfg.Log.Error("remind of deadlines", "err", err)
	} else if n > 0 {
		a.cfg.Log.Info("reminded of deadlines", "n", n)
	}
}

func (a *App) share(ctx context.Context) {
	if n, err := a.Loop.MakeDuePackages(ctx); err != nil {
		a.cfg.Log.Error("make data packages", "err", err)
	} else if n > 0 {
		a.cfg.Log.Info("made data packages", "n", n)
	}
}

func (a *App) match(ctx context.Context) {
	if n, err := a.Loop.MatchChanges(ctx); err != nil {
		a.cfg.Log.Error("match what has changed", "err", err)
	} else if n > 0 {
		a.cfg.Log.Info("matched what has changed", "persons", n)
	}
}

func (a *App) advance(ctx context.Context) {
	if done, err := a.Loop.Advance(ctx); err != nil {
		a.cfg.Log.Error("do what the calendar brings", "err", err)
	} else if done.Total() > 0 {
		a.cfg.Log.Info("did what the calendar brought", "reviews", done.Reviews, "begun", done.Begun, "ended", done.Ended, "visits", done.Visits, "closed", done.Closed, "expired", done.Expired,
			"urged", done.Urged, "escalated", done.Escalated, "settled", done.Settled)
	}
}

// trim takes old tombstones out, a part of every bucket at a time.
func (a *App) trim(ctx context.Context) {
	for more := true; more; {
		n, err := a.Loop.Trim(ctx)
		if err != nil {
			a.cfg.Log.Error("trim old tombstones", "err", err)
		} else if n > 0 {
			a.cfg.Log.Info("trimmed old tombstones", "buckets", n)
		}
		more = err == nil && n > 0
	}
}

// rewrap carries rotations of keys through that are under way; others write between its steps.
func (a *App) rewrap(ctx context.Context) {
	for more := true; more && ctx.Err() == nil; {
		var err error
		if more, err = a.Loop.Rewrap(ctx); err != nil {
			a.cfg.Log.Error("rotate keys", "err", err)
		}
	}
}
