package emulator_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/emulator"
)

// estate is an organization with one of everything, of which mallory is no member. Mallory owns
// another one with one of everything too.
type estate struct {
	*clerk
	owner, member, organization string
	ids                         map[string]string // of the things inside, by the variables of routes
}

func (c *clerk) estate(name string) *estate {
	c.t.Helper()
	owner, member := c.user("owner@"+name+".example"), c.user("member@"+name+".example")
	org := c.organization(name, owner)
	c.made("/v1/organizations/"+org+"/memberships", object{"user_id": member, "role": "org:member"})
	e := &estate{c, owner, member, org, map[string]string{
		"user_id": member, "organization_id": org,
		"invitation_id": c.made("/v1/organizations/"+org+"/invitations", object{"email_address": "guest@" + name + ".example", "role": "org:member"}),
		"domain_id":     c.made("/v1/organizations/"+org+"/domains", object{"name": name + ".example", "verified": true, "enrollment_mode": "automatic_suggestion"}),
		"session_id":    c.signIn(owner, nil),
	}}
	joins := c.signedInTab(c.user("new@"+name+".example"), "")
	suggestion := joins.ok("GET", "/v1/me/organization_suggestions", nil).Response["data"].([]any)[0].(object)["id"].(string)
	joins.ok("POST", "/v1/me/organization_suggestions/"+suggestion+"/accept", nil)
	e.ids["request_id"], e.ids["suggestion_id"] = suggestion, suggestion
	return e
}

// path fills the variables of a route with the ids of an organization and of the things inside
// another one.
func (e *estate) path(route, id string) (method, path string) {
	method, path, _ = strings.Cut(route, " ")
	path = strings.ReplaceAll(path, "{id}", id)
	for name, inside := range e.ids {
		path = strings.ReplaceAll(path, "{"+name+"}", inside)
	}
	return method, "/v1" + path
}

// everything a route may want; unknown parameters are ignored.
var everything = form(
	"name", "Taken over", "slug", "taken-over", "role", "org:admin", "user_id", "user_x", "email_address", "mallory@evil.example", "code", "424242",
	"strategy", "email_code", "enrollment_mode", "automatic_invitation", "delete_pending", "true", "affiliation_email_address", "x@victim.example",
)

func organizationRoutes(t *testing.T) []string {
	t.Helper()
	routes := slices.DeleteFunc(emulator.FrontendRoutes(), func(r string) bool { return !strings.Contains(r, " /organizations/{id}") })
	if len(routes) < 20 {
		t.Fatalf("only %d routes of organizations", len(routes))
	}
	return routes
}

// looks is all that a backend sees of an organization and its people.
func (e *estate) looks() string {
	e.t.Helper()
	var all []string
	for _, path := range []string{"", "/memberships", "/invitations", "/domains"} {
		all = append(all, string(e.do("GET", "/v1/organizations/"+e.organization+path, nil).body))
	}
	for _, user := range []string{e.owner, e.member} {
		all = append(all, string(e.do("GET", "/v1/users/"+user, nil).body))
	}
	return strings.Join(append(all, string(e.do("GET", "/v1/sessions/"+e.ids["session_id"], nil).body)), "\n")
}

// Nobody reads or changes an organization of others: not by its id, and not by the id of something
// inside it below the own organization.
func TestStrangersReachNoOrganization(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	victim, own := c.estate("victim"), c.estate("mallory")
	before := victim.looks()
	mallory := c.signedInTab(own.owner, own.organization)
	for _, route := range organizationRoutes(t) {
		method, path := victim.path(route, victim.organization)
		mallory.refused(http.StatusNotFound, "organization_not_found_or_unauthorized", method, path, everything)
		method, path = victim.path(route, "org_of_nobody")
		mallory.refused(http.StatusNotFound, "organization_not_found_or_unauthorized", method, path, everything)
		method, path = victim.path(route, "victim") // the slug
		mallory.refused(http.StatusNotFound, "organization_not_found_or_unauthorized", method, path, everything)
		if inside := strings.Count(route, "{") > 1; inside {
			method, path = victim.path(route, own.organization)
			if a := mallory.send(method, path, everything); a.status != http.StatusNotFound {
				t.Errorf("%s %s: %d %s", method, path, a.status, a.body)
			}
		}
	}
	if after := victim.looks(); after != before {
		t.Errorf("the organization was changed from\n%s\nto\n%s", before, after)
	}
}

