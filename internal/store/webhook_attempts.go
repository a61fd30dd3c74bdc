package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

const webhookAttemptColumns = "attempt_id, endpoint_id, message_id, type, id, at, attempt, status, duration_ms, reason"

var webhookAttemptInsert = newBulk("INSERT INTO clerk_webhook_attempts ("+webhookAttemptColumns+")",
	slices.Concat(slices.Repeat([]columnType{textColumn}, 5), slices.Repeat([]columnType{intColumn}, 4), []columnType{textColumn}), "")

// AppendWebhookAttempts stores attempts, and sets their ids.
func (tx *Tx) AppendWebhookAttempts(ctx context.Context, list []*mirror.WebhookAttempt) error {
	return tx.save(ctx, webhookAttemptInsert, len(list), func(i int) []any {
		a := list[i]
		at := a.At.UnixMilli()
		a.ID = entryID(at, tx.db.audited.Add(1))
		return []any{
			a.ID, a.EndpointID, a.MessageID, a.Type, a.ObjectID, at, int64(a.Attempt), int64(a.Status), a.DurationMS, textOrNull(a.Reason),
		}
	})
}

// WebhookAttempts returns a page of attempts, newest first.
func (db *DB) WebhookAttempts(ctx context.Context, f mirror.WebhookAttemptFilter) (p mirror.Page[mirror.WebhookAttempt], err error) {
	var w where
	after, found, err := placeOf(webhookAttemptsList, f.After)
	if err != nil {
		return p, err
	}
	if found {
		w.add("attempt_id < ?", after.id)
	}
	if f.EndpointID != "" {
		w.add("endpoint_id = ?", f.EndpointID)
	}
	if f.MessageID != "" {
		w.add("message_id = ?", f.MessageID)
	}
	if f.Failed {
		w.add("reason IS NOT NULL")
	}
	rest, args := w.pageBy("attempt_id DESC", f.Limit)
	rows, err := db.query(ctx, "SELECT "+webhookAttemptColumns+" FROM clerk_webhook_attempts"+rest, args...)
	list, err := scanAll(rows, err, func(r Row) (a mirror.WebhookAttempt, err error) {
		return a, r.Scan(&a.ID, &a.EndpointID, &a.MessageID, &a.Type, &a.ObjectID, (*instant)(&a.At), &a.Attempt, &a.Status, &a.DurationMS, (*text)(&a.Reason))
	})
	return pageOf(list, err, f.Limit, webhookAttemptsList, func(a *mirror.WebhookAttempt) place { return place{id: a.ID} })
}

// PurgeWebhooks removes attempts and failed messages from before a time, in pages.
func (db *DB) PurgeWebhooks(ctx context.Context, before clerk.Time) error {
	_, err := db.inPages(ctx, `DELETE FROM clerk_webhook_attempts WHERE attempt_id IN
		(SELECT attempt_id FROM clerk_webhook_attempts WHERE attempt_id < $1 ORDER BY attempt_id LIMIT $2)`, fmt.Sprintf("%012x", int64(before)), purgePage)
	_, err2 := db.inPages(ctx, `DELETE FROM clerk_webhook_messages WHERE failed_at IS NOT NULL AND (endpoint_id, seq) IN
		(SELECT endpoint_id, seq FROM clerk_webhook_messages WHERE failed_at IS NOT NULL AND failed_at < $1 LIMIT $2)`, int64(before), purgePage)
	return errors.Join(err, err2)
}

// TrimWebhooks removes the attempts and the failed messages of an endpoint beyond the latest keep
// of each, in pages.
func (db *DB) TrimWebhooks(ctx context.Context, endpointID string, keep int) error {
	_, err := db.inPages(ctx, `DELETE FROM clerk_webhook_attempts WHERE endpoint_id = $1 AND attempt_id IN
		(SELECT attempt_id FROM clerk_webhook_attempts WHERE endpoint_id = $1 ORDER BY attempt_id DESC LIMIT $3 OFFSET $2)`, endpointID, keep, purgePage)
	_, err2 := db.inPages(ctx, `DELETE FROM clerk_webhook_messages WHERE endpoint_id = $1 AND failed_at IS NOT NULL AND seq IN
		(SELECT seq FROM clerk_webhook_messages WHERE endpoint_id = $1 AND failed_at IS NOT NULL ORDER BY failed_at DESC, seq DESC LIMIT $3 OFFSET $2)`,
		endpointID, keep, purgePage)
	return errors.Join(err, err2)
}

// timeOrNull returns a time as it is stored, NULL for the zero time.
func timeOrNull(t time.Time) any { return orNull(clerk.TimeOf(t)) }
