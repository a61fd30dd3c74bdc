package postgres_test

import (
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/store/storetest"
	"github.com/clerksync/clerksync/internal/testenv"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) *store.DB {
		db, err := postgres.Open(testenv.Postgres(t))
		if err != nil {
			t.Fatal(err)
		}
		return db
	})
}

func TestMalformedConnectionStringIsNotQuoted(t *testing.T) {
	t.Parallel()
	if _, err := postgres.Open("postgres://user:sec ret@host:port/db"); err == nil || strings.Contains(err.Error(), "ret") {
		t.Errorf("error %v: want one that does not quote the password", err)
	}
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	storetest.Upgrade(t, func(t *testing.T) func() *store.DB {
		dsn := testenv.Postgres(t)
		return func() *store.DB {
			db, err := postgres.Open(dsn)
			if err != nil {
				t.Fatal(err)
			}
			return db
		}
	})
}
