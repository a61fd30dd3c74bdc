package auth_test

import (
	"fmt"

	"github.com/clerksync/clerksync/auth"
)

// A custom rule: only members of the organization of the company itself, while it is active in
// their session. Mount it with m.Require(staff). A rule needs no server and no database, so that a
// test can check it directly.
func ExampleFunc() {
	for _, subject := range []auth.Subject{
		{Claims: &auth.Claims{Subject: "user_1", Organization: &auth.ActiveOrganization{ID: companyOrganization}}},
		{Claims: &auth.Claims{Subject: "user_2", Organization: &auth.ActiveOrganization{ID: "org_customer"}}},
		{Claims: &auth.Claims{Subject: "user_3"}},
		{}, // not signed in: the function is not called
	} {
		if decision := staff.Check(&subject); decision.Allowed {
			fmt.Println("allowed")
		} else {
			fmt.Println(decision.Code, decision.Reason)
		}
	}
	// Output:
	// allowed
	// forbidden staff_only
	// forbidden staff_only
	// authentication_required
}

const companyOrganization = "org_company"

var staff = auth.Func("staff", func(s *auth.Subject) auth.Decision {
	if s.Claims.Organization == nil || s.Claims.Organization.ID != companyOrganization {
		return auth.Deny("staff_only") // the reason is part of the 403 response
	}
	return auth.Allow()
})
