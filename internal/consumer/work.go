package consumer

import (
	"context"
	"errors"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/wait"
	"github.com/clerksync/clerksync/mirror"
)

const (
	pageSize = 500
	// maxWait is how long to wait for news at a time. Only then a consumer moves past what it does
	// not select.
	maxWait = 500 * time.Millisecond
	// movedPause is longer than a feed trusts its memory. If the database was restored from a copy,
	// the feed has noticed when the consumer reads on.
	movedPause = 250 * time.Millisecond
)

// work handles changes until the context ends or something fails.
func (t *tenure) work(ctx context.Context) error {
	if err := t.load(ctx); err != nil {
		return err
	}
	for {
		err := t.step(ctx)
		if errors.Is(err, store.ErrConsumerMoved) {
			if t.moves++; t.moves > 1 { // what this process reads is not what the database has
				_ = wait.For(ctx, failurePause)
			}
			if wait.For(ctx, movedPause) != nil {
				return context.Cause(ctx)
			}
			err = t.load(ctx) // and forget what was not saved: it is delivered again
		}
		if err != nil {
			return err
		}
	}
}

// load reads the place and what is held back from the database.
func (t *tenure) load(ctx context.Context) error {
	c, err := t.DB.Consumer(ctx, t.name)
	if err != nil {
		return err
	}
	t.note(c)
	t.stored, t.place, t.seq, t.page = c, c.Cursor, c.Seq, mirror.FeedPage{Next: c.Cursor}
	t.forget()
	return t.loadHeld(ctx)
}

// loadHeld reads what is held back, after all of it was stored.
func (t *tenure) loadHeld(ctx context.Context) error {
	list, err := t.DB.HeldChanges(ctx, t.name)
	if err != nil {
		return err
	}
	given, err := t.DB.CountParked(ctx, t.name)
	if err == nil {
		t.held, t.givenUp, t.edits = newHeld(list), given, t.stored.Edits
	}
	return err
}

// step does what is next: a save, a retry, a change, or waiting.
func (t *tenure) step(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	now := t.Now()
	if t.mustLook() || t.saveDue(now) {
		return t.save(ctx)
	}
	if t.stored.Paused {
		return t.pause(ctx)
	}
	due, fresh := t.held.due(now, t.RetryMax), len(t.page.Changes) > 0 && t.held.size < t.MaxHeld
	switch {
	case due != nil && (!t.retried || !fresh):
		t.retried = true
		return t.retry(ctx, due)
	case fresh:
		t.retried = false
		return t.take(ctx)
	case t.held.size >= t.MaxHeld:
		return t.waitFor(ctx, t.patience(now)) // too much is held back to read on
	}
	return t.read(ctx, now)
}

// pause waits until an operator lets the consumer go on.
func (t *tenure) pause(ctx context.Context) error {
	if !t.since.IsZero() {
		return t.save(ctx)
	}
	return t.waitFor(ctx, maxWait)
}

// patience returns how long there is nothing else to do than to wait for news.
func (t *tenure) patience(now time.Time) time.Duration {
	wait := maxWait
	if !t.since.IsZero() {
		wait = min(wait, t.since.Add(t.SaveEvery).Sub(now))
	}
	if e := t.held.next(); e != nil {
		wait = min(wait, e.dueIn(now, t.RetryMax))
	}
	return max(wait, time.Millisecond)
}

func (t *tenure) waitFor(ctx context.Context, d time.Duration) error {
	waiting, stop := t.waiting(ctx)
	defer stop()
	_ = wait.For(waiting, d)
	return nil
}

// query returns the query of the changes after a place.
func (r *runner) query(after mirror.FeedCursor) mirror.FeedQuery {
	return mirror.FeedQuery{After: after, Kinds: r.Kinds, Types: r.Types, Limit: pageSize}
}

// read reads the next page, and waits for it if there is none.
func (t *tenure) read(ctx context.Context, now time.Time) error {
	q := t.query(t.place)
	if q.After == "" {
		if q.Snapshot = t.snapshotKinds(); len(q.Snapshot) == 0 {
			return errNoSnapshot
		}
	}
	q.Wait = t.patience(now)
	waiting, stop := t.waiting(ctx)
	defer stop()
	page, err := t.Feed.Page(waiting, q)
	if gone, ok := errors.AsType[*mirror.CursorGoneError](err); ok {
		return t.gone(ctx, gone)
	}
	if err != nil {
		if waiting.Err() != nil {
			return nil // the step after this one knows why
		}
		return err
	}
	t.page = page
	if len(page.Changes) == 0 {
		t.moveTo(page.Next)
	}
	return nil
}

// snapshotKinds returns the kinds of a snapshot that begins.
func (r *runner) snapshotKinds() []clerk.Kind {
	if len(r.Snapshot) > 0 {
		return r.Snapshot
	}
	return r.GoneSnapshot
}

// moveTo notes a new place.
func (t *tenure) moveTo(c mirror.FeedCursor) {
	if c == t.place {
		return
	}
	t.place = c
	if seq, _, err := c.Split(); err == nil {
		t.seq = seq
	}
	if t.since.IsZero() {
		t.since = t.Now()
	}
}

// gone handles a place after which the feed cannot be continued. If the database has another place
// than the worker, that one counts.
func (t *tenure) gone(ctx context.Context, gone *mirror.CursorGoneError) error {
	c, err := t.DB.Consumer(ctx, t.name)
	if err != nil {
		return err
	}
	if c.Cursor != t.place {
		return store.ErrConsumerMoved
	}
	if !t.since.IsZero() { // retries
		if err := t.save(ctx); err != nil {
			return err
		}
	}
	now := clerk.TimeOf(t.Now())
	if !t.GoneSkip && len(t.GoneSnapshot) == 0 {
		if err := t.DB.StopConsumer(ctx, t.lease, t.Lease, &c, gone.Reason, now); err != nil {
			return fencedIsLost(err)
		}
		return gone
	}
	t.Logger.Error("a consumer cannot be continued after its cursor: the changes between are not delivered",
		"consumer", t.name, "cursor", string(gone.Cursor), "reason", gone.Reason, "with_snapshot", len(t.GoneSnapshot) > 0)
	if err := t.DB.RestartConsumer(ctx, t.lease, &c, len(t.GoneSnapshot) > 0, now); err != nil {
		return fencedIsLost(err)
	}
	return store.ErrConsumerMoved
}

func fencedIsLost(err error) error {
	if errors.Is(err, store.ErrFenced) {
		return errLost
	}
	return err
}
