package web

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the networks whose X-Forwarded-* headers count. The zero value trusts none.
type Proxies []netip.Prefix

// ParseProxies reads networks in CIDR notation, or single addresses. It refuses
// networks that together cover half of the internet or more: any client could then name its own.
func ParseProxies(networks []string) (Proxies, error) {
	var p Proxies
	for _, s := range networks {
		prefix, err := netip.ParsePrefix(s)
		if err != nil {
			var addr netip.Addr
			if addr, err = netip.ParseAddr(s); err == nil {
				prefix, err = addr.Prefix(addr.BitLen())
			}
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("trusted proxy %q: want a network such as 10.0.0.0/8 or an address", s)
		case prefix.Addr().Is4In6():
			return nil, fmt.Errorf("trusted proxy %q: write it as an IPv4 network", s)
		}
		p = append(p, prefix.Masked())
	}
	if p.CoverInternet() {
		return nil, errors.New("trusted proxies: together they cover half of the internet or more, so almost everyone would be trusted")
	}
	return p, nil
}

// CoverInternet reports whether the networks together hold at least half of all IPv4 addresses, or
// of the IPv6 addresses that are in use on the internet (2000::/3). No list of proxies does.
func (p Proxies) CoverInternet() bool {
	const half = 0.5
	return p.share(netip.MustParsePrefix("0.0.0.0/0")) >= half || p.share(netip.MustParsePrefix("2000::/3")) >= half
}

// share returns the part of a network that the proxies' networks cover. Of two networks that
// overlap, one holds the other.
func (p Proxies) share(whole netip.Prefix) (share float64) {
	for i, prefix := range p {
		held := slices.ContainsFunc(p[:i], func(q netip.Prefix) bool { return holds(q, prefix) }) ||
			slices.ContainsFunc(p[i+1:], func(q netip.Prefix) bool { return holds(q, prefix) && !holds(prefix, q) })
		switch {
		case held || !prefix.Overlaps(whole):
		case holds(prefix, whole):
			return 1
		default:
			share += math.Pow(0.5, float64(prefix.Bits()-whole.Bits()))
		}
	}
	return share
}

func holds(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// Trusts reports whether the request comes directly from one of the proxies.
func (p Proxies) Trusts(r *http.Request) bool { return p.contains(peer(r)) }

// ClientIP returns the address of the client: the peer's, or, when that is a
// trusted proxy, the last address in X-Forwarded-For that is none. Addresses
// before that one are the client's own claims and do not count. The zero Addr
// means that there is no address, as on a Unix socket.
func (p Proxies) ClientIP(r *http.Request) netip.Addr {
	ip := peer(r)
	if !p.contains(ip) {
		return ip
	}
	for _, line := range slices.Backward(r.Header["X-Forwarded-For"]) {
		for rest := line; ; {
			comma := strings.LastIndexByte(rest, ',')
			hop := parseAddr(strings.TrimSpace(rest[comma+1:]))
			if !hop.IsValid() {
				return ip // the nearest that a trusted proxy vouches for
			}
			ip = hop
			if !p.contains(ip) {
				return ip
			}
			if comma < 0 {
				break
			}
			rest = rest[:comma]
		}
	}
	return ip
}

func (p Proxies) contains(ip netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(ip) {
			return true
		}
	}
	return false
}

func peer(r *http.Request) netip.Addr { return parseAddr(r.RemoteAddr) }

// parseAddr reads an address with or without a port; the zero Addr if it is neither.
func parseAddr(s string) netip.Addr {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		ap, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}
		}
		addr = ap.Addr()
	}
	return addr.Unmap().WithZone("")
}
