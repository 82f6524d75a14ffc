package blobs

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"aidloop/storage/blob"
)

// Base is the path under which Mount puts the routes.
const Base = "/blobs/v1"

const uploadsPath = Base + "/uploads/"

// Errors that an Access returns. Any other error of an Access is the server's own trouble (503).
var (
	// ErrUnauthenticated: the token is missing, unknown or expired (401).
	ErrUnauthenticated = errors.New("blobs: not authenticated")
	// ErrForbidden: a known token that may not do this: 403 for uploads, and the same 404 as for a missing blob when reading.
	ErrForbidden = errors.New("blobs: forbidden")
)

// Access decides who may upload and read. token is what followed "Bearer " in the Authorization header, or "".
type Access interface {
	// CanUpload returns the id of the device that the token belongs to.
	CanUpload(ctx context.Context, token string) (device string, err error)
	// CanRead returns nil if the token's holder sees a record that refers to the blob, ErrForbidden if not. It is asked before anybody looks
	// whether the blob exists, so that its absence and a missing record cannot be told apart.
	CanRead(ctx context.Context, token, sha string) error
}

// Config wires the handlers. Store, Access, NewID and Log are required.
type Config struct {
	Store  blob.Store
	Access Access
	// Completed hears of every blob that a device completed, after it became visible and before the device hears so. If it fails, the upload
	// stays unfinished and the device's next HEAD or PATCH calls it again: at least once for every blob. May be nil.
	Completed func(ctx context.Context, device, sha string, size int64) error
	// NewID mints ids of uploads: 1 to 63 of [a-z0-9-], such as UUIDs in lower case.
	NewID func() string
	// MaxBlob is announced as Tus-Max-Size, in bytes: the same as the store's limit. 0 means 64 MiB.
	MaxBlob int64
	// Stall is how long a connection may be silent within a body before it is given up and what arrived is kept. 0 means a minute.
	Stall time.Duration
	Log   *slog.Logger
}

// Handler serves the routes of this package.
type Handler struct {
	cfg   Config
	turns *turns
}

// New checks the configuration and fills in its defaults.
func New(cfg Config) (*Handler, error) {
	if cfg.Store == nil || cfg.Access == nil || cfg.NewID == nil || cfg.Log == nil {
		return nil, errors.New("blobs: the configuration lacks a field")
	}
	if cfg.MaxBlob == 0 {
		cfg.MaxBlob = blob.DefaultLimits().MaxBlob
	}
	if cfg.Stall == 0 {
		cfg.Stall = time.Minute
	}
	if cfg.Completed == nil {
		cfg.Completed = func(context.Context, string, string, int64) error { return nil }
	}
	return &Handler{cfg: cfg, turns: newTurns()}, nil
}

// Mount adds the routes to app, which must stream request bodies (fiber.Config.StreamRequestBody).
//
// It also hooks into the reading of request headers: fasthttp otherwise holds the first 8 KiB of a body back until they are complete, and
// a connection that breaks earlier would never make progress.
func (h *Handler) Mount(app *fiber.App) error {
	if !app.Config().StreamRequestBody {
		return errors.New("blobs: the fiber app must have StreamRequestBody set, or a broken upload would keep nothing")
	}
	server := app.Server()
	previous := server.HeaderReceived
	server.HeaderReceived = func(header *fasthttp.RequestHeader) fasthttp.RequestConfig {
		var config fasthttp.RequestConfig
		if previous != nil {
			config = previous(header)
		}
		if path := string(header.RequestURI()); path == Base || strings.HasPrefix(path, Base+"/") {
			config.MaxRequestBodySize = 1 // of a streamed body only what is read ahead; append bounds the rest
		}
		return config
	}
	group := app.Group(Base)
	group.Add(fiber.MethodOptions, "/", h.options)
	group.Add(fiber.MethodOptions, "/uploads/:id", h.options)
	group.Add(fiber.MethodPost, "/", h.withBody(h.create))
	group.Add(fiber.MethodHead, "/uploads/:id", h.withBody(h.offset))
	group.Add(fiber.MethodPatch, "/uploads/:id", h.withBody(h.patch))
	group.Add(fiber.MethodDelete, "/uploads/:id", h.withBody(h.terminate))
	group.Add(fiber.MethodPost, "/uploads/:id", h.withBody(h.override))
	group.Add(fiber.MethodHead, "/:sha", h.withBody(h.describe))
	group.Add(fiber.MethodGet, "/:sha", h.withBody(h.download))
	group.Use(h.withBody(func(c *fiber.Ctx, _ *body) error {
		if c.Method() == fiber.MethodGet || c.Method() == fiber.MethodHead {
			return problemNotFound.send(c)
		}
		return problemMethod.send(c)
	}))
	return nil
}

// Close ends the uploads that are running, keeping what has arrived, and refuses new ones. Call it before the app's Shutdown, which waits
// for running requests.
func (h *Handler) Close() { h.turns.close() }

// options answers what the server speaks, to anybody.
func (h *Handler) options(c *fiber.Ctx) error {
	c.Set("Tus-Resumable", tusVersion)
	c.Set("Tus-Version", tusVersion)
	c.Set("Tus-Extension", "creation,creation-with-upload,termination,checksum,expiration")
	c.Set("Tus-Max-Size", strconv.FormatInt(h.cfg.MaxBlob, 10))
	c.Set("Tus-Checksum-Algorithm", checksumNames)
	c.Status(fiber.StatusNoContent)
	return nil
}

// override serves clients that cannot send PATCH or DELETE.
func (h *Handler) override(c *fiber.Ctx, b *body) error {
	switch c.Get("X-HTTP-Method-Override") {
	case fiber.MethodPatch:
		return h.patch(c, b)
	case fiber.MethodDelete:
		return h.terminate(c, b)
	}
	return problemMethod.send(c)
}

// token returns the bearer token, copied: fiber reuses its buffers.
func token(c *fiber.Ctx) string {
	value, found := strings.CutPrefix(c.Get(fiber.HeaderAuthorization), "Bearer ")
	if !found {
		return ""
	}
	return strings.Clone(value)
}

const tusVersion = "1.0.0"

const (
	headerOffset   = "Upload-Offset"
	headerLength   = "Upload-Length"
	headerMetadata = "Upload-Metadata"
	headerExpires  = "Upload-Expires"

	chunkType = "application/offset+octet-stream"
)

// uploader checks what every request that changes an upload needs: the protocol's version and a device.
func (h *Handler) uploader(c *fiber.Ctx) (device string, refused error) {
	if c.Method() != fiber.MethodHead && c.Get("Tus-Resumable") != tusVersion {
		c.Set("Tus-Version", tusVersion)
		return "", errVersion
	}
	return h.cfg.Access.CanUpload(c.UserContext(), token(c))
}
