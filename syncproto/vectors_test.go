package syncproto_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	sp "aidloop/syncproto"
)

var update = flag.Bool("update", false, "write the golden vectors anew")

// The vectors are what a client in another language checks itself against. They are made from fixed keys and values,
// so that version 1 can never change without somebody noticing.
type vectors struct {
	Canonical struct {
		Valid   []string            `json:"valid"`
		Invalid []string            `json:"invalid"`
		From    []map[string]string `json:"from"` // any JSON and its canonical form
	} `json:"canonical"`
	Envelope []string            `json:"envelope"`
	Group    []groupVector       `json:"group"`
	Chain    chainVector         `json:"chain"`
	Rows     []rowVector         `json:"rows"`
	Digest   map[string]string   `json:"digest"`
	Leaves   map[string]string   `json:"leaves"` // of the rows: SHA-256 of the bytes on the wire, and the set of leaves that are not zero
	Seal     []sealVector        `json:"seal"`
	Wrap     map[string]string   `json:"wrap"`
	Clock    []clockVector       `json:"clock"`
	IDs      []map[string]string `json:"ids"`
	Receipt  map[string]string   `json:"receipt"`
	Request  map[string]any      `json:"request"`
	Merge    []mergeVector       `json:"merge"`
}

type groupVector struct {
	Bytes string `json:"bytes"`
	Hash  string `json:"hash"`
}

type chainVector struct {
	Seed       string `json:"seed"` // of the Ed25519 key, hex
	Device     string `json:"device"`
	Start      string `json:"start"`
	Head       string `json:"head"` // behind the first group vector
	SignedText string `json:"signed_text"`
	Signature  string `json:"signature"` // hex
}

type rowVector struct {
	Envelope string `json:"envelope"`
	Body     string `json:"body"`
	Hash     string `json:"hash"`
	Leaf     int    `json:"leaf"`
}

type sealVector struct {
	Key    string `json:"key"` // hex
	KeyID  string `json:"key_id"`
	Ref    string `json:"ref"`
	Field  string `json:"field"`
	Value  string `json:"value"`
	Sealed string `json:"sealed"`
}

type clockVector struct {
	Captured  [2]int64 `json:"captured"` // wall, mono; boot "b"
	AtPush    [2]int64 `json:"at_push"`
	SameBoot  bool     `json:"same_boot"`
	Received  int64    `json:"received"`
	Floor     int64    `json:"floor"`
	Corrected int64    `json:"corrected"`
}

