package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"aidloop/fixtures/seed"
	"aidloop/fixtures/world"
	"aidloop/server/cmd/aidloop/app"
)

type serveCmd struct {
	Addr       string `help:"Where to listen, host:port." default:"127.0.0.1:8080"`
	Data       string `help:"Folder for the database, keys and photos." default:"data" type:"path"`
	Demo       bool   `help:"Enter the demonstration world and print its accounts."`
	Households int    `help:"Households of the demonstration world." default:"200"`
	Practice   string `name:"practice-addr" help:"Serve for practice beside it, at host:port, on invented data of its own in a folder beside the real one." placeholder:"HOST:PORT"`
	Fresh      bool   `name:"practice-fresh" help:"Begin practice anew: forget what was practised."`
	PublicURL  string `name:"public-url" help:"What phones reach the server by, if not the address it listens on."`
	TLSCert    string `name:"tls-cert" help:"Certificate in PEM form." type:"path"`
	TLSKey     string `name:"tls-key" help:"Its key." type:"path"`
	TLSSelf    bool   `name:"tls-self" help:"Make and use a self-signed certificate, for trials."`

	S3Endpoint  string `name:"s3-endpoint" help:"Keep photos in an S3 bucket at host:port instead of the data folder."`
	S3Bucket    string `name:"s3-bucket" help:"Its name."`
	S3AccessKey string `name:"s3-access-key" help:"Better set as AIDLOOP_S3_ACCESS_KEY."`
	S3SecretKey string `name:"s3-secret-key" help:"Better set as AIDLOOP_S3_SECRET_KEY."`
	S3Prefix    string `name:"s3-prefix" help:"Begins every object's name; ends in a slash."`
	S3Insecure  bool   `name:"s3-insecure" help:"Plain HTTP, for a server on the same machine."`
}

func (c *serveCmd) config() app.Config {
	return app.Config{Addr: c.Addr, Data: c.Data, PublicURL: c.PublicURL, TLSCert: c.TLSCert, TLSKey: c.TLSKey, TLSSelf: c.TLSSelf, Version: revision(),
		Log: slog.New(slog.NewJSONHandler(os.Stderr, nil)),
		S3:  app.S3Config{Endpoint: c.S3Endpoint, Bucket: c.S3Bucket, AccessKey: c.S3AccessKey, SecretKey: c.S3SecretKey, Prefix: c.S3Prefix, Insecure: c.S3Insecure}}
}

// Run serves until it is told to stop.
func (c *serveCmd) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg := c.config()
	slog.SetDefault(cfg.Log)
	a, err := app.Open(ctx, cfg)
	if err != nil {
		return err
	}
	if c.Demo {
		if err := c.seed(ctx, a); err != nil {
			return errors.Join(err, a.Close())
		}
	}
	if err := a.Listen(); err != nil {
		return errors.Join(err, a.Close())
	}
	practice, err := c.practise(ctx, cfg)
	if err != nil {
		return errors.Join(err, a.Close())
	}
	fmt.Printf("Aidloop listens on %s\n  desk API: %s/docs\n  public:   %s/public\n  health:   %s/healthz, %s/readyz\n", a.URL, a.URL, a.URL, a.URL, a.URL)
	err = a.Wait(ctx)
	stop() // a second signal ends the process at once
	if practice != nil {
		err = errors.Join(err, practice.Close())
	}
	return errors.Join(err, a.Close())
}

// practise serves for practice beside the real server: other data, keys and accounts, so that nothing that is done there
// can be taken for real, and no token or phone of one is good at the other. Nil where nobody asked for it.
func (c *serveCmd) practise(ctx context.Context, cfg app.Config) (*app.App, error) {
	if c.Practice == "" {
		return nil, nil
	}
	cfg.Addr, cfg.Data, cfg.PublicURL, cfg.Practice, cfg.S3 = c.Practice, filepath.Clean(c.Data)+"-practice", "", true, app.S3Config{}
	if c.Fresh {
		if err := app.ForgetPractice(cfg.Data); err != nil {
			return nil, fmt.Errorf("--practice-fresh: %w", err)
		}
	}
	a, err := app.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := c.seed(ctx, a); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	if err := a.Listen(); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	fmt.Printf("For practice, with the accounts above and on invented data: %s\n", a.URL)
	return a, nil
}

// seed enters the demonstration world and says who can log in.
func (c *serveCmd) seed(ctx context.Context, a *app.App) error {
	w := world.New(1, world.Options{Households: c.Households})
	if err := seed.Load(ctx, a.Loop, w, func(step string, n int) { fmt.Printf("  %-10s %6d\n", step, n) }); err != nil {
		return err
	}
	fmt.Printf("\nDemonstration accounts, all with the password %s:\n", seed.Password)
	for _, u := range seed.Accounts(w) {
		fmt.Printf("  %-14s %s  %s\n", u.Login, u.Name, u.Title)
	}
	fmt.Println("Grid workers log in on phones: the administrator makes a code with POST /desk/v1/users/{id}/enrol-code,\nor run: aidloop user enrol-code --data DIR LOGIN")
	return nil
}
