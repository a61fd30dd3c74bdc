package emulator_test

import (
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
)

// Each refusal is one that a suite meets daily, with the code of Clerk's list of errors.
func TestRefusedValues(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	ada := c.user("ada@example.com")
	org := c.organization("Acme", ada)
	unverified := c.call("POST", "/v1/email_addresses", object{"user_id": ada, "email_address": "new@example.com", "verified": false})["id"]
	users, me, orgs, invitations, members := "/users", "/users/"+ada, "/organizations", "/organizations/"+org+"/invitations", "/organizations/"+org+"/memberships/"+ada+"/metadata"
	large := object{"x": strings.Repeat("x", 8200)}
	user := func(name string, value any) object { return object{"username": "grace", name: value} }
	long := strings.Repeat("n", 257)
	for name, test := range map[string]struct {
		status       int
		code         string
		method, path string
		body         any
		parameter    string
	}{
		"a short password":          {422, "form_password_length_too_short", "POST", users, user("password", "1234567"), "password"},
		"a short new password":      {422, "form_password_length_too_short", "PATCH", me, object{"password": "1234567"}, "password"},
		"a long password":           {422, "form_password_length_too_long", "POST", users, user("password", strings.Repeat("p", 73)), "password"},
		"a password of many bytes":  {422, "form_password_size_in_bytes_exceeded", "POST", users, user("password", strings.Repeat("é", 37)), "password"},
		"a digest without a hasher": {422, "form_conditional_param_missing", "POST", users, user("password_digest", "$2a$10$x"), "password_hasher"},
		"an unknown hasher":         {422, "form_param_value_invalid", "POST", users, object{"username": "grace", "password_digest": "x", "password_hasher": "rot13"}, "password_hasher"},
		"signed out for nothing":    {422, "form_conditional_param_missing", "PATCH", me, object{"sign_out_of_other_sessions": true}, "password"},
		"a short name":              {422, "form_username_invalid_length", "POST", users, object{"username": "ada"}, "username"},
		"a long name":               {422, "form_username_invalid_length", "POST", users, object{"username": strings.Repeat("a", 65)}, "username"},
		"a strange name":            {422, "form_username_invalid_character", "PATCH", me, object{"username": "ada lovelace"}, "username"},
		"a number for a name":       {422, "form_username_needs_non_number_char", "POST", users, object{"username": "12345"}, "username"},
		"a long first name":         {422, "form_param_max_length_exceeded", "PATCH", me, object{"first_name": long}, "first_name"},
		"a link for a name":         {422, "form_param_value_invalid", "PATCH", me, object{"last_name": "see https://example.com"}, "last_name"},
		"no language":               {422, "form_param_format_invalid", "PATCH", me, object{"locale": "english please"}, "locale"},
		"no domain":                 {422, "form_param_format_invalid", "POST", users, object{"email_address": []string{"ada@localhost"}}, "email_address"},
		"an address with its name":  {422, "form_param_format_invalid", "POST", users, object{"email_address": []string{"Ada <ada@example.com>"}}, "email_address"},
		"a status too many":         {422, "form_param_array_length_mismatch", "POST", users, object{"email_address": []string{"b@example.com"}, "email_address_identification_status": []string{"reserved", "reserved"}}, "email_address_identification_status"},
		"an unknown status":         {422, "form_param_value_invalid", "POST", users, object{"phone_number": []string{"+15555550100"}, "phone_number_identification_status": []string{"unverified"}}, "phone_number_identification_status"},
		"a local number":            {422, "form_param_format_invalid", "POST", users, object{"phone_number": []string{"555 0100"}}, "phone_number"},
		"no wallet":                 {422, "form_param_format_invalid", "POST", users, object{"web3_wallet": []string{"0x01"}}, "web3_wallet"},
		"large metadata":            {422, "form_param_exceeds_allowed_size", "POST", users, user("private_metadata", large), "private_metadata"},
		"large metadata, replaced":  {422, "form_param_exceeds_allowed_size", "PUT", me + "/metadata", object{"unsafe_metadata": large}, "unsafe_metadata"},
		"large metadata, invited":   {422, "form_param_exceeds_allowed_size", "POST", invitations, object{"email_address": "x@example.com", "role": "org:member", "public_metadata": large}, "public_metadata"},
		"large metadata, member":    {422, "form_param_exceeds_allowed_size", "PATCH", members, object{"public_metadata": large}, "public_metadata"},
		"large metadata, org":       {422, "form_param_exceeds_allowed_size", "PATCH", orgs + "/" + org + "/metadata", object{"public_metadata": large}, "public_metadata"},
		"a long organization":       {422, "form_param_max_length_exceeded", "POST", orgs, object{"name": long}, "name"},
		"HTML for an organization":  {422, "form_param_value_invalid", "POST", orgs, object{"name": "<b>Acme</b>"}, "name"},
		"a slug in capitals":        {422, "form_param_format_invalid", "POST", orgs, object{"name": "Acme", "slug": "Acme_Inc"}, "slug"},
		"invited nowhere":           {422, "form_param_format_invalid", "POST", "/invitations", object{"email_address": "nowhere"}, "email_address"},
		"a member invited":          {400, "already_a_member_in_organization", "POST", invitations, object{"email_address": "ADA@example.com", "role": "org:member"}, ""},
		"a claim of each token":     {400, "jwt_template_reserved_claim", "POST", "/jwt_templates", object{"name": "x", "claims": object{"sub": "x"}}, "claims"},
		"a claim of sessions":       {400, "jwt_template_reserved_claim", "POST", "/jwt_templates", object{"name": "x", "claims": object{"sid": "x"}}, "claims"},
		"unverified for primary":    {422, "form_verification_needed", "PATCH", me, object{"primary_email_address_id": unverified}, "primary_email_address_id"},
	} {
		a := c.do(test.method, "/v1"+test.path, test.body)
		var failure emulator.APIError
		decode(t, a.body, &failure)
		if a.status != test.status || len(failure.Errors) == 0 || failure.Errors[0].Code != test.code {
			t.Errorf("%s: %d %s, want %d %s", name, a.status, a.body, test.status, test.code)
			continue
		}
		if got, _ := failure.Errors[0].Meta["param_name"].(string); got != test.parameter {
			t.Errorf("%s: names the parameter %q, want %q", name, got, test.parameter)
		}
	}
	for i, body := range []object{ // what looks like that, and is accepted
		{"password": "1234567", "skip_password_checks": true, "username": "four"},
		{"username": "12_34"},
		{"username": "an-n", "first_name": strings.Repeat("é", 256)},
		{"email_address": []string{"o'neil+clerk_test@mail.example.co.uk"}},
		{"phone_number": []string{"+4930999"}},
		{"username": "nothing", "locale": "zh-Hant-TW"},
	} {
		if a := c.do("POST", "/v1/users", body); a.status != 200 {
			t.Errorf("%d: %d %s", i, a.status, a.body)
		}
	}
}

