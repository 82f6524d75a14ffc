package sqlite

import (
	"sync"

	"aidloop/syncproto"
)

// names knows the numbers of buckets, as far as they are committed. Buckets are never renumbered, so what it knows
// stays true.
type names struct {
	mu     sync.RWMutex
	byName map[string]int64
	byN    map[int64]string
}

func (m *names) init() { m.byName, m.byN = map[string]int64{}, map[int64]string{} }

func (m *names) number(name string) (int64, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, ok := m.byName[name]
	return n, ok
}

func (m *names) name(n int64) (string, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	s, ok := m.byN[n]
	return s, ok
}

func (m *names) add(name string, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.byName[name], m.byN[n] = n, name
}

// maxRoots bounds what the writer remembers of roots.
const maxRoots = 100_000

// roots remembers, for the writer, the numbers of roots and of buckets that its transaction gave out. What a write
// named that is taken back is forgotten with it; what was committed is remembered until there is too much of it.
type roots struct {
	known   map[syncproto.Ref]int64
	batch   given // by the writes of this transaction that are kept so far
	current given // by the present write
}

type given struct {
	roots   map[syncproto.Ref]int64
	buckets map[string]int64
}

func (g *given) clear() {
	clear(g.roots)
	clear(g.buckets)
}

func newGiven() given { return given{map[syncproto.Ref]int64{}, map[string]int64{}} }

func newRoots() *roots {
	return &roots{known: map[syncproto.Ref]int64{}, batch: newGiven(), current: newGiven()}
}

func (r *roots) begin() {
	r.batch.clear()
	r.current.clear()
}

// mark keeps what the write before gave out, within the transaction.
func (r *roots) mark() {
	for k, v := range r.current.roots {
		r.batch.roots[k] = v
	}
	for k, v := range r.current.buckets {
		r.batch.buckets[k] = v
	}
	r.current.clear()
}

func (r *roots) undo() { r.current.clear() }

// keep makes everything known after the commit.
func (r *roots) keep(m *names) {
	r.mark()
	if len(r.known)+len(r.batch.roots) > maxRoots {
		clear(r.known)
	}
	for k, v := range r.batch.roots {
		r.known[k] = v
	}
	for k, v := range r.batch.buckets {
		m.add(k, v)
	}
	r.batch.clear()
}

func (r *roots) root(ref syncproto.Ref) (int64, bool) {
	for _, m := range []map[syncproto.Ref]int64{r.known, r.batch.roots, r.current.roots} {
		if n, ok := m[ref]; ok {
			return n, true
		}
	}
	return 0, false
}

func (r *roots) bucket(name string) (int64, bool) {
	for _, m := range []map[string]int64{r.batch.buckets, r.current.buckets} {
		if n, ok := m[name]; ok {
			return n, true
		}
	}
	return 0, false
}
