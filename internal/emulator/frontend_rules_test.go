package emulator_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
)

// front makes a browser whose refusals are compared with Clerk's description too.
func newFront(t *testing.T, o emulator.Options) *front {
	t.Helper()
	return &front{&tab{clerk: newClerk(t, o)}, describe(t), map[string]bool{}}
}

// step is a request that is refused with a code, or succeeds if that is empty.
type step struct {
	status       int
	code         string
	method, path string
	form         []string
}

func (f *front) steps(all []step) {
	f.t.Helper()
	for _, s := range all {
		if s.code == "" {
			f.do(s.method, s.path, s.form...)
		} else {
			f.refusal(s.status, s.code, s.method, s.path, s.form...)
		}
	}
}

func TestPasswordsOfPeople(t *testing.T) {
	t.Parallel()
	f := newFront(t, emulator.Options{})
	ada := f.made("/v1/users", object{"email_address": []string{"ada@example.com"}, "password": "correct horse"})
	f.as(ada, "")
	elsewhere := f.signIn(ada, nil)
	const change, remove = "/me/change_password", "/me/remove_password"
	f.steps([]step{
		{422, "form_param_missing", "POST", change, nil},
		{422, "form_password_incorrect", "POST", change, []string{"current_password", "wrong", "new_password", "battery staple"}},
		{422, "form_password_length_too_short", "POST", change, []string{"current_password", "correct horse", "new_password", "short"}},
		{422, "form_new_password_matches_current", "POST", change, []string{"current_password", "correct horse", "new_password", "correct horse"}},
		{403, "updating_user_password_deprecated", "PATCH", "/me", []string{"password", "battery staple"}},
		{400, "password_required", "POST", remove, []string{"current_password", "correct horse"}},
	})
	f.Advance(11 * time.Minute)
	f.steps([]step{
		{403, "session_reverification_required", "POST", change, []string{"new_password", "battery staple"}},
		{0, "", "POST", change, []string{"current_password", "correct horse", "new_password", "battery staple"}},
	})
	if status := f.call("GET", "/v1/sessions/"+elsewhere, nil)["status"]; status != "active" {
		t.Errorf("the other session is %v", status)
	}
	f.do("POST", change, "current_password", "battery staple", "new_password", "third password", "sign_out_of_other_sessions", "true")
	if status := f.call("GET", "/v1/sessions/"+elsewhere, nil)["status"]; status != "revoked" {
		t.Errorf("the other session is %v", status)
	}
	f.newTab().ok("POST", "/v1/client/sign_ins", form("identifier", "ada@example.com", "password", "third password"))
	f.as(f.user("coded@example.com"), "")
	f.refusal(400, "no_password_set", "POST", remove)
}

// What protects an account changes only within ten minutes of a verification, or after a new one.
func TestSensitiveChangesNeedAVerification(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	e := c.estate("acme")
	p := c.signedInTab(e.owner, "")
	session := p.ok("GET", "/v1/client", nil).Response["last_active_session_id"].(string)
	c.Advance(10 * time.Minute)
	var refused []string
	for _, route := range emulator.FrontendRoutes() {
		method, path := e.path(route, "idn_x")
		if a := p.send(method, path, form("username", "owner")); strings.Contains(string(a.body), `"session_reverification_required"`) {
			if a.status != http.StatusForbidden {
				t.Errorf("%s: %d", route, a.status)
			}
			refused = append(refused, route)
		}
		if p.send("GET", "/v1/me", nil).status != http.StatusOK { // some routes end the session
			p = c.signedInTab(e.owner, "")
			session = p.ok("GET", "/v1/client", nil).Response["last_active_session_id"].(string)
			c.Advance(10 * time.Minute)
		}
	}
	want := []string{
		"PATCH /me", "DELETE /me", "POST /me/sessions/{session_id}/revoke", "POST /me/email_addresses", "DELETE /me/email_addresses/{id}",
		"POST /me/phone_numbers", "PATCH /me/phone_numbers/{id}", "DELETE /me/phone_numbers/{id}", "POST /me/totp", "DELETE /me/totp",
		"POST /me/totp/attempt_verification", "POST /me/backup_codes",
	}
	if !slices.Equal(refused, want) {
		t.Errorf("refused are\n%v, want\n%v", refused, want)
	}
	p.ok("PATCH", "/v1/me", form("first_name", "Ada"))
	path := "/v1/client/sessions/" + session + "/verify"
	p.ok("POST", path, form("level", "first_factor"))
	p.ok("POST", path+"/prepare_first_factor", form("strategy", "email_code"))
	p.ok("POST", path+"/attempt_first_factor", form("strategy", "email_code", "code", c.lastCode("owner@acme.example")))
	p.ok("POST", "/v1/me/email_addresses", form("email_address", "second@acme.example"))
}

