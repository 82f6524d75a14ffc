package app

import (
	"net"
	"runtime"
	"testing"
	"time"
)

// A phone on a line that has stalled in the middle of a request does not make the server end with a fault.
func TestCloseCutsOffAStalledRequest(t *testing.T) {
	a, err := Open(t.Context(), Config{Addr: "127.0.0.1:0", Data: t.TempDir(), Patience: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Listen(); err != nil {
		t.Fatal(err)
	}
	line, err := net.Dial("tcp", a.URL[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	if _, err := line.Write([]byte("POST /sync/v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nH")); err != nil {
		t.Fatal(err)
	}
	for a.fiber.Server().GetOpenConnectionsCount() == 0 {
		runtime.Gosched() // until the server has taken the line
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}
