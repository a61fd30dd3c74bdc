package join_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/examples/join"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/postgres"
	"github.com/clerksync/clerksync/sqlite"
)

func TestWithSQLOnSQLite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "app.db")
	db, err := sqlite.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	own, err := sql.Open("sqlite", "file:"+file+"?_pragma=foreign_keys(1)&_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	fill(t, db, "sqlite.sql", func(query string, args ...any) error {
		_, err := own.ExecContext(t.Context(), query, args...)
		return err
	})
	checkSQL(t, own)
}

func TestWithSQLAndPgxOnPostgres(t *testing.T) {
	dsn := testenv.Postgres(t)
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	fill(t, postgres.FromPool(pool), "postgres.sql", func(query string, args ...any) error {
		_, err := pool.Exec(t.Context(), query, args...)
		return err
	})
	own, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	checkSQL(t, own)

	deals, err := join.DealsWithPgx(t.Context(), pool, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if len(deals) != 1 || deals[0].Title != "Engine" || deals[0].Plan == nil || *deals[0].Plan != "team" || deals[0].OwnerSince == nil {
		t.Errorf("with pgx: %+v", deals)
	}
	if deals, err = join.DealsWithPgx(t.Context(), pool, time.Now().Add(time.Hour)); err != nil || len(deals) != 0 {
		t.Errorf("of later owners: %+v, %v", deals, err)
	}
}

// fill makes the table of a file, and a mirror with an active, a banned and a deleted user, who own
// a deal each.
func fill(t *testing.T, db clerksync.DB, schemaFile string, exec func(query string, args ...any) error) {
	clerk := clerktest.New(t)
	m, err := clerksync.New(t.Context(), db, clerk.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	clerk.SendTo(m.WebhookHandler())
	schema, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := exec(string(schema)); err != nil {
		t.Fatal(err)
	}
	owns := func(email, title string) (clerkUserID string) {
		clerkUserID = clerk.CreateUser(clerktest.User{Email: email, PublicMetadata: map[string]any{"plan": "team"}})
		clerktest.AssertConverged(t, clerk, m)
		user, err := m.Users().ByClerkID(context.Background(), clerkUserID)
		if err != nil {
			t.Fatal(err)
		}
		if err := exec("INSERT INTO deals (title, owner) VALUES ($1, $2)", title, user.ID); err != nil {
			t.Fatal(err)
		}
		return clerkUserID
	}
	owns("ada@example.com", "Engine")
	clerk.Ban(owns("bob@example.com", "Boat"))
	clerk.DeleteUser(owns("cleo@example.com", "Needle"))
	clerktest.AssertConverged(t, clerk, m)
}

func checkSQL(t *testing.T, db *sql.DB) {
	deals, err := join.DealsWithSQL(t.Context(), db)
	if want := []join.Deal{{Title: "Engine", OwnerEmail: "ada@example.com"}}; err != nil || !slices.Equal(deals, want) {
		t.Errorf("with database/sql: %+v, %v; want %+v", deals, err, want)
	}
}
