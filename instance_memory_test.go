package clerksync_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/mirror"
)

// namesBoth wants an error that names both instances and what to do.
func namesBoth(t *testing.T, what string, err error, ours, theirs string) {
	t.Helper()
	if !errors.Is(err, clerksync.ErrOtherInstance) {
		t.Errorf("%s: %v, want it refused", what, err)
		return
	}
	for _, text := range []string{ours, theirs, "another database for", "clerksync instance reset"} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: no %q in: %v", what, text, err)
		}
	}
}

// New keys on a used database read nothing into it, whichever way they are configured.
func TestKeysOfAnotherInstanceAreRefused(t *testing.T) {
	t.Parallel()
	pem := func(c *clerksync.Config) { c.InstanceID = "" }
	fetched := func(c *clerksync.Config) { c.InstanceID, c.JWTKey = "", "" }
	onSharedDatabase(t, func(s *shared) {
		ours := s.clerk
		ours.CreateUser(clerktest.User{Email: "ours@example.com"})
		first := s.mirror(pem) // nothing is pinned: the first walk tells
		if _, err := first.Sync().Backfill(s.Context(), nil); err != nil {
			s.Fatal(err)
		}
		theirs := clerktest.New(s.T, clerktest.WithSeed(2), clerktest.WithUsers(3))
		a, b := ours.Keys().InstanceID, theirs.Keys().InstanceID
		s.clerk = theirs
		_, err := s.try(nil)
		namesBoth(s.T, "a start with another pin", err, a, b)
		for name, change := range map[string]func(*clerksync.Config){"PEM key": pem, "JWKS": fetched} {
			second := s.mirror(change)
			_, err := second.Sync().Backfill(s.Context(), nil)
			namesBoth(s.T, name+": a backfill", err, a, b)
			_, err = second.Sync().Reconcile(s.Context(), mirror.ReconcileOptions{DryRun: true})
			namesBoth(s.T, name+": a dry run", err, a, b)
			namesBoth(s.T, name+": fetching the keys", second.FetchKeys(s.Context()), a, b)
			ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
			namesBoth(s.T, name+": Run", second.Run(ctx), a, b)
			cancel()
			s.later() // health is kept for a second
			w := warning(second, s.T, "foreign_instance")
			if w == nil || !strings.Contains(w.Message, a) || !strings.Contains(w.Message, b) || !strings.Contains(w.Remedy, "another database") {
				s.Errorf("%s: warned %+v", name, w)
			}
		}
		if w := warning(first, s.T, "foreign_instance"); w != nil {
			s.Errorf("the right process is warned: %+v", w)
		}
		if users, err := first.Users().List(s.Context(), mirror.UserFilter{}); err != nil || len(users.Items) != 1 {
			s.Errorf("%d users are stored, %v; want ours alone", len(users.Items), err)
		}
	})
}

// Keys that are fetched with the first token are found out then: no token that they verify is
// accepted, and no one is read with them.
func TestForeignKeysThatAreFetchedLateAreNotTrusted(t *testing.T) {
	t.Parallel()
	onSharedDatabase(t, func(s *shared) {
		first := s.mirror(nil)
		theirs := clerktest.New(s.T, clerktest.WithSeed(2))
		a, b := s.clerk.Keys().InstanceID, theirs.Keys().InstanceID
		s.clerk = theirs
		stranger := theirs.CreateUser(clerktest.User{Email: "stranger@example.com"})
		token := theirs.TokenFor(clerktest.TokenOptions{UserID: stranger})
		for name, change := range map[string]func(*clerksync.Config){
			"JWKS":    func(c *clerksync.Config) { c.InstanceID, c.JWTKey = "", "" },
			"PEM key": func(c *clerksync.Config) { c.InstanceID = "" },
		} {
			second := s.mirror(change)
			want := clerksync.CodeUnavailable
			if name == "PEM key" { // a key without a name: what it verifies is a stranger, who cannot be read
				want = clerksync.CodeUserNotRegistered
			}
			for range 2 {
				if got := s.code(second, token, nil); got != want {
					s.Errorf("%s: a token of another instance: %q, want %s", name, got, want)
				}
			}
			s.later()
			if w := warning(second, s.T, "foreign_instance"); w == nil || !strings.Contains(w.Message, a) || !strings.Contains(w.Message, b) {
				s.Errorf("%s: warned %+v", name, w)
			}
		}
		if _, err := first.Users().ByClerkID(s.Context(), stranger); !errors.Is(err, clerksync.ErrNotFound) {
			s.Errorf("the stranger is stored: %v", err)
		}
	})
}

// An event of another instance is quarantined though no instance is configured: the database
// remembers its own. An event alone makes it remember nothing.
func TestEventsOfAnotherInstanceAreQuarantinedFromMemory(t *testing.T) {
	t.Parallel()
	unpinned := func(c *clerksync.Config) { c.InstanceID, c.SecretKey = "", "" }
	onSharedDatabase(t, func(s *shared) {
		ours := s.clerk
		running := s.mirror(unpinned)
		theirs := clerktest.New(s.T, clerktest.WithSeed(2))
		theirs.SendTo(running.WebhookHandler())
		ours.CreateUser(clerktest.User{Email: "ours@example.com"})
		early := theirs.CreateUser(clerktest.User{Email: "early@example.com"})
		theirs.Settle()
		if _, err := running.Users().ByClerkID(s.Context(), early); err != nil {
			s.Errorf("an event before any instance was known: %v", err)
		}
		theirs.DeleteUser(early) // the walk would ask for the user for a minute
		theirs.Settle()
		walker := s.mirror(nil)
		if _, err := walker.Sync().Backfill(s.Context(), nil); err != nil {
			s.Fatal(err)
		}
		late := theirs.CreateUser(clerktest.User{Email: "late@example.com"}) // the running server has asked nobody since
		theirs.Settle()
		if _, err := running.Users().ByClerkID(s.Context(), late); !errors.Is(err, clerksync.ErrNotFound) {
			s.Errorf("an event of another instance was applied: %v", err)
		}
		page, err := running.Deliveries().List(s.Context(), mirror.DeliveryFilter{State: mirror.DeliveryQuarantined})
		list := page.Items
		if err != nil || len(list) == 0 || list[0].Reason != "foreign_instance" {
			s.Errorf("quarantined: %+v, %v", list, err)
		}
		s.later()
		w := warning(running, s.T, "foreign_instance")
		if w == nil || !strings.Contains(w.Message, ours.Keys().InstanceID) || !strings.Contains(w.Message, theirs.Keys().InstanceID) {
			s.Errorf("warned %+v", w)
		}
	})
}

// A database of an older version, which kept the fetched keys but remembers no instance, learns it
// from those keys.
func TestInstanceIsLearnedFromKeptKeys(t *testing.T) {
	t.Parallel()
	onSharedDatabase(t, func(s *shared) {
		db := s.backend()
		if err := db.Migrate(s.Context()); err != nil {
			s.Fatal(err)
		}
		if err := db.SetMeta(s.Context(), "jwks", `{"fetched":"2026-01-01T00:00:00Z","set":{"keys":[{"kid":"ins_before"}]}}`); err != nil {
			s.Fatal(err)
		}
		if err := db.Close(); err != nil {
			s.Fatal(err)
		}
		_, err := s.try(nil)
		namesBoth(s.T, "a start", err, "ins_before", s.clerk.Keys().InstanceID)
	})
}
