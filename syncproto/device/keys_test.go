package device

import (
	"testing"

	"aidloop/syncproto"
)

// A phone asks for its user's key where anything in its user's bucket needs it, whatever version it is of: a server that
// was put back may seal under an older one than the phone was given.
func TestWhatNeedsTheUsersKey(t *testing.T) {
	mine, other := syncproto.Key{1}, syncproto.Key{2}
	notice := syncproto.Ref{Kind: "notice", ID: "n-1"}
	under := func(k syncproto.Key) any {
		return syncproto.NewSealer(k).Seal(notice, "text", syncproto.Raw(`"内容"`))
	}
	cases := []struct {
		what, kind string
		fields     map[string]any
		lacks      bool
	}{
		{"a grant", "grant", map[string]any{"state": "active", "current": other.ID()}, true},
		{"a grant that opens", "grant", map[string]any{"state": "active", "current": mine.ID()}, false},
		{"a grant that has ended", "grant", map[string]any{"state": "revoked"}, false},
		{"the key record", "key", map[string]any{"current": other.ID()}, true},
		{"the key record, under the key that is here", "key", map[string]any{"current": mine.ID()}, false},
		{"a notice", "notice", map[string]any{"title": "更正已采纳", "text": under(other)}, true},
		{"a notice that opens", "notice", map[string]any{"title": "更正已采纳", "text": under(mine)}, false},
		{"a notice without a text", "notice", map[string]any{"title": "更正已采纳"}, false},
	}
	for _, c := range cases {
		r := &ring{}
		r.Add(mine)
		rec := &syncproto.Record{Envelope: syncproto.Envelope{Ref: syncproto.Ref{Kind: c.kind, ID: "n-1"}}, Body: syncproto.Fields(c.fields)}
		if got := r.lacks(rec); got != c.lacks {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}
