package mobileapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	mobileapi "aidloop/mobile-api"
	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// live is an open stream of events.
type live struct {
	w    *world
	body io.ReadCloser
	r    *bufio.Reader
}

func (p *phone) live() *live {
	p.w.Helper()
	req, err := http.NewRequest(http.MethodGet, p.w.url+"/sync/v1/live", nil)
	p.w.must(err)
	req.Header.Set("Authorization", "Bearer "+p.Access)
	resp, err := p.w.client.Do(req)
	p.w.must(err)
	p.w.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream; charset=utf-8" {
		p.w.Fatal(resp.Status, resp.Header)
	}
	l := &live{p.w, resp.Body, bufio.NewReader(resp.Body)}
	if got := l.event(); got != "retry: 5000\n: ready" {
		p.w.Fatalf("the stream begins with %q", got)
	}
	return l
}

// event reads up to the next empty line; "" is the end of the stream.
func (l *live) event() string {
	l.w.Helper()
	var lines []string
	for {
		line, err := l.r.ReadString('\n')
		if err == io.EOF && line == "" && lines == nil {
			return ""
		}
		l.w.must(err)
		if line == "\n" {
			return strings.Join(lines, "\n")
		}
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
}

func (l *live) poke() (g syncproto.BucketSeq) {
	l.w.Helper()
	e := l.event()
	data, ok := strings.CutPrefix(e, "event: poke\ndata: ")
	if !ok || json.Unmarshal([]byte(data), &g) != nil {
		l.w.Fatalf("got %q, want a poke", e)
	}
	return g
}

func TestAPokeFollowsAnotherPhonesPush(t *testing.T) {
	w := newWorld(t)
	from, to, stranger := w.phone(anna), w.phone(chen), w.phone(bao)
	l, foreign := to.live(), stranger.live()
	at := from.exchange(from.households(gridA, "h1")).outcomes[0].At
	if got := l.poke(); got != *at {
		t.Errorf("poked %+v, pushed to %+v", got, at)
	}
	// The stranger hears of his own grid and has heard of no other before.
	own := stranger.exchange(stranger.households(gridB, "h2")).outcomes[0].At
	if got := foreign.poke(); got != *own {
		t.Errorf("the stranger heard of %+v", got)
	}
	w.beat(0)
	w.beat(1)
	if a, b := l.event(), foreign.event(); a != ":" || b != ":" {
		t.Errorf("heartbeats %q and %q", a, b)
	}
}

func TestPokesOfASlowReaderAreCoalesced(t *testing.T) {
	w := newWorld(t)
	from, to := w.phone(anna), w.phone(chen)
	l := to.live()
	var last syncproto.BucketSeq
	for i := range 40 {
		last = *from.exchange(from.households(gridA, fmt.Sprintf("h%d", i))).outcomes[0].At
	}
	for n := 1; ; n++ {
		if got := l.poke(); got == last {
			break
		}
		if n == 40 {
			t.Fatal("the last seq was never told")
		}
	}
}

func TestAChangeOfGrantsChangesWhatIsHeard(t *testing.T) {
	w := newWorld(t)
	p, other := w.phone(anna), w.phone(bao)
	l := p.live()
	w.must(w.loop.Grant(context.Background(), casework.System, loop.GridGrant{User: anna, Grid: gridB}))
	if got := l.poke(); got.Bucket != syncproto.BucketUser+anna {
		t.Fatalf("%+v", got)
	}
	at := other.exchange(other.households(gridB, "h1")).outcomes[0].At
	if got := l.poke(); got != *at {
		t.Errorf("the new grid is not heard of: %+v", got)
	}
	w.must(w.loop.RevokeGrant(context.Background(), casework.System, anna, gridB))
	if got := l.poke(); got.Bucket != syncproto.BucketUser+anna {
		t.Fatalf("%+v", got)
	}
	other.exchange(other.households(gridB, "h2"))
	at = p.exchange(p.households(gridA, "h3")).outcomes[0].At
	if got := l.poke(); got != *at {
		t.Errorf("the lost grid is still heard of: %+v", got)
	}
}

func TestTheStreamEndsWithItsToken(t *testing.T) {
	w := newWorld(t)
	p := w.phone(anna)
	l := p.live()
	w.pass(14 * time.Minute)
	w.beat(0)
	if got := l.event(); got != ":" {
		t.Errorf("%q", got)
	}
	w.pass(2 * time.Minute)
	w.beat(0)
	if got := l.event(); got != "" {
		t.Errorf("%q", got)
	}
	w.refused(w.do("GET", "/sync/v1/live", nil, "Authorization", "Bearer "+p.Access), 401, syncproto.CodeTokenInvalid)
	w.refused(w.do("GET", "/sync/v1/live", nil), 401, syncproto.CodeTokenInvalid)
}

func TestTheStreamEndsWithItsSession(t *testing.T) {
	w := newWorld(t)
	p := w.phone(anna)
	l := p.live()
	w.post("/auth/v1/logout", nil, "Authorization", "Bearer "+p.Access)
	w.must(w.loop.Grant(context.Background(), casework.System, loop.GridGrant{User: anna, Grid: gridB}))
	if got := l.event(); got != "" {
		t.Errorf("%q", got)
	}
}

func TestTheOldestOfTooManyStreamsGivesWay(t *testing.T) {
	w := newWorld(t, mobileapi.Limits{Live: 5})
	p, other := w.phone(anna), w.phone(bao)
	oldest := p.live()
	for range 4 {
		p.live()
	}
	if got := oldest.event(); got != "" {
		t.Errorf("%q", got)
	}
	other.live()
	third := w.phone(chen)
	w.refused(w.do("GET", "/sync/v1/live", nil, "Authorization", "Bearer "+third.Access), 503, syncproto.CodeUnavailable)
}

func TestShutdownEndsStreamsAndTakesNoMore(t *testing.T) {
	w := newWorld(t)
	p := w.phone(anna)
	l := p.live()
	push := p.households(gridA, "h1").bytes()
	w.api.Close()
	if got := l.event(); got != "" {
		t.Errorf("%q", got)
	}
	a := p.send(push)
	w.refused(a, 503, syncproto.CodeUnavailable)
	w.refused(w.do("GET", "/sync/v1/live", nil, "Authorization", "Bearer "+p.Access), 503, syncproto.CodeUnavailable)
	w.must(w.app.Shutdown())
	w.must(<-w.served)
}
