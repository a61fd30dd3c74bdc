package postgres_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/clerksync/clerksync/internal/testenv"
)

// Claims that cannot be read are no claims, and no error shows them.
func TestMalformedClaimsReadNothing(t *testing.T) {
	t.Parallel()
	x := newTenants(t)
	good := fmt.Sprintf(`"sub":%q,"v":2,"o":{"id":%q}`, x.ada, x.a)
	x.wantReads("a member", identity{"request.jwt.claims": "{" + good + "}"}, "a1 a2")
	for name, text := range map[string]string{
		"no JSON":                     "{" + good,
		"text behind":                 "{" + good + "} x",
		"a string":                    `"` + x.ada + `"`,
		"a number":                    "1",
		"null":                        "null",
		"an array":                    "[{" + good + "}]",
		"a bare id":                   x.ada,
		"sub as a number":             fmt.Sprintf(`{"sub":1,"org_id":%q}`, x.a),
		"sub as an array":             fmt.Sprintf(`{"sub":[%q],"org_id":%q}`, x.ada, x.a),
		"sub as null":                 fmt.Sprintf(`{"sub":null,"org_id":%q}`, x.a),
		"an empty sub":                fmt.Sprintf(`{"sub":"","org_id":%q}`, x.a),
		"no sub":                      fmt.Sprintf(`{"org_id":%q}`, x.a),
		"the last of two subs counts": fmt.Sprintf(`{"sub":%q,"sub":"user_none","org_id":%q}`, x.ada, x.a),
		"o as a text":                 fmt.Sprintf(`{"sub":%q,"v":2,"o":%q}`, x.ada, x.a),
		"o.id as an array":            fmt.Sprintf(`{"sub":%q,"v":2,"o":{"id":[%q]}}`, x.ada, x.a),
		"org_id in version 2":         fmt.Sprintf(`{"sub":%q,"v":2,"org_id":%q}`, x.ada, x.a),
		"o in version 1":              fmt.Sprintf(`{"sub":%q,"o":{"id":%q}}`, x.ada, x.a),
		"a version as a text":         fmt.Sprintf(`{"sub":%q,"v":"2","o":{"id":%q}}`, x.ada, x.a),
		"sid as a number":             "{" + good + `,"sid":1}`,
		"sid as null":                 "{" + good + `,"sid":null}`,
		"open tasks":                  "{" + good + `,"sts":"pending"}`,
		"sts as a number":             "{" + good + `,"sts":1}`,
		"exp as a text":               "{" + good + `,"exp":"4102444800"}`,
		"expired":                     "{" + good + fmt.Sprintf(`,"exp":%d}`, time.Now().Add(-2*time.Minute).Unix()),
		"a number out of range":       "{" + good + `,"x":1e999999}`,
		"half a surrogate":            "{" + good + `,"x":"\ud800"}`,
		"a NUL":                       "{" + good + `,"x":"\u0000"}`,
		"spaces":                      "  ",
		"a long text":                 strings.Repeat("x", 1<<20),
	} {
		who := identity{"request.jwt.claims": text}
		x.wantReads(name, who, "")
		if got := x.value(who, "concat(clerksync.org_id(), clerksync.has_role('admin'), clerksync.has_permission('org:deals:write'))"); got != "ff" {
			t.Errorf("%s: %s", name, got)
		}
	}
	expiring := "{" + good + fmt.Sprintf(`,"exp":%d}`, time.Now().Add(-20*time.Second).Unix())
	x.wantReads("a token that PostgREST still accepts", identity{"request.jwt.claims": expiring}, "a1 a2")
	deep := identity{"request.jwt.claims": strings.Repeat("[", 1<<20)}
	err := x.as(deep, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "SELECT clerksync.user_id()")
		return err
	})
	if err != nil && !strings.Contains(err.Error(), "stack depth") {
		t.Errorf("a million brackets: %v", err)
	}
}

