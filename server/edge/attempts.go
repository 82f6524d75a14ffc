package mobileapi

import (
	"net/netip"
	"sync"
	"time"

	"aidloop/server/edge"
	"aidloop/syncproto"
)

// guesses bounds how often secrets may be guessed, in a minute: by one network, and by all together. Right ones do not
// count, so that a town can enrol forty phones behind one address. Its table needs no sweeper: a network enters it only
// by taking one of the attempts that all share, and it is emptied every minute.
type guesses struct {
	clock      func() time.Time
	each, all  int
	mu         sync.Mutex
	minute     int64
	taken      int
	byNetwork  map[netip.Addr]int
	generation int64 // of the table, so that a late refund does not reach into the next minute
}

func newGuesses(clock func() time.Time, each, all int) *guesses {
	return &guesses{clock: clock, each: each, all: all, byNetwork: map[netip.Addr]int{}}
}

// try takes one attempt. The caller gives it back where the guess was right.
func (g *guesses) try(from netip.Addr) (right func(), err error) {
	from = edge.Network(from)
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

func (g *guesses) refund(from netip.Addr, generation int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.generation == generation {
		g.taken--
		if g.byNetwork[from]--; g.byNetwork[from] <= 0 {
			delete(g.byNetwork, from)
		}
	}
}
