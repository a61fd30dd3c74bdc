package web

import (
	"net/http"
	"slices"
	"strings"
)

// CORS lets pages of the given origins call h from a browser, with an Authorization header or a
// cookie of the same site (Fetch standard, section 3.3). Origins are compared exactly; without any,
// no page may. A preflight is answered here, for it carries no token; methods are those that h
// takes. An origin that may not call gets no header that says so, and h's answer, which its browser
// keeps from the page.
func CORS(origins []string, methods ...string) Middleware {
	allowed := strings.Join(methods, ", ")
	return func(h http.Handler) http.Handler {
		if len(origins) == 0 {
			return h
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			header := w.Header()
			header.Add("Vary", "Origin")
			origin := r.Header.Get("Origin")
			preflight := r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
			if preflight {
				header.Add("Vary", "Access-Control-Request-Method")
				header.Add("Vary", "Access-Control-Request-Headers")
			}
			if slices.Contains(origins, origin) {
				header.Set("Access-Control-Allow-Origin", origin)
				header.Set("Access-Control-Allow-Credentials", "true")
				if preflight {
					header.Set("Access-Control-Allow-Methods", allowed)
					header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Request-Id")
					header.Set("Access-Control-Max-Age", "600")
				} else {
					header.Set("Access-Control-Expose-Headers", "X-Request-Id, X-Feature-Locked, X-Required-Plan, X-Upgrade-URL, WWW-Authenticate")
				}
			}
			if preflight {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			h.ServeHTTP(w, r)
		})
	}
}
