package ingest

import (
	"errors"
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
)

// TestFailedEventLeavesNothingBehind: when the second operation of an event panics, the first one
// does not count either, and the events before and after it do.
func TestFailedEventLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	db, err := sqlite.Open(sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	in, err := New(t.Context(), Config{DB: db, EraseOnDelete: true})
	if err != nil {
		t.Fatal(err)
	}
	key := row.Key{Kind: clerk.KindUser, ID: "user_1"}
	event := func(id string, ops ...converge.Operation) *Prepared {
		return &Prepared{delivery: store.Delivery{MessageID: id, SignedAt: 100}, ops: ops}
	}
	upsert := func(updatedAt string) converge.Operation {
		body, err := clerk.Parse([]byte(`{"id":"user_1","updated_at":` + updatedAt + `}`))
		if err != nil {
			t.Fatal(err)
		}
		op := converge.FromRead(key, body, body.JSON(), 1, 0)
		op.Read = false
		return op
	}
	rollback := errors.New("done")
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		b := newBatch(in).within(tx)
		if err := b.load(tx, b.wantKey(nil, key)); err != nil {
			return err
		}
		if err := b.applyEvent(event("msg_1", upsert("1")), &tx.Head); err != nil {
			t.Error(err)
		}
		before, highWater := b.effects, tx.Head.HighWater
		poison := upsert("3")
		poison.Key.ID = "user_whose_row_was_not_loaded"
		deleted := converge.Operation{Key: key, Action: converge.Tombstone, At: 50}
		if err := b.applyEvent(event("msg_2", upsert("2"), deleted, poison), &tx.Head); err == nil {
			t.Error("the poison is applied")
		}
		if e := b.rows[key]; e.row.UpdatedAt != 1000 || e.row.Tombstoned || len(b.toErase) != 0 || tx.Head.HighWater != highWater ||
			len(b.effects.Changes) != len(before.Changes) || len(b.effects.Tombstoned) != 0 {
			t.Errorf("the failed event leaves %+v", e.row)
		}
		if err := b.applyEvent(event("msg_3", upsert("4")), &tx.Head); err != nil || b.rows[key].row.UpdatedAt != 4000 {
			t.Errorf("the next event: %v, %+v", err, b.rows[key].row)
		}
		return rollback
	})
	if !errors.Is(err, rollback) {
		t.Error(err)
	}
}
