package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/postgres"
)

// wantError fails unless an error has a text.
func wantError(t *testing.T, what string, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: %v, want %q", what, err, text)
	}
}

// number returns what a query counts.
func (x *tenants) number(text string, args ...any) (n int) {
	x.Helper()
	x.must(x.owner.QueryRow(x.Context(), text, args...).Scan(&n))
	return n
}

const countFunctions = "SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'clerksync'"

// outdated reports whether the doctor finds the functions to be of another version.
func (x *tenants) outdated() bool {
	x.Helper()
	db, err := postgres.Open(x.dsn)
	x.must(err)
	for _, f := range clerksync.Diagnose(x.Context(), db, x.clerk.Config(), clerksync.DoctorOptions{}) {
		if strings.Contains(f.Text, "functions for row-level security") {
			return f.Severity == mirror.FindingWarning && strings.Contains(f.Remedy, "InstallRLS")
		}
	}
	return false
}

func TestRLSIsUpgradedAndRemoved(t *testing.T) {
	t.Parallel()
	x := newTenants(t)
	ctx := t.Context()
	for range 2 {
		x.must(x.db.InstallRLS(ctx))
	}
	x.wantReads("a member, whose role keeps its rights", set(x.ada, x.a), "a1 a2")
	if x.outdated() {
		t.Error("the doctor takes the functions of this version for others")
	}
	x.exec(x.owner, `CREATE OR REPLACE FUNCTION clerksync.user_id() RETURNS text LANGUAGE sql AS 'SELECT NULL::text';
		COMMENT ON FUNCTION clerksync.user_id() IS 'clerksync: for the mirror in "public", text 0000000000000000'`)
	x.wantReads("a member, with an old function", set(x.ada, x.a), "")
	if !x.outdated() {
		t.Error("the doctor does not see that the functions are of another version")
	}
	x.must(x.db.InstallRLS(ctx))
	x.wantReads("a member, with the new function", set(x.ada, x.a), "a1 a2")
	wantError(t, "a role that does not exist", x.db.InstallRLS(ctx, `no"such`), "does not exist")
	wantError(t, "PUBLIC, which is no role", x.db.InstallRLS(ctx, "PUBLIC"), "does not exist")

	x.exec(x.owner, "ALTER TABLE deals ALTER title SET DEFAULT clerksync.user_id()")
	err := x.db.RemoveRLS(ctx)
	wantError(t, "removal with policies", err, "policy deals_read on table deals, policy deals_write on table deals")
	wantError(t, "removal with a default", err, "default value for column title")
	x.wantReads("a member after the refused removal", set(x.ada, x.a), "a1 a2")
	x.exec(x.owner, "DROP TABLE deals; CREATE TABLE clerksync.other (a int)")
	x.must(x.db.RemoveRLS(ctx))
	if n := x.number(countFunctions); n != 0 {
		t.Errorf("%d functions are left", n)
	}
	if n := x.number("SELECT count(*) FROM pg_namespace WHERE nspname = 'clerksync'"); n != 1 {
		t.Error("the schema is gone with a table of someone else")
	}
	x.exec(x.owner, "DROP TABLE clerksync.other")
	x.must(x.db.InstallRLS(ctx))
	x.must(x.db.RemoveRLS(ctx))
	x.must(x.db.RemoveRLS(ctx)) // nothing is left to do
	if n := x.number("SELECT count(*) FROM pg_namespace WHERE nspname = 'clerksync'"); n != 0 {
		t.Error("the empty schema is left")
	}
}

// A role that owns the schema, or a function in it, could replace what policies call.
func TestRLSIsNotInstalledInAStrangersSchema(t *testing.T) {
	t.Parallel()
	x := newTenants(t)
	x.exec(x.owner, "DROP TABLE deals")
	x.must(x.db.RemoveRLS(t.Context()))
	x.exec(x.owner, "CREATE SCHEMA clerksync AUTHORIZATION "+x.role)
	wantError(t, "a stranger's schema", x.db.InstallRLS(t.Context()), "belongs to the role "+x.role)
	x.exec(x.app, "CREATE FUNCTION clerksync.user_id() RETURNS text LANGUAGE sql AS 'SELECT NULL::text'")
	x.exec(x.owner, "ALTER SCHEMA clerksync OWNER TO CURRENT_USER")
	wantError(t, "a stranger's function", x.db.InstallRLS(t.Context()), "belongs to the role "+x.role)
	if n := x.number(countFunctions); n != 1 {
		t.Errorf("%d functions were made", n-1)
	}
	x.exec(x.owner, "DROP FUNCTION clerksync.user_id()")
	x.must(x.db.InstallRLS(t.Context()))
}

