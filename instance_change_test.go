package clerksync_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// fetchedKeys lets the keys be fetched, so that they name their instance.
func fetchedKeys(c *clerksync.Config) { c.InstanceID, c.JWTKey = "", "" }

var byAda = mirror.By{Actor: "cli:ada", Origin: "command"}

// change does work with a handle of the database and the configuration of the instance in use.
func (s *shared) change(work func(ctx context.Context, db clerksync.DB, c clerksync.Config) (mirror.InstanceState, error)) (mirror.InstanceState, error) {
	s.Helper()
	db := driver.NewHandle(s.backend())
	defer db.Close()
	config := s.clerk.Config()
	fetchedKeys(&config)
	return work(s.Context(), db, config)
}

func (s *shared) adopt() (mirror.InstanceState, error) {
	s.Helper()
	return s.change(func(ctx context.Context, db clerksync.DB, c clerksync.Config) (mirror.InstanceState, error) {
		return clerksync.AdoptInstance(ctx, db, c, byAda)
	})
}

func (s *shared) reset(force bool) (mirror.InstanceState, error) {
	s.Helper()
	return s.change(func(ctx context.Context, db clerksync.DB, c clerksync.Config) (mirror.InstanceState, error) {
		return clerksync.ResetInstance(ctx, db, c, force, byAda)
	})
}

// lastInstanceEntry is the newest entry of the audit about the instance.
func (s *shared) lastInstanceEntry(m *clerksync.Mirror) mirror.AuditEntry {
	s.Helper()
	page, err := m.Audit().List(s.Context(), mirror.AuditFilter{Action: mirror.AuditInstance})
	if err != nil || len(page.Items) == 0 {
		s.Fatalf("no entry of the audit, %v", err)
	}
	return page.Items[0]
}

// A database that remembers a wrong instance, or none, adopts the one whose rows it has. Rows of
// another instance are never adopted.
func TestAdoptInstance(t *testing.T) {
	t.Parallel()
	onSharedDatabase(t, func(s *shared) {
		ours, theirs := s.clerk, clerktest.New(s.T, clerktest.WithSeed(2), clerktest.WithUsers(3))
		a, b := ours.Keys().InstanceID, theirs.Keys().InstanceID
		ours.CreateUser(clerktest.User{Email: "ada@example.com"})
		first := s.mirror(nil)
		if _, err := first.Sync().Backfill(s.Context(), nil); err != nil {
			s.Fatal(err)
		}
		s.clerk = theirs
		if state, err := s.adopt(); !errors.Is(err, mirror.ErrOtherData) || state.Database != a || !slices.Equal(state.Configured, []string{b}) {
			s.Errorf("the rows of another instance: %+v, %v", state, err)
		}
		db := s.backend()
		defer db.Close()
		if err := db.Migrate(s.Context()); err != nil {
			s.Fatal(err)
		}
		wrong := func(tx *store.Tx) error {
			return tx.ChangeSettings(s.Context(), func(x *store.Settings) { x.Instance = "ins_wrong" })
		}
		if err := db.Update(s.Context(), wrong); err != nil {
			s.Fatal(err)
		}
		s.clerk = ours
		if _, err := s.try(nil); !errors.Is(err, clerksync.ErrOtherInstance) {
			s.Errorf("a start before: %v", err)
		}
		if state, err := s.adopt(); err != nil || state.Database != a || state.Rows == 0 {
			s.Fatalf("our own rows: %+v, %v", state, err)
		}
		m := s.mirror(nil)
		if e := s.lastInstanceEntry(m); e.Object != "adopt" || e.Was != "ins_wrong" || e.Became != a || e.Actor != "cli:ada" {
			s.Errorf("the audit: %+v", e)
		}
		if ok, _, err := m.Sync().InSync(s.Context()); ok || err != nil {
			s.Errorf("in sync before a walk: %v, %v", ok, err)
		}
		if _, err := m.Sync().Reconcile(s.Context(), mirror.ReconcileOptions{}); err != nil {
			s.Fatal(err)
		}
		if ok, reasons, err := m.Sync().InSync(s.Context()); !ok || err != nil {
			s.Errorf("after a walk: %v, %v", reasons, err)
		}
	})
}

