package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"aidloop/syncproto"
	"aidloop/syncproto/device"
)

var (
	encoder = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false)) // signatures and TLS check the bytes
		if err != nil {
			panic(err) // only for options out of range
		}
		return e
	})
	decoder = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxAnswer))
		if err != nil {
			panic(err)
		}
		return d
	})
)

// Synced says what an evening's sync did.
type Synced struct {
	Exchanges int
	Sent      int // bytes on the wire
	Received  int
	Photos    int
	Chunks    int              // of large buckets that were asked for
	Fault     *syncproto.Fault // why nothing was pulled, or nil
	renewed   bool             // a token was renewed because the server did not take it
	gone      int              // chunks that the server did not keep any more
}

// maxTries bounds how often one exchange is tried before the caller hears of the network.
const maxTries = 5

// maxPause is the longest pause that is made for a server that asks for one. Whoever is asked to come back later than
// that, for instance tomorrow, tells the caller instead of keeping a sync open.
const maxPause = 2 * time.Minute

// Sync exchanges until nothing is left on either side, then sends the photos. What was exchanged before an error
// stays; a later call goes on from there.
func (c *Client) Sync(ctx context.Context) (Synced, error) {
	var s Synced
	for more := true; more; {
		var err error
		if more, err = c.exchangeAgain(ctx, &s); err != nil {
			return s, err
		}
		if more || s.Fault != nil {
			continue
		}
		if more, err = c.fetchChunks(ctx, &s); err != nil {
			return s, err
		}
	}
	if err := c.unlock(ctx); err != nil {
		return s, err
	}
	return s, c.sendBlobs(ctx, &s)
}

// unlock asks for new tokens where the phone holds grants that it cannot open: they bring the user's newest key.
func (c *Client) unlock(ctx context.Context) error {
	locked, err := c.Engine.Locked()
	if err != nil || !locked {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tokens.Refresh == "" {
		return nil
	}
	_, err = c.renew(ctx)
	return err
}

// exchangeAgain tries an exchange until it comes through. Only what may pass by itself is tried again.
func (c *Client) exchangeAgain(ctx context.Context, s *Synced) (more bool, err error) {
	for try := range maxTries {
		pause := time.Second << try
		if more, err = c.exchange(ctx, s); err == nil {
			return more, nil
		}
		var p *Problem
		if errors.As(err, &p) {
			again, rerr := c.Engine.Refused(p.refusal())
			if rerr != nil {
				return false, rerr
			}
			if !again && (!p.passes() || p.RetryAfter > maxPause) {
				return false, err
			}
			pause = max(pause, p.RetryAfter)
		}
		if err := c.Sleep(ctx, pause); err != nil {
			return false, err
		}
	}
	return false, err
}

func (c *Client) exchange(ctx context.Context, s *Synced) (more bool, err error) {
	token, err := c.access(ctx)
	if err != nil {
		return false, err
	}
	frames, err := c.Engine.Request(c.Clock(), device.Ask{Snapshots: true})
	if err != nil {
		return false, err
	}
	body, encoding := pack(frames)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Server+"/sync/v1", bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", SyncType)
	req.Header.Set("Accept-Encoding", "zstd")
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	s.Exchanges++
	s.Sent += len(body)
	res, answer, err := c.do(req)
	if err != nil {
		return false, err
	}
	s.Received += len(answer)
	if res.Header.Get("Content-Encoding") == "zstd" {
		if answer, err = decoder().DecodeAll(answer, nil); err != nil {
			return false, fmt.Errorf("the answer was cut short: %w", err)
		}
	}
	more, err = c.take(answer, s)
	if err == nil && s.Fault != nil && s.Fault.Code == syncproto.CodeTokenInvalid && c.spent(token, s) {
		s.Fault, more = nil, true
	}
	return more, err
}

// pack compresses a request wherever that makes it smaller: where a phone stands in three buckets names the incarnation
// three times.
func pack(frames []byte) (body []byte, encoding string) {
	if b := encoder().EncodeAll(frames, nil); len(b) < len(frames) {
		return b, "zstd"
	}
	return frames, ""
}

// take hands the response to the engine frame by frame.
func (c *Client) take(b []byte, s *Synced) (more bool, err error) {
	r := c.Engine.Response(c.Clock())
	for {
		f, rest, err := syncproto.NextFrame(b)
		if err == io.EOF {
			break
		}
		if err != nil {
			return false, err
		}
		if err := r.Frame(f); err != nil {
			return false, err
		}
		b = rest
	}
	more, fault, err := r.Finish()
	s.Fault = fault
	return more && (fault == nil || fault.Code == syncproto.CodeRevoked), err // a phone that is shut out still sends what it has
}
