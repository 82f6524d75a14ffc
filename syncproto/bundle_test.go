package syncproto_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"testing"

	"pgregory.net/rapid"

	sp "aidloop/syncproto"
)

// message is a small request that says who it is.
func message(name string) []byte {
	b := sp.AppendJSON(nil, sp.FrameHello, sp.Hello{Device: name})
	return sp.AppendJSON(b, sp.FrameEnd, sp.End{Frames: 1})
}

type photo struct {
	sp.BundlePhoto
	data []byte
}

func photoOf(data []byte) photo {
	return photo{sp.BundlePhoto{SHA256: sp.GroupHash(data).String(), Size: int64(len(data)), MIME: "image/png"}, data}
}

func writeBundle(t interface{ Fatal(...any) }, messages [][]byte, photos []photo) []byte {
	var b bytes.Buffer
	head := sp.BundleHead{Kind: sp.BundlePush, Device: "d", Created: 7}
	w, err := sp.NewBundleWriter(&b, sp.SignBundle(ed25519.NewKeyFromSeed(make([]byte, 32)), &head))
	for _, m := range messages {
		err = errors.Join(err, w.Message(m))
	}
	for _, p := range photos {
		err = errors.Join(err, w.Photo(p.BundlePhoto, p.data))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// readBundle reads as much as is good.
func readBundle(b []byte, skip bool) (messages [][]byte, photos []photo, err error) {
	r, err := sp.NewBundleReader(bytes.NewReader(b))
	for err == nil {
		var item sp.BundleItem
		if item, err = r.Next(); err != nil {
			break
		}
		if item.Message != nil {
			messages = append(messages, bytes.Clone(item.Message))
			continue
		}
		p := photo{BundlePhoto: *item.Photo}
		if !skip {
			if p.data, err = io.ReadAll(item.Data); err != nil {
				break
			}
		}
		photos = append(photos, p)
	}
	return messages, photos, err
}

func TestBundlesRoundTrip(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var messages [][]byte
		for _, s := range rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,9}`), 0, 4).Draw(r, "messages") {
			messages = append(messages, message(s))
		}
		var photos []photo
		for _, n := range rapid.SliceOfN(rapid.SampledFrom([]int{0, 1, sp.MaxFrameBytes - 1, sp.MaxFrameBytes, sp.MaxFrameBytes + 1}), 0, 3).Draw(r, "photos") {
			photos = append(photos, photoOf(bytes.Repeat([]byte{7}, n)))
		}
		b := writeBundle(r, messages, photos)
		gotM, gotP, err := readBundle(b, false)
		if err != io.EOF || len(gotM) != len(messages) || len(gotP) != len(photos) {
			r.Fatalf("%d messages, %d photos, %v", len(gotM), len(gotP), err)
		}
		for i, m := range gotM {
			if !bytes.Equal(m, messages[i]) {
				r.Fatalf("message %d has other bytes", i)
			}
		}
		for i, p := range gotP {
			if p.BundlePhoto != photos[i].BundlePhoto || !bytes.Equal(p.data, photos[i].data) {
				r.Fatalf("photo %d has other bytes", i)
			}
		}
		if _, gotP, err = readBundle(b, true); err != io.EOF || len(gotP) != len(photos) {
			r.Fatalf("photos that are passed over: %v", err)
		}
	})
}

// Every prefix of a bundle gives whole messages and photos of it, in order, and then says that it was cut.
func TestEveryPrefixOfABundle(t *testing.T) {
	messages := [][]byte{message("a"), message("bb"), message("ccc")}
	whole := writeBundle(t, messages, []photo{photoOf([]byte("photo")), photoOf(nil)})
	for n := range whole {
		gotM, gotP, err := readBundle(whole[:n], false)
		var refusal *sp.Error
		if !errors.As(err, &refusal) || refusal.Code != sp.CodeTruncated {
			t.Fatalf("%d bytes of %d: %v", n, len(whole), err)
		}
		for i, m := range gotM {
			if !bytes.Equal(m, messages[i]) {
				t.Fatalf("cut at %d: message %d has other bytes", n, i)
			}
		}
		for _, p := range gotP {
			if photoOf(p.data).SHA256 != p.SHA256 {
				t.Fatalf("cut at %d: half of a photo", n)
			}
		}
	}
	if _, _, err := readBundle(append(bytes.Clone(whole), 0), false); err == nil || err == io.EOF {
		t.Errorf("something behind the end: %v", err)
	}
}

func TestBundlesThatCannotBe(t *testing.T) {
	good := writeBundle(t, nil, nil)
	head := good[:bytes.LastIndexByte(good, 'Z')]
	end := func(m, p int) []byte {
		return sp.AppendJSON(nil, sp.FrameClose, sp.BundleClose{Messages: m, Photos: p})
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(append([][]byte{head}, parts...), nil) }
	p := func(x sp.BundlePhoto) []byte { return sp.AppendJSON(nil, sp.FramePhoto, x) }
	sha := sp.GroupHash(nil).String()
	reply := sp.AppendJSON(sp.AppendJSON(nil, sp.FrameHelloReply, sp.HelloReply{}), sp.FrameEnd, sp.End{Frames: 1})
	for name, b := range map[string][]byte{
		"no head":                  message("a"),
		"a response in a push":     join(reply, end(1, 0)),
		"a message behind a photo": join(p(sp.BundlePhoto{SHA256: sha}), message("a"), end(1, 1)),
		"a head within":            join(head, end(0, 0)),
		"a close that counts less": join(message("a"), end(0, 0)),
		"a photo without a name":   join(p(sp.BundlePhoto{SHA256: "x"}), end(0, 1)),
		"a negative size":          join(p(sp.BundlePhoto{SHA256: sha, Size: -1}), end(0, 1)),
		"a huge photo":             join(p(sp.BundlePhoto{SHA256: sha, Size: sp.MaxPhotoBytes + 1})),
		"more data than announced": join(p(sp.BundlePhoto{SHA256: sha, Size: 1}), sp.AppendFrame(nil, sp.FrameData, []byte("ab")), end(0, 1)),
		"data without end":         join(p(sp.BundlePhoto{SHA256: sha, Size: 1}), sp.AppendFrame(nil, sp.FrameData, nil), end(0, 1)),
		"a message within one":     join(message("a")[:30], message("b"), end(2, 0)),
		"a message without end":    join(bytes.Repeat(sp.AppendFrame(nil, sp.FrameGroup, make([]byte, sp.MaxFrameBytes)), 9)),
		"a later version":          bytes.Replace(good, []byte(`\"version\":1`), []byte(`\"version\":2`), 1),
	} {
		var refusal *sp.Error
		if _, _, err := readBundle(b, false); !errors.As(err, &refusal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	big := join(sp.AppendJSON(nil, sp.FrameHello, sp.Hello{Device: "d"}), bytes.Repeat(sp.AppendFrame(nil, sp.FrameGroup, make([]byte, sp.MaxFrameBytes)), 9))
	var refusal *sp.Error
	if _, _, err := readBundle(big, false); !errors.As(err, &refusal) || refusal.Code != sp.CodeTooLarge {
		t.Errorf("a message of 9 MiB: %v", err)
	}
}

func FuzzBundle(f *testing.F) {
	f.Add(writeBundle(f, [][]byte{message("a"), message("b")}, []photo{photoOf([]byte("photo"))}))
	f.Fuzz(func(t *testing.T, b []byte) {
		messages, _, err := readBundle(b, false)
		if err == nil {
			t.Fatal("a bundle without an end")
		}
		for _, m := range messages {
			if len(m) > sp.MaxReplyBytes {
				t.Fatal("a message larger than allowed")
			}
			_, _ = sp.ParseRequest(m) // it must only not panic
		}
	})
}
