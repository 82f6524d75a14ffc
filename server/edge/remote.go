package edge

import (
	"net/netip"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// Remote is the address that a request came from. X-Forwarded-For is believed only from the proxies given, and read
// from its end: the last address that is not a proxy's is the one a proxy saw, while anything before it may be the
// client's invention.
func Remote(c *fiber.Ctx, proxies []netip.Prefix) netip.Addr {
	addr, _ := netip.AddrFromSlice(c.Context().RemoteIP())
	addr = addr.Unmap()
	hops := strings.Split(c.Get(fiber.HeaderXForwardedFor), ",")
	for i := len(hops) - 1; i >= 0 && within(addr, proxies); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = hop.Unmap().WithZone("")
	}
	return addr
}

func within(a netip.Addr, prefixes []netip.Prefix) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Network is what to count an address as: itself, or, of IPv6, the /64 that one subscriber has to himself.
func Network(a netip.Addr) netip.Addr {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
