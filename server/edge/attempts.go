package edge

import (
	"net/netip"
	"sync"
	"time"

	"aidloop/syncproto"
)

// Attempts bounds how often something that is open to everybody may be tried in a minute, such as guessing a secret: by one
// network, and by all together. An attempt that is given back does not count, so that a town can enrol forty phones behind
// one address. Its table needs no sweeper: a network enters it only by taking one of the attempts that all share, and it is
// emptied every minute.
type Attempts struct {
	clock      func() time.Time
	each, all  int
	mu         sync.Mutex
	minute     int64
	taken      int
	byNetwork  map[netip.Addr]int
	generation int64 // of the table, so that a late refund does not reach into the next minute
}

// NewAttempts allows so many attempts a minute to each network, and so many to all together.
func NewAttempts(clock func() time.Time, each, all int) *Attempts {
	return &Attempts{clock: clock, each: each, all: all, byNetwork: map[netip.Addr]int{}}
}

// Try takes one attempt. The caller gives it back where the guess was right.
func (g *Attempts) Try(from netip.Addr) (right func(), err error) {
	from = Network(from)
	g.mu.Lock()
	defer g.mu.Unlock()
	if minute := g.clock().Unix() / 60; minute != g.minute {
		g.minute, g.taken = minute, 0
		g.generation++
		clear(g.byNetwork)
	}
	if g.byNetwork[from] >= g.each || g.taken >= g.all {
		return nil, syncproto.Refuse(syncproto.CodeTooMany, "")
	}
	g.taken++
	g.byNetwork[from]++
	generation := g.generation
	return func() { g.refund(from, generation) }, nil
}

func (g *Attempts) refund(from netip.Addr, generation int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.generation == generation {
		g.taken--
		if g.byNetwork[from]--; g.byNetwork[from] <= 0 {
			delete(g.byNetwork, from)
		}
	}
}
