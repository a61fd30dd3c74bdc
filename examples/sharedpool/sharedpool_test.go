package sharedpool_test

import (
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/examples/sharedpool"
	"github.com/clerksync/clerksync/internal/testenv"
)

func TestSharedPool(t *testing.T) {
	clerk := clerktest.New(t)
	app, err := sharedpool.Open(t.Context(), testenv.Postgres(t), clerk.Config())
	if err != nil {
		t.Fatal(err)
	}
	clerk.SendTo(app.Mirror.WebhookHandler())
	clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
	clerk.Ban(clerk.CreateUser(clerktest.User{Email: "bob@example.com"}))
	clerktest.AssertConverged(t, clerk, app.Mirror)

	if users, err := app.CountUsers(t.Context()); err != nil || users != 1 {
		t.Errorf("%d active users, %v; want 1", users, err)
	}
	if err := app.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenReportsAMistake(t *testing.T) {
	config := clerksync.Config{Roles: []string{"solo", "solo"}}
	if _, err := sharedpool.Open(t.Context(), testenv.Postgres(t), config); err == nil {
		t.Error("Open accepted a ladder that has a role twice")
	}
}
