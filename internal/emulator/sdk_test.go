package emulator_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	sdk "github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/actortoken"
	"github.com/clerk/clerk-sdk-go/v2/invitation"
	"github.com/clerk/clerk-sdk-go/v2/jwks"
	"github.com/clerk/clerk-sdk-go/v2/jwttemplate"
	"github.com/clerk/clerk-sdk-go/v2/organization"
	"github.com/clerk/clerk-sdk-go/v2/organizationdomain"
	"github.com/clerk/clerk-sdk-go/v2/organizationinvitation"
	"github.com/clerk/clerk-sdk-go/v2/organizationmembership"
	"github.com/clerk/clerk-sdk-go/v2/session"
	"github.com/clerk/clerk-sdk-go/v2/testingtoken"
	"github.com/clerk/clerk-sdk-go/v2/user"

	"github.com/clerksync/clerksync/internal/emulator"
)

// official starts an instance and points Clerk's own Go SDK at it.
func official(t *testing.T, o emulator.Options) (*clerk, *sdk.ClientConfig) {
	t.Helper()
	c := newClerk(t, o)
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return c, &sdk.ClientConfig{BackendConfig: sdk.BackendConfig{
		HTTPClient: server.Client(), URL: new(server.URL + "/v1"), Key: &c.key,
	}}
}

// must is the value, unless the SDK reports an error.
func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func metadata(text string) *json.RawMessage { return sdk.JSONRawMessage([]byte(text)) }

func wantError(t *testing.T, err error, status int, code string) *sdk.APIErrorResponse {
	t.Helper()
	var refusal *sdk.APIErrorResponse
	if !errors.As(err, &refusal) || refusal.HTTPStatusCode != status || len(refusal.Errors) == 0 || refusal.Errors[0].Code != code {
		t.Fatalf("error %v, want %d %s", err, status, code)
	}
	if refusal.TraceID == "" || refusal.Response.TraceID != refusal.TraceID {
		t.Errorf("trace id %q in the body, %q in the header", refusal.TraceID, refusal.Response.TraceID)
	}
	return refusal
}

func TestSDKUsers(t *testing.T) {
	t.Parallel()
	_, config := official(t, emulator.Options{Users: 30})
	users, ctx := user.NewClient(config), t.Context()
	ada := must(users.Create(ctx, &user.CreateParams{
		EmailAddresses: &[]string{"Ada@example.com"}, PhoneNumbers: &[]string{"+15555550100"}, Username: new("ada_l"), Password: new("correct horse"),
		FirstName: new("Ada"), LastName: new("Lovelace"), ExternalID: new("cust_1"),
		PublicMetadata: metadata(`{"role":"growth","deep":{"a":1,"b":2}}`), CreatedAt: new("2020-01-01T00:00:00Z"),
	}))(t)
	got := must(users.Get(ctx, ada.ID))(t)
	if got.Object != "user" || *got.FirstName != "Ada" || got.EmailAddresses[0].EmailAddress != "ada@example.com" || *got.PrimaryEmailAddressID != got.EmailAddresses[0].ID ||
		got.PhoneNumbers[0].PhoneNumber != "+15555550100" || *got.ExternalID != "cust_1" || got.CreatedAt != 1577836800000 || !got.PasswordEnabled {
		t.Errorf("user %s", got.Response.RawJSON)
	}
	got = must(users.Update(ctx, ada.ID, &user.UpdateParams{LastName: new("King"), PublicMetadata: metadata(`{"deep":{"a":1,"b":2}}`)}))(t)
	if *got.LastName != "King" || string(got.PublicMetadata) != `{"deep":{"a":1,"b":2}}` || got.UpdatedAt <= ada.UpdatedAt {
		t.Errorf("updated: %s", got.Response.RawJSON)
	}
	got = must(users.UpdateMetadata(ctx, ada.ID, &user.UpdateMetadataParams{PublicMetadata: metadata(`{"deep":{"a":null,"c":3}}`)}))(t)
	if string(got.PublicMetadata) != `{"deep":{"b":2,"c":3}}` {
		t.Errorf("merged: %s", got.PublicMetadata)
	}
	if got = must(users.Ban(ctx, ada.ID))(t); !got.Banned {
		t.Error("not banned")
	}
	if got = must(users.Unban(ctx, ada.ID))(t); got.Banned {
		t.Error("still banned")
	}
	if got = must(users.Lock(ctx, ada.ID))(t); !got.Locked || got.LockoutExpiresInSeconds == nil || *got.LockoutExpiresInSeconds != 3600 {
		t.Errorf("locked: %s", got.Response.RawJSON)
	}
	if got = must(users.Unlock(ctx, ada.ID))(t); got.Locked || got.LockoutExpiresInSeconds != nil {
		t.Errorf("unlocked: %s", got.Response.RawJSON)
	}
	if gone := must(users.Delete(ctx, ada.ID))(t); !gone.Deleted || gone.ID != ada.ID || gone.Object != "user" {
		t.Errorf("deleted: %+v", gone)
	}
	_, err := users.Get(ctx, ada.ID)
	wantError(t, err, http.StatusNotFound, "resource_not_found")
	_, err = users.Create(ctx, &user.CreateParams{EmailAddresses: &[]string{"no address"}})
	refusal := wantError(t, err, http.StatusUnprocessableEntity, "form_param_format_invalid")
	if !strings.Contains(string(refusal.Errors[0].Meta), "email_address") {
		t.Errorf("meta %s", refusal.Errors[0].Meta)
	}
}