func TestNullClears(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	user := c.made("/v1/users", object{"username": "ada_l", "first_name": "Ada", "external_id": "cust_1", "email_address": []string{"ada@example.com"}})
	got := c.call("PATCH", "/v1/users/"+user, object{"username": nil, "first_name": nil, "external_id": nil, "primary_email_address_id": nil})
	if got["username"] != nil || got["first_name"] != nil || got["external_id"] != nil || got["primary_email_address_id"] == nil {
		t.Errorf("after null: %v", got)
	}
	c.made("/v1/users", object{"username": "ada_l", "external_id": "cust_1"}) // both are free again
}

func TestANewPasswordEndsOtherSessions(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{NoChildEvents: true, Workers: 1})
	r := c.listen(nil)
	user := c.user("ada@example.com")
	kept := c.signIn(user, object{})
	c.call("PATCH", "/v1/users/"+user, object{"password": "correct horse"})
	if s := c.call("GET", "/v1/sessions/"+kept, nil); s["status"] != "active" {
		t.Errorf("a password alone makes the session %v", s["status"])
	}
	c.call("PATCH", "/v1/users/"+user, object{"password": "correct horses", "sign_out_of_other_sessions": true})
	if s := c.call("GET", "/v1/sessions/"+kept, nil); s["status"] != "revoked" {
		t.Errorf("the session is %v", s["status"])
	}
	c.settle()
	if last := r.deliveries(); !strings.Contains(string(last[len(last)-1].body), `"session.revoked"`) {
		t.Errorf("the last event: %s", last[len(last)-1].body)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	s := c.signIn(c.user("ada@example.com"), object{})
	for version, want := range map[string]any{"2021-02-05": nil, "2024-10-01": nil, "2025-04-10": 2.0, "": 2.0, "2031-01-01": 2.0} {
		a := c.do("POST", "/v1/sessions/"+s+"/tokens", object{}, "Clerk-Api-Version", version)
		var token struct{ JWT string }
		decode(t, a.body, &token)
		parts, err := sdkDecode(t, token.JWT)
		if err != nil || parts[1]["v"] != want {
			t.Errorf("API version %q gives a token of version %v, want %v (%v)", version, parts[1]["v"], want, err)
		}
		if warning := a.header.Get("Warning"); (warning != "") != (version > "2026-05-12") || warning != "" && !strings.Contains(warning, "2026-05-12") {
			t.Errorf("API version %q: warning %q", version, warning)
		}
	}
	c.refused(422, "form_param_unknown", "PATCH", "/v1/organizations/"+c.organization("Acme", ""), object{"public_metadata": object{}}, "Clerk-Api-Version", "2031-01-01")
}

