package emulator_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	shapes := loadShapes(t)
	ada := c.user("ada@example.com")
	c.made("/v1/users", object{"username": "Bobby", "phone_number": []string{"+15555550100"}, "external_id": "cust_1"})
	org := c.organization("Acme", ada)
	many := strings.Repeat("&user_id=x", 101)
	json2026 := []string{"Clerk-API-Version", "2026-05-12"}
	for name, test := range map[string]struct {
		status       int
		code         string
		method, path string
		body         any
		headers      []string
		parameter    string // that the error names
	}{
		"no key":                 {401, "authentication_invalid", "GET", "/users", nil, []string{"Authorization", ""}, ""},
		"wrong key":              {401, "clerk_key_invalid", "GET", "/users", nil, []string{"Authorization", "Bearer sk_test_x"}, ""},
		"wrong scheme":           {401, "authorization_header_format_invalid", "GET", "/users", nil, []string{"Authorization", "Basic " + c.key}, ""},
		"no scheme":              {401, "authorization_header_format_invalid", "GET", "/users", nil, []string{"Authorization", c.key}, ""},
		"no key for jwks":        {401, "authentication_invalid", "GET", "/jwks", nil, []string{"Authorization", ""}, ""},
		"unknown version":        {400, "api_version_invalid", "GET", "/users", nil, []string{"Clerk-API-Version", "2020-01-01"}, ""},
		"unknown version, query": {400, "api_version_invalid", "GET", "/users?__clerk_api_version=x", nil, nil, ""},
		"version twice":          {400, "api_version_invalid", "GET", "/users?__clerk_api_version=2026-05-12", nil, json2026, ""},

		"no JSON":                 {400, "request_body_invalid", "POST", "/users", "{", nil, ""},
		"JSON and more":           {400, "request_body_invalid", "POST", "/users", `{"username":"x"} {}`, nil, ""},
		"an array for an object":  {400, "request_body_invalid", "POST", "/users", `[]`, nil, ""},
		"a form":                  {415, "unsupported_content_type", "POST", "/users", "username=x", []string{"Content-Type", "application/x-www-form-urlencoded"}, ""},
		"no content type":         {415, "unsupported_content_type", "POST", "/users", "{}", []string{"Content-Type", ""}, ""},
		"too long":                {413, "request_body_invalid", "POST", "/users", `{"username":"` + strings.Repeat("x", 1<<20) + `"}`, nil, ""},
		"unknown parameter":       {422, "form_param_unknown", "POST", "/users", object{"colour": "red"}, nil, "colour"},
		"a number for a text":     {422, "form_param_format_invalid", "POST", "/users", object{"username": 1}, nil, "username"},
		"an array for metadata":   {422, "form_param_format_invalid", "POST", "/users", object{"username": "xxxx", "public_metadata": []int{1}}, nil, "public_metadata"},
		"a user without address":  {422, "form_param_missing", "POST", "/users", object{"first_name": "Ada"}, nil, "email_address"},
		"no address":              {422, "form_param_format_invalid", "POST", "/users", object{"email_address": []string{"ada"}}, nil, "email_address"},
		"no time":                 {422, "form_param_format_invalid", "POST", "/users", object{"username": "xxxx", "created_at": "yesterday"}, nil, "created_at"},
		"an address taken":        {422, "form_identifier_exists", "POST", "/users", object{"email_address": []string{"ADA@example.com"}}, nil, "email_address"},
		"a number taken":          {422, "form_identifier_exists", "POST", "/users", object{"phone_number": []string{"+15555550100"}}, nil, "phone_number"},
		"a name taken":            {422, "form_identifier_exists", "POST", "/users", object{"username": "bobby"}, nil, "username"},
		"a name taken by update":  {422, "form_identifier_exists", "PATCH", "/users/" + ada, object{"username": "bobby"}, nil, "username"},
		"an external id taken":    {422, "form_identifier_exists", "PATCH", "/users/" + ada, object{"external_id": "cust_1"}, nil, "external_id"},
		"a foreign primary email": {404, "resource_not_found", "PATCH", "/users/" + ada, object{"primary_email_address_id": "idn_x"}, nil, ""},
		"a foreign primary phone": {404, "resource_not_found", "PATCH", "/users/" + ada, object{"primary_phone_number_id": "idn_x"}, nil, ""},
		"metadata of 2026":        {422, "form_param_unknown", "PATCH", "/users/" + ada, object{"private_metadata": object{}}, json2026, "private_metadata"},
		"org metadata of 2026":    {422, "form_param_unknown", "PATCH", "/organizations/" + org, object{"private_metadata": object{}}, json2026, "private_metadata"},

		"nobody":               {404, "resource_not_found", "GET", "/users/user_x", nil, nil, ""},
		"nobody deleted":       {404, "resource_not_found", "DELETE", "/users/user_x", nil, nil, ""},
		"nobody banned":        {404, "resource_not_found", "POST", "/users/ban", object{"user_ids": []string{ada, "user_x"}}, nil, ""},
		"ban of none":          {422, "form_param_missing", "POST", "/users/ban", object{}, nil, "user_ids"},
		"no organization":      {404, "resource_not_found", "GET", "/organizations/org_x", nil, nil, ""},
		"nameless":             {422, "form_param_missing", "POST", "/organizations", object{}, nil, "name"},
		"nobody's creation":    {404, "resource_not_found", "POST", "/organizations", object{"name": "x", "created_by": "user_x"}, nil, ""},
		"slug taken":           {422, "form_identifier_exists", "POST", "/organizations", object{"name": "x", "slug": "acme"}, nil, "slug"},
		"fewer than none":      {422, "form_param_value_invalid", "POST", "/organizations", object{"name": "x", "max_allowed_memberships": -1}, nil, "max_allowed_memberships"},
		"no member":            {404, "resource_not_found", "DELETE", "/organizations/" + org + "/memberships/user_x", nil, nil, ""},
		"member of no role":    {422, "form_param_missing", "POST", "/organizations/" + org + "/memberships", object{"user_id": ada}, nil, "role"},
		"member of wrong role": {404, "resource_not_found", "PATCH", "/organizations/" + org + "/memberships/" + ada, object{"role": "org:x"}, nil, "role"},
		"member already":       {400, "already_a_member_in_organization", "POST", "/organizations/" + org + "/memberships", object{"user_id": ada, "role": "org:member"}, nil, ""},
		"invited for no time":  {422, "form_param_value_invalid", "POST", "/organizations/" + org + "/invitations", object{"email_address": "x@example.com", "role": "org:member", "expires_in_days": 0}, nil, "expires_in_days"},
		"no subscription":      {404, "resource_not_found", "GET", "/users/" + ada + "/billing/subscription", nil, nil, ""},
		"session of nobody":    {404, "resource_not_found", "POST", "/sessions", object{"user_id": "user_x"}, nil, ""},
		"sessions of all":      {422, "form_param_missing", "GET", "/sessions", nil, nil, "user_id"},
		"pending sessions":     {422, "form_param_value_invalid", "GET", "/sessions?status=pending&user_id=" + ada, nil, nil, "status"},
		"active elsewhere":     {404, "resource_not_found", "POST", "/sessions", object{"user_id": ada, "active_organization_id": "org_x"}, nil, ""},
		"role taken":           {422, "form_identifier_exists", "POST", "/organization_roles", object{"name": "x", "key": "org:admin"}, nil, "key"},
		"creator's role":       {403, "organization_role_used_as_creator_role", "DELETE", "/organization_roles/" + c.roleID("org:admin"), nil, nil, ""},
		"system's permission":  {403, "authorization_invalid", "DELETE", "/organization_permissions/org:sys_profile:manage", nil, nil, ""},
		"permission's form":    {422, "form_param_format_invalid", "POST", "/organization_permissions", object{"name": "x", "key": "x"}, nil, "key"},
		"life of a template":   {422, "form_param_value_invalid", "POST", "/jwt_templates", object{"name": "x", "lifetime": 29}, nil, "lifetime"},
		"key of a template":    {422, "form_param_value_invalid", "POST", "/jwt_templates", object{"name": "x", "custom_signing_key": true, "signing_algorithm": "HS256", "signing_key": "short"}, nil, "signing_key"},
		"actor nobody":         {422, "form_param_missing", "POST", "/actor_tokens", object{"user_id": ada, "actor": object{}}, nil, "actor.sub"},

		"limit 0":            {422, "form_param_value_invalid", "GET", "/users?limit=0", nil, nil, "limit"},
		"limit -1":           {422, "form_param_value_invalid", "GET", "/organizations?limit=-1", nil, nil, "limit"},
		"limit x":            {422, "form_param_format_invalid", "GET", "/organization_memberships?limit=x", nil, nil, "limit"},
		"offset -1":          {422, "form_param_value_invalid", "GET", "/users?offset=-1", nil, nil, "offset"},
		"unknown order":      {422, "form_param_value_invalid", "GET", "/users?order_by=colour", nil, nil, "order_by"},
		"unknown order, org": {422, "form_param_value_invalid", "GET", "/organizations?order_by=updated_at", nil, nil, "order_by"},
		"cursor and order":   {422, "form_param_value_invalid", "GET", "/users?order_by=-updated_at&starting_after=" + ada, nil, nil, "starting_after"},
		"cursor and offset":  {422, "form_param_value_invalid", "GET", "/users?offset=1&starting_after=" + ada, nil, nil, "starting_after"},
		"cursor of nobody":   {404, "resource_not_found", "GET", "/users?starting_after=user_x", nil, nil, ""},
		"101 values":         {422, "form_param_value_invalid", "GET", "/users?x" + many, nil, nil, "user_id"},
		"banned perhaps":     {422, "form_param_format_invalid", "GET", "/users?banned=perhaps", nil, nil, "banned"},
		"a time in words":    {422, "form_param_format_invalid", "GET", "/users?created_at_after=today", nil, nil, "created_at_after"},
	} {
		a := c.do(test.method, "/v1"+test.path, test.body, test.headers...)
		t.Run(name, func(t *testing.T) {
			var failure emulator.APIError
			decode(t, a.body, &failure)
			if a.status != test.status || len(failure.Errors) == 0 || failure.Errors[0].Code != test.code {
				t.Fatalf("%d %s, want %d %s", a.status, a.body, test.status, test.code)
			}
			if got, _ := failure.Errors[0].Meta["param_name"].(string); got != test.parameter {
				t.Errorf("names the parameter %q, want %q", got, test.parameter)
			}
			for _, w := range shapes.problems(a.body, "#errors") {
				t.Error(w)
			}
			if id := a.header.Get("Clerk-Trace-Id"); id == "" || id != failure.TraceID || a.header.Get("Content-Type") != "application/json" {
				t.Errorf("trace id %q, in the body %q, headers %v", id, failure.TraceID, a.header)
			}
		})
	}
}

