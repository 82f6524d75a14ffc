package mobileapi_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	mobileapi "aidloop/mobile-api"
	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

func TestAPushNeedsNoToken(t *testing.T) {
	w := newWorld(t)
	p := w.phone(anna)
	access := p.Access
	for i, bearer := range []string{"", "rubbish", access} {
		w.pass(time.Duration(i) * 10 * time.Minute) // the last one has expired
		p.Access = bearer
		push := p.households(gridA, fmt.Sprintf("h%d", i))
		push.want = &syncproto.Want{}
		r := p.exchange(push)
		if len(r.outcomes) != 1 || r.outcomes[0].Status != syncproto.GroupJudged || r.receipt == nil || !r.receipt.Verify(p.ServerKey) {
			t.Errorf("token %q: %+v", bearer, r)
		}
		if r.fault.Code != syncproto.CodeTokenInvalid || r.fault.Message == "" || len(r.rows) > 0 {
			t.Errorf("token %q: fault %+v, rows %v", bearer, r.fault, r.rows)
		}
	}
	p.mustHave(3)
}

func TestATokenOfAnotherDeviceIsRefused(t *testing.T) {
	w := newWorld(t)
	p, other := w.phone(anna), w.phone(bao)
	mine := p.Access
	p.Access = other.Access
	w.refused(p.send(p.households(gridA, "h1").bytes()), 403, syncproto.CodeForeignToken)
	p.Access = mine
	p.mustHave(0)
}

func TestOneChangeGoesFromPhoneToPhone(t *testing.T) {
	w := newWorld(t)
	from, to, stranger := w.phone(anna), w.phone(chen), w.phone(bao)
	bucket := syncproto.BucketGrid + gridA
	push := from.households(gridA, "h1")
	push.want = &syncproto.Want{}
	sent := from.exchange(push)
	if sent.outcomes[0].At == nil || sent.outcomes[0].At.Bucket != bucket || len(sent.rows[bucket]) != 1 {
		t.Errorf("the writer does not see his own write: %+v", sent)
	}
	got := to.exchange(to.pull())
	rows, at := got.rows[bucket], got.checkpoints[bucket]
	if len(rows) != 1 || string(rows[0].Body) != `{"code":"H-h1","members_count":3}` {
		t.Fatalf("%+v", got)
	}
	if want := (syncproto.Digest{}).Add(syncproto.RowHash(rows[0].Envelope, rows[0].Body)); at.Digest != want.String() || at.Count != 1 {
		t.Errorf("checkpoint %+v, own digest %s", at, want)
	}
	if r := stranger.exchange(stranger.pull()); len(r.rows[bucket]) > 0 || r.checkpoints[bucket].Bucket != "" {
		t.Errorf("a stranger got %+v", r)
	}
}

func TestTheSamePushAgainChangesNothing(t *testing.T) {
	w := newWorld(t)
	p := w.phone(anna)
	body := p.households(gridA, "h1", "h2").bytes()
	for i := range 3 {
		a := p.send(body)
		r := w.parse(a.body)
		if len(r.outcomes) != 2 || r.outcomes[0].Replay != (i > 0) || r.outcomes[0].Status != syncproto.GroupJudged || r.hello.Have != 2 {
			t.Fatalf("delivery %d: %+v", i, r)
		}
	}
	if n := len(p.exchange(p.pull()).rows[syncproto.BucketGrid+gridA]); n != 2 {
		t.Errorf("%d rows", n)
	}
}

func TestAGapSaysWhereToGoOn(t *testing.T) {
	w := newWorld(t)
	p := w.phone(anna)
	p.exchange(p.households(gridA, "h1"))
	head := p.head
	missing := p.households(gridA, "h2")
	later := p.households(gridA, "h3")
	problem := w.refused(p.send(later.bytes()), 409, syncproto.CodeDseqGap)
	if problem.Have == nil || *problem.Have != 1 || problem.Head != head.String() {
		t.Errorf("%+v", problem)
	}
	p.exchange(missing)
	p.exchange(later)
	p.mustHave(3)
}

