package loop_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/storage/sqlite"
	"aidloop/syncproto"
	"aidloop/syncproto/device"
)

func (w *keyTown) device(id string) (d *loop.Device) {
	w.t.Helper()
	w.must(w.store.Read(context.Background(), func(tx loop.ReadTx) (err error) { d, err = tx.Device(id); return err }))
	return d
}

func noPhoto(context.Context, string) (bool, error) { return false, nil }

// refuses insists that the phone's session lets nobody in any more.
func (p *handset) refuses() {
	p.w.t.Helper()
	if _, err := p.w.loop.Refresh(context.Background(), p.refresh); err == nil {
		p.w.t.Error("a phone that is shut out gets new tokens")
	}
}

// A lost phone waits, whole, and goes on when it is found; what it sent meanwhile is judged then. Its user's key is new
// at once, and his other phone gets it.
func TestALostPhoneIsFound(t *testing.T) {
	w := newKeyTown(t, t.TempDir())
	t.Cleanup(func() { w.must(w.store.Close()) })
	lost, other := w.phone("worker-2"), w.phone("worker-2")
	lost.sync()
	other.sync()
	home := syncproto.Ref{Kind: "household", ID: "h-0"}
	v, err := lost.engine.View(home)
	w.must(err)
	w.must(lost.rename(v, "在外面写的"))
	mine := lost.engine.Identity().UserKey
	w.step(lost, "lose")
	lost.refuses()
	if fault := lost.sync(); fault != syncproto.CodeSuspended || w.trouble(lost) != "" || w.read(home) != "湛国庆" {
		t.Fatalf("%s, %s, %q", fault, w.trouble(lost), w.read(home))
	}
	if len(lost.households()) == 0 {
		t.Fatal("a lost phone was erased")
	}
	other.exchange(0) // the grants come under the new key, and the phone does not have it yet
	if locked, err := other.engine.Locked(); err != nil || !locked {
		t.Fatalf("locked: %v, %v", locked, err)
	}
	other.sync()
	w.everythingOpens0(other)
	if other.engine.Identity().UserKey == mine {
		t.Error("the user's key is the old one")
	}
	w.rows(syncproto.BucketUser+"worker-2", func(ref, _ syncproto.Ref, body syncproto.Object) {
		if ref.Kind == "grant" && slices.Contains(wrappedUnder(t, body.Get("keys")), mine.ID()) {
			t.Errorf("%s is still wrapped under the lost phone's key", ref)
		}
	})
	w.step(lost, "find")
	if got := w.read(home); got != "在外面写的" {
		t.Errorf("found, and its work was not judged: %q", got)
	}
	if fault := lost.sync(); fault != "" || lost.name(home) != "在外面写的" {
		t.Errorf("%s, %q", fault, lost.name(home))
	}
	w.everythingOpens()
}

// What is sealed for a user who has no grid (any more) opens on his phone, though his other one was lost: the new key
// comes to it as to any other.
func TestAPhoneWithoutGrantsGetsItsUsersKey(t *testing.T) {
	w, ctx := newKeyTown(t, t.TempDir()), t.Context()
	t.Cleanup(func() { w.must(w.store.Close()) })
	lost, other := w.phone("worker-0"), w.phone("worker-0")
	w.must(w.loop.RevokeGrant(ctx, casework.System, "worker-0", keyGrids[0]))
	other.sync()
	if locked, err := other.engine.Locked(); err != nil || locked {
		t.Fatalf("nothing is sealed yet: %v, %v", locked, err)
	}
	w.step(lost, "lose")
	other.exchange(0)
	if locked, err := other.engine.Locked(); err != nil || !locked {
		t.Fatalf("locked: %v, %v", locked, err)
	}
	other.sync()
	if locked, err := other.engine.Locked(); err != nil || locked || other.engine.Identity().UserKey != keySecrets.BucketKey(syncproto.BucketUser+"worker-0", 2) {
		t.Errorf("locked: %v, %v, or under an old key", locked, err)
	}
}

func (w *keyTown) everythingOpens0(p *handset) {
	all := w.phones
	w.phones = []*handset{p}
	w.everythingOpens()
	w.phones = all
}

