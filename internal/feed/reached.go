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
	for end := time.Now().Add(wait); ; {
		_, err := f.fromTable(ctx, &reading{at: at, limit: 1})
		gone, ok := errors.AsType[*mirror.CursorGoneError](err)
		if !ok {
			return err
		}
		if head, err := placeOf(gone.Head); err != nil || at.seq <= head.seq {
			return errors.Join(err, gone)
		}
		if time.Until(end) <= 0 {
			return mirror.ErrNotReached
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(pollEvery, time.Until(end))):
		}
	}
}

// Notify wakes those who wait for changes. It is called after each commit of this process.
func (f *Feed) Notify() {}

// Close ends what waits.
func (f *Feed) Close() {}
