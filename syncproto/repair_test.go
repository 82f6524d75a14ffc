package syncproto_test

import (
	"errors"
	"testing"

	sp "aidloop/syncproto"
)

// A want that no device can mean is refused before anybody works on it.
func TestRepairsAreBounded(t *testing.T) {
	good := sp.Repair{Bucket: "ref", Cursor: "inc:1", Count: 1000, Digest: sp.Hash{}.String(), Leaves: (&sp.Leaves{}).Bytes()}
	with := func(fn func(*sp.Repair)) []sp.Repair {
		r := good
		fn(&r)
		return []sp.Repair{r}
	}
	for name, x := range map[string]struct {
		repair []sp.Repair
		code   sp.Code
	}{
		"good":              {with(func(r *sp.Repair) {}), ""},
		"no leaves":         {with(func(r *sp.Repair) { r.Leaves = nil }), ""},
		"too few leaves":    {with(func(r *sp.Repair) { r.Leaves = r.Leaves[1:] }), sp.CodeMalformed},
		"no bucket":         {with(func(r *sp.Repair) { r.Bucket = "" }), sp.CodeMalformed},
		"less than nothing": {with(func(r *sp.Repair) { r.Count = -1 }), sp.CodeMalformed},
		"no digest":         {with(func(r *sp.Repair) { r.Digest = "0" }), sp.CodeMalformed},
		"no cursor":         {with(func(r *sp.Repair) { r.Cursor = "" }), sp.CodeMalformed},
		"too many":          {make([]sp.Repair, sp.MaxCursors+1), sp.CodeTooLarge},
	} {
		b := sp.AppendJSON(nil, sp.FrameHello, sp.Hello{Versions: [2]int{1, 1}, Device: "d"})
		b = sp.AppendJSON(b, sp.FrameWant, sp.Want{Cursors: []sp.BucketCursor{}, Repair: x.repair})
		b = sp.AppendJSON(b, sp.FrameEnd, sp.End{Frames: 2})
		_, err := sp.ParseRequest(b)
		var refusal *sp.Error
		if errors.As(err, &refusal); (refusal == nil) != (x.code == "") || refusal != nil && refusal.Code != x.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}
