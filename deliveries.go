package clerksync

import (
	"context"
	"iter"

	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Deliveries reads, replays and dismisses stored webhook deliveries.
type Deliveries struct {
	db *store.DB
	in *ingest.Ingest
}

// Deliveries returns the service that reads, replays and dismisses stored webhook deliveries.
func (m *Mirror) Deliveries() Deliveries { return Deliveries{m.db, m.ingest} }

// ByMessageID returns the delivery with the message id (msg_…), or [ErrNotFound].
func (s Deliveries) ByMessageID(ctx context.Context, messageID string) (mirror.Delivery, error) {
	d, err := s.db.Delivery(ctx, messageID)
	if err != nil {
		return mirror.Delivery{}, err
	}
	return d.Record(), nil
}

// List returns a page of deliveries, ordered by message id. With NewestFirst the latest arrivals
// come first.
func (s Deliveries) List(ctx context.Context, f mirror.DeliveryFilter) (mirror.Page[mirror.Delivery], error) {
	return store.List(ctx, s.db, (*store.DB).Deliveries, f)
}

// All iterates over the deliveries that a filter selects, in the order of List. It reads a page at
// a time.
func (s Deliveries) All(ctx context.Context, f mirror.DeliveryFilter) iter.Seq2[mirror.Delivery, error] {
	return allOf(f.After, func(after mirror.Cursor) (mirror.Page[mirror.Delivery], error) {
		f := f // goroutines may share the iterator
		f.After = after
		return s.List(ctx, f)
	})
}

// Count counts the deliveries that a filter selects, by type and state.
func (s Deliveries) Count(ctx context.Context, f mirror.DeliveryFilter) ([]mirror.DeliveryCount, error) {
	return s.db.CountDeliveries(ctx, f)
}

// Changes returns what a delivery changed in the mirror when it was applied or replayed last. It is
// empty for a delivery that brought nothing new. The error is [ErrChangesRemoved] if the changes of
// that time are older than Config.ChangesRetention, and [ErrNotFound] if there is no such delivery.
func (s Deliveries) Changes(ctx context.Context, messageID string) ([]mirror.Change, error) {
	return s.db.ChangesOf(ctx, messageID)
}

// Groups groups the deliveries that could not be applied by type, state and reason, that with the
// latest one first. It looks at the latest 10,000: [mirror.Page].LookedBackTo is set if there may
// be more. All groups are on one page.
func (s Deliveries) Groups(ctx context.Context) (mirror.Page[mirror.DeliveryGroup], error) {
	return s.db.DeliveryGroups(ctx)
}

// Dismiss records that dead letters need not be applied, so that the mirror can be in sync without
// them. It dismisses all of them or none; the error is [ErrNotFound] or [ErrNotDead] and names the
// one that cannot be dismissed. Each dismissal is an entry of the audit. A dismissed delivery can
// still be replayed by its id, and is applied if Clerk sends it again.
func (s Deliveries) Dismiss(ctx context.Context, messageIDs []string, by mirror.By) error {
	return s.db.Dismiss(ctx, messageIDs, by)
}

// Replay applies a stored delivery again. An event that the mirror has already applied changes
// nothing. by is who asks for it: it is an entry of the audit, with the outcome. The error says why
// nothing was tried; why an event could not be applied is the error of [Deliveries.Preview].
func (s Deliveries) Replay(ctx context.Context, messageID string, by mirror.By) (mirror.Outcome, error) {
	delivery, err := s.db.Delivery(ctx, messageID)
	if err != nil {
		return "", err
	}
	outcome, err := s.in.Replay(ctx, messageID)
	if err != nil {
		return outcome.Status, err
	}
	entry := store.AuditDelivery(by.Entry(mirror.AuditReplayed), &delivery)
	entry.Became = string(outcome.Status)
	return outcome.Status, s.db.Update(ctx, func(tx *store.Tx) error { return tx.AppendAudit(ctx, []mirror.AuditEntry{entry}) })
}

// Preview returns what a replay of a delivery would do: which objects it is about, what would
// change, and why it could not be applied. It changes nothing, and does not call Config.OnChange.
// The error is [ErrNotFound] or [ErrNoBody] if there is nothing to replay.
func (s Deliveries) Preview(ctx context.Context, messageID string) (mirror.ReplayPreview, error) {
	return s.in.Preview(ctx, messageID)
}

// ReplayAll applies the stored deliveries that a filter selects again, many at once and in no
// order. It stops at the first one that cannot be applied, unless KeepGoing is set; the report says
// so, and the error is nil. It skips quarantined and dismissed deliveries unless the filter selects
// that state. Its use of memory does not grow with their number.
func (s Deliveries) ReplayAll(ctx context.Context, f mirror.DeliveryFilter, o mirror.ReplayOptions) (mirror.ReplayReport, error) {
	return s.in.ReplayAll(ctx, f, o)
}

// ReplayIDs applies the deliveries with these message ids again, as ReplayAll does. If one of them
// is not stored, it applies none, and the error is [ErrNotFound].
func (s Deliveries) ReplayIDs(ctx context.Context, messageIDs []string, o mirror.ReplayOptions) (mirror.ReplayReport, error) {
	return s.in.ReplayIDs(ctx, messageIDs, o)
}