func TestSDKUserLists(t *testing.T) {
	t.Parallel()
	c, config := official(t, emulator.Options{Users: 30})
	users, ctx := user.NewClient(config), t.Context()
	ada := c.made("/v1/users", object{
		"email_address": []string{"ada@example.com"}, "phone_number": []string{"+15555550100"}, "web3_wallet": []string{"0x0000000000000000000000000000000000000001"}, "username": "ada_l",
		"first_name": "Ada", "last_name": "Zuse", "external_id": "cust_1", "created_at": "2020-01-01T00:00:00Z",
	})
	c.call("POST", "/v1/users/"+ada+"/ban", nil)
	org := c.organization("Acme", ada)
	for name, p := range map[string]user.ListParams{
		"email":        {EmailAddresses: []string{"ADA@example.com", "nobody@example.com"}},
		"phone":        {PhoneNumbers: []string{"+15555550100"}},
		"wallet":       {Web3Wallets: []string{"0x0000000000000000000000000000000000000001"}},
		"external id":  {ExternalIDs: []string{"cust_1"}},
		"username":     {Usernames: []string{"ada_l"}},
		"id":           {UserIDs: []string{ada}},
		"organization": {OrganizationIDs: []string{"+" + org}},
		"query":        {Query: new("ADA@")},
		"email query":  {EmailAddressQuery: new("ada@ex")},
		"phone query":  {PhoneNumberQuery: new("5550100")},
		"name query":   {NameQuery: new("a zus")},
		"user query":   {UsernameQuery: new("da_")},
		"banned":       {Banned: new(true)},
		"created":      {CreatedAtBefore: sdk.Int64(1577836800000), CreatedAtAfter: sdk.Int64(1577836800000)},
	} {
		list := must(users.List(ctx, &p))(t)
		count := must(users.Count(ctx, &p))(t)
		if len(list.Users) != 1 || list.Users[0].ID != ada || list.TotalCount != 1 || count.TotalCount != 1 {
			t.Errorf("%s: %d users, in all %d, counted %d; want Ada alone", name, len(list.Users), list.TotalCount, count.TotalCount)
		}
	}
	p := user.ListParams{OrderBy: new("+created_at")}
	p.Limit, p.Offset = sdk.Int64(7), sdk.Int64(28)
	list := must(users.List(ctx, &p))(t)
	if len(list.Users) != 3 || list.TotalCount != 31 {
		t.Errorf("the last page has %d of %d", len(list.Users), list.TotalCount)
	}
	memberships := must(users.ListOrganizationMemberships(ctx, ada, &user.ListOrganizationMembershipsParams{}))(t)
	if memberships.TotalCount != 1 || memberships.OrganizationMemberships[0].Organization.ID != org || memberships.OrganizationMemberships[0].Role != "org:admin" {
		t.Errorf("memberships %s", memberships.Response.RawJSON)
	}
	org = c.made("/v1/organizations", object{"name": "Second"})
	c.made("/v1/organizations/"+org+"/invitations", object{"email_address": "ada@example.com", "role": "org:member"})
	invitations := must(users.ListOrganizationInvitations(ctx, &user.ListOrganizationInvitationsParams{UserID: ada, Statuses: &[]string{"pending"}}))(t)
	if invitations.TotalCount != 1 || invitations.OrganizationInvitations[0].PublicOrganizationData.ID != org {
		t.Errorf("invitations %s", invitations.Response.RawJSON)
	}
}

