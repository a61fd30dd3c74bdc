package api

import (
	"context"
	"fmt"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// overrides lists local overrides, newest first.
func (h *handler) overrides(ctx context.Context, q query) (any, error) {
	kind, _ := clerk.ParseKind(q.text("kind")) // it was checked; none is all
	return found(h.mirror.Overrides().List(ctx, mirror.OverrideFilter{Kind: kind, ID: q.text("id"), After: q.after(), Limit: q.limit}))
}

// newOverride is an override to be set.
type newOverride struct {
	Kind   string               `json:"kind"`
	ID     string               `json:"id"`
	Field  mirror.OverrideField `json:"field"`
	Value  string               `json:"value"`
	Reason string               `json:"reason"`
}

func (h *handler) setOverride(ctx context.Context, c *call, n newOverride) (any, error) {
	kind, err := kindOf(n.Kind)
	if err != nil {
		return nil, err
	}
	return h.mirror.Overrides().Set(ctx, mirror.Override{Kind: kind, ID: n.ID, Field: n.Field, Value: n.Value, Reason: n.Reason}, c.by)
}

func (h *handler) removeOverride(ctx context.Context, c *call) (any, error) {
	kind, err := kindOf(c.path("kind"))
	if err != nil {
		return nil, err
	}
	return h.mirror.Overrides().Remove(ctx, kind, c.id(), mirror.OverrideField(c.path("field")), c.by)
}

// kindOf returns the kind of a word in the singular or plural.
func kindOf(word string) (clerk.Kind, error) {
	kind, ok := clerk.ParseKind(word)
	if !ok {
		return "", fmt.Errorf("%w: %q is not a kind", mirror.ErrInvalidOverride, word)
	}
	return kind, nil
}
