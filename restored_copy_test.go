package clerksync_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/sqlite"
)

// restoredServer is a mirror in a file that is backed up, changed and restored.
type restoredServer struct {
	*testing.T
	path  string
	clerk *clerktest.Clerk
}

func (s *restoredServer) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *restoredServer) open(change func(*clerksync.Config)) *clerksync.Mirror {
	s.Helper()
	db, err := sqlite.Open(s.path)
	s.must(err)
	config := s.clerk.Config()
	config.Test.Sleep = func(context.Context, time.Duration) error { return nil } // until the second answer about who is missing
	if change != nil {
		change(&config)
	}
	m, err := clerksync.New(s.Context(), db, config)
	s.must(err)
	s.clerk.SendTo(m.WebhookHandler())
	return m
}

// A backup that was taken after an orderly end and restored a moment later is noticed: by the log,
// the status, the health and every reader that had come further. Then everything is compared, and
// what the copy lacked is there.
func TestRestoredBackupIsNoticed(t *testing.T) {
	t.Parallel()
	s := &restoredServer{t, filepath.Join(t.TempDir(), "clerk.db"), clerktest.New(t)}
	ada := s.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
	m := s.open(nil)
	_, err := m.Sync().Backfill(t.Context(), nil)
	s.must(err)
	s.must(m.BeginLife(t.Context()))
	m.EndLife(t.Context())
	s.must(m.Close())
	copied := filepath.Join(t.TempDir(), "copy.db")
	_, err = sqlite.Backup(t.Context(), s.path, copied, sqlite.BackupOptions{})
	s.must(err)

	m = s.open(nil)
	bea := s.clerk.CreateUser(clerktest.User{Email: "bea@example.com"})
	s.clerk.Settle()
	s.clerk.DeleteUser(ada)
	s.clerk.Settle()
	_, _, err = m.Users().Erase(t.Context(), ada)
	s.must(err)
	ahead, err := m.Feed().Head(t.Context())
	s.must(err)
	s.must(m.Close())

	loss, err := sqlite.CompareBackup(t.Context(), s.path, copied)
	s.must(err)
	if !loss.Related || loss.Deliveries != 2 || loss.Changes == 0 || !slices.Equal(loss.Erased, []string{ada}) {
		t.Errorf("a restore loses %+v", loss)
	}
	_, _, err = sqlite.Restore(t.Context(), copied, s.path, sqlite.BackupOptions{Overwrite: true})
	s.must(err)

	log := &testenv.Logs{}
	m = s.open(func(c *clerksync.Config) { c.Logger = log.Logger() })
	defer m.Close()
	status, err := m.Sync().Status(t.Context())
	s.must(err)
	if status.InSync || !strings.Contains(status.Sentence, "restored from a copy that was taken") {
		t.Errorf("before a start: %s", status.Sentence)
	}
	s.must(m.BeginLife(t.Context()))
	if !strings.Contains(log.String(), "restored from a copy") {
		t.Errorf("the log: %s", log)
	}
	status, err = m.Sync().Status(t.Context())
	s.must(err)
	if status.InSync || !strings.Contains(status.Sentence, "have not been compared since") || status.Ready {
		t.Errorf("after the start: %s", status.Sentence)
	}
	_, err = m.Feed().Page(t.Context(), mirror.FeedQuery{After: ahead})
	if gone, ok := errors.AsType[*mirror.CursorGoneError](err); !ok || gone == nil {
		t.Errorf("a reader that had come further: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if what, err := m.SyncOnce(ctx); what != "walk" || err != nil {
		t.Errorf("what begins at once is a %s: %v", what, err)
	}
	if _, err := m.Users().ByClerkID(t.Context(), bea); err != nil {
		t.Errorf("what the copy lacked: %v", err)
	}
}
