package nats

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/feed"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// follower is a consumer in another system. What it knows comes from the stream; only what belongs
// to an object that came back it reads again from the mirror.
type follower struct {
	*observer
	mirror *feed.Feed // of the database that there is now
	copy   testkit.Copy
	seq    uint64 // the last message that was read
}

func newFollower(o *observer) *follower {
	f := &follower{observer: o}
	f.copy = testkit.Copy{Read: f.read, Limit: 50}
	return f
}

// read returns messages of the stream as a page of changes.
func (f *follower) read(ctx context.Context, q mirror.FeedQuery) (page mirror.FeedPage, err error) {
	if n := len(q.Snapshot); n > 0 && n < len(clerk.Kinds()) {
		return f.mirror.Page(ctx, q)
	}
	page.Next = q.After
	for end := f.last(defaultStream); f.seq < end && len(page.Changes) < q.Limit; f.seq++ {
		msg, err := f.stream(defaultStream).GetMsg(ctx, f.seq+1)
		if err != nil {
			return page, err
		}
		switch msg.Header.Get(HeaderType) {
		case TypeComplete:
			continue
		case TypeReset:
			if len(page.Changes) > 0 {
				return page, nil
			}
			if q.After != "" {
				return page, &mirror.CursorGoneError{Cursor: q.After}
			}
			continue
		}
		var change mirror.Change
		if err := json.Unmarshal(msg.Data, &change); err != nil {
			return page, err
		}
		page.Changes = append(page.Changes, change)
		page.Next = change.Cursor
	}
	page.CaughtUp = f.seq == f.last(defaultStream)
	return page, nil
}

// catchUp reads the stream until it has the end of the feed, and compares the copy with the live
// views.
func (f *follower) catchUp(d *testkit.Database) {
	f.Helper()
	head, err := f.mirror.Head(f.Context())
	f.must(err)
	eventually(f.T, "the stream has everything", func() bool {
		messages := f.last(defaultStream)
		if messages == 0 {
			return false
		}
		msg, err := f.stream(defaultStream).GetMsg(f.Context(), messages)
		return err == nil && msg.Header.Get(HeaderCursor) == string(head)
	})
	for caughtUp := false; !caughtUp; {
		caughtUp, err = f.copy.Next(f.Context(), 0)
		f.must(err)
	}
	differences, rows, err := f.copy.Differences(f.Context(), d.SQL(f.T))
	f.must(err)
	if len(differences) > 0 || rows < 50 {
		f.Errorf("of %d rows %d differ: %v", rows, len(differences), differences[:min(10, len(differences))])
	}
}

// Changes are published and consumed. Then the database is restored from a backup of before, and
// goes on with other changes of the same numbers. JetStream remembers the numbers, and would drop
// them; the consumers end up with what the restored mirror has.
func TestRestoredBackup(t *testing.T) {
	t.Parallel()
	d := testkit.SQLiteFile(filepath.Join(t.TempDir(), "clerk.db"))
	e := testkit.New(t, d, emulator.Options{Users: 30, Organizations: 5, Seed: 3})
	e.Backfill()
	o := observe(t, newNode(t, &server.Options{}).ClientURL())
	options := Options{URL: o.conn.ConnectedUrl(), IncludeObject: true}
	f := newFollower(o)
	f.mirror = feed.New(feed.Config{DB: e.DB})
	t.Cleanup(f.mirror.Close)
	first := run(t, f.mirror, options)
	steps := func(n int) {
		for range n {
			_, err := e.Clerk.Step(t.Context())
			e.Must(err)
		}
		e.Must(e.Clerk.Settle(t.Context()))
	}
	steps(60)
	f.catchUp(d)
	messages := o.messages(defaultStream)
	assertSnapshot(t, messages, ReasonStart)

	backup := filepath.Join(t.TempDir(), "backup.db")
	_, err := d.SQL(t).ExecContext(t.Context(), "VACUUM INTO '"+backup+"'")
	e.Must(err)
	steps(60)
	f.catchUp(d)
	e.Must(first.stop(t))
	end := o.last(defaultStream)

	restored := testkit.SQLiteFile(backup)
	e.DB = restored.Open(t)
	e.Ingest, err = ingest.New(t.Context(), ingest.Config{DB: e.DB, Now: e.Clerk.Now})
	e.Must(err)
	t.Cleanup(e.Ingest.Close)
	steps(60)
	f.mirror = feed.New(feed.Config{DB: e.DB})
	t.Cleanup(f.mirror.Close)
	second := run(t, f.mirror, options)
	steps(20)
	f.catchUp(restored)
	if f.copy.Began != 2 {
		t.Errorf("the consumer began %d times, want 2", f.copy.Began)
	}
	after := o.messages(defaultStream)[end:]
	assertSnapshot(t, after, mirror.CursorOtherHistory)
	e.Must(second.stop(t))
}

