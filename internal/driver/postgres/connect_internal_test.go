package postgres

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// A server that takes connections and then says nothing, as one that hangs, holds up nobody for
// long.
func TestConnectingToAServerThatHangsEnds(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dsn := "postgres://clerk@" + l.Addr().String() + "/clerk?sslmode=disable"
	config, err := parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if config.ConnectTimeout <= 0 || config.ConnectTimeout > 10*time.Second {
		t.Fatalf("connecting may take %s", config.ConnectTimeout)
	}
	config.ConnectTimeout = 50 * time.Millisecond
	_, err = pgx.ConnectConfig(t.Context(), config)
	if fault, ok := errors.AsType[*mirror.DatabaseError](store.Explain(store.Postgres, "", err)); !ok || fault.Problem != "does not answer in time" {
		t.Errorf("the error is told as %v", store.Explain(store.Postgres, "", err))
	}
	if config, err = parse(dsn + "&connect_timeout=60"); err != nil || config.ConnectTimeout != time.Minute {
		t.Errorf("a bound that the operator sets is not kept: %s, %v", config.ConnectTimeout, err)
	}
}
