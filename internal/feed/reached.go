package feed

import (
	"context"
	"errors"
	"time"

	"github.com/clerksync/clerksync/mirror"
)

// Reached returns nil when the database has the change of a cursor. If it does not have it yet,
// Reached waits for it, and then returns [mirror.ErrNotReached]. A change that cannot be verified,
// because it was removed or belongs to another history, is a [mirror.CursorGoneError].
func (f *Feed) Reached(ctx context.Context, cursor mirror.FeedCursor, wait time.Duration) error {
	at, err := placeOf(cursor)
	if err != nil || at.seq == 0 {
		return err
	}
	if err := f.follower.ensureFresh(ctx); err != nil {
		return err
	}
	timer := time.NewTimer(max(wait, 0))
	defer timer.Stop()
	for waiting := true; ; {
		news := f.follower.news()
		found, beyond := f.follower.has(at)
		if found {
			return nil
		}
		if !beyond || !waiting {
			return f.inTable(ctx, at)
		}
		if waiting, err = f.follower.await(ctx, news, timer.C); err != nil {
			return err
		}
	}
}

// inTable looks for a change in the database.
func (f *Feed) inTable(ctx context.Context, at place) error {
	_, err := f.fromTable(ctx, &reading{at: at, limit: 1})
	if gone, ok := errors.AsType[*mirror.CursorGoneError](err); ok {
		head, err := placeOf(gone.Head)
		if err == nil && at.seq > head.seq {
			return mirror.ErrNotReached
		}
	}
	return err
}
