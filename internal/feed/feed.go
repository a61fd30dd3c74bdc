package feed

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"time"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Config configures a [Feed].
type Config struct {
	DB     *store.DB
	Now    func() time.Time // nil is time.Now; only entries of snapshots show it
	Logger *slog.Logger     // nil is silence
}

// Feed reads the change feed of a database. It is safe for concurrent use.
type Feed struct {
	db  *store.DB
	now func() time.Time
	log *slog.Logger
}

// New returns a feed. It reads nothing yet.
func New(c Config) *Feed {
	f := &Feed{db: c.DB, now: c.Now, log: c.Logger}
	if f.now == nil {
		f.now = time.Now
	}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	return f
}

const (
	defaultLimit = 100
	maxLimit     = 1000
	pollEvery    = 100 * time.Millisecond
)

// reading is a query on its way through the feed.
type reading struct {
	filter filter
	at     place
	limit  int
}

// Page returns the selected changes after a place. If there are none, it waits for q.Wait.
func (f *Feed) Page(ctx context.Context, q mirror.FeedQuery) (mirror.FeedPage, error) {
	selected, err := newFilter(&q)
	if err != nil {
		return mirror.FeedPage{}, err
	}
	if q.After == "" {
		head, err := f.Head(ctx)
		return mirror.FeedPage{Changes: []mirror.Change{}, Next: head, CaughtUp: true}, err
	}
	at, err := placeOf(q.After)
	if err != nil {
		return mirror.FeedPage{}, err
	}
	r := &reading{filter: selected, at: at, limit: defaultLimit}
	if q.Limit > 0 {
		r.limit = min(q.Limit, maxLimit)
	}
	page, err := f.read(ctx, r, q.Wait)
	if err != nil {
		return mirror.FeedPage{}, err
	}
	if page.Changes == nil {
		page.Changes = []mirror.Change{}
	}
	return page, nil
}

// read returns the next page that is not empty, or the last one until the time is up.
func (f *Feed) read(ctx context.Context, r *reading, wait time.Duration) (mirror.FeedPage, error) {
	end := time.Now().Add(wait)
	for {
		page, err := f.fromTable(ctx, r)
		if err != nil || len(page.Changes) > 0 || page.CaughtUp && time.Until(end) <= 0 {
			return page, err
		}
		if !page.CaughtUp {
			continue
		}
		select {
		case <-ctx.Done():
			return page, ctx.Err()
		case <-time.After(min(pollEvery, time.Until(end))):
		}
	}
}

// changesWait is how long [Feed.Changes] waits for a page. The iterator goes on then.
const changesWait = time.Minute

// Changes iterates over the changes after a place, and waits for more. It ends when ctx ends,
// without an error, and after an error.
func (f *Feed) Changes(ctx context.Context, after mirror.FeedCursor) iter.Seq2[mirror.Change, error] {
	return func(yield func(mirror.Change, error) bool) {
		for next := after; ctx.Err() == nil; {
			page, err := f.Page(ctx, mirror.FeedQuery{After: next, Wait: changesWait, Limit: maxLimit})
			if err != nil {
				if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
					yield(mirror.Change{}, err)
				}
				return
			}
			for _, c := range page.Changes {
				if ctx.Err() != nil || !yield(c, nil) {
					return
				}
			}
			next = page.Next
		}
	}
}

// Head returns the end of the feed.
func (f *Feed) Head(ctx context.Context) (mirror.FeedCursor, error) {
	_, head, err := f.db.FeedEnds(ctx)
	return head, err
}

// Oldest returns the first place from which the feed can be read.
func (f *Feed) Oldest(ctx context.Context) (mirror.FeedCursor, error) {
	oldest, _, err := f.db.FeedEnds(ctx)
	return oldest, err
}
