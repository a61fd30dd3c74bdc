package emulator_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
)

// inspector checks the shape of each answer and event that passes through it.
type inspector struct {
	*clerk
	shapes    shapes
	routes    map[string]string
	exercised map[string]bool
	described *description // by Clerk; nil: not here
}

// ok makes a request that must succeed, checks what it gets, and returns the id if there is one.
func (i *inspector) ok(method, path string, body any) string {
	i.t.Helper()
	return i.judged(method, path, i.do(method, "/v1"+path, body))
}

func (i *inspector) judged(method, path string, a answer) string {
	i.t.Helper()
	route := strings.Replace(a.pattern, " /v1", " ", 1)
	shape, known := i.routes[route]
	if known && shape == "" { // no content
		i.exercised[route] = true
		if a.status != http.StatusNoContent || len(a.body) > 0 {
			i.t.Errorf("%s: %d %q, want 204 without a body", route, a.status, a.body)
		}
		return ""
	}
	switch {
	case a.status != http.StatusOK && a.status != http.StatusCreated:
		i.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	case shape == "":
		i.t.Errorf("testdata/shapes/routes.json has no %s", route)
	case a.header.Get("Content-Type") != "application/json" || len(a.header["Content-Type"]) != 1:
		i.t.Errorf("%s: Content-Type %q: Clerk's JavaScript SDK takes application/json only", route, a.header["Content-Type"])
	}
	if strings.Contains(shape, "|") { // a list of two shapes
		bare, page, _ := strings.Cut(shape, "|")
		if shape = bare; strings.Contains(path, "paginated=true") {
			shape = page
		}
	}
	i.exercised[route] = true
	if i.described != nil {
		for _, w := range i.described.problems(route, a) {
			i.t.Errorf("%s: Clerk's description: %s", route, w)
		}
	}
	for _, w := range i.shapes.problems(a.body, shape) {
		i.t.Errorf("%s: %s", route, w)
	}
	var o struct{ ID string }
	if a.body[0] == '{' {
		decode(i.t, a.body, &o)
	}
	return o.ID
}

func (i *inspector) post(path string, body any) string {
	i.t.Helper()
	return i.ok("POST", path, body)
}

// backendExceptions are where Clerk's description of the Backend API contradicts its SDKs, or what
// it sends; see exceptions.
func backendExceptions() map[string]string {
	const pages, amount = "with paginated=true, SDKs get a page", "SDKs read the amount of an item"
	return map[string]string{
		"GET /sessions: ": pages, "GET /clients: ": pages, "GET /invitations: ": pages, "GET /jwt_templates: ": pages,
		"GET /allowlist_identifiers: ": pages, "GET /redirect_urls: ": pages,
		"GET /users/{}/billing/subscription: subscription_items.*":         amount,
		"GET /organizations/{}/billing/subscription: subscription_items.*": amount,
		"GET /billing/subscription_items: data.*":                          amount,
		"DELETE /billing/subscription_items/{}: ":                          amount,
	}
}

func TestAnswersAndEventsHaveClerksShape(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{Users: 2})
	r := c.listen(nil)
	i := &inspector{c, loadShapes(t), shapesOf(t, "routes"), map[string]bool{}, readDescription(t, "bapi-2026-05-12.yml", backendExceptions())}
	if i.described == nil {
		t.Log("../shared is absent: answers are not compared with Clerk's description")
	}
	i.people()
	i.groups()
	i.roles()
	i.rest()
	i.policies()
	i.billing()
	i.machines()
	for _, route := range emulator.Routes() {
		if route = strings.Replace(route, " /v1", " ", 1); !i.exercised[route] {
			t.Errorf("no test calls %s: its answer may have any shape", route)
		}
	}
	for key, reason := range backendExceptions() {
		if i.described != nil && !i.described.used[key] {
			t.Errorf("the exception %q (%s) is not needed", key, reason)
		}
	}
	c.settle()
	types := shapesOf(t, "events")
	maps.Copy(types, shapesOf(t, "billing_events"))
	sent := map[string]bool{}
	for _, d := range r.deliveries() {
		eventType, wrong := i.shapes.event(d.body, types)
		sent[eventType] = true
		for _, w := range wrong {
			t.Errorf("event %s: %s", eventType, w)
		}
	}
	for eventType := range types {
		if !sent[eventType] {
			t.Errorf("%s was not sent", eventType)
		}
	}
}

