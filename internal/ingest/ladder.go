package ingest

import (
	"context"
	"fmt"
	"slices"

	"github.com/clerksync/clerksync/internal/store"
)

// ApplyLadder configures the role ladder and, where it differs from the one by which the
// stored roles were derived, derives them anew. It answers how many users got another role.
func (in *Ingest) ApplyLadder(ctx context.Context, roles []string) (changed int, err error) {
	if err := in.db.SetLadder(roles); err != nil {
		return 0, err
	}
	applied, err := in.db.LadderApplied(ctx)
	if err != nil || slices.Equal(applied, roles) {
		return 0, err
	}
	for above, more := "", applied != nil; more; {
		keys, err := in.db.UserKeys(ctx, above, 500)
		if err != nil {
			return changed, fmt.Errorf("apply the role ladder: %w", err)
		}
		if more = len(keys) > 0; !more {
			break
		}
		above = keys[len(keys)-1].ID
		n, err := in.rederive(ctx, keys, applied, roles)
		if changed += n; err != nil {
			return changed, fmt.Errorf("apply the role ladder: %w", err)
		}
	}
	return changed, in.db.Update(ctx, func(tx *store.Tx) error { return tx.RecordLadder(ctx) })
}

// rederive saves the users whose role differs between two ladders.
func (in *Ingest) rederive(ctx context.Context, keys []store.Key, before, after []string) (changed int, err error) {
	err = in.db.Update(ctx, func(tx *store.Tx) error {
		changed = 0
		rows, err := tx.Rows(ctx, keys)
		if err != nil {
			return err
		}
		var differ []*store.Row
		var changes []store.Change
		for _, k := range keys {
			row := rows[k]
			if row == nil || store.RoleOf(row.Body(), before) == store.RoleOf(row.Body(), after) {
				continue
			}
			differ = append(differ, row)
			changes = append(changes, store.Change{Key: k, Operation: store.OpUpsert, Version: row.Version, Fields: []string{"role"}})
		}
		changed = len(differ)
		if err := tx.SaveRows(ctx, differ); err != nil {
			return err
		}
		return tx.AppendChanges(ctx, changes)
	})
	return changed, err
}
