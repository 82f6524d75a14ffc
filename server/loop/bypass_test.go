package loop_test

import (
	"fmt"
	"testing"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// place writes a record under the household as the server would have it.
func (o *office) place(ref syncproto.Ref, fields map[string]any) {
	o.t.Helper()
	root := refOf(o.home)
	o.must(o.store.Write(o.t.Context(), func(tx loop.Tx) error {
		name := syncproto.BucketGrid + o.home.Grid
		b, err := tx.Bucket(name)
		if err != nil {
			return err
		}
		env := syncproto.Envelope{Ref: ref, Root: root, Version: syncproto.Version{Stamp: syncproto.MakeStamp("placed", b.Seq+1), Time: o.now.UnixMilli()}}
		body := syncproto.Fields(fields)
		state, _ := fields["state"].(string)
		s := &loop.Stored{Ref: ref, Root: root, Bucket: name, Seq: b.Seq + 1, Env: env.Bytes(), Body: body.Bytes(), Index: loop.Index{State: state, Region: o.home.Grid}}
		b.Seq, b.Count, b.Digest = b.Seq+1, b.Count+1, b.Digest.Add(syncproto.RowHash(s.Env, s.Body))
		if err := tx.PutRecord(s); err != nil {
			return err
		}
		return tx.PutBucket(b)
	}))
}

// Whatever a phone pushes: no record of any machine takes a step that is not a phone's own, no state is written, and no
// record that is the server's is made or deleted.
func TestPhonesGoRoundNoMachine(t *testing.T) {
	o := newOffice(t)
	pushes := 0
	for _, m := range casework.Machines {
		k, ok := casework.KindOf(m.Name)
		if !ok {
			continue // of phones, accounts and the like: no record
		}
		push := func(c syncproto.Change) { pushes++; o.worker.push(o.worker.group(refOf(o.home), c)) }
		actions := map[string]bool{}
		for _, row := range m.Table {
			actions[row.Action] = true
		}
		for i, state := range m.States() {
			if state == "" {
				continue
			}
			ref := syncproto.Ref{Kind: m.Name, ID: fmt.Sprintf("%s-%d", m.Name, i)}
			o.place(ref, map[string]any{"state": state})
			_, env := o.record(ref)
			base := map[string]syncproto.Stamp{"state": env.Of("state").Stamp}
			for action := range actions {
				if !casework.OnPhones(m.Name, action) {
					push(syncproto.Change{Op: syncproto.OpAct, Ref: ref, Act: action})
				}
			}
			for _, to := range m.States() {
				if to != state {
					push(syncproto.Change{Op: syncproto.OpSet, Ref: ref, Fields: syncproto.Fields(map[string]any{"state": to}), Base: base})
				}
			}
			if !k.Device { // a worker takes back what he captured, as long as nobody has approved it
				push(syncproto.Change{Op: syncproto.OpDelete, Ref: ref, Base: base})
			}
			rec, _ := o.record(ref)
			if rec.Str("state") != state || !o.has(ref) {
				t.Errorf("a phone takes a %s from %q to %q", m.Name, state, rec.Str("state"))
			}
		}
		made := syncproto.Ref{Kind: m.Name, ID: m.Name + "-new"}
		push(syncproto.Change{Op: syncproto.OpPut, Ref: made, Fields: syncproto.Fields(map[string]any{"state": m.Terminal()[0]})})
		if o.has(made) && (!k.Device || func() bool { rec, _ := o.record(made); return rec.Has("state") }()) {
			t.Errorf("a phone makes a %s", m.Name)
		}
	}
	if pushes < 500 {
		t.Errorf("only %d pushes", pushes)
	}
}
