package loop_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
	"aidloop/syncproto/device"
)

// rows hands over the live rows of a bucket with their bodies.
func (w *keyTown) rows(bucket string, fn func(ref, root syncproto.Ref, body syncproto.Object)) {
	w.t.Helper()
	w.must(w.store.Read(context.Background(), func(tx loop.ReadTx) error {
		return tx.Feed(bucket, 0, func(e loop.Entry) (bool, error) {
			if e.Exit || e.Deleted {
				return true, nil
			}
			env, err := syncproto.ParseEnvelope(slices.Clone(e.Env))
			if err != nil {
				return false, err
			}
			body, err := syncproto.ParseObject(slices.Clone(e.Body))
			fn(e.Ref, env.Root, body)
			return true, err
		})
	}))
}

func wrappedUnder(t rapid.TB, keys syncproto.Raw) (kids []string) {
	if len(keys) == 0 {
		return nil
	}
	set, err := syncproto.ParseObject(keys)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range set {
		kids = append(kids, syncproto.SealedBy(m.Value))
	}
	return kids
}

// thief is what was on a stolen phone: the keys that it could open.
type thief struct {
	user    string
	userKey string
	buckets []string // ids of bucket keys
}

func (p *handset) robbed() thief {
	x := thief{user: p.user, userKey: p.engine.Identity().UserKey.ID()}
	grants, err := p.engine.List("grant")
	p.w.must(err)
	for _, g := range grants {
		set, _ := syncproto.ParseObject(g.Body.Get("keys"))
		for _, m := range set {
			x.buckets = append(x.buckets, m.Name)
		}
	}
	return x
}

// keyRun is one random history.
type keyRun struct {
	*keyTown
	rt      *rapid.T
	thieves []thief
}

func (r *keyRun) pick() *handset { return rapid.SampledFrom(r.phones).Draw(r.rt, "phone") }

// do takes one step; what a rule refuses is part of life.
func (r *keyRun) do(n int) {
	ctx, p := context.Background(), r.pick()
	grid := rapid.SampledFrom(keyGrids).Draw(r.rt, "grid")
	house := fmt.Sprintf("h-%d", rapid.IntRange(0, 3).Draw(r.rt, "house"))
	switch n {
	case 0:
		r.must(r.loop.RotateBucket(ctx, casework.System, syncproto.BucketGrid+grid, "演练", rapid.Bool().Draw(r.rt, "cases")))
	case 1, 2:
		_, err := r.loop.Rewrap(ctx)
		r.must(err)
	case 3:
		r.must(r.loop.RotateCaseKey(ctx, casework.System, syncproto.Ref{Kind: "household", ID: house}, "演练"))
	case 4:
		_, _ = r.loop.MoveHousehold(ctx, keyReviewer, house, grid, "搬家")
	case 5:
		r.must(r.loop.Grant(ctx, keyLeader, loop.GridGrant{User: p.user, Grid: grid}))
	case 6:
		_ = r.loop.RevokeGrant(ctx, keyLeader, p.user, grid)
	case 7, 8, 9:
		if list := p.households(); len(list) > 0 {
			_ = p.rename(list[rapid.IntRange(0, len(list)-1).Draw(r.rt, "which")], rapid.SampledFrom([]string{"甲", "乙"}).Draw(r.rt, "name"))
		}
	case 10:
		_, _ = p.found(grid, "丙")
	case 11, 12, 13:
		p.sync()
	case 14:
		p.exchange(4096)
	case 15:
		x := p.robbed()
		if r.loop.StepDevice(ctx, keyLeader, loop.DeviceStep{Device: p.device, Action: "steal", Reason: "被盗"}) == nil {
			r.thieves = append(r.thieves, x)
		}
	case 16:
		if st, err := p.engine.Status(0); err == nil && st.Trouble != "" {
			p.enrol()
		}
	}
}

// After any history of rotations, moves, grants and thefts: every phone that holds a grant opens everything in its
// buckets after it synced, the server opens everything, ended grants hold no key, and no key that was on a stolen phone
// opens anything that is handed out since.
func TestKeysFollowEveryHistory(t *testing.T) {
	checks := flag.Lookup("rapid.checks")
	before := checks.Value.String()
	defer func() { _ = checks.Value.Set(before) }()
	if before == checks.DefValue { // every history has a database of its own, so fewer are enough
		_ = checks.Value.Set("12")
	}
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "town")
		if err != nil {
			rt.Fatal(err)
		}
		r := &keyRun{keyTown: newKeyTown(rt, dir), rt: rt}
		defer func() { r.must(r.store.Close()) }()
		for _, u := range []string{"worker-0", "worker-1", "worker-2", "worker-2"} {
			r.phone(u).sync()
		}
		for _, n := range rapid.SliceOfN(rapid.IntRange(0, 16), 1, 30).Draw(rt, "steps") {
			r.do(n)
		}
		r.rewrap()
		for range 3 {
			for _, p := range r.phones {
				if p.sync(); slices.Contains([]syncproto.Code{syncproto.CodeRevoked, syncproto.CodeFork}, r.trouble(p)) {
					p.enrol()
				}
			}
		}
		r.everythingOpens()
		r.nothingForThieves()
	})
}

func (w *keyTown) trouble(p *handset) syncproto.Code {
	st, err := p.engine.Status(0)
	w.must(err)
	return st.Trouble
}

