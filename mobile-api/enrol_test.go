package mobileapi_test

import (
	"bytes"
	"encoding/json"
	"image/png"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	mobileapi "aidloop/mobile-api"
	"aidloop/server/token"
	"aidloop/syncproto"
)

func TestEnrolmentGivesAPhoneEverythingItBeginsWith(t *testing.T) {
	w := newWorld(t)
	p := w.phone(anna)
	if p.User != anna || p.UserName != "网格员" || p.Region != gridA || p.Role != "grid_worker" || p.Device == "" || p.Incarnation == "" ||
		p.ExpiresIn != 900 || len(p.UserKey) != 32 || len(p.ServerKey) != 32 || p.Refresh == "" {
		t.Errorf("%+v", p.enrolment)
	}
	if c, err := w.tokens.Parse(p.Access, token.Phone, w.clock()); err != nil || c.User != anna || c.Device != p.Device {
		t.Errorf("%+v %v", c, err)
	}
	r := p.exchange(p.pull())
	if r.hello.Incarnation != p.Incarnation || r.hello.Head != p.head.String() || len(r.rows[syncproto.BucketUser+anna]) != 1 || r.fault.Code != "" {
		t.Errorf("%+v", r)
	}
}

func TestACodeIsGoodForOnePhone(t *testing.T) {
	w := newWorld(t)
	code, key := w.code(anna), deviceKey("one")
	first, again := w.tryEnrol(code, key), w.tryEnrol(" "+strings.ToLower(code), key)
	var a, b enrolment
	w.must(json.Unmarshal(first.body, &a))
	w.must(json.Unmarshal(again.body, &b))
	if first.status != http.StatusCreated || again.status != http.StatusCreated || a.Device != b.Device || a.Device == "" {
		t.Errorf("asked again after a lost answer: %s, then %s", first.body, again.body)
	}
	if first.header.Get("Cache-Control") != "no-store" {
		t.Error("an answer with keys may be cached:", first.header)
	}
	w.refused(w.tryEnrol(code, deviceKey("two")), 422, syncproto.CodeEnrolCode)
	old := w.code(bao)
	w.pass(73 * time.Hour)
	w.refused(w.tryEnrol(old, deviceKey("three")), 422, syncproto.CodeEnrolCode)
	w.refused(w.tryEnrol(code, key), 422, syncproto.CodeEnrolCode)
}

func TestWrongEnrolmentsAreRefused(t *testing.T) {
	w := newWorld(t)
	code := w.code(anna)
	w.refused(w.do("POST", "/enrol/v1", []byte(`{"code":`), "Content-Type", "application/json"), 400, syncproto.CodeMalformed)
	w.refused(w.do("POST", "/enrol/v1", []byte(`{}`), "Content-Type", "text/plain"), 415, syncproto.CodeUnsupportedType)
	w.refused(w.do("POST", "/enrol/v1", bytes.Repeat([]byte(" "), 9000), "Content-Type", "application/json"), 413, syncproto.CodeTooLarge)
	w.refused(w.post("/enrol/v1", map[string]any{"code": code, "public_key": "AAAA"}), 400, syncproto.CodeMalformed)
	w.refused(w.post("/enrol/v1", map[string]any{"code": code, "public_key": "no base64"}), 400, syncproto.CodeMalformed)
	w.refused(w.do("GET", "/enrol/v1", nil), 405, "method_not_allowed")
	w.refused(w.do("GET", "/elsewhere", nil), 404, "not_found")
	if a := w.tryEnrol(code, deviceKey("one")); a.status != http.StatusCreated {
		t.Errorf("wrong requests used the code up: %s", a.body)
	}
}

func TestCodesCannotBeTriedOut(t *testing.T) {
	w := newWorld(t)
	code := w.code(anna)
	for range 10 {
		w.refused(w.tryEnrol("AAAAAAAAAA", deviceKey("thief")), 422, syncproto.CodeEnrolCode)
	}
	a := w.tryEnrol(code, deviceKey("one"))
	w.refused(a, 429, syncproto.CodeTooMany)
	if a.header.Get("Retry-After") != "60" {
		t.Error(a.header)
	}
	// An address that the client invents does not help: no proxy is trusted here.
	a = w.post("/enrol/v1", map[string]any{"code": "AAAAAAAAAA", "public_key": make([]byte, 32)}, "X-Forwarded-For", "192.0.2.1")
	w.refused(a, 429, syncproto.CodeTooMany)
	w.pass(time.Minute)
	if a := w.tryEnrol(code, deviceKey("one")); a.status != http.StatusCreated {
		t.Errorf("a minute later: %s", a.body)
	}
}

func TestATownCanEnrolAllItsPhonesAtOnce(t *testing.T) {
	w := newWorld(t)
	for range 25 {
		w.phone(anna)
	}
}

func TestTheLogKnowsRequestsAndNoSecrets(t *testing.T) {
	w := newWorld(t)
	code := w.code(anna)
	a := w.tryEnrol(code, deviceKey("one"))
	p := &phone{w: w, key: deviceKey("one")}
	w.must(json.Unmarshal(a.body, &p.enrolment))
	p.head = syncproto.ChainStart(p.Device)
	p.exchange(p.households(gridA, "h-secret"))
	w.post("/auth/v1/refresh", map[string]any{"refresh_token": p.Refresh})
	w.do("GET", "/elsewhere/"+p.Access, nil)
	log := w.logged()
	for _, secret := range []string{code, p.Access, p.Refresh, "h-secret", "测试手机"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	for _, known := range []string{`"route":"/enrol/v1"`, `"route":"/sync/v1"`, `"status":201`, `"device":"` + p.Device + `"`, `"request_id":"` + a.header.Get("X-Request-Id") + `"`} {
		if !strings.Contains(log, known) {
			t.Errorf("the log lacks %s:\n%s", known, log)
		}
	}
}

func TestEnrolURIAndQR(t *testing.T) {
	uri := mobileapi.EnrolURI("https://aid.example.cn:8443", "ABCDEFGH23")
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "aidloop" || u.Host != "enrol" || u.Query().Get("server") != "https://aid.example.cn:8443" || u.Query().Get("code") != "ABCDEFGH23" {
		t.Errorf("%s %v", uri, err)
	}
	image, ansi, err := mobileapi.EnrolQR(uri)
	if err != nil {
		t.Fatal(err)
	}
	drawn, err := png.Decode(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	// Both drawings show the same modules, the PNG at eight pixels a module.
	size := drawn.Bounds().Dx() / 8
	lines := strings.Split(strings.TrimSuffix(ansi, "\n"), "\n")
	if len(lines) != (size+1)/2 {
		t.Fatalf("%d lines for %d modules", len(lines), size)
	}
	for i, line := range lines {
		line = strings.TrimSuffix(strings.TrimPrefix(line, "\x1b[97;40m"), "\x1b[0m")
		for x, r := range []rune(line) {
			for half, light := range []bool{r == '█' || r == '▀', r == '█' || r == '▄'} {
				y := 2*i + half
				if red, _, _, _ := drawn.At(8*x+4, 8*y+4).RGBA(); y < size && (red > 0) != light {
					t.Fatalf("module %d,%d differs", x, y)
				}
			}
		}
	}
}