func TestSDKSessions(t *testing.T) {
	t.Parallel()
	c, config := official(t, emulator.Options{})
	sessions, ctx := session.NewClient(config), t.Context()
	ada := c.user("ada@example.com")
	s := must(sessions.Create(ctx, &session.CreateParams{UserID: ada}))(t)
	c.signIn(ada, object{})
	got := must(sessions.Get(ctx, s.ID))(t)
	if got.Status != "active" || got.UserID != ada || got.ClientID == "" || got.ExpireAt <= got.CreatedAt || got.LatestActivity == nil {
		t.Errorf("session %s", got.Response.RawJSON)
	}
	token := must(sessions.CreateToken(ctx, &session.CreateTokenParams{ID: s.ID}))(t)
	if token.Object != "token" || strings.Count(token.JWT, ".") != 2 {
		t.Errorf("token %s", token.Response.RawJSON)
	}
	_, err := sessions.CreateToken(ctx, &session.CreateTokenParams{ID: s.ID, TemplateName: "backend"})
	wantError(t, err, http.StatusNotFound, "resource_not_found")
	c.made("/v1/jwt_templates", object{"name": "backend"})
	must(sessions.CreateToken(ctx, &session.CreateTokenParams{ID: s.ID, TemplateName: "backend", ExpiresInSeconds: sdk.Int64(120)}))(t)
	if got = must(sessions.Revoke(ctx, &session.RevokeParams{ID: s.ID}))(t); got.Status != "revoked" {
		t.Errorf("status %q", got.Status)
	}
	_, err = sessions.CreateToken(ctx, &session.CreateTokenParams{ID: s.ID})
	wantError(t, err, http.StatusUnprocessableEntity, "session_not_active")
	for status, want := range map[string]int{"": 2, "revoked": 1, "active": 1, "ended": 0} {
		p := session.ListParams{UserID: &ada, Status: &status}
		list := must(sessions.List(ctx, &p))(t)
		if len(list.Sessions) != want || list.TotalCount != int64(want) {
			t.Errorf("status %q: %d of %d sessions, want %d", status, len(list.Sessions), list.TotalCount, want)
		}
	}
	list := must(sessions.List(ctx, &session.ListParams{ClientID: &s.ClientID}))(t)
	if len(list.Sessions) != 1 || list.Sessions[0].ID != s.ID {
		t.Errorf("by client: %s", list.Response.RawJSON)
	}
	_, err = sessions.List(ctx, &session.ListParams{})
	wantError(t, err, http.StatusUnprocessableEntity, "form_param_missing")
}

