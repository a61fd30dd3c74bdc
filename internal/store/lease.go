package store

import (
	"context"
	"errors"
	"time"

	"github.com/clerksync/clerksync/clerk"
)

// Lease is the right to walk and repair, or to run a consumer, which one process has at a time.
// Clocks decide only when another process may take it over. The token decides that the former
// holder is refused from then on.
type Lease struct {
	Name   string
	Holder string
	Token  int64
}

// Errors about leases.
var (
	ErrLeaseHeld = errors.New("another process has the lease")
	ErrFenced    = errors.New("another process has taken the lease over")
)

type heldLease struct {
	Lease
	expires int64
	now     int64
}

// runs reports whether the lease has an owner who may work.
func (h heldLease) runs(dead func(holder string) bool) bool {
	runs := h.expires > h.now && h.expires <= h.now+maxLease.Milliseconds()
	return runs && (dead == nil || !dead(h.Holder))
}

func scanLease(r Row) (h heldLease, err error) {
	return h, r.Scan(&h.Holder, &h.Token, &h.expires)
}

// AcquireLease takes a lease that is free, has expired, or whose holder is gone as dead reports. A
// nil dead reports that for no holder. now is our clock, which counts on SQLite only.
func (db *DB) AcquireLease(
	ctx context.Context, name, holder string, now clerk.Time, ttl time.Duration, dead func(holder string) bool,
) (l Lease, err error) {
	err = db.Update(ctx, func(tx *Tx) error {
		held, err := tx.lease(ctx, name, now)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if err == nil && held.runs(dead) {
			return ErrLeaseHeld
		}
		l = Lease{Name: name, Holder: holder, Token: held.Token + 1}
		const text = `INSERT INTO clerk_leases (name, token, holder, expires_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (name) DO UPDATE SET token = excluded.token, holder = excluded.holder, expires_at = excluded.expires_at`
		return tx.exec(ctx, text, name, l.Token, holder, held.now+ttl.Milliseconds())
	})
	return l, err
}

// maxLease is longer than any lease. A lease that seems to last longer was taken before a clock
// jumped back.
const maxLease = 10 * time.Minute

// RenewLease extends a lease. [ErrFenced] means that another process took it over.
func (db *DB) RenewLease(ctx context.Context, l Lease, now clerk.Time, ttl time.Duration) error {
	return db.Update(ctx, func(tx *Tx) error {
		if err := tx.CheckLease(ctx, l); err != nil {
			return err
		}
		at, err := tx.clock(ctx, now)
		if err != nil {
			return err
		}
		return tx.exec(ctx, "UPDATE clerk_leases SET expires_at = $1 WHERE name = $2", at+ttl.Milliseconds(), l.Name)
	})
}

// ReleaseLease lets other processes take the lease at once.
func (db *DB) ReleaseLease(ctx context.Context, l Lease) error {
	return db.Update(ctx, func(tx *Tx) error {
		return tx.exec(ctx, "UPDATE clerk_leases SET expires_at = 0 WHERE name = $1 AND token = $2", l.Name, l.Token)
	})
}

// CheckLease returns [ErrFenced] if another process took the lease over. The head row is locked, so
// no process can take it over before the commit.
func (tx *Tx) CheckLease(ctx context.Context, l Lease) error {
	rows, err := tx.query(ctx, "SELECT token FROM clerk_leases WHERE name = $1", l.Name)
	tokens, err := scanAll(rows, err, scanOne[int64])
	if err != nil {
		return err
	}
	if len(tokens) != 1 || tokens[0] != l.Token {
		return ErrFenced
	}
	return nil
}

func (tx *Tx) lease(ctx context.Context, name string, now clerk.Time) (heldLease, error) {
	at, err := tx.clock(ctx, now)
	if err != nil {
		return heldLease{}, err
	}
	rows, err := tx.query(ctx, "SELECT holder, token, expires_at FROM clerk_leases WHERE name = $1", name)
	held, err := exactlyOne(scanAll(rows, err, scanLease))
	held.now = at
	return held, err
}

const selectClock = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"

// clock returns the database's time on Postgres, which all replicas share, and ours on SQLite.
func (tx *Tx) clock(ctx context.Context, ours clerk.Time) (int64, error) {
	if tx.db.engine == SQLite {
		return int64(ours), nil
	}
	rows, err := tx.query(ctx, selectClock)
	return exactlyOne(scanAll(rows, err, scanOne[int64]))
}

// Clock returns the database's time on Postgres, which all replicas share, and ours on SQLite.
func (db *DB) Clock(ctx context.Context, ours clerk.Time) (clerk.Time, error) {
	if db.engine == SQLite {
		return ours, nil
	}
	n, err := db.number(ctx, selectClock)
	return clerk.Time(n), err
}