func (c *clerk) roleID(key string) string {
	c.t.Helper()
	for _, role := range c.list("/v1/organization_roles") {
		if role["key"] == key {
			return role["id"].(string)
		}
	}
	c.t.Fatalf("no role %s", key)
	return ""
}

func TestMetadataAmongAttributesIsRefusedByEachName(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	ada := c.user("ada@example.com")
	all := object{"first_name": "Ada", "unsafe_metadata": object{}, "public_metadata": object{"a": 1}, "private_metadata": nil}
	var failure emulator.APIError
	decode(t, c.do("PATCH", "/v1/users/"+ada, all, "Clerk-API-Version", "2026-05-12").body, &failure)
	names := []any{}
	for _, e := range failure.Errors {
		names = append(names, e.Meta["param_name"])
	}
	if fmt.Sprint(names) != "[public_metadata private_metadata unsafe_metadata]" {
		t.Errorf("names %v", names)
	}
	if got := c.call("GET", "/v1/users/"+ada, nil)["first_name"]; got != nil {
		t.Errorf("the refused request set the name %v", got)
	}
	for _, version := range []string{"2021-02-05", "2024-10-01", "2025-04-10", "2025-11-10", ""} {
		if a := c.do("PATCH", "/v1/users/"+ada, all, "Clerk-API-Version", version); a.status != http.StatusOK {
			t.Errorf("version %q: %d %s", version, a.status, a.body)
		}
	}
}

