package ingest

import (
	"context"
	"errors"
	"fmt"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
)

// ErrNoBody says that a delivery's body was not kept, so that it can not be replayed.
var ErrNoBody = errors.New("the body of the delivery is not kept")

// Replay applies a stored delivery again, through the very same functions as a new one.
// What the mirror knows already changes nothing.
func (in *Ingest) Replay(ctx context.Context, messageID string) (Outcome, error) {
	d, err := in.db.Delivery(ctx, messageID)
	if err != nil {
		return Outcome{}, err
	}
	return in.replay(d)
}

func (in *Ingest) replay(d store.Delivery) (Outcome, error) {
	p, err := in.again(d)
	if err != nil {
		return Outcome{}, err
	}
	return in.Submit(p), nil
}

// again reads a stored delivery as if it had just come.
func (in *Ingest) again(d store.Delivery) (*Prepared, error) {
	if d.Body == "" || d.State == store.StateErased {
		return nil, ErrNoBody
	}
	envelope, err := clerk.Parse([]byte(d.Body))
	if err != nil {
		return nil, fmt.Errorf("stored body of %s: %w", d.MessageID, err)
	}
	p, err := in.read(envelope)
	if err != nil {
		return nil, fmt.Errorf("stored body of %s: %w", d.MessageID, err)
	}
	p.replay, p.size = true, len(d.Body)
	p.delivery.MessageID, p.delivery.ReceivedAt, p.delivery.SignedAt = d.MessageID, d.ReceivedAt, d.SignedAt
	p.delivery.Digest = d.Digest // of the body as it was delivered, before redaction
	return p, nil
}

// Upgrade replays once what an older version could not read: dead letters and events of
// types that it did not know. It answers how many.
func (in *Ingest) Upgrade(ctx context.Context) (replayed int, err error) {
	for _, state := range []store.State{store.StateDead, store.StateIgnored} {
		n, err := in.upgrade(ctx, store.DeliveryFilter{State: state, RevisionBelow: ApplyRevision, Limit: 500})
		if replayed += n; err != nil {
			return replayed, err
		}
	}
	return replayed, nil
}

func (in *Ingest) upgrade(ctx context.Context, filter store.DeliveryFilter) (replayed int, err error) {
	for {
		page, err := in.db.Deliveries(ctx, filter)
		if err != nil || len(page) == 0 {
			return replayed, err
		}
		for _, d := range page {
			filter.AfterMessageID = d.MessageID
			if ctx.Err() != nil {
				return replayed, ctx.Err()
			}
			switch _, err := in.replay(d); {
			case err == nil:
				replayed++
			case !errors.Is(err, ErrNoBody):
				in.log.Warn("a delivery can not be replayed", "message_id", d.MessageID, "error", err)
			}
		}
	}
}
