package store

import (
	"context"
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

// RememberRoleKeys adds keys to the set of keys that roles had. The set only grows, so the order of
// versions does not matter.
func (tx *Tx) RememberRoleKeys(ctx context.Context, keys []row.KeyOfRole) error {
	return tx.save(ctx, roleKeyInsert, len(keys), func(i int) []any { return []any{row.RoleKey(keys[i].Key), keys[i].RoleID} })
}

// StaleRoleKeys returns the keys that a membership can only have from an older state: keys that a
// live role had before, and keys of no live role if any roles are stored. The value is the write
// that made the key stale: a read that was sent later has seen its effect. A key without the prefix
// is stale only as a former key, because instances from before custom roles may list no roles under
// such keys.
func (tx *Tx) StaleRoleKeys(ctx context.Context, keys []string) (map[string]int64, error) {
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
	err := tx.load(text, "k.role_key", normal, func(r Row) error {
		var key, now string
		var hidden bool
		var write int64
		err := r.Scan(&key, &now, (*boolean)(&hidden), &write)
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
	stale := map[string]int64{}
	unknown := false
	for _, key := range keys {
		switch u := found[row.RoleKey(key)]; {
		case u.former:
			stale[key] = u.changed
		case !u.current && strings.HasPrefix(key, row.RolePrefix):
			stale[key], unknown = u.changed, true
		}
	}
	if !unknown {
		return stale, nil
	}
	stored, err := tx.rolesStored(ctx)
	for _, key := range keys {
		if u := found[row.RoleKey(key)]; !stored && !u.former {
			delete(stale, key)
		}
	}
	return stale, err
}

func (tx *Tx) rolesStored(ctx context.Context) (bool, error) {
	rows, err := tx.query(ctx, "SELECT 1 FROM clerk_roles WHERE sync_hidden = 0 LIMIT 1")
	found, err := scanAll(rows, err, scanOne[int])
	return len(found) > 0, err
}

// withRoles lists the kinds whose rows carry the key of a role.
var withRoles = []clerk.Kind{clerk.KindMembership, clerk.KindInvitation}

// QueueRoleKey queues all memberships and invitations that carry a role's key to be read again.
// Rows with a hidden parent are queued for when the parent returns.
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

// SettleRoleKey removes the memberships and invitations that carry a role's key from the verify
// queue if they are in it for this reason only.
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

// SettleListed removes listed rows from the verify queue if they are in it for this reason only and
// were queued before the list was requested. It returns their ids.
func (tx *Tx) SettleListed(ctx context.Context, kind clerk.Kind, ids []string, reason string, since int64) ([]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	condition, arg := tx.db.engine.oneOf("id", ids)
	rows, err := tx.query(ctx, "DELETE FROM clerk_verify WHERE "+condition+" AND kind = $2 AND reason = $3 AND queued_write <= $4 RETURNING id",
		arg, string(kind), reason, since)
	return scanAll(rows, err, scanOne[string])
}
