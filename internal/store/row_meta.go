package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
)

// RowMeta describes a row without its content.
type RowMeta struct {
	ID             string
	UserID         string
	OrganizationID string
	Rank           row.Rank
	Hidden         bool
	Hard           bool
	UpdatedAt      clerk.Time
	SeenAt         clerk.Time
	GoneAt         clerk.Time
	Written        int64
	ReadAfter      int64
}

// Exposed reports whether a row is deleted but visible, because something other than clerksync
// wrote to it.
func (s *RowMeta) Exposed() bool {
	return !s.Hidden && (s.Hard || s.GoneAt > 0 && s.GoneAt >= s.SeenAt)
}

func (t *table) selectRowMeta() string {
	return "SELECT t." + t.key() + ", " + t.valueOr("clerk_user_id", "''") + ", " + t.valueOr("clerk_organization_id", "''") +
		", t.sync_rank, t.sync_hidden, t.sync_hard, t.sync_updated_at, t.sync_seen_at, t.sync_gone_at, t.sync_write, t.sync_read_after FROM " +
		t.name + " t WHERE "
}

func scanRowMeta(r Row) (s RowMeta, err error) {
	return s, r.Scan(&s.ID, &s.UserID, &s.OrganizationID, &s.Rank, (*boolean)(&s.Hidden), (*boolean)(&s.Hard),
		&s.UpdatedAt, &s.SeenAt, &s.GoneAt, &s.Written, &s.ReadAfter)
}

// RowMetas loads the rows of a kind by id without their bodies, those that exist.
func (tx *Tx) RowMetas(_ context.Context, kind clerk.Kind, ids []string) (map[string]RowMeta, error) {
	t := tables[kind]
	found := make(map[string]RowMeta, len(ids))
	err := tx.load(t.selectRowMeta(), "t."+t.key(), ids, func(r Row) error {
		s, err := scanRowMeta(r)
		found[s.ID] = s
		return err
	})
	return found, err
}

// RowMeta returns one row without its body, or [ErrNotFound].
func (db *DB) RowMeta(ctx context.Context, key row.Key) (RowMeta, error) {
	t := tables[key.Kind]
	rows, err := db.query(ctx, t.selectRowMeta()+"t."+t.key()+" = $1", key.ID)
	return exactlyOne(scanAll(rows, err, scanRowMeta))
}

// selectLiveRowMeta is selectRowMeta with rows hidden that a parent hides. Unlike the live view it
// has all memberships of a pair.
func (t *table) selectLiveRowMeta() string {
	hidden := "t.sync_hidden"
	for _, p := range t.hiddenBy() { // 0 where there is no parent
		hidden += fmt.Sprintf(" + COALESCE((SELECT p.sync_hidden FROM %s p WHERE p.%[2]s = t.%[2]s), 0)", p.name, p.key())
	}
	return strings.Replace(t.selectRowMeta(), "t.sync_hidden", "CASE WHEN "+hidden+" > 0 THEN 1 ELSE 0 END", 1)
}

// LiveRows lists the visible rows of a kind by id, those after an id: rows that neither their own
// deletion nor that of a parent hides.
func (db *DB) LiveRows(ctx context.Context, kind clerk.Kind, after string, limit int) (standing []RowMeta, err error) {
	t := tables[kind]
	// Only the key selects the rows. With any other condition, Postgres would read and sort the
	// whole table for each page while it has no statistics.
	text := t.selectLiveRowMeta() + fmt.Sprintf("t.%[1]s > $1 ORDER BY t.%[1]s LIMIT %d", t.key(), limit)
	for len(standing) < limit {
		rows, err := db.query(ctx, text, after)
		page, err := scanAll(rows, err, scanRowMeta)
		if err != nil {
			return nil, err
		}
		for _, s := range page {
			if after = s.ID; !s.Hidden {
				standing = append(standing, s)
			}
		}
		if len(page) < limit {
			break
		}
	}
	return standing[:min(limit, len(standing))], nil
}

// LiveRowsOf returns those of some rows that are visible.
func (db *DB) LiveRowsOf(ctx context.Context, kind clerk.Kind, ids []string) ([]RowMeta, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	t := tables[kind]
	condition, arg := db.engine.oneOf("t."+t.key(), ids)
	rows, err := db.query(ctx, t.selectLiveRowMeta()+condition, arg)
	all, err := scanAll(rows, err, scanRowMeta)
	return slices.DeleteFunc(all, func(s RowMeta) bool { return s.Hidden }), err
}

// Verify records that an authoritative read agreed with rows, and that Clerk had them at that time.
// readAfter is the head's write counter from before the read was sent. It does not change their
// bodies.
func (tx *Tx) Verify(_ context.Context, kind clerk.Kind, ids []string, observedAt clerk.Time, readAfter int64, now clerk.Time) error {
	if len(ids) == 0 {
		return nil
	}
	t := tables[kind]
	condition, arg := tx.db.engine.oneOf(t.key(), ids)
	text := fmt.Sprintf(`UPDATE %s SET sync_verified_at = %d,
		sync_read = CASE WHEN sync_observed_at < %[3]d THEN 1 ELSE sync_read END,
		sync_observed_at = CASE WHEN sync_observed_at < %[3]d THEN %[3]d ELSE sync_observed_at END,
		sync_seen_at = CASE WHEN sync_seen_at < %[3]d THEN %[3]d ELSE sync_seen_at END,
		sync_read_after = CASE WHEN sync_read_after < %[4]d THEN %[4]d ELSE sync_read_after END WHERE %[5]s`,
		t.name, int64(now), int64(observedAt), readAfter, condition)
	_, err := tx.execOnce(text, arg) // never the same text twice: not prepared
	return err
}