func TestTheFoundersNextSessionIsInTheOrganization(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	ada := c.user("ada@example.com")
	first, second := c.organization("First", ada), c.organization("Second", ada)
	active := func(body object) any {
		return c.call("GET", "/v1/sessions/"+c.signIn(ada, body), nil)["last_active_organization_id"]
	}
	if got := active(object{}); got != second {
		t.Errorf("the first session is in %v, want %s", got, second)
	}
	if got := active(object{}); got != nil {
		t.Errorf("the next one is in %v", got)
	}
	third := c.organization("Third", ada)
	if got := active(object{"organization_id": first}); got != first {
		t.Errorf("a session that asks for another one is in %v", got)
	}
	if got := active(object{}); got != nil {
		t.Errorf("and the next one in %v", got)
	}
	c.call("PATCH", "/v1/organizations/"+third, object{"name": "Gone"})
	fourth := c.organization("Fourth", ada)
	c.call("DELETE", "/v1/organizations/"+fourth, nil)
	if got := active(object{}); got != nil {
		t.Errorf("after its deletion: %v", got)
	}
}

func TestRevokedInvitationsAreNotListed(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	kept, revoked := c.made("/v1/invitations", object{"email_address": "a@example.com"}), c.made("/v1/invitations", object{"email_address": "b@example.com"})
	c.call("POST", "/v1/invitations/"+revoked+"/revoke", nil)
	for query, want := range map[string]string{"": kept, "?status=revoked": revoked, "?query=" + kept: kept} {
		if got := ids(c.list("/v1/invitations" + query)); len(got) != 1 || got[0] != want {
			t.Errorf("%q lists %v, want %s", query, got, want)
		}
	}
}

func TestCreatedAtMoves(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	ada, grace := c.user("ada@example.com"), c.user("grace@example.com")
	c.call("PATCH", "/v1/users/"+ada, object{"created_at": c.Now().Add(time.Hour).UTC().Format(time.RFC3339)})
	if got := ids(c.list("/v1/users")); got[0] != ada || got[1] != grace {
		t.Errorf("newest first: %v, want %s before %s", got, ada, grace)
	}
}
