package emulator_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
)

// pixel is a picture.
const pixel = "GIF89a\x01\x00\x01\x00\x00\x00\x00;"

// signedInTab is a browser in which a user is signed in.
func (c *clerk) signedInTab(user, organization string) *tab {
	c.t.Helper()
	b, err := c.SignInBrowser(user, organization, page)
	if err != nil {
		c.t.Fatal(err)
	}
	return &tab{clerk: c, dev: b.DevBrowser, cookies: map[string]string{}, origin: page}
}

// upload sends a picture in a form, as components do.
func (f *front) upload(method, path string) object {
	f.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	file, err := form.CreateFormFile("file", "me.gif")
	if err != nil {
		f.t.Fatal(err)
	}
	_, _ = file.Write([]byte(pixel))
	_ = form.Close()
	at := "/v1" + path + "?__clerk_db_jwt=" + f.dev
	if method != http.MethodPost {
		at += "&_method=" + method
	}
	r := httptest.NewRequestWithContext(f.t.Context(), http.MethodPost, at, &body)
	r.RemoteAddr, r.Host = "127.0.0.1:1234", "localhost:4010"
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("Origin", f.origin)
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	answered := f.judged(method, path, answer{w.Code, w.Header(), w.Body.Bytes(), r.Pattern})
	return answered.(object)["response"].(object)
}

// first is the first object of a list.
func (f *front) first(path string) object {
	f.t.Helper()
	all, ok := f.response("GET", path)["data"].([]any)
	if !ok || len(all) == 0 {
		f.t.Fatalf("GET %s: there is none", path)
	}
	return all[0].(object)
}

// Each endpoint of the Frontend API answers as Clerk describes it. The table of routes decides what
// must be called.
func TestFrontendAnswersHaveClerksShape(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{Settings: emulator.Settings{PhoneNumber: "on", Username: "on", Password: "on"}})
	r := c.listen(nil)
	f := &front{&tab{clerk: c}, describe(t), map[string]bool{}}
	f.client()
	f.people()
	f.organizations()
	for _, route := range emulator.FrontendRoutes() {
		if !f.exercised[route] {
			t.Errorf("no test calls %s: its answer may have any shape", route)
		}
	}
	c.settle()
	s, types := loadShapes(t), shapesOf(t, "events")
	sent := map[string]int{}
	for _, d := range r.deliveries() {
		eventType, wrong := s.event(d.body, types)
		sent[eventType]++
		for _, w := range wrong {
			t.Errorf("event %s: %s", eventType, w)
		}
	}
	for _, eventType := range []string{
		"user.updated", "user.deleted", "session.revoked", "session.removed", "email.created", "sms.created", "organization.created", "organization.updated",
		"organization.deleted", "organizationMembership.created", "organizationMembership.updated", "organizationMembership.deleted",
		"organizationInvitation.created", "organizationInvitation.accepted", "organizationInvitation.revoked", "organizationDomain.created",
		"organizationDomain.updated", "organizationDomain.deleted",
	} {
		if sent[eventType] == 0 {
			t.Errorf("no %s was sent", eventType)
		}
	}
	if f.clerk == nil {
		t.Skip("../shared is absent: the answers were not compared with Clerk's description")
	}
	for key, reason := range exceptions() {
		if !f.clerk.used[key] {
			t.Errorf("the exception %q is not needed: %s", key, reason)
		}
	}
}

// as goes on as another browser.
func (f *front) as(user, organization string) {
	f.t.Helper()
	f.tab = f.signedInTab(user, organization)
}

// client calls every endpoint about the browser.
func (f *front) client() {
	f.t.Helper()
	f.do("POST", "/waitlist", "email_address", "waits@example.com")
	f.tab = &tab{clerk: f.tab.clerk, cookies: map[string]string{}, origin: page}
	f.dev = f.do("POST", "/dev_browser").(object)["id"].(string)
	f.do("GET", "/health")
	f.do("GET", "/environment")
	f.do("PATCH", "/environment")
	f.do("GET", "/client")
	f.do("PUT", "/client")
	f.do("POST", "/client")
	f.do("DELETE", "/client")
	f.signingUp()
	f.signingIn()
}

