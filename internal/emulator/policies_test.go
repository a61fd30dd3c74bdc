package emulator_test

import (
	"maps"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/emulator"
)

func TestWaitlist(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{Workers: 1})
	r := c.listen(nil)
	ada := c.made("/v1/waitlist_entries", object{"email_address": "Ada@example.com"})
	if again := c.made("/v1/waitlist_entries", object{"email_address": "ada@EXAMPLE.com"}); again != ada {
		t.Errorf("a second wish makes another entry: %s, %s", ada, again)
	}
	c.refused(422, "form_param_duplicate", "POST", "/v1/waitlist_entries/bulk", []object{{"email_address": "x@example.com"}, {"email_address": "X@example.com"}})
	c.refused(422, "form_param_format_invalid", "POST", "/v1/waitlist_entries", object{"email_address": "ada"})
	if joined := c.newTab().send("POST", "/v1/waitlist", url.Values{"email_address": {" ada@example.com "}}); !strings.Contains(string(joined.body), ada) {
		t.Errorf("a page that joins gets %d %s", joined.status, joined.body)
	}
	if all := c.list("/v1/waitlist_entries"); len(all) != 1 {
		t.Fatalf("a refused list made entries: %v", all)
	}
	invited := c.call("POST", "/v1/waitlist_entries/"+ada+"/invite", nil)
	if invited["status"] != "invited" || invited["invitation"].(object)["email_address"] != "ada@example.com" {
		t.Errorf("invited: %v", invited)
	}
	c.refused(409, "waitlist_entry_already_invited", "POST", "/v1/waitlist_entries/"+ada+"/invite", nil)
	c.refused(409, "waitlist_entry_already_invited", "DELETE", "/v1/waitlist_entries/"+ada, nil)
	grace := c.made("/v1/waitlist_entries", object{"email_address": "grace@example.com", "notify": false})
	c.call("POST", "/v1/waitlist_entries/"+grace+"/reject", nil)
	c.refused(409, "waitlist_entry_already_rejected", "POST", "/v1/waitlist_entries/"+grace+"/reject", nil)
	c.user("ada@example.com")
	for query, want := range map[string]string{"status=completed": ada, "status=rejected": grace, "query=ADA": ada, "order_by=%2Bcreated_at&limit=1": ada} {
		if got := ids(c.list("/v1/waitlist_entries?" + query)); len(got) != 1 || got[0] != want {
			t.Errorf("%s lists %v, want %s", query, got, want)
		}
	}
	if mails := c.Inbox(); len(mails) != 2 || mails[1].Slug != "waitlist_confirmation" || mails[0].Slug != "waitlist_invitation" || mails[0].Link == "" {
		t.Errorf("the inbox has %v", mails)
	}
	c.settle()
	var types []string
	for _, d := range r.deliveries() {
		var event struct{ Type string }
		decode(t, d.body, &event)
		types = append(types, event.Type)
	}
	want := "waitlistEntry.created email.created email.created waitlistEntry.updated waitlistEntry.created waitlistEntry.updated user.created waitlistEntry.updated"
	if got := strings.Join(types, " "); got != want {
		t.Errorf("the events are %s, want %s", got, want)
	}
}

