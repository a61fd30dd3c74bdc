package clerksync_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/web"
)

// discard is an answer that goes nowhere.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// BenchmarkMe is GET /api/auth/me with the whole chain of middleware, less the network: tokens of a
// hundred users that were seen before.
func BenchmarkMe(b *testing.B) {
	c := clerktest.New(b)
	db, err := sqlite.Open(filepath.Join(b.TempDir(), "clerk.db"))
	if err != nil {
		b.Fatal(err)
	}
	m, err := clerksync.New(b.Context(), driver.NewHandle(db), c.Config())
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	c.SendTo(m.WebhookHandler())
	life := 3600
	var requests []*http.Request
	for i := range 100 {
		user := c.CreateUser(clerktest.User{Email: fmt.Sprintf("u%d@example.com", i), Role: "growth"})
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/api/auth/me", nil)
		r.Header.Set("Authorization", "Bearer "+c.TokenFor(clerktest.TokenOptions{UserID: user, ExpiresIn: &life}))
		requests = append(requests, r)
	}
	c.Settle()
	mux := http.NewServeMux()
	mux.Handle("GET /api/auth/me", m.MeHandler())
	rule := m.Require(auth.NotImpersonated())(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for name, h := range map[string]http.Handler{
		"handler":                m.MeHandler(),
		"server, logs discarded": web.Standard(web.Config{Logger: slog.New(slog.DiscardHandler)}, web.NotFoundAndMethod(mux)),
		"server, logs as JSON":   web.Standard(web.Config{Logger: slog.New(slog.NewJSONHandler(io.Discard, nil))}, web.NotFoundAndMethod(mux)),
		"rule alone":             rule,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				w := &discard{header: http.Header{}}
				h.ServeHTTP(w, requests[n%len(requests)])
				if w.status > 200 {
					b.Fatal(w.status)
				}
				n++
			}
		})
	}
}
