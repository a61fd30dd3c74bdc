package store

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/clerksync/clerksync/clerk"
)

// Walks prove a mirror only while a process has run it since. This file stores when a process last
// did so (Mirror.Run), and when the last gap ended.

const (
	metaAlive      = "alive_at"    // when a process last reported that it runs, by the database's clock
	metaProvenFrom = "proven_from" // walks that began earlier prove nothing
)

// Runner is a process that runs the mirror.
type Runner struct {
	Holder  string
	AliveAt clerk.Time // its last sign of life, by the database's clock
}

// NoteAlive records that a process is running. now is our clock, which counts on SQLite only.
func (db *DB) NoteAlive(ctx context.Context, holder string, now clerk.Time) error {
	return db.Update(ctx, func(tx *Tx) error { return tx.noteAlive(ctx, holder, now) })
}

func (tx *Tx) noteAlive(ctx context.Context, holder string, now clerk.Time) error {
	at, err := tx.clock(ctx, now)
	if err != nil {
		return err
	}
	const text = `INSERT INTO clerk_runners (holder, alive_at) VALUES ($1, $2)
		ON CONFLICT (holder) DO UPDATE SET alive_at = excluded.alive_at`
	return errors.Join(tx.exec(ctx, text, holder, at), tx.SetMeta(ctx, metaAlive, strconv.FormatInt(at, 10)))
}

// NoteStopped records that a process stopped in order.
func (db *DB) NoteStopped(ctx context.Context, holder string, now clerk.Time) error {
	return db.Update(ctx, func(tx *Tx) error {
		return errors.Join(tx.noteAlive(ctx, holder, now), tx.Forget(ctx, holder))
	})
}

// Forget removes the row of a process.
func (tx *Tx) Forget(ctx context.Context, holder string) error {
	return tx.exec(ctx, "DELETE FROM clerk_runners WHERE holder = $1", holder)
}

// BeginLife records that a process starts to run the mirror. gap decides, from the rows that other
// processes left, which of them are gone and whether no process ran the mirror for a time. If so,
// walks that began earlier prove nothing from now on.
func (db *DB) BeginLife(
	ctx context.Context, holder string, now clerk.Time, gap func(others []Runner, aliveAt, now clerk.Time) (gone []string, found bool),
) (found bool, err error) {
	err = db.Update(ctx, func(tx *Tx) (err error) {
		if found, err = tx.closeGap(ctx, holder, now, gap); err != nil {
			return err
		}
		return tx.noteAlive(ctx, holder, now)
	})
	return found, err
}

// CloseGap is BeginLife for a process that compares everything once and does not run the mirror
// afterwards.
func (db *DB) CloseGap(
	ctx context.Context, now clerk.Time, gap func(runners []Runner, aliveAt, now clerk.Time) (gone []string, found bool),
) error {
	return db.Update(ctx, func(tx *Tx) error {
		_, err := tx.closeGap(ctx, "", now, gap)
		return err
	})
}

// closeGap removes the other processes that are gone, and records the gap if there was one.
func (tx *Tx) closeGap(
	ctx context.Context, holder string, now clerk.Time, gap func([]Runner, clerk.Time, clerk.Time) ([]string, bool),
) (found bool, err error) {
	at, err := tx.clock(ctx, now)
	if err != nil {
		return false, err
	}
	rows, err := tx.query(ctx, selectRunners)
	others, err := scanAll(rows, err, scanRunner)
	if err != nil {
		return false, err
	}
	aliveAt, err := tx.lastLife(ctx)
	if err != nil {
		return false, err
	}
	others = slices.DeleteFunc(others, func(r Runner) bool { return r.Holder == holder })
	gone, found := gap(others, aliveAt, clerk.Time(at))
	copied, err := tx.forgetCopied(ctx)
	if err != nil {
		return false, err
	}
	found = found || copied
	for _, holder := range gone {
		if err := tx.Forget(ctx, holder); err != nil {
			return false, err
		}
	}
	if found {
		err = tx.SetMeta(ctx, metaProvenFrom, strconv.FormatInt(at, 10))
	}
	return found, err
}

const selectRunners = "SELECT holder, alive_at FROM clerk_runners ORDER BY holder"

// Runners returns the processes that run the mirror, and those that ended without stopping in
// order.
func (db *DB) Runners(ctx context.Context) ([]Runner, error) {
	rows, err := db.query(ctx, selectRunners)
	return scanAll(rows, err, scanRunner)
}

// NoteGap records that walks which began before now prove nothing.
func (db *DB) NoteGap(ctx context.Context, now clerk.Time) error {
	return db.Update(ctx, func(tx *Tx) error {
		at, err := tx.clock(ctx, now)
		if err != nil {
			return err
		}
		return tx.SetMeta(ctx, metaProvenFrom, strconv.FormatInt(at, 10))
	})
}

func scanRunner(r Row) (x Runner, err error) { return x, r.Scan(&x.Holder, &x.AliveAt) }

const selectLife = `SELECT
	COALESCE((SELECT CAST(value AS BIGINT) FROM clerk_meta WHERE name = 'alive_at'), 0),
	COALESCE((SELECT max(ended_at) FROM clerk_walks), 0),
	COALESCE((SELECT CAST(value AS BIGINT) FROM clerk_meta WHERE name = 'proven_from'), 0)`

// Life is when a process last ran the mirror, and from when on walks prove anything.
type Life struct {
	AliveAt    clerk.Time // the last sign of life of a process, or the end of a walk; 0: there was none
	ProvenFrom clerk.Time // the end of the last gap; 0: there was none
}

func scanLife(r Row) (l Life, err error) {
	var alive, walked clerk.Time
	err = r.Scan(&alive, &walked, &l.ProvenFrom)
	l.AliveAt = max(alive, walked)
	return l, err
}

// Life returns when a process last ran the mirror.
func (db *DB) Life(ctx context.Context) (Life, error) {
	rows, err := db.query(ctx, selectLife)
	return exactlyOne(scanAll(rows, err, scanLife))
}

func (tx *Tx) lastLife(ctx context.Context) (clerk.Time, error) {
	rows, err := tx.query(ctx, selectLife)
	l, err := exactlyOne(scanAll(rows, err, scanLife))
	return l.AliveAt, err
}
