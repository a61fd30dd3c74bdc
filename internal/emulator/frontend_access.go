package emulator

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// mayBrowse refuses requests to foreign host names and from pages of foreign sites, and writes the
// CORS headers for all others. Any page in a browser can reach a server on the same machine:
// without this, each could sign people in and read what it likes.
func (e *Emulator) mayBrowse(w http.ResponseWriter, r *http.Request) bool {
	header := w.Header()
	header.Add("Vary", "Origin")
	origins := r.Header["Origin"]
	e.mu.Lock()
	allowed := e.localHost(r.Host) && len(origins) <= 1 && (len(origins) == 0 || e.mayAsk(origins[0]))
	e.mu.Unlock()
	if !allowed {
		e.answer(w, nil, fail(http.StatusBadRequest, "origin_invalid", "Invalid HTTP Origin header",
			"The Frontend API of the emulator answers pages of this machine and of private networks only. Allow others with the origins of its options."))
		return false
	}
	if len(origins) == 0 {
		return true
	}
	header.Set("Access-Control-Allow-Origin", origins[0])
	header.Set("Access-Control-Allow-Credentials", "true")
	header.Set("Access-Control-Expose-Headers", "Clerk-Db-Jwt, Authorization, Retry-After, Clerk-Trace-Id")
	if r.Method == http.MethodOptions {
		header.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
		header.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
		header.Set("Access-Control-Max-Age", "600")
		if r.Header.Get("Access-Control-Request-Private-Network") == "true" { // Chromium asks so for servers of this machine
			header.Set("Access-Control-Allow-Private-Network", "true")
		}
	}
	return true
}

// mayAsk reports whether pages of an origin may use the Frontend API. The schemes of native apps,
// such as capacitor://localhost, must be allowed by name.
func (e *Emulator) mayAsk(origin string) bool {
	return e.localURL(origin) || slices.Contains(e.options.AllowedOrigins, origin) || slices.Contains(e.policies.Instance.AllowedOrigins, origin)
}

// localURL reports whether a URL, or an origin, is of a page that may use the Frontend API and that
// browsers may be sent to with a token: of this machine, of a private network, or an origin that
// the options or the instance's settings allow.
func (e *Emulator) localURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.User != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return false
	}
	origin := u.Scheme + "://" + u.Host
	return e.localHost(u.Host) || slices.Contains(e.options.AllowedOrigins, origin) || slices.Contains(e.policies.Instance.AllowedOrigins, origin)
}

// localHost reports whether nobody on the internet can own a host name: one of this machine, of a
// private network or a container, or the instance's own.
func (e *Emulator) localHost(host string) bool {
	if host == e.host() || slices.ContainsFunc(e.options.AllowedOrigins, func(o string) bool { return strings.HasSuffix(o, "://"+host) }) {
		return true
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback() || ip.IsPrivate()
	}
	return privateName(host)
}

// host returns the host of the issuer, which the publishable key names.
func (e *Emulator) host() string { return e.Issuer[strings.Index(e.Issuer, "//")+2:] }
