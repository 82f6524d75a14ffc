// Package edge is what every HTTP route shares, the phones' and the desk's: the fiber app's settings, request bodies
// read within bounds, the access log, the remote address behind proxies, and errors as problems.
package edge

import (
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"aidloop/server/problem"
	"aidloop/syncproto"
)

// Bounds of a connection. Times are of the connection, not of the clock that verbs see.
const (
	maxHeader   = 8 << 10
	maxConns    = 20_000
	readTimeout = 30 * time.Second // for a request's header and the first 8 KiB of its body; body readers renew it
	idleTimeout = 2 * time.Minute
	// A response may take so long on its way: a full page over a link of a few KB/s. Streams renew it.
	writeTimeout = 10 * time.Minute
)

// Config are the settings of the one fiber app. Bodies are streamed, since photos must not be lost with a broken
// connection; so fiber's body limit bounds nothing, and every handler reads its body through ReadBody or a reader with
// a bound of its own. Strings are copied out of fasthttp's buffers. No forwarding header is believed here: see Remote.
func Config(log *slog.Logger) fiber.Config {
	return fiber.Config{
		AppName:                      "aidloop",
		BodyLimit:                    syncproto.MaxPushBytes,
		CaseSensitive:                true,
		Concurrency:                  maxConns,
		DisablePreParseMultipartForm: true, // it would write files of any size before a handler is asked
		DisableStartupMessage:        true,
		EnableTrustedProxyCheck:      true,
		ErrorHandler:                 errorHandler(log),
		IdleTimeout:                  idleTimeout,
		Immutable:                    true,
		ReadBufferSize:               maxHeader,
		ReadTimeout:                  readTimeout,
		StreamRequestBody:            true,
		WriteTimeout:                 writeTimeout,
	}
}

// errorHandler answers every error of every route.
func errorHandler(log *slog.Logger) fiber.ErrorHandler {
	return func(c *fiber.Ctx, err error) error {
		p := problemOf(err)
		p.RequestID = RequestID(c)
		if p.Status >= fiber.StatusInternalServerError {
			log.Error("request failed", "request_id", p.RequestID, "method", c.Method(), "route", c.Route().Path, "error", err)
		}
		for name, values := range p.GetHeaders() {
			c.Set(name, values[0])
		}
		c.Set(fiber.HeaderCacheControl, "no-store")
		c.Status(p.Status)
		return c.JSON(p, problem.ContentType)
	}
}

func problemOf(err error) *problem.Problem {
	var routing *fiber.Error
	if errors.As(err, &routing) {
		// fiber's message can quote the path, which is the caller's own.
		return problem.OfStatus(routing.Code, "HTTP "+strconv.Itoa(routing.Code))
	}
	return problem.From(err)
}