// A stolen phone that comes by sends what it has, which is kept apart, then erases rows and keys and says so. Its outbox
// and the photo that never arrived stay; found after all, it is enrolled anew, reissues them and can read again.
func TestAStolenPhoneErasesItself(t *testing.T) {
	w, ctx := newKeyTown(t, t.TempDir()), t.Context()
	t.Cleanup(func() { w.must(w.store.Close()) })
	p := w.phone("worker-0")
	p.sync()
	ref, err := p.found(keyGrids[0], "偷走前写的")
	w.must(err)
	sha, err := p.engine.AddBlob([]byte("\xff\xd8照片"), "image/jpeg")
	w.must(err)
	rows := len(p.households())
	w.step(p, "steal")
	p.refuses()
	if fault := p.sync(); fault != syncproto.CodeRevoked {
		t.Fatalf("the fault is %q", fault)
	}
	out, err := p.engine.Outbox()
	held, e2 := p.engine.Buckets()
	if err != nil || e2 != nil || len(out) != 1 || out[0].State != device.Held || len(held) != 0 || rows == 0 {
		t.Fatalf("%+v, %+v, %v, %v", out, held, err, e2)
	}
	if id := p.engine.Identity(); id.UserKey != (syncproto.Key{}) || p.name(ref) != "" {
		t.Error("keys are left on it")
	}
	p.reopen() // nothing of it was only in memory
	if _, err := p.found(keyGrids[0], "x"); err == nil {
		t.Error("an erased phone captures")
	}
	h, err := w.loop.Holdings(ctx, keyLeader, p.device, noPhoto)
	w.must(err)
	gone := slices.ContainsFunc(h.Buckets, func(b loop.Holding) bool {
		return b.Bucket == syncproto.BucketGrid+keyGrids[0] && b.Gone && b.Count > 0 && b.Digest != ""
	})
	if h.ErasedAt != w.now.UnixMilli() || !gone || len(h.Held) != 1 || h.State != loop.DeviceStolen {
		t.Errorf("the desk sees %+v", h)
	}
	w.rewrap()
	p.enrol()
	if fault := p.sync(); fault != "" {
		t.Fatal(fault)
	}
	if got := p.name(ref); got != "偷走前写的" || w.read(ref) != got || len(p.households()) != rows {
		t.Errorf("after the new enrolment: %q, %q, %d of %d households", got, w.read(ref), len(p.households()), rows)
	}
	if data, err := p.engine.BlobData(sha); err != nil || string(data) != "\xff\xd8照片" {
		t.Errorf("the photo: %q, %v", data, err)
	}
	w.everythingOpens()
}

// A photo that stayed on an erased phone opens again after a new enrolment, though the server was put back to a time before
// its key was made: the phone names the key.
func TestTheKeyOfAPhotoOutlivesARestore(t *testing.T) {
	w, ctx := newKeyTown(t, t.TempDir()), t.Context()
	p, other := w.phone("worker-0"), w.phone("worker-0")
	copied := filepath.Join(t.TempDir(), sqlite.FileName)
	w.must(w.store.Backup(ctx, copied))
	w.step(other, "lose")
	p.sync()
	sha, err := p.engine.AddBlob([]byte("\xff\xd8照片"), "image/jpeg")
	w.must(err)
	lost := p.engine.Identity().UserKey
	w.step(p, "steal")
	p.sync()
	w.must(w.store.Close())
	w.open(filepath.Dir(copied))
	t.Cleanup(func() { w.must(w.store.Close()) })
	p.enrol()
	if b, err := p.engine.NextBlob(); err != nil || b != nil {
		t.Fatalf("the photo opens without its key: %+v, %v", b, err)
	}
	p.sync()
	if data, err := p.engine.BlobData(sha); err != nil || string(data) != "\xff\xd8照片" {
		t.Errorf("the photo: %q, %v", data, err)
	}
	if id := p.engine.Identity(); id.UserKey == lost {
		t.Error("the newest key is one that was replaced for a reason")
	}
	w.everythingOpens0(p)
	before := w.version("worker-0")
	p.sync()
	if v := w.version("worker-0"); v != before || v != 3 {
		t.Errorf("version %d, then %d", before, v)
	}
}

func (w *keyTown) version(user string) (n uint64) {
	w.must(w.store.Read(context.Background(), func(tx loop.ReadTx) error {
		v, err := tx.KeyVersion(syncproto.BucketUser + user)
		n = v.Version
		return err
	}))
	return n
}

// Only the device's own key says that it is erased.
func TestNobodyElseSaysThatAPhoneIsErased(t *testing.T) {
	w := newKeyTown(t, t.TempDir())
	t.Cleanup(func() { w.must(w.store.Close()) })
	p, other := w.phone("worker-0"), w.phone("worker-1")
	w.step(p, "steal")
	said := &syncproto.Erased{At: 1}
	said.Sig = keySign(other, said.Text(p.device))
	hello := syncproto.Hello{Versions: [2]int{1, 1}, Device: p.device, Erased: said}
	_, err := w.loop.Exchange(t.Context(), loop.Push{Request: &syncproto.Request{Hello: hello}}, nil)
	if w.must(err); w.device(p.device).ErasedAt != 0 {
		t.Error("somebody else's word counts")
	}
	said.Sig = keySign(p, said.Text(p.device))
	_, err = w.loop.Exchange(t.Context(), loop.Push{Request: &syncproto.Request{Hello: hello}}, nil)
	if w.must(err); w.device(p.device).ErasedAt == 0 {
		t.Error("its own word does not")
	}
}

