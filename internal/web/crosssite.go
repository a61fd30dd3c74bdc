package web

import (
	"net/http"
	"net/url"
	"strings"
)

// RefuseCrossSite refuses with 403 what a browser sends for a page of another site, whatever the
// method. Programs, and addresses that people type, pass.
func RefuseCrossSite(next http.Handler) http.Handler {
	return HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if crossSite(r) {
			return &Problem{Status: http.StatusForbidden, Code: "cross_site_request", Detail: "Requests from pages of other sites are refused"}
		}
		next.ServeHTTP(w, r)
		return nil
	})
}

// crossSite reads headers that browsers set and pages cannot change. Older browsers, and all
// browsers at addresses without TLS that are not this machine's, send only Origin, and not with
// every request.
func crossSite(r *http.Request) bool {
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site != "same-origin" && site != "none" {
			return true
		}
	}
	for _, origin := range r.Header["Origin"] {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return true
		}
	}
	return false
}
