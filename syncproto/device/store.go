// Package device is the reference device engine: everything that a phone does offline and during an exchange, as a
// step machine without HTTP, clocks or goroutines. The caller passes clock readings in and carries bytes to and fro.
//
//	capture.go   what a person does: a group is sealed, frozen, chained and kept, in one transaction
//	view.go      what a person sees: the server's rows under what is still pending
//	request.go   what the phone says           response.go  what it hears, frame by frame
//	checkpoint.go when it becomes visible          repair.go    what happens where rows do not add up
//	export.go    what it says in a bundle      import.go    what it hears in a reply to one
//	keys.go      which sealed fields it can open
//	status.go    what is only on this phone, held, rejected, in conflict
package device

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// Store keeps a device's data: an ordered map from text keys to bytes, changed in transactions. It may be killed
// between any two calls.
type Store interface {
	// Update runs fn in a transaction. When it returns nil, everything that fn wrote is durable; otherwise nothing is.
	Update(fn func(Tx) error) error
	// View runs fn on one consistent state.
	View(fn func(Tx) error) error
}

// Tx is a transaction. Bytes that it hands out may be kept; bytes that it is given are copied.
type Tx interface {
	// Get returns the value under a key, nil where there is none.
	Get(key string) ([]byte, error)
	Put(key string, value []byte) error
	Delete(key string) error
	// Scan hands over the entries whose keys begin with prefix, in ascending order of keys. fn must not write, and
	// returns false to stop.
	Scan(prefix string, fn func(key string, value []byte) (bool, error)) error
}

// ErrReadOnly is returned by writes inside View.
var ErrReadOnly = errors.New("device: a view cannot write")

// Memory is a Store in memory, for tests, simulations and benchmarks.
type Memory struct {
	data map[string][]byte
	keys []string // of data, ascending, but for those that came or went since the last scan
	came []string
	went bool
}

// NewMemory makes an empty Memory.
func NewMemory() *Memory { return &Memory{data: map[string][]byte{}} }

// Clone is a copy of the store as it stands, such as a phone's backup.
func (m *Memory) Clone() *Memory {
	return &Memory{maps.Clone(m.data), slices.Clone(m.sorted()), nil, false}
}

func (m *Memory) set(key string, value []byte) {
	if _, ok := m.data[key]; !ok {
		m.came = append(m.came, key)
	}
	m.data[key] = value
}

func (m *Memory) remove(key string) {
	delete(m.data, key)
	m.went = true
}

// sorted brings the list of keys up to date.
func (m *Memory) sorted() []string {
	if m.went {
		gone := func(k string) bool { _, ok := m.data[k]; return !ok }
		m.keys, m.came, m.went = slices.DeleteFunc(m.keys, gone), slices.DeleteFunc(m.came, gone), false
	}
	if len(m.came) > 0 {
		m.keys = append(m.keys, m.came...)
		slices.Sort(m.keys)
		m.keys, m.came = slices.Compact(m.keys), m.came[:0] // what went and came again is listed twice
	}
	return m.keys
}

// Update runs fn on the map and undoes its writes where it fails.
func (m *Memory) Update(fn func(Tx) error) error {
	t := &memoryTx{m: m, undo: map[string][]byte{}}
	if err := fn(t); err != nil {
		for k, v := range t.undo {
			if v == nil {
				m.remove(k)
			} else {
				m.set(k, v)
			}
		}
		return err
	}
	return nil
}

// View runs fn on the map.
func (m *Memory) View(fn func(Tx) error) error { return fn(&memoryTx{m: m}) }

type memoryTx struct {
	m    *Memory
	undo map[string][]byte // former values; nil: there was none
}

func (t *memoryTx) Get(key string) ([]byte, error) { return t.m.data[key], nil }

func (t *memoryTx) remember(key string) error {
	if t.undo == nil {
		return ErrReadOnly
	}
	if _, ok := t.undo[key]; !ok {
		t.undo[key] = t.m.data[key]
	}
	return nil
}

func (t *memoryTx) Put(key string, value []byte) error {
	if err := t.remember(key); err != nil {
		return err
	}
	t.m.set(key, append([]byte{}, value...))
	return nil
}

func (t *memoryTx) Delete(key string) error {
	if err := t.remember(key); err != nil {
		return err
	}
	t.m.remove(key)
	return nil
}

func (t *memoryTx) Scan(prefix string, fn func(string, []byte) (bool, error)) error {
	keys := t.m.sorted()
	i, _ := slices.BinarySearch(keys, prefix)
	for ; i < len(keys) && strings.HasPrefix(keys[i], prefix); i++ {
		k := keys[i]
		if more, err := fn(k, t.m.data[k]); err != nil || !more {
			return err
		}
	}
	return nil
}
