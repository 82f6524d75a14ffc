package mobileapi

import (
	"context"
	"sync/atomic"
	"time"

	"aidloop/syncproto"
)

// gate bounds the exchanges that run at once, and how many wait for it: memory stays bounded, and a phone that cannot
// be served soon hears so at once instead of at its own time-out.
type gate struct {
	slots   chan struct{}
	waiting atomic.Int64
	maxWait int64
	wait    time.Duration
	closed  chan struct{}
	once    atomic.Bool
}

func newGate(l Limits) *gate {
	return &gate{slots: make(chan struct{}, l.Exchanges), maxWait: int64(l.Waiting), wait: l.Wait, closed: make(chan struct{})}
}

// enter waits for a turn; leave gives it back.
func (g *gate) enter(ctx context.Context) (leave func(), err error) {
	leave = func() { <-g.slots }
	select {
	case <-g.closed:
		return nil, errClosing
	default:
	}
	select {
	case g.slots <- struct{}{}:
		return leave, nil
	default:
	}
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > g.maxWait {
		return nil, errBusy
	}
	ctx, cancel := context.WithTimeout(ctx, g.wait)
	defer cancel()
	select {
	case g.slots <- struct{}{}:
		return leave, nil
	case <-g.closed:
		return nil, errClosing
	case <-ctx.Done():
		return nil, errBusy
	}
}

func (g *gate) close() {
	if g.once.CompareAndSwap(false, true) {
		close(g.closed)
	}
}

var (
	errBusy    = syncproto.Refuse(syncproto.CodeUnavailable, "too many exchanges are waiting")
	errClosing = syncproto.Refuse(syncproto.CodeUnavailable, "the server is shutting down")
)