// A phone is retired by somebody who has seen what it may hold, and hands over first.
func TestAPhoneHandsOverBeforeItIsRetired(t *testing.T) {
	w, ctx := newKeyTown(t, t.TempDir()), t.Context()
	t.Cleanup(func() { w.must(w.store.Close()) })
	p := w.phone("worker-0")
	p.sync()
	ref, err := p.found(keyGrids[0], "最后一户")
	w.must(err)
	retire := loop.DeviceStep{Device: p.device, Action: "retire", Reason: "换手机"}
	wants(t, w.loop.StepDevice(ctx, keyLeader, retire), casework.CodeInvalidTransition) // nobody has looked
	wants(t, w.loop.StepDevice(ctx, keyReviewer, retire), casework.CodeForbidden)
	far := keyLeader
	far.Region = "430681201000"
	_, err = w.loop.Holdings(ctx, far, p.device, noPhoto)
	wants(t, err, casework.CodeNotFound)
	wants(t, w.loop.StepDevice(ctx, far, retire), casework.CodeNotFound)
	h, err := w.loop.Holdings(ctx, keyLeader, p.device, noPhoto)
	w.must(err)
	// Before its evening's sync the phone was asked what it holds: two changes (the household and its key).
	req := syncproto.Hello{Versions: [2]int{1, 1}, Device: p.device, Last: 2, Photos: 1}
	_, err = w.loop.Exchange(ctx, loop.Push{Request: &syncproto.Request{Hello: req}}, &loop.Reader{User: p.user, Device: p.device})
	w.must(err)
	retire.Shown = h.Shown
	wants(t, w.loop.StepDevice(ctx, keyLeader, retire), casework.CodeInvalidTransition) // it is not as it was shown
	h, err = w.loop.Holdings(ctx, keyLeader, p.device, noPhoto)
	if err != nil || h.Unsent != 2 || h.Photos != 1 || !h.Claims {
		t.Errorf("%+v, %v", h, err)
	}
	retire.Shown = h.Shown
	w.must(w.loop.StepDevice(ctx, keyLeader, retire))
	if d := w.device(p.device); d.State != loop.DeviceRetiring {
		t.Fatalf("%+v", d)
	}
	p.sync()
	p.sync()
	if d := w.device(p.device); d.State != loop.DeviceRetired || d.ErasedAt == 0 || w.read(ref) != "最后一户" || w.trouble(p) != syncproto.CodeRevoked {
		t.Errorf("%+v, %q, %s", d, w.read(ref), w.trouble(p))
	}
	p.refuses()
}

// The desk sees photos that a phone's records name and that have not arrived.
func TestMissingPhotosAreShown(t *testing.T) {
	w, ctx := newKeyTown(t, t.TempDir()), t.Context()
	t.Cleanup(func() { w.must(w.store.Close()) })
	p := w.phone("worker-0")
	p.sync()
	home := syncproto.Ref{Kind: "household", ID: "h-0"}
	for _, sha := range []string{"aa", "bb"} {
		_, err := p.engine.Capture(home, []device.Draft{{Op: syncproto.OpPut, Ref: syncproto.Ref{Kind: "evidence", ID: "e-" + sha},
			Fields: syncproto.Fields(map[string]any{"household": "h-0", "sha256": sha})}}, p.clock())
		w.must(err)
	}
	w.now = w.now.Add(7 * time.Hour)
	p.sync()
	p.sync()
	h, err := w.loop.Holdings(ctx, keyLeader, p.device, func(_ context.Context, sha string) (bool, error) { return sha == "aa", nil })
	w.must(err)
	held := slices.ContainsFunc(h.Buckets, func(b loop.Holding) bool { return b.Bucket == syncproto.BucketGrid+keyGrids[0] && !b.Gone })
	if len(h.Missing) != 1 || h.Missing[0].SHA256 != "bb" || h.Unsent != 0 || !held {
		t.Errorf("%+v", h)
	}
	list, err := w.loop.GridDevices(ctx, keyLeader, keyGrids[0])
	if err != nil || len(list) != 1 || list[0].Claimed != 2 {
		t.Errorf("%+v, %v", list, err)
	}
}