// The mirror's tables may be in any schema, also in that of the functions. Of two mirrors in one
// database, the functions read the one that they were installed for.
func TestRLSOfAMirrorInAnotherSchema(t *testing.T) {
	t.Parallel()
	dsn := testenv.Postgres(t)
	admin, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	if _, err := admin.Exec(t.Context(), `CREATE SCHEMA "odd ""name"; CREATE SCHEMA clerksync`, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	open := func(path string) *postgres.DB {
		db, err := postgres.Open(withPath(dsn, path))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		wantError(t, path+" without a mirror", db.InstallRLS(t.Context()), "there is no mirror")
		if err := clerksync.Migrate(t.Context(), db, clerksync.Config{}); err != nil {
			t.Fatal(err)
		}
		return db
	}
	odd, same := open(`"odd ""name"`), open("clerksync")
	for _, db := range []*postgres.DB{odd, same} {
		if err := db.InstallRLS(t.Context()); err != nil {
			t.Fatal(err)
		}
		var user *string
		var members bool
		if err := admin.QueryRow(t.Context(), "SELECT clerksync.user_id(), clerksync.is_member('x')").Scan(&user, &members); err != nil || user != nil || members {
			t.Errorf("%v %v, %v", user, members, err)
		}
		if db == odd {
			wantError(t, "the other mirror", same.InstallRLS(t.Context()), "are not those of the mirror in the schema clerksync")
		}
		if err := db.RemoveRLS(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var tables int
	if err := admin.QueryRow(t.Context(), "SELECT count(*) FROM pg_tables WHERE schemaname = 'clerksync' AND tablename = 'clerk_users'").Scan(&tables); err != nil || tables != 1 {
		t.Errorf("the mirror in the schema clerksync has %d tables of users, %v", tables, err)
	}
}

// A role that is called clerksync would make its tables next to the functions.
func TestRLSDoesNotMoveTheMirror(t *testing.T) {
	t.Parallel()
	db, err := postgres.Open(withPath(testenv.Postgres(t), "clerksync, public")) // as "$user" leads to
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := clerksync.Migrate(t.Context(), db, clerksync.Config{}); err != nil {
		t.Fatal(err)
	}
	wantError(t, "a search_path that begins with clerksync", db.InstallRLS(t.Context()), "add search_path=public to DATABASE_URL")
	if err := clerksync.Migrate(t.Context(), db, clerksync.Config{}); err != nil {
		t.Error(err)
	}
}

// A role that may only read the mirror needs no right on the functions.
func TestMirrorThatOnlyReadsNextToRLS(t *testing.T) {
	t.Parallel()
	x := newTenants(t)
	x.exec(x.owner, "REVOKE USAGE ON SCHEMA clerksync FROM "+x.role+"; GRANT SELECT ON ALL TABLES IN SCHEMA public TO "+x.role)
	for name, use := range map[string]func(*postgres.DB) error{
		"a mirror": func(db *postgres.DB) error {
			m, err := clerksync.New(t.Context(), db, x.clerk.Config())
			if err == nil {
				err = m.Close()
			}
			return err
		},
		"the doctor": func(db *postgres.DB) (err error) {
			for _, f := range clerksync.Diagnose(t.Context(), db, x.clerk.Config(), clerksync.DoctorOptions{}) {
				if f.Check == "database" && f.Severity == mirror.FindingFailure && !strings.Contains(f.Text, "read-only") {
					err = errors.New(f.Text)
				}
			}
			return err
		},
	} {
		db, err := postgres.OpenReadOnly(x.appDSN)
		x.must(err)
		if err := use(db); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	db, err := postgres.OpenReadOnly(x.dsn)
	x.must(err)
	defer db.Close()
	wantError(t, "a handle that only reads", db.InstallRLS(t.Context()), "read only")
	wantError(t, "a handle that only reads", db.RemoveRLS(t.Context()), "read only")
}
