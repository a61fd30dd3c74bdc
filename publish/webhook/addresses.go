package webhook

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// special4 are the ranges of IPv4 that are no place for a receiver: IANA's registry of
// special-purpose addresses, and what is not unicast. local says that an operator may allow a host
// in it by name.
var special4 = []struct {
	prefix netip.Prefix
	local  bool
	name   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), false, "unspecified"},
	{netip.MustParsePrefix("10.0.0.0/8"), true, "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), true, "shared (carrier-grade NAT)"},
	{netip.MustParsePrefix("100.100.100.200/32"), false, "metadata"}, // Alibaba's, in the shared range
	{netip.MustParsePrefix("127.0.0.0/8"), true, "loopback"},
	{netip.MustParsePrefix("168.63.129.16/32"), false, "metadata"}, // Azure's, in a public range
	{netip.MustParsePrefix("169.254.0.0/16"), false, "link-local"}, // also where clouds serve metadata
	{netip.MustParsePrefix("172.16.0.0/12"), true, "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), false, "special-purpose"},
	{netip.MustParsePrefix("192.0.2.0/24"), false, "documentation"},
	{netip.MustParsePrefix("192.31.196.0/24"), false, "special-purpose"},
	{netip.MustParsePrefix("192.52.193.0/24"), false, "special-purpose"},
	{netip.MustParsePrefix("192.88.99.0/24"), false, "special-purpose"},
	{netip.MustParsePrefix("192.168.0.0/16"), true, "private"},
	{netip.MustParsePrefix("192.175.48.0/24"), false, "special-purpose"},
	{netip.MustParsePrefix("198.18.0.0/15"), true, "benchmarking"},
	{netip.MustParsePrefix("198.51.100.0/24"), false, "documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), false, "documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), false, "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), false, "reserved"},
}

// local6 are the ranges of IPv6 outside of global unicast that an operator may allow by name.
var local6 = []netip.Prefix{netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fc00::/7")}

// global6 is the only range of IPv6 from which unicast addresses were given out, and special6 are
// ranges in it that are not for receivers. 2002::/16 (6to4) and 2001::/32 (Teredo) embed addresses
// of IPv4.
var (
	global6  = netip.MustParsePrefix("2000::/3")
	special6 = []netip.Prefix{
		netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
		netip.MustParsePrefix("2620:4f:8000::/48"), netip.MustParsePrefix("3fff::/20"),
	}
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
)

// metadata6 are the addresses in the private range of IPv6 from which clouds serve metadata and
// credentials: those of Amazon (instances, and pods with ::23), Google, Oracle and Scaleway.
var metadata6 = []netip.Prefix{
	netip.MustParsePrefix("fd00:ec2::/32"), netip.MustParsePrefix("fd20:ce::254/128"), netip.MustParsePrefix("fd00:c1::a9fe:a9fe/128"),
	netip.MustParsePrefix("fd00:42::42/128"),
}

// checkAddress returns an error for an address that must not be connected to. local permits private
// and loopback addresses, because the operator allowed the host by name. Addresses that clouds
// serve credentials from are refused even then.
func checkAddress(address netip.Addr, local bool) error {
	if address.Zone() != "" {
		return refusedAddress(address, "link-local")
	}
	address = address.Unmap()
	if address.Is6() && nat64.Contains(address) {
		bytes := address.As16()
		address = netip.AddrFrom4([4]byte(bytes[12:]))
	}
	if address.Is4() {
		for _, s := range special4 {
			if s.prefix.Contains(address) && !(local && s.local) {
				return refusedAddress(address, s.name)
			}
		}
		return nil
	}
	in := func(p netip.Prefix) bool { return p.Contains(address) }
	switch {
	case slices.ContainsFunc(metadata6, in):
		return refusedAddress(address, "metadata")
	case slices.ContainsFunc(local6, in):
		if !local {
			return refusedAddress(address, "private or loopback")
		}
	case !global6.Contains(address) || slices.ContainsFunc(special6, in):
		return refusedAddress(address, "special-purpose")
	}
	return nil
}

// addressError means that a host name led to an address that must not be connected to.
type addressError struct {
	address netip.Addr
	kind    string
}

func refusedAddress(address netip.Addr, kind string) error { return &addressError{address, kind} }

// Error names the address and its kind.
func (e *addressError) Error() string { return fmt.Sprintf("%s is a %s address", e.address, e.kind) }

// hosts are the names that an operator allowed.
type hosts map[string]bool

// newHosts reads names and addresses of hosts.
func newHosts(names []string) (hosts, error) {
	all := hosts{}
	for _, name := range names {
		host := hostKey(name)
		if host == "" || strings.ContainsAny(host, "/@?#* ") || strings.Contains(host, ":") && !isAddress(host) {
			return nil, fmt.Errorf("AllowHosts: %q is no host name: write it without scheme, port and path", name)
		}
		all[host] = true
	}
	return all, nil
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// allows reports whether the operator allowed a host of a URL.
func (h hosts) allows(host string) bool { return h[hostKey(host)] }

// hostKey returns the one form of a host: in lower case, without brackets and a final dot.
func hostKey(host string) string {
	host = strings.TrimSuffix(strings.ToLower(strings.TrimSpace(host)), ".")
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}
