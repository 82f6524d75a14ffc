package mobileapi_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"

	mobileapi "aidloop/mobile-api"
	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// phone is a device that builds its requests by hand, so that tests can build wrong ones, too.
type phone struct {
	w    *world
	key  ed25519.PrivateKey
	head syncproto.Hash
	dseq uint64 // of the last change made
	enrolment
}

// enrolment is the answer of /enrol/v1, as PROTOCOL.md gives it.
type enrolment struct {
	Device      string `json:"device"`
	User        string `json:"user"`
	UserName    string `json:"user_name"`
	Region      string `json:"region"`
	Role        string `json:"role"`
	Access      string `json:"access_token"`
	ExpiresIn   int    `json:"access_expires_in"`
	Refresh     string `json:"refresh_token"`
	UserKey     []byte `json:"user_key"`
	ServerKey   []byte `json:"server_key"`
	Incarnation string `json:"incarnation"`
	Recipient   string `json:"bundle_recipient"`
}

func (w *world) code(user string) string {
	w.Helper()
	code, err := w.loop.NewEnrolCode(context.Background(), casework.System, user)
	w.must(err)
	return code
}

func deviceKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func (w *world) tryEnrol(code string, key ed25519.PrivateKey) answer {
	w.Helper()
	return w.post("/enrol/v1", map[string]any{"code": code, "public_key": []byte(key.Public().(ed25519.PublicKey)), "name": "测试手机", "app": "1.0", "catalog": 1})
}

func (w *world) phone(user string) *phone {
	w.Helper()
	p := &phone{w: w, key: deviceKey(user + w.newID())}
	a := w.tryEnrol(w.code(user), p.key)
	if a.status != http.StatusCreated {
		w.Fatalf("enrol: %d %s", a.status, a.body)
	}
	w.must(json.Unmarshal(a.body, &p.enrolment))
	p.head = syncproto.ChainStart(p.Device)
	return p
}

// push is a request in the making.
type push struct {
	hello  syncproto.Hello
	groups []syncproto.SignedGroup
	sign   *syncproto.Sign
	want   *syncproto.Want
}

func (p *phone) hello() push {
	now := p.w.clock().UnixMilli()
	return push{hello: syncproto.Hello{Versions: [2]int{1, 1}, Device: p.Device, Catalog: 1, Wall: now, Mono: now, Boot: "boot"}}
}

// pull asks for everything, from the beginning.
func (p *phone) pull() push {
	r := p.hello()
	r.want = &syncproto.Want{}
	return r
}

// households captures new households, a group each, and signs them.
func (p *phone) households(grid string, ids ...string) push {
	p.w.Helper()
	r := p.hello()
	prev, first := p.head, p.dseq+1
	for _, id := range ids {
		p.dseq++
		g := syncproto.Group{Device: p.Device, Dseq: p.dseq, Root: syncproto.Ref{Kind: "household", ID: id}, Catalog: 1,
			Clock: r.hello.Clock(), Changes: []syncproto.Change{{Op: syncproto.OpPut, Ref: syncproto.Ref{Kind: "household", ID: id},
				Bucket: syncproto.BucketGrid + grid, Fields: syncproto.Fields(map[string]any{"code": "H-" + id, "members_count": 3})}}}
		b, err := g.Encode()
		p.w.must(err)
		r.groups = append(r.groups, syncproto.SignedGroup{Dseq: p.dseq, Changes: 1, Bytes: b})
		p.head = syncproto.ChainNext(p.head, syncproto.GroupHash(b))
	}
	r.sign = &syncproto.Sign{Device: p.Device, First: first, Prev: prev.String(), Last: p.dseq, Head: p.head.String(),
		Sig: syncproto.SignHead(p.key, p.Device, p.dseq, p.head)}
	return r
}