func TestAddressesOfPeople(t *testing.T) {
	t.Parallel()
	f := newFront(t, emulator.Options{})
	f.user("taken@example.com")
	f.as(f.user("ada@example.com"), "")
	first := f.response("GET", "/me")["primary_email_address_id"].(string)
	const emails = "/me/email_addresses"
	id := f.id("POST", emails, "email_address", "second@example.com")
	own := emails + "/" + id
	f.steps([]step{
		{422, "form_param_missing", "POST", emails, nil},
		{422, "form_param_format_invalid", "POST", emails, []string{"email_address", "nowhere"}},
		{422, "form_identifier_exists", "POST", emails, []string{"email_address", "SECOND@example.com"}},
		{422, "form_identifier_exists", "POST", emails, []string{"email_address", "taken@example.com"}},
		{404, "resource_not_found", "GET", emails + "/idn_x", nil},
		{422, "form_verification_needed", "PATCH", "/me", []string{"primary_email_address_id", id}},
		{400, "verification_missing", "POST", own + "/attempt_verification", []string{"code", "000000"}},
		{422, "form_param_missing", "POST", own + "/prepare_verification", nil},
		{400, "form_param_value_disabled", "POST", own + "/prepare_verification", []string{"strategy", "enterprise_sso"}},
		{0, "", "POST", own + "/prepare_verification", []string{"strategy", "email_code"}},
		{0, "", "POST", own + "/prepare_verification", []string{"strategy", "email_code"}},
		{422, "form_code_incorrect", "POST", own + "/attempt_verification", []string{"code", "x"}},
		{400, "last_required_identification_deletion_failed", "DELETE", emails + "/" + first, nil},
	})
	if sent := len(f.Inbox()); sent != 1 {
		t.Errorf("%d e-mails were sent for two requests at once", sent)
	}
	f.do("POST", own+"/attempt_verification", "code", f.lastCode("second@example.com"))
	f.steps([]step{
		{400, "verification_already_verified", "POST", own + "/prepare_verification", []string{"strategy", "email_code"}},
		{400, "verification_already_verified", "POST", own + "/attempt_verification", []string{"code", "x"}},
		{422, "form_param_value_invalid", "PATCH", "/me", []string{"primary_email_address_id", ""}},
		{0, "", "PATCH", "/me", []string{"primary_email_address_id", id}},
		{0, "", "PATCH", "/me", []string{"primary_email_address_id", first}},
		{0, "", "DELETE", emails + "/" + first, nil},
	})
	if now := f.response("GET", "/me")["primary_email_address_id"]; now != id {
		t.Errorf("the primary address is %v, want the one that is left, %s", now, id)
	}
	for i := range 10 {
		f.do("POST", emails, "email_address", fmt.Sprintf("a%d@example.com", i))
	}
	f.refusal(400, "too_many_unverified_identifications", "POST", emails, "email_address", "one.more@example.com")
}

