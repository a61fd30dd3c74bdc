package clerktest_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/sqlite"
)

// What docs/changes.md shows is the test below, to the letter.
func TestDocumentationShowsATestOfAConsumer(t *testing.T) {
	t.Parallel()
	source := string(testenv.Fixture(t, "clerktest/consumed_test.go"))
	_, source, _ = strings.Cut(source, "\nfunc TestWelcome")
	source, _, _ = strings.Cut(source, "\n}\n")
	if document := string(testenv.Fixture(t, "docs/changes.md")); !strings.Contains(document, "func TestWelcome"+source+"\n}\n```") {
		t.Error("docs/changes.md does not show TestWelcome as it is")
	}
}

func TestWelcome(t *testing.T) {
	clerk := clerktest.New(t)
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), db, clerk.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close() // ends the consumer
	clerk.SendTo(m.WebhookHandler())

	var welcomed atomic.Value
	go m.Consume(t.Context(), "welcome-mail", func(_ context.Context, c mirror.Change) error {
		welcomed.Store(c.ID)
		return nil
	}, clerksync.OnlyTypes("user.created"), clerksync.StartAt(mirror.FeedStart))

	ada := clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
	clerk.Settle()                           // the event has arrived
	clerktest.Consumed(t, m, "welcome-mail") // the consumer has handled it
	if welcomed.Load() != ada {
		t.Errorf("welcomed %v", welcomed.Load())
	}
}
