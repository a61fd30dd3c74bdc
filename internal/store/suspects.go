package store

import (
	"context"
	"database/sql"

	"github.com/clerksync/clerksync/clerk"
)

// Suspicion says what an answer of Clerk made doubtful.
type Suspicion string

// The suspicions.
const (
	SuspectGone     Suspicion = "gone"     // a read by id did not find it
	SuspectUnlisted Suspicion = "unlisted" // a whole list lacked it
	SuspectOlder    Suspicion = "older"    // what Clerk tells is older than what is stored
	SuspectHidden   Suspicion = "hidden"   // it is taken for deleted, which one more answer has to confirm
	SuspectRefused  Suspicion = "refused"  // Clerk refuses to tell: not to be asked again too soon
	// SuspectUnreadable is what Clerk refused to return so often that waiting does not help: a person has to look.
	SuspectUnreadable Suspicion = "unreadable"
	SuspectConflict   Suspicion = "conflict" // Clerk has what is permanently deleted here
)

// Suspect is an object of which one answer of Clerk said what a later one has to confirm. An object has one at a time.
type Suspect struct {
	Key      Key
	Reason   Suspicion
	Since    int64      // it counts while the row was not written after this count of the head
	DueAt    clerk.Time // when to ask again, by the clock of who walks
	Attempts int        // answers so far
}

// Suspects lists all that wait to be confirmed, but of the taken for deleted only those that are due.
func (db *DB) Suspects(ctx context.Context, now clerk.Time) (map[Key]Suspect, error) {
	rows, err := db.query(ctx, `SELECT kind, id, reason, since_write, due_at, attempts FROM clerk_suspects
		WHERE reason <> 'hidden' OR due_at <= $1`, int64(now))
	return scanMap(rows, err, func(r *sql.Rows) (_ Key, s Suspect, err error) {
		err = r.Scan(&s.Key.Kind, &s.Key.ID, &s.Reason, &s.Since, &s.DueAt, &s.Attempts)
		return s.Key, s, err
	})
}

var suspectUpsert = newBulk("INSERT INTO clerk_suspects (kind, id, reason, since_write, due_at, attempts)",
	[]columnType{textColumn, textColumn, textColumn, intColumn, intColumn, intColumn},
	` ON CONFLICT (kind, id) DO UPDATE SET reason = excluded.reason, since_write = excluded.since_write,
		due_at = excluded.due_at, attempts = excluded.attempts`)

// SaveSuspects keeps suspects, each in the place of what was suspected of the same object.
func (tx *Tx) SaveSuspects(ctx context.Context, list ...Suspect) error {
	return tx.save(ctx, suspectUpsert, len(list), func(i int) []any {
		s := list[i]
		return []any{string(s.Key.Kind), s.Key.ID, string(s.Reason), s.Since, int64(s.DueAt), int64(s.Attempts)}
	})
}

// DropSuspects forgets what is suspected of objects.
func (tx *Tx) DropSuspects(ctx context.Context, keys ...Key) error {
	for _, k := range keys {
		if err := tx.exec(ctx, "DELETE FROM clerk_suspects WHERE kind = $1 AND id = $2", string(k.Kind), k.ID); err != nil {
			return err
		}
	}
	return nil
}

// ActiveUsers lists users, by id from after one on, who signed in or were active since a time, or have a session that
// the mirror takes for usable at that of now.
func (db *DB) ActiveUsers(ctx context.Context, since, now clerk.Time, after string, limit int) ([]string, error) {
	const text = `SELECT t.clerk_user_id FROM clerk_users t WHERE t.sync_hidden = 0 AND t.clerk_user_id > $1
		AND (t.last_active_at >= $2 OR t.last_login_at >= $2 OR EXISTS (SELECT 1 FROM clerk_sessions s
			WHERE s.clerk_user_id = t.clerk_user_id AND s.sync_hidden = 0 AND s.sync_terminal = 0 AND s.expire_at > $3))
		ORDER BY t.clerk_user_id LIMIT $4`
	rows, err := db.query(ctx, text, after, int64(since), int64(now), limit)
	return scanAll(rows, err, scanOne[string])
}

// waits is the condition that an object of the verify queue v waits for a read, and is no finding for a person.
const waits = "NOT EXISTS (SELECT 1 FROM clerk_suspects s WHERE s.kind = v.kind AND s.id = v.id AND s.reason = 'unreadable')"

// Unreadable counts the objects in doubt that Clerk keeps refusing to return, by kind. They grant nothing, and are no part of
// [DB.Queues].
func (db *DB) Unreadable(ctx context.Context) (map[clerk.Kind]int64, error) {
	rows, err := db.query(ctx, "SELECT v.kind, count(DISTINCT v.id) FROM clerk_verify v WHERE NOT "+waits+" GROUP BY v.kind")
	return scanMap(rows, err, func(r *sql.Rows) (kind clerk.Kind, n int64, err error) { return kind, n, r.Scan(&kind, &n) })
}
