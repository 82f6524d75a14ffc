package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"aidloop/syncproto"
)

// fetchChunks fetches the chunks of large buckets that the last exchange offered, one by one, and hands them to the
// engine, which keeps each: after any fault the next sync goes on behind the last one. It reports whether another
// exchange is due, because a bucket is complete or because the server asks to begin again.
func (c *Client) fetchChunks(ctx context.Context, s *Synced) (more bool, err error) {
	for {
		next, err := c.Engine.NextChunk()
		if err != nil || next == nil {
			return more, err
		}
		s.Chunks++
		done, err := c.chunkAgain(ctx, next, s)
		var p *Problem
		if errors.As(err, &p) && p.Code == string(syncproto.CodeChunkGone) {
			if gerr := c.Engine.ChunkGone(next.SHA256); gerr != nil {
				return false, gerr
			}
			if s.gone++; s.gone > maxTries {
				return false, err // what is never there cannot be asked for for ever
			}
			more = true
			continue
		}
		if err != nil {
			return false, err
		}
		more = more || done
	}
}

// chunkAgain tries to fetch a chunk until it comes through. Only what may pass by itself is tried again.
func (c *Client) chunkAgain(ctx context.Context, next *syncproto.Chunk, s *Synced) (done bool, err error) {
	for try := range maxTries {
		pause := time.Second << try
		if done, err = c.chunk(ctx, next, s); err == nil {
			return done, nil
		}
		var p *Problem
		if errors.As(err, &p) {
			if !p.passes() || p.RetryAfter > maxPause {
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

func (c *Client) chunk(ctx context.Context, next *syncproto.Chunk, s *Synced) (done bool, err error) {
	token, err := c.access(ctx)
	if err != nil {
		return false, err
	}
	body, err := c.getChunk(ctx, token, next, s)
	var p *Problem
	if errors.As(err, &p) && p.Code == string(syncproto.CodeTokenInvalid) && c.spent(token, s) {
		if token, err = c.access(ctx); err == nil {
			body, err = c.getChunk(ctx, token, next, s)
		}
	}
	if err != nil {
		return false, err
	}
	return c.Engine.AddChunk(next.SHA256, body, c.Clock())
}

func (c *Client) getChunk(ctx context.Context, token string, next *syncproto.Chunk, s *Synced) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Server+"/sync/v1/chunks/"+next.SHA256, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Encoding", "zstd")
	req.Header.Set("Authorization", "Bearer "+token)
	res, body, err := c.do(req)
	if err != nil {
		return nil, err
	}
	s.Received += len(body)
	if res.Header.Get("Content-Encoding") == "zstd" {
		if body, err = decoder().DecodeAll(body, nil); err != nil {
			return nil, fmt.Errorf("the chunk was cut short: %w", err)
		}
	}
	return body, nil
}
