package postgres

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/store/storetest"
	"github.com/clerksync/clerksync/internal/testenv"
)

// modes are the ways in which statements are sent that an operator can choose; a pooler needs exec.
var modes = []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"}

func eachMode(t *testing.T, test func(t *testing.T, dsn string)) {
	t.Helper()
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			dsn := testenv.Postgres(t)
			separator := "?"
			if strings.Contains(dsn, "?") {
				separator = "&"
			}
			test(t, dsn+separator+execMode+"="+mode)
		})
	}
}

func opened(t *testing.T, dsn string) *store.DB {
	t.Helper()
	db, err := Open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestStatementsSentTogether(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, dsn string) {
		config, err := parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		db := sql.OpenDB(newConnector(dsn, config))
		t.Cleanup(func() { _ = db.Close() })
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var got []string
		scan := func(r store.Row) error {
			var text string
			err := r.Scan(&text)
			got = append(got, text)
			return err
		}
		list := func(texts ...string) (list []store.Statement) {
			for _, text := range texts {
				s := store.Statement{Text: text}
				if strings.HasPrefix(text, "SELECT") {
					s.Scan, s.Args = scan, []any{"x"}
				}
				list = append(list, s)
			}
			return list
		}
		ctx := t.Context()
		err = send(ctx, conn, list(store.Begin, "CREATE TABLE mine (id TEXT PRIMARY KEY)"))
		if err == nil {
			err = send(ctx, conn, list("INSERT INTO mine VALUES ('a'), ('b')", "SELECT id || $1::text FROM mine ORDER BY id", "SELECT $1::text", store.Commit))
		}
		if err != nil || strings.Join(got, " ") != "ax bx x" {
			t.Fatalf("%v, %v", got, err)
		}
		err = send(ctx, conn, list(store.Begin, "INSERT INTO mine VALUES ('c')", "INSERT INTO mine VALUES ('a')", "SELECT $1::text"))
		if err == nil {
			t.Fatal("a duplicate was stored")
		}
		var refused interface{ SQLState() string }
		if named := strings.HasPrefix(err.Error(), "INSERT INTO mine: "); !errors.As(err, &refused) || !named {
			t.Errorf("the error is %v", err)
		}
		if err := send(ctx, conn, list("SELECT $1::text")); err == nil {
			t.Error("the transaction goes on after an error")
		}
		if err := send(ctx, conn, list(store.Commit)); !errors.Is(err, pgx.ErrTxCommitRollback) {
			t.Errorf("a commit that rolls back: %v", err)
		}
		if err := send(ctx, conn, list("INSERT INTO nowhere VALUES ('a')")); err == nil || !strings.HasPrefix(err.Error(), "INSERT INTO nowhere: ") {
			t.Errorf("a statement that cannot be prepared: %v", err)
		}
		got = nil
		if err := send(ctx, conn, list("SELECT id || $1::text FROM mine ORDER BY id")); err != nil || len(got) != 2 {
			t.Errorf("after a rollback there are %v, %v", got, err)
		}
		failure := errors.New("not wanted")
		unwanted := store.Statement{Text: "SELECT 1", Scan: func(store.Row) error { return failure }}
		if err := send(ctx, conn, []store.Statement{unwanted, unwanted}); !errors.Is(err, failure) {
			t.Errorf("a row that cannot be read: %v", err)
		}
	})
}

// A write that fails is reported by the next question, or by the commit, and nothing is stored.
func TestAWriteThatFails(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, dsn string) {
		db := opened(t, dsn)
		if err := db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		noise := make([]byte, 6000)
		_, _ = rand.Read(noise)
		body, err := clerk.Parse(fmt.Appendf(nil, `{"id":"user_1","email":"%x@example.com"}`, noise))
		if err != nil {
			t.Fatal(err)
		}
		poison := &row.Row{Key: row.Key{Kind: clerk.KindUser, ID: "user_1"}}
		poison.SetBody(body, body.JSON())
		for name, then := range map[string]func(context.Context, *store.Tx) error{
			"the commit": func(context.Context, *store.Tx) error { return nil },
			"a question": func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.KeysAfter(ctx, clerk.KindUser, "", 10)
				return err
			},
			"a question whose error is ignored": func(ctx context.Context, tx *store.Tx) error {
				_, _ = tx.KeysAfter(ctx, clerk.KindUser, "", 10)
				return nil
			},
		} {
			err := db.Update(t.Context(), func(tx *store.Tx) error {
				if err := errors.Join(tx.SetMeta(t.Context(), "note", name), tx.SaveRows(t.Context(), []*row.Row{poison})); err != nil {
					return err
				}
				return then(t.Context(), tx)
			})
			if err == nil || !strings.Contains(err.Error(), "INSERT INTO clerk_users") || store.IsTransient(err) {
				t.Errorf("%s returned %v", name, err)
			}
		}
		if note, err := db.Meta(t.Context(), "note"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%q is stored, %v", note, err)
		}
		if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.SetMeta(t.Context(), "note", "good") }); err != nil {
			t.Errorf("after that: %v", err)
		}
	})
}

// The facts about a caller are read together in each way to send statements.
func TestCallerInEachMode(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, dsn string) {
		db := opened(t, dsn)
		storetest.Caller(t, db)
	})
}
