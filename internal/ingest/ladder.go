package ingest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

const (
	// ladderPage is how many users' roles are derived at a time.
	ladderPage = 500
	// ladderTimeout bounds a change of the ladder: it is one transaction, however many users there
	// are.
	ladderTimeout = 10 * time.Minute
)

// ChangeLadder puts a role ladder into force and derives the stored roles by it, in one
// transaction. So a stored role never comes from another ladder than the one in force. It returns
// how many users got another role. If the ladder is in force already, it writes nothing.
func (in *Ingest) ChangeLadder(ctx context.Context, roles []string) (changed int, err error) {
	if slices.Equal(in.db.Settings().Ladder, roles) {
		return 0, nil
	}
	err = in.db.UpdateWithin(ctx, ladderTimeout, func(tx *store.Tx) (err error) {
		changed, err = changeLadder(ctx, tx, roles)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("change the role ladder: %w", err)
	}
	return changed, nil
}

func changeLadder(ctx context.Context, tx *store.Tx, roles []string) (changed int, err error) {
	known, before := tx.Settings().Ladder, tx.Settings().Roles()
	if slices.Equal(known, roles) {
		return 0, nil
	}
	if err := tx.ChangeSettings(ctx, func(s *store.Settings) { s.Ladder = slices.Clone(roles) }); err != nil {
		return 0, err
	}
	next := func(after string) ([]row.Key, error) {
		return tx.UsersOfAnotherRole(ctx, before, roles, after, ladderPage)
	}
	err = store.EachPage(next, func(keys []row.Key) error {
		n, err := rederive(ctx, tx, keys, before, roles)
		changed += n
		return err
	})
	if err != nil {
		return changed, err
	}
	if known == nil {
		return changed, nil // the first ladder of a database is no change
	}
	return changed, tx.AppendAudit(ctx, []mirror.AuditEntry{{
		Action: mirror.AuditLadder, Origin: fmt.Sprintf("%d users changed", changed),
		Was: strings.Join(before, ","), Became: strings.Join(roles, ","),
	}})
}

// rederive saves the users whose role differs between two ladders. The second one is in force.
func rederive(ctx context.Context, tx *store.Tx, keys []row.Key, before, after []string) (changed int, err error) {
	rows, err := tx.Rows(ctx, keys)
	if err != nil {
		return 0, err
	}
	var differ []*row.Row
	var changes []row.Change
	for _, k := range keys {
		user := rows[k]
		if user == nil || user.UserRole(before) == user.UserRole(after) {
			continue
		}
		differ = append(differ, user)
		c := user.Change(row.OpUpdated, []string{"role"})
		c.Origin = mirror.OriginLadder
		changes = append(changes, c)
	}
	if err := tx.SaveRows(ctx, differ); err != nil {
		return 0, err
	}
	return len(differ), tx.AppendChanges(ctx, changes)
}
