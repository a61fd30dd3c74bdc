package api

import (
	"context"
	"fmt"

	"github.com/clerksync/clerksync/mirror"
)

// consumers lists the consumers of the change feed by name.
func (h *handler) consumers(ctx context.Context, _ query) (any, error) {
	return all(h.mirror.Feed().Consumers(ctx))
}

func (h *handler) consumer(ctx context.Context, q query) (any, error) {
	return h.consumerByName(ctx, q.path("name"))
}

func (h *handler) consumerByName(ctx context.Context, name string) (any, error) {
	list, err := h.mirror.Feed().Consumers(ctx)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].Name == name {
			return list[i], nil
		}
	}
	return nil, fmt.Errorf("consumer %s %w", name, mirror.ErrNotFound)
}

// parked lists the changes that a consumer has passed and not handled.
func (h *handler) parked(ctx context.Context, q query) (any, error) {
	if _, err := h.consumer(ctx, q); err != nil {
		return nil, err
	}
	return found(h.mirror.Feed().ParkedChanges(ctx, q.path("name"), mirror.ParkedFilter{
		State: mirror.ParkedState(q.text("state")), After: q.after(), Limit: q.limit,
	}))
}

func (h *handler) pauseConsumer(ctx context.Context, c *call, _ none) (any, error) {
	return h.changedConsumer(ctx, c, h.mirror.Feed().PauseConsumer(ctx, c.path("name"), c.by))
}

func (h *handler) resumeConsumer(ctx context.Context, c *call, _ none) (any, error) {
	return h.changedConsumer(ctx, c, h.mirror.Feed().ResumeConsumer(ctx, c.path("name"), c.by))
}

// place is a place in the change feed: a cursor, 0 for the oldest change, or now.
type place struct {
	To mirror.FeedCursor `json:"to"`
}

func (h *handler) rewindConsumer(ctx context.Context, c *call, to place) (any, error) {
	if to.To == "" {
		return nil, invalidMember("to is missing: a cursor, 0 for the oldest change, or now")
	}
	if to.To == "now" {
		to.To = ""
	}
	return h.changedConsumer(ctx, c, ofFeed(h.mirror.Feed().RewindConsumer(ctx, c.path("name"), to.To, c.by)))
}

// changedConsumer returns a consumer that was changed.
func (h *handler) changedConsumer(ctx context.Context, c *call, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return h.consumerByName(ctx, c.path("name"))
}

func (h *handler) deleteConsumer(ctx context.Context, c *call) (any, error) {
	if err := h.mirror.Feed().DeleteConsumer(ctx, c.path("name"), c.by); err != nil {
		return nil, err
	}
	return map[string]string{"deleted": c.path("name")}, nil
}

// selection selects changes of a consumer: those with these cursors, or all.
type selection struct {
	Cursors []mirror.FeedCursor `json:"cursors"`
	All     bool                `json:"all"`
}

func (s *selection) check() error {
	if s.All == (len(s.Cursors) > 0) {
		return invalidMember("name the cursors of changes, or set all")
	}
	return nil
}

// retryParked tries parked changes again.
func (h *handler) retryParked(ctx context.Context, c *call, s selection) (any, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	feed, name := h.mirror.Feed(), c.path("name")
	if s.All {
		return counted(feed.RetryAllParked(ctx, name, c.by))
	}
	return counted(feed.RetryParked(ctx, name, s.Cursors, c.by))
}

// dropParked gives parked changes up for good.
func (h *handler) dropParked(ctx context.Context, c *call, s selection) (any, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	feed, name := h.mirror.Feed(), c.path("name")
	if s.All {
		return counted(feed.DropAllParked(ctx, name, c.by))
	}
	return counted(feed.DropParked(ctx, name, s.Cursors, c.by))
}

// counted returns how many objects a request has changed.
func counted(n int64, err error) (any, error) { return map[string]int64{"count": n}, err }
