package mobileapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/syncproto"
)

// renew exchanges a refresh token; it returns "" where that is refused.
func (w *world) renew(refresh string) (next enrolment) {
	w.Helper()
	a := w.post("/auth/v1/refresh", map[string]any{"refresh_token": refresh})
	if a.status != http.StatusOK {
		w.refused(a, 401, syncproto.CodeTokenInvalid)
		return enrolment{}
	}
	w.must(json.Unmarshal(a.body, &next))
	return next
}

func TestRefreshTokensRotate(t *testing.T) {
	w := newWorld(t)
	p := w.phone(anna)
	w.pass(20 * time.Minute)
	if r := p.exchange(p.pull()); r.fault.Code != syncproto.CodeTokenInvalid {
		t.Errorf("an expired token opened a pull: %+v", r)
	}
	first := w.renew(p.Refresh)
	if first.Access == "" || first.ExpiresIn != 900 || first.Refresh == p.Refresh {
		t.Fatalf("%+v", first)
	}
	p.Access = first.Access
	if r := p.exchange(p.pull()); r.fault.Code != "" {
		t.Errorf("%+v", r.fault)
	}
	second := w.renew(first.Refresh)
	if second.Refresh == "" {
		t.Fatal("the second refresh was refused")
	}
}

// A phone of the same person is lost: the other one gets the new key with its next tokens.
func TestNewTokensBringTheNewestKey(t *testing.T) {
	w := newWorld(t)
	p, lost := w.phone(anna), w.phone(anna)
	first := w.renew(p.Refresh)
	if !bytes.Equal(first.UserKey, p.UserKey) || len(p.UserKey) != 32 {
		t.Errorf("before: %d bytes", len(first.UserKey))
	}
	w.must(w.loop.StepDevice(t.Context(), casework.System, loop.DeviceStep{Device: lost.Device, Action: "lose", Reason: "丢失"}))
	if second := w.renew(first.Refresh); len(second.UserKey) != 32 || bytes.Equal(second.UserKey, p.UserKey) {
		t.Error("the key is the old one")
	}
	if w.renew(lost.Refresh).Refresh != "" {
		t.Error("the lost phone gets new tokens")
	}
}

func TestALostAnswerCostsNoSession(t *testing.T) {
	w := newWorld(t)
	p := w.phone(anna)
	lost := w.renew(p.Refresh)
	got := w.renew(p.Refresh) // the phone never saw the first answer
	if lost.Refresh == "" || got.Refresh == "" || got.Refresh == lost.Refresh {
		t.Fatalf("%+v, then %+v", lost, got)
	}
	if w.renew(got.Refresh).Refresh == "" {
		t.Fatal("the session ended")
	}
}

func TestACopiedRefreshTokenEndsTheSession(t *testing.T) {
	w := newWorld(t)
	p := w.phone(anna)
	next := w.renew(w.renew(p.Refresh).Refresh)
	if w.renew(p.Refresh).Refresh != "" {
		t.Error("a token two generations old was taken")
	}
	if w.renew(next.Refresh).Refresh != "" {
		t.Error("the session goes on")
	}
	p.Access = next.Access
	r := p.exchange(p.households(gridA, "h1"))
	if len(r.outcomes) != 1 || r.outcomes[0].Status != syncproto.GroupJudged {
		t.Errorf("what was captured was not taken: %+v", r)
	}
	if r := p.exchange(p.pull()); r.fault.Code != syncproto.CodeTokenInvalid {
		t.Errorf("the access token outlives its session: %+v", r.fault)
	}
}

func TestLogout(t *testing.T) {
	w := newWorld(t)
	p := w.phone(anna)
	w.refused(w.post("/auth/v1/logout", nil), 401, syncproto.CodeTokenInvalid)
	for range 2 {
		if a := w.post("/auth/v1/logout", nil, "Authorization", "Bearer "+p.Access); a.status != http.StatusNoContent {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if w.renew(p.Refresh).Refresh != "" {
		t.Error("the session goes on")
	}
	w.refused(w.do("GET", "/sync/v1/live", nil, "Authorization", "Bearer "+p.Access), 401, syncproto.CodeTokenInvalid)
}

func TestADesksSessionOpensNothingForPhones(t *testing.T) {
	w := newWorld(t)
	_, err := w.loop.CreateUsers(context.Background(), casework.System, loop.NewUser{ID: "rev", Login: "rev", Name: "审核员",
		Role: string(casework.RoleTownReviewer), Region: "430681101000", Password: "correct horse"})
	w.must(err)
	s, err := w.loop.Login(context.Background(), "rev", "correct horse")
	w.must(err)
	if w.renew(s.Refresh).Refresh != "" {
		t.Error("a desk's session gave a phone's token")
	}
	desk, _, err := w.tokens.Issue(*s, "desk", w.clock())
	w.must(err)
	w.refused(w.do("GET", "/sync/v1/live", nil, "Authorization", "Bearer "+desk), 401, syncproto.CodeTokenInvalid)
}