// Two sources that are both set contradict each other, even where they say the same.
func TestTwoSourcesAreNone(t *testing.T) {
	t.Parallel()
	x := newTenants(t)
	for name, value := range map[string]string{"clerksync.user_id": x.ada, "clerksync.org_id": x.a, "clerksync.session_id": "sess_1"} {
		who := x.claims(map[string]any{"sub": x.ada, "org_id": x.a})
		who[name] = value
		x.wantReads(name+" next to a token", who, "")
	}
	who := x.claims(map[string]any{"role": "anon"})
	who["clerksync.user_id"], who["clerksync.org_id"] = x.ada, x.a
	x.wantReads("a leftover next to an anonymous request", who, "")
}

// A setting ends with its transaction, unless it is one of the connection: the page warns of that.
func TestSettingsEndWithTheTransaction(t *testing.T) {
	t.Parallel()
	x := newTenants(t)
	x.wantReads("a member", set(x.ada, x.a), "a1 a2")
	x.wantReads("the next transaction of the connection", nil, "")
	x.exec(x.app, "SET LOCAL clerksync.user_id = '"+x.ada+"'") // outside of a transaction: a warning
	x.wantReads("after SET LOCAL outside of a transaction", identity{"clerksync.org_id": x.a}, "")
	x.exec(x.app, "SET clerksync.user_id = '"+x.ada+"'")
	x.wantReads("after SET in the connection", identity{"clerksync.org_id": x.a}, "a1 a2")
}

// Who may run any SQL as the application's role may claim to be anyone, and gets no more than that
// user has.
func TestArbitrarySQLMayClaimToBeAnyone(t *testing.T) {
	t.Parallel()
	x := newTenants(t)
	x.wantReads("Eve's setting, made by the role itself", set(x.eve, x.b), "b1")
	x.wantReads("Eve's setting with an organization that is not hers", set(x.eve, x.a), "")
	forged := x.claims(map[string]any{"v": 2, "sub": x.bob, "o": map[string]any{"id": x.a, "rol": "admin", "per": "write", "fpm": "1"}, "fea": "o:deals"})
	if got := x.value(forged, "concat(clerksync.has_role('org:admin'), clerksync.has_permission('org:deals:write'))"); got != "ff" {
		t.Errorf("the role and permissions of a forged token are %s", got)
	}
}

// The application's role can neither read the mirror, nor call what is internal, nor replace
// anything; and what it has in its search_path changes nothing.
func TestTheApplicationsRoleCannotReachBehindTheFunctions(t *testing.T) {
	t.Parallel()
	x := newTenants(t)
	for _, text := range []string{
		"SELECT * FROM clerk_users", "SELECT * FROM clerk_memberships_live", "SELECT * FROM clerk_users_typed",
		"SELECT clerksync.claimed()", "SELECT clerksync.parsed('1')", "SELECT clerksync.role_key('x')", "SELECT clerksync.has_seat('a', 'b')",
		"SELECT clerksync.rights('a')", "CREATE FUNCTION clerksync.evil() RETURNS text LANGUAGE sql AS 'SELECT 1::text'",
		"CREATE OR REPLACE FUNCTION clerksync.user_id() RETURNS text LANGUAGE sql AS 'SELECT 1::text'",
		"ALTER FUNCTION clerksync.user_id() RESET ALL", "DROP FUNCTION clerksync.user_id() CASCADE", "CREATE TABLE clerksync.t (a int)",
		"ALTER TABLE deals DISABLE ROW LEVEL SECURITY", "TRUNCATE deals",
	} {
		err := x.as(set(x.ada, x.a), func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), text)
			return err
		})
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "42501" {
			t.Errorf("%s: %v, want a refusal", text, err)
		}
	}
	x.exec(x.owner, "CREATE SCHEMA own AUTHORIZATION "+x.role)
	x.exec(x.app, `
		CREATE FUNCTION own.current_setting(text, boolean) RETURNS text LANGUAGE sql AS 'SELECT ''`+x.ada+`''::text';
		CREATE FUNCTION own.always(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
		CREATE OPERATOR own.= (LEFTARG = text, RIGHTARG = text, FUNCTION = own.always);
		CREATE TABLE own.clerk_users_live (clerk_user_id text, is_active int, locked int, locked_until bigint);
		CREATE TEMPORARY TABLE clerk_users_live (clerk_user_id text, is_active int, locked int, locked_until bigint);
		CREATE TEMPORARY TABLE clerk_memberships_live (clerk_user_id text, clerk_organization_id text, is_stub int, role text, permissions text);
		INSERT INTO pg_temp.clerk_users_live VALUES ('user_none', 1, 0, 0);
		INSERT INTO pg_temp.clerk_memberships_live VALUES ('user_none', '`+x.a+`', 0, 'org:admin', '["org:deals:write"]');
		SET search_path = pg_temp, own, pg_catalog, public`)
	x.wantReads("nobody, with another current_setting", nil, "")
	x.wantReads("a user who is only in a temporary table", set("user_none", x.a), "")
	x.wantReads("a member of B who claims A, with an = that is always true", set(x.eve, x.a), "")
	x.wantReads("a member", set(x.ada, x.a), "a1 a2")
}

