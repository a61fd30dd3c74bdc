package ingest_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
)

// A transaction ends, whatever it waits for and however patient its caller is, so that the next one
// gets its turn.
func TestHangingTransactionEnds(t *testing.T) {
	t.Parallel()
	dsn := testenv.Postgres(t)
	db, err := postgres.Open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	in := start(t, db)
	db.LimitUpdates(200 * time.Millisecond)
	submit(t, in, "msg_1", `{"object":"event","type":"user.created","timestamp":1780000000000,"data":{"object":"user","id":"user_1","updated_at":1780000000000}}`)
	direct, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()
	key := row.Key{Kind: clerk.KindUser, ID: "user_1"}
	page := ingest.Page{Kind: clerk.KindUser, Rows: parsed(t, `{"object":"user","id":"user_1","updated_at":1780000009000}`), ObservedAt: 1780000009000}
	for held, text := range map[string]string{
		"the head":                "SELECT 1 FROM clerk_head FOR UPDATE",
		"a row that it writes":    "UPDATE clerk_users SET role = 'x'",
		"the table that it reads": "LOCK TABLE clerk_users IN ACCESS EXCLUSIVE MODE",
	} {
		other, err := direct.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
		for name, work := range map[string]func(context.Context) error{
			"a read by id": func(ctx context.Context) error {
				return in.Apply(ctx, ingest.Reading{Key: key, Body: page.Rows[0], ObservedAt: 1780000009000, ByID: true})
			},
			"a page":     func(ctx context.Context) error { _, err := in.ApplyPage(ctx, page, ingest.ApplyOptions{}); return err },
			"an erasure": func(ctx context.Context) error { return in.Erase(ctx, "user_1") },
		} {
			done := make(chan error, 1)
			go func() { done <- work(context.WithoutCancel(t.Context())) }()
			select {
			case err := <-done:
				if err == nil || (!errors.Is(err, context.DeadlineExceeded) && !store.IsTransient(err)) {
					t.Errorf("%s, while another holds %s: %v", name, held, err)
				}
			case <-time.After(time.Minute):
				t.Errorf("%s hangs while another holds %s", name, held)
			}
		}
		if err := other.Rollback(); err != nil {
			t.Fatal(err)
		}
	}
	db.LimitUpdates(10 * time.Second)
	if _, err := in.ApplyPage(t.Context(), page, ingest.ApplyOptions{}); err != nil {
		t.Errorf("once nothing is held: %v", err)
	}
}
