package app

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"path/filepath"
	"time"

	"aidloop/mobile-api/blobs"
	"aidloop/server/loop"
	"aidloop/server/token"
	"aidloop/storage/blob"
	"aidloop/storage/blob/dir"
	"aidloop/storage/blob/s3"
)

// S3Config says where photos go instead of the data folder. Endpoint "" means the folder.
type S3Config struct {
	Endpoint, Bucket, AccessKey, SecretKey, Prefix string
	Insecure                                       bool // plain HTTP, for a server on the same machine
}

func (c *S3Config) check() error {
	if c.Endpoint != "" && (c.Bucket == "" || c.AccessKey == "" || c.SecretKey == "") {
		return errors.New("--s3-endpoint (AIDLOOP_S3_ENDPOINT) needs --s3-bucket, AIDLOOP_S3_ACCESS_KEY and AIDLOOP_S3_SECRET_KEY")
	}
	return nil
}

func openBlobs(ctx context.Context, cfg Config, secrets loop.Secrets) (*blob.Vault, error) {
	key := secrets.BlobKey()
	keys, err := blob.NewKeys(key[:])
	if err != nil {
		return nil, err
	}
	staging := blob.StagingConfig{Keys: keys, Limits: blob.DefaultLimits(), Now: cfg.Clock, Random: rand.Reader}
	if cfg.S3.Endpoint == "" {
		return dir.Open(filepath.Join(cfg.Data, "blobs"), staging)
	}
	staging.Dir = filepath.Join(cfg.Data, "staging") // a chunk that a phone sent must survive a restart
	return s3.Open(ctx, s3.Config{Endpoint: cfg.S3.Endpoint, Bucket: cfg.S3.Bucket, AccessKey: cfg.S3.AccessKey, SecretKey: cfg.S3.SecretKey,
		Prefix: cfg.S3.Prefix, Secure: !cfg.S3.Insecure}, staging)
}

func (a *App) mountBlobs(tokens *token.Signer) error {
	h, err := blobs.New(blobs.Config{Store: a.Blobs, Access: phoneBlobs{a, tokens}, NewID: NewID, Log: a.cfg.Log})
	if err != nil {
		return err
	}
	a.uploads = h
	return h.Mount(a.fiber)
}

// phoneBlobs decides who may upload and read photos by a phone's access token.
type phoneBlobs struct {
	app    *App
	tokens *token.Signer
}

func (p phoneBlobs) who(ctx context.Context, raw string) (*loop.Signed, error) {
	c, err := p.tokens.Parse(raw, token.Phone, p.app.cfg.Clock())
	if err != nil {
		return nil, blobs.ErrUnauthenticated
	}
	s, err := p.app.Loop.Standing(ctx, c.Session)
	if errors.Is(err, loop.ErrSession) {
		return nil, blobs.ErrUnauthenticated
	}
	return s, err
}

func (p phoneBlobs) CanUpload(ctx context.Context, raw string) (string, error) {
	s, err := p.who(ctx, raw)
	if err != nil {
		return "", err
	}
	return s.Device, nil
}

func (p phoneBlobs) CanRead(ctx context.Context, raw, sha string) error {
	s, err := p.who(ctx, raw)
	if err != nil {
		return err
	}
	err = p.app.Loop.MayReadBlob(ctx, s.User.ID, sha)
	if errors.Is(err, loop.ErrNotFound) {
		return blobs.ErrForbidden
	}
	return err
}

// deskBlobs reads photos for the desk.
type deskBlobs struct{ store blob.Store }

func (d deskBlobs) Open(ctx context.Context, sha string) (io.ReadSeekCloser, int64, error) {
	r, n, err := d.store.Open(ctx, sha)
	if errors.Is(err, blob.ErrNotFound) {
		err = loop.ErrNotFound
	}
	return r, n, err
}

func (d deskBlobs) Has(ctx context.Context, sha string) (int64, bool, error) {
	return d.store.Has(ctx, sha)
}

// orphanAge is how long a photo may wait for the record that refers to it: text and photos go separate ways, and a
// phone may be without a signal between them.
const orphanAge = 60 * 24 * time.Hour

func (a *App) sweep(ctx context.Context) {
	swept, err := a.Blobs.Sweep(ctx, func(sha string) bool {
		kept, err := a.Loop.Referred(ctx, sha)
		return kept || err != nil
	}, orphanAge, a.cfg.Clock())
	if err != nil {
		a.cfg.Log.Error("sweep photos", "err", err)
		return
	}
	a.cfg.Log.Debug("swept photos", "swept", swept)
}
