package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/mirror"
)

// Erasure is the receipt of the erasure of a user. It holds no personal data except the id.
type Erasure struct {
	mirror.Erasure

	Search []string // what the search looks for: ids and addresses; emptied when it is over
	Cursor string   // where the search is
}

// KeysOfUser returns a page of the rows of a kind whose parent is the user.
func (tx *Tx) KeysOfUser(ctx context.Context, kind clerk.Kind, userID, after string, limit int) ([]row.Key, error) {
	return tx.keys(ctx, kind, " AND clerk_user_id = $3", after, limit, userID)
}

// KeysOfAddress returns a page of the invitations or waitlist entries of an email address.
func (tx *Tx) KeysOfAddress(ctx context.Context, kind clerk.Kind, address, after string, limit int) ([]row.Key, error) {
	return tx.keys(ctx, kind, " AND lower(email) = lower($3)", after, limit, address)
}

// KeysAfter returns a page of all rows of a kind.
func (tx *Tx) KeysAfter(ctx context.Context, kind clerk.Kind, after string, limit int) ([]row.Key, error) {
	return tx.keys(ctx, kind, "", after, limit)
}

func (tx *Tx) keys(ctx context.Context, kind clerk.Kind, condition, after string, limit int, args ...any) ([]row.Key, error) {
	t := tables[kind]
	text := fmt.Sprintf("SELECT %[1]s FROM %[2]s WHERE %[1]s > $1%[3]s ORDER BY %[1]s LIMIT $2", t.key(), t.name, condition)
	rows, err := tx.query(ctx, text, append([]any{after, limit}, args...)...)
	return scanAll(rows, err, func(r Row) (row.Key, error) {
		id, err := scanOne[string](r)
		return row.Key{Kind: kind, ID: id}, err
	})
}

// BeginErasure stores the receipt and starts the search for copies, again if it was done before.
func (tx *Tx) BeginErasure(ctx context.Context, e Erasure) error {
	return tx.exec(ctx, `INSERT INTO clerk_erasures (clerk_user_id, at, cause, erased_rows, bodies, search, cursor, done_at)
		VALUES ($1, $2, $3, $4, 0, $5, '', NULL) ON CONFLICT (clerk_user_id) DO UPDATE
		SET search = excluded.search, cursor = '', done_at = NULL, erased_rows = clerk_erasures.erased_rows + excluded.erased_rows`,
		e.ClerkUserID, int64(clerk.TimeOf(e.At)), string(e.Cause), e.Rows, strings.Join(e.Search, "\n"))
}

// AdvanceErasures stores how far a search has come, and for each erasure how many bodies it found
// there.
func (tx *Tx) AdvanceErasures(ctx context.Context, open []Erasure, cursor string, bodies []int64) error {
	for i := range open {
		const text = "UPDATE clerk_erasures SET cursor = $1, bodies = bodies + $2 WHERE clerk_user_id = $3 AND done_at IS NULL"
		if err := tx.exec(ctx, text, cursor, bodies[i], open[i].ClerkUserID); err != nil {
			return err
		}
	}
	return nil
}

// EraseConsumerErrors removes what consumers of the change feed said of a user's changes that they
// could not handle.
func (tx *Tx) EraseConsumerErrors(ctx context.Context, userID string) error {
	const last = `UPDATE clerk_consumers SET last_error = NULL WHERE EXISTS (SELECT 1 FROM clerk_consumer_parked p
		WHERE p.consumer = clerk_consumers.name AND p.clerk_user_id = $1 AND p.error = clerk_consumers.last_error)`
	if err := tx.exec(ctx, last, userID); err != nil {
		return err
	}
	return tx.exec(ctx, "UPDATE clerk_consumer_parked SET error = '' WHERE clerk_user_id = $1", userID)
}

// CountMasked adds rows to a receipt.
func (tx *Tx) CountMasked(ctx context.Context, userID string, rows int64) error {
	return tx.exec(ctx, "UPDATE clerk_erasures SET erased_rows = erased_rows + $1 WHERE clerk_user_id = $2", rows, userID)
}

// EndErasure ends the search and removes what was searched for.
func (tx *Tx) EndErasure(ctx context.Context, userID string) error {
	return tx.exec(ctx, "UPDATE clerk_erasures SET search = '', cursor = '', done_at = $1 WHERE clerk_user_id = $2", tx.db.now().UnixMilli(), userID)
}

const selectErasures = `SELECT clerk_user_id, at, cause, erased_rows, bodies, COALESCE(done_at, 0), search, cursor FROM clerk_erasures`

