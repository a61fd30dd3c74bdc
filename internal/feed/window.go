package feed

import (
	"context"

	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// windowSize is how many changes of the table one read looks at, at most.
const windowSize = 10_000

// place is a cursor, parsed. The zero value is the place before the first change.
type place struct {
	seq int64
	tag string
}

func placeOf(c mirror.FeedCursor) (p place, err error) {
	p.seq, p.tag, err = c.Split()
	return p, err
}

func (p place) cursor() mirror.FeedCursor { return mirror.NewFeedCursor(p.seq, p.tag) }

// fromTable reads the selected changes of the next window after a place.
func (f *Feed) fromTable(ctx context.Context, r *reading) (mirror.FeedPage, error) {
	changes, head, err := f.db.FeedWindow(ctx, store.FeedWindow{
		After: r.at.seq, Through: r.at.seq + windowSize, Types: r.filter.typeList(), OrganizationID: r.filter.organizationID, Limit: r.limit,
	})
	if err != nil {
		return mirror.FeedPage{}, err
	}
	if r.at.seq > 0 {
		if len(changes) == 0 || changes[0].Seq != r.at.seq || changes[0].Tag != r.at.tag {
			return mirror.FeedPage{}, f.gone(ctx, r.at)
		}
		changes = changes[1:]
	} else if len(changes) == 0 || changes[0].Seq != 1 {
		return mirror.FeedPage{Next: r.at.cursor(), CaughtUp: true}, f.gone(ctx, r.at)
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
		r.at = place{changes[i].Seq, changes[i].Tag}
		if len(p.Changes) == r.limit {
			break
		}
	}
	p.Next, p.CaughtUp = r.at.cursor(), r.at.seq >= head
	return p
}

// gone returns the error for a place that is not in the feed. It returns nil for the beginning of a
// feed of which nothing was removed.
func (f *Feed) gone(ctx context.Context, at place) error {
	oldest, head, err := f.db.FeedEnds(ctx)
	if err != nil {
		return err
	}
	first, err := placeOf(oldest)
	if err != nil {
		return err
	}
	reason := mirror.CursorOtherHistory
	if at.seq < first.seq {
		reason = mirror.CursorExpired
	} else if at.seq == 0 {
		return nil
	}
	return &mirror.CursorGoneError{Cursor: at.cursor(), Reason: reason, Oldest: oldest, Head: head}
}
