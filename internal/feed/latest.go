package feed

import (
	"context"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

const (
	latestLimit = 50
	maxLatest   = 500
)

// Latest returns a page of the selected changes, the latest first. It looks at a window of the
// table, so that a page where little is selected can be short or empty and still have a next one.
// The changes of a user have an index, and need no window.
func (f *Feed) Latest(ctx context.Context, q mirror.ChangeFilter) (page mirror.Page[mirror.Change], err error) {
	page.Items = []mirror.Change{}
	selected, err := newFilter(&mirror.FeedQuery{
		Kinds: q.Kinds, Types: q.Types, ClerkUserID: q.ClerkUserID, ClerkOrganizationID: q.ClerkOrganizationID,
	})
	if err != nil {
		return page, err
	}
	oldest, head, err := f.db.FeedEnds(ctx)
	if err != nil {
		return page, err
	}
	first, err := placeOf(oldest)
	if err != nil {
		return page, err
	}
	at, err := placeOf(head)
	if q.After != "" && err == nil {
		at, err = placeOf(mirror.FeedCursor(q.After))
		at.seq--
	}
	if err != nil {
		return page, err
	}
	limit := latestLimit
	if q.Limit > 0 {
		limit = min(q.Limit, maxLatest)
	}
	window := store.FeedWindow{
		After: max(at.seq-windowSize, 0), Through: at.seq, Types: selected.typeList(),
		UserID: selected.userID, OrganizationID: selected.organizationID, Limit: limit,
	}
	if window.UserID != "" {
		window.After = 0
	}
	return f.latest(ctx, window, &selected, max(first.seq, 1))
}

// latest reads a window. first is the number of the first change of the feed.
func (f *Feed) latest(ctx context.Context, w store.FeedWindow, selected *filter, first int64) (page mirror.Page[mirror.Change], err error) {
	page.Items = []mirror.Change{}
	changes, err := f.db.LatestChanges(ctx, w)
	if err != nil {
		return page, err
	}
	for i := range changes {
		if c := store.FeedEntry(&changes[i]); selected.selects(&c) {
			page.Items = append(page.Items, c)
		}
	}
	switch last := len(changes) - 1; {
	case last >= 0 && len(changes) == w.Limit && changes[last].Seq > first:
		page.Next = mirror.Cursor(store.FeedCursor(&changes[last]))
	case w.After >= first: // the window was read to its end
		_, next, _, err := f.db.FeedEndsAndChange(ctx, w.After+1)
		page.Next = mirror.Cursor(next)
		return page, err
	}
	return page, nil
}