type mergeVector struct {
	Policy string    `json:"policy"`
	Before [2]string `json:"before"` // envelope, body
	Base   string    `json:"base"`
	Value  string    `json:"value"` // that the field a is set to
	Stamp  string    `json:"stamp"`
	Time   int64     `json:"time"`
	After  [2]string `json:"after"`
	Status string    `json:"status"`
	Loser  string    `json:"loser"` // the value that does not stand, "" where none is lost
	Code   string    `json:"code"`
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func makeVectors() vectors {
	var v vectors
	v.Canonical.Valid = []string{`{}`, `[]`, `""`, `0`, `-9007199254740991`, `9007199254740991`, `{"a":1,"b":[true,false,"x"]}`, `{"$s":"0011223344556677.AAAA"}`,
		`"\"\\\b\t\n\f\r\u0000\u001f"`, `"/<>&"`, "\"\u2028汨罗\U0001f600\u007f\"", `{"_deleted":1}`}
	v.Canonical.Invalid = []string{``, `null`, `{"a":null}`, `{"b":1,"a":2}`, `{"a":1,"a":1}`, `{"A":1}`, `{"":1}`, `1.0`, `1e3`, `-0`, `01`, `9007199254740992`, `{ }`, `"\/"`, `"\u0041"`,
		`"\u000A"`, `"\u000a"`, `"\ud800"`, "\"\x01\"", "\"\xff\"", `[1,]`, `{"a":1}x`, `{"$s":1}`, `{"$s":"x","a":1}`}
	for _, in := range []string{`{"b": 2, "a": [1, {"y": null, "x": "\u6c68"}]}`, `"\/\u0041\u000a"`, "\t[ -0 ,1]\n"} {
		if out, err := sp.Canonicalize([]byte(in)); err == nil {
			v.Canonical.From = append(v.Canonical.From, map[string]string{"json": in, "canonical": string(out)})
		}
	}

	home := sp.Ref{Kind: "household", ID: "0192f0c0-0000-7000-8000-000000000001"}
	visit := sp.Ref{Kind: "visit", ID: "0192f0c0-0000-7000-8000-000000000002"}
	const dev = "0192f0c0-0000-7000-8000-00000000000d"
	env := sp.Envelope{Ref: visit, Root: home, Version: sp.Version{Stamp: dev + ":1", Time: 1764000000000}}
	changed := env
	changed.Fields = []sp.FieldVersion{{Name: "q_wages", Version: sp.Version{Stamp: "inc-1:9", Time: 1764000000500}}}
	gone := changed
	gone.Deleted = true
	for _, e := range []sp.Envelope{env, changed, gone, {Ref: sp.Ref{Kind: "region", ID: "430681000000"}, Version: sp.Version{Stamp: "inc-1:1"}}} {
		v.Envelope = append(v.Envelope, string(e.Bytes()))
	}

	key := sp.Key{1, 2, 3}
	sealer := sp.NewSealer(key)
	for _, s := range []struct{ field, value string }{{"note", `"门口有狗"`}, {"note", `""`}, {"a", `12`}, {"a1", `2`}, {"q_members", `[{"id_no":"none","name":"测试"}]`}} {
		v.Seal = append(v.Seal, sealVector{hex.EncodeToString(key[:]), key.ID(), visit.String(), s.field, s.value, string(sealer.Seal(visit, s.field, sp.Raw(s.value)))})
	}
	inner := sp.Key{9, 9}
	carrier := sp.Ref{Kind: "key", ID: sp.DerivedID("key", home.String())}
	v.Wrap = map[string]string{"wrapping_key": hex.EncodeToString(key[:]), "carrier": carrier.String(), "key": hex.EncodeToString(inner[:]), "key_id": inner.ID(), "wrapped": string(sealer.Wrap(carrier, inner))}

	groups := []*sp.Group{
		{Device: dev, Dseq: 1, Root: home, Catalog: 1, GV: "inc-1:4", Clock: sp.Clock{Wall: 1764000000000, Mono: 12, Boot: "b1"}, Changes: []sp.Change{
			{Op: sp.OpPut, Ref: visit, Fields: sp.Fields(map[string]any{"household": home.ID, "q_wages": 120000, "note": sealer.Seal(visit, "note", sp.Raw(`"门口有狗"`))})},
			{Op: sp.OpAct, Ref: visit, Act: "submit"}}},
		{Device: dev, Dseq: 3, Root: home, Catalog: 1, Changes: []sp.Change{
			{Op: sp.OpSet, Ref: visit, Fields: sp.Fields(map[string]any{"q_wages": 130000}), Clear: []string{"note"}, Base: map[string]sp.Stamp{"q_wages": dev + ":1", "note": dev + ":1"}}}},
		{Device: dev, Dseq: 4, Root: home, Catalog: 1, Origin: &sp.Origin{Device: "old", Dseq: 2, Hash: sp.Hash{7}}, Changes: []sp.Change{
			{Op: sp.OpPut, Ref: home, Bucket: "grid:430681102212-001", Fields: sp.Fields(map[string]any{"members_count": 3})},
			{Op: sp.OpDelete, Ref: visit, Base: map[string]sp.Stamp{"q_wages": "inc-1:9"}}}},
	}
	for _, g := range groups {
		raw := must(g.Encode())
		v.Group = append(v.Group, groupVector{string(raw), sp.GroupHash(raw).String()})
	}
	seed := bytes.Repeat([]byte{5}, 32)
	priv := ed25519.NewKeyFromSeed(seed)
	start := sp.ChainStart(dev)
	head := sp.ChainNext(start, must(sp.ParseHash(v.Group[0].Hash)))
	v.Chain = chainVector{hex.EncodeToString(seed), dev, start.String(), head.String(), string(sp.SignedText(dev, 2, head)), hex.EncodeToString(sp.SignHead(priv, dev, 2, head))}

	var sum sp.Digest
	leaves := &sp.Leaves{}
	for _, e := range []sp.Envelope{env, changed} {
		body := []byte(`{"q_wages":120000}`)
		h := sp.RowHash(e.Bytes(), body)
		sum = sum.Add(h)
		leaves.Add(e.Ref, h)
		v.Rows = append(v.Rows, rowVector{string(e.Bytes()), string(body), h.String(), int(sp.Leaf(e.Ref))})
	}
	hashed := sha256.Sum256(leaves.Bytes())
	v.Leaves = map[string]string{"bytes_sha256": hex.EncodeToString(hashed[:]), "not_zero": leaves.Differing(&sp.Leaves{}).String()}
	v.Digest = map[string]string{"of_rows": sum.String(), "minus_first": sum.Sub(must(sp.ParseHash(v.Rows[0].Hash))).String()}

	for _, c := range []clockVector{{[2]int64{1000, 10}, [2]int64{5000, 4010}, true, 1764000000000, 0, 0}, {[2]int64{0, 0}, [2]int64{3600000, 0}, false, 1764000000000, 0, 0},
		{[2]int64{9000000000000, 10}, [2]int64{1000, 20}, true, 1764000000000, 0, 0}, {[2]int64{1000, 0}, [2]int64{900000, 0}, false, 1764000000000, 1763999999999, 0}} {
		boot := "c"
		if c.SameBoot {
			boot = "b"
		}
		c.Corrected = sp.CorrectTime(sp.Clock{Wall: c.Captured[0], Mono: c.Captured[1], Boot: "b"}, sp.Clock{Wall: c.AtPush[0], Mono: c.AtPush[1], Boot: boot}, c.Received, c.Floor)
		v.Clock = append(v.Clock, c)
	}
	v.IDs = []map[string]string{{"kind": "outcome", "cause": dev + ":3", "id": sp.DerivedID("outcome", dev+":3")}, {"kind": "key", "cause": home.String(), "id": carrier.ID}}
	receipt := sp.Receipt{At: 1764000001000, Device: dev, Dseq: 2, Head: head, Incarnation: "inc-1", Heads: []sp.BucketHead{{Bucket: "grid:430681102212-001", Head: sp.LedgerStart("grid:430681102212-001")}}}
	signed := sp.SignReceipt(priv, &receipt)
	v.Receipt = map[string]string{"receipt": signed.Receipt, "signature": hex.EncodeToString(signed.Sig), "server_seed": hex.EncodeToString(seed)}

	req := sp.AppendFrame(nil, sp.FrameHello, []byte(`{"versions":[1,1],"device":"`+dev+`","catalog":1,"wall":1764000000900,"mono":912,"boot":"b1"}`))
	req = sp.AppendGroup(req, 1, 2, []byte(v.Group[0].Bytes))
	req = sp.AppendJSON(req, sp.FrameSign, sp.Sign{Device: dev, First: 1, Prev: start.String(), Last: 2, Head: head.String(), Sig: sp.SignHead(priv, dev, 2, head)})
	req = sp.AppendFrame(req, sp.FrameEnd, []byte(`{"frames":3}`))
	row := sp.AppendRow(nil, 8, env.Bytes(), []byte(`{"q_wages":120000}`))
	v.Request = map[string]any{"push_hex": hex.EncodeToString(req), "groups": 1, "last": 2, "row_frame_hex": hex.EncodeToString(row)}
	v.Merge = mergeVectors(visit, home)
	return v
}

// mergeVectors set the field a of a record under every policy, as a successor, as a concurrent write that is earlier or
// later, and as an equal value.
func mergeVectors(ref, root sp.Ref) (list []mergeVector) {
	before := sp.Record{Envelope: sp.Envelope{Ref: ref, Root: root, Version: sp.Version{Stamp: "d1:1", Time: 100},
		Fields: []sp.FieldVersion{{Name: "a", Version: sp.Version{Stamp: "d1:2", Time: 200}}}}, Body: sp.Fields(map[string]any{"a": 1, "b": 2})}
	for _, policy := range []sp.Policy{sp.PolicyLatest, sp.PolicyReview, sp.PolicyOnce, sp.PolicyServer} {
		for _, c := range []struct {
			base  sp.Stamp
			value string
			time  int64
		}{{"d1:2", "5", 50}, {"d1:1", "5", 150}, {"d1:1", "5", 250}, {"d1:1", "1", 250}} {
			ch := sp.Change{Op: sp.OpSet, Ref: ref, Fields: sp.Object{{Name: "a", Value: sp.Raw(c.value)}}, Base: map[string]sp.Stamp{"a": c.base}}
			m := sp.Merge(&before, root, &ch, sp.Version{Stamp: "d2:1", Time: c.time}, false, sp.Rules{PolicyOf: func(string, string) sp.Policy { return policy }})
			x := mergeVector{Policy: string(policy), Before: [2]string{string(before.Envelope.Bytes()), string(before.Body.Bytes())}, Base: string(c.base), Value: c.value, Stamp: "d2:1", Time: c.time,
				Status: string(m.Status), Code: string(m.Code)}
			if m.Record != nil {
				x.After = [2]string{string(m.Record.Envelope.Bytes()), string(m.Record.Body.Bytes())}
			}
			if len(m.Losers) > 0 {
				x.Loser = string(m.Losers[0].Value)
			}
			list = append(list, x)
		}
	}
	return list
}

const vectorFile = "testdata/vectors/v1.json"

func TestGoldenVectors(t *testing.T) {
	got := new(bytes.Buffer)
	enc := json.NewEncoder(got)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(makeVectors()); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(vectorFile), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorFile, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Error("the protocol no longer says what version 1 says. If that is meant, it is another version: bump ProtocolVersion and keep v1.json")
	}
}