// people calls every endpoint of users and sessions, of people with much and with little.
func (i *inspector) people() {
	i.t.Helper()
	ada := i.post("/users", object{
		"email_address": []string{"ada@example.com", "ada@example.org"}, "phone_number": []string{"+15555550100"}, "web3_wallet": []string{"0x0000000000000000000000000000000000000001"},
		"username": "ada_l", "password": "correct horse", "first_name": "Ada", "last_name": "Lovelace", "external_id": "cust_1", "locale": "en-GB",
		"public_metadata": object{"plan": "team"}, "private_metadata": object{"n": 12.5}, "unsafe_metadata": object{"theme": "dark"},
		"totp_secret": totpSecret, "backup_codes": []string{"12345678"}, "create_organizations_limit": 3, "created_at": "2026-01-02T03:04:05Z",
		"legal_accepted_at": "2026-01-02T03:04:05Z",
	})
	bob := i.post("/users", object{"username": "bobby"})
	i.ok("GET", "/users", nil)
	i.ok("GET", "/users?query=nobody", nil)
	i.ok("GET", "/users/count", nil)
	i.ok("GET", "/users/"+ada, nil)
	i.ok("PATCH", "/users/"+ada, object{"first_name": ""})
	i.ok("PATCH", "/users/"+ada+"/metadata", object{"private_metadata": nil})
	i.ok("PUT", "/users/"+ada+"/metadata", object{"public_metadata": object{}})
	i.call("POST", "/_emulator/users/"+ada+"/profile", object{"email_address": "new@example.com", "phone_number": "+15555550101"})
	i.contacts(bob)
	i.secrets(ada, i.call("GET", "/v1/users/"+ada, nil)["web3_wallets"].([]any)[0].(object)["id"])
	i.picture("POST", "/users/"+ada+"/profile_image")
	i.ok("DELETE", "/users/"+ada+"/profile_image", nil)
	for _, order := range []object{{}, {"actor": object{"sub": bob}}, {"pending": true}} {
		s := i.signIn(ada, order)
		i.ok("GET", "/sessions/"+s, nil)
		i.post("/sessions/"+s+"/tokens", object{"expires_in_seconds": 600})
	}
	s := i.post("/sessions", object{"user_id": ada})
	i.post("/jwt_templates", object{"name": "backend"})
	i.post("/sessions/"+s+"/tokens/backend", nil)
	i.ok("GET", "/sessions?user_id="+ada, nil)
	i.ok("GET", "/sessions?paginated=true&user_id="+ada, nil)
	i.post("/sessions/"+s+"/revoke", nil)
	sign := func(body object) {
		if a := i.do("POST", "/_emulator/users/"+ada+"/sign_out", body); a.status != http.StatusOK {
			i.t.Errorf("sign out: %d %s", a.status, a.body)
		}
	}
	sign(object{})
	i.signIn(ada, object{})
	sign(object{"remove": true})
	i.browsers(ada)
	for _, action := range []string{"ban", "unban", "lock", "unlock"} {
		i.post("/users/"+ada+"/"+action, nil)
	}
	i.post("/users/ban", object{"user_ids": []string{ada, bob}})
	i.post("/users/unban", object{"user_ids": []string{ada, bob}})
	i.call("POST", "/_emulator/subscriptions", object{"payer": ada, "plan": "pro", "features": []string{"reports"}})
	i.ok("GET", "/users/"+ada+"/billing/subscription", nil)
	i.call("POST", "/_emulator/subscriptions", object{"payer": ada, "plan": "max"})
	i.ok("DELETE", "/users/"+ada, nil)
}

// contacts calls every endpoint of addresses and phone numbers.
func (i *inspector) contacts(user string) {
	i.t.Helper()
	for base, values := range map[string][2]string{
		"email_address": {"bobby@example.com", "bobby@example.org"}, "phone_number": {"+15555550107", "+15555550108"},
	} {
		path := map[string]string{"email_address": "/email_addresses", "phone_number": "/phone_numbers"}[base]
		first := i.post(path, object{"user_id": user, base: values[0], "verified": true, "primary": true})
		i.post(path, object{"user_id": user, base: values[1]})
		i.ok("GET", path+"/"+first, nil)
		i.ok("PATCH", path+"/"+first, object{"verified": false})
		prepared := i.post(path+"/"+first+"/prepare_verification", nil)
		i.post(path+"/"+first+"/attempt_verification", object{"verification_id": prepared, "code": "x"})
		i.ok("DELETE", path+"/"+first, nil)
		i.ok("PUT", "/users/"+user+"/"+base, object{base: values[0], "identification_status": "reserved"})
	}
}

