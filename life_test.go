package clerksync_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/holder"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// A server that was killed leaves a mirror like a copy that was taken while it ran: what such a
// copy lacks is not known before everything was compared again.
func TestKilledOrCopiedMirrorIsUnprovenUntilItIsCompared(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *watched) {
		w.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
		w.clerk.Settle()
		w.backfill()
		w.must(w.m.BeginLife(w.Context()))
		w.says(true)
		w.m.EndLife(w.Context())
		w.must(w.m.BeginLife(w.Context()))
		if s := w.says(true); s.ProvenAt.IsZero() || !s.Ready {
			w.Errorf("an orderly restart: proven at %v, ready %v", s.ProvenAt, s.Ready)
		}
		w.must(w.db.NoteAlive(w.Context(), "another:1:1:x", clerk.TimeOf(time.Now())))
		w.must(w.m.BeginLife(w.Context()))
		w.says(true) // another replica looks after it

		w.update(func(tx *store.Tx) error { return tx.Forget(w.Context(), "another:1:1:x") })
		another, err := clerksync.New(w.Context(), driver.NewHandle(w.db), w.clerk.Config())
		w.must(err)
		w.must(another.BeginLife(w.Context())) // of which the first left its row behind
		s := w.says(false, "the users, ", "have not been compared since this mirror was found stopped or restored")
		if !s.ProvenAt.IsZero() || s.Ready || kindOf(s, clerk.KindUser).InSync {
			w.Errorf("proven at %v, ready %v", s.ProvenAt, s.Ready)
		}
		if what, err := w.m.SyncOnce(w.Context()); what != "walk" || err != nil {
			w.Errorf("what begins at once is a %s: %v", what, err)
		}
		w.says(true)
	})
}

// Whoever asks before a server starts hears of it, too, and a reconcile alone proves everything
// again.
func TestStatusOfAKilledOrCopiedMirrorBeforeAServerStarts(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *watched) {
		w.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
		w.clerk.Settle()
		w.backfill()
		w.must(w.db.NoteAlive(w.Context(), killed(w), clerk.TimeOf(time.Now())))
		w.says(false, "was killed, or this is a copy that was taken while it ran")
		_, err := w.m.Sync().Reconcile(w.Context(), mirror.ReconcileOptions{Kinds: []clerk.Kind{clerk.KindRole}})
		w.must(err)
		w.says(false, "the users, ", "have not been compared since")
		w.reconcile()
		w.says(true)
		w.must(w.m.BeginLife(w.Context()))
		w.must(w.db.NoteAlive(w.Context(), killed(w), clerk.TimeOf(time.Now())))
		w.says(true) // this process looks after it
	})
}

// killed is the name of a process of this machine that is gone: that of this one, said to have
// begun at another time.
func killed(w *watched) string {
	w.Helper()
	parts := strings.Split(holder.New(), " ")
	if len(parts) != 4 {
		w.Skip("here nobody can tell whether a process is gone")
	}
	parts[3] = "1"
	return strings.Join(parts, " ")
}

func TestOldCopyIsUnprovenBeforeAndAfterItsServerStarts(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *watched) {
		if w.db.Engine() != store.SQLite {
			return // whose clock cannot be moved; the rule is the same
		}
		w.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
		w.clerk.Settle()
		w.must(w.m.BeginLife(w.Context()))
		w.backfill()
		w.m.EndLife(w.Context())
		w.moved.Add(int64(9 * time.Minute))
		w.says(true)
		w.moved.Add(int64(2 * time.Minute))
		w.says(false, "no process has kept this mirror up to date for 12 minutes")
		w.must(w.m.BeginLife(w.Context()))
		w.says(false, "since this mirror was found stopped or restored")
		w.reconcile()
		w.says(true)
	})
}

// After the first comparison of everything the next one follows when it is cheap, and long before a
// day is over.
func TestWalksFollowEachOther(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *watched) {
		if w.db.Engine() != store.SQLite {
			return // whose clock cannot be moved
		}
		w.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
		w.clerk.Settle()
		for _, want := range []string{"backfill", "sweep", "sweep"} {
			if what, err := w.m.SyncOnce(w.Context()); what != want || err != nil {
				w.Errorf("%s, want %s: %v", what, want, err)
			}
			w.moved.Add(int64(time.Minute))
		}
		w.moved.Add(int64(9 * time.Minute))
		if what, err := w.m.SyncOnce(w.Context()); what != "walk" || err != nil {
			w.Errorf("eleven minutes later: %s, %v", what, err)
		}
	})
}

