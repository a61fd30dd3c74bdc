package nats

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/feed"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// changeLog is a change feed without objects, to which tests append.
type changeLog struct {
	testing.TB
	*feed.Feed
	path     string
	db       *store.DB
	appended int
}

func newChangeLog(t testing.TB) *changeLog {
	t.Helper()
	return openChangeLog(t, filepath.Join(t.TempDir(), "clerk.db"))
}

func openChangeLog(t testing.TB, path string) *changeLog {
	t.Helper()
	db := testkit.SQLiteFile(path).OpenFast(t)
	f := feed.New(feed.Config{DB: db})
	t.Cleanup(f.Close)
	return &changeLog{t, f, path, db, 0}
}

// append appends n changes in one transaction.
func (l *changeLog) append(n int) {
	l.Helper()
	changes := make([]row.Change, n)
	for i := range changes {
		user := row.Row{Key: row.Key{Kind: clerk.KindUser, ID: fmt.Sprintf("user_%d", i)}}
		changes[i] = user.Change(row.OpUpdated, []string{"first_name"})
	}
	if err := l.db.Update(l.Context(), func(tx *store.Tx) error { return tx.AppendChanges(l.Context(), changes) }); err != nil {
		l.Fatal(err)
	}
	l.Notify()
	l.appended += n
}

// all returns all changes of the feed.
func (l *changeLog) all() (all []mirror.Change) {
	l.Helper()
	for after := mirror.FeedStart; ; {
		page, err := l.Page(l.Context(), mirror.FeedQuery{After: after, Limit: 1000, Wait: limit})
		if err != nil {
			l.Fatal(err)
		}
		all = append(all, page.Changes...)
		if after = page.Next; len(all) == l.appended {
			return all
		}
	}
}

// assertChanges checks that the stream has exactly the changes of the feed, in order.
func (o *observer) assertChanges(name string, l *changeLog) {
	o.Helper()
	var have, want []string
	for _, msg := range o.messages(name) {
		if typ := msg.Header.Get(HeaderType); typ != TypeReset && typ != TypeComplete {
			have = append(have, msg.Header.Get(HeaderCursor))
		}
	}
	for _, c := range l.all() {
		want = append(want, string(c.Cursor))
	}
	if !slices.Equal(have, want) {
		o.Errorf("the stream has %d changes, the feed %d; they differ at %d", len(have), len(want), firstDifference(have, want))
	}
}

func firstDifference(a, b []string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// types returns the types of messages.
func types(messages []storedMessage) (all []string) {
	for _, msg := range messages {
		all = append(all, msg.Header.Get(HeaderType))
	}
	return all
}