// totpSecret is what an authenticator app got from a user with a second factor.
const totpSecret = "JBSWY3DPEHPK3PXP"

// secrets calls every endpoint of what a user with all of them proves the own identity with.
func (i *inspector) secrets(user string, wallet any) {
	i.t.Helper()
	i.post("/users/"+user+"/verify_password", object{"password": "correct horse"})
	i.post("/users/"+user+"/verify_totp", object{"code": emulator.TOTPCode(totpSecret, time.Now())})
	i.post("/users/"+user+"/verify_totp", object{"code": "12345678"})
	i.post("/users/"+user+"/remove_password", object{"sign_out_of_other_sessions": true})
	for _, what := range []string{"backup_code", "totp", "mfa"} {
		i.ok("DELETE", "/users/"+user+"/"+what, nil)
	}
	i.ok("DELETE", "/users/"+user+"/web3_wallets/"+wallet.(string), nil)
}

// picture uploads a picture.
func (i *inspector) picture(method, path string) {
	i.t.Helper()
	const kind, body = "multipart/form-data; boundary=x",
		"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.gif\"\r\n\r\nGIF89a\x01\x00\x01\x00\x00\x00\x00;\r\n--x--\r\n"
	i.judged(method, path, i.do(method, "/v1"+path, body, "Content-Type", kind))
}

// browsers calls every endpoint about people's browsers.
func (i *inspector) browsers(user string) {
	i.t.Helper()
	b, err := i.SignInBrowser(user, "", "")
	if err != nil {
		i.t.Fatal(err)
	}
	i.ok("GET", "/clients", nil)
	i.ok("GET", "/clients?paginated=true", nil)
	i.ok("GET", "/clients/"+b.ClientID, nil)
	i.ok("POST", "/clients/verify", object{"token": b.Cookies[0].Value})
	p := &tab{clerk: i.clerk, dev: b.DevBrowser, cookies: map[string]string{}}
	to := p.send("GET", "/v1/client/handshake?format=nonce&redirect_url="+page, nil).header.Get("Location")
	_, nonce, _ := strings.Cut(to, "__clerk_handshake_nonce=")
	i.ok("GET", "/clients/handshake_payload?nonce="+nonce, nil)
	i.ok("POST", "/users", object{"email_address": []string{"coded@example.com"}, "phone_number": []string{"+15555550177"}})
	p.ok("DELETE", "/v1/client/sessions", nil)
	for strategy, to := range map[string]string{"email_code": "coded@example.com", "phone_code": "+15555550177"} {
		p.ok("POST", "/v1/client/sign_ins", form("strategy", strategy, "identifier", to))
	}
	i.post("/sign_in_tokens/"+i.post("/sign_in_tokens", object{"user_id": user, "expires_in_seconds": 60})+"/revoke", nil)
}

// groups calls every endpoint of organizations and what is in them.
func (i *inspector) groups() {
	i.t.Helper()
	grace := i.post("/users", object{"email_address": []string{"grace@example.com"}})
	alan := i.post("/users", object{"email_address": []string{"alan@example.com"}})
	org := i.post("/organizations", object{"name": "Acme Inc", "created_by": grace, "public_metadata": object{"a": 1}})
	i.post("/organizations", object{"name": "Nobody's"})
	i.ok("GET", "/organizations", nil)
	i.ok("GET", "/organizations?include_members_count=true", nil)
	i.ok("GET", "/organizations/acme-inc", nil)
	i.ok("PATCH", "/organizations/"+org, object{"name": "Acme"})
	i.ok("PATCH", "/organizations/"+org+"/metadata", object{"public_metadata": object{"b": 2}})
	i.ok("PUT", "/organizations/"+org+"/metadata", object{"private_metadata": object{"c": 3}})
	i.call("POST", "/_emulator/subscriptions", object{"payer": org, "plan": "team"})
	i.ok("GET", "/organizations/"+org+"/billing/subscription", nil)
	i.picture("PUT", "/organizations/"+org+"/logo")
	i.ok("DELETE", "/organizations/"+org+"/logo", nil)

	base := "/organizations/" + org + "/memberships"
	i.post(base, object{"user_id": alan, "role": "org:member"})
	i.ok("PATCH", base+"/"+alan, object{"role": "org:admin"})
	i.ok("PATCH", base+"/"+alan+"/metadata", object{"public_metadata": object{"desk": 4}})
	for _, path := range []string{base, "/organization_memberships", "/users/" + alan + "/organization_memberships"} {
		i.ok("GET", path, nil)
	}
	i.ok("DELETE", base+"/"+alan, nil)

	base = "/organizations/" + org + "/invitations"
	first := i.post(base, object{"email_address": "alan@example.com", "role": "org:member", "inviter_user_id": grace, "expires_in_days": 3})
	second := i.post(base, object{"email_address": "edsger@example.com", "role": "org:member", "private_metadata": object{"x": 1}})
	i.post(base+"/bulk", []object{{"email_address": "a@example.com", "role": "org:member"}, {"email_address": "b@example.com", "role": "org:admin"}})
	i.ok("GET", base+"/"+first, nil)
	i.ok("GET", base+"/pending", nil)
	i.post(base+"/"+second+"/revoke", object{"requesting_user_id": grace})
	for _, path := range []string{base, "/organization_invitations", "/users/" + alan + "/organization_invitations"} {
		i.ok("GET", path, nil)
	}
	i.call("POST", "/_emulator/users/"+alan+"/accept", object{"invitation_id": first})

	base = "/organizations/" + org + "/domains"
	domain := i.post(base, object{"name": "acme.example", "verified": true})
	i.ok("PATCH", base+"/"+domain, object{"enrollment_mode": "automatic_invitation", "verified": false})
	i.ok("GET", base, nil)
	i.ok("GET", "/organization_domains", nil)
	i.ok("DELETE", base+"/"+domain, nil)
	i.ok("DELETE", "/organizations/"+org, nil)
}