// What is not implemented never pretends to succeed, and is counted.
func TestUnknownEndpointsAreCounted(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	for range 2 {
		c.refused(http.StatusNotImplemented, "not_implemented", "GET", "/v1/audit_logs", nil)
	}
	c.refused(http.StatusNotImplemented, "not_implemented", "DELETE", "/v1/users", nil)
	c.refused(http.StatusUnauthorized, "authentication_invalid", "GET", "/v1/audit_logs", nil, "Authorization", "")
	c.refused(http.StatusNotFound, "resource_not_found", "GET", "/elsewhere", nil)
	c.refused(http.StatusNotFound, "resource_not_found", "GET", "/_emulator/elsewhere", nil)
	got := fmt.Sprint(c.call("GET", "/_emulator/state", nil)["unimplemented"])
	if want := "map[DELETE /v1/users:1 GET /v1/audit_logs:2]"; got != want {
		t.Errorf("counted %s, want %s", got, want)
	}
}

func TestJWKSForVerifiersNeedsNoKey(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	a := c.do("GET", "/.well-known/jwks.json", nil, "Authorization", "")
	if b := c.do("GET", "/v1/jwks", nil); a.status != http.StatusOK || string(a.body) != string(b.body) {
		t.Errorf("%d %s, of the Backend API %s", a.status, a.body, b.body)
	}
}

