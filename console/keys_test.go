package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/mirror"
)

// key makes an API key at Clerk and returns its id.
func (s *site) key(subject, name string) string {
	s.Helper()
	var made struct{ ID string }
	s.clerk.Call(http.MethodPost, "/v1/api_keys", map[string]any{"name": name, "subject": subject, "scopes": []string{"deals:read"}}, &made)
	return made.ID
}

// revoked reports whether Clerk calls a key revoked.
func (s *site) revoked(id string) bool {
	s.Helper()
	var key struct{ Revoked bool }
	s.clerk.Call(http.MethodGet, "/v1/api_keys/"+id, nil, &key)
	return key.Revoked
}

// An operator sees the keys of a user, an organization and a machine, and revokes one, all, or a
// JWT by its claim. The audit and the list of revocations have it.
func TestKeysAreListedAndRevoked(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	ada := s.clerk.CreateUser(clerktest.User{Email: "ada@example.com", FirstName: "Ada"})
	engines := s.clerk.CreateOrganization("Analytical Engines", ada)
	var machine struct{ ID string }
	s.clerk.Call(http.MethodPost, "/v1/machines", map[string]any{"name": "billing"}, &machine)
	laptop, phone, export := s.key(ada, "Laptop <3"), s.key(ada, "Phone"), s.key(engines, "Export")
	s.clerk.Settle()
	s.signIn(s.addOperator("grace", false))
	const revoke, list = "/console/keys/revoke", "/console/keys"
	page := "/console/users/" + ada + "/keys"
	s.shows("/console/users/"+ada, page)
	s.shows(page, "Laptop &lt;3", "Phone", "deals:read", laptop, "active")
	s.shows("/console/organizations/"+engines+"/keys", "Export")
	s.shows("/console/machines/"+machine.ID+"/keys", "No keys")
	for q, want := range map[string]string{
		"ada@example.com": page, ada: page, engines: "/console/organizations/" + engines + "/keys", machine.ID: "/console/machines/" + machine.ID + "/keys",
	} {
		if a := s.get(list + "?q=" + q); a.location != want {
			t.Errorf("%s leads to %d %s", q, a.status, a.location)
		}
	}
	s.shows(list, "Nothing was revoked here")
	if body := s.shows(list+"?q=zoe@example.com", "No user has this address"); strings.Contains(body, revoke) {
		t.Error("an address is offered to be revoked")
	}

	one := revoke + "?id=" + laptop + "&subject=" + ada
	s.shows(one, "Revoke a key or token", "cannot be undone")
	if where := s.does(one, revoke, "id", laptop, "subject", ada); where != page || !s.revoked(laptop) || s.revoked(phone) {
		t.Errorf("it leads to %s; Clerk says %t and %t", where, s.revoked(laptop), s.revoked(phone))
	}
	if body := s.shows(page, "is revoked."); strings.Contains(body, "in this mirror alone") {
		t.Error("the revocation is said to be local")
	}
	s.shows(list+"?q=jti_1", "This was not revoked here", revoke+"?id=jti_1")
	if where := s.does(revoke+"?id=jti_1", revoke, "id", "jti_1"); where != list+"?q=jti_1" {
		t.Errorf("it leads to %s", where)
	}
	all := revoke + "?subject=" + ada
	s.shows(all, "Revoke all keys and tokens", "Ada")
	s.does(all, revoke, "subject", ada)
	s.shows(page, "Valid at Clerk: 1 key.", "All keys and tokens that were made until")
	if !s.revoked(phone) || s.revoked(export) {
		t.Errorf("Clerk says %t and %t", s.revoked(phone), s.revoked(export))
	}
	s.shows(list, laptop, "jti_1", "all keys and tokens until then", "for good", "until ")
	s.shows("/console/audit?action=key_revoked", "Key revoked", laptop, "jti_1", "grace", list+"?q="+laptop)
	s.shows("/console/users/"+ada+"/timeline", "Key revoked")
	for id, want := range map[string]string{laptop: list + "?q=" + laptop, machine.ID: "/console/machines/" + machine.ID + "/keys"} {
		if a := s.get("/console/search?q=" + id); a.location != want {
			t.Errorf("searching %s leads to %d %s", id, a.status, a.location)
		}
	}
	for _, target := range []string{revoke, revoke + "?subject=sess_1"} {
		if a := s.get(target); a.location != list {
			t.Errorf("%s leads to %d %s", target, a.status, a.location)
		}
	}
	if a := s.get("/console/machines/odd/keys"); a.status != http.StatusNotFound {
		t.Errorf("a machine that is none: %d", a.status)
	}
}

// Who may only look, or sends no form token, revokes nothing.
func TestKeysAreRevokedByOperatorsAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	ada := s.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
	key := s.key(ada, "Laptop")
	s.clerk.Settle()
	s.signIn(operatorToken)
	if a := s.send(http.MethodPost, "/console/keys/revoke", url.Values{"id": {key}}); a.status != http.StatusForbidden {
		t.Errorf("without a form token: %d", a.status)
	}
	s.forget()
	s.signIn(s.addOperator("eve", true))
	page := "/console/users/" + ada + "/keys"
	if body := s.shows(page, "Laptop"); strings.Contains(body, "/console/keys/revoke") {
		t.Error("who may only look is offered to revoke")
	}
	if a := s.post("/console/keys/revoke?id="+key, "/console/keys/revoke", "id", key); a.status != http.StatusForbidden {
		t.Errorf("who may only look: %d", a.status)
	}
	found, err := s.m.Keys().Revocations(t.Context(), mirror.RevocationFilter{})
	if err != nil || len(found.Items) != 0 || s.revoked(key) {
		t.Errorf("%+v, %v", found.Items, err)
	}
}

// The pages are there though Clerk is not, and say so. What is revoked meanwhile is refused here.
func TestKeysWithoutClerk(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	ada := s.clerk.CreateUser(clerktest.User{Email: "ada@example.com", FirstName: "Ada"})
	key := s.key(ada, "Laptop")
	s.clerk.Settle()
	s.signIn(operatorToken)
	page, revoke := "/console/users/"+ada+"/keys", "/console/keys/revoke"
	s.shows("/console/machines/mch_none/keys", "Clerk does not know mch_none.")
	s.clerk.SetFaults(clerktest.Faults{API: clerktest.APIFaults{ServerError: 1}})
	s.shows(page, "Ada", "Clerk", `role="alert"`, revoke+"?subject="+ada)
	a := s.post(revoke+"?id="+key, revoke, "id", key, "subject", ada)
	if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "It is refused here from now on, but it is not revoked at Clerk.") {
		t.Errorf("%d %s", a.status, a.body)
	}
	s.shows("/console/keys", key, "for good")
	s.withoutKey = true
	s.h = New(s.open(), s.o)
	s.shows(page, "without a secret key")
	s.shows(revoke+"?id="+key, "Clerk is not told")
}
