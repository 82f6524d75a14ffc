package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"aidloop/syncproto"
	"aidloop/syncproto/device"
)

// keyTokens is where a phone's tokens lie, beside the engine's data.
const keyTokens = "client/tokens"

// EnrolPhone makes a store the data of a new phone and opens it.
func EnrolPhone(ctx context.Context, s device.Store, h *http.Client, server, code, name string, o device.Options, clock func() syncproto.Clock) (*Client, error) {
	if _, err := device.Open(s, o); !errors.Is(err, device.ErrNotEnrolled) {
		return nil, errors.Join(err, errors.New("this phone is enrolled already"))
	}
	id, tokens, err := Enrol(ctx, h, server, code, name, clock())
	if err != nil {
		return nil, err
	}
	if err := device.Enrol(s, id); err != nil {
		return nil, err
	}
	if err := saveTokens(s, tokens); err != nil {
		return nil, err
	}
	return OpenPhone(s, h, o, clock)
}

// OpenPhone opens a phone that was enrolled before.
func OpenPhone(s device.Store, h *http.Client, o device.Options, clock func() syncproto.Clock) (*Client, error) {
	e, err := device.Open(s, o)
	if err != nil {
		return nil, err
	}
	var tokens Tokens
	err = s.View(func(t device.Tx) error {
		b, err := t.Get(keyTokens)
		if err != nil || b == nil {
			return err
		}
		return json.Unmarshal(b, &tokens)
	})
	if err != nil {
		return nil, err
	}
	c := New(e, e.Identity().Server, tokens, clock)
	if h != nil {
		c.HTTP = h
	}
	c.Save = func(t Tokens) error { return saveTokens(s, t) }
	return c, nil
}

func saveTokens(s device.Store, tokens Tokens) error {
	b, err := json.Marshal(tokens)
	if err != nil {
		return err
	}
	return s.Update(func(t device.Tx) error { return t.Put(keyTokens, b) })
}
