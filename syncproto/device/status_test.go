package device_test

import (
	"bytes"
	"errors"
	"testing"

	sp "aidloop/syncproto"
	"aidloop/syncproto/device"
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

// A photo that has rotted on the phone is refused, set aside and counted; the others go on.
func TestSpoiltPhotoDoesNotHoldUpTheOthers(t *testing.T) {
	e, store := phone(t)
	sha, err := e.AddBlob([]byte("a"), "image/png")
	if err == nil {
		_, err = e.AddBlob([]byte("a larger one"), "image/jpeg")
	}
	if err == nil {
		err = store.Update(func(tx device.Tx) error {
			data, err := tx.Get("blobdata/" + sha)
			if err == nil {
				data = bytes.Clone(data)
				data[0] ^= 1
				err = tx.Put("blobdata/"+sha, data)
			}
			return err
		})
	}
	b, nerr := e.NextBlob()
	if err != nil || nerr != nil || b.SHA256 != sha {
		t.Fatal(err, nerr, b)
	}
	if _, err := e.BlobData(sha); !errors.Is(err, device.ErrSpoilt) {
		t.Fatal(err)
	}
	if err := e.SetAside(sha); err != nil {
		t.Fatal(err)
	}
	b, err = e.NextBlob()
	st, serr := e.Status(0)
	if err != nil || b == nil || b.SHA256 == sha || serr != nil || st.Photos != 2 || st.Stuck != 1 {
		t.Errorf("%v %+v %v; %+v %v", err, b, err, st, serr)
	}
}