// Two phones with one identity: both end enrolled anew, nothing is twice, nothing is lost.
func TestAClonedPhoneEndsWell(t *testing.T) {
	w := newKeyTown(t, t.TempDir())
	t.Cleanup(func() { w.must(w.store.Close()) })
	one := w.phone("worker-0")
	one.sync()
	shared, err := one.found(keyGrids[0], "共有")
	w.must(err)
	two := &handset{w: w, user: one.user, device: one.device, refresh: one.refresh, disk: one.disk.Clone()}
	two.reopen()
	w.phones = append(w.phones, two)
	first, err := one.found(keyGrids[0], "甲")
	w.must(err)
	second, err := two.found(keyGrids[0], "乙")
	w.must(err)
	one.sync()
	two.sync()
	if code := w.trouble(two); code != syncproto.CodeDseqReused || w.device(one.device).State != loop.DeviceFrozen {
		t.Fatalf("the fork was not seen: %s, %s", code, w.device(one.device).State)
	}
	late, err := one.found(keyGrids[0], "冻结后")
	w.must(err)
	if one.sync(); w.trouble(one) == "" {
		t.Fatal("the other copy goes on")
	}
	for _, p := range []*handset{one, two, one, two} {
		if w.trouble(p) != "" {
			p.enrol()
		}
		p.sync()
	}
	for ref, name := range map[syncproto.Ref]string{shared: "共有", first: "甲", second: "乙", late: "冻结后"} {
		if one.name(ref) != name || two.name(ref) != name || w.read(ref) != name {
			t.Errorf("%s: %q, %q, %q at the desk", name, one.name(ref), two.name(ref), w.read(ref))
		}
	}
	n := 0
	w.rows(syncproto.BucketGrid+keyGrids[0], func(ref, _ syncproto.Ref, _ syncproto.Object) {
		if ref.Kind == "household" {
			n++
		}
		if ref.Kind == "conflict" {
			t.Errorf("a conflict of one phone with itself: %s", ref)
		}
	})
	if n != 2+4 {
		t.Errorf("%d households", n)
	}
	w.everythingOpens()
}

// One copy of a phone was enrolled anew and has reissued; then the other one sends the same groups under the first
// identity, which still lives. They are judged once.
func TestACopyComesLate(t *testing.T) {
	w := newKeyTown(t, t.TempDir())
	t.Cleanup(func() { w.must(w.store.Close()) })
	one := w.phone("worker-0")
	one.sync()
	home := syncproto.Ref{Kind: "household", ID: "h-0"}
	v, err := one.engine.View(home)
	w.must(err)
	w.must(one.rename(v, "先写"))
	two := &handset{w: w, user: one.user, device: one.device, refresh: one.refresh, disk: one.disk.Clone()}
	two.reopen()
	two.enrol()
	two.sync()
	v, err = two.engine.View(home)
	w.must(err)
	w.must(two.rename(v, "后写"))
	two.sync()
	if fault := one.sync(); fault != "" || one.name(home) != "后写" || w.read(home) != "后写" {
		t.Errorf("%q, %q, %q", fault, one.name(home), w.read(home))
	}
	w.rows(syncproto.BucketGrid+keyGrids[0], func(ref, _ syncproto.Ref, _ syncproto.Object) {
		if ref.Kind == "conflict" {
			t.Errorf("judged twice: %s", ref)
		}
	})
}

// A grant that has ended gets no key, whatever is rotated, and a phone without one cannot open what it left.
func TestEndedGrantsGetNoKeys(t *testing.T) {
	w, ctx := newKeyTown(t, t.TempDir()), t.Context()
	t.Cleanup(func() { w.must(w.store.Close()) })
	p, lost := w.phone("worker-2"), w.phone("worker-2")
	p.sync()
	w.must(w.loop.RevokeGrant(ctx, keyLeader, p.user, keyGrids[1]))
	w.step(lost, "steal")
	w.must(w.loop.RotateBucket(ctx, casework.System, syncproto.BucketGrid+keyGrids[1], "演练", false))
	w.rewrap()
	p.sync()
	grants := 0
	w.rows(syncproto.BucketUser+p.user, func(ref, _ syncproto.Ref, body syncproto.Object) {
		if ref.Kind == "grant" {
			grants++
			if body.Has("keys") != (body.Str("bucket") == syncproto.BucketGrid+keyGrids[0]) {
				t.Errorf("%s: %s", body.Str("bucket"), body.Bytes())
			}
		}
	})
	if grants != 2 {
		t.Errorf("%d grants", grants)
	}
	w.rows(syncproto.BucketGrid+keyGrids[1], func(ref, root syncproto.Ref, body syncproto.Object) {
		v := &device.View{Record: syncproto.Record{Envelope: syncproto.Envelope{Ref: ref, Root: root}, Body: body}}
		if _, locked, err := p.engine.Open(v); ref.Kind == "household" && (err != nil || len(locked) == 0) {
			t.Errorf("%s opens without a grant: %v", ref, err)
		}
	})
}
