package device_test

import (
	"testing"

	sp "aidloop/syncproto"
)

// What is only on this phone is counted, groups and photos, with the oldest and the time that sending takes, until the
// server's answer is heard.
func TestBacklogIsCounted(t *testing.T) {
	e, _ := phone(t)
	size := int64(put(t, e, "a", 1).Size + put(t, e, "b", 2).Size)
	if _, err := e.AddBlob([]byte("a photo"), "image/jpeg"); err != nil {
		t.Fatal(err)
	}
	st, err := e.Status(size + 7)
	if err != nil || st.OnlyHere != 2 || st.Photos != 1 || st.OnlyBytes != size+7 || st.Seconds != 1 || st.Oldest != now.Wall {
		t.Errorf("%+v %v", st, err)
	}
	judged := []sp.Outcome{{Dseq: 1, Status: sp.GroupJudged}, {Dseq: 2, Status: sp.GroupHeld, Code: sp.CodeStaleState}}
	mustTake(t, e, reply(2).json(sp.FrameOutcomes, sp.Outcomes{Groups: judged}).end())
	if st, err = e.Status(0); err != nil || st.OnlyHere != 0 || st.Photos != 1 || len(st.Held) != 1 {
		t.Errorf("%+v %v", st, err)
	}
}