// assertSnapshot checks that messages begin with a reset, that a snapshot with each object once and
// its end follow, and then changes alone.
func assertSnapshot(t *testing.T, messages []storedMessage, reason string) {
	t.Helper()
	var r Reset
	if err := json.Unmarshal(messages[0].Data, &r); err != nil || r.Type != TypeReset || r.Reason != reason || len(r.Snapshot) == 0 {
		t.Fatalf("the first message is %s (%v), want a reset because of %s", messages[0].Data, err, reason)
	}
	end := slices.IndexFunc(messages, func(m storedMessage) bool { return m.Header.Get(HeaderType) == TypeComplete })
	if end < 30 {
		t.Fatalf("the snapshot ends with message %d", end)
	}
	named := map[string]bool{}
	for i, msg := range messages[1:] {
		var change mirror.Change
		if i+1 == end {
			continue
		}
		if err := json.Unmarshal(msg.Data, &change); err != nil || (change.Operation == mirror.Read) != (i+1 < end) {
			t.Fatalf("message %d is %s, the snapshot ends with %d (%v)", i+1, msg.Header.Get(HeaderType), end, err)
		}
		key := string(change.Kind) + change.ID
		if i+1 < end && named[key] {
			t.Errorf("the snapshot has %s twice", key)
		}
		named[key] = true
	}
}

// The history changes under a publisher that runs, as a failover does that loses commits.
func TestHistoryChangesWhilePublishing(t *testing.T) {
	t.Parallel()
	l := newChangeLog(t)
	l.append(5)
	o := observe(t, newNode(t, &server.Options{}).ClientURL())
	run(t, l, Options{URL: o.conn.ConnectedUrl(), Start: StartOldest})
	o.reaches(l)
	o.must(l.db.Exec(t.Context(), "UPDATE clerk_changes SET tag = '00000000' WHERE seq > 3"))
	l.append(1)
	eventually(t, "a reset and the end of a snapshot", func() bool { return o.last(defaultStream) >= 8 })
	l.append(2)
	eventually(t, "the feed goes on", func() bool { return o.last(defaultStream) == 10 })
	messages := o.messages(defaultStream)[6:]
	if have := types(messages); !slices.Equal(have, []string{TypeReset, TypeComplete, "user.updated", "user.updated"}) {
		t.Errorf("got %v", have)
	}
	var r Reset
	o.must(json.Unmarshal(messages[0].Data, &r))
	if r.Reason != mirror.CursorOtherHistory {
		t.Errorf("the reason is %s", r.Reason)
	}
}

// The publisher was off for longer than the feed keeps changes.
func TestExpired(t *testing.T) {
	t.Parallel()
	l := newChangeLog(t)
	l.append(5)
	o := observe(t, newNode(t, &server.Options{}).ClientURL())
	options := Options{URL: o.conn.ConnectedUrl(), Start: StartOldest}
	run(t, l, options).published(t, o, 6)
	l.append(5)
	o.must(l.db.Exec(t.Context(), "DELETE FROM clerk_changes WHERE seq <= 7"))
	run(t, l, options)
	eventually(t, "a reset and the end of a snapshot", func() bool { return o.last(defaultStream) == 8 })
	messages := o.messages(defaultStream)[6:]
	var r Reset
	o.must(json.Unmarshal(messages[0].Data, &r))
	head, err := l.Head(t.Context())
	o.must(err)
	if r.Reason != mirror.CursorExpired || messages[1].Header.Get(HeaderCursor) != string(head) {
		t.Errorf("got %+v, and the snapshot leads to %s, want %s", r, messages[1].Header.Get(HeaderCursor), head)
	}
}

// Two databases are published to one stream. They do not reset each other without end.
func TestTwoDatabases(t *testing.T) {
	t.Parallel()
	a, b := newChangeLog(t), newChangeLog(t)
	a.append(5)
	b.append(5)
	o := observe(t, newNode(t, &server.Options{}).ClientURL())
	options := Options{URL: o.conn.ConnectedUrl(), Start: StartOldest}
	first, second := run(t, a, options), run(t, b, options)
	eventually(t, "a publisher stops", func() bool {
		a.append(1)
		b.append(1)
		return first.stopped() || second.stopped()
	})
	for _, r := range []*running{first, second} {
		if w := r.Warnings(); r.stopped() != (len(w) == 1 && w[0].Code == "nats_stopped") {
			t.Errorf("got the warnings %+v", w)
		}
	}
	if n := o.last(defaultStream); n > 10_000 {
		t.Errorf("the stream got %d messages", n)
	}
}

func (r *running) stopped() bool {
	r.state.mu.Lock()
	defer r.state.mu.Unlock()
	return r.state.stopped
}
