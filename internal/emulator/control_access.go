package emulator

import (
	"net"
	"net/http"
	"regexp"
	"strings"
)

// mayControl reports whether a request may use the control API, which signs anyone in. It must come
// from this machine, unless the options allow others, and not from a page in a browser.
func (e *Emulator) mayControl(r *http.Request) bool {
	if r.Context().Value(inProcess{}) != nil {
		return true
	}
	return !fromPage(r) && e.Trusts(r)
}

// Trusts reports whether a request comes from this machine, by a name of this machine, and not
// through a proxy that says so, because other machines may reach that. With
// Options.ControlFromAnywhere it may come from other machines. It does not say which page in a
// browser sent the request.
func (e *Emulator) Trusts(r *http.Request) bool {
	if !e.ownName(r.Host) {
		return false
	}
	if e.options.ControlFromAnywhere {
		return true
	}
	for _, header := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "Clerk-Proxy-Url"} {
		if r.Header.Get(header) != "" {
			return false
		}
	}
	return loopback(r.RemoteAddr)
}

// fromPage reports whether a page in a browser sent the request. The emulator's own pages do not
// use the control API, so that is a page of another site, or of a host name that was made to point
// here.
func fromPage(r *http.Request) bool {
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site != "none" { // a person typed the address
			return true
		}
	}
	return len(r.Header["Origin"]) > 0
}

// ownName reports whether an attacker cannot register a host name and point it here (DNS
// rebinding). Other machines, if they may call, use addresses and names of a private network.
func (e *Emulator) ownName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || loopback(host) {
		return true
	}
	if !e.options.ControlFromAnywhere || host == "" {
		return false
	}
	return net.ParseIP(host) != nil || privateName(host)
}

// plainName matches names of hosts as browsers leave them. They make full stops of some other
// characters.
var plainName = regexp.MustCompile(`^[a-z0-9_-]+(\.[a-z0-9_-]+)*$`)

// lastNumber matches the last part of what browsers read as an address, such as 134744072 for
// 8.8.8.8.
var lastNumber = regexp.MustCompile(`(^|\.)([0-9]+|0x[0-9a-f]*)$`)

// privateName reports whether nobody on the internet can own a name in lower case.
func privateName(host string) bool {
	if !plainName.MatchString(host) || lastNumber.MatchString(host) {
		return false
	}
	for _, private := range []string{".localhost", ".internal", ".local", ".test", ".home.arpa"} {
		if strings.HasSuffix(host, private) {
			return true
		}
	}
	return !strings.Contains(host, ".")
}

// loopback reports whether an address, with or without a port, is a loopback address.
func loopback(address string) bool {
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	ip := net.ParseIP(address)
	return ip != nil && ip.IsLoopback()
}
