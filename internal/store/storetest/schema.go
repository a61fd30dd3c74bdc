package storetest

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
)

// Schema checks the schema that a fresh database has: against the one that is published, and its
// typed views against the live ones. open returns a handle on a fresh database, and another way
// into the same one.
func Schema(t *testing.T, open func(t *testing.T) (*store.DB, *sql.DB)) {
	t.Helper()
	db, raw := open(t)
	must(t, db.Migrate(t.Context()))
	published, copied := open(t)
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "schema", string(db.Engine())+".sql"))
	must(t, err)
	must(t, published.Exec(t.Context(), string(text)))
	want, have := catalogue(t, db.Engine(), raw), catalogue(t, db.Engine(), copied)
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("the published schema is not that of a fresh database (-fresh +published):\n%s", diff)
	}
	if len(want) < 300 {
		t.Errorf("the catalogue has only %d lines", len(want))
	}
	typedViews(t, raw)
}

// catalogue lists what a database consists of, as the engine knows it.
func catalogue(t *testing.T, engine store.Engine, db *sql.DB) (lines []string) {
	t.Helper()
	queries := []string{
		"SELECT type, name, tbl_name, COALESCE(sql, '') FROM sqlite_master ORDER BY name",
		"SELECT m.name, c.name, c.type, c.\"notnull\" FROM sqlite_master m, pragma_table_info(m.name) c ORDER BY m.name, c.cid",
	}
	if engine == store.Postgres {
		queries = []string{
			`SELECT table_name, column_name, data_type, is_nullable || COALESCE(collation_name, '') FROM information_schema.columns
				WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position`,
			"SELECT tablename, indexname, indexdef, '' FROM pg_indexes WHERE schemaname = current_schema() ORDER BY indexname",
			"SELECT viewname, definition, '', '' FROM pg_views WHERE schemaname = current_schema() ORDER BY viewname",
			"SELECT relname, COALESCE(reloptions::text, ''), '', '' FROM pg_class WHERE relnamespace = current_schema()::regnamespace ORDER BY relname",
			"SELECT proname, prosrc, provolatile::text, proisstrict::text FROM pg_proc WHERE pronamespace = current_schema()::regnamespace",
			"SELECT conname, pg_get_constraintdef(oid), '', '' FROM pg_constraint WHERE connamespace = current_schema()::regnamespace ORDER BY conname",
		}
	}
	for _, query := range queries {
		lines = append(lines, linesOf(t, db, query)...)
	}
	return lines
}

// linesOf returns the rows of a query of four columns.
func linesOf(t *testing.T, db *sql.DB, query string) (lines []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var a, b, c, d string
		must(t, rows.Scan(&a, &b, &c, &d))
		lines = append(lines, strings.Join([]string{a, b, c, d}, " | "))
	}
	must(t, rows.Err())
	return lines
}

// typedViews: each live view has a typed view with the same columns.
func typedViews(t *testing.T, db *sql.DB) {
	t.Helper()
	kinds := []string{
		"users", "sessions", "organizations", "memberships", "invitations", "domains", "roles", "permissions",
		"subscriptions", "subscription_items", "payment_attempts", "waitlist_entries",
	}
	for _, kind := range kinds {
		live, typed := columnsOf(t, db, "clerk_"+kind+"_live"), columnsOf(t, db, "clerk_"+kind+"_typed")
		if diff := cmp.Diff(live, typed); diff != "" {
			t.Errorf("columns of the views of %s (-live +typed):\n%s", kind, diff)
		}
	}
}

func columnsOf(t *testing.T, db *sql.DB, relation string) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), fmt.Sprintf("SELECT * FROM %s LIMIT 0", relation)) //nolint:unqueryvet // all columns are what it asks for
	must(t, err)
	defer rows.Close()
	names, err := rows.Columns()
	must(t, err)
	must(t, rows.Err())
	slices.Sort(names)
	return names
}