func TestSDKOrganizations(t *testing.T) {
	t.Parallel()
	c, config := official(t, emulator.Options{})
	organizations, ctx := organization.NewClient(config), t.Context()
	ada := c.user("ada@example.com")
	acme := must(organizations.Create(ctx, &organization.CreateParams{Name: new("Acme Inc"), CreatedBy: &ada, PublicMetadata: metadata(`{"a":1}`)}))(t)
	other := must(organizations.Create(ctx, &organization.CreateParams{Name: new("Other"), Slug: new("second"), MaxAllowedMemberships: sdk.Int64(3)}))(t)
	if acme.Slug != "acme-inc" || acme.CreatedBy != ada || acme.MaxAllowedMemberships != 0 || other.MaxAllowedMemberships != 3 {
		t.Errorf("organizations %s %s", acme.Response.RawJSON, other.Response.RawJSON)
	}
	for _, name := range []string{acme.ID, acme.Slug} {
		if got := must(organizations.Get(ctx, name))(t); got.ID != acme.ID || got.MembersCount != nil {
			t.Errorf("by %s: %s", name, got.Response.RawJSON)
		}
	}
	got := must(organizations.GetWithParams(ctx, acme.ID, &organization.GetParams{IncludeMembersCount: new(true)}))(t)
	if got.MembersCount == nil || *got.MembersCount != 1 {
		t.Errorf("members of %s", got.Response.RawJSON)
	}
	got = must(organizations.Update(ctx, acme.ID, &organization.UpdateParams{Name: new("Acme"), Slug: new("acme"), AdminDeleteEnabled: new(false)}))(t)
	if got.Name != "Acme" || got.Slug != "acme" || got.AdminDeleteEnabled {
		t.Errorf("updated %s", got.Response.RawJSON)
	}
	_, err := organizations.Update(ctx, acme.ID, &organization.UpdateParams{Slug: new("second")})
	wantError(t, err, http.StatusUnprocessableEntity, "form_identifier_exists")
	got = must(organizations.UpdateMetadata(ctx, acme.ID, &organization.UpdateMetadataParams{PublicMetadata: metadata(`{"b":{"c":2}}`)}))(t)
	if string(got.PublicMetadata) != `{"a":1,"b":{"c":2}}` {
		t.Errorf("metadata %s", got.PublicMetadata)
	}
	list := must(organizations.List(ctx, &organization.ListParams{OrderBy: new("+name"), IncludeMembersCount: new(true)}))(t)
	if list.TotalCount != 2 || list.Organizations[0].ID != acme.ID || *list.Organizations[1].MembersCount != 0 {
		t.Errorf("list %s", list.Response.RawJSON)
	}
	for name, p := range map[string]organization.ListParams{
		"query": {Query: new("ACM")}, "user": {UserIDs: []string{ada}}, "most members": {OrderBy: new("-members_count")},
	} {
		if list := must(organizations.List(ctx, &p))(t); len(list.Organizations) == 0 || list.Organizations[0].ID != acme.ID {
			t.Errorf("%s: %s", name, list.Response.RawJSON)
		}
	}
	if gone := must(organizations.Delete(ctx, acme.ID))(t); !gone.Deleted || gone.Slug != "acme" || gone.Object != "organization" {
		t.Errorf("deleted %+v", gone)
	}
	_, err = organizations.Get(ctx, acme.ID)
	wantError(t, err, http.StatusNotFound, "resource_not_found")
}

func TestSDKMemberships(t *testing.T) {
	t.Parallel()
	c, config := official(t, emulator.Options{})
	memberships, ctx := organizationmembership.NewClient(config), t.Context()
	ada, bob := c.user("ada@example.com"), c.user("bob@example.com")
	org := c.organization("Acme", ada)
	params := organizationmembership.CreateParams{OrganizationID: org, UserID: &bob, Role: new("org:member")}
	m := must(memberships.Create(ctx, &params))(t)
	if m.PublicUserData.UserID != bob || m.PublicUserData.Identifier != "bob@example.com" || m.Organization.ID != org ||
		!slices.Contains(m.Permissions, "org:sys_memberships:read") {
		t.Errorf("membership %s", m.Response.RawJSON)
	}
	_, err := memberships.Create(ctx, &params)
	wantError(t, err, http.StatusBadRequest, "already_a_member_in_organization")
	m = must(memberships.Update(ctx, &organizationmembership.UpdateParams{OrganizationID: org, UserID: bob, Role: new("org:admin")}))(t)
	if m.Role != "org:admin" || m.RoleName != "Admin" || len(m.Permissions) != 9 {
		t.Errorf("membership %s", m.Response.RawJSON)
	}
	_, err = memberships.Update(ctx, &organizationmembership.UpdateParams{OrganizationID: org, UserID: bob, Role: new("org:nothing")})
	wantError(t, err, http.StatusNotFound, "resource_not_found")
	c.call("PATCH", "/v1/organizations/"+org+"/memberships/"+bob, object{"role": "org:member"})
	for name, p := range map[string]organizationmembership.ListParams{
		"role": {Roles: []string{"org:member"}}, "id": {UserIDs: []string{bob}}, "not Ada": {UserIDs: []string{"-" + ada}},
		"email": {EmailAddresses: []string{"bob@example.com"}}, "query": {Query: new("bob")},
	} {
		p.OrganizationID = org
		list := must(memberships.List(ctx, &p))(t)
		if list.TotalCount != 1 || list.OrganizationMemberships[0].ID != m.ID {
			t.Errorf("%s: %s", name, list.Response.RawJSON)
		}
	}
	list := must(memberships.List(ctx, &organizationmembership.ListParams{OrganizationID: org, OrderBy: new("+email_address")}))(t)
	if list.TotalCount != 2 || list.OrganizationMemberships[0].PublicUserData.UserID != ada {
		t.Errorf("ordered: %s", list.Response.RawJSON)
	}
	gone := must(memberships.Delete(ctx, &organizationmembership.DeleteParams{OrganizationID: org, UserID: bob}))(t)
	if gone.ID != m.ID || gone.PublicUserData.UserID != bob || gone.Organization.ID != org {
		t.Errorf("deleted %s", gone.Response.RawJSON)
	}
}

