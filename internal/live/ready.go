package live

import (
	"context"
	"fmt"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
)

const (
	// vouchEvery is how often the state of the walks is asked for, at most.
	vouchEvery = time.Second
	// vouchStale is how old that may be; older is not ready.
	vouchStale = 5 * time.Second
)

// Bounds say how long a comparison with Clerk vouches for a kind, from its start on. 0 is never.
type Bounds struct {
	Sweep time.Duration // of users, by sweeps and walks
	Walk  time.Duration // of all other kinds, by walks
}

// Left is for how much longer the walks and sweeps of a kind vouch for it; 0 is not. now is by the database's clock on
// Postgres. A comparison that seems to lie in the future vouches for nothing: a clock has jumped.
func (b Bounds) Left(kind clerk.Kind, w store.Walk, now clerk.Time) time.Duration {
	if w.BackfilledAt == 0 || w.CompleteAt == 0 || w.Refused {
		return 0
	}
	bound, begun := b.Walk, []clerk.Time{w.CompleteAt}
	if kind == clerk.KindUser {
		bound, begun = b.Sweep, []clerk.Time{w.CompleteAt, w.SweptAt}
	}
	left := time.Duration(0)
	for _, at := range begun {
		if age := time.Duration(now-at) * time.Millisecond; at != 0 && age >= 0 {
			left = max(left, bound-age)
		}
	}
	return left
}

// Ready says of which kinds stored facts may grant, if the row itself is not in doubt. A seat hangs on the membership,
// its role and the role's permissions.
type Ready struct{ User, Seat bool }

// vouched is the state of the walks as it was once, in nanoseconds of our clock since 1970.
type vouched struct {
	at          int64
	users, seat int64 // until when they are ready
}

// Ready answers from memory. What is remembered is renewed with the feed, by whoever asks for facts.
func (c *Cache) Ready() Ready {
	v := c.vouched.Load()
	if v == nil {
		return Ready{}
	}
	now := c.now().UnixNano()
	if age := now - v.at; age < 0 || age > int64(vouchStale) {
		return Ready{}
	}
	return Ready{User: now < v.users, Seat: now < v.seat}
}

// vouch renews what is known of the walks, unless that was done a moment ago.
func (c *Cache) vouch(ctx context.Context) error {
	began := c.now()
	if v := c.vouched.Load(); v != nil {
		if age := began.UnixNano() - v.at; age >= 0 && age < int64(vouchEvery) {
			return nil
		}
	}
	now, err := c.db.Clock(ctx, clerk.At(began))
	if err != nil {
		return fmt.Errorf("read the database's clock: %w", err)
	}
	walks, err := c.db.Walks(ctx)
	if err != nil {
		return fmt.Errorf("read the state of the walks: %w", err)
	}
	until := func(kinds ...clerk.Kind) int64 {
		left := c.bounds.Left(kinds[0], walks[string(kinds[0])], now)
		for _, kind := range kinds[1:] {
			left = min(left, c.bounds.Left(kind, walks[string(kind)], now))
		}
		return began.Add(left).UnixNano()
	}
	c.vouched.Store(&vouched{
		at: began.UnixNano(), users: until(clerk.KindUser), seat: until(clerk.KindMembership, clerk.KindRole, clerk.KindPermission),
	})
	return nil
}
