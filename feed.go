package clerksync

import (
	"context"
	"iter"
	"time"

	"github.com/clerksync/clerksync/internal/access"
	"github.com/clerksync/clerksync/internal/consumer"
	"github.com/clerksync/clerksync/internal/feed"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Changes iterates over the changes of the mirror after a cursor, in order, and waits for more.
// [mirror.FeedStart] begins with the first change; if that was removed, [Feed.Oldest] begins with
// what the feed still has. An empty cursor begins with the next change. Keep the cursor of the last
// change that was worked on, to go on there later.
//
//	for change, err := range m.Changes(ctx, cursor) {
//		if err != nil {
//			return err
//		}
//		if err := work(change); err != nil {
//			return err
//		}
//		cursor = change.Cursor
//	}
//
// The iterator ends without an error when ctx ends, and after the first error. A
// [mirror.CursorGoneError] means that the changes after the cursor are not known any more: read
// the objects again, for example with [mirror.FeedQuery.Snapshot]. After other errors, such as an
// outage of the database, begin again with the last cursor.
func (m *Mirror) Changes(ctx context.Context, after mirror.FeedCursor) iter.Seq2[mirror.Change, error] {
	return m.feed.feed.Changes(ctx, after)
}

// Feed reads the change feed, the ordered log of what changed in the mirror, and shows and moves
// its consumers.
type Feed struct {
	feed      *feed.Feed
	consumers *consumer.Service
	gate      *access.Gate
	db        *store.DB
}

// Feed returns the service that reads the change feed.
func (m *Mirror) Feed() Feed {
	f := m.feed
	f.gate, f.db = m.gate, m.db
	return f
}

// Page returns the next changes that a query selects. With a FeedQuery.Wait it returns as soon as
// there is at least one, and at the latest after that time; any number of callers can wait. The
// error is a [mirror.CursorGoneError] if the feed cannot be continued after the cursor,
// [ErrInvalidCursor] if the text is not a cursor, and [ErrInvalidFilter] if a kind or a type does
// not exist.
func (f Feed) Page(ctx context.Context, q mirror.FeedQuery) (mirror.FeedPage, error) {
	return f.feed.Page(ctx, q)
}

// Latest returns a page of the selected changes, the latest first, for people who look at them. It
// looks at 10,000 changes, so that a page where little is selected can be short, or empty, and
// still have a next one.
func (f Feed) Latest(ctx context.Context, filter mirror.ChangeFilter) (mirror.Page[mirror.Change], error) {
	return f.feed.Latest(ctx, filter)
}

// Head returns the end of the feed: the cursor of the last change.
func (f Feed) Head(ctx context.Context) (mirror.FeedCursor, error) { return f.feed.Head(ctx) }

// Oldest returns the first cursor from which the feed can be read. What was before it is older than
// Config.ChangesRetention and was removed.
func (f Feed) Oldest(ctx context.Context) (mirror.FeedCursor, error) { return f.feed.Oldest(ctx) }

// Reached returns nil when the database has the change of a cursor, and what this process keeps in
// memory is as new, so that a caller who was told of that change can read its result here. If the
// database does not have it yet, Reached waits that long and then returns [ErrNotReached]. The
// error is a [mirror.CursorGoneError] if the database has another history, or if the change was
// removed, so that this cannot be verified.
func (f Feed) Reached(ctx context.Context, cursor mirror.FeedCursor, wait time.Duration) error {
	if err := f.feed.Reached(ctx, cursor, wait); err != nil {
		return err
	}
	seq, _, err := cursor.Split()
	if err != nil {
		return err
	}
	f.db.ReadAtLeast(seq)
	return f.gate.FollowFeedTo(ctx, seq)
}
