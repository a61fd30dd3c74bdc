package postgres_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/postgres"
)

// tenants is a mirror with the functions for row-level security, and an application's table of
// deals. Ada is an admin of A, Bob a viewer of A, Eve an admin of B.
type tenants struct {
	*testing.T
	clerk         *clerktest.Clerk
	m             *clerksync.Mirror
	db            *postgres.DB
	dsn, role     string
	appDSN        string
	owner, app    *pgx.Conn // the owner of all tables, and the application's role
	ada, bob, eve string
	a, b          string // organizations
}

func newTenants(t *testing.T) *tenants {
	t.Helper()
	x := &tenants{T: t, clerk: clerktest.New(t), dsn: inPublic(testenv.Postgres(t))}
	var err error
	x.db, err = postgres.Open(x.dsn)
	x.must(err)
	x.m, err = clerksync.New(t.Context(), x.db, x.clerk.Config())
	x.must(err)
	t.Cleanup(func() { _ = x.m.Close() })
	x.clerk.SendTo(x.m.WebhookHandler())
	x.clerk.Call("POST", "/v1/organization_permissions", map[string]any{"name": "Write deals", "key": "org:deals:write"}, nil)
	x.clerk.Call("POST", "/v1/organization_roles", map[string]any{"name": "Viewer", "key": "org:viewer", "description": "reads"}, nil)
	x.clerk.Call("POST", "/v1/organization_roles/"+x.idOf("roles", "org:admin")+"/permissions/"+x.idOf("permissions", "org:deals:write"), nil, nil)
	x.ada = x.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
	x.bob = x.clerk.CreateUser(clerktest.User{Email: "bob@example.com"})
	x.eve = x.clerk.CreateUser(clerktest.User{Email: "eve@example.com"})
	x.a = x.clerk.CreateOrganization("A", x.ada)
	x.b = x.clerk.CreateOrganization("B", x.eve)
	x.clerk.AddMember(x.a, x.bob, "org:viewer")
	x.heard()
	x.owner = x.connect(x.dsn)
	x.makeRole()
	x.must(x.db.InstallRLS(t.Context(), x.role))
	x.exec(x.owner, `CREATE TABLE deals (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, clerk_organization_id text NOT NULL, title text NOT NULL);
		CREATE INDEX deals_organization ON deals (clerk_organization_id);
		ALTER TABLE deals ENABLE ROW LEVEL SECURITY;
		CREATE POLICY deals_read ON deals FOR SELECT USING (clerk_organization_id = (SELECT clerksync.org_id()));
		CREATE POLICY deals_write ON deals USING (clerk_organization_id = (SELECT clerksync.org_id()) AND (SELECT clerksync.has_permission('org:deals:write')));
		GRANT SELECT, INSERT, UPDATE, DELETE ON deals TO `+x.role)
	x.exec(x.owner, "INSERT INTO deals (clerk_organization_id, title) VALUES ($1, 'a1'), ($1, 'a2'), ($2, 'b1')", x.a, x.b)
	return x
}

// inPublic makes a connection use the schema public even if its role is called clerksync.
func inPublic(dsn string) string { return withPath(dsn, "public") }

// withPath adds a search_path to the URL of a database.
func withPath(dsn, path string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		panic(err)
	}
	q := u.Query()
	q.Set("search_path", path)
	u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20") // Postgres reads + as it is
	return u.String()
}

// idOf returns the id of an organization role or permission.
func (x *tenants) idOf(list, key string) string {
	x.Helper()
	var all struct {
		Data []struct{ ID, Key string }
	}
	x.clerk.Call("GET", "/v1/organization_"+list+"?limit=100", nil, &all)
	for _, one := range all.Data {
		if one.Key == key {
			return one.ID
		}
	}
	x.Fatalf("there is no %s in the %s", key, list)
	return ""
}

func (x *tenants) must(err error) {
	x.Helper()
	if err != nil {
		x.Fatal(err)
	}
}

func (x *tenants) exec(c *pgx.Conn, text string, args ...any) {
	x.Helper()
	if len(args) == 0 {
		args = []any{pgx.QueryExecModeSimpleProtocol} // for several statements
	}
	_, err := c.Exec(x.Context(), text, args...)
	x.must(err)
}

