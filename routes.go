package clerksync

import (
	"net/http"
	"strings"

	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// HandlerOptions configures [Mirror.Handler]. The zero value is valid.
type HandlerOptions struct {
	// Prefix is the prefix of every path, such as /clerk. Empty means that the paths have none.
	Prefix string
	// CORSOrigins are the origins whose pages may read /api/auth/me, such as
	// https://app.example.com.
	CORSOrigins []string
	// OperatorToken is the bearer token of the unnamed operator. A request with it, or with the
	// token of a named operator, sees the warnings of /health that are hidden from the public.
	OperatorToken string
}

// Handler returns a handler of all public routes:
//
//	POST /api/webhooks/clerk   Clerk's webhooks, see WebhookHandler
//	GET  /api/auth/me          the caller, see MeHandler
//	GET  /health               state and warnings, see HealthHandler
//	GET  /readyz               for load balancers, see ReadyHandler
//	GET  /livez                200 while the process serves
//
// Mount it below its prefix:
//
//	mux.Handle("/clerk/", m.Handler(clerksync.HandlerOptions{Prefix: "/clerk"}))
//
// The handler answers 404 for other paths, and 405 for other methods. Every response has the header
// X-Request-Id.
func (m *Mirror) Handler(o HandlerOptions) http.Handler {
	prefix := cleanPrefix(o.Prefix)
	mux := http.NewServeMux()
	mux.Handle(prefix+"/api/webhooks/clerk", m.WebhookHandler()) // answers 405 by itself
	me := web.CORS(o.CORSOrigins, http.MethodGet)(m.MeHandler())
	mux.Handle("GET "+prefix+"/api/auth/me", me)
	if len(o.CORSOrigins) > 0 {
		mux.Handle("OPTIONS "+prefix+"/api/auth/me", me)
	}
	registerProbes(mux, prefix, m)
	mux.Handle("GET "+prefix+"/health", healthFor(m, o.OperatorToken))
	return web.EnsureRequestID(web.NotFoundAndMethod(mux))
}

// cleanPrefix returns a prefix with a slash at its start and none at its end.
func cleanPrefix(prefix string) string {
	prefix = strings.Trim(prefix, "/")
	if prefix == "" {
		return ""
	}
	return "/" + prefix
}

func registerProbes(mux *http.ServeMux, prefix string, m *Mirror) {
	mux.Handle("GET "+prefix+"/livez", web.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		return web.WriteJSON(w, http.StatusOK, map[string]string{"status": "alive"})
	}))
	mux.Handle("GET "+prefix+"/readyz", m.ReadyHandler())
}

// healthFor shows everyone what anyone may know, and the warnings to operators.
func healthFor(m *Mirror, token string) http.Handler {
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		h := m.Health(r.Context())
		if !m.monitor.Production() {
			return web.WriteJSON(w, http.StatusOK, h)
		}
		if _, err := m.gate.Operators().Check(r, token, true); err == nil {
			return web.WriteJSON(w, http.StatusOK, h)
		}
		return web.WriteJSON(w, http.StatusOK, struct {
			Status   string                `json:"status"`
			Database mirror.DatabaseHealth `json:"database"`
		}{h.Status, h.Database})
	})
}