// The vectors are read back: every decoder takes the valid ones and refuses the others, every key opens its values.
func TestGoldenVectorsReadBack(t *testing.T) {
	var v vectors
	b, err := os.ReadFile(vectorFile)
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range v.Canonical.Valid {
		if err := sp.CheckCanonical([]byte(s)); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range makeVectors().Canonical.Invalid { // one of them is not UTF-8, which JSON cannot carry
		if sp.CheckCanonical([]byte(s)) == nil {
			t.Errorf("%q is taken", s)
		}
	}
	for _, s := range v.Envelope {
		if e, err := sp.ParseEnvelope([]byte(s)); err != nil || string(e.Bytes()) != s {
			t.Errorf("%s: %v", s, err)
		}
	}
	for _, g := range v.Group {
		p, err := sp.ParseGroup([]byte(g.Bytes))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := p.Encode(); err != nil || string(again) != g.Bytes {
			t.Errorf("%s becomes %s, %v", g.Bytes, again, err)
		}
	}
	for _, s := range v.Seal {
		var key sp.Key
		if _, err := hex.Decode(key[:], []byte(s.Key)); err != nil {
			t.Fatal(err)
		}
		ref, err := sp.ParseRef(s.Ref)
		if err != nil {
			t.Fatal(err)
		}
		if open, err := sp.NewSealer(key).Open(ref, s.Field, sp.Raw(s.Sealed)); err != nil || string(open) != s.Value {
			t.Errorf("%s: %s, %v", s.Sealed, open, err)
		}
	}
	push, err := hex.DecodeString(v.Request["push_hex"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if req, err := sp.ParseRequest(push); err != nil || len(req.Groups) != 1 || req.Sign.Last != 2 {
		t.Errorf("%+v, %v", req, err)
	}
	for n := range push {
		if _, err := sp.ParseRequest(push[:n]); err == nil {
			t.Fatalf("%d bytes of %d are taken for a whole request", n, len(push))
		}
	}
}