// No role may call a function before it is granted, and the functions of both lists are all there
// are.
func TestOnlyGrantedRolesCallTheFunctions(t *testing.T) {
	t.Parallel()
	x := newTenants(t)
	rows, err := x.owner.Query(t.Context(), `SELECT p.oid::regprocedure::text || ' ' || p.prosecdef || ' ' || p.provolatile::text || ' ' ||
			has_function_privilege($1, p.oid, 'EXECUTE') || ' ' || COALESCE(array_to_string(p.proconfig, ' '), '')
		FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'clerksync' ORDER BY 1`, x.role)
	x.must(err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	x.must(err)
	public := 0
	for _, line := range all {
		if !strings.HasSuffix(line, ` search_path=pg_catalog, pg_temp`) {
			t.Errorf("%s has no fixed search_path", line)
		}
		if strings.Contains(line, " true s true ") {
			public++
		} else if !strings.Contains(line, " false s false ") && !strings.Contains(line, " false i false ") {
			t.Errorf("%s: want SECURITY DEFINER where it is granted, and neither elsewhere", line)
		}
	}
	if len(all) != 14 || public != 9 {
		t.Errorf("%d functions, %d of them granted: %q", len(all), public, all)
	}
	var open int
	x.must(x.owner.QueryRow(t.Context(), `SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace,
		aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) a WHERE n.nspname = 'clerksync' AND a.grantee = 0`).Scan(&open))
	if open != 0 {
		t.Errorf("PUBLIC may call %d functions", open)
	}
}

// The functions are called once for each statement, and an index finds the rows.
func TestPoliciesUseAnIndex(t *testing.T) {
	t.Parallel()
	x := newTenants(t)
	x.exec(x.owner, "INSERT INTO deals (clerk_organization_id, title) SELECT 'org_' || i % 500, 'x' FROM generate_series(1, 20000) i")
	x.exec(x.owner, "ANALYZE deals")
	for name, policy := range map[string]string{
		"org_id":  "clerk_organization_id = (SELECT clerksync.org_id())",
		"org_ids": "clerk_organization_id = ANY ((SELECT clerksync.org_ids())::text[])",
	} {
		x.exec(x.owner, "DROP POLICY deals_read ON deals")
		x.exec(x.owner, "DROP POLICY IF EXISTS deals_write ON deals")
		x.exec(x.owner, "CREATE POLICY deals_read ON deals FOR SELECT USING ("+policy+")")
		var plan string
		x.must(x.as(set(x.ada, x.a), func(tx pgx.Tx) error {
			rows, err := tx.Query(t.Context(), "EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) SELECT title FROM deals WHERE title <> ''")
			if err != nil {
				return err
			}
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			plan = strings.Join(lines, "\n")
			return err
		}))
		index := regexp.MustCompile(`(Index|Bitmap Index) Scan (using|on) deals_organization`)
		if !index.MatchString(plan) || !regexp.MustCompile(`InitPlan[^\n]*\n\s+-> +Result [^\n]*rows=1(\.00)? loops=1`).MatchString(plan) {
			t.Errorf("%s:\n%s", name, plan)
		}
	}
}

// A query next to parallel workers works, with and without them.
func TestParallelQueries(t *testing.T) {
	t.Parallel()
	x := newTenants(t)
	x.exec(x.owner, "INSERT INTO deals (clerk_organization_id, title) SELECT $1, 'x' FROM generate_series(1, 50000) i", x.a)
	x.exec(x.owner, "ANALYZE deals")
	x.exec(x.app, "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 4; SET enable_indexscan = off; SET enable_bitmapscan = off")
	for how, who := range x.both(x.ada, x.a) {
		if got := x.value(who, "SELECT count(*) FROM deals WHERE length(title) > 0"); got != "50002" {
			t.Errorf("by %s: %s", how, got)
		}
		if got := x.value(who, "SELECT count(*) FROM (SELECT * FROM deals LIMIT 5) d WHERE clerksync.is_member(clerk_organization_id)"); got != "5" {
			t.Errorf("for each row, by %s: %s", how, got)
		}
	}
}

// The page's blocks of SQL run as written.
func TestRecipesOfRowLevelSecurity(t *testing.T) {
	t.Parallel()
	x := newTenants(t)
	x.exec(x.owner, "DROP TABLE deals")
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "docs", "row-level-security.md"))
	x.must(err)
	want := map[string]string{ // what Ada, an admin of A, reads
		"Tables of an organization":           "First deal",
		"Rows of all organizations of a user": "a note",
		"Rows of a user":                      "dark",
		"Speed":                               "deals",
		"Plain Postgres, with pgx":            "user_ada",
		"Nothing from a mirror that is old":   "",
		"Supabase":                            "",
	}
	fill := map[string]string{
		"Tables of an organization":           "INSERT INTO deals (title) VALUES ('First deal')",
		"Rows of all organizations of a user": "INSERT INTO notes VALUES ('org_acme', 'a note')",
		"Rows of a user":                      "INSERT INTO preferences (theme) VALUES ('dark')",
	}
	names := strings.NewReplacer("user_ada", x.ada, "org_acme", x.a)
	blocks := regexp.MustCompile("(?ms)^```sql ?(\\w*)\n(.*?)\n```$")
	for _, section := range regexp.MustCompile(`(?m)^##+ `).Split(string(text), -1) {
		heading, _, _ := strings.Cut(section, "\n")
		for _, block := range blocks.FindAllStringSubmatch(section, -1) {
			wanted, known := want[heading]
			if !known {
				t.Errorf("the test does not know the section %q", heading)
			}
			if block[1] == "" {
				x.exec(x.owner, regexp.MustCompile(`\bapp\b`).ReplaceAllString(block[2], x.role))
				continue
			}
			x.must(x.as(set(x.ada, x.a), func(tx pgx.Tx) error {
				if fill[heading] != "" {
					if _, err := tx.Exec(t.Context(), names.Replace(fill[heading])); err != nil {
						return err
					}
				}
				rows, err := tx.Query(t.Context(), names.Replace(block[2]))
				if err != nil {
					return err
				}
				defer rows.Close()
				if !rows.Next() {
					t.Errorf("%s: no rows, %v", heading, rows.Err())
				} else if values, err := rows.Values(); err != nil || !strings.Contains(fmt.Sprint(values[0]), names.Replace(wanted)) {
					t.Errorf("%s: %v, %v", heading, values, err)
				}
				return nil
			}))
		}
	}
	err = x.as(set(x.bob, x.a), func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "INSERT INTO deals (title) VALUES ('by a viewer')")
		return err
	})
	if err == nil {
		t.Error("a viewer wrote a deal")
	}
	x.exec(x.owner, "UPDATE clerk_walks SET complete_at = 1 WHERE list = 'role'")
	x.exec(x.owner, "INSERT INTO deals (clerk_organization_id, created_by, title) VALUES ($1, $2, 'stored')", x.a, x.ada)
	x.wantReads("a member, from an old mirror", set(x.ada, x.a), "")
}
