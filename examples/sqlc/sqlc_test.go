package sqlc_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/examples/sqlc"
	"github.com/clerksync/clerksync/examples/sqlc/deals"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/postgres"
)

func TestGeneratedQueries(t *testing.T) {
	pool, err := pgxpool.New(t.Context(), testenv.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	clerk := clerktest.New(t)
	m, err := clerksync.New(t.Context(), postgres.FromPool(pool), clerk.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := pool.Exec(t.Context(), sqlc.Schema); err != nil {
		t.Fatal(err)
	}
	clerk.SendTo(m.WebhookHandler())
	ada := clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "growth"})
	bob := clerk.CreateUser(clerktest.User{Email: "bob@example.com", Role: "solo"})
	clerktest.AssertConverged(t, clerk, m)

	for user, title := range map[string]string{ada: "Engine", bob: "Boat"} {
		if err := sqlc.CreateDeals(t.Context(), pool, m, user, title); err != nil {
			t.Fatal(err)
		}
	}
	list, err := deals.New(pool).ListDeals(t.Context(), "growth")
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || list[0].Title != "Engine" || list[0].ClerkUserID != ada || list[0].Email == nil || *list[0].Email != "ada@example.com" {
		t.Errorf("deals of users with the role growth: %+v", list)
	}
	if err := sqlc.CreateDeals(t.Context(), pool, m, "user_unknown", "Ship"); !errors.Is(err, clerksync.ErrNotFound) {
		t.Errorf("a deal of an unknown user: %v", err)
	}
}

// The generated package is that of queries.sql: sqlc itself is not needed to see it.
func TestGeneratedPackageIsCurrent(t *testing.T) {
	queries, err := os.ReadFile("queries.sql")
	if err != nil {
		t.Fatal(err)
	}
	generated, err := os.ReadFile("deals/queries.sql.go")
	if err != nil {
		t.Fatal(err)
	}
	for query := range strings.SplitSeq(string(queries), "-- name: ") {
		name, text, _ := strings.Cut(query, "\n") // the next line is the comment
		_, text, _ = strings.Cut(text, "\n")
		if text = strings.TrimRight(text, ";\n"); !strings.Contains(string(generated), "-- name: "+name+"\n"+text+"\n`") && name != "" {
			t.Errorf("%s has changed: run go generate ./examples/sqlc", name)
		}
	}
}
