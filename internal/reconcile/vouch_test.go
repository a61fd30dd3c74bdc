package reconcile_test

import (
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/reconcile"
)

// What readiness goes by: when sweeps and whole walks began, by the database's clock where it has
// one, and which lists Clerk refuses.
func TestWhatVouches(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 5, Organizations: 1, Memberships: 3}, func(l *lab) {
		database := func() clerk.Time {
			at, err := l.db.Clock(l.Context(), clerk.TimeOf(l.now()))
			l.must(err)
			return at
		}
		between := func(what string, at, from, to clerk.Time) {
			l.Helper()
			if at < from || at > to {
				l.Errorf("%s: %v, not between %v and %v", what, at, from, to)
			}
		}
		l.moved.Store(int64(3 * time.Hour)) // no matter on Postgres
		before := database()
		l.backfill()
		after := database()
		walks, err := l.db.Walks(l.Context())
		l.must(err)
		head, err := l.db.Head(l.Context())
		l.must(err)
		for _, kind := range reconcile.Kinds() {
			w := walks[string(kind)]
			between(string(kind)+" walked", w.CompleteAt, before, after)
			between(string(kind)+" ended", w.EndedAt, w.CompleteAt, after)
			if w.Refused || w.SweptAt != 0 || w.Whole.Write > head.Writes {
				l.Errorf("%s: %+v", kind, w)
			}
		}

		before = database()
		_, err = l.r.Tick(l.Context())
		l.must(err)
		l.no.Store(true)
		l.walk(reconcile.Options{})
		after = database()
		walks, err = l.db.Walks(l.Context())
		l.must(err)
		between("swept", walks["user"].SweptAt, before, after)
		if w := walks[string(clerk.KindMembership)]; !w.Refused || w.SweptAt != 0 || w.CompleteAt >= before {
			l.Errorf("a list that Clerk refuses: %+v", w)
		}
		l.no.Store(false)
		l.walk(reconcile.Options{})
		walks, err = l.db.Walks(l.Context())
		l.must(err)
		if w := walks[string(clerk.KindMembership)]; w.Refused || !w.Complete || w.CompleteAt < after {
			l.Errorf("a list that Clerk refuses no more: %+v", w)
		}
	})
}
