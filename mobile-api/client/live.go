package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"aidloop/syncproto"
)

// Live listens for pokes until ctx ends or the connection breaks, and tells which bucket has grown. The caller syncs
// once after every connection, since pokes that were missed are not repeated.
func (c *Client) Live(ctx context.Context, poked func(syncproto.BucketSeq)) error {
	token, err := c.access(ctx)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Server+"/sync/v1/live", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "text/event-stream")
	h := *c.HTTP
	h.Timeout = 0 // it lasts as long as it lasts
	res, err := h.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("live: %s", res.Status)
	}
	lines := bufio.NewScanner(res.Body)
	event := ""
	for lines.Scan() {
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "event:"):
			event = strings.TrimSpace(strings.TrimPrefix(line, "event:"))
		case strings.HasPrefix(line, "data:") && event == "poke":
			var p syncproto.BucketSeq
			if err := json.Unmarshal([]byte(strings.TrimPrefix(line, "data:")), &p); err != nil {
				return err
			}
			poked(p)
		case line == "":
			event = ""
		}
	}
	return lines.Err()
}
