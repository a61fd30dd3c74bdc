package feed_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/feed"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// log is a feed on a database, with what tests do to it.
type log struct {
	*testing.T
	db   *store.DB
	feed *feed.Feed
}

func eachLog(t *testing.T, test func(*log)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		db := d.OpenFast(t)
		f := feed.New(feed.Config{DB: db})
		t.Cleanup(f.Close)
		test(&log{t, db, f})
	})
}

func (l *log) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// append adds changes in one transaction, and returns the cursor of the last one.
func (l *log) append(changes ...row.Change) mirror.FeedCursor {
	l.Helper()
	l.must(l.db.Update(l.Context(), func(tx *store.Tx) error { return tx.AppendChanges(l.Context(), changes) }))
	return store.FeedCursor(&changes[len(changes)-1])
}

// users makes n changes of users.
func users(n int) []row.Change {
	all := make([]row.Change, n)
	for i := range all {
		all[i] = (&row.Row{Key: row.Key{Kind: clerk.KindUser, ID: "user_" + string(rune('a'+i%26))}}).Change(row.OpUpdated, []string{"first_name"})
	}
	return all
}

func (l *log) page(q mirror.FeedQuery) mirror.FeedPage {
	l.Helper()
	p, err := l.feed.Page(l.Context(), q)
	l.must(err)
	return p
}

// gone expects that a query's cursor cannot be continued.
func (l *log) gone(q mirror.FeedQuery, reason string) *mirror.CursorGoneError {
	l.Helper()
	_, err := l.feed.Page(l.Context(), q)
	gone, ok := errors.AsType[*mirror.CursorGoneError](err)
	if !ok || gone.Reason != reason || gone.Cursor != q.After {
		l.Fatalf("after %s: got %v, want %s", q.After, err, reason)
	}
	return gone
}

func ids(p mirror.FeedPage) (all []string) {
	for _, c := range p.Changes {
		all = append(all, string(c.Kind)+":"+c.ID)
	}
	return all
}

func TestPagesFollowEachOtherWithoutGaps(t *testing.T) {
	t.Parallel()
	eachLog(t, func(l *log) {
		if p := l.page(mirror.FeedQuery{}); p.Next != mirror.FeedStart || !p.CaughtUp || p.Changes == nil {
			l.Errorf("an empty feed: %+v", p)
		}
		last := l.append(users(25)...)
		var got []string
		q := mirror.FeedQuery{After: mirror.FeedStart, Limit: 10}
		for _, want := range []int{10, 10, 5} {
			p := l.page(q)
			if len(p.Changes) != want || p.CaughtUp != (want == 5) || p.Next != p.Changes[want-1].Cursor {
				l.Fatalf("after %s: %+v", q.After, p)
			}
			got, q.After = append(got, ids(p)...), p.Next
		}
		if len(got) != 25 || got[0] != "user:user_a" || got[24] != "user:user_y" || q.After != last {
			l.Errorf("got %v up to %s", got, q.After)
		}
		if p := l.page(q); len(p.Changes) != 0 || p.Next != last || !p.CaughtUp {
			l.Errorf("at the end: %+v", p)
		}
		if p := l.page(mirror.FeedQuery{}); p.Next != last || len(p.Changes) != 0 {
			l.Errorf("from now on: %+v", p)
		}
	})
}

func TestAChangeHasItsColumns(t *testing.T) {
	t.Parallel()
	eachLog(t, func(l *log) {
		member := row.Row{Key: row.Key{Kind: clerk.KindMembership, ID: "orgmem_1"}, UserID: "user_a", OrganizationID: "org_a"}
		before := time.Now().Add(-time.Minute)
		cursor := l.append(member.Change(row.OpCreated, nil), member.Change(row.OpUpdated, []string{"role", "updated_at"}))
		c := l.page(mirror.FeedQuery{After: mirror.FeedStart}).Changes[1]
		if c.Cursor != cursor || c.Type() != "organization_membership.updated" || c.ID != "orgmem_1" || c.ClerkUserID != "user_a" ||
			c.ClerkOrganizationID != "org_a" || c.Version != "0.0.0.0" || !slices.Equal(c.Fields, []string{"role", "updated_at"}) ||
			c.At.Before(before) || c.Object != nil {
			l.Errorf("got %+v", c)
		}
	})
}
