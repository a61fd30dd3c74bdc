package postgres_test

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/clerksync/clerksync/clerktest"
)

func TestRowsOfOtherOrganizationsAreHidden(t *testing.T) {
	t.Parallel()
	x := newTenants(t)
	for name, who := range x.both(x.ada, x.a) {
		x.wantReads("a member of A by "+name, who, "a1 a2")
	}
	for name, who := range x.both(x.ada, x.b) {
		x.wantReads("a member of A who claims B by "+name, who, "")
	}
	for name, who := range x.both(x.eve, x.b) {
		x.wantReads("a member of B by "+name, who, "b1")
	}
	for name, who := range x.both(x.ada, "") {
		x.wantReads("a member who has chosen none by "+name, who, "")
	}
	for _, version := range []int{1, 2} {
		x.wantReads("a token of the instance", x.token(clerktest.TokenOptions{UserID: x.bob, OrganizationID: x.a, Version: version}), "a1 a2")
	}
	x.wantReads("nobody", nil, "")
	x.wantReads("an unknown user", set("user_none", x.a), "")
	x.wantReads("an organization alone", set("", x.a), "")
	x.wantReads("an anonymous request of PostgREST", x.claims(map[string]any{"role": "anon"}), "")
}

// What a stored fact takes away is taken away, whatever the claims say.
func TestStoredFactsTakeRowsAway(t *testing.T) {
	t.Parallel()
	x := newTenants(t)
	for name, lose := range map[string]func(user, organization string){
		"a removed member":       func(user, organization string) { x.clerk.RemoveMember(organization, user) },
		"a banned user":          func(user, _ string) { x.clerk.Ban(user) },
		"a locked user":          func(user, _ string) { x.clerk.Lock(user) },
		"a deleted user":         func(user, _ string) { x.clerk.DeleteUser(user) },
		"a deleted organization": func(_, organization string) { x.clerk.DeleteOrganization(organization) },
		"a membership in doubt": func(user, _ string) {
			x.doubt("organization_membership", "clerk_memberships", "clerk_user_id", user)
		},
		"a membership that is a stub": func(user, _ string) {
			x.exec(x.owner, "UPDATE clerk_memberships SET sync_rank = 0 WHERE clerk_user_id = $1", user)
		},
	} {
		organization := x.clerk.CreateOrganization("C", x.ada)
		user := x.clerk.CreateUser(clerktest.User{Username: "u" + strings.ToLower(rand.Text())})
		x.clerk.AddMember(organization, user, "org:viewer")
		x.clerk.Settle()
		x.exec(x.owner, "INSERT INTO deals (clerk_organization_id, title) VALUES ($1, 'c1')", organization)
		for how, who := range x.both(user, organization) {
			x.wantReads("before "+name+" by "+how, who, "c1")
		}
		lose(user, organization)
		x.clerk.Settle()
		for how, who := range x.both(user, organization) {
			x.wantReads(name+" by "+how, who, "")
			if got := x.value(who, "concat(clerksync.org_id(), clerksync.is_member($1), clerksync.has_role($1, 'org:viewer'), clerksync.org_ids())", organization); got != "ff{}" {
				x.Errorf("%s by %s: %s", name, how, got)
			}
		}
	}
	for how, who := range x.both(x.bob, x.a) {
		x.wantReads("another member by "+how, who, "a1 a2")
	}
}

// doubt puts an object into the verify queue.
func (x *tenants) doubt(kind, table, column, value string) {
	x.Helper()
	id := map[string]string{"organization_membership": "clerk_membership_id", "role": "clerk_role_id", "permission": "clerk_permission_id"}[kind]
	x.exec(x.owner, "INSERT INTO clerk_verify (kind, id, reason, queued_write, queued_at) SELECT '"+kind+"', "+id+", 'altered', 1, 1 FROM "+table+
		" WHERE "+column+" = $1", value)
}

// A session that has ended, or is another user's, is nobody's; one that is not stored yet is its
// user's, because the token proves it.
func TestEndedSessionsReadNothing(t *testing.T) {
	t.Parallel()
	x := newTenants(t)
	session, other := x.clerk.SignIn(x.bob), x.clerk.SignIn(x.eve)
	x.clerk.Settle()
	in := func(session string) []identity {
		who := set(x.bob, x.a)
		who["clerksync.session_id"] = session
		return []identity{who, x.claims(map[string]any{"v": 2, "sub": x.bob, "sid": session, "o": map[string]any{"id": x.a}})}
	}
	for _, who := range in(session) {
		x.wantReads("an active session", who, "a1 a2")
	}
	for _, who := range in("sess_of_this_second") {
		x.wantReads("a session that is not stored yet", who, "a1 a2")
	}
	for _, who := range in(other) {
		x.wantReads("another user's session", who, "")
	}
	x.clerk.Revoke(session)
	x.clerk.Settle()
	for _, who := range in(session) {
		x.wantReads("a revoked session", who, "")
		if got := x.value(who, "clerksync.user_id()"); got != "-" {
			t.Errorf("a revoked session is of %s", got)
		}
	}
	x.wantReads("a session with open tasks", x.token(clerktest.TokenOptions{UserID: x.ada, OrganizationID: x.a, Pending: true}), "")
}

