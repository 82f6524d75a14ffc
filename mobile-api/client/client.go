// Package client carries the device engine over HTTP: enrolment, tokens, exchanges, live pokes and photos.
package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"aidloop/syncproto"
	"aidloop/syncproto/device"
)

// SyncType is the media type of /sync/v1.
const SyncType = "application/vnd.aidloop.sync"

// Tokens let the phone pull. They are kept with the device's data.
type Tokens struct {
	Access  string `json:"access"`
	Expires int64  `json:"expires"` // milliseconds since 1970 UTC, by the phone's clock
	Refresh string `json:"refresh"`
}

// Client is a phone's connection to its server.
type Client struct {
	Engine *device.Engine
	Server string
	HTTP   *http.Client
	Clock  func() syncproto.Clock
	// Sleep waits between tries and returns early when ctx ends; tests pass one that does not wait.
	Sleep func(ctx context.Context, d time.Duration) error
	// Save keeps new tokens before the old ones are forgotten. May be nil.
	Save func(Tokens) error

	mu     sync.Mutex
	tokens Tokens
}

// New makes a client of an enrolled device.
func New(e *device.Engine, server string, tokens Tokens, clock func() syncproto.Clock) *Client {
	return &Client{Engine: e, Server: strings.TrimRight(server, "/"), HTTP: &http.Client{Timeout: 2 * time.Minute}, Clock: clock, Sleep: sleep, tokens: tokens}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Problem is the server's refusal.
type Problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Title  string `json:"title"` // Chinese
	Detail string `json:"detail"`
	Have   uint64 `json:"have"`
	Head   string `json:"head"`
	// RetryAfter is how long the server asks to be left alone, or 0.
	RetryAfter time.Duration `json:"-"`
}

// Error writes the code and the words.
func (p *Problem) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%s: %s %s", p.Code, p.Title, p.Detail))
}

// passes reports whether the same request may be taken later.
func (p *Problem) passes() bool {
	switch p.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return p.Code == string(syncproto.CodeTruncated)
}

// refusal is the problem as the engine takes it.
func (p *Problem) refusal() *syncproto.Error {
	e := syncproto.Refuse(syncproto.Code(p.Code), p.Detail)
	e.Have = p.Have
	if h, err := syncproto.ParseHash(p.Head); err == nil {
		e.Head = h
	}
	return e
}

// maxAnswer bounds an answer, decompressed.
const maxAnswer = 64 << 20

// do sends a request and returns the answer's body, or a *Problem.
func (c *Client) do(req *http.Request) (*http.Response, []byte, error) {
	res, err := c.HTTP.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, nil, fmt.Errorf("the answer was cut short: %w", err)
	}
	if res.StatusCode >= 300 {
		return res, nil, ProblemOf(res, body)
	}
	return res, body, nil
}

// ProblemOf reads a refusal with its body, which may be a gateway's own words.
func ProblemOf(res *http.Response, body []byte) *Problem {
	p := &Problem{}
	if json.Unmarshal(body, p) != nil || p.Code == "" {
		p.Code, p.Title = bare(res.StatusCode)
	}
	p.Status = res.StatusCode
	if n, err := strconv.ParseUint(res.Header.Get("Retry-After"), 10, 31); err == nil {
		p.RetryAfter = time.Duration(n) * time.Second
	}
	return p
}

// bare is the code of a refusal without words: the answer to a HEAD has no body, and a gateway has its own.
func bare(status int) (code, title string) {
	known := map[int]syncproto.Code{http.StatusUnauthorized: syncproto.CodeTokenInvalid, http.StatusTooManyRequests: syncproto.CodeTooMany,
		http.StatusServiceUnavailable: syncproto.CodeUnavailable}
	if c, ok := known[status]; ok {
		return string(c), c.Words()
	}
	return fmt.Sprintf("http_%d", status), "服务器没有正常回应,请稍后再试。"
}

func post(ctx context.Context, h *http.Client, url string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	_, body, err := (&Client{HTTP: h}).do(req)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, out)
}

// enrolled is the server's answer to an enrolment.
type enrolled struct {
	Device    string            `json:"device"`
	User      string            `json:"user"`
	UserName  string            `json:"user_name"`
	Region    string            `json:"region"`
	Role      string            `json:"role"`
	Access    string            `json:"access_token"`
	Expires   int               `json:"access_expires_in"`
	Refresh   string            `json:"refresh_token"`
	UserKey   []byte            `json:"user_key"`
	ServerKey ed25519.PublicKey `json:"server_key"`
	Recipient string            `json:"bundle_recipient"`
}

// Enrol exchanges a one-time code for a new identity. The private key never leaves the phone.
func Enrol(ctx context.Context, h *http.Client, server, code, name string, clock syncproto.Clock) (device.Identity, Tokens, error) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return device.Identity{}, Tokens{}, err
	}
	server = strings.TrimRight(server, "/")
	var a enrolled
	err = post(ctx, h, server+"/enrol/v1", map[string]any{"code": code, "public_key": []byte(pub), "name": name, "app": "aidloop", "catalog": 1}, &a)
	if err != nil {
		return device.Identity{}, Tokens{}, err
	}
	id := device.Identity{Device: a.Device, User: a.User, UserName: a.UserName, Region: a.Region, Role: a.Role, Server: server, Private: priv, ServerKey: a.ServerKey, Recipient: a.Recipient}
	if copy(id.UserKey[:], a.UserKey) != len(id.UserKey) || len(a.ServerKey) != ed25519.PublicKeySize {
		return id, Tokens{}, errors.New("the server's answer lacks a key")
	}
	return id, Tokens{a.Access, clock.Wall + int64(a.Expires)*1000, a.Refresh}, nil
}

// access is a token that is good for another half minute, or "" where there is none to be had.
func (c *Client) access(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tokens.Access != "" && c.Clock().Wall < c.tokens.Expires-30_000 {
		return c.tokens.Access, nil
	}
	if c.tokens.Refresh == "" {
		return "", nil
	}
	return c.renew(ctx)
}

// spent forgets an access token that the server does not take, though by the phone's clock it is good: clocks jump. It
// reports whether there is another to be had; a sync asks once.
func (c *Client) spent(token string, s *Synced) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if token == "" || s.renewed || c.tokens.Refresh == "" {
		return false
	}
	if s.renewed = true; c.tokens.Access == token {
		c.tokens.Access = ""
	}
	return true
}

func (c *Client) renew(ctx context.Context) (string, error) {
	var a enrolled
	err := post(ctx, c.HTTP, c.Server+"/auth/v1/refresh", map[string]any{"refresh_token": c.tokens.Refresh}, &a)
	var p *Problem
	if errors.As(err, &p) && p.Status == http.StatusUnauthorized {
		return "", nil // what was captured can be pushed without a token
	}
	if err != nil {
		return "", err
	}
	next := Tokens{a.Access, c.Clock().Wall + int64(a.Expires)*1000, a.Refresh}
	if len(a.UserKey) == len(syncproto.Key{}) {
		if err := c.Engine.AddUserKey(syncproto.Key(a.UserKey)); err != nil {
			return "", err
		}
	}
	if c.Save != nil {
		if err := c.Save(next); err != nil {
			return "", err
		}
	}
	c.tokens = next
	return next.Access, nil
}
