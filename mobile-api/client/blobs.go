package client

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"aidloop/syncproto/device"
)

// chunk is how much of a photo goes into one request: small enough to come through on a bad line, and what is lost
// when it breaks is at most this.
const chunk = 256 << 10

// sendBlobs uploads every blob that waits, smallest first, from where its upload broke off. Without a token it leaves
// them for the next time.
func (c *Client) sendBlobs(ctx context.Context, s *Synced) error {
	for {
		b, err := c.Engine.NextBlob()
		if err != nil || b == nil {
			return err
		}
		token, err := c.access(ctx)
		if err != nil || token == "" {
			return err
		}
		err = c.sendBlob(ctx, b, token)
		var p *Problem
		if errors.As(err, &p) && p.Status == http.StatusUnauthorized && c.spent(token, s) {
			continue
		}
		if errors.Is(err, device.ErrSpoilt) { // the others go on; people are told by the status
			if err := c.Engine.SetAside(b.SHA256); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("photo %.8s…: %w", b.SHA256, err)
		}
		s.Photos++
	}
}

func (c *Client) sendBlob(ctx context.Context, b *device.Blob, token string) error {
	data, err := c.Engine.BlobData(b.SHA256)
	if err != nil {
		return err
	}
	if b.Upload != "" {
		if err := c.resume(ctx, b, token); err != nil {
			return err
		}
	}
	if b.Upload == "" {
		if err := c.create(ctx, b, token); err != nil {
			return err
		}
	}
	for b.Offset < b.Size {
		end := min(b.Offset+chunk, b.Size)
		if err := c.patch(ctx, b, data[b.Offset:end], token); err != nil {
			return err
		}
	}
	b.Sent = true
	return c.Engine.BlobProgress(*b)
}

func (c *Client) tus(ctx context.Context, method, url, token string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("Authorization", "Bearer "+token)
	return req, nil
}

// resume asks how far an upload has come. One that the server no longer knows begins anew.
func (c *Client) resume(ctx context.Context, b *device.Blob, token string) error {
	req, err := c.tus(ctx, http.MethodHead, b.Upload, token, nil)
	if err != nil {
		return err
	}
	res, _, err := c.do(req)
	var p *Problem
	if errors.As(err, &p) && (p.Status == http.StatusNotFound || p.Status == http.StatusGone) {
		b.Upload, b.Offset = "", 0
		return nil
	}
	if err != nil {
		return err
	}
	b.Offset, err = strconv.ParseInt(res.Header.Get("Upload-Offset"), 10, 64)
	return err
}

func (c *Client) create(ctx context.Context, b *device.Blob, token string) error {
	req, err := c.tus(ctx, http.MethodPost, c.Server+"/blobs/v1", token, nil)
	if err != nil {
		return err
	}
	meta := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	req.Header.Set("Upload-Length", strconv.FormatInt(b.Size, 10))
	req.Header.Set("Upload-Metadata", "sha256 "+meta(b.SHA256)+",filetype "+meta(b.MIME))
	res, _, err := c.do(req)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusCreated {
		b.Offset = b.Size // the server has it already
		return nil
	}
	at, err := url.Parse(res.Header.Get("Location"))
	if err != nil {
		return err
	}
	b.Upload, b.Offset = req.URL.ResolveReference(at).String(), 0
	if n, err := strconv.ParseInt(res.Header.Get("Upload-Offset"), 10, 64); err == nil {
		b.Offset = n
	}
	return c.Engine.BlobProgress(*b)
}

func (c *Client) patch(ctx context.Context, b *device.Blob, part []byte, token string) error {
	req, err := c.tus(ctx, http.MethodPatch, b.Upload, token, part)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/offset+octet-stream")
	req.Header.Set("Upload-Offset", strconv.FormatInt(b.Offset, 10))
	res, _, err := c.do(req)
	if err != nil {
		return err
	}
	offset, err := strconv.ParseInt(res.Header.Get("Upload-Offset"), 10, 64)
	if err != nil || offset <= b.Offset || offset > b.Size {
		return fmt.Errorf("the server answered with offset %q", res.Header.Get("Upload-Offset"))
	}
	b.Offset = offset
	return c.Engine.BlobProgress(*b)
}