// signingUp calls every endpoint of sign-ups and sessions.
func (f *front) signingUp() {
	f.t.Helper()
	f.made("/v1/jwt_templates", object{"name": "backend"})
	f.tab = f.newTab()
	up := "/client/sign_ups/" + f.id("POST", "/client/sign_ups", "email_address", "new@example.com")
	f.do("PATCH", up, "password", "correct horse", "first_name", "New")
	f.do("POST", up+"/prepare_verification", "strategy", "email_code")
	f.do("GET", up)
	session := f.response("POST", up+"/attempt_verification", "strategy", "email_code", "code", f.lastCode("new@example.com"))["created_session_id"].(string)
	path := "/client/sessions/" + session
	f.do("GET", path)
	f.do("POST", path+"/touch", "active_organization_id", "")
	f.do("POST", path+"/tokens")
	f.do("POST", path+"/tokens/backend")
	f.do("POST", path+"/verify", "level", "first_factor")
	f.do("GET", path+"/verify")
	f.do("POST", path+"/verify/prepare_first_factor", "strategy", "email_code")
	f.do("POST", path+"/verify/attempt_first_factor", "strategy", "email_code", "code", f.lastCode("new@example.com"))
	f.do("GET", "/client/handshake?format=nonce&redirect_url="+page)
	f.do("POST", path+"/end")
}

// signingIn calls every endpoint of sign-ins, with two factors, links and tickets.
func (f *front) signingIn() {
	f.t.Helper()
	const address, number = "two@example.com", "+15005550007"
	user := f.made("/v1/users", object{"email_address": []string{address}, "password": "correct horse"})
	f.made("/v1/phone_numbers", object{"user_id": user, "phone_number": number, "verified": true, "reserved_for_second_factor": true})
	f.tab = f.newTab()
	in := "/client/sign_ins/" + f.id("POST", "/client/sign_ins", "identifier", address)
	f.do("POST", in+"/prepare_first_factor", "strategy", "reset_password_email_code")
	f.do("POST", in+"/attempt_first_factor", "strategy", "reset_password_email_code", "code", f.lastCode(address))
	f.do("POST", in+"/reset_password", "password", "battery staple")
	f.do("GET", in)
	f.do("POST", in+"/prepare_second_factor", "strategy", "phone_code")
	session := f.response("POST", in+"/attempt_second_factor", "strategy", "phone_code", "code", f.lastCode(number))["created_session_id"].(string)
	path := "/client/sessions/" + session
	f.do("POST", path+"/verify", "level", "second_factor")
	f.do("POST", path+"/verify/prepare_second_factor", "strategy", "phone_code")
	f.do("POST", path+"/verify/attempt_second_factor", "strategy", "phone_code", "code", f.lastCode(number))
	f.do("POST", path+"/remove")

	f.tab = f.newTab()
	in = "/client/sign_ins/" + f.id("POST", "/client/sign_ins", "identifier", address)
	f.do("POST", in+"/prepare_first_factor", "strategy", "email_link", "redirect_url", page)
	link, err := url.Parse(f.Inbox()[0].Link)
	if err != nil {
		f.t.Fatal(err)
	}
	f.do("GET", "/verify?"+link.RawQuery)
	ticket := f.call("POST", "/v1/sign_in_tokens", object{"user_id": user})["token"].(string)
	f.do("GET", "/tickets/accept?ticket="+ticket+"&redirect_url="+page)
	f.do("POST", "/client/sign_ins", "strategy", "ticket", "ticket", ticket)
	f.do("DELETE", "/client/sessions")
}

