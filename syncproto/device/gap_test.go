package device_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"testing"

	sp "aidloop/syncproto"
	"aidloop/syncproto/device"
)

// captured is a phone with n groups, each of one change.
func captured(t *testing.T, n int) (*device.Engine, *device.Memory) {
	t.Helper()
	e, s := phone(t)
	for i := range n {
		if _, err := e.Capture(home, []device.Draft{{Op: sp.OpPut, Ref: sp.Ref{Kind: "visit", ID: fmt.Sprintf("v%d", i)}, Fields: sp.Fields(map[string]any{"n": i})}}, now); err != nil {
			t.Fatal(err)
		}
	}
	return e, s
}

// damage takes bytes of groups off the phone.
func damage(t *testing.T, s *device.Memory, dseqs ...int) {
	t.Helper()
	err := s.Update(func(tx device.Tx) error {
		for _, n := range dseqs {
			if err := tx.Delete(fmt.Sprintf("group/%016d", n)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func request(t *testing.T, e *device.Engine) *sp.Request {
	t.Helper()
	b, err := e.Request(now, device.Ask{NoPull: true})
	if err != nil {
		t.Fatal(err)
	}
	req, err := sp.ParseRequest(b)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// answered gives the phone the server's hello with outcomes for what it pushed.
func answered(t *testing.T, e *device.Engine, req *sp.Request, have uint64) {
	t.Helper()
	r := reply(have)
	var outs sp.Outcomes
	for _, g := range req.Groups {
		outs.Groups = append(outs.Groups, sp.Outcome{Dseq: g.Dseq, Status: sp.GroupJudged})
	}
	b := r.json(sp.FrameOutcomes, outs).b
	b = sp.AppendJSON(b, sp.FrameEnd, sp.End{Frames: 2})
	if _, err := give(e, b); err != nil {
		t.Fatal(err)
	}
}

func give(e *device.Engine, b []byte) (more bool, err error) {
	r := e.Response(now)
	for len(b) > 0 {
		f, rest, err := sp.NextFrame(b)
		if err == nil {
			err = r.Frame(f)
		}
		if err != nil {
			return false, err
		}
		b = rest
	}
	more, _, err = r.Finish()
	return more, err
}

// Groups whose bytes a damaged store lost are declared, and only those; what is before and behind them goes out.
func TestDamagedGroupsAreDeclared(t *testing.T) {
	public := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32)).Public().(ed25519.PublicKey)
	for _, c := range []struct {
		name     string
		damaged  []int
		first    []uint64 // groups of the first push
		from, to uint64   // declared by the second one
		second   []uint64
	}{
		{"in the middle", []int{3, 4}, []uint64{1, 2}, 3, 4, []uint64{5, 6}},
		{"at the end", []int{5, 6}, []uint64{1, 2, 3, 4}, 5, 6, nil},
		{"alone", []int{2}, []uint64{1}, 2, 2, []uint64{3, 4, 5, 6}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, s := captured(t, 6)
			damage(t, s, c.damaged...)
			if _, err := e.List("visit"); err != nil {
				t.Errorf("the rest cannot be seen: %v", err)
			}
			numbers := func(req *sp.Request) (list []uint64) {
				for _, g := range req.Groups {
					list = append(list, g.Dseq)
				}
				return list
			}
			req := request(t, e)
			if got := numbers(req); req.Lost != nil || fmt.Sprint(got) != fmt.Sprint(c.first) {
				t.Fatalf("first %v, %+v", got, req.Lost)
			}
			answered(t, e, req, c.first[len(c.first)-1])
			req = request(t, e)
			if got := numbers(req); req.Lost == nil || req.Lost.From != c.from || req.Lost.To != c.to || fmt.Sprint(got) != fmt.Sprint(c.second) {
				t.Fatalf("second %v, %+v", got, req.Lost)
			}
			if head, err := req.Lost.Verify(public); err != nil || req.Sign != nil && req.Sign.Prev != head.String() {
				t.Errorf("%v, %+v", err, req.Sign)
			}
			if again := request(t, e); again.Lost == nil || again.Lost.From != c.from {
				t.Error("a lost answer changes what is declared")
			}
			answered(t, e, req, 6)
			st, err := e.Status(0)
			if err != nil || st.Trouble != "" || st.OnlyHere != 0 || len(st.Lost) != 1 || st.Lost[0].From != c.from || st.Lost[0].To != c.to {
				t.Errorf("%+v, %v", st, err)
			}
			if req := request(t, e); req.Lost != nil || len(req.Groups) > 0 {
				t.Errorf("it is said again: %+v", req)
			}
			if _, err := e.Reissue(device.Identity{Device: "dev-2", User: user, Private: ed25519.NewKeyFromSeed(make([]byte, 32)), UserKey: sp.Key{1}}); err != nil {
				t.Errorf("it cannot be enrolled anew: %v", err)
			}
		})
	}
}

// Nothing is declared while its bytes are here, nor where the chain's head before what is left is not known.
func TestNothingIsDeclaredInDoubt(t *testing.T) {
	e, s := captured(t, 4)
	if req := request(t, e); req.Lost != nil || len(req.Groups) != 4 {
		t.Errorf("%+v", req)
	}
	damage(t, s, 1, 2)
	if err := s.Update(func(tx device.Tx) error { return tx.Delete(fmt.Sprintf("outbox/%016d", 2)) }); err != nil {
		t.Fatal(err)
	}
	req := request(t, e)
	if req.Lost != nil || len(req.Groups) > 0 && req.Groups[0].Dseq != 3 {
		t.Errorf("%+v", req)
	}
	if again, err := e.Refused(&sp.Error{Code: sp.CodeDseqGap, Have: 0, Head: sp.ChainStart(dev)}); again || err != nil {
		t.Errorf("%v, %v", again, err)
	}
	if st, err := e.Status(0); err != nil || st.Trouble != sp.CodeDseqGap {
		t.Errorf("%+v, %v", st, err)
	}

	e, s = captured(t, 4) // the same where only a hello comes
	damage(t, s, 1, 2)
	if err := s.Update(func(tx device.Tx) error { return tx.Delete(fmt.Sprintf("outbox/%016d", 2)) }); err != nil {
		t.Fatal(err)
	}
	answered(t, e, &sp.Request{}, 0)
	if st, err := e.Status(0); err != nil || st.Trouble != sp.CodeDseqGap {
		t.Errorf("%+v, %v", st, err)
	}
}

// The phone tells its owner when its clock is far from the server's.
func TestClockOffset(t *testing.T) {
	for _, c := range []struct {
		off int64
		bad bool
	}{{0, false}, {50_000, false}, {-50_000, false}, {3600_000, true}, {-86400_000, true}} {
		e, _ := phone(t)
		b := sp.AppendJSON(nil, sp.FrameHelloReply, sp.HelloReply{Version: 1, Incarnation: "inc", Now: now.Wall - c.off})
		if _, err := give(e, sp.AppendJSON(b, sp.FrameEnd, sp.End{Frames: 1})); err != nil {
			t.Fatal(err)
		}
		if st, err := e.Status(0); err != nil || st.ClockOffset != c.off || st.ClockOff != c.bad {
			t.Errorf("%+v, %v", st, err)
		}
	}
}
