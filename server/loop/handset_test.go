package loop_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"pgregory.net/rapid"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/storage/sqlite"
	"aidloop/syncproto"
	"aidloop/syncproto/device"
)

// keyTown is a small town with real phones, for tests of keys and of what becomes of phones.
type keyTown struct {
	t      rapid.TB
	loop   *loop.Loop
	store  *sqlite.Store
	now    time.Time
	ids    int
	phones []*handset
}

var (
	keySecrets  = loop.Secrets{Master: syncproto.Key{1}, Signing: ed25519.NewKeyFromSeed(make([]byte, 32))}
	keyGrids    = []string{"430681102212-001", "430681102212-002"}
	keyReviewer = casework.Actor{UserID: "reviewer", Role: casework.RoleTownReviewer, Region: "430681102000"}
	keyLeader   = casework.Actor{UserID: "leader", Role: casework.RoleTownLeader, Region: "430681102000"}
)

// newKeyTown has two grids, a worker in each, a third one in both, and two households in each grid.
func newKeyTown(t rapid.TB, dir string) *keyTown {
	w := &keyTown{t: t, now: time.UnixMilli(1764000000000)}
	w.open(dir)
	ctx := context.Background()
	for _, g := range keyGrids {
		w.must(w.loop.PutReference(ctx, casework.System, "region", map[string]map[string]any{g[:12]: {"code": g[:12], "name": "八里村", "level": "village"}}))
	}
	for i, grids := range [][]string{keyGrids[:1], keyGrids[1:], keyGrids} {
		id := fmt.Sprintf("worker-%d", i)
		_, err := w.loop.CreateUsers(ctx, casework.System, loop.NewUser{ID: id, Login: id, Name: "网格员", Role: "grid_worker", Region: grids[0]})
		w.must(err)
		for _, g := range grids {
			w.must(w.loop.Grant(ctx, casework.System, loop.GridGrant{User: id, Grid: g}))
		}
	}
	for i := range 4 {
		id := fmt.Sprintf("h-%d", i)
		_, err := w.loop.Register(ctx, casework.System, []loop.Registration{{ID: id, Grid: keyGrids[i%2], Fields: map[string]any{"head_name": "湛国庆", "members_count": 1}}})
		w.must(err)
	}
	return w
}

// open starts the server on the database in a folder.
func (w *keyTown) open(dir string) {
	newID := func() string { w.ids++; return fmt.Sprintf("01900000-0000-7000-8000-%012d", w.ids) }
	clock := func() time.Time { return w.now }
	var err error
	w.store, err = sqlite.Open(context.Background(), sqlite.Options{Dir: dir, Clock: clock, NewID: newID})
	w.must(err)
	w.loop = loop.New(loop.Options{Store: w.store, Clock: clock, NewID: newID, Secrets: keySecrets, KeyBatch: 1})
}

func (w *keyTown) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// handset is a phone with the real engine.
type handset struct {
	w       *keyTown
	user    string
	device  string
	disk    *device.Memory
	engine  *device.Engine
	refresh string
}

type seeded struct{ r *rand.Rand }

func (s seeded) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(s.r.Uint32())
	}
	return len(b), nil
}

func (w *keyTown) phone(user string) *handset {
	w.t.Helper()
	p := &handset{w: w, user: user, disk: device.NewMemory()}
	p.enrol()
	w.phones = append(w.phones, p)
	return p
}

// enrol gives the phone an identity, or another one under which it reissues what it keeps.
func (p *handset) enrol() {
	w, ctx := p.w, context.Background()
	w.t.Helper()
	w.ids++
	seed := sha256.Sum256(fmt.Append(nil, "handset", w.ids))
	key := ed25519.NewKeyFromSeed(seed[:])
	code, err := w.loop.NewEnrolCode(ctx, casework.System, p.user)
	w.must(err)
	e, err := w.loop.Enrol(ctx, code, key.Public().(ed25519.PublicKey), "test")
	w.must(err)
	id := device.Identity{Device: e.Device, User: p.user, Private: key, UserKey: e.UserKey, ServerKey: e.ServerKey}
	if p.engine == nil {
		w.must(device.Enrol(p.disk, id))
	} else {
		_, err := p.engine.Reissue(id)
		w.must(err)
	}
	p.device, p.refresh = e.Device, e.Refresh
	p.reopen()
}

