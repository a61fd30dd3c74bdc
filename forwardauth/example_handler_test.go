package forwardauth_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/forwardauth"
	"github.com/clerksync/clerksync/sqlite"
)

// Forward auth embedded: your own server answers nginx whether a request may pass, next to its
// other routes.
func Example() {
	db, err := sqlite.Open(sqlite.Memory)
	if err != nil {
		log.Fatal(err)
	}
	m, err := clerksync.New(context.Background(), db, clerksync.Config{}) // in production with SecretKey and WebhookSecrets
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	policy, err := forwardauth.ParsePolicy([]byte(`{"routes": [
		{"path": "/", "public": true},
		{"path": "/reports/**", "require": {"min_role": "growth"}}
	]}`))
	if err != nil {
		log.Fatal(err)
	}
	checks, err := forwardauth.New(m, forwardauth.Config{
		Policy:         policy,
		Proxy:          forwardauth.ProxyNginx,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, // the network of nginx
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /api/webhooks/clerk", m.WebhookHandler())
	server := checks.Middleware(mux) // in front of the mux, which would redirect paths that are not clean

	for _, path := range []string{"/", "/reports/2026", "/admin"} {
		check := httptest.NewRequest(http.MethodGet, forwardauth.Path, nil) // as nginx asks, with its recipe
		check.Header.Set("X-Original-Method", http.MethodGet)
		check.Header.Set("X-Original-URI", path)
		check.Header.Set("X-Forwarded-Host", "app.example.com")
		w := httptest.NewRecorder()
		server.ServeHTTP(w, check)
		fmt.Println(path, w.Code)
	}
	// Output:
	// / 200
	// /reports/2026 401
	// /admin 403
}
