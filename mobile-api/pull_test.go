package mobileapi_test

import (
	"testing"

	"aidloop/syncproto"
)

// A pull from where the phone stands brings what changed since and nothing else, its own writes among it.
func TestALaterPullBringsOnlyWhatChanged(t *testing.T) {
	w := newWorld(t)
	p := w.phone(anna)
	bucket := syncproto.BucketGrid + gridA
	push := p.households(gridA, "h1", "h2", "h3")
	push.want = &syncproto.Want{}
	at := p.exchange(push).checkpoints[bucket]
	if at.Count != 3 {
		t.Fatalf("%+v", at)
	}
	one := p.households(gridA, "h4")
	one.want = &syncproto.Want{Cursors: []syncproto.BucketCursor{{Bucket: bucket, Cursor: syncproto.Cursor{Incarnation: at.Incarnation, Seq: at.Seq}.String()}}}
	got := p.exchange(one)
	if len(got.rows[bucket]) != 1 || got.checkpoints[bucket].Count != 4 {
		t.Errorf("%d rows came for one change: %+v", len(got.rows[bucket]), got)
	}
}