func TestControlAPIAnswersItsOwnMachineOnly(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	open := newClerk(t, emulator.Options{ControlFromAnywhere: true})
	for name, test := range map[string]struct {
		of           *clerk
		caller, host string
		site, origin string
		want         int
	}{
		"this machine":                   {c, "127.0.0.1:1", "127.0.0.1:4010", "", "", 200},
		"this machine, IPv6":             {c, "[::1]:1", "[::1]:4010", "", "", 200},
		"this machine, by name":          {c, "127.0.0.1:1", "LOCALHOST:4010", "", "", 200},
		"this machine, by a subdomain":   {c, "127.0.0.1:1", "clerk.localhost", "", "", 200},
		"an address typed by a person":   {c, "127.0.0.1:1", "localhost:4010", "none", "", 200},
		"another machine":                {c, "192.0.2.1:1", "localhost", "", "", 403},
		"another machine in our network": {c, "10.0.0.1:1", "localhost", "", "", 403},
		"no address":                     {c, "", "localhost", "", "", 403},
		"a web page on this machine":     {c, "127.0.0.1:1", "localhost", "", "https://evil.example", 403},
		"a page that tells no origin":    {c, "127.0.0.1:1", "localhost", "cross-site", "", 403},
		"a page on another port":         {c, "127.0.0.1:1", "localhost", "same-site", "", 403},
		"a page under a rebound name":    {c, "127.0.0.1:1", "evil.example:4010", "same-origin", "", 403},
		"a rebound name, an old browser": {c, "127.0.0.1:1", "evil.example:4010", "", "", 403},
		"a name that only begins so":     {c, "127.0.0.1:1", "localhost.evil.example", "", "", 403},
		"a name with our address in it":  {c, "127.0.0.1:1", "127.0.0.1.evil.example", "", "", 403},
		"no host":                        {c, "127.0.0.1:1", "", "", "", 403},

		"another machine, where it may":    {open, "192.0.2.1:1", "10.0.0.7:4010", "", "", 200},
		"a container, where it may":        {open, "172.17.0.1:1", "clerk:4010", "", "", 200},
		"Docker's host, where it may":      {open, "172.17.0.1:1", "host.docker.internal:4010", "", "", 200},
		"a rebound name, where others may": {open, "127.0.0.1:1", "evil.example:4010", "", "", 403},
		"a page, where others may":         {open, "127.0.0.1:1", "localhost", "cross-site", "", 403},
		"an origin, where others may":      {open, "127.0.0.1:1", "localhost", "", "https://evil.example", 403},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/_emulator/state", nil)
		r.RemoteAddr, r.Host = test.caller, test.host
		if test.origin != "" {
			r.Header.Set("Origin", test.origin)
		}
		if test.site != "" {
			r.Header.Set("Sec-Fetch-Site", test.site)
		}
		w := httptest.NewRecorder()
		test.of.ServeHTTP(w, r)
		if w.Code != test.want {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, test.want)
		}
	}
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClerk(t, emulator.Options{RateLimit: 100, Users: 1})
		user := c.list("/v1/users")[0]["id"].(string)
		limited := func(method, path string, body any) string {
			a := c.do(method, path, body)
			if a.status == http.StatusTooManyRequests {
				return a.header.Get("Retry-After")
			}
			return ""
		}
		time.Sleep(2500 * time.Millisecond) // of the bubble's clock
		for range 99 {
			limited("GET", "/v1/organizations", nil)
		}
		if got := limited("GET", "/v1/users/count", nil); got != "8" {
			t.Errorf("Retry-After %q, want 8", got)
		}
		c.call("GET", "/v1/jwks", nil) // has no limit
		time.Sleep(7500 * time.Millisecond)
		c.call("GET", "/v1/users/count", nil)

		other := c.user("bob@example.com")
		for range 10 {
			c.call("PATCH", "/v1/users/"+user, object{})
		}
		if got := limited("PATCH", "/v1/users/"+user+"/metadata", object{}); got != "10" {
			t.Errorf("Retry-After of one user %q, want 10", got)
		}
		c.call("PATCH", "/v1/users/"+other, object{})
		c.call("GET", "/v1/users/"+user, nil)
		time.Sleep(10 * time.Second)
		c.call("PATCH", "/v1/users/"+user, object{})
	})
}