// Members do what their permissions allow, whatever the page sends.
func TestMembersNeedPermissions(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	e := c.estate("acme")
	member := c.signedInTab(e.member, e.organization)
	before := e.looks()
	var allowed []string
	for _, route := range organizationRoutes(t) {
		method, path := e.path(route, e.organization)
		a := member.send(method, path, everything)
		switch {
		case a.status == http.StatusOK:
			allowed = append(allowed, route)
		case a.status != http.StatusForbidden || !strings.Contains(string(a.body), `"code":"missing_organization_permission"`):
			t.Errorf("%s: %d %s", route, a.status, a.body)
		}
	}
	want := []string{"GET /organizations/{id}", "GET /organizations/{id}/roles", "GET /organizations/{id}/memberships"}
	if !slices.Equal(allowed, want) {
		t.Errorf("members may call %v, want %v", allowed, want)
	}
	if after := e.looks(); after != before {
		t.Errorf("the organization was changed from\n%s\nto\n%s", before, after)
	}
	c.call("POST", "/v1/organization_roles", object{"name": "Host", "key": "org:host", "permissions": []string{"org:sys_memberships:manage"}})
	c.call("PATCH", "/v1/organizations/"+e.organization+"/memberships/"+e.member, object{"role": "org:host"})
	member.ok("POST", "/v1/organizations/"+e.organization+"/invitations", form("email_address", "z@example.com", "role", "org:member"))
	member.refused(http.StatusForbidden, "missing_organization_permission", "DELETE", "/v1/organizations/"+e.organization, nil)
}

// Nobody reaches what belongs to another person, nor anything without being signed in.
func TestStrangersReachNoPerson(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	victim, own := c.estate("victim"), c.estate("mallory")
	user := c.call("GET", "/v1/users/"+victim.owner, nil)
	phone := c.made("/v1/phone_numbers", object{"user_id": victim.owner, "phone_number": "+15005550006", "verified": true})
	before := victim.looks()
	mallory := c.signedInTab(own.owner, own.organization)
	signedOut := c.newTab()
	signedOut.ok("PUT", "/v1/client", nil)
	mine := 0
	for _, route := range emulator.FrontendRoutes() {
		if !strings.Contains(route, " /me") && !strings.Contains(route, " /organizations") {
			continue
		}
		id := user["primary_email_address_id"].(string)
		if strings.Contains(route, "phone") {
			id = phone
		}
		method, path := victim.path(route, id)
		signedOut.refused(http.StatusUnauthorized, "authentication_invalid", method, path, everything)
		if strings.Contains(route, " /me") && strings.Contains(route, "{") {
			mine++
			if a := mallory.send(method, path, everything); a.status != http.StatusNotFound {
				t.Errorf("%s: %d %s", route, a.status, a.body)
			}
		}
	}
	if mine < 12 {
		t.Errorf("only %d routes name something of the person", mine)
	}
	mallory.refused(http.StatusUnauthorized, "authentication_invalid", "GET", "/v1/me?_clerk_session_id="+victim.ids["session_id"], nil)
	theirs := form("primary_email_address_id", user["primary_email_address_id"].(string))
	mallory.refused(http.StatusNotFound, "resource_not_found", "PATCH", "/v1/me", theirs)
	if after := victim.looks(); after != before {
		t.Errorf("the person was changed from\n%s\nto\n%s", before, after)
	}
}
