package consumer

import (
	"context"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

func (s *Service) now() clerk.Time { return clerk.TimeOf(s.config.Now()) }

// List lists the consumers of the database by name.
func (s *Service) List(ctx context.Context) ([]mirror.Consumer, error) {
	return s.config.DB.Consumers(ctx, s.now())
}

// Pause pauses a consumer, or lets it go on.
func (s *Service) Pause(ctx context.Context, name string, paused bool, by mirror.By) error {
	return s.config.DB.PauseConsumer(ctx, name, paused, by, s.now())
}

// Rewind moves a consumer to a place from which the feed can be continued. The empty one is the
// present end.
func (s *Service) Rewind(ctx context.Context, name string, to mirror.FeedCursor, by mirror.By) error {
	if to != "" {
		if _, _, err := to.Split(); err != nil {
			return err
		}
		if _, err := s.config.Feed.Page(ctx, mirror.FeedQuery{After: to, Limit: 1}); err != nil {
			return err
		}
	}
	return s.config.DB.RewindConsumer(ctx, name, to, by, s.now())
}

// Delete removes a consumer that no process runs.
func (s *Service) Delete(ctx context.Context, name string, by mirror.By) error {
	return s.config.DB.DeleteConsumer(ctx, name, by, s.now(), s.config.Dead)
}

// Parked returns a page of the changes that a consumer has passed and not handled.
func (s *Service) Parked(ctx context.Context, name string, f mirror.ParkedFilter) (mirror.Page[mirror.ParkedChange], error) {
	return s.config.DB.ParkedChanges(ctx, name, f)
}

// Retry makes a consumer try parked changes again. No cursors means all.
func (s *Service) Retry(ctx context.Context, name string, cursors []mirror.FeedCursor, by mirror.By) (int64, error) {
	return s.config.DB.RetryParked(ctx, name, cursors, by, s.now())
}

// Drop removes changes that are parked or held back. No cursors means all that are parked.
func (s *Service) Drop(ctx context.Context, name string, cursors []mirror.FeedCursor, by mirror.By) (int64, error) {
	return s.config.DB.DropParked(ctx, name, cursors, by, s.now())
}
