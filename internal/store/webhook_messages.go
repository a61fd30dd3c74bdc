package store

import (
	"context"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// The messages of outgoing webhooks. Of the waiting messages of an object one has a due_at, which
// is the one to send next. The others get theirs when that one was delivered or given up. So a
// message that is retried holds back its own object alone, and what is due is found by an index.

// WebhookMessage is a change that waits to be sent to an endpoint, or that was given up.
type WebhookMessage struct {
	mirror.Change

	EndpointID string
	Seq        int64
	Attempts   int // so far
}

// SameObject reports whether two messages are about the same object.
func (m *WebhookMessage) SameObject(other *WebhookMessage) bool {
	return m.Kind == other.Kind && m.ID == other.ID
}

var webhookMessageInsert = newBulk(`INSERT INTO clerk_webhook_messages (endpoint_id, seq, tag, at, kind, id, operation, version, clerk_user_id,
	clerk_organization_id, attempts)`, []columnType{
	textColumn, intColumn, textColumn, intColumn, textColumn, textColumn, textColumn, textColumn, textColumn, textColumn, intColumn,
}, ` ON CONFLICT (endpoint_id, seq) DO UPDATE SET tag = excluded.tag, at = excluded.at, kind = excluded.kind, id = excluded.id,
	operation = excluded.operation, version = excluded.version, clerk_user_id = excluded.clerk_user_id,
	clerk_organization_id = excluded.clerk_organization_id, attempts = 0, failed_at = NULL
	WHERE clerk_webhook_messages.failed_at IS NOT NULL`)

// QueueWebhookMessages stores messages of an endpoint for the changes of a page of the feed, and
// the end of the page as the endpoint's cursor. A message that waits already stays as it is; one
// that was given up waits again.
func (tx *Tx) QueueWebhookMessages(ctx context.Context, endpointID string, changes []mirror.Change, next mirror.FeedCursor, now time.Time) error {
	seqs := make([]int64, len(changes))
	tags := make([]string, len(changes))
	for i := range changes {
		var err error
		if seqs[i], tags[i], err = changes[i].Cursor.Split(); err != nil {
			return err
		}
	}
	err := tx.save(ctx, webhookMessageInsert, len(changes), func(i int) []any {
		c := &changes[i]
		return []any{
			endpointID, seqs[i], tags[i], int64(clerk.TimeOf(c.At)), string(c.Kind), c.ID, string(c.Operation), c.Version,
			textOrNull(c.ClerkUserID), textOrNull(c.ClerkOrganizationID), int64(0),
		}
	})
	if err != nil {
		return err
	}
	if len(changes) > 0 {
		if err := tx.releaseBetween(ctx, endpointID, seqs[0], seqs[len(seqs)-1], now); err != nil {
			return err
		}
	}
	return tx.exec(ctx, "UPDATE clerk_webhook_endpoints SET cursor = $2 WHERE endpoint_id = $1", endpointID, string(next))
}

// releaseBetween makes those of the messages due that are the first waiting ones of their objects,
// unless another message of the object is due already.
func (tx *Tx) releaseBetween(ctx context.Context, endpointID string, from, to int64, now time.Time) error {
	const text = `UPDATE clerk_webhook_messages SET due_at = $4
		WHERE endpoint_id = $1 AND seq BETWEEN $2 AND $3 AND due_at IS NULL AND failed_at IS NULL AND NOT EXISTS (
			SELECT 1 FROM clerk_webhook_messages o WHERE o.endpoint_id = $1 AND o.kind = clerk_webhook_messages.kind AND o.id = clerk_webhook_messages.id
				AND o.failed_at IS NULL AND (o.due_at IS NOT NULL OR o.seq < clerk_webhook_messages.seq))`
	return tx.exec(ctx, text, endpointID, from, to, now.UnixMilli())
}

// releaseNext makes the first waiting message of an object due.
func (tx *Tx) releaseNext(ctx context.Context, m *WebhookMessage, now time.Time) error {
	const text = `UPDATE clerk_webhook_messages SET due_at = $4 WHERE endpoint_id = $1 AND due_at IS NULL AND seq = (
		SELECT min(seq) FROM clerk_webhook_messages WHERE endpoint_id = $1 AND kind = $2 AND id = $3 AND failed_at IS NULL)`
	return tx.exec(ctx, text, m.EndpointID, string(m.Kind), m.ID, now.UnixMilli())
}

// DueWebhookMessages lists the messages of an endpoint that are due, in the order in which they
// became due. No two of them are about the same object.
func (db *DB) DueWebhookMessages(ctx context.Context, endpointID string, now time.Time, limit int) ([]WebhookMessage, error) {
	const due = `SELECT seq, tag, at, kind, id, operation, version, clerk_user_id, clerk_organization_id, attempts
		FROM clerk_webhook_messages WHERE endpoint_id = $1 AND due_at <= $2 ORDER BY due_at, seq LIMIT $3`
	rows, err := db.query(ctx, due, endpointID, now.UnixMilli(), limit)
	return scanAll(rows, err, func(r Row) (m WebhookMessage, err error) {
		var tag string
		err = r.Scan(&m.Seq, &tag, (*instant)(&m.At), &m.Kind, &m.ID, &m.Operation, &m.Version, (*text)(&m.ClerkUserID),
			(*text)(&m.ClerkOrganizationID), &m.Attempts)
		m.EndpointID, m.Cursor = endpointID, mirror.NewFeedCursor(m.Seq, tag)
		return m, err
	})
}

// NextWebhookDue returns when the next message of an endpoint is due that is not yet, zero for
// never.
func (db *DB) NextWebhookDue(ctx context.Context, endpointID string, now time.Time) (time.Time, error) {
	const next = "SELECT COALESCE(min(due_at), 0) FROM clerk_webhook_messages WHERE endpoint_id = $1 AND due_at > $2"
	at, err := db.number(ctx, next, endpointID, now.UnixMilli())
	return clerk.Time(at).Time(), err
}

// WebhookBacklog counts the messages of an endpoint that wait.
func (db *DB) WebhookBacklog(ctx context.Context, endpointID string) (int64, error) {
	return db.number(ctx, "SELECT count(*) FROM clerk_webhook_messages WHERE endpoint_id = $1 AND failed_at IS NULL", endpointID)
}

// WebhookDelivered removes a message that was delivered, and releases the next one of its object.
func (tx *Tx) WebhookDelivered(ctx context.Context, m *WebhookMessage, now time.Time) error {
	err := tx.exec(ctx, "DELETE FROM clerk_webhook_messages WHERE endpoint_id = $1 AND seq = $2", m.EndpointID, m.Seq)
	if err != nil {
		return err
	}
	return tx.releaseNext(ctx, m, now)
}

// RetryWebhook keeps a message for another attempt.
func (tx *Tx) RetryWebhook(ctx context.Context, m *WebhookMessage, due time.Time) error {
	const text = `UPDATE clerk_webhook_messages SET attempts = $3, due_at = $4 WHERE endpoint_id = $1 AND seq = $2 AND failed_at IS NULL`
	return tx.exec(ctx, text, m.EndpointID, m.Seq, int64(m.Attempts), due.UnixMilli())
}

// GiveUpWebhook marks a message as failed, and releases the next one of its object.
func (tx *Tx) GiveUpWebhook(ctx context.Context, m *WebhookMessage, now time.Time) error {
	const text = `UPDATE clerk_webhook_messages SET attempts = $3, due_at = NULL, failed_at = $4 WHERE endpoint_id = $1 AND seq = $2`
	if err := tx.exec(ctx, text, m.EndpointID, m.Seq, int64(m.Attempts), now.UnixMilli()); err != nil {
		return err
	}
	return tx.releaseNext(ctx, m, now)
}

// ResendWebhooks lets the failed messages of an endpoint wait again, and makes those due that wait
// for a retry. seq selects one message; 0 selects all.
func (tx *Tx) ResendWebhooks(ctx context.Context, endpointID string, seq int64, now time.Time) (failed int64, err error) {
	failed, err = tx.execOnce(`UPDATE clerk_webhook_messages SET failed_at = NULL, attempts = 0
		WHERE endpoint_id = $1 AND failed_at IS NOT NULL AND (CAST($2 AS BIGINT) = 0 OR seq = $2)`, endpointID, seq)
	if err != nil {
		return failed, err
	}
	const soon = "UPDATE clerk_webhook_messages SET due_at = $3, attempts = 0 WHERE endpoint_id = $1 AND due_at > $3 AND (CAST($2 AS BIGINT) = 0 OR seq = $2)"
	if err := tx.exec(ctx, soon, endpointID, seq, now.UnixMilli()); err != nil {
		return failed, err
	}
	const all = int64(1) << 62
	return failed, tx.releaseBetween(ctx, endpointID, 0, all, now)
}

// HurryWebhooks makes due now what waits for a retry.
func (tx *Tx) HurryWebhooks(ctx context.Context, endpointID string, now time.Time) error {
	return tx.exec(ctx, "UPDATE clerk_webhook_messages SET due_at = $2 WHERE endpoint_id = $1 AND due_at > $2", endpointID, now.UnixMilli())
}

// HurryLateWebhooks makes due now what would wait until after a time, later than any message waits:
// the clock was set back since.
func (db *DB) HurryLateWebhooks(ctx context.Context, latest, now time.Time) error {
	const text = `UPDATE clerk_webhook_messages SET due_at = $2
		WHERE endpoint_id IN (SELECT endpoint_id FROM clerk_webhook_endpoints) AND due_at > $1` // the index begins with the endpoint
	return db.updateWithoutHead(ctx, func(tx *Tx) error { return tx.exec(ctx, text, latest.UnixMilli(), now.UnixMilli()) })
}

// HasWebhookMessage reports whether a message waits or failed.
func (tx *Tx) HasWebhookMessage(ctx context.Context, endpointID string, seq int64) (bool, error) {
	rows, err := tx.query(ctx, "SELECT count(*) FROM clerk_webhook_messages WHERE endpoint_id = $1 AND seq = $2", endpointID, seq)
	n, err := exactlyOne(scanAll(rows, err, scanOne[int64]))
	return n > 0, err
}

// DropWebhookMessages removes all messages of an endpoint, those that wait and those that failed.
func (tx *Tx) DropWebhookMessages(endpointID string) (int64, error) {
	return tx.execOnce("DELETE FROM clerk_webhook_messages WHERE endpoint_id = $1", endpointID)
}

// FeedPlaceBefore returns the place in the change feed before the first change that is not older
// than a time, which is the end of the feed if all are. known is false if the feed does not reach
// back that far.
func (db *DB) FeedPlaceBefore(ctx context.Context, at time.Time) (place mirror.FeedCursor, known bool, err error) {
	type entry struct {
		seq int64
		tag string
		at  clerk.Time
	}
	read := func(condition string, args ...any) ([]entry, error) {
		rows, err := db.query(ctx, "SELECT seq, tag, at FROM clerk_changes"+condition+" LIMIT 1", args...)
		return scanAll(rows, err, func(r Row) (e entry, err error) { return e, r.Scan(&e.seq, &e.tag, &e.at) })
	}
	first, err := read(" WHERE at >= $1 ORDER BY seq", at.UnixMilli())
	if err != nil {
		return "", false, err
	}
	before := " ORDER BY seq DESC"
	var args []any
	if len(first) > 0 {
		before, args = " WHERE seq < $1"+before, []any{first[0].seq}
	}
	last, err := read(before, args...)
	switch {
	case err != nil:
		return "", false, err
	case len(last) > 0:
		return mirror.NewFeedCursor(last[0].seq, last[0].tag), true, nil
	}
	return mirror.FeedStart, len(first) == 0 || first[0].seq == 1, nil
}