func TestSDKInvitationsAndDomains(t *testing.T) {
	t.Parallel()
	c, config := official(t, emulator.Options{})
	ctx, ada := t.Context(), c.user("ada@example.com")
	org := c.organization("Acme", ada)
	inside := organizationinvitation.NewClient(config)
	i := must(inside.Create(ctx, &organizationinvitation.CreateParams{
		OrganizationID: org, EmailAddress: new("bob@example.com"), Role: new("org:member"), InviterUserID: &ada, ExpiresInDays: sdk.Int64(2),
	}))(t)
	if i.Status != "pending" || i.URL == "" || *i.ExpiresAt-i.CreatedAt != 2*24*3600*1000 {
		t.Errorf("invitation %s", i.Response.RawJSON)
	}
	must(inside.Get(ctx, &organizationinvitation.GetParams{OrganizationID: org, ID: i.ID}))(t)
	list := must(inside.List(ctx, &organizationinvitation.ListParams{OrganizationID: org, Statuses: &[]string{"pending"}, EmailAddress: new("bob@example.com")}))(t)
	all := must(inside.ListFromInstance(ctx, &organizationinvitation.ListFromInstanceParams{Query: new("bob"), OrderBy: new("email_address")}))(t)
	if list.TotalCount != 1 || all.TotalCount != 1 || all.OrganizationInvitations[0].ID != i.ID {
		t.Errorf("lists %s %s", list.Response.RawJSON, all.Response.RawJSON)
	}
	if i = must(inside.Revoke(ctx, &organizationinvitation.RevokeParams{OrganizationID: org, ID: i.ID, RequestingUserID: &ada}))(t); i.Status != "revoked" || i.URL != "" {
		t.Errorf("revoked %s", i.Response.RawJSON)
	}

	domains := organizationdomain.NewClient(config)
	d := must(domains.Create(ctx, org, &organizationdomain.CreateParams{Name: new("acme.example"), EnrollmentMode: new("automatic_invitation"), Verified: new(true)}))(t)
	if d.OrganizationID != org || d.Verification.Status != "verified" {
		t.Errorf("domain %s", d.Response.RawJSON)
	}
	d = must(domains.Update(ctx, &organizationdomain.UpdateParams{OrganizationID: org, DomainID: d.ID, EnrollmentMode: new("automatic_suggestion")}))(t)
	found := must(domains.List(ctx, org, &organizationdomain.ListParams{Verified: new(true), EnrollmentModes: &[]string{"automatic_suggestion"}}))(t)
	if found.TotalCount != 1 || found.OrganizationDomains[0].ID != d.ID {
		t.Errorf("domains %s", found.Response.RawJSON)
	}
	if gone := must(domains.Delete(ctx, &organizationdomain.DeleteParams{OrganizationID: org, DomainID: d.ID}))(t); !gone.Deleted {
		t.Error("not deleted")
	}

	outside := invitation.NewClient(config)
	o := must(outside.Create(ctx, &invitation.CreateParams{EmailAddress: "new@example.com", ExpiresInDays: sdk.Int64(1), PublicMetadata: metadata(`{"a":1}`)}))(t)
	_, err := outside.Create(ctx, &invitation.CreateParams{EmailAddress: "new@example.com"})
	wantError(t, err, http.StatusBadRequest, "duplicate_record")
	_, err = outside.Create(ctx, &invitation.CreateParams{EmailAddress: "ada@example.com"})
	wantError(t, err, http.StatusUnprocessableEntity, "form_identifier_exists")
	if o = must(outside.Revoke(ctx, o.ID))(t); o.Status != "revoked" || !o.Revoked {
		t.Errorf("revoked %s", o.Response.RawJSON)
	}
	if list := must(outside.List(ctx, &invitation.ListParams{Statuses: []string{"revoked"}}))(t); list.TotalCount != 1 || list.Invitations[0].ID != o.ID {
		t.Errorf("invitations %s", list.Response.RawJSON)
	}
}

