package casework_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"aidloop/server/casework"
)

// A sample has its size and no unit twice, does not depend on the order of the units, has every layer where the size allows
// it, and gives a layer about its share.
func TestSamplesAreStratified(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		layers := rapid.SliceOfN(rapid.IntRange(1, 40), 1, 8).Draw(t, "layers")
		var units []casework.Unit
		for i, n := range layers {
			for k := range n {
				units = append(units, casework.Unit{ID: fmt.Sprintf("%d-%d", i, k), Stratum: fmt.Sprint(i)})
			}
		}
		size := rapid.IntRange(0, len(units)+5).Draw(t, "size")
		got := casework.Stratify(units, size, "s")
		if len(got) != min(size, len(units)) {
			t.Fatalf("%d of %d, want %d", len(got), len(units), size)
		}
		shuffled := rapid.Permutation(units).Draw(t, "order")
		if again := casework.Stratify(shuffled, size, "s"); !slices.Equal(got, again) {
			t.Fatal("the order of the units changes the sample")
		}
		if len(got) > 0 && len(slices.Compact(slices.Sorted(slices.Values(got)))) != len(got) {
			t.Fatal("a unit is drawn twice")
		}
		for i, n := range layers {
			drawn := 0
			for _, u := range units {
				if u.Stratum == fmt.Sprint(i) && slices.Contains(got, u.ID) {
					drawn++
				}
			}
			share := float64(n) * float64(size) / float64(len(units))
			if size >= len(layers) && drawn == 0 || float64(drawn) > max(1, share)+1 {
				t.Fatalf("%d of a layer of %d, whose share is %.1f", drawn, n, share)
			}
		}
	})
}

func TestSamplesFollowTheirSeed(t *testing.T) {
	var units []casework.Unit
	for i := range 200 {
		units = append(units, casework.Unit{ID: fmt.Sprint(i), Stratum: "x"})
	}
	if slices.Equal(casework.Stratify(units, 20, "a"), casework.Stratify(units, 20, "b")) {
		t.Error("another seed gives the same sample")
	}
}

func TestIncomeBands(t *testing.T) {
	for fen, want := range map[int64]string{-1: "3000元以下", 0: "3000元以下", 299_999: "3000元以下", 300_000: "3000—6000元", 2_000_000: "20000元以上"} {
		if got := casework.IncomeBand(fen); got != want {
			t.Errorf("%d is %q, want %q", fen, got, want)
		}
	}
}
