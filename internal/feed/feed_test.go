package feed_test

import (
	"context"
	"errors"
	"fmt"
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

// restart replaces the feed by that of another process, which remembers nothing.
func (l *log) restart() {
	l.feed.Close()
	l.feed = feed.New(feed.Config{DB: l.db})
	l.Cleanup(l.feed.Close)
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

func TestFiltersSelectChangesAndMoveOnPastTheOthers(t *testing.T) {
	t.Parallel()
	eachLog(t, func(l *log) {
		change := func(kind clerk.Kind, id, organization, operation string) row.Change {
			return (&row.Row{Key: row.Key{Kind: kind, ID: id}, OrganizationID: organization}).Change(operation, nil)
		}
		last := l.append(
			change(clerk.KindUser, "u1", "", row.OpCreated), change(clerk.KindOrganization, "o1", "", row.OpCreated),
			change(clerk.KindMembership, "m1", "o1", row.OpCreated), change(clerk.KindMembership, "m2", "o2", row.OpCreated),
			change(clerk.KindUser, "u1", "", row.OpErased), change(clerk.KindMembership, "m1", "o1", row.OpDeleted),
			change(clerk.KindUser, "u2", "", row.OpUpdated),
		)
		for _, test := range []struct {
			q    mirror.FeedQuery
			want []string
		}{
			{mirror.FeedQuery{Kinds: []clerk.Kind{clerk.KindUser}}, []string{"user:u1", "user:u1", "user:u2"}},
			{mirror.FeedQuery{Types: []string{"user.created"}}, []string{"user:u1"}},
			{mirror.FeedQuery{Types: []string{"user.erased", "organization_membership.*"}}, []string{
				"organization_membership:m1", "organization_membership:m2", "user:u1", "organization_membership:m1",
			}},
			{mirror.FeedQuery{ClerkOrganizationID: "o1"}, []string{"organization:o1", "organization_membership:m1", "organization_membership:m1"}},
			{mirror.FeedQuery{ClerkOrganizationID: "o1", Types: []string{"organization_membership.deleted"}}, []string{"organization_membership:m1"}},
			{mirror.FeedQuery{Kinds: []clerk.Kind{clerk.KindSession}}, nil},
			{mirror.FeedQuery{ClerkOrganizationID: "o3"}, nil},
		} {
			for range 2 { // from the table, then perhaps from memory
				q := test.q
				q.After = mirror.FeedStart
				p := l.page(q)
				if !slices.Equal(ids(p), test.want) || p.Next != last || !p.CaughtUp {
					l.Errorf("%+v: got %v up to %s, want %v up to %s", test.q, ids(p), p.Next, test.want, last)
				}
			}
		}
		for _, q := range []mirror.FeedQuery{
			{Kinds: []clerk.Kind{"users"}},
			{Kinds: []clerk.Kind{clerk.KindEmail}},
			{Types: []string{"user"}},
			{Types: []string{"user.renamed"}},
			{Types: []string{"user.read"}},
			{Types: []string{"users.created"}},
			{Types: []string{""}},
			{Kinds: []clerk.Kind{clerk.KindUser}, Types: []string{"organization.created"}}, // would select nothing
		} {
			if _, err := l.feed.Page(l.Context(), q); !errors.Is(err, mirror.ErrInvalidFilter) {
				l.Errorf("%+v: got %v", q, err)
			}
		}
	})
}

func TestACursorThatCannotBeContinuedIsRefused(t *testing.T) {
	t.Parallel()
	eachLog(t, func(l *log) {
		for _, text := range []mirror.FeedCursor{"x", "1", "1-", "-1-00000000", "1-0000000", "01-00000000", "1-0000000G", "1-00000000 ", "s.", "1-AAAAAAAA"} {
			if _, err := l.feed.Page(l.Context(), mirror.FeedQuery{After: text}); !errors.Is(err, mirror.ErrInvalidCursor) {
				l.Errorf("%q: got %v", text, err)
			}
		}
		l.gone(mirror.FeedQuery{After: "1-00000000"}, mirror.CursorOtherHistory) // of an empty feed
		first := l.append(users(1)...)
		l.append(users(7)...)
		head := l.append(users(1)...)
		gone := l.gone(mirror.FeedQuery{After: "5-00000000"}, mirror.CursorOtherHistory) // another tag
		if gone.Oldest != mirror.FeedStart || gone.Head != head {
			l.Errorf("got %+v", gone)
		}
		l.gone(mirror.FeedQuery{After: "10" + head[1:]}, mirror.CursorOtherHistory) // beyond the head
		l.gone(mirror.FeedQuery{After: "10" + head[1:], Wait: time.Hour}, mirror.CursorOtherHistory)

		l.purge(5)
		for _, after := range []mirror.FeedCursor{mirror.FeedStart, first} {
			gone = l.gone(mirror.FeedQuery{After: after}, mirror.CursorExpired)
			if oldest, err := l.feed.Oldest(l.Context()); err != nil || gone.Oldest != oldest || gone.Head != head {
				l.Errorf("got %+v, the oldest is %s, %v", gone, oldest, err)
			}
		}
		if p := l.page(mirror.FeedQuery{After: gone.Oldest}); len(p.Changes) != 3 || p.Next != head {
			l.Errorf("after the oldest: %+v", p)
		}
	})
}

// purge removes the changes up to a number.
func (l *log) purge(seq int) {
	l.Helper()
	l.must(l.db.Exec(l.Context(), fmt.Sprintf("DELETE FROM clerk_changes WHERE seq <= %d", seq)))
}

// The last change is never removed, so that a reader that is up to date stays so, however long
// nothing happens.
func TestRetentionLeavesTheLastChange(t *testing.T) {
	t.Parallel()
	eachLog(t, func(l *log) {
		last := l.append(users(5)...)
		for at := range clerk.Time(3) {
			_, err := l.db.PurgeChanges(l.Context(), 1000+at, 1000+at)
			l.must(err)
		}
		if p := l.page(mirror.FeedQuery{After: last}); len(p.Changes) != 0 || !p.CaughtUp {
			l.Errorf("got %+v", p)
		}
		if oldest, err := l.feed.Oldest(l.Context()); err != nil || oldest != last {
			l.Errorf("the oldest is %s, %v, want %s", oldest, err, last)
		}
		l.gone(mirror.FeedQuery{After: mirror.FeedStart}, mirror.CursorExpired)
		next := l.append(users(1)...)
		if p := l.page(mirror.FeedQuery{After: last}); len(p.Changes) != 1 || p.Next != next {
			l.Errorf("got %+v", p)
		}
		_, err := l.db.PurgeChanges(l.Context(), 2000, 2000)
		l.must(err)
		if _, err := l.db.PurgeChanges(l.Context(), 3000, 2000); err != nil {
			l.Fatal(err)
		}
		if p := l.page(mirror.FeedQuery{After: last}); len(p.Changes) != 1 || p.Next != next {
			l.Errorf("a change that is still in memory: got %+v", p)
		}
		l.restart()
		l.gone(mirror.FeedQuery{After: last}, mirror.CursorExpired) // exactly the change that was removed last
	})
}

// Another process commits: nothing notifies this one.
func TestAWaitingPageSeesWhatAnotherProcessCommits(t *testing.T) {
	t.Parallel()
	eachLog(t, func(l *log) {
		at := l.append(users(3)...)
		for _, q := range []mirror.FeedQuery{{}, {Types: []string{"user.updated"}}, {Limit: 1}} {
			go func() {
				<-time.After(30 * time.Millisecond)
				l.append(users(1)...)
			}()
			q.After, q.Wait = at, time.Minute
			p := l.page(q)
			if len(p.Changes) != 1 || p.Next == at || !p.CaughtUp {
				l.Fatalf("%+v: got %+v", q, p)
			}
			at = p.Next
		}
	})
}

func TestWhatAFilterPassesOverMovesTheCursorWhileAPageWaits(t *testing.T) {
	t.Parallel()
	eachLog(t, func(l *log) {
		at := l.append(users(1)...)
		go func() {
			<-time.After(20 * time.Millisecond)
			l.append(users(4)...)
		}()
		begun := time.Now()
		p := l.page(mirror.FeedQuery{After: at, Wait: 400 * time.Millisecond, Kinds: []clerk.Kind{clerk.KindSession}})
		head, err := l.feed.Head(l.Context())
		l.must(err)
		if len(p.Changes) != 0 || p.Next != head || !p.CaughtUp || time.Since(begun) < 400*time.Millisecond || p.Changes == nil {
			l.Errorf("got %+v after %s, the head is %s", p, time.Since(begun), head)
		}
	})
}

func TestReached(t *testing.T) {
	t.Parallel()
	eachLog(t, func(l *log) {
		reached := func(c mirror.FeedCursor, wait time.Duration) error { return l.feed.Reached(l.Context(), c, wait) }
		l.must(reached(mirror.FeedStart, 0))
		if err := reached("1-00000000", 0); !errors.Is(err, mirror.ErrNotReached) {
			l.Errorf("in an empty feed: %v", err)
		}
		first := l.append(users(1)...)
		last := l.append(users(9)...)
		l.must(reached(first, 0))
		l.must(reached(last, 0))
		begun := time.Now()
		if err := reached("11-00000000", 150*time.Millisecond); !errors.Is(err, mirror.ErrNotReached) || time.Since(begun) < 150*time.Millisecond {
			l.Errorf("beyond the head: %v after %s", err, time.Since(begun))
		}
		other, isGone := errors.AsType[*mirror.CursorGoneError](reached("4-00000000", time.Hour))
		if !isGone || other.Reason != mirror.CursorOtherHistory {
			l.Errorf("another tag: %v", other)
		}
		for _, c := range []mirror.FeedCursor{"", "x", "s.e30"} {
			if err := reached(c, 0); !errors.Is(err, mirror.ErrInvalidCursor) {
				l.Errorf("%q: %v", c, err)
			}
		}
		l.purge(3)
		l.restart()
		if expired, ok := errors.AsType[*mirror.CursorGoneError](reached(first, 0)); !ok || expired.Reason != mirror.CursorExpired {
			l.Errorf("of a change that was removed: %v", expired)
		}
		next := make(chan mirror.FeedCursor)
		done := make(chan error)
		go func() { done <- reached(<-next, time.Minute) }()
		next <- l.append(users(2)...)
		l.must(<-done)
	})
}

func TestChangesEndsWithItsContextAndAfterAnError(t *testing.T) {
	t.Parallel()
	eachLog(t, func(l *log) {
		last := l.append(users(5)...)
		ctx, cancel := context.WithCancel(l.Context())
		defer cancel()
		n := 0
		for c, err := range l.feed.Changes(ctx, mirror.FeedStart) {
			l.must(err)
			switch n++; {
			case n == 5 && c.Cursor == last:
				go l.append(users(2)...)
			case n == 6:
				cancel()
			case n > 6:
				l.Fatal("it goes on after its context")
			}
		}
		if n != 6 {
			l.Errorf("got %d changes", n)
		}
		l.purge(2)
		var errs []error
		for c, err := range l.feed.Changes(l.Context(), mirror.FeedStart) {
			errs = append(errs, err)
			if c.ID != "" {
				l.Errorf("got %+v", c)
			}
		}
		if gone, ok := errors.AsType[*mirror.CursorGoneError](errors.Join(errs...)); len(errs) != 1 || !ok || gone.Reason != mirror.CursorExpired {
			l.Errorf("got %v", errs)
		}
		for _, err := range l.feed.Changes(l.Context(), last) {
			l.must(err)
			break // the caller may end it as well
		}
	})
}

// A database that is restored from an older copy, while a reader waits, and afterwards.
func TestARestoredDatabaseIsNoticed(t *testing.T) {
	t.Parallel()
	eachLog(t, func(l *log) {
		kept := l.append(users(5)...)
		lost := l.append(users(5)...)
		waiting := make(chan error, 1)
		ready := make(chan struct{})
		go func() {
			for c, err := range l.feed.Changes(l.Context(), kept) {
				if err != nil {
					waiting <- err
				} else if c.Cursor == lost {
					close(ready)
				}
			}
		}()
		<-ready
		l.must(l.db.Exec(l.Context(), "DELETE FROM clerk_changes WHERE seq > 5"))
		l.must(l.db.Exec(l.Context(), "UPDATE clerk_head SET seq = 5"))
		head := l.append(users(8)...)
		gone, ok := errors.AsType[*mirror.CursorGoneError](<-waiting)
		if !ok || gone.Reason != mirror.CursorOtherHistory || gone.Cursor != lost || gone.Oldest != mirror.FeedStart {
			l.Errorf("got %+v", gone)
		}
		l.gone(mirror.FeedQuery{After: lost}, mirror.CursorOtherHistory)
		if p := l.page(mirror.FeedQuery{After: kept}); len(p.Changes) != 8 || p.Next != head {
			l.Errorf("after a change of both histories: %+v", p)
		}
		if err := l.feed.Reached(l.Context(), lost, 0); err == nil {
			l.Error("a change of the lost history is reached")
		}
	})
}

// Latest goes through the feed from its end, with the same filters, and looks at a bounded number
// of changes a page.
func TestLatestGoesBackwards(t *testing.T) {
	t.Parallel()
	eachLog(t, func(l *log) {
		latest := func(q mirror.ChangeFilter) (all []string, pages int) {
			l.Helper()
			for {
				p, err := l.feed.Latest(l.Context(), q)
				l.must(err)
				pages++
				all = append(all, ids(mirror.FeedPage{Changes: p.Items})...)
				if q.After = p.Next; p.Next == "" || pages > 30 {
					return all, pages
				}
			}
		}
		if all, pages := latest(mirror.ChangeFilter{}); len(all) != 0 || pages != 1 {
			l.Errorf("an empty feed: %v in %d pages", all, pages)
		}
		session := (&row.Row{Key: row.Key{Kind: clerk.KindSession, ID: "sess_1"}, UserID: "user_0"}).Change(row.OpCreated, nil)
		l.append(session)
		l.append(users(25)...)
		all, pages := latest(mirror.ChangeFilter{Limit: 10})
		if len(all) != 26 || pages != 3 || all[0] != "user:user_y" || all[25] != "session:sess_1" {
			l.Errorf("got %v in %d pages", all, pages)
		}
		for _, q := range []mirror.ChangeFilter{
			{Kinds: []clerk.Kind{clerk.KindSession}}, {Types: []string{"session.*"}}, {ClerkUserID: "user_0"},
		} {
			if all, _ := latest(q); !slices.Equal(all, []string{"session:sess_1"}) {
				l.Errorf("%+v selects %v", q, all)
			}
		}
		if _, err := l.feed.Latest(l.Context(), mirror.ChangeFilter{Types: []string{"user.renamed"}}); !errors.Is(err, mirror.ErrInvalidFilter) {
			l.Errorf("a type that does not exist: %v", err)
		}
		if _, err := l.feed.Latest(l.Context(), mirror.ChangeFilter{After: "x"}); !errors.Is(err, mirror.ErrInvalidCursor) {
			l.Errorf("a text that is no cursor: %v", err)
		}
		for range 11 {
			l.append(users(1000)...)
		}
		if all, pages := latest(mirror.ChangeFilter{Types: []string{"session.*"}}); !slices.Equal(all, []string{"session:sess_1"}) || pages != 2 {
			l.Errorf("far back: %v in %d pages", all, pages)
		}
		if all, pages := latest(mirror.ChangeFilter{ClerkUserID: "user_0"}); !slices.Equal(all, []string{"session:sess_1"}) || pages != 1 {
			l.Errorf("far back, by an index: %v in %d pages", all, pages)
		}
		l.must(l.db.Exec(l.Context(), "DELETE FROM clerk_changes WHERE seq <= 20"))
		if all, pages := latest(mirror.ChangeFilter{Limit: 500}); len(all) != 11026-20 || pages != 23 {
			l.Errorf("of a feed whose beginning was removed: %d in %d pages", len(all), pages)
		}
	})
}