func (r push) bytes() []byte {
	b := syncproto.AppendJSON(nil, syncproto.FrameHello, r.hello)
	n := 1
	for _, g := range r.groups {
		b = syncproto.AppendGroup(b, g.Dseq, g.Changes, g.Bytes)
		n++
	}
	if r.sign != nil {
		b = syncproto.AppendJSON(b, syncproto.FrameSign, r.sign)
		n++
	}
	if r.want != nil {
		b = syncproto.AppendJSON(b, syncproto.FrameWant, r.want)
		n++
	}
	return syncproto.AppendJSON(b, syncproto.FrameEnd, syncproto.End{Frames: n})
}

// reply is a response, taken apart.
type reply struct {
	hello       syncproto.HelloReply
	outcomes    []syncproto.Outcome
	receipt     *syncproto.SignedReceipt
	rows        map[string][]syncproto.Row // by bucket
	checkpoints map[string]syncproto.Checkpoint
	snapshots   map[string]syncproto.Snapshot
	fault       syncproto.Fault
}

func (w *world) parse(b []byte) reply {
	w.Helper()
	r := reply{rows: map[string][]syncproto.Row{}, checkpoints: map[string]syncproto.Checkpoint{}, snapshots: map[string]syncproto.Snapshot{}}
	bucket, frames := "", 0
	for {
		f, rest, err := syncproto.NextFrame(b)
		if err == io.EOF {
			w.Fatal("the response has no end")
		}
		w.must(err)
		switch f.Type {
		case syncproto.FrameHelloReply:
			w.must(f.Decode(&r.hello))
		case syncproto.FrameOutcomes:
			var o syncproto.Outcomes
			w.must(f.Decode(&o))
			r.outcomes = o.Groups
		case syncproto.FrameReceipt:
			r.receipt = &syncproto.SignedReceipt{}
			w.must(f.Decode(r.receipt))
		case syncproto.FrameBucket:
			var s syncproto.BucketStart
			w.must(f.Decode(&s))
			bucket = s.Bucket
		case syncproto.FrameSnapshot:
			var s syncproto.Snapshot
			w.must(f.Decode(&s))
			r.snapshots[s.Bucket] = s
		case syncproto.FrameRow:
			row, err := syncproto.ParseRow(f.Payload)
			w.must(err)
			r.rows[bucket] = append(r.rows[bucket], row)
		case syncproto.FrameCheckpoint:
			var c syncproto.Checkpoint
			w.must(f.Decode(&c))
			r.checkpoints[c.Bucket] = c
		case syncproto.FrameFault:
			w.must(f.Decode(&r.fault))
		case syncproto.FrameEnd:
			var end syncproto.End
			w.must(f.Decode(&end))
			if end.Frames != frames || len(rest) > 0 {
				w.Fatal("the end frame counts otherwise")
			}
			return r
		}
		b, frames = rest, frames+1
	}
}

// send posts a body to /sync/v1, with the phone's token where there is one.
func (p *phone) send(body []byte, headers ...string) answer {
	p.w.Helper()
	h := []string{"Content-Type", mobileapi.SyncType, "Accept-Encoding", "identity"}
	if p.Access != "" {
		h = append(h, "Authorization", "Bearer "+p.Access)
	}
	return p.w.do(http.MethodPost, "/sync/v1", body, append(h, headers...)...)
}

// exchange sends a request that must be answered.
func (p *phone) exchange(r push, headers ...string) reply {
	p.w.Helper()
	a := p.send(r.bytes(), headers...)
	if a.status != http.StatusOK {
		p.w.Fatalf("%d %s", a.status, a.body)
	}
	enc := a.header.Get("Content-Encoding")
	b, err := loop.Decompress(enc, a.body, 2*syncproto.MaxPageBytes)
	p.w.must(err)
	return p.w.parse(b)
}

// have is the last change of the phone that the server has on record.
func (p *phone) have() uint64 {
	p.w.Helper()
	return p.exchange(p.hello()).hello.Have
}

func (p *phone) mustHave(n uint64) {
	p.w.Helper()
	if got := p.have(); got != n {
		p.w.Errorf("the server has %d changes, want %d", got, n)
	}
}