// From one instance to another on the same database: nothing of the old one is served any more,
// also not by a server that still runs with its keys, and everything of the new one is there.
func TestResetInstance(t *testing.T) {
	t.Parallel()
	onSharedDatabase(t, func(s *shared) {
		dev, live := s.clerk, clerktest.New(s.T, clerktest.WithSeed(2), clerktest.WithUsers(3))
		a, b := dev.Keys().InstanceID, live.Keys().InstanceID
		ada := dev.CreateUser(clerktest.User{Email: "ada@example.com"})
		running := s.mirror(fetchedKeys)
		pinned := s.mirror(func(c *clerksync.Config) { c.InstanceID = "" }) // a PEM key, which names no instance
		dev.SendTo(running.WebhookHandler())
		if _, err := running.Sync().Backfill(s.Context(), nil); err != nil {
			s.Fatal(err)
		}
		if err := running.BeginLife(s.Context()); err != nil {
			s.Fatal(err)
		}
		token := dev.TokenFor(clerktest.TokenOptions{UserID: ada})
		for _, m := range []*clerksync.Mirror{running, pinned} {
			if got := s.code(m, token, nil); got != "" {
				s.Fatalf("before: %s", got)
			}
		}
		place, err := running.Feed().Head(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		s.clerk = live
		if state, err := s.reset(false); !errors.Is(err, mirror.ErrServerRunning) || state.Running != 1 {
			s.Errorf("next to a server: %+v, %v", state, err)
		}
		if state, err := s.reset(true); err != nil || state.Database != b || state.Rows == 0 {
			s.Fatalf("%+v, %v", state, err)
		}
		s.oldServer(running, pinned, token, ada, dev)
		if _, err := running.Feed().Page(s.Context(), mirror.FeedQuery{After: place}); !isGone(err) {
			s.Errorf("a reader of the old history: %v", err)
		}
		running.EndLife(s.Context())
		fresh := s.mirror(nil)
		if e := s.lastInstanceEntry(fresh); e.Object != "reset" || e.Was != a || e.Became != b {
			s.Errorf("the audit: %+v", e)
		}
		if _, err := fresh.Sync().Backfill(s.Context(), nil); err != nil {
			s.Fatal(err)
		}
		if ok, reasons, err := fresh.Sync().InSync(s.Context()); !ok || err != nil {
			s.Errorf("the new instance: %v, %v", reasons, err)
		}
		if users, err := fresh.Users().List(s.Context(), mirror.UserFilter{}); err != nil || len(users.Items) != 3 {
			s.Errorf("%d users, %v", len(users.Items), err)
		}
	})
}

// oldServer makes sure that servers with the keys of the old instance fail closed.
func (s *shared) oldServer(running, pinned *clerksync.Mirror, token, ada string, dev *clerktest.Clerk) {
	s.Helper()
	s.later()
	for name, m := range map[string]*clerksync.Mirror{"JWKS": running, "PEM key": pinned} {
		if err := m.FollowFeed(s.Context()); err != nil {
			s.Error(err)
		}
		want := map[string]string{"JWKS": clerksync.CodeUnavailable, "PEM key": clerksync.CodeUserNotRegistered}[name]
		if got := s.code(m, token, nil); got != want {
			s.Errorf("%s: a token of the old instance: %q, want %s", name, got, want)
		}
		if _, err := m.Sync().Reconcile(s.Context(), mirror.ReconcileOptions{}); !errors.Is(err, clerksync.ErrOtherInstance) {
			s.Errorf("%s: a walk with the old keys: %v", name, err)
		}
		if w := warning(m, s.T, "foreign_instance"); w == nil {
			s.Errorf("%s: no warning", name)
		}
	}
	late := dev.CreateUser(clerktest.User{Email: "late@example.com"})
	dev.Settle()
	for _, id := range []string{ada, late} {
		if _, err := running.Users().ByClerkID(s.Context(), id); !errors.Is(err, clerksync.ErrNotFound) {
			s.Errorf("%s of the old instance: %v", id, err)
		}
	}
}

func isGone(err error) bool {
	gone, ok := errors.AsType[*mirror.CursorGoneError](err)
	return ok && gone != nil
}

// Rows of the application that refer to users are not left without them.
func TestResetInstanceKeepsWhatIsReferredTo(t *testing.T) {
	t.Parallel()
	onSharedDatabase(t, func(s *shared) {
		s.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
		m := s.mirror(nil)
		if _, err := m.Sync().Backfill(s.Context(), nil); err != nil {
			s.Fatal(err)
		}
		db := s.backend()
		defer db.Close()
		id := map[store.Engine]string{store.Postgres: "uuid", store.SQLite: "TEXT"}[db.Engine()]
		for _, text := range []string{
			"CREATE TABLE deals (owner " + id + " NOT NULL REFERENCES clerk_users (id))", "INSERT INTO deals (owner) SELECT id FROM clerk_users",
		} {
			if err := db.Exec(s.Context(), text); err != nil {
				s.Fatal(err)
			}
		}
		s.clerk = clerktest.New(s.T, clerktest.WithSeed(2))
		if _, err := s.reset(true); !errors.Is(err, mirror.ErrReferenced) {
			s.Errorf("with references: %v", err)
		}
		if users, err := m.Users().List(s.Context(), mirror.UserFilter{}); err != nil || len(users.Items) != 1 {
			s.Errorf("%d users are left, %v", len(users.Items), err)
		}
		if err := db.Exec(s.Context(), "DELETE FROM deals"); err != nil {
			s.Fatal(err)
		}
		if _, err := s.reset(true); err != nil {
			s.Errorf("without references: %v", err)
		}
	})
}

// Nothing is changed while it is not known which instance the keys belong to.
func TestInstanceOfNoKeys(t *testing.T) {
	t.Parallel()
	onSharedDatabase(t, func(s *shared) {
		none := func(ctx context.Context, db clerksync.DB, _ clerksync.Config) (mirror.InstanceState, error) {
			return clerksync.ResetInstance(ctx, db, clerksync.Config{}, false, byAda)
		}
		if state, err := s.change(none); !errors.Is(err, mirror.ErrInstanceUnknown) {
			s.Errorf("%+v, %v", state, err)
		}
		two := func(ctx context.Context, db clerksync.DB, c clerksync.Config) (mirror.InstanceState, error) {
			c.InstanceID = "ins_other"
			return clerksync.AdoptInstance(ctx, db, c, byAda)
		}
		if state, err := s.change(two); !errors.Is(err, clerksync.ErrOtherInstance) || len(state.Configured) != 2 {
			s.Errorf("%+v, %v", state, err)
		}
	})
}
