package postgres_test

import (
	"net/url"
	"testing"

	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/store/storetest"
	"github.com/clerksync/clerksync/internal/testenv"
)

// The whole suite of the store passes through PgBouncer as it is installed by default, where each
// transaction may get another connection of the server. Nothing is set for it.
func TestStoreThroughAPooler(t *testing.T) {
	t.Parallel()
	pooler, err := url.Parse(testenv.Pooler{Pooling: "transaction"}.Start(t, testenv.Postgres(t)))
	if err != nil {
		t.Fatal(err)
	}
	storetest.Run(t, func(t *testing.T) *store.DB {
		fresh, err := url.Parse(testenv.Postgres(t))
		if err != nil {
			t.Fatal(err)
		}
		through := *pooler
		through.Path = fresh.Path
		db, err := postgres.Open(through.String())
		if err != nil {
			t.Fatal(err)
		}
		return db
	})
}

func TestPoolingIsFound(t *testing.T) {
	t.Parallel()
	dsn := testenv.Postgres(t)
	for want, through := range map[store.Pooling]string{
		store.PoolingNone: dsn, store.PoolingSession: testenv.Pooler{Pooling: "session"}.Start(t, dsn),
		store.PoolingTransaction: testenv.Pooler{Pooling: "transaction"}.Start(t, dsn),
	} {
		for name, open := range map[string]func(string) (*store.DB, error){"writing": postgres.Open, "reading": postgres.OpenReadOnly} {
			db, err := open(through)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if got, err := db.Pooling(t.Context()); err != nil || got != want {
					t.Errorf("%s: found %q, %v, want %q", name, got, err, want)
				}
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
