package api

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/clerksync/clerksync/mirror"
)

// deliveries lists deliveries, the latest arrivals first.
func (h *handler) deliveries(ctx context.Context, q query) (any, error) {
	return found(h.mirror.Deliveries().List(ctx, mirror.DeliveryFilter{
		State: mirror.DeliveryState(q.text("state")), Type: q.text("type"), Since: q.time("since"), Until: q.time("until"),
		Reason: q.text("reason"), Subject: q.text("subject"), ClerkOrganizationID: q.text("organization"), Text: q.text("text"),
		NewestFirst: true, After: q.after(), Limit: q.limit,
	}))
}

func (h *handler) delivery(ctx context.Context, q query) (any, error) {
	delivery, err := h.mirror.Deliveries().ByMessageID(ctx, q.id())
	if err != nil {
		return nil, err
	}
	answer := map[string]any{"delivery": delivery}
	if q.text("include") == "body" {
		answer["body"] = withoutPrivate(delivery.Body())
	}
	return answer, nil
}

// deliveryGroups groups what could not be applied, by type, state and reason.
func (h *handler) deliveryGroups(ctx context.Context, _ query) (any, error) {
	return found(h.mirror.Deliveries().Groups(ctx))
}

// deliveryChanges lists what a delivery has changed.
func (h *handler) deliveryChanges(ctx context.Context, q query) (any, error) {
	if _, err := h.mirror.Deliveries().ByMessageID(ctx, q.id()); err != nil {
		return nil, err
	}
	return all(h.mirror.Deliveries().Changes(ctx, q.id()))
}

// previewReplay returns what a replay of a delivery would do.
func (h *handler) previewReplay(ctx context.Context, q query) (any, error) {
	return h.mirror.Deliveries().Preview(ctx, q.id())
}

// replay applies a stored delivery again.
func (h *handler) replay(ctx context.Context, c *call, _ none) (any, error) {
	outcome, err := h.mirror.Deliveries().Replay(ctx, c.id(), c.by)
	if err != nil {
		return nil, err
	}
	delivery, err := h.mirror.Deliveries().ByMessageID(ctx, c.id())
	return map[string]any{"outcome": outcome, "delivery": delivery}, err
}

// dismiss records that a dead letter need not be applied.
func (h *handler) dismiss(ctx context.Context, c *call, _ none) (any, error) {
	if err := h.mirror.Deliveries().Dismiss(ctx, []string{c.id()}, c.by); err != nil {
		return nil, err
	}
	delivery, err := h.mirror.Deliveries().ByMessageID(ctx, c.id())
	return map[string]any{"delivery": delivery}, err
}

// withoutPrivate returns the JSON value of a stored body without private metadata. It is nil if no
// body is kept, or if it is damaged.
func withoutPrivate(body string) any {
	decoder := json.NewDecoder(bytes.NewReader([]byte(body)))
	decoder.UseNumber() // numbers stay as they are
	var value any
	if decoder.Decode(&value) != nil {
		return nil
	}
	removePrivate(value)
	return value
}

func removePrivate(value any) {
	switch v := value.(type) {
	case map[string]any:
		delete(v, "private_metadata")
		for _, member := range v {
			removePrivate(member)
		}
	case []any:
		for _, item := range v {
			removePrivate(item)
		}
	}
}
