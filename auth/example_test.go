package auth_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/clerksync/clerksync/auth"
)

// A middleware in front of an API: 401 with a reason that clients can act on, 403 where a rule refuses.
func Example() {
	keys, err := auth.HMACKey("a secret of a JWT template, 32+ bytes")
	if err != nil {
		panic(err)
	}
	verifier, err := auth.NewVerifier(auth.Config{Algorithm: auth.HS256, Keys: keys})
	if err != nil {
		panic(err)
	}
	rule := auth.MinRole("growth")
	deals := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := auth.BearerToken(r) // no token: Verify answers authentication_required
		claims, err := verifier.Verify(r.Context(), token)
		var refusal *auth.Error
		if errors.As(err, &refusal) {
			http.Error(w, refusal.Detail+": "+refusal.Code, http.StatusUnauthorized)
			return
		}
		subject := auth.Subject{Claims: claims, Role: "solo", Ladder: []string{"solo", "growth"}}
		if decision := rule.Check(&subject); !decision.Allowed {
			http.Error(w, decision.Code, http.StatusForbidden)
		}
	})
	for _, authorization := range []string{"", "Bearer a.b.c"} {
		r := httptest.NewRequest(http.MethodGet, "/api/deals", nil)
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		deals.ServeHTTP(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 401 Authentication required: authentication_required
	// 401 Invalid authentication token: invalid_token
}
