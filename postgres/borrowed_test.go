package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/postgres"
)

// What the application opened, the application closes: neither the end of a mirror nor a New that
// fails closes it.
func TestPoolsOfTheApplicationStayOpen(t *testing.T) {
	t.Parallel()
	dsn := testenv.Postgres(t)
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	plain, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = plain.Close() })
	for name, application := range map[string]struct {
		open  func() (*postgres.DB, error)
		alive func(context.Context) error
	}{
		"FromPool": {func() (*postgres.DB, error) { return postgres.FromPool(pool), nil }, pool.Ping},
		"FromDB":   {func() (*postgres.DB, error) { return postgres.FromDB(plain) }, plain.PingContext},
	} {
		for range 2 { // it can be used again
			m := newMirror(t, application.open, clerksync.Config{})
			if users, err := m.Users().List(t.Context(), mirror.UserFilter{}); err != nil || len(users.Items) != 0 {
				t.Errorf("%s: listed %+v, %v", name, users, err)
			}
			if err := errors.Join(m.Close(), application.alive(t.Context())); err != nil {
				t.Errorf("%s, after Mirror.Close: %v", name, err)
			}
		}
		db, err := application.open()
		if err != nil {
			t.Fatal(err)
		}
		if db.Engine() != mirror.Postgres {
			t.Errorf("%s: the engine is %q", name, db.Engine())
		}
		if m, err := clerksync.New(t.Context(), db, clerksync.Config{Roles: []string{"a", "a"}}); err == nil {
			t.Errorf("%s: a ladder that names a role twice is accepted, %v", name, m.Close())
		}
		if err := application.alive(t.Context()); err != nil {
			t.Errorf("%s, after a New that failed: %v", name, err)
		}
		if pool.Stat().AcquiredConns() != 0 || plain.Stats().InUse != 0 {
			t.Errorf("%s: connections of the application are still in use", name)
		}
	}
}

func newMirror(t *testing.T, open func() (*postgres.DB, error), config clerksync.Config) *clerksync.Mirror {
	t.Helper()
	db, err := open()
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), db, config)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestFromDBNeedsPgx(t *testing.T) {
	t.Parallel()
	other := sql.OpenDB(otherDriver{})
	defer other.Close()
	if _, err := postgres.FromDB(other); err == nil {
		t.Error("a database of another driver is taken")
	}
}
