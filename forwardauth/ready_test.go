package forwardauth_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/forwardauth"
	"github.com/clerksync/clerksync/sqlite"
)

// While the mirror is ready the role is in the header, although no rule needs it. While it is not,
// the header is empty.
func TestRoleOfAReadyMirror(t *testing.T) {
	t.Parallel()
	c := clerktest.New(t)
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"))
	if err != nil {
		t.Fatal(err)
	}
	config := c.Config()
	config.APIBudget = 1
	var moved atomic.Int64
	config.Test.Now = func() time.Time { return time.Now().Add(time.Duration(moved.Load())) }
	m, err := clerksync.New(t.Context(), db, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	life := 3600
	token := c.TokenFor(clerktest.TokenOptions{UserID: c.CreateUser(clerktest.User{Email: "ada@example.com", Role: "growth"}), ExpiresIn: &life})
	if _, err := m.Sync().Backfill(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	checks, err := forwardauth.New(m, forwardauth.Config{Policy: parsePolicy(t, sitePolicy), TrustedProxies: proxies})
	if err != nil {
		t.Fatal(err)
	}
	h := checks.Middleware(http.NotFoundHandler())
	for _, step := range []struct {
		passed time.Duration
		role   string
	}{{time.Second, "growth"}, {6 * time.Minute, ""}} {
		moved.Add(int64(step.passed))
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, forwardauth.Path, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("X-Original-Method", "GET")
		r.Header.Set("X-Original-URI", "/app/x")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK || w.Header().Get("X-Clerk-Role") != step.role {
			t.Errorf("after %v: %d, role %q, want %q", step.passed, w.Code, w.Header().Get("X-Clerk-Role"), step.role)
		}
	}
}
