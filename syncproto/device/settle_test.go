package device_test

import (
	"testing"

	sp "aidloop/syncproto"
)

// conflict adds a row: an open conflict about a field of the visit a.
func (r *response) conflict(seq uint64, field string, loser map[string]any) (env, body []byte) {
	e := sp.Envelope{Ref: sp.Ref{Kind: "conflict", ID: "c1"}, Root: home, Version: sp.Version{Stamp: "inc:300", Time: 1}}
	b := sp.Fields(map[string]any{"rec": "visit/a", "field": field, "state": "open", "loser": loser, "winner": map[string]any{"value": 9, "stamp": "inc:109", "time": 1}})
	r.b, r.frames = sp.AppendRow(r.b, seq, e.Bytes(), b.Bytes()), r.frames+1
	return e.Bytes(), b.Bytes()
}

// A conflict is settled by the sets that make the choice and the act that ends it, and only once on one phone.
func TestSettleMakesAChangeOfTheChoice(t *testing.T) {
	lost := map[string]any{"stamp": "dev-9:1", "time": 1, "value": 5}
	gone := map[string]any{"stamp": "dev-9:1", "time": 1}
	for name, c := range map[string]struct {
		field string
		loser map[string]any
		take  bool
		want  int64 // -1: no such record or value
		sets  int
	}{
		"keep":            {"n", lost, false, 9, 0},
		"take":            {"n", lost, true, 5, 1},
		"take no value":   {"n", gone, true, 0, 1},
		"take a deletion": {sp.FieldDeleted, gone, true, -1, 1},
	} {
		e, s := phone(t)
		r := reply(0).json(sp.FrameBucket, start).rows(1, row{"a", 9})
		env, body := r.conflict(1, c.field, c.loser)
		rowEnv, rowBody := row{"a", 9}.bytes()
		sum := sp.Digest{}.Add(sp.RowHash(rowEnv, rowBody)).Add(sp.RowHash(env, body))
		mustTake(t, e, r.json(sp.FrameCheckpoint, sp.Checkpoint{Bucket: grid, Incarnation: "inc", Seq: 1, Count: 2, Digest: sum.String()}).end())
		root, drafts, err := e.Settle("c1", c.take)
		if err != nil || root != home || len(drafts) != c.sets+1 {
			t.Fatalf("%s: %v %+v, %v", name, root, drafts, err)
		}
		x, err := e.Capture(root, drafts, now)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		e = reopen(t, s)
		g, err := e.Content(x.Dseq)
		if err != nil {
			t.Fatal(err)
		}
		if last := g.Changes[len(g.Changes)-1]; last.Op != sp.OpAct || last.Act != "settle" {
			t.Errorf("%s: it does not end the conflict: %+v", name, last)
		}
		if c.sets > 0 && c.field == "n" && g.Changes[0].Base["n"] != "inc:109" {
			t.Errorf("%s: it is no successor of what stands: %+v", name, g.Changes[0])
		}
		if got := value(t, e, "a"); got != c.want {
			t.Errorf("%s: the phone shows %d", name, got)
		}
		if _, _, err := e.Settle("c1", c.take); err == nil {
			t.Errorf("%s: settled twice", name)
		}
		if list, err := e.Conflicts(); err != nil || len(list) != 0 {
			t.Errorf("%s: still listed: %v, %v", name, list, err)
		}
	}
}

// What is settled, gone or never was is not offered again.
func TestSettleRefusesWhatIsNotOpen(t *testing.T) {
	e, _ := phone(t)
	if _, _, err := e.Settle("c1", true); err == nil {
		t.Error("a conflict that never was")
	}
	r := reply(0).json(sp.FrameBucket, start)
	env, body := r.conflict(1, "n", map[string]any{"value": 5})
	mustTake(t, e, r.json(sp.FrameCheckpoint, sp.Checkpoint{Bucket: grid, Incarnation: "inc", Seq: 1, Count: 1, Digest: sp.Digest{}.Add(sp.RowHash(env, body)).String()}).end())
	if _, _, err := e.Settle("c1", true); err == nil {
		t.Error("the record is not on this phone, and its value was to be taken")
	}
	if _, drafts, err := e.Settle("c1", false); err != nil || len(drafts) != 1 {
		t.Errorf("what stands cannot be kept: %v", err)
	}
}