// A second factor comes and goes with its numbers and apps, and so do backup codes.
func TestSecondFactorsOfPeople(t *testing.T) {
	t.Parallel()
	f := newFront(t, emulator.Options{Settings: emulator.Settings{PhoneNumber: "on"}})
	ada := f.user("ada@example.com")
	f.as(ada, "")
	const phones, number = "/me/phone_numbers", "+15005550006"
	f.steps([]step{
		{422, "form_param_format_invalid", "POST", phones, []string{"phone_number", "555"}},
		{400, "backup_codes_not_available", "POST", "/me/backup_codes", nil},
		{400, "verification_missing", "POST", "/me/totp/attempt_verification", []string{"code", "000000"}},
		{404, "resource_not_found", "DELETE", "/me/totp", nil},
	})
	own := phones + "/" + f.id("POST", phones, "phone_number", number, "reserved_for_second_factor", "true")
	factors := func() string {
		who := f.call("GET", "/v1/users/"+ada, nil)
		return fmt.Sprint(who["two_factor_enabled"], who["totp_enabled"], who["backup_code_enabled"])
	}
	if got := factors(); got != "false false false" {
		t.Errorf("with an unverified number: %s", got)
	}
	f.refusal(400, "identification_update_second_factor_unverified", "PATCH", own, "default_second_factor", "true")
	f.do("POST", own+"/prepare_verification", "strategy", "phone_code")
	f.do("POST", own+"/attempt_verification", "code", f.lastCode(number))
	if got := factors(); got != "true false false" {
		t.Errorf("with a verified number: %s", got)
	}
	shown := f.response("PATCH", own, "reserved_for_second_factor", "true")
	if codes, _ := shown["backup_codes"].([]any); len(codes) != 10 || factors() != "true false true" {
		t.Errorf("the number has %v; %s", shown, factors())
	}
	if again := f.response("GET", own)["backup_codes"]; again != nil {
		t.Errorf("backup codes are shown again: %v", again)
	}
	f.refusal(422, "form_disable_default_second_factor_not_allowed", "PATCH", own, "default_second_factor", "false")
	app := f.response("POST", "/me/totp")
	secret := app["secret"].(string)
	if !strings.HasPrefix(app["uri"].(string), "otpauth://totp/") || !strings.Contains(app["uri"].(string), secret) {
		t.Errorf("the app gets %v", app)
	}
	f.refusal(422, "form_code_incorrect", "POST", "/me/totp/attempt_verification", "code", "12")
	f.do("POST", "/me/totp/attempt_verification", "code", emulator.TOTPCode(secret, time.Now()))
	f.refusal(400, "totp_already_enabled", "POST", "/me/totp")
	f.do("DELETE", own)
	if got := factors(); got != "true true true" {
		t.Errorf("with an app alone: %s", got)
	}
	f.do("DELETE", "/me/totp")
	if got := factors(); got != "false false false" {
		t.Errorf("without a factor: %s", got)
	}
}

func TestProfilesOfPeople(t *testing.T) {
	t.Parallel()
	f := newFront(t, emulator.Options{Settings: emulator.Settings{Username: "on"}})
	f.made("/v1/users", object{"username": "grace_h"})
	ada := f.made("/v1/users", object{"email_address": []string{"ada@example.com"}, "unsafe_metadata": object{"a": object{"b": 1, "c": 2}}})
	f.as(ada, "")
	f.steps([]step{
		{422, "form_username_invalid_length", "PATCH", "/me", []string{"username", "a"}},
		{422, "form_identifier_exists", "PATCH", "/me", []string{"username", "grace_h"}},
		{422, "form_param_max_length_exceeded", "PATCH", "/me", []string{"first_name", strings.Repeat("a", 300)}},
		{422, "form_param_unknown", "PATCH", "/me", []string{"public_metadata", `{"role":"admin"}`}},
		{422, "form_identifier_exists", "PATCH", "/me", []string{"username", "grace_h", "unsafe_metadata", `{}`}},
		{422, "form_param_format_invalid", "PATCH", "/me", []string{"first_name", "Eve", "unsafe_metadata", `{`}},
		{0, "", "PATCH", "/me", []string{"username", "ada_l", "first_name", "Ada"}},
		{0, "", "PATCH", "/me", []string{"username", ""}},
		{422, "form_param_unknown", "PATCH", "/me/metadata", []string{"private_metadata", `{}`, "unsafe_metadata", `{}`}},
		{422, "form_param_missing", "PATCH", "/me/metadata", nil},
		{422, "form_param_format_invalid", "PATCH", "/me/metadata", []string{"unsafe_metadata", `[1]`}},
		{422, "form_param_exceeds_allowed_size", "PATCH", "/me/metadata", []string{"unsafe_metadata", `{"x":"` + strings.Repeat("x", 8200) + `"}`}},
	})
	merged := f.response("PATCH", "/me/metadata", "unsafe_metadata", `{"a":{"b":null,"d":3}}`)
	if got := fmt.Sprint(merged["unsafe_metadata"], merged["username"], merged["first_name"]); got != "map[a:map[c:2 d:3]] <nil>Ada" {
		t.Errorf("the person has %s", got)
	}
	f.call("PATCH", "/v1/users/"+ada, object{"delete_self_enabled": false})
	f.refusal(403, "user_delete_self_not_enabled", "DELETE", "/me")
	f.refusal(404, "image_not_found", "DELETE", "/me/profile_image")
	for name, test := range map[string]struct {
		body, contentType string
		status            int
		code              string
	}{
		"base64":    {base64.StdEncoding.EncodeToString([]byte(pixel)), "application/octet-stream", 200, `"public_url":"http://localhost:4010/images/img_`},
		"nothing":   {"", "application/octet-stream", 400, "form_param_missing"},
		"a script":  {base64.StdEncoding.EncodeToString([]byte("<svg/>")), "application/octet-stream", 400, "request_body_invalid"},
		"too large": {strings.Repeat("A", 15<<20), "application/octet-stream", 413, "request_body_invalid"},
		"broken":    {"--x\r\n", "multipart/form-data; boundary=x", 400, "form_param_missing"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/me/profile_image?__clerk_db_jwt="+f.dev, strings.NewReader(test.body))
		r.RemoteAddr, r.Host = "127.0.0.1:1234", "localhost:4010"
		r.Header.Set("Content-Type", test.contentType)
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.code) {
			t.Errorf("%s: %d %.300s", name, w.Code, w.Body)
		}
	}
}

