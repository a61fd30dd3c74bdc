package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// WebhookEndpoint is an endpoint of outgoing webhooks with its secrets.
type WebhookEndpoint struct {
	mirror.WebhookEndpoint

	Secret         string
	PreviousSecret string // "" if there is none
	Revision       int64  // counts what operators changed, and that it was disabled
}

// ErrTooManyEndpoints means that no endpoint can be added.
var ErrTooManyEndpoints = errors.New("too many webhook endpoints")

const selectWebhookEndpoints = `SELECT endpoint_id, url, description, kinds, types, clerk_organization_id, secret, previous_secret, previous_until,
	disabled_at, disabled_reason, failing_since, cursor, created_at, revision FROM clerk_webhook_endpoints`

func scanWebhookEndpoint(r Row) (e WebhookEndpoint, err error) {
	var kinds, types string
	err = r.Scan(&e.ID, &e.URL, &e.Description, &kinds, &types, (*text)(&e.ClerkOrganizationID), &e.Secret, (*text)(&e.PreviousSecret),
		(*instant)(&e.PreviousSecretUntil), (*instant)(&e.DisabledAt), (*text)(&e.DisabledReason), (*instant)(&e.FailingSince), &e.Cursor,
		(*instant)(&e.CreatedAt), &e.Revision)
	for _, kind := range splitFields(kinds) {
		e.Kinds = append(e.Kinds, clerk.Kind(kind))
	}
	e.Types, e.Enabled = splitFields(types), e.DisabledAt.IsZero()
	return e, err
}

// WebhookEndpoints lists all endpoints in the order in which they were added, without the counts of
// their messages.
func (db *DB) WebhookEndpoints(ctx context.Context) ([]WebhookEndpoint, error) {
	rows, err := db.query(ctx, selectWebhookEndpoints+" ORDER BY created_at, endpoint_id")
	return scanAll(rows, err, scanWebhookEndpoint)
}

// WebhookEndpoint returns an endpoint, or [ErrNotFound].
func (db *DB) WebhookEndpoint(ctx context.Context, id string) (WebhookEndpoint, error) {
	rows, err := db.query(ctx, selectWebhookEndpoints+" WHERE endpoint_id = $1", id)
	all, err := scanAll(rows, err, scanWebhookEndpoint)
	return only(all, err, "webhook endpoint", id)
}

// UpdateLeased runs fn in a transaction under a lease, which it extends. It does not lock the head
// row, so that no writer of mirrored rows waits for it: fn must write only what no other process
// writes without the lease or without a lock of its own. [ErrFenced] means that another process
// took the lease over.
func (db *DB) UpdateLeased(ctx context.Context, l Lease, now clerk.Time, ttl time.Duration, fn func(*Tx) error) error {
	return db.updateWithoutHead(ctx, func(tx *Tx) error {
		if err := tx.extendLease(ctx, l, now, ttl); err != nil {
			return err
		}
		return fn(tx)
	})
}

// WebhookEndpoint returns an endpoint, or [ErrNotFound]. Until the transaction ends, no other can
// change the endpoint or its messages: all of them begin with this call.
func (tx *Tx) WebhookEndpoint(ctx context.Context, id string) (WebhookEndpoint, error) {
	one := " WHERE endpoint_id = $1"
	if tx.db.engine == Postgres {
		one += " FOR UPDATE"
	}
	rows, err := tx.query(ctx, selectWebhookEndpoints+one, id)
	all, err := scanAll(rows, err, scanWebhookEndpoint)
	return only(all, err, "webhook endpoint", id)
}

// WebhookCounts counts the messages of endpoints: it sets Pending, OldestPending and Failed.
func (db *DB) WebhookCounts(ctx context.Context, list []WebhookEndpoint) error {
	const text = `SELECT endpoint_id, COALESCE(sum(CASE WHEN failed_at IS NULL THEN 1 ELSE 0 END), 0),
		min(CASE WHEN failed_at IS NULL THEN at END), count(failed_at) FROM clerk_webhook_messages GROUP BY endpoint_id`
	rows, err := db.query(ctx, text)
	return scanEach(rows, err, func(r Row) error {
		var c mirror.WebhookEndpoint
		err := r.Scan(&c.ID, &c.Pending, (*instant)(&c.OldestPending), &c.Failed)
		if i := slices.IndexFunc(list, func(e WebhookEndpoint) bool { return e.ID == c.ID }); i >= 0 {
			list[i].Pending, list[i].OldestPending, list[i].Failed = c.Pending, c.OldestPending, c.Failed
		}
		return err
	})
}

// AddWebhookEndpoint stores a new endpoint. The error is [ErrTooManyEndpoints] if there are limit
// of them.
func (tx *Tx) AddWebhookEndpoint(ctx context.Context, e *WebhookEndpoint, limit int64) error {
	rows, err := tx.query(ctx, "SELECT count(*) FROM clerk_webhook_endpoints")
	n, err := exactlyOne(scanAll(rows, err, scanOne[int64]))
	if err != nil {
		return err
	}
	if n >= limit {
		return ErrTooManyEndpoints
	}
	const text = `INSERT INTO clerk_webhook_endpoints (endpoint_id, url, description, kinds, types, clerk_organization_id, secret, cursor, created_at, revision)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1)`
	kinds := make([]string, len(e.Kinds))
	for i, kind := range e.Kinds {
		kinds[i] = string(kind)
	}
	return tx.exec(ctx, text, e.ID, e.URL, e.Description, strings.Join(kinds, ","), strings.Join(e.Types, ","),
		textOrNull(e.ClerkOrganizationID), e.Secret, string(e.Cursor), int64(clerk.TimeOf(e.CreatedAt)))
}

// SaveWebhookEndpoint stores the secrets, the state and the cursor of an endpoint, and makes it the
// next revision: the process that sends begins again with what is stored.
func (tx *Tx) SaveWebhookEndpoint(ctx context.Context, e *WebhookEndpoint) error {
	const text = `UPDATE clerk_webhook_endpoints SET secret = $2, previous_secret = $3, previous_until = $4, disabled_at = $5, disabled_reason = $6,
		failing_since = $7, cursor = $8, revision = revision + 1 WHERE endpoint_id = $1`
	return tx.exec(ctx, text, e.ID, e.Secret, textOrNull(e.PreviousSecret), timeOrNull(e.PreviousSecretUntil), timeOrNull(e.DisabledAt),
		textOrNull(e.DisabledReason), timeOrNull(e.FailingSince), string(e.Cursor))
}

// SetWebhookFailing stores since when all attempts fail; the zero time means that the last one
// succeeded.
func (tx *Tx) SetWebhookFailing(ctx context.Context, e *WebhookEndpoint) error {
	return tx.exec(ctx, "UPDATE clerk_webhook_endpoints SET failing_since = $2 WHERE endpoint_id = $1", e.ID, timeOrNull(e.FailingSince))
}

// RemoveWebhookEndpoint removes an endpoint with its messages and attempts.
func (tx *Tx) RemoveWebhookEndpoint(ctx context.Context, id string) error {
	for _, table := range []string{"clerk_webhook_messages", "clerk_webhook_attempts", "clerk_webhook_endpoints"} {
		if err := tx.exec(ctx, "DELETE FROM "+table+" WHERE endpoint_id = $1", id); err != nil {
			return err
		}
	}
	return nil
}
