package inspector

import (
	"net"
	"net/http"
	"regexp"
	"strings"

	"github.com/clerksync/clerksync/internal/pages"
)

// guard sets the headers of every answer, and refuses requests that could be a trick of another
// site or come from another machine: the pages sign anyone in.
func (h *handler) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pages.SetHeaders(w)
		switch {
		case !h.clerk.Trusts(r):
			http.Error(w, "The pages of the emulated Clerk are for browsers on its own machine, by the host name localhost, and not through a proxy. "+
				"They sign anyone in: --dangerously-control-from-anywhere opens them to other machines.", http.StatusForbidden)
			return
		case !fromOwnPage(r):
			http.Error(w, "Requests of other sites are refused.", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Security-Policy", strings.Replace(pages.ContentPolicy, "form-action 'self'", "form-action 'self' "+appSources(r), 1))
		r.Body = http.MaxBytesReader(w, r.Body, pages.MaxForm)
		next.ServeHTTP(w, r)
	})
}

// fromOwnPage reports whether a page of this server sent the request, or none: a person typed the
// address, or it is no browser. Links of other sites may lead here, because opening a page changes
// nothing. Pages of other ports of this machine are other sites.
func fromOwnPage(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return site == "" || site == "none" || site == "same-origin" ||
			r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	}
	if site != "" && site != "none" && site != "same-origin" {
		return false
	}
	for _, origin := range r.Header["Origin"] { // old browsers, and plain HTTP from other machines, have it alone
		if origin != "http://"+r.Host && origin != "https://"+r.Host {
			return false
		}
	}
	return true
}

// appSources are the addresses of applications that a form may lead to, as sources of the content
// security policy.
func appSources(r *http.Request) string {
	sources := []string{"http://localhost:*", "https://localhost:*", "http://*.localhost:*", "https://*.localhost:*", "http://127.0.0.1:*", "https://127.0.0.1:*"}
	if host := hostname(r.Host); plainHost.MatchString(host) && !strings.HasSuffix(host, "localhost") {
		sources = append(sources, "http://"+host+":*", "https://"+host+":*") // another machine by its name
	}
	return strings.Join(sources, " ")
}

// plainHost matches the hosts that can be named in a policy: IPv6 addresses cannot.
var plainHost = regexp.MustCompile(`^[a-z0-9.-]+$`)

// hostname returns a host without its port, in lower case.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}
