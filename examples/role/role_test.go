package role_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/examples/role"
	"github.com/clerksync/clerksync/sqlite"
)

func TestRoles(t *testing.T) {
	clerk := clerktest.New(t)
	db, err := sqlite.Open(sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), db, clerk.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	routes := role.Routes(m)
	clerk.SendTo(m.WebhookHandler())

	for _, tc := range []struct {
		role         string
		read, remove int
	}{
		{"solo", http.StatusForbidden, http.StatusForbidden},
		{"growth", http.StatusOK, http.StatusForbidden},
		{"enterprise", http.StatusOK, http.StatusForbidden},
		{"admin", http.StatusOK, http.StatusNoContent},
	} {
		user := clerk.CreateUser(clerktest.User{Email: tc.role + "@example.com", Role: tc.role})
		if got := status(routes, http.MethodGet, "/api/deals", clerk.Token(user)); got != tc.read {
			t.Errorf("%s reads: %d, want %d", tc.role, got, tc.read)
		}
		if got := status(routes, http.MethodDelete, "/api/deals/1", clerk.Token(user)); got != tc.remove {
			t.Errorf("%s deletes: %d, want %d", tc.role, got, tc.remove)
		}
	}
	if got := status(routes, http.MethodGet, "/api/deals", ""); got != http.StatusUnauthorized {
		t.Errorf("without a token: %d", got)
	}
}

func status(h http.Handler, method, path, token string) int {
	r := httptest.NewRequest(method, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}
