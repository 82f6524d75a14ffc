package mobileapi

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"aidloop/syncproto"
)

func TestGateTurnsAwayWhatCannotWait(t *testing.T) {
	g := newGate(Limits{Exchanges: 1, Waiting: 1, Wait: time.Hour})
	leave, err := g.enter(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	entered := make(chan func())
	go func() {
		leave, err := g.enter(context.Background())
		if err != nil {
			leave = nil
		}
		entered <- leave
	}()
	for g.waiting.Load() != 1 { // until the second one is in the queue
		runtime.Gosched()
	}
	if _, err := g.enter(context.Background()); !errors.Is(err, errBusy) {
		t.Fatal("a third one got in:", err)
	}
	leave()
	second := <-entered
	if second == nil {
		t.Fatal("the second one was turned away")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := g.enter(ctx); !errors.Is(err, errBusy) {
		t.Fatal("waited beyond the caller's context:", err)
	}
	g.close()
	g.close()
	second()
	if _, err := g.enter(context.Background()); !errors.Is(err, errClosing) {
		t.Fatal("let in after closing:", err)
	}
}

func TestAcceptEncoding(t *testing.T) {
	for header, want := range map[string]string{
		"": "", "gzip": "gzip", "gzip, deflate, br, zstd": "zstd", "zstd;q=0, gzip": "gzip", "*": "zstd", "*;q=0": "",
		"identity": "", "GZIP;q=0.5": "gzip", "zstd;q=x": "", "*, zstd;q=0.0": "gzip",
	} {
		if got := acceptEncoding(header); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}

// TestHubTellsExactlyWhatIsFollowed plays random pokes, scopes and connections against a plain model.
func TestHubTellsExactlyWhatIsFollowed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := NewHub()
		h.setMax(8)
		bucket := rapid.Custom(func(t *rapid.T) string { return fmt.Sprintf("b%d", rapid.IntRange(0, 3).Draw(t, "b")) })
		type model struct {
			l       *listener
			follows []string
			pending map[string]uint64
		}
		var open []*model
		seq := uint64(0)
		t.Repeat(map[string]func(*rapid.T){
			"listen": func(t *rapid.T) {
				device := fmt.Sprintf("d%d", rapid.IntRange(0, 2).Draw(t, "d"))
				same := slices.IndexFunc(open, func(m *model) bool { return m.l.device == device })
				n := 0
				for _, m := range open {
					if m.l.device == device {
						n++
					}
				}
				if n == maxPerDevice {
					open = slices.Delete(open, same, same+1)
				}
				l, err := h.listen(device)
				if (err == nil) != (len(open) < 8) {
					t.Fatal(len(open), err)
				}
				if err == nil {
					open = append(open, &model{l: l, pending: map[string]uint64{}})
				}
			},
			"follow": func(t *rapid.T) {
				if len(open) == 0 {
					return
				}
				m := rapid.SampledFrom(open).Draw(t, "who")
				m.follows = rapid.SliceOfNDistinct(bucket, 0, 4, rapid.ID).Draw(t, "buckets")
				h.follow(m.l, m.follows)
				for b := range m.pending {
					if !slices.Contains(m.follows, b) {
						delete(m.pending, b)
					}
				}
			},
			"poke": func(t *rapid.T) {
				seq++
				b := bucket.Draw(t, "bucket")
				h.Poke([]syncproto.BucketSeq{{Bucket: b, Seq: seq}})
				for _, m := range open {
					if slices.Contains(m.follows, b) {
						m.pending[b] = seq
					}
				}
			},
			"take": func(t *rapid.T) {
				if len(open) == 0 {
					return
				}
				m := rapid.SampledFrom(open).Draw(t, "who")
				if len(m.pending) > 0 && len(m.l.wake) == 0 {
					t.Fatal("something is pending and nobody was woken")
				}
				select {
				case <-m.l.wake:
				default:
				}
				got := m.l.take()
				if len(got) != len(m.pending) {
					t.Fatalf("got %v, want %v", got, m.pending)
				}
				for _, g := range got {
					if m.pending[g.Bucket] != g.Seq {
						t.Fatalf("got %v, want %v", got, m.pending)
					}
				}
				clear(m.pending)
			},
			"leave": func(t *rapid.T) {
				if len(open) == 0 {
					return
				}
				i := rapid.IntRange(0, len(open)-1).Draw(t, "i")
				h.leave(open[i].l)
				h.leave(open[i].l)
				open = slices.Delete(open, i, i+1)
			},
			"": func(t *rapid.T) {
				if h.count != len(open) {
					t.Fatalf("%d connections, want %d", h.count, len(open))
				}
			},
		})
		h.Close()
		if h.count != 0 || len(h.byBucket) != 0 || len(h.byDevice) != 0 {
			t.Fatal("something is left after Close:", h.count, h.byBucket, h.byDevice)
		}
		if _, err := h.listen("d"); err == nil {
			t.Fatal("listening after Close")
		}
	})
}
