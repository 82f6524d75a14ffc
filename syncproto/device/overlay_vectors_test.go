package device

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"aidloop/syncproto"
)

var update = flag.Bool("update", false, "write the golden vectors anew")

// overlayCase is a server's row, the groups that are pending over it, and what a person sees. Policies are by field; a
// missing one is latest.
type overlayCase struct {
	Row      []string          `json:"row,omitempty"` // envelope, body
	Policies map[string]string `json:"policies"`
	Groups   []string          `json:"groups"`
	Seen     []string          `json:"seen,omitempty"` // envelope, body; missing where there is nothing to see
	Pending  bool              `json:"pending"`
	Acts     []string          `json:"acts,omitempty"`
}

// overlayCases are drawn by a fixed seed. Some groups lie over rows that carry them already, as between an outcome and
// its checkpoint.
func overlayCases(t *testing.T) (list []overlayCase) {
	d := rand.New(rand.NewPCG(20251119, 2))
	ref, root := syncproto.Ref{Kind: "visit", ID: "v1"}, syncproto.Ref{Kind: "household", ID: "h1"}
	names := []string{"a", "b", "c"}
	for range 60 {
		c := overlayCase{Policies: map[string]string{}}
		for _, n := range names {
			c.Policies[n] = []string{"latest", "review", "once", "server"}[d.IntN(4)]
		}
		stamp := func() syncproto.Stamp {
			return syncproto.MakeStamp([]string{"me", "other"}[d.IntN(2)], uint64(1+d.IntN(5)))
		}
		s, e := NewMemory(), &Engine{id: Identity{Device: "me"}, opts: Options{PolicyOf: func(_, f string) syncproto.Policy { return syncproto.Policy(c.Policies[f]) }}}
		e.store = s
		err := s.Update(func(tx Tx) error {
			if d.IntN(4) > 0 {
				env := syncproto.Envelope{Ref: ref, Root: root, Version: syncproto.Version{Stamp: stamp(), Time: 100}}
				body := syncproto.Object{}
				for _, n := range names {
					if d.IntN(3) > 0 {
						body = body.With(n, syncproto.MustValue(d.IntN(3)))
					}
					if d.IntN(3) == 0 {
						env.Fields = append(env.Fields, syncproto.FieldVersion{Name: n, Version: syncproto.Version{Stamp: stamp(), Time: 200}})
					}
				}
				c.Row = []string{string(env.Bytes()), string(body.Bytes())}
				payload := append(binary.BigEndian.AppendUint32(make([]byte, 8), uint32(len(c.Row[0]))), c.Row[0]+c.Row[1]...)
				if err := tx.Put(keyRow("ref", ref), payload); err != nil {
					return err
				}
				if err := tx.Put(keyPlace(ref), []byte("ref")); err != nil {
					return err
				}
			}
			st := state{Next: 1, Head: syncproto.ChainStart("me").String()}
			for range d.IntN(4) {
				g := &syncproto.Group{Device: "me", Dseq: st.Next, Root: root, Clock: syncproto.Clock{Wall: int64(150 + 100*d.IntN(2))}, Changes: []syncproto.Change{drawPending(d, ref, names, stamp)}}
				raw, err := g.Encode()
				if err != nil {
					return err
				}
				c.Groups = append(c.Groups, string(raw))
				if _, err := keep(tx, st, g, 0); err != nil {
					return err
				}
				st.Next++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		v, err := e.View(ref)
		if err != nil {
			t.Fatal(err)
		}
		if v != nil {
			c.Seen, c.Pending, c.Acts = []string{string(v.Envelope.Bytes()), string(v.Body.Bytes())}, v.Pending, v.Acts
		}
		list = append(list, c)
	}
	return list
}

func drawPending(d *rand.Rand, ref syncproto.Ref, names []string, stamp func() syncproto.Stamp) syncproto.Change {
	c := syncproto.Change{Op: []syncproto.Op{"put", "set", "set", "set", "act", "delete"}[d.IntN(6)], Ref: ref, Base: map[string]syncproto.Stamp{}}
	if d.IntN(6) == 0 {
		c.Ref.ID = "other"
	}
	switch c.Op {
	case syncproto.OpAct:
		c.Act, c.Base = fmt.Sprintf("step_%d", d.IntN(3)), nil
	case syncproto.OpDelete:
		for _, n := range names {
			c.Base[n] = stamp()
		}
	default:
		n := names[d.IntN(len(names))]
		c.Fields, c.Base[n] = c.Fields.With(n, syncproto.MustValue(3+d.IntN(3))), stamp()
		if c.Op == syncproto.OpPut {
			c.Base = nil
		}
	}
	return c
}

const overlayFile = "../testdata/vectors/v1_overlay.json"

// What a phone shows while its work is under way is the same in every client.
func TestGoldenOverlay(t *testing.T) {
	got := new(bytes.Buffer)
	if err := json.NewEncoder(got).Encode(overlayCases(t)); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(overlayFile, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(overlayFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Error("the overlay of some cases is not what it was when the vectors were cut")
	}
}
