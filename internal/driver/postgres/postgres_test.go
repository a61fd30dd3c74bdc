package postgres_test

import (
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/store/storetest"
	"github.com/clerksync/clerksync/internal/testenv"
)

// exec is the mode that old PgBouncers in transaction pooling need.
func TestStore(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"cache_statement", "exec"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) *store.DB {
				dsn := testenv.Postgres(t)
				separator := "?"
				if strings.Contains(dsn, "?") {
					separator = "&"
				}
				db, err := postgres.Open(dsn + separator + "default_query_exec_mode=" + mode)
				if err != nil {
					t.Fatal(err)
				}
				return db
			})
		})
	}
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
