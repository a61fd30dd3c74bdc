package auth_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/clerksync/clerksync/auth"
)

// A handler answers 401 with a code that clients can act on, and 403 if a rule refuses.
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
		token, _ := auth.BearerToken(r) // without a token Verify returns authentication_required
		claims, err := verifier.Verify(r.Context(), token)
		if refusal, ok := errors.AsType[*auth.Error](err); ok {
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

// Combine rules, and explain a decision to operators.
func ExampleAll() {
	rule := auth.All(
		auth.MinRole("growth"),
		auth.Any(auth.Feature("org:export"), auth.Permission("org:sys_memberships:manage")),
		auth.Func("not on trial", func(*auth.Subject) auth.Decision { return auth.Allow() }),
	)
	subject := &auth.Subject{
		Claims: &auth.Claims{Subject: "user_1", Organization: &auth.ActiveOrganization{ID: "org_1"}},
		Role:   "enterprise", Ladder: []string{"solo", "growth", "enterprise"},
		OrganizationPlans: &auth.Plans{Owner: "org_1", Slugs: []string{"team"}},
		PlanFeatures:      map[string][]string{"team": {"search"}},
	}
	fmt.Println(rule.Check(subject).Code)
	for _, condition := range rule.Explain(subject) {
		fmt.Println(condition)
		for _, alternative := range condition.Any {
			fmt.Println("  or", alternative)
		}
	}
	// Output:
	// feature_locked
	// allowed MinRole("growth"): role "enterprise" (mirror), ladder "solo,growth,enterprise" (mirror)
	// refused (feature) Any(Feature("org:export"), Permission("org:sys_memberships:manage"))
	//   or refused (feature) Feature("org:export"): organization plans "team" (mirror), features of plan team "search" (configuration)
	//   or refused (permission) Permission("org:sys_memberships:manage"): organization "org_1" (token), permissions unknown (mirror)
	// allowed Func("not on trial")
}

// Validate rules at start: a mistake in a rule refuses every user.
func ExampleValidate() {
	fmt.Println(auth.Validate(auth.MinRole("growth")))
	fmt.Println(auth.Validate(auth.All(auth.MinRole(""), auth.Feature("team:export"))))
	// Output:
	// <nil>
	// auth: MinRole(""): the name is empty
	// auth: Feature("team:export"): want "slug", "org:slug" or "user:slug"
}

// Read the token of a request together with its source, and verify both.
func ExampleTokenReader_Token() {
	reader := auth.NewTokenReader("pk_test_Y2xlcmsuZXhhbXBsZS5jb20k")
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	fmt.Println(reader.Token(r))

	r.Header.Set("Cookie", "__session=a.b.c")
	fmt.Println(reader.Token(r))

	r.Header.Set("Authorization", "Bearer d.e.f")
	fmt.Println(reader.Token(r))
	// Output:
	//  nowhere
	// a.b.c cookie
	// d.e.f header
}
