package clerksync_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/sqlite"
)

// seen collects the changes that a consumer got.
type seen struct {
	mu   sync.Mutex
	list []string
}

func (s *seen) note(_ context.Context, c mirror.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, c.Type()+" "+c.ID)
	return nil
}

// has reports whether all of these were seen, in this order.
func (s *seen) has(want ...string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, got := range s.list {
		if len(want) > 0 && got == want[0] {
			want = want[1:]
		}
	}
	return len(want) == 0
}

// A handle that only reads cannot run a consumer, and can show them.
func TestConsumeNeedsToWrite(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "clerk.db")
	db, err := sqlite.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Migrate(t.Context()), db.Close()); err != nil {
		t.Fatal(err)
	}
	if db, err = sqlite.OpenReadOnly(file); err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), db, clerksync.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var got seen
	if err := m.Consume(t.Context(), "copy", got.note); err == nil {
		t.Error("a consumer ran, and could not have saved its place")
	}
	if list, err := m.Feed().Consumers(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

// A consumer that begins with a snapshot gets each live object, and then what changes.
func TestConsumeBeginsWithASnapshot(t *testing.T) {
	t.Parallel()
	instance := clerktest.New(t)
	file := filepath.Join(t.TempDir(), "clerk.db")
	open := func() *clerksync.Mirror {
		db, err := sqlite.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := clerksync.New(t.Context(), db, instance.Config())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Close() })
		return m
	}
	m := open()
	instance.SendTo(m.WebhookHandler())
	ada := instance.CreateUser(clerktest.User{Email: "ada@example.com"})
	bob := instance.CreateUser(clerktest.User{Email: "bob@example.com"})
	org := instance.CreateOrganization("Ours", ada)
	clerktest.AssertConverged(t, instance, m)

	var got seen
	ended := make(chan error, 1)
	go func() {
		ended <- m.Consume(t.Context(), "copy", got.note,
			clerksync.StartWithSnapshot(clerk.KindUser, clerk.KindOrganization), clerksync.OnlyKinds(clerk.KindUser, clerk.KindOrganization))
	}()
	clerktest.Consumed(t, m, "copy")
	reads := slices.DeleteFunc(slices.Clone(got.list), func(s string) bool { return !strings.Contains(s, ".read ") })
	if slices.Sort(reads); !slices.Equal(reads, []string{"organization.read " + org, "user.read " + min(ada, bob), "user.read " + max(ada, bob)}) {
		t.Errorf("the snapshot was %v", got.list)
	}
	instance.DeleteUser(bob)
	instance.Settle()
	if _, _, err := m.Users().Erase(t.Context(), ada); err != nil {
		t.Fatal(err)
	}
	clerktest.Consumed(t, m, "copy")
	if !got.has("user.deleted "+bob) || !got.has("user.erased "+ada) {
		t.Errorf("then came %v", got.list)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("a consumer of a mirror that is closed: %v", err)
	}
}

// A purge of the feed says which consumers it passed. They are stopped, and health says what to do.
func TestPurgeSaysWhichConsumersItPassed(t *testing.T) {
	t.Parallel()
	var logs testenv.Logs
	clock := &movable{}
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), db, clerksync.Config{
		Logger: logs.Logger(), ChangesRetention: 48 * time.Hour, Test: clerksync.TestConfig{Now: clock.now},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	apply := func(id string) {
		if _, err := m.Users().Apply(t.Context(), []byte(`{"object":"user","id":"`+id+`","created_at":1,"updated_at":1}`)); err != nil {
			t.Fatal(err)
		}
	}
	apply("user_1")
	ctx, cancel := context.WithCancel(t.Context())
	err = m.Consume(ctx, "welcome-mail", func(context.Context, mirror.Change) error { cancel(); return nil }, clerksync.StartAt(mirror.FeedStart))
	if err != nil {
		t.Fatal(err)
	}
	apply("user_2")
	apply("user_3")
	warned := func(severity mirror.Severity) bool {
		return slices.ContainsFunc(m.Health(t.Context()).Warnings, func(w mirror.Warning) bool {
			return strings.HasPrefix(w.Code, "consumer_") && w.Severity == severity && strings.Contains(w.Message, "welcome-mail")
		})
	}
	for _, step := range []struct {
		move     time.Duration
		severity mirror.Severity
	}{
		{10 * time.Minute, mirror.SeverityWarning}, // no process runs it
		{25 * time.Hour, mirror.SeverityError},     // half of the retention has passed
		{26 * time.Hour, mirror.SeverityError},     // it is purged
	} {
		if _, err := m.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		clock.move(step.move)
		if !warned(step.severity) {
			t.Errorf("after %s more there is no %s: %+v", step.move, step.severity, m.Health(t.Context()).Warnings)
		}
	}
	if strings.Contains(logs.String(), "changes that a consumer has not handled") {
		t.Errorf("before the purge the log says %s", logs.String())
	}
	if _, err := m.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(logs.String(), "changes that a consumer has not handled") || !strings.Contains(logs.String(), "welcome-mail") {
		t.Errorf("the log does not say what was passed: %s", logs.String())
	}
	list, err := m.Feed().Consumers(t.Context())
	if err != nil || list[0].State != mirror.ConsumerStopped {
		t.Errorf("%+v, %v", list, err)
	}
}