func TestListsOfIdentifiers(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	c.refused(422, "form_param_format_invalid", "POST", "/v1/allowlist_identifiers", object{"identifier": "everyone"})
	c.made("/v1/allowlist_identifiers", object{"identifier": "*@example.com"})
	c.refused(400, "duplicate_record", "POST", "/v1/allowlist_identifiers", object{"identifier": "*@EXAMPLE.com"})
	c.made("/v1/blocklist_identifiers", object{"identifier": "mallory@example.com"})
	c.made("/v1/blocklist_identifiers", object{"identifier": "+15555550100"})
	c.made("/v1/allowlist_identifiers", object{"identifier": "mallory@example.com"})
	c.user("jdoe@gmail.com")
	invited := c.call("POST", "/v1/allowlist_identifiers", object{"identifier": "new@example.org", "notify": true})
	if got := c.list("/v1/invitations"); len(got) != 1 || got[0]["id"] != invited["invitation_id"] {
		t.Errorf("invitations %v, want %v", got, invited["invitation_id"])
	}
	for name, test := range map[string]struct {
		restrict object
		refused  string // of the addresses and numbers below
	}{
		"nothing":   {object{}, ""},
		"allowlist": {object{"allowlist": true}, "x@sub.example.com +15555550100 j.doe+x@gmail.com"},
		"blocklist": {object{"blocklist": true}, "mallory@example.com mallory+x@example.com +15555550100"},
		"both":      {object{"allowlist": true, "blocklist": true}, "x@sub.example.com +15555550100 j.doe+x@gmail.com"}, // Mallory is in both
		"parts":     {object{"block_email_subaddresses": true}, "j.doe+x@gmail.com"},
	} {
		restrictions := object{"allowlist": false, "blocklist": false, "block_email_subaddresses": false}
		maps.Copy(restrictions, test.restrict)
		c.call("PATCH", "/v1/instance/restrictions", restrictions)
		var refused []string
		for _, value := range []string{"ada@EXAMPLE.com", "mallory@example.com", "mallory+x@example.com", "x@sub.example.com", "+15555550100", "j.doe+x@gmail.com"} {
			if c.Admit(value) != nil {
				refused = append(refused, value)
			}
		}
		if got := strings.Join(refused, " "); got != test.refused {
			t.Errorf("%s: %q are refused, want %q", name, got, test.refused)
		}
	}
	c.call("PATCH", "/v1/instance/restrictions", object{"allowlist": false, "blocklist": true, "block_email_subaddresses": false})
	c.made("/v1/users", object{"email_address": []string{"mallory@example.com"}}) // backends may
	signIn := url.Values{"identifier": {"mallory@example.com"}, "strategy": {"email_code"}}
	c.newTab().ok("POST", "/v1/client/sign_ins", signIn)
	c.call("PATCH", "/v1/instance/restrictions", object{"allowlist_blocklist_disabled_on_sign_in": false})
	c.newTab().refused(403, "not_allowed_access", "POST", "/v1/client/sign_ins", signIn)
	c.newTab().refused(403, "not_allowed_access", "POST", "/v1/client/sign_ups", url.Values{"email_address": {"mallory+2@example.com"}, "password": {"correct horse"}})
}

func TestOrganizationSettings(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	ada := c.user("ada@example.com")
	founder := c.made("/v1/organization_roles", object{"name": "Founder", "key": "founder"})
	set := func(body object) { t.Helper(); c.call("PATCH", "/v1/instance/organization_settings", body) }
	set(object{"creator_role_id": founder, "max_allowed_memberships": 1, "admin_delete_enabled": false, "slug_disabled": true})
	org := c.call("POST", "/v1/organizations", object{"name": "Acme", "created_by": ada})
	if org["slug"] != "" || org["max_allowed_memberships"] != 1.0 || org["admin_delete_enabled"] != false {
		t.Errorf("the organization is %v", org)
	}
	base := "/v1/organizations/" + org["id"].(string)
	if members := c.list(base + "/memberships"); len(members) != 1 || members[0]["role"] != "org:founder" {
		t.Errorf("members %v", members)
	}
	c.refused(403, "organization_slugs_disabled", "POST", "/v1/organizations", object{"name": "Acme", "slug": "acme"})
	c.refused(403, "organization_role_used_as_creator_role", "DELETE", "/v1/organization_roles/"+founder, nil)
	set(object{"domains_enrollment_modes": []string{"automatic_invitation"}})
	c.refused(403, "organization_domain_enrollment_mode_not_enabled", "POST", base+"/domains", object{"name": "a.example", "enrollment_mode": "automatic_suggestion"})
	set(object{"domains_enabled": false})
	c.refused(403, "organization_domains_not_enabled", "POST", base+"/domains", object{"name": "a.example"})
	set(object{"enabled": false})
	c.refused(403, "organization_not_enabled_in_instance", "GET", "/v1/organizations", nil)
	c.refused(404, "resource_not_found", "PATCH", "/v1/instance/organization_settings", object{"creator_role_id": "role_x"})
	c.refused(422, "form_param_value_invalid", "PATCH", "/v1/instance/organization_settings", object{"domains_enrollment_modes": []string{"enterprise_sso"}})
}

// A restart keeps the policies, and the waitlist shares its invitations with the list of all.
func TestPoliciesOutliveARestart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.json")
	c := newClerk(t, emulator.Options{})
	c.made("/v1/blocklist_identifiers", object{"identifier": "mallory@example.com"})
	c.call("PATCH", "/v1/instance/restrictions", object{"blocklist": true})
	w := c.made("/v1/waitlist_entries", object{"email_address": "ada@example.com"})
	invitation := c.call("POST", "/v1/waitlist_entries/"+w+"/invite", nil)["invitation"].(object)["id"].(string)
	if err := c.Save(file); err != nil {
		t.Fatal(err)
	}
	next := newClerk(t, emulator.Options{})
	if err := next.Load(file); err != nil {
		t.Fatal(err)
	}
	next.call("POST", "/v1/invitations/"+invitation+"/revoke", nil)
	if got := next.list("/v1/waitlist_entries")[0]["invitation"].(object)["status"]; got != "revoked" {
		t.Errorf("the entry's invitation is %v", got)
	}
	if next.Admit("mallory@example.com") == nil {
		t.Error("who was blocked is admitted")
	}
}
