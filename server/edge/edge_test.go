package edge_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"aidloop/server/edge"
	"aidloop/server/problem"
)

// output collects what is logged.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// serve runs an app on the loopback until the test ends.
func serve(t *testing.T, routes func(app *fiber.App)) (url string, log *output) {
	t.Helper()
	log = &output{}
	logger := slog.New(slog.NewJSONHandler(log, nil))
	app := fiber.New(edge.Config(logger))
	id := 0
	app.Use(edge.Around(logger, func() time.Time { return time.Unix(0, 0) }, func() string { id++; return "request-" + string(rune('0'+id)) }))
	routes(app)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- app.Listener(ln) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := app.Shutdown(); err != nil {
			t.Error(err)
		}
		<-done
	})
	return "http://" + ln.Addr().String(), log
}

func do(t *testing.T, method, url, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestAPanicIsOneRequestsProblem(t *testing.T) {
	url, log := serve(t, func(app *fiber.App) {
		app.Post("/broken", func(*fiber.Ctx) error { panic("it broke") })
		app.Get("/whole", func(c *fiber.Ctx) error { return c.SendString("ok") })
	})
	status, body := do(t, "POST", url+"/broken", "a body that nobody reads")
	var p problem.Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil || status != 500 || p.Code != "internal" || p.RequestID != "request-1" || strings.Contains(body, "broke") {
		t.Errorf("%d %s %v", status, body, err)
	}
	if !strings.Contains(log.String(), "it broke") || !strings.Contains(log.String(), "edge_test.go") {
		t.Error("the log does not say where:", log)
	}
	if status, body := do(t, "GET", url+"/whole", ""); status != 200 || body != "ok" {
		t.Error(status, body)
	}
}

func TestABodyThatNobodyReadIsNotTheNextRequest(t *testing.T) {
	url, _ := serve(t, func(app *fiber.App) {
		app.Post("/refuse", func(*fiber.Ctx) error { return fiber.ErrTeapot })
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	smuggled := "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	body := strings.Repeat(" ", 9000) + smuggled
	for _, request := range []string{
		"POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n" + body,
		"POST /refuse HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
	} {
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
	}
	answers, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(answers, []byte("HTTP/1.1 418")); n != 2 || bytes.Contains(answers, []byte("404")) {
		t.Errorf("%s", answers)
	}
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

func TestTheRouterSpeaksInProblems(t *testing.T) {
	url, _ := serve(t, func(app *fiber.App) { app.Get("/here", func(c *fiber.Ctx) error { return nil }) })
	for _, c := range []struct {
		method, path, code string
		status             int
		header             string
	}{
		{"GET", "/there", "not_found", 404, ""}, {"POST", "/here", "method_not_allowed", 405, ""},
		{"GET", "/here", "header_too_large", 431, strings.Repeat("x", 10_000)},
	} {
		status, body := do(t, c.method, url+c.path, "", "X-Long", c.header)
		var p problem.Problem
		if err := json.Unmarshal([]byte(body), &p); err != nil || status != c.status || p.Code != c.code || p.Title == "" {
			t.Errorf("%s %s: %d %s", c.method, c.path, status, body)
		}
	}
}

func TestBodiesShareABudget(t *testing.T) {
	budget := edge.NewBudget(20_000)
	url, _ := serve(t, func(app *fiber.App) {
		app.Post("/", func(c *fiber.Ctx) error {
			body, done, err := edge.ReadBody(c, 30_000, budget)
			defer done()
			if err != nil {
				return err
			}
			return c.SendString(itoa(len(body)))
		})
	})
	for _, c := range []struct{ size, status int }{{0, 200}, {1, 200}, {10_000, 200}, {20_000, 200}, {20_001, 503}, {30_000, 503}, {30_001, 413}} {
		status, body := do(t, "POST", url, strings.Repeat("x", c.size))
		if status != c.status || status == 200 && body != itoa(c.size) {
			t.Errorf("%d bytes: %d %s", c.size, status, body)
		}
	}
	if budget.Left() != 20_000 {
		t.Error("not given back:", 20_000-budget.Left())
	}
}

func TestRemoteBelievesOnlyProxies(t *testing.T) {
	var proxies []netip.Prefix
	url, _ := serve(t, func(app *fiber.App) {
		app.Get("/", func(c *fiber.Ctx) error { return c.SendString(edge.Remote(c, proxies).String()) })
	})
	local, inner := netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")
	for _, c := range []struct {
		trusted []netip.Prefix
		header  string
		want    string
	}{
		{nil, "192.0.2.1", "127.0.0.1"},
		{[]netip.Prefix{local}, "", "127.0.0.1"},
		{[]netip.Prefix{local}, "192.0.2.1", "192.0.2.1"},
		{[]netip.Prefix{local}, "198.51.100.7, 192.0.2.1", "192.0.2.1"}, // the first is the client's invention
		{[]netip.Prefix{local}, "192.0.2.1, 10.0.0.5", "10.0.0.5"},
		{[]netip.Prefix{local, inner}, "198.51.100.7, 192.0.2.1, 10.0.0.5", "192.0.2.1"},
		{[]netip.Prefix{local, inner}, "10.0.0.6, 10.0.0.5", "10.0.0.6"},
		{[]netip.Prefix{local}, "rubbish", "127.0.0.1"},
		{[]netip.Prefix{local}, "::ffff:192.0.2.1", "192.0.2.1"},
	} {
		proxies = c.trusted
		if _, got := do(t, "GET", url, "", "X-Forwarded-For", c.header); got != c.want {
			t.Errorf("%v %q: %s, want %s", c.trusted, c.header, got, c.want)
		}
	}
	if got := edge.Network(netip.MustParseAddr("2001:db8:1:2:3::4")); got != netip.MustParseAddr("2001:db8:1:2::") {
		t.Error(got)
	}
}
