package clerksync

import (
	"net/http"
	"strings"

	"github.com/clerksync/clerksync/internal/access"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// HandlerOptions configure [Mirror.Handler]. The zero value is fine.
type HandlerOptions struct {
	// Prefix stands before every path, such as /clerk. Empty mounts the routes at the root.
	Prefix string
	// CORSOrigins are the origins whose pages may ask who is signed in, such as
	// https://app.example.com.
	CORSOrigins []string
	// OperatorToken shows the warnings of /health to requests that carry it as a bearer token, also
	// where they are hidden from the public. Empty shows them to no one more.
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
// It answers other paths and methods with 404 and 405, and every request has an X-Request-Id.
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

// healthFor shows everyone what anyone may know, and the warnings to requests with the token.
func healthFor(m *Mirror, token string) http.Handler {
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		h := m.Health(r.Context())
		if !m.monitor.Production() || token != "" && access.CheckOperator(r, token) == nil {
			return web.WriteJSON(w, http.StatusOK, h)
		}
		return web.WriteJSON(w, http.StatusOK, struct {
			Status   string                `json:"status"`
			Database mirror.DatabaseHealth `json:"database"`
		}{h.Status, h.Database})
	})
}
