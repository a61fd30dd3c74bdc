package clerksync

import (
	"net/http"

	"github.com/clerksync/clerksync/internal/access"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// OperatorOptions configures [Mirror.OperatorHandler].
type OperatorOptions struct {
	// Prefix is the prefix of every path, such as /operators.
	Prefix string
	// Token is the bearer token of the unnamed operator. If it is empty, only named operators pass,
	// see [Operators].
	Token string
	// OpenHealth serves /health, /livez and /readyz without the token. Use it only on a listener
	// that no other machine can reach.
	OpenHealth bool
}

// OperatorHandler returns a handler of health and probes for operators:
//
//	GET /health           state, warnings, and counts of rows
//	GET /readyz, /livez   as in Handler
//
// Every request needs the token of an operator, who may be read-only. Requests from pages of other
// sites are denied. Mount the handler below its prefix, on a listener that only operators can
// reach. Package api has the other routes of operators.
func (m *Mirror) OperatorHandler(o OperatorOptions) http.Handler {
	prefix := cleanPrefix(o.Prefix)
	mux := http.NewServeMux()
	registerProbes(mux, prefix, m)
	mux.Handle("GET "+prefix+"/health", healthWithCounts(m))
	g := operatorGuard{m.gate.Operators(), o.Token, map[string]bool{}}
	for _, path := range []string{"/health", "/livez", "/readyz"} {
		g.open[prefix+path] = o.OpenHealth
	}
	return web.EnsureRequestID(web.RefuseCrossSite(g.before(web.NotFoundAndMethod(mux))))
}

// operatorGuard denies requests that are not an operator's.
type operatorGuard struct {
	operators *access.Operators
	token     string          // configured
	open      map[string]bool // paths that need no token
}

func (g operatorGuard) before(next http.Handler) http.Handler {
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if g.open[r.URL.Path] {
			next.ServeHTTP(w, r)
			return nil
		}
		operator, err := g.operators.Check(r, g.token, false)
		if err != nil {
			return problem(publicError(err))
		}
		access.ServeAs(operator, next, w, r)
		return nil
	})
}

// healthWithCounts adds counts of rows to the health, if the database answers. It waits a moment
// for the first ones.
func healthWithCounts(m *Mirror) http.Handler {
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		answer := struct {
			mirror.Health
			Counts *mirror.Counts `json:"counts"` // null if they could not be counted
		}{Health: m.Health(r.Context())}
		if answer.Database.OK {
			if counts := m.monitor.RecentCounts(r.Context()); counts != nil {
				recent := *counts
				addProcessCounts(m, &recent)
				answer.Counts = &recent
			}
		}
		return web.WriteJSON(w, http.StatusOK, answer)
	})
}