// people calls every endpoint about the person.
func (f *front) people() {
	f.t.Helper()
	ada := f.made("/v1/users", object{
		"email_address": []string{"ada@example.com"}, "password": "correct horse", "first_name": "Ada", "username": "ada_l", "external_id": "cust_1",
		"private_metadata": object{"x": "private-mark"}, "public_metadata": object{"plan": "team"},
	})
	f.as(ada, "")
	other := f.tab
	f.as(ada, "")
	f.do("GET", "/me")
	f.do("PATCH", "/me", "first_name", "Augusta", "last_name", "King")
	f.do("PATCH", "/me/metadata", "unsafe_metadata", `{"theme":"dark"}`)
	f.upload("POST", "/me/profile_image")
	f.do("DELETE", "/me/profile_image")
	f.do("GET", "/me/organization_creation_defaults")
	app := f.call("POST", "/v1/oauth_applications", object{"name": "An app", "redirect_uris": []string{callback}})["client_id"].(string)
	f.do("GET", "/me/oauth/consent/"+app+"?scope=email")
	f.do("POST", "/me/oauth/consent/"+app, "consented", "true", "response_type", "code", "redirect_uri", callback, "state", "state-of-the-client")
	f.do("GET", "/me/enterprise_connections?with_organization_account_linking=true")
	f.do("GET", "/me/sessions")
	for _, s := range f.do("GET", "/me/sessions/active").([]any) {
		if id := s.(object)["id"].(string); id != f.do("GET", "/client").(object)["response"].(object)["last_active_session_id"] {
			f.do("POST", "/me/sessions/"+id+"/revoke")
		}
	}
	other.refused(http.StatusUnauthorized, "authentication_invalid", "GET", "/v1/me", nil)
	f.do("POST", "/me/change_password", "current_password", "correct horse", "new_password", "battery staple", "sign_out_of_other_sessions", "true")
	f.do("POST", "/me/remove_password", "current_password", "battery staple")

	email := "/me/email_addresses/" + f.id("POST", "/me/email_addresses/", "email_address", "Ada@example.org")
	f.do("POST", email+"/prepare_verification", "strategy", "email_code")
	f.do("GET", email)
	f.do("POST", email+"/attempt_verification", "code", f.lastCode("ada@example.org"))
	f.do("GET", "/me/email_addresses")
	f.do("DELETE", email)
	phone := "/me/phone_numbers/" + f.id("POST", "/me/phone_numbers/", "phone_number", "+15005550006")
	f.do("POST", phone+"/prepare_verification", "strategy", "phone_code")
	f.do("POST", phone+"/attempt_verification", "code", f.lastCode("+15005550006"))
	f.do("PATCH", phone, "reserved_for_second_factor", "true", "default_second_factor", "true")
	f.do("GET", phone)
	f.do("GET", "/me/phone_numbers")
	f.do("POST", "/me/backup_codes/")
	secret := f.response("POST", "/me/totp")["secret"].(string)
	f.do("POST", "/me/totp/attempt_verification", "code", emulator.TOTPCode(secret, time.Now()))
	f.do("GET", "/me")
	f.do("DELETE", "/me/totp")
	f.do("DELETE", phone)
	f.do("DELETE", "/me")
}

