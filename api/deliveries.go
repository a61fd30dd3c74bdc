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
		Subject: q.text("subject"), NewestFirst: true, After: q.after(), Limit: q.limit,
	}))
}

func (h *handler) delivery(ctx context.Context, q query) (any, error) {
	delivery, err := h.mirror.Deliveries().ByMessageID(ctx, q.id)
	if err != nil {
		return nil, err
	}
	answer := map[string]any{"delivery": delivery}
	if q.text("include") == "body" {
		answer["body"] = withoutPrivate(delivery.Body())
	}
	return answer, nil
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
