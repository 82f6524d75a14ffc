package mobileapi_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	mobileapi "aidloop/mobile-api"
	"aidloop/syncproto"
	"aidloop/syncproto/bundle"
)

// packed is a bundle of requests, made by hand.
func (p *phone) packed(messages ...[]byte) []byte {
	p.w.Helper()
	to, err := bundle.ParseRecipient(p.Recipient)
	p.w.must(err)
	var out bytes.Buffer
	sealed, err := bundle.Seal(&out, to)
	p.w.must(err)
	head := syncproto.BundleHead{Kind: syncproto.BundlePush, Device: p.Device, Created: p.w.clock().UnixMilli()}
	b, err := syncproto.NewBundleWriter(sealed, syncproto.SignBundle(p.key, &head))
	for _, m := range messages {
		err = errors.Join(err, b.Message(m))
	}
	p.w.must(errors.Join(err, b.Close(), sealed.Close()))
	return out.Bytes()
}

// unpacked are the responses of a reply, opened with the phone's key.
func (p *phone) unpacked(file []byte) (list []reply) {
	p.w.Helper()
	plain, err := bundle.Open(bytes.NewReader(file), bundle.DeviceIdentity(p.key))
	p.w.must(err)
	b, err := syncproto.NewBundleReader(plain)
	p.w.must(err)
	if b.Head.Kind != syncproto.BundleReply || b.Head.Device != p.Device || !b.Signed.Verify(ed25519.PublicKey(p.ServerKey)) {
		p.w.Errorf("the reply's head is %+v", b.Head)
	}
	for {
		item, err := b.Next()
		if err == io.EOF {
			return list
		}
		p.w.must(err)
		list = append(list, p.w.parse(item.Message))
	}
}

func (w *world) carry(file []byte) answer {
	w.Helper()
	return w.do(http.MethodPost, "/bundles/v1", file, "Content-Type", mobileapi.BundleType)
}

// Anybody may carry a bundle. The reply holds outcomes and rows, in the order of an exchange, and is for the phone alone.
func TestBundlesNeedNoAccount(t *testing.T) {
	w := newWorld(t)
	p, q := w.phone(anna), w.phone(bao)
	first := p.households(gridA, "h-1", "h-2")
	second := p.households(gridA, "h-3")
	second.want = &syncproto.Want{}
	file := p.packed(first.bytes(), second.bytes())
	for _, replay := range []bool{false, true} {
		a := w.carry(file)
		if a.status != http.StatusOK || a.header.Get("Content-Type") != mobileapi.BundleType || a.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %s", a.status, a.body)
		}
		got := p.unpacked(a.body)
		if len(got) != 3 || len(got[0].outcomes) != 2 || len(got[1].outcomes) != 1 || got[1].outcomes[0].Replay != replay || got[1].receipt == nil {
			t.Fatalf("%+v", got)
		}
		if n := len(got[2].rows["grid:"+gridA]); n != 3 || got[2].checkpoints["grid:"+gridA].Count != 3 {
			t.Errorf("%d rows", n)
		}
		if _, err := bundle.Open(bytes.NewReader(a.body), bundle.DeviceIdentity(q.key)); err == nil {
			t.Error("another phone can open the reply")
		}
	}
	p.mustHave(3)
	if strings.Contains(w.logged(), "h-1") {
		t.Error("the log says what was in the bundle")
	}
}

func TestBundlesThatAreRefused(t *testing.T) {
	w := newWorld(t, mobileapi.Limits{BundleBytes: 4 << 20})
	p := w.phone(anna)
	file := p.packed(p.households(gridA, "h-1").bytes())
	w.refused(w.do(http.MethodPost, "/bundles/v1", file, "Content-Type", mobileapi.SyncType), 415, syncproto.CodeUnsupportedType)
	w.refused(w.do(http.MethodPost, "/bundles/v1", file, "Content-Type", mobileapi.BundleType, "Content-Encoding", "gzip"), 415, syncproto.CodeUnsupportedType)
	w.refused(w.carry(nil), 400, syncproto.CodeMalformed)
	w.refused(w.carry([]byte("no bundle at all")), 400, syncproto.CodeMalformed)
	w.refused(w.carry(file[:len(file)-1]), 400, syncproto.CodeTruncated)
	w.refused(w.carry(append(bytes.Clone(file), make([]byte, 4<<20)...)), 413, syncproto.CodeTooLarge)
	other := *p
	other.Recipient = bundle.IdentityOf([32]byte{3}).Recipient().String()
	w.refused(w.carry(other.packed()), 422, syncproto.CodeForeignBundle)
	w.pass(61e9)
	stranger := *p
	stranger.Device = "nobody"
	w.refused(w.carry(stranger.packed()), 404, syncproto.CodeUnknownDevice)
	thief := *p
	thief.key = deviceKey("thief")
	w.refused(w.carry(thief.packed()), 401, syncproto.CodeBadSignature)
	p.mustHave(0)
	for range 8 { // ten wrong files in a minute are enough
		w.carry([]byte("no bundle at all"))
	}
	w.refused(w.carry(file), 429, syncproto.CodeTooMany)
	w.pass(61e9)
	for range 30 { // right ones do not count
		if a := w.carry(file); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	p.mustHave(1)
}

// A phone that was enrolled before there were bundles hears in a hello where they are encrypted to.
func TestTheHelloNamesTheRecipient(t *testing.T) {
	w := newWorld(t)
	p := w.phone(anna)
	if got := p.exchange(p.hello()).hello.Recipient; got != "" {
		t.Errorf("it is told %q without asking", got)
	}
	r := p.hello()
	r.hello.Caps = []string{syncproto.CapRecipient}
	if got := p.exchange(r).hello.Recipient; got != p.Recipient || !strings.HasPrefix(got, "age1") {
		t.Errorf("it is told %q, and at its enrolment %q", got, p.Recipient)
	}
}