// roles calls every endpoint of roles and permissions.
func (i *inspector) roles() {
	i.t.Helper()
	permission := i.post("/organization_permissions", object{"name": "Read invoices", "key": "invoices:read", "description": "d"})
	role := i.post("/organization_roles", object{"name": "Billing", "key": "billing"})
	i.post("/organization_roles/"+role+"/permissions/"+permission, nil)
	i.ok("GET", "/organization_roles/"+role, nil)
	i.ok("PATCH", "/organization_roles/"+role, object{"description": "d"})
	i.ok("GET", "/organization_roles", nil)
	i.ok("GET", "/organization_permissions", nil)
	i.ok("GET", "/organization_permissions/"+permission, nil)
	i.ok("PATCH", "/organization_permissions/"+permission, object{"name": "See invoices"})
	i.ok("DELETE", "/organization_roles/"+role+"/permissions/"+permission, nil)
	i.ok("DELETE", "/organization_permissions/"+permission, nil)
	i.ok("DELETE", "/organization_roles/"+role, nil)
}

// rest calls the endpoints of everything but users and organizations.
func (i *inspector) rest() {
	i.t.Helper()
	i.ok("GET", "/jwks", nil)
	invitation := i.post("/invitations", object{"email_address": "new@example.com", "expires_in_days": 1})
	i.ok("POST", "/invitations/bulk", []object{{"email_address": "one@example.com"}, {"email_address": "two@example.com"}})
	i.ok("GET", "/invitations", nil)
	i.post("/invitations/"+invitation+"/revoke", nil)
	i.ok("GET", "/invitations?paginated=true", nil)
	template := i.post("/jwt_templates", object{
		"name": "hasura", "claims": object{"role": "{{user.public_metadata.role}}"}, "lifetime": 300, "allowed_clock_skew": 0,
		"custom_signing_key": true, "signing_algorithm": "HS256", "signing_key": strings.Repeat("k", 32),
	})
	i.ok("GET", "/jwt_templates", nil)
	i.ok("GET", "/jwt_templates?paginated=true", nil)
	i.ok("GET", "/jwt_templates/"+template, nil)
	i.ok("PATCH", "/jwt_templates/"+template, object{"lifetime": 30})
	i.ok("DELETE", "/jwt_templates/"+template, nil)
	i.post("/testing_tokens", nil)
	user := i.post("/users", object{"username": "support"})
	actor := i.post("/actor_tokens", object{"user_id": user, "actor": object{"sub": "user_admin"}, "expires_in_seconds": 600})
	i.post("/actor_tokens/"+actor+"/revoke", nil)
}