func (x *tenants) connect(dsn string) *pgx.Conn {
	x.Helper()
	c, err := pgx.Connect(x.Context(), dsn)
	x.must(err)
	x.Cleanup(func() { _ = c.Close(context.WithoutCancel(x.Context())) })
	return c
}

// makeRole makes the application's role, which owns nothing and has no right on the mirror's
// tables.
func (x *tenants) makeRole() {
	x.Helper()
	x.role = "rls_" + strings.ToLower(rand.Text()[:16])
	password := rand.Text()
	x.exec(x.owner, "CREATE ROLE "+x.role+" LOGIN PASSWORD '"+password+"'")
	x.Cleanup(func() {
		c, err := pgx.Connect(context.WithoutCancel(x.Context()), x.dsn)
		x.must(err)
		_, err = c.Exec(context.WithoutCancel(x.Context()), "DROP OWNED BY "+x.role+"; DROP ROLE "+x.role, pgx.QueryExecModeSimpleProtocol)
		x.must(err)
		x.must(c.Close(context.WithoutCancel(x.Context())))
	})
	u, err := url.Parse(x.dsn)
	x.must(err)
	u.User = url.UserPassword(x.role, password)
	x.appDSN = u.String()
	x.app = x.connect(x.appDSN)
}

// heard waits until all events are applied, and what they left in doubt is read from Clerk.
func (x *tenants) heard() {
	x.Helper()
	x.clerk.Settle()
	_, err := x.m.Sync().Backfill(x.Context(), nil)
	x.must(err)
}

// identity is who a transaction claims to be: settings and their values.
type identity map[string]string

// set is an application that has verified who asks.
func set(user, organization string) identity {
	return identity{"clerksync.user_id": user, "clerksync.org_id": organization}
}

// token is what PostgREST sets for a token of the instance.
func (x *tenants) token(options clerktest.TokenOptions) identity {
	x.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(x.clerk.TokenFor(options), ".")[1])
	x.must(err)
	return identity{"request.jwt.claims": string(payload)}
}

// claims is a token with these claims.
func (x *tenants) claims(values map[string]any) identity {
	x.Helper()
	text, err := json.Marshal(values)
	x.must(err)
	return identity{"request.jwt.claims": string(text)}
}

// as runs work in a transaction of the application's role, and rolls it back.
func (x *tenants) as(who identity, work func(pgx.Tx) error) error {
	x.Helper()
	tx, err := x.app.Begin(x.Context())
	x.must(err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(x.Context())) }()
	for name, value := range who {
		_, err := tx.Exec(x.Context(), "SELECT set_config($1, $2, true)", name, value)
		x.must(err)
	}
	return work(tx)
}

// reads returns the deals that someone reads.
func (x *tenants) reads(who identity) (titles string) {
	x.Helper()
	x.must(x.as(who, func(tx pgx.Tx) error {
		return tx.QueryRow(x.Context(), "SELECT COALESCE(string_agg(title, ' ' ORDER BY title), '') FROM deals").Scan(&titles)
	}))
	return titles
}

// wantReads fails unless someone reads these deals.
func (x *tenants) wantReads(name string, who identity, want string) {
	x.Helper()
	if got := x.reads(who); got != want {
		x.Errorf("%s reads %q, want %q", name, got, want)
	}
}

// value returns what an expression is for someone, as text; NULL is "-".
func (x *tenants) value(who identity, expression string, args ...any) (text string) {
	x.Helper()
	x.must(x.as(who, func(tx pgx.Tx) error {
		return tx.QueryRow(x.Context(), "SELECT COALESCE(("+expression+")::text, '-')", args...).Scan(&text)
	}))
	return text
}

// both returns a token and settings for a member and the organization that the member has chosen.
func (x *tenants) both(user, organization string) map[string]identity {
	x.Helper()
	return map[string]identity{
		"settings": set(user, organization),
		"v2 token": x.claims(map[string]any{"v": 2, "sub": user, "o": map[string]any{"id": organization, "rol": "admin"}}),
		"v1 token": x.claims(map[string]any{"sub": user, "org_id": organization, "org_role": "org:admin"}),
	}
}
