package clerksync

import (
	"context"

	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
)

// Delivery is what arrived under a message id, and what became of it.
type Delivery = store.Delivery

// DeliveryState is what became of a delivery.
type DeliveryState = store.State

// The states of deliveries.
const (
	StateApplied     = store.StateApplied
	StateIgnored     = store.StateIgnored
	StateQuarantined = store.StateQuarantined
	StateDead        = store.StateDead
	StateDismissed   = store.StateDismissed
	StateErased      = store.StateErased
)

// DeliveryFilter selects deliveries for [Deliveries.List]; the zero value selects all.
type DeliveryFilter = store.DeliveryFilter

// DeliveryCursor is a place in the list of deliveries, the newest first; see [DeliveryCursorOf].
type DeliveryCursor = store.DeliveryCursor

// DeliveryCursorOf returns the place of a delivery, for DeliveryFilter.Before: the next page begins after it.
func DeliveryCursorOf(d *Delivery) DeliveryCursor {
	return DeliveryCursor{ReceivedAt: d.ReceivedAt, MessageID: d.MessageID}
}

// Deliveries reads, replays and dismisses what is in the inbox of webhooks.
type Deliveries struct {
	db *store.DB
	in *ingest.Ingest
}

// Deliveries is the service of the inbox.
func (m *Mirror) Deliveries() Deliveries { return Deliveries{m.db, m.ingest} }

// Get answers the delivery with the message id (msg_…), or [ErrNotFound].
func (s Deliveries) Get(ctx context.Context, messageID string) (Delivery, error) {
	return s.db.Delivery(ctx, messageID)
}

// List returns a page of deliveries and the message id of the last one, to go on after, "" after the last page. They come
// by message id, or with NewestFirst by the time of arrival; the next page then begins at Before.
func (s Deliveries) List(ctx context.Context, f DeliveryFilter) (list []Delivery, next string, err error) {
	f.Limit = limit(f.Limit) + 1
	list, err = s.db.Deliveries(ctx, f)
	list, at := page(list, f.Limit-1, func(d Delivery) Cursor { return Cursor{ID: d.MessageID} })
	return list, at.ID, err
}

// Dismiss sets dead letters aside that will never be applied, so that they no longer keep the mirror from being in sync. It
// is all or none: [ErrNotFound] or [ErrNotDead] names the one that cannot be dismissed. Each is a line of the audit; actor
// says who it was. A dismissed delivery can be replayed by naming it, and one that Clerk sends again is tried again.
func (s Deliveries) Dismiss(ctx context.Context, messageIDs []string, actor string) error {
	return s.db.Dismiss(ctx, messageIDs, actor)
}

// Replay applies a stored delivery again and answers what became of it: "processed",
// "invalid", and so on. What the mirror knows already changes nothing.
func (s Deliveries) Replay(ctx context.Context, messageID string) (status string, err error) {
	outcome, err := s.in.Replay(ctx, messageID)
	return string(outcome.Status), err
}

// What a replay takes and answers.
type (
	ReplayOptions = ingest.ReplayOptions
	ReplayReport  = ingest.ReplayReport
	ReplayFailure = ingest.ReplayFailure
	DeliveryCount = store.DeliveryCount
)

// Count counts what a filter selects, by type and state.
func (s Deliveries) Count(ctx context.Context, f DeliveryFilter) ([]DeliveryCount, error) {
	return s.db.CountDeliveries(ctx, f)
}

// ReplayAll applies the stored deliveries again that a filter selects, many at once and in no order, and stops at the
// first that cannot be applied unless told to keep going: that is in the report and no error. Quarantined and dismissed
// ones are left out unless the filter's state is that. Memory is bounded, however many there are.
func (s Deliveries) ReplayAll(ctx context.Context, f DeliveryFilter, o ReplayOptions) (ReplayReport, error) {
	return s.in.ReplayAll(ctx, f, o)
}

// ReplayThese applies deliveries again by message id, as ReplayAll does. One that is not stored is [ErrNotFound], and
// then none is applied.
func (s Deliveries) ReplayThese(ctx context.Context, messageIDs []string, o ReplayOptions) (ReplayReport, error) {
	return s.in.ReplayIDs(ctx, messageIDs, o)
}