// billing calls the endpoints of plans and what is paid, and lets payments succeed and fail.
func (i *inspector) billing() {
	i.t.Helper()
	user := i.post("/users", object{"email_address": []string{"payer@example.com"}, "first_name": "Pia"})
	order := func(body object) { body["payer"] = user; i.call("POST", "/_emulator/subscriptions", body) }
	pay := func(status string) {
		i.call("POST", "/_emulator/subscriptions/"+user+"/payments", object{"status": status})
	}
	order(object{"plan": "basic", "free_trial_days": 2})
	order(object{"plan": "later", "status": "upcoming"})
	order(object{"plan": "team", "status": "incomplete", "amount": 2900, "interval": "annual"})
	for _, status := range []string{"pending", "failed", "paid", "paid", "failed", "paid"} {
		pay(status)
	}
	i.ok("GET", "/billing/plans", nil)
	item := i.list("/v1/billing/subscription_items?query=pia")[0]["id"].(string)
	i.ok("GET", "/billing/subscription_items", nil)
	i.ok("DELETE", "/billing/subscription_items/"+item, nil)
	i.ok("DELETE", "/billing/subscription_items/"+item+"?end_now=true", nil)
}

// policies calls the endpoints of the waitlist, of the lists that decide about sign-ups, and of the
// settings of the instance.
func (i *inspector) policies() {
	i.t.Helper()
	first := i.post("/waitlist_entries", object{"email_address": "waits@example.com"})
	i.post("/waitlist_entries/"+first+"/invite", object{})
	i.post("/waitlist_entries/bulk", []object{{"email_address": "w1@example.com"}, {"email_address": "w2@example.com", "notify": false}})
	second := i.post("/waitlist_entries", object{"email_address": "w3@example.com"})
	i.post("/waitlist_entries/"+second+"/reject", nil)
	i.ok("DELETE", "/waitlist_entries/"+i.post("/waitlist_entries", object{"email_address": "w1@example.com"}), nil)
	i.ok("GET", "/waitlist_entries", nil)
	for _, kind := range []string{"allow", "block"} {
		base := "/" + kind + "list_identifiers"
		made := i.post(base, object{"identifier": "*@example.org"})
		i.ok("GET", base, nil)
		i.ok("DELETE", base+"/"+made, nil)
	}
	i.post("/allowlist_identifiers", object{"identifier": "allowed@example.com", "notify": true})
	i.ok("GET", "/allowlist_identifiers?paginated=true", nil)
	i.ok("GET", "/instance", nil)
	i.ok("PATCH", "/instance", object{"support_email": "help@example.com", "allowed_origins": []string{"app://localhost"}, "hibp": false})
	i.ok("PATCH", "/instance/restrictions", object{"allowlist": true})
	i.ok("GET", "/instance/organization_settings", nil)
	i.ok("PATCH", "/instance/organization_settings", object{"max_allowed_memberships": 3, "domains_enrollment_modes": []string{}})
	made := i.post("/redirect_urls", object{"url": "app://done"})
	i.ok("GET", "/redirect_urls", nil)
	i.ok("GET", "/redirect_urls?paginated=true", nil)
	i.ok("GET", "/redirect_urls/"+made, nil)
	i.ok("DELETE", "/redirect_urls/"+made, nil)
}

func TestEmptyListsAreArrays(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	user := c.user("ada@example.com")
	for path, want := range map[string]string{
		"/users?query=nobody":                           `[]`,
		"/sessions?user_id=" + user:                     `[]`,
		"/sessions?paginated=true&user_id=" + user:      `{"data":[],"total_count":0}`,
		"/invitations":                                  `[]`,
		"/invitations?paginated=true":                   `{"data":[],"total_count":0}`,
		"/jwt_templates":                                `[]`,
		"/jwt_templates?paginated=true":                 `{"data":[],"total_count":0}`,
		"/organizations":                                `{"data":[],"total_count":0}`,
		"/organization_memberships":                     `{"data":[],"total_count":0}`,
		"/organization_invitations":                     `{"data":[],"total_count":0}`,
		"/organization_domains":                         `{"data":[],"total_count":0}`,
		"/waitlist_entries":                             `{"data":[],"total_count":0}`,
		"/allowlist_identifiers":                        `[]`,
		"/blocklist_identifiers":                        `{"data":[],"total_count":0}`,
		"/redirect_urls":                                `[]`,
		"/users/" + user + "/organization_memberships":  `{"data":[],"total_count":0}`,
		"/users/" + user + "/organization_invitations":  `{"data":[],"total_count":0}`,
		"/organization_roles?query=nothing":             `{"data":[],"total_count":0}`,
		"/organization_permissions?query=nothing":       `{"data":[],"total_count":0}`,
		"/users/count?email_address=nobody@example.com": `{"object":"total_count","total_count":0}`,
	} {
		if got := c.do("GET", "/v1"+path, nil); string(got.body) != want {
			t.Errorf("GET %s: %s, want %s", path, got.body, want)
		}
	}
}
