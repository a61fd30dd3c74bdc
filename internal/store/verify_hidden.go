package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
)

// A row that a parent hides need not be read from Clerk. Its items move from the verify queue to
// another table, and return with the parent. If the parent is deleted permanently, they are
// removed.

// hiddenQueue is the table of the items of rows that a parent hides.
const hiddenQueue = "clerk_verify_hidden"

// parentIs returns the condition that a parent p of t satisfies a condition, "1 = 0" for kinds
// without parents.
func (t *table) parentIs(condition string) string {
	conditions := []string{"1 = 0"}
	for _, p := range t.hiddenBy() {
		conditions = append(conditions, fmt.Sprintf("EXISTS (SELECT 1 FROM %[1]s p WHERE p.%[2]s = t.%[2]s AND %[3]s)", p.name, p.key(), condition))
	}
	return strings.Join(conditions, " OR ")
}

// ParkVerify moves rows that a parent hides out of the verify queue.
func (tx *Tx) ParkVerify(ctx context.Context, kind clerk.Kind, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	of, arg := tx.db.engine.oneOf("v.id", ids)
	return tx.park(ctx, tables[kind], of, arg)
}

// ParkChildren moves the children of a parent out of the verify queue. permanently also removes the
// items that were moved before.
func (tx *Tx) ParkChildren(ctx context.Context, parent row.Key, permanently bool) error {
	for _, t := range childrenOf(parent.Kind) {
		of := fmt.Sprintf("t.%s = $1", tables[parent.Kind].key())
		if err := tx.park(ctx, t, of, parent.ID); err != nil {
			return err
		}
		if !permanently {
			continue
		}
		if err := tx.exec(ctx, deleteQueued(hiddenQueue, t, of), parent.ID); err != nil {
			return err
		}
	}
	return nil
}

// park moves the items that a condition selects out of the verify queue, if a parent hides their
// row.
func (tx *Tx) park(ctx context.Context, t *table, of string, arg any) error {
	hidden := of + " AND (" + t.parentIs("p.sync_hidden = 1") + ")"
	revivable := hidden + " AND NOT (" + t.parentIs("p.sync_hard = 1") + ")"
	const columns = "v.kind, v.id, v.reason, v.queued_write, v.queued_at"
	if err := tx.exec(ctx, moveQueued("clerk_verify", hiddenQueue, columns, t, revivable), arg); err != nil {
		return err
	}
	return tx.exec(ctx, deleteQueued("clerk_verify", t, hidden), arg)
}

// UnparkChildren returns the items of the children of a parent to the verify queue, except for
// those that another parent hides.
func (tx *Tx) UnparkChildren(ctx context.Context, parent row.Key) error {
	for _, t := range childrenOf(parent.Kind) {
		shown := fmt.Sprintf("t.%s = $1 AND NOT (%s)", tables[parent.Kind].key(), t.parentIs("p.sync_hidden = 1"))
		const columns = "v.kind, v.id, v.reason, CAST($2 AS BIGINT), CAST($3 AS BIGINT)"
		move := moveQueued(hiddenQueue, "clerk_verify", columns, t, shown)
		if err := tx.exec(ctx, move, parent.ID, tx.Head.Writes, tx.db.now().UnixMilli()); err != nil {
			return err
		}
		if err := tx.exec(ctx, deleteQueued(hiddenQueue, t, shown), parent.ID); err != nil {
			return err
		}
	}
	return nil
}

func moveQueued(from, to, columns string, t *table, condition string) string {
	return fmt.Sprintf(`INSERT INTO %s (kind, id, reason, queued_write, queued_at) SELECT %s FROM %s v JOIN %s t ON t.%s = v.id
		WHERE v.kind = '%s' AND %s ON CONFLICT (kind, id, reason) DO UPDATE SET queued_write = excluded.queued_write`,
		to, columns, from, t.name, t.key(), t.kind, condition)
}

func deleteQueued(from string, t *table, condition string) string {
	return fmt.Sprintf(`DELETE FROM %[1]s WHERE kind = '%[2]s' AND id IN
		(SELECT v.id FROM %[1]s v JOIN %[3]s t ON t.%[4]s = v.id WHERE v.kind = '%[2]s' AND %[5]s)`,
		from, t.kind, t.name, t.key(), condition)
}

// childrenOf lists the tables whose rows a row of a kind hides.
func childrenOf(parent clerk.Kind) (children []*table) {
	for _, kind := range clerk.Kinds() {
		for _, p := range tables[kind].hiddenBy() {
			if p.kind == parent {
				children = append(children, tables[kind])
			}
		}
	}
	return children
}

// DropVerify removes permanently deleted rows from the verify queue and from the hidden one.
func (tx *Tx) DropVerify(ctx context.Context, keys []row.Key) error {
	for _, k := range keys {
		for _, table := range []string{"clerk_verify", hiddenQueue} {
			if err := tx.exec(ctx, "DELETE FROM "+table+" WHERE kind = $1 AND id = $2", string(k.Kind), k.ID); err != nil {
				return err
			}
		}
	}
	return nil
}
