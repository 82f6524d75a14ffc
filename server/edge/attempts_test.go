package edge

import (
	"net/netip"
	"testing"
	"time"
)

func TestAttemptsAreBoundedByNetworkAndTogether(t *testing.T) {
	now := time.Unix(600, 0)
	g := NewAttempts(func() time.Time { return now }, 3, 5)
	try := func(addr string, want bool) {
		t.Helper()
		_, err := g.Try(netip.MustParseAddr(addr))
		if (err == nil) != want {
			t.Errorf("%s: %v", addr, err)
		}
	}
	for range 3 {
		try("10.0.0.1", true)
	}
	try("10.0.0.1", false)
	try("2001:db8::1", true)
	try("2001:db8::2", true) // the same subscriber
	try("10.0.0.2", false)   // all together
	if len(g.byNetwork) != 2 {
		t.Error("networks in the table:", g.byNetwork)
	}
	now = now.Add(time.Minute)
	try("10.0.0.1", true)
	if len(g.byNetwork) != 1 {
		t.Error("the table was not emptied:", g.byNetwork)
	}
}

func TestReturnedAttemptsDoNotCount(t *testing.T) {
	now := time.Unix(600, 0)
	g := NewAttempts(func() time.Time { return now }, 1, 1)
	addr := netip.MustParseAddr("10.0.0.1")
	for range 10 {
		right, err := g.Try(addr)
		if err != nil {
			t.Fatal(err)
		}
		right()
	}
	late, err := g.Try(addr)
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	if _, err := g.Try(addr); err != nil {
		t.Fatal(err)
	}
	late()
	if _, err := g.Try(addr); err == nil {
		t.Error("a refund of the last minute counted in this one")
	}
}
