package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
)

// spellings returns the two spellings of a role's key.
func spellings(key string) (with, without string) {
	with = row.RoleKey(key)
	return with, strings.TrimPrefix(with, row.RolePrefix)
}

var roleKeyInsert = newBulk("INSERT INTO clerk_role_keys (role_key, clerk_role_id)", []columnType{textColumn, textColumn},
	" ON CONFLICT (role_key, clerk_role_id) DO NOTHING")

// RememberRoleKeys adds to the keys that roles had. It is a set that only grows, so that the order in which versions come
// does not matter.
func (tx *Tx) RememberRoleKeys(ctx context.Context, keys []KeyOfRole) error {
	return tx.save(ctx, roleKeyInsert, len(keys), func(i int) []any { return []any{row.RoleKey(keys[i].Key), keys[i].RoleID} })
}

// DoubtfulRoleKeys returns those of some keys that a membership may have only by an older state: keys that a live role had
// before, and keys of no live role where roles are stored. The value is the write that made the key doubtful: a read that
// was sent later has seen what came of it. A key without the prefix is doubtful only as a former one, for instances from
// before custom roles may list no roles under such keys.
func (tx *Tx) DoubtfulRoleKeys(ctx context.Context, keys []string) (map[string]int64, error) {
	normal := make([]string, len(keys))
	for i, key := range keys {
		normal[i] = row.RoleKey(key)
	}
	type uses struct {
		current, former bool
		changed         int64 // the last write to a role that has or had the key
	}
	found := map[string]uses{}
	const text = `SELECT k.role_key, COALESCE(r.role_key, ''), r.sync_hidden, r.sync_write
		FROM clerk_role_keys k JOIN clerk_roles r ON r.clerk_role_id = k.clerk_role_id WHERE `
	err := tx.load(ctx, text, "k.role_key", normal, func(rows *sql.Rows) error {
		var key, now string
		var hidden bool
		var write int64
		err := rows.Scan(&key, &now, &hidden, &write)
		u := found[key]
		u.current = u.current || !hidden && row.SameRole(key, now)
		u.former = u.former || !hidden && !row.SameRole(key, now)
		u.changed = max(u.changed, write)
		found[key] = u
		return err
	})
	if err != nil {
		return nil, err
	}
	doubtful := map[string]int64{}
	unknown := false
	for _, key := range keys {
		switch u := found[row.RoleKey(key)]; {
		case u.former:
			doubtful[key] = u.changed
		case !u.current && strings.HasPrefix(key, row.RolePrefix):
			doubtful[key], unknown = u.changed, true
		}
	}
	if !unknown {
		return doubtful, nil
	}
	stored, err := tx.rolesStored(ctx)
	for _, key := range keys {
		if u := found[row.RoleKey(key)]; !stored && !u.former {
			delete(doubtful, key)
		}
	}
	return doubtful, err
}

func (tx *Tx) rolesStored(ctx context.Context) (bool, error) {
	rows, err := tx.query(ctx, "SELECT 1 FROM clerk_roles WHERE sync_hidden = 0 LIMIT 1")
	found, err := scanAll(rows, err, scanOne[int])
	return len(found) > 0, err
}

// withRoles are the kinds whose rows carry the key of a role.
var withRoles = []clerk.Kind{clerk.KindMembership, clerk.KindInvitation}

// QueueRoleKey queues a verify of all memberships and invitations that carry a role's key. Of those below a hidden parent
// it is remembered for when the parent comes back.
func (tx *Tx) QueueRoleKey(ctx context.Context, roleKey, reason string) error {
	with, without := spellings(roleKey)
	for _, kind := range withRoles {
		t := tables[kind]
		for _, into := range []struct{ table, parents string }{
			{"clerk_verify", "NOT (" + t.parentIs("p.sync_hidden = 1") + ")"},
			{hiddenQueue, "(" + t.parentIs("p.sync_hidden = 1") + ") AND NOT (" + t.parentIs("p.sync_hard = 1") + ")"},
		} {
			text := fmt.Sprintf(`INSERT INTO %s (kind, id, reason, queued_write, queued_at)
				SELECT '%s', t.%s, $1, $2, $3 FROM %s t WHERE t.role IN ($4, $5) AND t.sync_hidden = 0 AND %s
				ON CONFLICT (kind, id, reason) DO UPDATE SET queued_write = excluded.queued_write`, into.table, kind, t.key(), t.name, into.parents)
			if err := tx.exec(ctx, text, reason, tx.Head.Writes, tx.db.now().UnixMilli(), with, without); err != nil {
				return err
			}
		}
	}
	return nil
}

// SettleRoleKey takes the memberships and invitations that carry a role's key off the verify queue if they are there for
// this one reason, which has gone.
func (tx *Tx) SettleRoleKey(ctx context.Context, roleKey, reason string) error {
	with, without := spellings(roleKey)
	for _, kind := range withRoles {
		t := tables[kind]
		for _, queue := range []string{"clerk_verify", hiddenQueue} {
			text := fmt.Sprintf(`DELETE FROM %[1]s WHERE kind = '%[2]s' AND reason = $1
				AND EXISTS (SELECT 1 FROM %[3]s t WHERE t.%[4]s = %[1]s.id AND t.role IN ($2, $3))`, queue, kind, t.name, t.key())
			if err := tx.exec(ctx, text, reason, with, without); err != nil {
				return err
			}
		}
	}
	return nil
}

// SettleListed takes listed rows off the verify queue if they are there for this one reason, and were
// queued before the list was asked for. It returns the ids of those it took off.
func (tx *Tx) SettleListed(ctx context.Context, kind clerk.Kind, ids []string, reason string, since int64) ([]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	condition, arg := tx.db.engine.oneOf("id", ids)
	rows, err := tx.query(ctx, "DELETE FROM clerk_verify WHERE "+condition+" AND kind = $2 AND reason = $3 AND queued_write <= $4 RETURNING id",
		arg, string(kind), reason, since)
	return scanAll(rows, err, scanOne[string])
}
