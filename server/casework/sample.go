package casework

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
)

// EvaluationMachine takes a third party's evaluation from the draw of its sample to its acceptance.
var EvaluationMachine = &Machine{"evaluation", "第三方评估", []Transition{
	{"", "draw", bureau, "", "open"},
	{"open", "submit", evaluator, "assessed", "submitted"},
	{"submitted", "send_back", bureau, "reasoned", "open"},
	{"submitted", "accept", bureau, "", "closed"},
	{"open", "cancel", bureau, "reasoned", "cancelled"},
}}

var evaluator = []Role{RoleEvaluator}

func assessed(f Facts) error {
	return require(f.Unassessed == 0, "样本中还有没有评估的户,请全部评估后再提交。")
}

// Unit is something that can be drawn into a sample: its id, and the layer that it lies in.
type Unit struct{ ID, Stratum string }

// Stratify draws a sample of a size: every layer has a share by its number of units (largest remainders), and at least one
// as long as the size allows it. Within a layer the units with the smallest SHA-256 of seed and id are drawn, so that the
// same seed over the same units gives the same sample, in whatever order they come. The sample is in order of those
// hashes, which says nothing about layers.
func Stratify(units []Unit, size int, seed string) []string {
	layers := map[string][]string{}
	for _, u := range units {
		layers[u.Stratum] = append(layers[u.Stratum], u.ID)
	}
	hash := func(id string) string {
		h := sha256.Sum256([]byte(seed + "\n" + id))
		return hex.EncodeToString(h[:])
	}
	byHash := func(a, b string) int { return cmp.Compare(hash(a), hash(b)) }
	var drawn []string
	for name, n := range shares(layers, min(size, len(units))) {
		slices.SortFunc(layers[name], byHash)
		drawn = append(drawn, layers[name][:n]...)
	}
	slices.SortFunc(drawn, byHash)
	return drawn
}

// shares says how many of each layer are drawn.
func shares(layers map[string][]string, size int) map[string]int {
	names := slices.Sorted(maps.Keys(layers))
	total := 0
	for _, l := range layers {
		total += len(l)
	}
	n, left := map[string]int{}, size
	// The largest layers first, where there is not one for each.
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(layers[b]), len(layers[a])), cmp.Compare(a, b))
	})
	for _, name := range names {
		if left > 0 {
			n[name], left = 1, left-1
		}
	}
	for left > 0 {
		best, lack := "", -1
		for _, name := range names {
			// How far the layer is behind its share, in units of 1/total of a household.
			if behind := len(layers[name])*size - n[name]*total; n[name] < len(layers[name]) && (best == "" || behind > lack) {
				best, lack = name, behind
			}
		}
		n[best], left = n[best]+1, left-1
	}
	return n
}

// IncomeBand says an income per head and year, in 分, without the sum itself.
func IncomeBand(fen int64) string {
	for _, b := range []struct {
		below int64
		label string
	}{{300_000, "3000元以下"}, {600_000, "3000—6000元"}, {1_000_000, "6000—10000元"}, {2_000_000, "10000—20000元"}} {
		if fen < b.below {
			return b.label
		}
	}
	return "20000元以上"
}
