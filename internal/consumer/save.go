package consumer

import (
	"context"
	"errors"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/wait"
)

// saveDue reports whether progress must be saved before anything else is done.
func (t *tenure) saveDue(now time.Time) bool {
	return !t.since.IsZero() && (t.unsaved >= t.SaveChanges || now.Sub(t.since) >= t.SaveEvery)
}

// forget forgets progress that is saved, or that is to be made again.
func (t *tenure) forget() {
	t.unsaved, t.since, t.parked, t.tried, t.done, t.lastErr, t.failedAt = 0, time.Time{}, nil, nil, nil, "", 0
}

// save stores progress. While the database does not work, nothing else is done, so that what a
// crash repeats stays bounded.
func (t *tenure) save(ctx context.Context) error {
	for pause := time.Duration(0); ; {
		err := t.saveOnce(ctx)
		if err == nil || errors.Is(err, errLost) || errors.Is(err, store.ErrConsumerMoved) || isFinal(err) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		t.reportOutage(err)
		if pause = nextPause(pause); wait.For(ctx, pause) != nil {
			return context.Cause(ctx)
		}
		if !t.ours(t.Now()) {
			return errLost
		}
	}
}

func (t *tenure) saveOnce(ctx context.Context) error {
	began := t.Now()
	p := t.progress()
	c, err := t.DB.SaveConsumer(ctx, t.lease, t.Lease, &p, clerk.TimeOf(began))
	if err != nil {
		return fencedIsLost(err)
	}
	t.extendedAt(began, t.Lease)
	t.stored = c
	t.note(c)
	t.saved()
	if c.Edits == t.edits {
		return nil
	}
	return t.loadHeld(ctx) // all that is held back was just stored, so that nothing is lost
}

// progress returns what is to be stored.
func (t *tenure) progress() store.ConsumerProgress {
	p := store.ConsumerProgress{
		Name: t.name, From: t.stored.Cursor, To: t.place, Seq: t.seq, Done: t.done, Error: t.lastErr, ErrorAt: t.failedAt,
	}
	for _, c := range t.held.chains {
		for _, e := range c.items {
			if !e.stored {
				p.Added = append(p.Added, e.HeldChange)
			}
		}
	}
	for _, e := range t.parked {
		if e.stored {
			p.Changed = append(p.Changed, e.HeldChange)
		} else {
			p.Added = append(p.Added, e.HeldChange)
		}
	}
	for _, e := range t.tried {
		if !e.Parked && e.changed {
			p.Changed = append(p.Changed, e.HeldChange)
		}
	}
	return p
}

// saved notes that the progress is stored.
func (t *tenure) saved() {
	for _, c := range t.held.chains {
		for _, e := range c.items {
			e.stored, e.changed = true, false
		}
	}
	t.forget()
	t.moves = 0
}