func (p *handset) reopen() {
	var err error
	p.engine, err = device.Open(p.disk, device.Options{Random: seeded{rand.New(rand.NewPCG(uint64(p.w.ids), 5))}, Catalog: 1})
	p.w.must(err)
}

// exchange makes one round trip. The refusal is given to the engine, as a client does.
func (p *handset) exchange(limit int) (more bool, fault syncproto.Code) {
	w := p.w
	w.t.Helper()
	b, err := p.engine.Request(p.clock(), device.Ask{MaxBytes: limit})
	w.must(err)
	req, err := syncproto.ParseRequest(b)
	w.must(err)
	out, err := w.loop.Exchange(context.Background(), loop.Push{Request: req, Size: len(b), Body: b}, &loop.Reader{User: p.user, Device: p.device})
	if refusal, ok := err.(*syncproto.Error); ok {
		again, err := p.engine.Refused(refusal)
		w.must(err)
		return again, refusal.Code
	}
	w.must(err)
	r := p.engine.Response(p.clock())
	for out = bytes.Clone(out); ; {
		f, rest, err := syncproto.NextFrame(out)
		if err == io.EOF {
			break
		}
		w.must(err)
		w.must(r.Frame(f))
		out = rest
	}
	more, f, err := r.Finish()
	w.must(err)
	if f != nil {
		fault = f.Code
	}
	return more, fault
}

// sync exchanges until nothing is left, and renews the tokens where the phone cannot open its grants.
func (p *handset) sync() (fault syncproto.Code) {
	p.w.t.Helper()
	for more := true; more; {
		more, fault = p.exchange(0)
	}
	if locked, err := p.engine.Locked(); err != nil || locked {
		p.w.must(err)
		signed, err := p.w.loop.Refresh(context.Background(), p.refresh)
		p.w.must(err)
		p.refresh = signed.Refresh
		p.w.must(p.engine.AddUserKey(signed.UserKey))
	}
	return fault
}

func (p *handset) clock() syncproto.Clock { return syncproto.Clock{Wall: p.w.now.UnixMilli()} }

func (p *handset) households() []*device.View {
	list, err := p.engine.List("household")
	p.w.must(err)
	return list
}

// rename writes a sealed field of a household, offline.
func (p *handset) rename(h *device.View, name string) error {
	_, err := p.engine.Capture(h.Root, []device.Draft{{Op: syncproto.OpSet, Ref: h.Ref, Seal: []string{"head_name"},
		Fields: syncproto.Fields(map[string]any{"head_name": name})}}, p.clock())
	return err
}

// found captures a new household, offline.
func (p *handset) found(grid, name string) (syncproto.Ref, error) {
	p.w.ids++
	ref := syncproto.Ref{Kind: "household", ID: fmt.Sprintf("new-%d", p.w.ids)}
	_, err := p.engine.Capture(ref, []device.Draft{{Op: syncproto.OpPut, Ref: ref, Bucket: syncproto.BucketGrid + grid, Seal: []string{"head_name"},
		Fields: syncproto.Fields(map[string]any{"head_name": name, "members_count": 1})}}, p.clock())
	return ref, err
}

// name is a household's sealed name as the phone shows it; "" where it cannot open it or has no such household.
func (p *handset) name(ref syncproto.Ref) string {
	v, err := p.engine.View(ref)
	p.w.must(err)
	if v == nil {
		return ""
	}
	fields, _, err := p.engine.Open(v)
	p.w.must(err)
	s, _ := fields["head_name"].(string)
	return s
}

func (w *keyTown) step(p *handset, action string) {
	w.t.Helper()
	w.must(w.loop.StepDevice(context.Background(), keyLeader, loop.DeviceStep{Device: p.device, Action: action, Reason: "测试"}))
}

// rewrap carries every rotation through and says how many steps it took.
func (w *keyTown) rewrap() (steps int) {
	w.t.Helper()
	for more := true; more; steps++ {
		var err error
		more, err = w.loop.Rewrap(context.Background())
		w.must(err)
	}
	return steps
}

// read is a household's name as the reviewer's desk opens it.
func (w *keyTown) read(ref syncproto.Ref) string {
	w.t.Helper()
	c, err := w.loop.Case(context.Background(), keyReviewer, ref)
	w.must(err)
	s, _ := c.Record.Fields["head_name"].(string)
	return s
}

func keySign(p *handset, text []byte) []byte { return ed25519.Sign(p.engine.Identity().Private, text) }
