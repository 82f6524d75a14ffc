// Package device is the reference device engine: everything that a phone does offline and during an exchange, as a
// step machine without HTTP, clocks or goroutines. The caller passes clock readings in and carries bytes to and fro.
//
//	capture.go   what a person does: a group is sealed, frozen, chained and kept, in one transaction
//	view.go      what a person sees: the server's rows under what is still pending
//	request.go   what the phone says           response.go  what it hears, frame by frame
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
type Memory struct{ data map[string][]byte }

// NewMemory makes an empty Memory.
func NewMemory() *Memory { return &Memory{map[string][]byte{}} }

// Clone is a copy of the store as it stands, such as a phone's backup.
func (m *Memory) Clone() *Memory { return &Memory{maps.Clone(m.data)} }

// Update runs fn on the map and undoes its writes where it fails.
func (m *Memory) Update(fn func(Tx) error) error {
	t := &memoryTx{data: m.data, undo: map[string][]byte{}}
	if err := fn(t); err != nil {
		for k, v := range t.undo {
			if v == nil {
				delete(m.data, k)
			} else {
				m.data[k] = v
			}
		}
		return err
	}
	return nil
}

// View runs fn on the map.
func (m *Memory) View(fn func(Tx) error) error { return fn(&memoryTx{data: m.data}) }

type memoryTx struct {
	data map[string][]byte
	undo map[string][]byte // former values; nil: there was none
}

func (t *memoryTx) Get(key string) ([]byte, error) { return t.data[key], nil }

func (t *memoryTx) remember(key string) error {
	if t.undo == nil {
		return ErrReadOnly
	}
	if _, ok := t.undo[key]; !ok {
		t.undo[key] = t.data[key]
	}
	return nil
}

func (t *memoryTx) Put(key string, value []byte) error {
	if err := t.remember(key); err != nil {
		return err
	}
	t.data[key] = append([]byte{}, value...)
	return nil
}

func (t *memoryTx) Delete(key string) error {
	if err := t.remember(key); err != nil {
		return err
	}
	delete(t.data, key)
	return nil
}

func (t *memoryTx) Scan(prefix string, fn func(string, []byte) (bool, error)) error {
	var keys []string
	for k := range t.data {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		if more, err := fn(k, t.data[k]); err != nil || !more {
			return err
		}
	}
	return nil
}