func scanErasure(r Row) (e Erasure, err error) {
	var search string
	err = r.Scan(&e.ClerkUserID, (*instant)(&e.At), &e.Cause, &e.Rows, &e.Bodies, (*instant)(&e.DoneAt), &search, &e.Cursor)
	if search != "" {
		e.Search = strings.Split(search, "\n")
	}
	return e, err
}

// OpenErasures lists erasures whose search for copies is not done and has come to the same place.
func (db *DB) OpenErasures(ctx context.Context, limit int) ([]Erasure, error) {
	rows, err := db.query(ctx, selectErasures+` WHERE done_at IS NULL AND cursor =
		(SELECT cursor FROM clerk_erasures WHERE done_at IS NULL ORDER BY cursor LIMIT 1) ORDER BY clerk_user_id LIMIT $1`, limit)
	return scanAll(rows, err, scanErasure)
}

// Erasure returns the receipt of a user, or [ErrNotFound].
func (db *DB) Erasure(ctx context.Context, userID string) (Erasure, error) {
	rows, err := db.query(ctx, selectErasures+" WHERE clerk_user_id = $1", userID)
	list, err := scanAll(rows, err, scanErasure)
	return only(list, err, "erasure of", userID)
}

// Erasable lists users who were permanently deleted, and last seen, before a time, and are not
// erased, without the first ones.
func (db *DB) Erasable(ctx context.Context, before clerk.Time, without, limit int) ([]string, error) {
	rows, err := db.query(ctx, `SELECT clerk_user_id FROM clerk_users WHERE sync_hard = 1 AND sync_erased = 0
		AND deleted_at <= $1 AND sync_seen_at <= $2 ORDER BY deleted_at, clerk_user_id LIMIT $3 OFFSET $4`, int64(before), int64(before), limit, without)
	return scanAll(rows, err, scanOne[string])
}

// Bodies returns a page of the deliveries that have a body: the message id, state, subjects and
// body of each. limit and maxBytes bound it. last is the id of the last row that was read, "" at
// the end.
func (db *DB) Bodies(ctx context.Context, after string, limit, maxBytes int) (list []Delivery, last string, err error) {
	const text = "SELECT message_id, state, subjects, COALESCE(body, '') FROM clerk_inbox WHERE message_id > $1 ORDER BY message_id LIMIT $2"
	rows, err := db.query(ctx, text, after, limit)
	if err != nil {
		return nil, "", err
	}
	defer rows.Close()
	for size := 0; size < maxBytes && rows.Next(); {
		var d Delivery
		var subjects string
		if err := rows.Scan(&d.MessageID, &d.State, &subjects, &d.Body); err != nil {
			return nil, "", err
		}
		d.Subjects, last = strings.Fields(subjects), d.MessageID
		size += len(d.Body)
		if d.Body != "" {
			list = append(list, d)
		}
	}
	return list, last, rows.Err()
}

// EraseDeliveries permanently removes the bodies of deliveries.
func (tx *Tx) EraseDeliveries(ctx context.Context, messageIDs []string) error {
	if len(messageIDs) == 0 {
		return nil
	}
	condition, arg := tx.db.engine.oneOf("message_id", messageIDs)
	return tx.exec(ctx, "UPDATE clerk_inbox SET state = 'erased', problem = NULL, body = NULL, digest = NULL WHERE "+condition, arg)
}

// RewriteBodies replaces the bodies of deliveries that still have one.
func (tx *Tx) RewriteBodies(ctx context.Context, list []Delivery) error {
	for _, d := range list {
		if err := tx.exec(ctx, "UPDATE clerk_inbox SET body = $1 WHERE message_id = $2 AND body IS NOT NULL", d.Body, d.MessageID); err != nil {
			return err
		}
	}
	return nil
}

// TruncateWAL empties SQLite's write-ahead log, so that the files do not keep what was overwritten.
// done is false while another process still reads from the log, or where only another process
// checkpoints. On Postgres it does nothing: VACUUM removes old versions of rows.
func (db *DB) TruncateWAL(ctx context.Context) (done bool, err error) {
	if db.engine != SQLite {
		return true, nil
	}
	if db.foreignCheckpoints {
		return false, nil
	}
	rows, err := db.write.QueryContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	busy, err := exactlyOne(scanAll(rows, err, func(r Row) (busy int, err error) {
		var log, done int
		return busy, r.Scan(&busy, &log, &done)
	}))
	return busy == 0, err
}
