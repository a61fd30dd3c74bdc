package optionaluser_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/examples/optionaluser"
	"github.com/clerksync/clerksync/sqlite"
)

func TestOptionalUser(t *testing.T) {
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
	clerk.SendTo(m.WebhookHandler())
	ada := clerk.CreateUser(clerktest.User{Email: "ada@example.com", FirstName: "Ada"})

	for _, tc := range []struct {
		name, authorization string
		status              int
		body                string
	}{
		{"no token", "", http.StatusOK, "Hello. Sign in to see your deals.\n"},
		{"a user", "Bearer " + clerk.Token(ada), http.StatusOK, "Hello, Ada.\n"},
		{"a forged token", "Bearer e30.e30.e30", http.StatusUnauthorized, ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if tc.authorization != "" {
			r.Header.Set("Authorization", tc.authorization)
		}
		w := httptest.NewRecorder()
		optionaluser.Routes(m).ServeHTTP(w, r)
		if w.Code != tc.status || tc.body != "" && w.Body.String() != tc.body {
			t.Errorf("%s: %d %s", tc.name, w.Code, w.Body)
		}
	}
}