func TestOrganizationsOfPeople(t *testing.T) {
	t.Parallel()
	f := newFront(t, emulator.Options{})
	e := f.estate("acme")
	org := "/organizations/" + e.organization
	owner := f.user("second@acme.example")
	f.as(e.owner, "")
	f.steps([]step{
		{422, "form_param_missing", "POST", "/organizations", nil},
		{422, "form_identifier_exists", "POST", "/organizations", []string{"name", "Acme", "slug", "acme"}},
		{422, "form_param_unknown", "PATCH", org, []string{"public_metadata", `{}`}},
		{422, "form_param_unknown", "PATCH", org, []string{"max_allowed_memberships", "0"}},
		{404, "image_not_found", "DELETE", org + "/logo", nil},
		{404, "resource_not_found", "PATCH", org + "/memberships/" + e.member, []string{"role", "org:king"}},
		{400, "organization_minimum_permissions_needed", "PATCH", org + "/memberships/" + e.owner, []string{"role", "org:member"}},
		{400, "organization_minimum_permissions_needed", "DELETE", org + "/memberships/" + e.owner, nil},
		{400, "organization_minimum_permissions_needed", "DELETE", "/me/organization_memberships/" + e.organization, nil},
		{404, "organization_not_found_or_unauthorized", "DELETE", "/me/organization_memberships/org_x", nil},
		{400, "already_a_member_in_organization", "POST", org + "/memberships", []string{"user_id", e.member, "role", "org:member"}},
		{404, "resource_not_found", "POST", org + "/memberships", []string{"user_id", "user_x", "role", "org:member"}},
		{0, "", "POST", org + "/memberships", []string{"user_id", owner, "role", "org:admin"}},
		{0, "", "DELETE", "/me/organization_memberships/" + e.organization, nil},
		{404, "organization_not_found_or_unauthorized", "GET", org, nil},
	})
	f.call("PATCH", "/v1/users/"+owner, object{"create_organizations_limit": 1})
	f.as(owner, "")
	f.do("POST", "/organizations", "name", "One")
	f.refusal(403, "org_creation_limit_exceeded", "POST", "/organizations", "name", "Two")
	f.call("PATCH", "/v1/users/"+owner, object{"create_organization_enabled": false})
	f.refusal(403, "user_create_organization_not_enabled", "POST", "/organizations", "name", "Two")
	f.call("PATCH", "/v1/organizations/"+e.organization, object{"admin_delete_enabled": false})
	f.refusal(403, "organization_admin_delete_not_enabled", "DELETE", org)
	f.call("PATCH", "/v1/instance/organization_settings", object{"enabled": false})
	f.refusal(403, "organization_not_enabled_in_instance", "GET", org)
	f.refusal(403, "organization_not_enabled_in_instance", "POST", "/organizations", "name", "Three")
}

