// Package devicetest is what every store of a device must do.
package devicetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"aidloop/syncproto/device"
)

// Run checks a kind of store. open opens the one in dir; close lets it be opened again, and is called before that.
func Run(t *testing.T, open func(t *testing.T, dir string) (s device.Store, close func())) {
	t.Run("laws", func(t *testing.T) { laws(t, open) })
	t.Run("survives", func(t *testing.T) { survives(t, open) })
	t.Run("views do not write", func(t *testing.T) {
		s, closeIt := open(t, t.TempDir())
		defer closeIt()
		err := s.View(func(tx device.Tx) error { return errors.Join(tx.Put("a", nil), tx.Delete("a")) })
		if !errors.Is(err, device.ErrReadOnly) {
			t.Errorf("a view wrote: %v", err)
		}
	})
}

var errBack = errors.New("take it back")

// laws runs random transactions on the store and on a plain map.
func laws(t *testing.T, open func(*testing.T, string) (device.Store, func())) {
	s, closeIt := open(t, t.TempDir())
	defer closeIt()
	model := map[string]string{}
	rapid.Check(t, func(r *rapid.T) {
		next := maps.Clone(model)
		fail := rapid.Bool().Draw(r, "fail")
		err := s.Update(func(tx device.Tx) error {
			for range rapid.IntRange(0, 20).Draw(r, "steps") {
				key := rapid.SampledFrom([]string{"a", "a/", "a/b", "a/bc", "b", "行/一", "行/二", "ab"}).Draw(r, "key")
				switch rapid.IntRange(0, 3).Draw(r, "what") {
				case 0:
					value := rapid.StringN(0, 40, 200).Draw(r, "value")
					if err := tx.Put(key, []byte(value)); err != nil {
						return err
					}
					next[key] = value
				case 1:
					if err := tx.Delete(key); err != nil {
						return err
					}
					delete(next, key)
				case 2:
					same(r, tx, next, key)
				default:
					got, err := tx.Get(key)
					if want, ok := next[key]; err != nil || string(got) != want || ok != (got != nil) {
						r.Fatalf("get %q: %q, %v; want %q", key, got, err, want)
					}
				}
			}
			if fail {
				return errBack
			}
			return nil
		})
		if fail != errors.Is(err, errBack) {
			r.Fatal(err)
		}
		if !fail {
			model = next
		}
		if err := s.View(func(tx device.Tx) error { same(r, tx, model, ""); return nil }); err != nil {
			r.Fatal(err)
		}
	})
}

// same compares a scan with the model.
func same(r *rapid.T, tx device.Tx, model map[string]string, prefix string) {
	var got, want []string
	err := tx.Scan(prefix, func(key string, value []byte) (bool, error) {
		got = append(got, key+"="+string(value))
		return true, nil
	})
	for _, k := range slices.Sorted(maps.Keys(model)) {
		if strings.HasPrefix(k, prefix) {
			want = append(want, k+"="+model[k])
		}
	}
	if err != nil || !slices.Equal(got, want) {
		r.Fatalf("scan %q: %q, %v; want %q", prefix, got, err, want)
	}
}

// survives writes more than one page of a scan, opens the store again, and finds all of it.
func survives(t *testing.T, open func(*testing.T, string) (device.Store, func())) {
	dir := t.TempDir()
	s, closeIt := open(t, dir)
	const n = 1000
	if err := s.Update(func(tx device.Tx) error {
		for i := range n {
			if err := tx.Put(fmt.Sprintf("row/%04d", i), []byte(strings.Repeat("x", i))); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	closeIt()
	s, closeIt = open(t, dir)
	defer closeIt()
	seen := 0
	err := s.View(func(tx device.Tx) error {
		return tx.Scan("row/", func(key string, value []byte) (bool, error) {
			if want := fmt.Sprintf("row/%04d", seen); key != want || len(value) != seen {
				return false, fmt.Errorf("%s has %d bytes at place %d", key, len(value), seen)
			}
			seen++
			return true, nil
		})
	})
	if err != nil || seen != n {
		t.Errorf("%d entries of %d, %v", seen, n, err)
	}
}
