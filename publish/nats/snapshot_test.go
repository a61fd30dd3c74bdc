package nats

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/feed"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// smallPages reads small pages, and calls end after some of them.
type smallPages struct {
	changeFeed
	pages atomic.Int64
	end   atomic.Pointer[context.CancelFunc]
}

func (s *smallPages) Page(ctx context.Context, q mirror.FeedQuery) (mirror.FeedPage, error) {
	q.Limit = 7
	page, err := s.changeFeed.Page(ctx, q)
	if end := s.end.Load(); s.pages.Add(-1) == 0 && end != nil {
		(*end)()
	}
	return page, err
}

// The publisher ends again and again while it publishes a snapshot. It goes on where it was: the
// stream has one reset, each object once, and one end of the snapshot. No cursor of a message is
// empty but that of the reset.
func TestSnapshotGoesOn(t *testing.T) {
	t.Parallel()
	e := testkit.New(t, testkit.NewDatabase(t, "sqlite"), emulator.Options{Users: 60, Organizations: 5, Seed: 5})
	e.Backfill()
	f := feed.New(feed.Config{DB: e.DB})
	t.Cleanup(f.Close)
	o := observe(t, newNode(t, &server.Options{}).ClientURL())
	pages := &smallPages{changeFeed: f}
	head, err := f.Head(t.Context())
	e.Must(err)
	starts := 0
	for done := false; !done; starts++ {
		pages.pages.Store(3)
		r := run(t, pages, Options{URL: o.conn.ConnectedUrl()})
		pages.end.Store(&r.end)
		eventually(t, "the publisher ends, or has everything", func() bool {
			done = r.state.place() == head
			return done || pages.pages.Load() <= 0
		})
		e.Must(r.stop(t))
	}
	if starts < 5 {
		t.Errorf("the snapshot came in %d parts", starts)
	}
	messages := o.messages(defaultStream)
	assertSnapshot(t, messages, ReasonStart)
	count := map[string]int{}
	for i, msg := range messages {
		count[msg.Header.Get(HeaderType)]++
		if (i > 0) == (msg.Header.Get(HeaderCursor) == "") {
			t.Errorf("message %d has the cursor %q", i, msg.Header.Get(HeaderCursor))
		}
	}
	if count[TypeReset] != 1 || count[TypeComplete] != 1 || count["user.read"] != 60 || count["organization.read"] != 5 {
		t.Errorf("the stream has %v", count)
	}
}

// Only the kinds that are wanted are in the snapshot, and without the option no object is in a
// message.
func TestSnapshotOfSomeKinds(t *testing.T) {
	t.Parallel()
	e := testkit.New(t, testkit.NewDatabase(t, "sqlite"), emulator.Options{Users: 3, Organizations: 2})
	e.Backfill()
	f := feed.New(feed.Config{DB: e.DB})
	t.Cleanup(f.Close)
	o := observe(t, newNode(t, &server.Options{}).ClientURL())
	run(t, f, Options{URL: o.conn.ConnectedUrl(), Snapshot: []clerk.Kind{clerk.KindOrganization}, Stream: "ORGS", SubjectPrefix: "acme.clerk"})
	eventually(t, "a snapshot", func() bool { return o.last("ORGS") == 4 })
	messages := o.messages("ORGS")
	if have := strings.Join(types(messages), " "); have != "feed.reset organization.read organization.read feed.complete" {
		t.Errorf("got %s", have)
	}
	if subject := messages[1].Subject; subject != "acme.clerk.organization.read" {
		t.Errorf("the subject is %s", subject)
	}
	if strings.Contains(string(messages[1].Data), `"object"`) {
		t.Errorf("got %s", messages[1].Data)
	}
}

// A message that would be too large leaves out the object.
func TestLargeObject(t *testing.T) {
	t.Parallel()
	change := mirror.Change{
		Cursor: "7-00000000", At: time.Now(), Kind: clerk.KindUser, ID: "user_1", Operation: mirror.Updated, AsOf: "7-00000000",
		Object: json.RawMessage(`{"public_metadata":"` + strings.Repeat("x", 10_000) + `"}`),
	}
	for limit, want := range map[int64]bool{64 << 10: true, 12_000: false} {
		m, err := changeMessage(change, limit)
		if has := strings.Contains(string(m.body), `"object"`); err != nil || has != want || int64(len(m.body)) > limit {
			t.Errorf("of at most %d bytes: %d bytes, with the object %v, %v", limit, len(m.body), has, err)
		}
	}
}