func (w *keyTown) everythingOpens() {
	w.t.Helper()
	seen := map[syncproto.Ref]bool{}
	for _, p := range w.phones {
		held, err := p.engine.Buckets()
		w.must(err)
		for _, b := range held {
			w.rows(b.Name, func(ref, root syncproto.Ref, body syncproto.Object) {
				v := &device.View{Record: syncproto.Record{Envelope: syncproto.Envelope{Ref: ref, Root: root}, Body: body}}
				if _, locked, err := p.engine.Open(v); ref.Kind != "key" && ref.Kind != "grant" && (err != nil || len(locked) > 0) {
					w.t.Errorf("the phone of %s cannot open %v of %s in %s: %v", p.user, locked, ref, b.Name, err)
				}
				if ref.Kind == "grant" && body.Str("state") != "active" && body.Has("keys") {
					w.t.Errorf("%s has ended and still has keys", ref)
				}
				if ref.Kind == "household" && !seen[ref] && w.read(ref) == "" {
					w.t.Errorf("the server cannot open %s", ref)
				}
				seen[ref] = true
			})
		}
	}
}

func (r *keyRun) nothingForThieves() {
	for _, x := range r.thieves {
		r.rows(syncproto.BucketUser+x.user, func(ref, _ syncproto.Ref, body syncproto.Object) {
			if ref.Kind == "grant" && slices.Contains(wrappedUnder(r.t, body.Get("keys")), x.userKey) {
				r.t.Errorf("%s is wrapped for the stolen phone", ref)
			}
		})
		for _, g := range keyGrids {
			r.rows(syncproto.BucketGrid+g, func(ref, _ syncproto.Ref, body syncproto.Object) {
				if ref.Kind != "key" {
					return
				}
				for _, kid := range wrappedUnder(r.t, body.Get("keys")) {
					if slices.Contains(x.buckets, kid) {
						r.t.Errorf("%s is wrapped under a key of the stolen phone", ref)
					}
				}
			})
		}
	}
}

// A phone that is offline while its grid's key is rotated captures under the old one, and everybody can read it.
func TestRotationWhileAPhoneSleeps(t *testing.T) {
	w, ctx := newKeyTown(t, t.TempDir()), t.Context()
	t.Cleanup(func() { w.must(w.store.Close()) })
	sleeper, other := w.phone("worker-0"), w.phone("worker-2")
	sleeper.sync()
	other.sync()
	wants(t, w.loop.RotateBucket(ctx, keyLeader, syncproto.BucketGrid+keyGrids[0], "演练", true), casework.CodeForbidden)
	wants(t, w.loop.RotateBucket(ctx, casework.System, syncproto.BucketRef, "演练", true), casework.CodeInvalidValue)
	w.must(w.loop.RotateBucket(ctx, casework.System, syncproto.BucketGrid+keyGrids[0], "演练", true))
	ref, err := sleeper.found(keyGrids[0], "新户")
	w.must(err)
	// The other one gets the grants while not one key record is wrapped anew, and half of those in between.
	other.sync()
	w.everythingOpens()
	if _, err := w.loop.Rewrap(ctx); err != nil {
		t.Fatal(err)
	}
	other.sync()
	w.everythingOpens()
	list, err := w.loop.Rotations(ctx, casework.System, "", 10)
	if err != nil || len(list) != 1 || !list[0].Pending || list[0].Version != 2 || list[0].Done != 1 {
		t.Errorf("under way: %+v, %v", list, err)
	}
	if steps := w.rewrap(); steps < 2 {
		t.Errorf("%d steps of one key each", steps)
	}
	sleeper.sync()
	other.sync()
	w.everythingOpens()
	if got := other.name(ref); got != "新户" || w.read(ref) != "新户" {
		t.Errorf("the new household is %q on the other phone, %q at the desk", got, w.read(ref))
	}
	w.rows(syncproto.BucketGrid+keyGrids[0], func(ref, _ syncproto.Ref, body syncproto.Object) {
		if newest := keySecrets.BucketKey(syncproto.BucketGrid+keyGrids[0], 2).ID(); ref.Kind == "key" && slices.ContainsFunc(wrappedUnder(t, body.Get("keys")), func(k string) bool { return k != newest }) {
			t.Errorf("%s is not wrapped under the newest key", ref)
		}
	})
}

// The same value under two case keys is the same value: it merges in silence, and another one does not.
func TestEqualValuesUnderDifferentKeysMerge(t *testing.T) {
	w, ctx := newKeyTown(t, t.TempDir()), t.Context()
	t.Cleanup(func() { w.must(w.store.Close()) })
	one, two := w.phone("worker-0"), w.phone("worker-2")
	one.sync()
	two.sync()
	home := syncproto.Ref{Kind: "household", ID: "h-0"}
	v, err := one.engine.View(home)
	w.must(err)
	w.must(one.rename(v, "李四")) // under the old key
	w.must(w.loop.RotateCaseKey(ctx, casework.System, home, "演练"))
	two.sync()
	v2, err := two.engine.View(home)
	w.must(err)
	w.must(two.rename(v2, "李四"))
	two.sync()
	one.sync()
	two.sync()
	conflicts := func() int {
		n := 0
		w.rows(syncproto.BucketGrid+keyGrids[0], func(ref, _ syncproto.Ref, _ syncproto.Object) {
			if ref.Kind == "conflict" {
				n++
			}
		})
		return n
	}
	if n := conflicts(); n != 0 || one.name(home) != "李四" || two.name(home) != "李四" || w.read(home) != "李四" {
		t.Errorf("%d conflicts; %q, %q, %q", n, one.name(home), two.name(home), w.read(home))
	}
}
