package feed

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Config configures a [Feed].
type Config struct {
	DB     *store.DB
	Now    func() time.Time // nil is time.Now; only entries of snapshots show it
	Logger *slog.Logger     // nil is silence
}

// database is what a feed reads.
type database interface {
	ChangesFrom(ctx context.Context, seq int64, limit int) ([]row.Change, error)
	FeedWindow(ctx context.Context, w store.FeedWindow) ([]row.Change, int64, error)
	LatestChanges(ctx context.Context, w store.FeedWindow) ([]row.Change, error)
	FeedEnds(ctx context.Context) (oldest, head mirror.FeedCursor, err error)
	FeedEndsAndChange(ctx context.Context, seq int64) (oldest, at, head mirror.FeedCursor, err error)
	Snapshot(ctx context.Context, fn func(context.Context) error) error
	LiveObjects(ctx context.Context, kind clerk.Kind, ids []string) ([]store.LiveObject, error)
	KeysFor(ctx context.Context, kind clerk.Kind, f store.LiveFilter, after string, limit int) ([]string, error)
}

// Feed reads the change feed of a database. It is safe for concurrent use.
type Feed struct {
	db       database
	now      func() time.Time
	follower *follower
}

// New returns a feed. It reads nothing yet.
func New(c Config) *Feed { return newFeed(c.DB, c) }

func newFeed(db database, c Config) *Feed {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Feed{db: db, now: c.Now, follower: newFollower(db, c.Logger)}
}

// Notify wakes those who wait for changes. It is called after each commit of this process.
func (f *Feed) Notify() { f.follower.notify() }

// Close ends what waits, and the reading for it.
func (f *Feed) Close() { f.follower.stop() }

const (
	defaultLimit = 100
	maxLimit     = 1000
	// maxWindows bounds the work of a page without a wait, where little is selected.
	maxWindows = 10
)

// reading is a query on its way through the feed.
type reading struct {
	filter filter
	at     place
	limit  int
}

// Page returns the selected changes after a place. If there are none, it waits for q.Wait.
func (f *Feed) Page(ctx context.Context, q mirror.FeedQuery) (mirror.FeedPage, error) {
	page, err := f.page(ctx, &q)
	if gone, ok := errors.AsType[*mirror.CursorGoneError](err); ok {
		gone.Cursor = q.After // the reading may have moved on from there
	}
	if err != nil {
		return mirror.FeedPage{}, err
	}
	if page.Changes == nil {
		page.Changes = []mirror.Change{}
	}
	return page, nil
}

func (f *Feed) page(ctx context.Context, q *mirror.FeedQuery) (page mirror.FeedPage, err error) {
	r := &reading{limit: defaultLimit}
	if q.Limit > 0 {
		r.limit = min(q.Limit, maxLimit)
	}
	if r.filter, err = newFilter(q); err != nil {
		return page, err
	}
	switch {
	case q.After == "" && len(q.Snapshot) > 0:
		begun, err := f.begin(ctx, q.Snapshot)
		if err != nil {
			return page, err
		}
		return f.snapshot(ctx, q, begun, r.limit)
	case q.After == "":
		page.Next, err = f.Head(ctx)
		page.CaughtUp = true
		return page, err
	case strings.HasPrefix(string(q.After), snapshotPrefix):
		begun, err := progressOf(q.After)
		if err != nil {
			return page, err
		}
		return f.snapshot(ctx, q, begun, r.limit)
	}
	if r.at, err = placeOf(q.After); err != nil {
		return page, err
	}
	if page, err = f.read(ctx, r, q.Wait); err == nil && q.IncludeObject {
		err = f.include(ctx, page.Changes)
	}
	return page, err
}

// read returns the next page that is not empty, or the last one until the time is up. A page that
// ends at the end of the feed was compared with the database after the call.
func (f *Feed) read(ctx context.Context, r *reading, wait time.Duration) (page mirror.FeedPage, err error) {
	poll := f.follower.nextPoll()
	if err := f.follower.ensureFresh(ctx); err != nil {
		return page, err
	}
	end := time.Now().Add(wait)
	timer := time.NewTimer(max(wait, 0))
	defer timer.Stop()
	waiting := wait > 0
	for windows := 0; err == nil; {
		news := f.follower.news()
		var inRing bool
		if page, inRing = f.follower.read(r); !inRing {
			windows++
			if page, err = f.fromTable(ctx, r); err != nil {
				return page, err
			}
		}
		compared := !inRing || f.follower.succeeded(poll)
		switch {
		case len(page.Changes) > 0:
			if page.CaughtUp && !compared {
				page.CaughtUp = f.follower.refresh(ctx) == nil && f.follower.endsAt(r.at)
			}
			return page, nil
		case !page.CaughtUp:
			if windows >= maxWindows && !time.Now().Before(end) {
				return page, nil
			}
			err = ctx.Err()
		case waiting:
			waiting, err = f.follower.await(ctx, news, timer.C)
		case !compared:
			err = f.follower.refresh(ctx)
		default:
			return page, nil
		}
	}
	return page, err
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
