package feed

import (
	"context"

	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// windowSize is how many changes of the table one read looks at, at most.
const windowSize = 10_000

// fromTable reads the selected changes of the next window after a place.
func (f *Feed) fromTable(ctx context.Context, r *reading) (mirror.FeedPage, error) {
	size := windowSize
	if r.filter.selectsAll() {
		size = r.limit // no more can be needed: Postgres would read the whole window
	}
	changes, head, err := f.db.FeedWindow(ctx, store.FeedWindow{
		After: r.at.seq, Through: r.at.seq + int64(size), Types: r.filter.typeList(),
		UserID: r.filter.userID, OrganizationID: r.filter.organizationID, Limit: r.limit,
	})
	if err != nil {
		return mirror.FeedPage{}, err
	}
	known := len(changes) > 0 && (changes[0].Seq == 1 || r.at.seq > 0)
	if r.at.seq > 0 && known {
		known = store.FeedCursor(&changes[0]) == r.at.cursor
		changes = changes[1:]
	}
	if !known {
		head, err := f.confirm(ctx, r.at) // it may have come since
		return mirror.FeedPage{Next: r.at.cursor, CaughtUp: head == mirror.FeedStart}, err
	}
	return r.take(changes, head), nil
}

// take makes a page of changes in order, and moves the reading to its end.
func (r *reading) take(changes []row.Change, head int64) (p mirror.FeedPage) {
	for i := range changes {
		c := store.FeedEntry(&changes[i])
		if r.filter.selects(&c) {
			p.Changes = append(p.Changes, c)
		}
		r.at = place{changes[i].Seq, c.Cursor}
		if len(p.Changes) == r.limit {
			break
		}
	}
	p.Next, p.CaughtUp = r.at.cursor, r.at.seq >= head
	return p
}

// confirm returns the end of the feed if the feed can be read after a place, else a
// [mirror.CursorGoneError].
func (f *Feed) confirm(ctx context.Context, at place) (mirror.FeedCursor, error) {
	oldest, found, head, err := f.db.FeedEndsAndChange(ctx, at.seq)
	if err != nil {
		return "", err
	}
	first, err := placeOf(oldest)
	gone := &mirror.CursorGoneError{Cursor: at.cursor, Reason: mirror.CursorOtherHistory, Oldest: oldest, Head: head}
	switch {
	case err != nil:
		return "", err
	case at.seq < first.seq:
		gone.Reason = mirror.CursorExpired
		return "", gone
	case at.seq > 0 && found != at.cursor:
		return "", gone
	}
	return head, nil
}
