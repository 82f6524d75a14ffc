package edge

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/gofiber/fiber/v2"
)

type localKey int

const (
	requestIDKey localKey = iota
	deviceKey
)

// Around wraps every request of the app: it gives it an id, turns errors into problems, puts the connection in order
// and writes one line to the log. The line has the route's pattern and never the path or a header, so that no token,
// code or name can get into it.
func Around(log *slog.Logger, clock func() time.Time, newID func() string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if RequestID(c) != "" {
			return c.Next() // mounted twice
		}
		begun := clock()
		id := newID()
		c.Locals(requestIDKey, id)
		c.Set(fiber.HeaderXRequestID, id)
		c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
		if err := guarded(c); err != nil {
			if err := c.App().ErrorHandler(c, err); err != nil {
				return err
			}
		}
		drain(c)
		attrs := []slog.Attr{
			slog.String("method", c.Method()), slog.String("route", c.Route().Path), slog.Int("status", c.Response().StatusCode()),
			slog.Int("bytes_in", max(c.Request().Header.ContentLength(), 0)), slog.Int("bytes", size(c)),
			slog.Int64("ms", clock().Sub(begun).Milliseconds()), slog.String("request_id", id),
		}
		if device, ok := c.Locals(deviceKey).(string); ok {
			attrs = append(attrs, slog.String("device", device))
		}
		log.LogAttrs(c.UserContext(), slog.LevelInfo, "request", attrs...)
		return nil
	}
}

// guarded turns a panic of a handler into an error: one broken request must not take the others with it.
func guarded(c *fiber.Ctx) (err error) {
	defer func() {
		if v := recover(); v != nil {
			c.Context().SetConnectionClose() // who knows where the body stands
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return c.Next()
}

// size is that of the response's body; 0 for a stream of unknown length, which must not be read here.
func size(c *fiber.Ctx) int {
	if c.Response().IsBodyStream() {
		return max(c.Response().Header.ContentLength(), 0)
	}
	return len(c.Response().Body())
}

// RequestID is the id that Around gave the request, or "".
func RequestID(c *fiber.Ctx) string {
	id, _ := c.Locals(requestIDKey).(string)
	return id
}

// SetDevice names the device that a request came from to the log, once it is known to be one.
func SetDevice(c *fiber.Ctx, device string) { c.Locals(deviceKey, device) }