// Answers without a date do not say when they were true, so that what they tell of sign-ins is
// dropped: they prove nothing.
func TestAnswersWithoutADateProveNothing(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *watched) {
		w.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
		w.clerk.Settle()
		w.undated.Store(true)
		w.backfill()
		w.says(false, "was not whole (Clerk's answers have no Date header")
		w.undated.Store(false)
		w.reconcile()
		w.says(true)
	})
}

// Whatever refuses a list proves nothing, but for Clerk's own answer that organizations are not
// enabled, and that excuses the lists of organizations alone.
func TestRefusedListsProveNothing(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *watched) {
		ada := w.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
		w.clerk.CreateOrganization("Engines", ada)
		w.clerk.Settle()
		const disabled = `{"errors":[{"code":"organization_not_enabled_in_instance"}]}`
		const invalid = `{"errors":[{"code":"authorization_invalid"}]}`
		for _, tc := range []struct {
			path   string
			status int
			body   string
		}{
			{"/v1/", http.StatusBadRequest, invalid},
			{"/v1/", http.StatusForbidden, invalid},
			{"/v1/", http.StatusUnprocessableEntity, invalid},
			{"/v1/users", http.StatusForbidden, disabled},
			{"organization", http.StatusForbidden, invalid},
			{"organization", http.StatusBadRequest, disabled},
			{"/v1/jwks", http.StatusForbidden, invalid},
		} {
			w.refuse(tc.path, tc.status, tc.body)
			if report, err := w.m.Sync().Reconcile(w.Context(), mirror.ReconcileOptions{}); err == nil {
				w.Errorf("%+v: no error, %+v", tc, report)
			}
			if tc.path == "/v1/" || tc.path == "/v1/users" {
				if report, err := w.m.Sync().Backfill(w.Context(), nil); err == nil {
					w.Errorf("%+v: no error of a backfill, %+v", tc, report)
				}
				w.says(false)
			}
		}
		w.refuse("", 0, "")
		w.reconcile()
		w.says(true)
		w.refuse("/v1/users", http.StatusForbidden, invalid)
		if report, err := w.m.Sync().Reconcile(w.Context(), mirror.ReconcileOptions{}); err == nil {
			w.Errorf("after a whole walk: no error, %+v", report)
		}
		w.says(false, "the last walk of the users was not whole (clerk: walk ")
		w.refuse("organization", http.StatusForbidden, disabled)
		w.reconcile()
		w.says(false, "Clerk says that organizations are not enabled, but 1 organization is stored")
		w.refuse("", 0, "")
		w.reconcile()
		w.says(true, "1 user and ")
	})
}

// One answer does not contradict itself: its warnings are those of its own verdict, not of an older
// one that health keeps.
func TestWarningsOfAStatusAreOfItsVerdict(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *watched) {
		w.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
		w.clerk.Settle()
		w.warned(w.says(false), "not_in_sync", true)
		w.backfill()
		w.warned(w.says(true), "not_in_sync", false)
	})
}

// What a dry run found is known: nothing says "in sync" until it is repaired.
func TestStatusKnowsWhatADryRunFound(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *watched) {
		ada := w.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
		w.clerk.Settle()
		w.backfill()
		w.says(true)
		w.deaf.Store(true)
		w.clerk.UpdateUser(ada, map[string]any{"first_name": "Augusta"})
		report, err := w.m.Sync().Reconcile(w.Context(), mirror.ReconcileOptions{DryRun: true})
		if w.must(err); report.Found != 1 {
			w.Errorf("%+v", report)
		}
		w.says(false, "1 user differs from Clerk and was not repaired")
		w.reconcile()
		w.says(true)
	})
}

// What is in doubt keeps the mirror from being in sync for seconds, not until the next minute.
func TestDoubtsAreSettledBetweenSweeps(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *watched) {
		ada := w.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
		w.clerk.Settle()
		w.backfill()
		w.update(func(tx *store.Tx) error {
			return tx.QueueVerify(w.Context(), []row.VerifyItem{{Key: row.Key{Kind: clerk.KindUser, ID: ada}, Reason: "tie"}})
		})
		w.says(false, "1 user has to be read again")
		w.must(w.m.SettleDoubts(w.Context()))
		w.says(true)
	})
}