func TestSDKTemplatesAndTokens(t *testing.T) {
	t.Parallel()
	c, config := official(t, emulator.Options{})
	ctx, ada := t.Context(), c.user("ada@example.com")
	templates := jwttemplate.NewClient(config)
	j := must(templates.Create(ctx, &jwttemplate.CreateParams{Name: new("backend"), Claims: json.RawMessage(`{"role":"{{user.id}}"}`), Lifetime: sdk.Int64(90)}))(t)
	j = must(templates.Update(ctx, j.ID, &jwttemplate.UpdateParams{Name: new("backend2"), AllowedClockSkew: sdk.Int64(9)}))(t)
	if got := must(templates.Get(ctx, j.ID))(t); got.Name != "backend2" || got.Lifetime != 90 || got.AllowedClockSkew != 9 || got.SigningAlgorithm != "RS256" {
		t.Errorf("template %s", got.Response.RawJSON)
	}
	if list := must(templates.List(ctx, &jwttemplate.ListParams{}))(t); list.TotalCount != 1 || list.JWTTemplates[0].ID != j.ID {
		t.Errorf("templates %s", list.Response.RawJSON)
	}
	if gone := must(templates.Delete(ctx, j.ID))(t); !gone.Deleted {
		t.Error("not deleted")
	}
	if token := must(testingtoken.NewClient(config).Create(ctx))(t); token.ExpiresAt > 1e11 || !strings.Contains(token.Token, "-c_") {
		t.Errorf("testing token %s", token.Response.RawJSON)
	}
	actors := actortoken.NewClient(config)
	a := must(actors.Create(ctx, &actortoken.CreateParams{UserID: &ada, Actor: json.RawMessage(`{"sub":"user_admin"}`), ExpiresInSeconds: sdk.Int64(60)}))(t)
	if a.Status != "pending" || a.Token == "" || a.URL == nil {
		t.Errorf("actor token %s", a.Response.RawJSON)
	}
	if a = must(actors.Revoke(ctx, a.ID))(t); a.Status != "revoked" {
		t.Errorf("status %q", a.Status)
	}
	set := must(jwks.NewClient(config).Get(ctx, &jwks.GetParams{}))(t)
	if len(set.Keys) != 1 || set.Keys[0].KeyID != c.ID || set.Keys[0].Algorithm != "RS256" {
		t.Errorf("jwks %s", set.Response.RawJSON)
	}
}

func TestSDKSeesRetryAfter(t *testing.T) {
	t.Parallel()
	_, config := official(t, emulator.Options{RateLimit: 2})
	organizations := organization.NewClient(config)
	for range 2 {
		must(organizations.List(t.Context(), &organization.ListParams{}))(t)
	}
	_, err := organizations.List(t.Context(), &organization.ListParams{})
	refusal := wantError(t, err, http.StatusTooManyRequests, "too_many_requests")
	if wait, err := strconv.Atoi(refusal.Response.Header.Get("Retry-After")); err != nil || wait < 1 || wait > 10 {
		t.Errorf("Retry-After %q, want what is left of ten seconds", refusal.Response.Header.Get("Retry-After"))
	}
	must(jwks.NewClient(config).Get(t.Context(), &jwks.GetParams{}))(t)
}
