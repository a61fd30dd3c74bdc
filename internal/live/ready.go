package live

import (
	"context"
	"fmt"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/schedule"
	"github.com/clerksync/clerksync/internal/store"
)

const (
	// freshnessEvery is how often the state of the walks is asked for, at most.
	freshnessEvery = time.Second
	// freshnessStale is how old that may be; older is not ready.
	freshnessStale = 5 * time.Second
)

// Bounds say for how long a comparison with Clerk makes a kind ready, counted from the start of the
// comparison.
type Bounds struct {
	Sweep    time.Duration     // of users, by sweeps and walks; 0 is never
	Walk     time.Duration     // of all other kinds, by walks; 0 is never
	Schedule schedule.Schedule // bounds Walk: a walk that is overdue makes nothing ready
}

// State is what is known of walks and sweeps at one moment, by the database's clock on Postgres.
type State struct {
	Walks      map[string]store.Walk
	ProvenFrom clerk.Time // the end of the last gap: comparisons that began earlier count for nothing
	Now        clerk.Time
}

// Left returns for how much longer a kind is ready; 0 is not ready. A comparison that seems to lie
// in the future counts for nothing: a clock has jumped.
func (b Bounds) Left(kind clerk.Kind, s State) time.Duration {
	w := s.Walks[string(kind)]
	if w.BackfilledAt == 0 || w.CompleteAt == 0 || w.Refused {
		return 0
	}
	bound, begun := min(b.Walk, b.Schedule.Overdue(schedule.Took(s.Walks))), []clerk.Time{w.CompleteAt}
	if kind == clerk.KindUser {
		bound, begun = b.Sweep, []clerk.Time{w.CompleteAt, w.SweptAt}
	}
	left := time.Duration(0)
	for _, at := range begun {
		if age := time.Duration(s.Now-at) * time.Millisecond; at != 0 && at >= s.ProvenFrom && age >= 0 {
			left = max(left, bound-age)
		}
	}
	return left
}

// Ready says of which kinds stored facts may grant, if the row itself is not in doubt. A seat hangs
// on the membership, its role and the role's permissions.
type Ready struct{ User, Membership bool }

// freshness says until when stored facts are fresh, in nanoseconds of this process's clock since
// 1970.
type freshness struct {
	at          int64
	users, seat int64 // until when they are ready
}

// Ready returns from memory which kinds are fresh. Calls of Facts renew it together with the feed.
func (c *Cache) Ready() Ready {
	v := c.freshness.Load()
	if v == nil {
		return Ready{}
	}
	now := c.now().UnixNano()
	if age := now - v.at; age < 0 || age > int64(freshnessStale) {
		return Ready{}
	}
	return Ready{User: now < v.users, Membership: now < v.seat}
}

// refreshFreshness reads the state of the walks, unless it was read a moment ago.
func (c *Cache) refreshFreshness(ctx context.Context) error {
	began := c.now()
	if v := c.freshness.Load(); v != nil {
		if age := began.UnixNano() - v.at; age >= 0 && age < int64(freshnessEvery) {
			return nil
		}
	}
	now, err := c.db.Clock(ctx, clerk.TimeOf(began))
	if err != nil {
		return fmt.Errorf("read the database's clock: %w", err)
	}
	walks, err := c.db.Walks(ctx)
	if err != nil {
		return fmt.Errorf("read the state of the walks: %w", err)
	}
	life, err := c.db.Life(ctx)
	if err != nil {
		return fmt.Errorf("read when the mirror was last looked after: %w", err)
	}
	state := State{Walks: walks, ProvenFrom: life.ProvenFrom, Now: now}
	until := func(kinds ...clerk.Kind) int64 {
		left := c.bounds.Left(kinds[0], state)
		for _, kind := range kinds[1:] {
			left = min(left, c.bounds.Left(kind, state))
		}
		return began.Add(left).UnixNano()
	}
	c.freshness.Store(&freshness{
		at: began.UnixNano(), users: until(clerk.KindUser), seat: until(clerk.KindMembership, clerk.KindRole, clerk.KindPermission),
	})
	return nil
}
