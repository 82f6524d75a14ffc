package mobileapi

import (
	"slices"
	"strings"
	"sync"

	"aidloop/syncproto"
)

// maxPerDevice bounds the live connections of one device. A phone that lost its network comes back while the server
// has not noticed yet; the oldest connection gives way.
const maxPerDevice = 4

// Hub tells live connections which buckets grew. Telling never waits for anybody: a connection that is slow finds the
// latest seq of each bucket when it comes around.
type Hub struct {
	mu       sync.Mutex
	byDevice map[string][]*listener
	byBucket map[string]map[*listener]struct{}
	count    int
	max      int
	closed   bool
}

// NewHub makes a Hub.
func NewHub() *Hub {
	return &Hub{byDevice: map[string][]*listener{}, byBucket: map[string]map[*listener]struct{}{}}
}

func (h *Hub) setMax(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.max = n
}

// listener is one live connection's place in the hub.
type listener struct {
	device  string
	buckets []string          // guarded by the hub's mutex
	wake    chan struct{}     // holds one token while pending is not empty
	end     chan struct{}     // closed when the connection is to end
	ended   bool              // guarded by the hub's mutex
	pending map[string]uint64 // latest seq by bucket, guarded by mu
	mu      sync.Mutex
}

// Poke tells which buckets grew. It is what loop.Options.Poke is given.
func (h *Hub) Poke(grown []syncproto.BucketSeq) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, g := range grown {
		for l := range h.byBucket[g.Bucket] {
			l.add(g)
		}
	}
}

func (l *listener) add(g syncproto.BucketSeq) {
	l.mu.Lock()
	if l.pending == nil {
		l.pending = map[string]uint64{}
	}
	l.pending[g.Bucket] = max(l.pending[g.Bucket], g.Seq)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// take empties what is pending, in order of buckets.
func (l *listener) take() []syncproto.BucketSeq {
	l.mu.Lock()
	pending := l.pending
	l.pending = nil // an idle connection keeps no table
	l.mu.Unlock()
	list := make([]syncproto.BucketSeq, 0, len(pending))
	for b, seq := range pending {
		list = append(list, syncproto.BucketSeq{Bucket: b, Seq: seq})
	}
	slices.SortFunc(list, func(a, b syncproto.BucketSeq) int { return strings.Compare(a.Bucket, b.Bucket) })
	return list
}

// listen adds a connection of a device. It hears of no bucket before follow.
func (h *Hub) listen(device string) (*listener, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errClosing
	}
	if mine := h.byDevice[device]; len(mine) >= maxPerDevice {
		h.drop(mine[0])
	}
	if h.max > 0 && h.count >= h.max {
		return nil, errLive
	}
	l := &listener{device: device, wake: make(chan struct{}, 1), end: make(chan struct{})}
	h.byDevice[device] = append(h.byDevice[device], l)
	h.count++
	return l, nil
}

var errLive = syncproto.Refuse(syncproto.CodeUnavailable, "too many live connections")

// follow replaces the buckets that a connection hears of; what is pending of others is forgotten.
func (h *Hub) follow(l *listener, buckets []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l.ended {
		return
	}
	h.unfollow(l)
	l.buckets = buckets
	for _, b := range buckets {
		if h.byBucket[b] == nil {
			h.byBucket[b] = map[*listener]struct{}{}
		}
		h.byBucket[b][l] = struct{}{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for b := range l.pending {
		if !slices.Contains(buckets, b) {
			delete(l.pending, b)
		}
	}
}

func (h *Hub) unfollow(l *listener) {
	for _, b := range l.buckets {
		delete(h.byBucket[b], l)
		if len(h.byBucket[b]) == 0 {
			delete(h.byBucket, b)
		}
	}
	l.buckets = nil
}

// leave takes a connection out; it may have been dropped before.
func (h *Hub) leave(l *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(l)
}

func (h *Hub) drop(l *listener) {
	if l.ended {
		return
	}
	l.ended = true
	close(l.end)
	h.unfollow(l)
	h.count--
	rest := slices.DeleteFunc(h.byDevice[l.device], func(x *listener) bool { return x == l })
	if len(rest) == 0 {
		delete(h.byDevice, l.device)
		return
	}
	h.byDevice[l.device] = rest
}

// Close ends every connection and takes no more.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, list := range h.byDevice {
		for _, l := range slices.Clone(list) {
			h.drop(l)
		}
	}
}