func TestForgeriesAreRefused(t *testing.T) {
	w := newWorld(t)
	p, other := w.phone(anna), w.phone(bao)
	good := p.households(gridA, "h1")

	bad := good
	sign := *good.sign
	sign.Sig = bytes.Repeat([]byte{1}, 64)
	bad.sign = &sign
	w.refused(p.send(bad.bytes()), 401, syncproto.CodeBadSignature)

	thief := &phone{w: w, key: other.key, head: syncproto.ChainStart(p.Device), enrolment: p.enrolment}
	w.refused(thief.send(thief.households(gridA, "h9").bytes()), 401, syncproto.CodeBadSignature)

	ghost := &phone{w: w, key: p.key, head: syncproto.ChainStart("ghost"), enrolment: enrolment{Device: "ghost"}}
	w.refused(ghost.send(ghost.households(gridA, "h9").bytes()), 404, syncproto.CodeUnknownDevice)
	w.refused(ghost.send(ghost.hello().bytes()), 404, syncproto.CodeUnknownDevice)

	sign = *good.sign
	sign.Head = syncproto.ChainStart("elsewhere").String()
	w.refused(p.send(bad.bytes()), 400, syncproto.CodeBadChain)

	future := p.hello()
	future.hello.Versions = [2]int{2, 3}
	unreadable := syncproto.AppendJSON(nil, syncproto.FrameHello, future.hello)
	unreadable = append(unreadable, byte(syncproto.FrameGroup), 0, 0, 0, 1, 'x')
	w.refused(p.send(syncproto.AppendJSON(unreadable, syncproto.FrameEnd, syncproto.End{Frames: 2})), 426, syncproto.CodeVersion)
	p.mustHave(0)
	p.exchange(good)
	p.mustHave(1)
}

func TestOtherBytesUnderAKnownNumberFreezeTheDevice(t *testing.T) {
	w := newWorld(t)
	p := w.phone(anna)
	restored := *p
	p.exchange(p.households(gridA, "h1"))
	problem := w.refused(restored.send(restored.households(gridA, "h2").bytes()), 409, syncproto.CodeDseqReused)
	if problem.Have == nil || *problem.Have != 1 || problem.Head != p.head.String() {
		t.Errorf("%+v", problem)
	}
	if r := p.exchange(p.pull()); r.fault.Code != syncproto.CodeFork {
		t.Errorf("%+v", r.fault)
	}
}

func TestEveryTruncatedRequestIsRefusedWhole(t *testing.T) {
	w := newWorld(t)
	p := w.phone(anna)
	push := p.households(gridA, "h1", "h2")
	push.want = &syncproto.Want{}
	body := push.bytes()
	for n := range body {
		a := p.send(body[:n])
		if a.status != http.StatusBadRequest {
			t.Fatalf("the first %d of %d bytes: %d %s", n, len(body), a.status, a.body)
		}
	}
	for _, enc := range []string{"gzip", "zstd"} {
		packed := loop.Compress(enc, body)
		for n := range packed {
			if a := p.send(packed[:n], "Content-Encoding", enc); a.status != http.StatusBadRequest {
				t.Fatalf("%s: the first %d of %d bytes: %d %s", enc, n, len(packed), a.status, a.body)
			}
		}
	}
	p.mustHave(0)
	p.exchange(push)
	p.mustHave(2)
}

// TestABrokenConnectionStoresNothing cuts the connection itself, with a length announced and in chunks.
func TestABrokenConnectionStoresNothing(t *testing.T) {
	w := newWorld(t)
	p := w.phone(anna)
	body := p.households(gridA, "h1", "h2").bytes()
	u, err := url.Parse(w.url)
	w.must(err)
	for _, head := range []string{
		fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)+10_000),
		fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", len(body)),
	} {
		conn, err := net.Dial("tcp", u.Host)
		w.must(err)
		_, err = fmt.Fprintf(conn, "POST /sync/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n%s%s", mobileapi.SyncType, head, body)
		w.must(err)
		w.must(conn.(*net.TCPConn).CloseWrite())
		answer := make([]byte, 1)
		_, _ = conn.Read(answer) // until the server has let go
		w.must(conn.Close())
	}
	p.mustHave(0)
}

func TestWhatIsTooLargeIsRefused(t *testing.T) {
	w := newWorld(t)
	p := w.phone(anna)
	bomb := make([]byte, syncproto.MaxPushBytes+1)
	for _, enc := range []string{"gzip", "zstd"} {
		w.refused(p.send(loop.Compress(enc, bomb), "Content-Encoding", enc), 413, syncproto.CodeTooLarge)
	}
	w.refused(p.send(bomb), 413, syncproto.CodeTooLarge)
	// The same without a length: the client sends in chunks.
	req, err := http.NewRequest(http.MethodPost, w.url+"/sync/v1", onlyReader{bytes.NewReader(bomb)})
	w.must(err)
	req.Header.Set("Content-Type", mobileapi.SyncType)
	resp, err := w.client.Do(req)
	w.must(err)
	if resp.StatusCode != 413 {
		t.Error(resp.Status)
	}
	w.must(resp.Body.Close())
	p.mustHave(0)
}

type onlyReader struct{ r *bytes.Reader }

func (o onlyReader) Read(p []byte) (int, error) { return o.r.Read(p) }