func TestWritesNeedThePermission(t *testing.T) {
	t.Parallel()
	x := newTenants(t)
	insert := func(who identity, organization string) error {
		return x.as(who, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), "INSERT INTO deals (clerk_organization_id, title) VALUES ($1, 'new')", organization)
			return err
		})
	}
	changed := func(who identity) (n int64) {
		x.must(x.as(who, func(tx pgx.Tx) error {
			tag, err := tx.Exec(t.Context(), "UPDATE deals SET title = title || '!'")
			n = tag.RowsAffected()
			return err
		}))
		return n
	}
	for how, who := range x.both(x.ada, x.a) {
		if err := insert(who, x.a); err != nil || changed(who) != 2 {
			t.Errorf("an admin by %s cannot write: %v", how, err)
		}
		if err := insert(who, x.b); err == nil {
			t.Errorf("an admin of A by %s wrote to B", how)
		}
	}
	for how, who := range x.both(x.bob, x.a) { // also where the token says that he is an admin
		if err := insert(who, x.a); err == nil || changed(who) != 0 {
			t.Errorf("a viewer by %s wrote: %v", how, err)
		}
		if got := x.reads(who); got != "a1 a2" {
			t.Errorf("a viewer by %s reads %q", how, got)
		}
	}
	x.doubt("role", "clerk_roles", "role_key", "org:admin")
	if err := insert(set(x.ada, x.a), x.a); err == nil {
		t.Error("an admin wrote while the role was in doubt")
	}
	x.wantReads("a member whose role is in doubt", set(x.ada, x.a), "a1 a2")
}

func TestFunctionsOfRolesAndPermissions(t *testing.T) {
	t.Parallel()
	x := newTenants(t)
	x.clerk.AddMember(x.b, x.ada, "org:viewer")
	x.heard()
	ids := []string{x.a, x.b}
	slices.Sort(ids)
	ada := set(x.ada, x.a)
	for expression, want := range map[string]string{
		"clerksync.user_id()": x.ada,
		"clerksync.org_id()":  x.a,
		"(SELECT array_agg(o ORDER BY o) FROM unnest(clerksync.org_ids()) o)":                         "{" + strings.Join(ids, ",") + "}",
		"clerksync.is_member('" + x.b + "')":                                                          "true",
		"clerksync.is_member('org_none')":                                                             "false",
		"clerksync.is_member(NULL)":                                                                   "false",
		"clerksync.has_role('org:admin')":                                                             "true",
		"clerksync.has_role('admin')":                                                                 "true",
		"clerksync.has_role('org:viewer')":                                                            "false",
		"clerksync.has_role('')":                                                                      "false",
		"clerksync.has_role(NULL)":                                                                    "false",
		"clerksync.has_role('" + x.b + "', 'org:viewer')":                                             "true",
		"clerksync.has_role('" + x.b + "', 'org:admin')":                                              "false",
		"clerksync.has_permission('org:deals:write')":                                                 "true",
		"clerksync.has_permission('org:deals:delete')":                                                "false",
		"clerksync.has_permission(NULL)":                                                              "false",
		"clerksync.has_permission('" + x.b + "', 'org:deals:write')":                                  "false",
		"clerksync.has_permission('" + x.a + "', 'org:deals:write')":                                  "true",
		"clerksync.compared_within('1 hour')":                                                         "true",
		"clerksync.compared_within('0 seconds')":                                                      "false",
		"clerksync.compared_within(NULL)":                                                             "false",
		"concat(clerksync.has_role(NULL, 'org:admin'), clerksync.has_permission(NULL, 'org:x:read'))": "ff",
	} {
		if got := x.value(ada, expression); got != want {
			t.Errorf("%s is %s, want %s", expression, got, want)
		}
	}
	for expression, want := range map[string]string{
		"concat(clerksync.user_id(), clerksync.org_id())": "",
		"clerksync.org_ids()":                             "{}",
		"concat(clerksync.is_member('" + x.a + "'), clerksync.has_role('org:admin'), clerksync.has_permission('org:deals:write'))": "fff",
	} {
		if got := x.value(nil, expression); got != want {
			t.Errorf("for nobody, %s is %s, want %s", expression, got, want)
		}
	}
	x.exec(x.owner, "UPDATE clerk_meta SET value = (extract(epoch FROM now()) * 1000 + 60000)::bigint::text WHERE name = 'proven_from'")
	x.exec(x.owner, "INSERT INTO clerk_meta (name, value) VALUES ('proven_from', (extract(epoch FROM now()) * 1000 + 60000)::bigint::text) ON CONFLICT DO NOTHING")
	if got := x.value(ada, "clerksync.compared_within('1 hour')"); got != "false" {
		t.Error("a comparison from before a gap counts")
	}
}

// A permission is taken from a role, and with it from all members.
func TestPermissionsFollowTheRole(t *testing.T) {
	t.Parallel()
	x := newTenants(t)
	if got := x.value(set(x.ada, x.a), "clerksync.has_permission('org:deals:write')"); got != "true" {
		t.Fatal(got)
	}
	x.clerk.Call("DELETE", "/v1/organization_permissions/"+x.idOf("permissions", "org:deals:write"), nil, nil)
	x.heard()
	if got := x.value(set(x.ada, x.a), "clerksync.has_permission('org:deals:write')"); got != "false" {
		t.Error("a permission that was deleted is still had")
	}
}

// A lock that ends by itself ends here, too.
func TestLocksEnd(t *testing.T) {
	t.Parallel()
	x := newTenants(t)
	for _, until := range []struct {
		at   int64
		want string
	}{{0, ""}, {time.Now().Add(time.Hour).UnixMilli(), ""}, {time.Now().Add(-time.Second).UnixMilli(), "a1 a2"}} {
		x.exec(x.owner, "UPDATE clerk_users SET locked = 1, locked_until = NULLIF($2::bigint, 0) WHERE clerk_user_id = $1", x.bob, until.at)
		x.wantReads("a locked user", set(x.bob, x.a), until.want)
	}
}
