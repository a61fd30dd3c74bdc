package reconcile_test

import (
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/mirror"
)

// Readiness depends on when sweeps and whole walks began, by the database's clock if it has one,
// and on which lists Clerk refuses.
func TestStartOfSweepsAndWalksIsStored(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 5, Organizations: 1, Memberships: 3}, func(e *env) {
		database := func() clerk.Time {
			at, err := e.DB.Clock(e.Context(), clerk.TimeOf(e.Now()))
			e.Must(err)
			return at
		}
		between := func(what string, at, from, to clerk.Time) {
			e.Helper()
			if at < from || at > to {
				e.Errorf("%s: %v, not between %v and %v", what, at, from, to)
			}
		}
		e.AdvanceOurClock(3 * time.Hour) // has no effect on Postgres
		before := database()
		e.Backfill()
		after := database()
		walks, err := e.DB.Walks(e.Context())
		e.Must(err)
		head, err := e.DB.Head(e.Context())
		e.Must(err)
		for _, kind := range reconcile.Kinds() {
			w := walks[string(kind)]
			between(string(kind)+" walked", w.CompleteAt, before, after)
			between(string(kind)+" ended", w.EndedAt, w.CompleteAt, after)
			if w.Refused || w.SweptAt != 0 || w.Whole.Write > head.Writes {
				e.Errorf("%s: %+v", kind, w)
			}
		}

		before = database()
		_, err = e.Reconciler.Tick(e.Context())
		e.Must(err)
		e.DisableOrganizations()
		e.Walk(mirror.ReconcileOptions{})
		after = database()
		walks, err = e.DB.Walks(e.Context())
		e.Must(err)
		between("swept", walks["user"].SweptAt, before, after)
		if w := walks[string(clerk.KindMembership)]; !w.Refused || w.SweptAt != 0 || w.CompleteAt >= before {
			e.Errorf("a list that Clerk refuses: %+v", w)
		}
		e.Intercept(nil)
		e.Walk(mirror.ReconcileOptions{})
		walks, err = e.DB.Walks(e.Context())
		e.Must(err)
		if w := walks[string(clerk.KindMembership)]; w.Refused || !w.Complete || w.CompleteAt < after {
			e.Errorf("a list that Clerk no longer refuses: %+v", w)
		}
	})
}