// organizations calls every endpoint about organizations, as an admin and as those who join.
func (f *front) organizations() {
	f.t.Helper()
	grace, alan, edsger := f.user("grace@acme.example"), f.user("alan@acme.example"), f.user("edsger@example.com")
	f.as(grace, "")
	made := f.response("POST", "/organizations", "name", "Acme Inc", "slug", "")
	if made["slug"] != "acme-inc" || made["members_count"] != 1.0 {
		f.t.Errorf("the new organization is %v", made)
	}
	org := "/organizations/" + made["id"].(string)
	f.as(grace, made["id"].(string))
	f.do("GET", org)
	f.do("PATCH", org, "name", "Acme", "slug", "acme")
	f.upload("PUT", org+"/logo")
	f.do("DELETE", org+"/logo")
	f.do("GET", org+"/roles?limit=20&offset=0")
	f.do("GET", org+"/enterprise_connections")
	f.do("POST", org+"/memberships", "user_id", edsger, "role", "org:member")
	f.do("GET", org+"/memberships?limit=10&offset=0&paginated=true&query=edsger&role=org:member")
	f.do("GET", org+"/memberships")
	f.do("PATCH", org+"/memberships/"+edsger, "role", "org:admin")
	f.do("DELETE", org+"/memberships/"+edsger)

	f.do("POST", org+"/invitations", "email_address", "edsger@example.com", "role", "org:member")
	sent := f.do("POST", org+"/invitations/bulk", "email_address", "b@example.com", "email_address", "c@example.com", "role", "org:member")
	if all := sent.(object)["response"].([]any); len(all) != 2 {
		f.t.Errorf("invited are %v", all)
	}
	f.do("GET", org+"/invitations/pending")
	for _, i := range f.response("GET", org+"/invitations?limit=10&offset=0&status=pending")["data"].([]any) {
		if i := i.(object); i["email_address"] == "b@example.com" {
			f.do("POST", org+"/invitations/"+i["id"].(string)+"/revoke")
		}
	}
	f.as(edsger, "")
	invitation := f.first("/me/organization_invitations?limit=10&offset=0&status=pending")
	f.do("POST", "/me/organization_invitations/"+invitation["id"].(string)+"/accept")
	f.do("GET", "/me/organization_memberships?paginated=true&limit=10&offset=0")
	f.do("GET", "/me/organization_memberships")
	f.do("DELETE", "/me/organization_memberships/"+made["id"].(string))
	f.domains(org, grace, alan)
	f.do("DELETE", org)
}

// domains calls what lets people join by their addresses. At the end grace is signed in.
func (f *front) domains(org, grace, alan string) {
	f.t.Helper()
	f.as(grace, "")
	domain := org + "/domains/" + f.id("POST", org+"/domains", "name", "Acme.example")
	f.do("GET", domain)
	f.do("POST", domain+"/prepare_affiliation_verification", "affiliation_email_address", "grace@acme.example")
	f.do("GET", org+"/domains?limit=10&offset=0")
	f.do("POST", domain+"/attempt_affiliation_verification", "code", f.lastCode("grace@acme.example"))
	f.do("POST", domain+"/update_enrollment_mode", "enrollment_mode", "automatic_suggestion", "delete_pending", "false")
	f.do("GET", org+"/domains?verified=true&enrollment_mode=automatic_suggestion")
	request := func(user string) string {
		f.as(user, "")
		suggestion := f.first("/me/organization_suggestions?status=pending&status=accepted")
		f.do("POST", "/me/organization_suggestions/"+suggestion["id"].(string)+"/accept")
		f.as(grace, "")
		return org + "/membership_requests/" + f.first(org + "/membership_requests?status=pending")["id"].(string)
	}
	f.do("POST", request(alan)+"/accept")
	if members := f.response("GET", org+"/memberships?paginated=true")["data"].([]any); len(members) != 2 {
		f.t.Errorf("the members are %v", members)
	}
	f.do("POST", request(f.user("hedy@acme.example"))+"/reject")
	f.do("POST", domain+"/update_enrollment_mode", "enrollment_mode", "automatic_invitation")
	f.as(f.user("joan@acme.example"), "")
	f.first("/me/organization_invitations?status=pending")
	f.as(grace, "")
	f.do("POST", domain+"/update_enrollment_mode", "enrollment_mode", "manual_invitation", "delete_pending", "true")
	if all := f.response("GET", org+"/invitations?status=pending")["data"].([]any); len(all) != 1 { // c@example.com
		f.t.Errorf("pending are %v", all)
	}
	f.do("DELETE", domain)
}
