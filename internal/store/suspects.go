package store

import (
	"context"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
)

// Suspicion is the reason for which an answer from Clerk must be confirmed.
type Suspicion string

// The suspicions.
const (
	SuspectGone     Suspicion = "gone"     // a read by id did not find it
	SuspectUnlisted Suspicion = "unlisted" // a whole list lacked it
	SuspectOlder    Suspicion = "older"    // Clerk returned a state older than the stored one
	SuspectHidden   Suspicion = "hidden"   // its deletion is inferred, and one more answer must confirm it
	SuspectRefused  Suspicion = "refused"  // Clerk refused to return it; it is not requested again too soon
	// SuspectUnreadable is an object that Clerk refused to return so often that an operator must
	// look.
	SuspectUnreadable Suspicion = "unreadable"
	SuspectHook       Suspicion = "hook"     // the application's OnChange refused what Clerk returned
	SuspectConflict   Suspicion = "conflict" // Clerk has what is permanently deleted here
)

// Suspect is an object for which one answer from Clerk must be confirmed by a later one. An object
// is suspected for one reason at a time.
type Suspect struct {
	Key      row.Key
	Reason   Suspicion
	Since    int64      // it is valid while the row was not written after this write counter
	DueAt    clerk.Time // when to read it again, by the clock of the process that walks
	Attempts int        // answers so far
}

// Suspects lists the suspects. Of those with an inferred deletion it lists only the ones that are
// due.
func (db *DB) Suspects(ctx context.Context, now clerk.Time) (map[row.Key]Suspect, error) {
	rows, err := db.query(ctx, `SELECT kind, id, reason, since_write, due_at, attempts FROM clerk_suspects
		WHERE reason <> 'hidden' OR due_at <= $1`, int64(now))
	return scanMap(rows, err, func(r Row) (_ row.Key, s Suspect, err error) {
		err = r.Scan(&s.Key.Kind, &s.Key.ID, &s.Reason, &s.Since, &s.DueAt, &s.Attempts)
		return s.Key, s, err
	})
}

var suspectUpsert = newBulk("INSERT INTO clerk_suspects (kind, id, reason, since_write, due_at, attempts)",
	[]columnType{textColumn, textColumn, textColumn, intColumn, intColumn, intColumn},
	` ON CONFLICT (kind, id) DO UPDATE SET reason = excluded.reason, since_write = excluded.since_write,
		due_at = excluded.due_at, attempts = excluded.attempts`)

// SaveSuspects stores suspects. A suspect replaces an earlier one of the same object.
func (tx *Tx) SaveSuspects(ctx context.Context, list ...Suspect) error {
	return tx.save(ctx, suspectUpsert, len(list), func(i int) []any {
		s := list[i]
		return []any{string(s.Key.Kind), s.Key.ID, string(s.Reason), s.Since, int64(s.DueAt), int64(s.Attempts)}
	})
}

// DropSuspects removes the suspects with the keys.
func (tx *Tx) DropSuspects(ctx context.Context, keys ...row.Key) error {
	for _, k := range keys {
		if err := tx.exec(ctx, "DELETE FROM clerk_suspects WHERE kind = $1 AND id = $2", string(k.Kind), k.ID); err != nil {
			return err
		}
	}
	return nil
}

// ActiveUsers lists users by id, those after an id, who signed in or were active since a time, or
// who have a session that is usable at now.
func (db *DB) ActiveUsers(ctx context.Context, since, now clerk.Time, after string, limit int) ([]string, error) {
	const text = `SELECT t.clerk_user_id FROM clerk_users t WHERE t.sync_hidden = 0 AND t.clerk_user_id > $1
		AND (t.last_active_at >= $2 OR t.last_login_at >= $2 OR EXISTS (SELECT 1 FROM clerk_sessions s
			WHERE s.clerk_user_id = t.clerk_user_id AND s.sync_hidden = 0 AND s.sync_terminal = 0 AND s.expire_at > $3))
		ORDER BY t.clerk_user_id LIMIT $4`
	rows, err := db.query(ctx, text, after, int64(since), int64(now), limit)
	return scanAll(rows, err, scanOne[string])
}