// Ten writes to one membership, and ten to one organization; members are not writes to the
// organization.
func TestMembersAreLimitedEachByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClerk(t, emulator.Options{RateLimit: 1000, Users: 12})
		org := c.organization("Acme", "")
		users := ids(c.list("/v1/users?limit=12"))
		base := "/v1/organizations/" + org + "/memberships"
		for _, user := range users {
			c.made(base, object{"user_id": user, "role": "org:member"})
		}
		for range 10 {
			c.call("PATCH", base+"/"+users[0], object{"role": "org:admin"})
			c.call("PATCH", "/v1/organizations/"+org, object{})
		}
		c.refused(http.StatusTooManyRequests, "too_many_requests", "DELETE", base+"/"+users[0], nil)
		c.refused(http.StatusTooManyRequests, "too_many_requests", "DELETE", "/v1/organizations/"+org, nil)
		c.call("DELETE", base+"/"+users[1], nil)
	})
}

func TestInvitationsAreLimitedByTheHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClerk(t, emulator.Options{RateLimit: 1000})
		for i := range 100 {
			c.made("/v1/invitations", object{"email_address": fmt.Sprintf("%d@example.com", i)})
		}
		time.Sleep(10 * time.Minute) // of the bubble's clock
		a := c.do("POST", "/v1/invitations", object{"email_address": "x@example.com"})
		if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") != "3000" {
			t.Errorf("%d, Retry-After %q", a.status, a.header.Get("Retry-After"))
		}
		c.list("/v1/invitations")
		time.Sleep(50 * time.Minute)
		c.made("/v1/invitations", object{"email_address": "x@example.com"})
	})
}
