package store

import (
	"context"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/mirror"
)

// SaveOverride stores an override, in place of another one of the same field. The row itself is
// saved by [Tx.SaveRows].
func (tx *Tx) SaveOverride(ctx context.Context, o *mirror.Override) error {
	return tx.exec(ctx, `INSERT INTO clerk_overrides (kind, id, field, value, created_at, created_by, reason)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (kind, id, field) DO UPDATE
		SET value = excluded.value, created_at = excluded.created_at, created_by = excluded.created_by, reason = excluded.reason`,
		string(o.Kind), o.ID, string(o.Field), o.Value, tx.db.now().UnixMilli(), textOrNull(o.CreatedBy), textOrNull(o.Reason))
}

// RemoveOverride removes the override of a field.
func (tx *Tx) RemoveOverride(ctx context.Context, key row.Key, field string) error {
	return tx.exec(ctx, "DELETE FROM clerk_overrides WHERE kind = $1 AND id = $2 AND field = $3", string(key.Kind), key.ID, field)
}

// RemoveOverrides removes all overrides of objects.
func (tx *Tx) RemoveOverrides(ctx context.Context, keys []row.Key) error {
	for _, k := range keys {
		if err := tx.exec(ctx, "DELETE FROM clerk_overrides WHERE kind = $1 AND id = $2", string(k.Kind), k.ID); err != nil {
			return err
		}
	}
	return nil
}

// EraseOverrides removes the overrides of a user and of the user's sessions, with their reasons.
func (tx *Tx) EraseOverrides(ctx context.Context, userID string) error {
	const ofSessions = `DELETE FROM clerk_overrides WHERE kind = 'session' AND id IN
		(SELECT clerk_session_id FROM clerk_sessions WHERE clerk_user_id = $1)`
	if err := tx.exec(ctx, ofSessions, userID); err != nil {
		return err
	}
	return tx.RemoveOverrides(ctx, []row.Key{{Kind: clerk.KindUser, ID: userID}})
}

// OverridesOf returns the overrides that a row must have. It is for rows that something other than
// clerksync wrote: any other row has them.
func (tx *Tx) OverridesOf(ctx context.Context, key row.Key) (o row.Overrides, err error) {
	if !tables[key.Kind].has(overridesColumn.name) {
		return "", nil
	}
	rows, err := tx.query(ctx, "SELECT field, value FROM clerk_overrides WHERE kind = $1 AND id = $2", string(key.Kind), key.ID)
	stored, err := scanMap(rows, err, func(r Row) (field, value string, err error) { return field, value, r.Scan(&field, &value) })
	for field, value := range stored {
		o = o.With(field, value)
	}
	return o, err
}

const selectOverrides = `SELECT o.kind, o.id, o.field, o.value, o.created_at, o.created_by, o.reason, COALESCE(u.raw, s.raw, '')
	FROM clerk_overrides o LEFT JOIN clerk_users u ON o.kind = 'user' AND u.clerk_user_id = o.id
	LEFT JOIN clerk_sessions s ON o.kind = 'session' AND s.clerk_session_id = o.id`

// scanOverride reads an override. The ladder says which role Clerk's metadata gives.
func scanOverride(r Row, ladder []string) (o mirror.Override, err error) {
	var raw string
	err = r.Scan(&o.Kind, &o.ID, &o.Field, &o.Value, (*instant)(&o.CreatedAt), (*text)(&o.CreatedBy), (*text)(&o.Reason), &raw)
	atClerk := row.Row{Key: row.Key{Kind: o.Kind, ID: o.ID}, Raw: raw}
	o.ClerkValue = atClerk.Value(string(o.Field), ladder)
	return o, err
}

// Overrides returns a page of overrides, newest first.
func (db *DB) Overrides(ctx context.Context, f mirror.OverrideFilter) (p mirror.Page[mirror.Override], err error) {
	var w where
	after, found, err := placeOf(overridesList, f.After)
	if err != nil {
		return p, err
	}
	if found {
		id, field, _ := strings.Cut(after.id, "\n")
		w.add("(o.created_at, o.id, o.field) < (?, ?, ?)", int64(after.at), id, field)
	}
	switch {
	case f.Kind != "":
		w.add("o.kind = ?", string(f.Kind))
	case f.ID != "":
		w.add(overridable) // so that the primary key finds it
	}
	if f.ID != "" {
		w.add("o.id = ?", f.ID)
	}
	rest, args := w.pageBy("o.created_at DESC, o.id DESC, o.field DESC", f.Limit)
	list, err := db.overrides(ctx, rest, args...)
	return pageOf(list, err, f.Limit, overridesList, func(o *mirror.Override) place {
		return place{clerk.TimeOf(o.CreatedAt), o.ID + "\n" + string(o.Field)}
	})
}

// overridable is the condition that selects all overrides.
const overridable = "o.kind IN ('session', 'user')"

func (db *DB) overrides(ctx context.Context, rest string, args ...any) ([]mirror.Override, error) {
	ladder := db.Settings().Roles()
	rows, err := db.query(ctx, selectOverrides+rest, args...)
	return scanAll(rows, err, func(r Row) (mirror.Override, error) { return scanOverride(r, ladder) })
}

// overridesIn returns the overrides of an object as its row has them: fields and values.
func overridesIn(kind clerk.Kind, id string, column text) (list []mirror.Override) {
	o := row.Overrides(column)
	for _, field := range o.Fields() {
		list = append(list, mirror.Override{Kind: kind, ID: id, Field: mirror.OverrideField(field), Value: o.Get(field)})
	}
	return list
}

// describeOverrides adds who set the overrides of some records, when and why. Hardly any record has
// overrides, and where none has it asks for nothing.
func describeOverrides[T any](ctx context.Context, db *DB, records []T, overridesOf func(*T) []mirror.Override) error {
	var ids []string
	for i := range records {
		if list := overridesOf(&records[i]); len(list) > 0 {
			ids = append(ids, list[0].ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	condition, arg := db.engine.oneOf("o.id", ids)
	stored, err := db.overrides(ctx, " WHERE "+overridable+" AND "+condition, arg)
	if err != nil {
		return err
	}
	type key struct {
		id    string
		field mirror.OverrideField
	}
	described := make(map[key]mirror.Override, len(stored))
	for _, o := range stored {
		described[key{o.ID, o.Field}] = o
	}
	for i := range records {
		list := overridesOf(&records[i])
		for j := range list { // what changed since the record was read stays as the record has it
			if o, found := described[key{list[j].ID, list[j].Field}]; found && o.Value == list[j].Value {
				list[j] = o
			}
		}
	}
	return nil
}

// maxCountedOverrides bounds what a status counts.
const maxCountedOverrides = 10_000

// CountOverrides counts the overrides, up to ten thousand.
func (db *DB) CountOverrides(ctx context.Context) (int64, error) {
	return db.number(ctx, "SELECT count(*) FROM (SELECT 1 FROM clerk_overrides LIMIT $1) counted", maxCountedOverrides)
}
