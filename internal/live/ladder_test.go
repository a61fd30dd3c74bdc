package live_test

import (
	"database/sql"
	"fmt"
	"slices"
	"testing"

	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/store"
)

// A change of the ladder in another process falls between two questions of this one. Whatever is
// read in between, a role comes with the ladder that it was derived by: the new role 'admin' is
// never ranked by the old ladder, where it is the highest.
func TestARoleIsNeverRankedByAnotherLadder(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, one, other *store.DB, _ *sql.DB) {
		clock := newClock()
		a, b := newReplica(t, "a", one, clock.now, 0), newReplica(t, "b", other, clock.now, 0)
		user := func(id string) {
			a.event(t, "user.created", fmt.Sprintf(`{"id":%q,"created_at":1,"updated_at":10}`, id))
		}
		user("user_kept")
		user("user_read_later")
		clock.advance(live.MaxStale)
		old, next := store.DefaultLadder(), []string{"admin", "solo", "growth", "enterprise"}
		expect := func(when, id string, ladder []string) {
			t.Helper()
			p := b.facts(t, id, "", "").User
			if !p.Found || p.Row.Role != ladder[0] || !slices.Equal(p.Ladder, ladder) {
				t.Errorf("%s, %s has role %q of the ladder %v; want %q of %v", when, id, p.Row.Role, p.Ladder, ladder[0], ladder)
			}
		}
		expect("before", "user_kept", old)
		if n, err := a.in.ChangeLadder(t.Context(), next); n != 2 || err != nil {
			t.Fatal(n, err)
		}
		expect("before the feed was asked", "user_kept", old)
		expect("before the feed was asked", "user_read_later", old) // its stored role is the new one already
		clock.advance(live.MaxStale)
		expect("after", "user_kept", next)
		expect("after", "user_read_later", next)
		if n, err := a.in.ChangeLadder(t.Context(), next); n != 0 || err != nil {
			t.Error(n, err)
		}
	})
}