func TestInvitationsAndDomainsOfPeople(t *testing.T) {
	t.Parallel()
	f := newFront(t, emulator.Options{})
	e, other := f.estate("acme"), f.estate("other")
	org := "/organizations/" + e.organization
	f.as(e.owner, "")
	many := make([]string, 0, 24)
	for i := range 11 {
		many = append(many, "email_address", fmt.Sprintf("p%d@example.com", i))
	}
	domains := org + "/domains"
	f.steps([]step{
		{404, "resource_not_found", "POST", org + "/invitations", []string{"email_address", "a@example.com", "role", "org:king"}},
		{422, "form_param_format_invalid", "POST", org + "/invitations", []string{"email_address", "nowhere", "role", "org:member"}},
		{400, "already_a_member_in_organization", "POST", org + "/invitations", []string{"email_address", "member@acme.example", "role", "org:member"}},
		{400, "duplicate_record", "POST", org + "/invitations", []string{"email_address", "guest@acme.example", "role", "org:member"}},
		{422, "form_param_missing", "POST", org + "/invitations/bulk", []string{"role", "org:member"}},
		{400, "bulk_size_exceeded", "POST", org + "/invitations/bulk", append(many, "role", "org:member")},
		{422, "form_param_format_invalid", "POST", org + "/invitations/bulk", []string{"email_address", "b@example.com", "email_address", "b", "role", "org:member"}},
		{400, "duplicate_record", "POST", org + "/invitations/bulk", []string{"email_address", "b@example.com", "email_address", "B@example.com", "role", "org:member"}},

		{422, "form_param_missing", "POST", domains, nil},
		{422, "form_param_format_invalid", "POST", domains, []string{"name", "localhost"}},
		{422, "organization_domain_common", "POST", domains, []string{"name", "Gmail.com"}},
		{422, "organization_domain_already_exists_same_organization", "POST", domains, []string{"name", "acme.example"}},
		{422, "organization_domain_already_exists", "POST", domains, []string{"name", "other.example"}},
		{404, "resource_not_found", "GET", domains + "/" + other.ids["domain_id"], nil},
	})
	if got := len(f.response("GET", org+"/invitations?status=pending")["data"].([]any)); got != 1 {
		t.Errorf("%d invitations are pending, want that of the estate: bulk makes all or none", got)
	}
	domain := domains + "/" + f.id("POST", domains, "name", "acme.test")
	f.steps([]step{
		{422, "organization_domain_mismatch", "POST", domain + "/prepare_affiliation_verification", []string{"affiliation_email_address", "a@acme.example"}},
		{400, "verification_missing", "POST", domain + "/attempt_affiliation_verification", []string{"code", "x"}},
		{0, "", "POST", domain + "/prepare_affiliation_verification", []string{"affiliation_email_address", "a@acme.test"}},
		{422, "form_code_incorrect", "POST", domain + "/attempt_affiliation_verification", []string{"code", "x"}},
		{422, "form_param_value_invalid", "POST", domain + "/update_enrollment_mode", []string{"enrollment_mode", "magic"}},
	})
	guest := f.user("guest@acme.example")
	f.as(guest, "")
	invitation := f.first("/me/organization_invitations?status=pending")["id"].(string)
	f.Advance(31 * 24 * time.Hour)
	f.as(guest, "")
	f.refusal(404, "organization_invitation_not_pending", "POST", "/me/organization_invitations/"+invitation+"/accept")
	unverified := f.user("other@example.com")
	f.made("/v1/email_addresses", object{"user_id": unverified, "email_address": "b@example.com"})
	f.made("/v1/organizations/"+e.organization+"/invitations", object{"email_address": "b@example.com", "role": "org:admin"})
	f.as(unverified, "")
	if all := f.response("GET", "/me/organization_invitations")["data"].([]any); len(all) != 0 {
		t.Errorf("whoever claims an address sees its invitations: %v", all)
	}
}

// Everything about people that the Frontend API made outlives a restart.
func TestPeopleOutliveARestart(t *testing.T) {
	t.Parallel()
	f := newFront(t, emulator.Options{})
	e := f.estate("acme")
	f.as(e.owner, e.organization)
	email := f.id("POST", "/me/email_addresses", "email_address", "second@acme.example")
	f.do("POST", "/me/email_addresses/"+email+"/prepare_verification", "strategy", "email_code")
	secret := f.response("POST", "/me/totp")["secret"].(string)
	file := t.TempDir() + "/state"
	if err := f.Save(file); err != nil {
		t.Fatal(err)
	}
	again, err := emulator.New(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(again.Close)
	if err := again.Load(file); err != nil {
		t.Fatal(err)
	}
	code := f.lastCode("second@acme.example")
	f.tab = &tab{clerk: &clerk{again, t, f.key}, dev: f.dev, cookies: maps.Clone(f.cookies), origin: page}
	f.do("POST", "/me/email_addresses/"+email+"/attempt_verification", "code", code)
	f.do("POST", "/me/totp/attempt_verification", "code", emulator.TOTPCode(secret, time.Now()))
	f.do("POST", "/organizations/"+e.organization+"/membership_requests/"+e.ids["request_id"]+"/accept")
}
