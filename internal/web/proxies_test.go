package web_test

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/clerksync/clerksync/internal/web"
)

func TestParseProxies(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"10.0.0.0/8", "10.1.2.3/8", "127.0.0.1", "fd00::/8", "::1"} {
		if p, err := web.ParseProxies([]string{s}); err != nil || len(p) != 1 {
			t.Errorf("ParseProxies(%q) = %v, %v", s, p, err)
		}
	}
	for _, s := range []string{"", "localhost", "10.0.0.0/33", "0.0.0.0/0", "::/0", "10.0.0.0/", "::ffff:10.0.0.0/104", "::ffff:10.0.0.1"} {
		if p, err := web.ParseProxies([]string{"127.0.0.1", s}); err == nil {
			t.Errorf("ParseProxies(%q) = %v, want an error", s, p)
		}
	}
	for _, list := range [][]string{{"0.0.0.0/1", "128.0.0.0/1"}, {"::/1", "8000::/1"}, {"2000::/3"}} {
		if p, err := web.ParseProxies(list); err == nil {
			t.Errorf("ParseProxies(%q) = %v, want an error", list, p)
		}
	}
	if p, err := web.ParseProxies(nil); err != nil || p != nil {
		t.Errorf("ParseProxies(nil) = %v, %v", p, err)
	}
}

func TestClientIP(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, peer string
		forwarded  []string
		want       string // empty: none
		trusted    bool
	}{
		{"direct", "203.0.113.9:1234", nil, "203.0.113.9", false},
		{"direct, forged header", "203.0.113.9:1234", []string{"10.0.0.1"}, "203.0.113.9", false},
		{"behind one", "10.0.0.1:1", []string{"203.0.113.9"}, "203.0.113.9", true},
		{"behind one, forged claim before", "10.0.0.1:1", []string{"198.51.100.7, 203.0.113.9"}, "203.0.113.9", true},
		{"behind two", "10.0.0.1:1", []string{"203.0.113.9,10.0.0.2"}, "203.0.113.9", true},
		{"two lines", "10.0.0.1:1", []string{"198.51.100.7", "203.0.113.9, 10.0.0.2"}, "203.0.113.9", true},
		{"only proxies", "10.0.0.1:1", []string{"10.0.0.3", "10.0.0.2"}, "10.0.0.3", true},
		{"no header", "10.0.0.1:1", nil, "10.0.0.1", true},
		{"empty header", "10.0.0.1:1", []string{""}, "10.0.0.1", true},
		{"garbage last", "10.0.0.1:1", []string{"203.0.113.9, unknown"}, "10.0.0.1", true},
		{"garbage before a proxy", "10.0.0.1:1", []string{"unknown, 10.0.0.2"}, "10.0.0.2", true},
		{"with a port", "10.0.0.1:1", []string{"203.0.113.9:443"}, "203.0.113.9", true},
		{"IPv6", "[::1]:1", []string{"2001:db8::1"}, "2001:db8::1", true},
		{"IPv6 with a port", "[::1]:1", []string{"[2001:db8::1]:443"}, "2001:db8::1", true},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:1", []string{"::ffff:203.0.113.9"}, "203.0.113.9", true},
		{"zone", "[::1%eth0]:1", []string{"203.0.113.9"}, "203.0.113.9", true},
		{"Unix socket", "@", []string{"203.0.113.9"}, "", false},
	}
	proxies, err := web.ParseProxies([]string{"10.0.0.0/8", "::1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := &http.Request{RemoteAddr: tt.peer, Header: http.Header{"X-Forwarded-For": tt.forwarded}}
			var want netip.Addr
			if tt.want != "" {
				want = netip.MustParseAddr(tt.want)
			}
			if got := proxies.ClientIP(r); got != want {
				t.Errorf("ClientIP = %v, want %v", got, want)
			}
			if got := proxies.Trusts(r); got != tt.trusted {
				t.Errorf("Trusts = %v", got)
			}
		})
	}
}

func FuzzClientIP(f *testing.F) {
	f.Add("10.0.0.1:1", "1.2.3.4, 10.0.0.2")
	f.Add("1.2.3.4:1", "10.0.0.2")
	f.Add("[::1%a]:1", ",,")
	f.Fuzz(func(t *testing.T, peer, forwarded string) {
		r := &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {forwarded}}}
		direct := web.Proxies(nil).ClientIP(r)
		proxies := web.Proxies{netip.MustParsePrefix("10.0.0.0/8")}
		if got := proxies.ClientIP(r); !proxies.Trusts(r) && got != direct {
			t.Errorf("an untrusted peer %q moved the client to %v", peer, got)
		}
		if direct.Zone() != "" || direct.Is4In6() {
			t.Errorf("%q is not canonical: %v", peer, direct)
		}
	})
}