func TestOnlyFramesAreTaken(t *testing.T) {
	w := newWorld(t)
	p := w.phone(anna)
	body := p.households(gridA, "h1").bytes()
	w.refused(p.send(body, "Content-Type", "application/json"), 415, syncproto.CodeUnsupportedType)
	w.refused(p.send(body, "Content-Type", ""), 415, syncproto.CodeUnsupportedType)
	w.refused(p.send(body, "Content-Encoding", "br"), 415, syncproto.CodeUnsupportedType)
	w.refused(p.send(body, "Content-Encoding", "gzip"), 400, syncproto.CodeTruncated)
	p.mustHave(0)
}

func TestEncodings(t *testing.T) {
	w := newWorld(t)
	p := w.phone(anna)
	for i, enc := range []string{"identity", "gzip", "zstd"} {
		push := p.households(gridA, fmt.Sprintf("h%d-1", i), fmt.Sprintf("h%d-2", i), fmt.Sprintf("h%d-3", i))
		push.want = &syncproto.Want{}
		body := push.bytes()
		if enc != "identity" {
			body = loop.Compress(enc, body)
		}
		a := p.send(body, "Content-Encoding", enc, "Accept-Encoding", enc)
		want := map[string]string{"gzip": "gzip", "zstd": "zstd"}[enc]
		if a.status != 200 || a.header.Get("Content-Encoding") != want || a.header.Get("Vary") != "Accept-Encoding" || a.header.Get("Content-Type") != mobileapi.SyncType {
			t.Fatalf("%s: %d %v", enc, a.status, a.header)
		}
		frames, err := loop.Decompress(want, a.body, syncproto.MaxPushBytes)
		w.must(err)
		if r := w.parse(frames); len(r.outcomes) != 3 {
			t.Errorf("%s: %+v", enc, r)
		}
		// What is kept in an encoding can be told again from it.
		if r := w.parse(p.send(body, "Content-Encoding", enc).body); len(r.outcomes) != 3 || !r.outcomes[2].Replay {
			t.Errorf("%s, again: %+v", enc, r)
		}
	}
	if a := p.send(p.hello().bytes(), "Accept-Encoding", "zstd, gzip"); a.header.Get("Content-Encoding") != "" {
		t.Errorf("%d bytes were compressed", len(a.body))
	}
}

func TestAFullServerAsksToComeBack(t *testing.T) {
	w := newWorld(t, mobileapi.Limits{BodyBytes: 1000})
	p := w.phone(anna)
	small, large := p.hello().bytes(), p.households(gridA, "h1", "h2", "h3", "h4").bytes()
	if len(small) > 1000 || len(large) < 1000 {
		t.Fatal("wrong sizes for this test:", len(small), len(large))
	}
	for range 3 { // what was taken of the budget is given back
		a := p.send(large)
		w.refused(a, 503, syncproto.CodeUnavailable)
		if a.header.Get("Retry-After") == "" {
			t.Error(a.header)
		}
		p.mustHave(0)
	}
}

func TestARevokedPhoneLosesNothingAndLearnsNothing(t *testing.T) {
	w := newWorld(t)
	p := w.phone(anna)
	push := p.households(gridA, "h1")
	push.want = &syncproto.Want{}
	w.must(w.loop.RevokeDevice(context.Background(), casework.System, p.Device))
	r := p.exchange(push)
	if len(r.outcomes) != 1 || r.outcomes[0].Status != syncproto.GroupHeld || r.outcomes[0].Code != syncproto.CodeQuarantine {
		t.Errorf("%+v", r.outcomes)
	}
	if r.fault.Code == "" || len(r.rows) > 0 {
		t.Errorf("a revoked phone pulled: %+v", r)
	}
}

// TestManyPhonesAtOnce lets more phones push than may be served at once, over and over; each waits for its turn.
func TestManyPhonesAtOnce(t *testing.T) {
	w := newWorld(t, mobileapi.Limits{Exchanges: 2})
	const phones, rounds = 12, 5
	failed := make(chan string, phones)
	for i := range phones {
		p := w.phone([]string{anna, chen}[i%2])
		var bodies [][]byte
		for r := range rounds {
			bodies = append(bodies, p.households(gridA, fmt.Sprintf("h-%d-%d", i, r)).bytes())
		}
		go func() {
			for _, body := range bodies {
				if a := p.send(body); a.status != 200 {
					failed <- fmt.Sprintf("%d %s", a.status, a.body)
					return
				}
			}
			failed <- ""
		}()
	}
	for range phones {
		if why := <-failed; why != "" {
			t.Error(why)
		}
	}
	reader := w.phone(chen)
	got := reader.exchange(reader.pull())
	bucket := syncproto.BucketGrid + gridA
	digest := syncproto.Digest{}
	for _, row := range got.rows[bucket] {
		digest = digest.Add(syncproto.RowHash(row.Envelope, row.Body))
	}
	if at := got.checkpoints[bucket]; len(got.rows[bucket]) != phones*rounds || at.Digest != digest.String() {
		t.Errorf("%d rows, checkpoint %+v, own digest %s", len(got.rows[bucket]), at, digest)
	}
}
