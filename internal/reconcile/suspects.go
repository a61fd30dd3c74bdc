package reconcile

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
)

// Suspects are kept in the database, so that whoever walks next, after a restart or in another process, settles them.

const (
	settleAtOnce = 100 // reads of suspects in one call of Tick
	settleRounds = 5   // of waiting; what is written again and again meanwhile is left to the next walk
)

func (s *session) now() clerk.Time { return clerk.At(s.Now()) }

func (s *session) in(d time.Duration) clerk.Time { return clerk.At(s.Now().Add(d)) }

// write is a transaction under the lease.
func (s *session) write(ctx context.Context, fn func(*store.Tx) error) error {
	return s.DB.Update(ctx, func(tx *store.Tx) error {
		if err := tx.CheckLease(ctx, s.lease); err != nil {
			return err
		}
		return fn(tx)
	})
}

// recall loads the suspects. One that is due later than it can have been put off was put off before the clock was set
// back: its time begins anew.
func (s *session) recall(ctx context.Context) (err error) {
	if s.suspects, err = s.DB.Suspects(ctx, s.now()); err != nil {
		return err
	}
	var drop []store.Key
	for key, x := range s.suspects {
		switch latest := s.in(patience(x)); {
		case x.DueAt > latest:
			x.DueAt = latest
			s.suspects[key] = x
		case x.Reason == store.SuspectRefused && x.DueAt < s.in(-askAgain): // nobody doubts it any more
			drop = append(drop, key)
		}
	}
	if s.dryRun {
		return nil
	}
	return s.acquit(ctx, drop...)
}

// suspect keeps suspects.
func (s *session) suspect(ctx context.Context, list ...store.Suspect) error {
	for _, x := range list {
		s.suspects[x.Key] = x
	}
	if s.dryRun || len(list) == 0 {
		return nil
	}
	return s.write(ctx, func(tx *store.Tx) error { return tx.SaveSuspects(ctx, list...) })
}

// acquit forgets suspects.
func (s *session) acquit(ctx context.Context, keys ...store.Key) error {
	keys = slices.DeleteFunc(keys, func(k store.Key) bool {
		_, suspected := s.suspects[k]
		delete(s.suspects, k)
		return !suspected
	})
	if s.dryRun || len(keys) == 0 {
		return nil
	}
	return s.write(ctx, func(tx *store.Tx) error { return tx.DropSuspects(ctx, keys...) })
}

// hint suspects the rows of a list that it tells older than they are here, if they were not written since it was asked
// for. For rows that are suspected of it already, having seen it once more is no write that would begin it anew.
func (s *session) hint(ctx context.Context, tx *store.Tx, found []ingest.Difference, since int64) error {
	var list []store.Suspect
	for _, d := range found {
		if !d.Older || d.Written > since || !readable(d.Key.Kind) {
			continue
		}
		x, suspected := s.suspects[d.Key]
		switch {
		case !suspected:
			x = store.Suspect{Key: d.Key, Reason: store.SuspectOlder, DueAt: s.now()}
		case x.Reason != store.SuspectOlder || d.Written > x.Since:
			continue
		}
		x.Since = tx.Head.Writes
		list = append(list, x)
	}
	if err := tx.SaveSuspects(ctx, list...); err != nil {
		return err
	}
	for _, x := range list {
		s.suspects[x.Key] = x
	}
	return nil
}

// settle asks again for the suspects that are due, at most so many.
func (s *session) settle(ctx context.Context, limit int) error {
	return s.askAll(ctx, s.due(func(x store.Suspect) bool { return x.Reason != store.SuspectRefused && x.DueAt <= s.now() }), limit)
}

// settleAll asks again for all suspects, and waits for those that want a second answer. What is known to be older at
// Clerk is asked for too, so that the report tells of it.
func (s *session) settleAll(ctx context.Context) error {
	standing := s.due(func(x store.Suspect) bool { return x.Reason == store.SuspectOlder && x.Attempts > 1 })
	if err := s.askAll(ctx, standing, len(standing)); err != nil {
		return err
	}
	for range settleRounds {
		if err := s.settle(ctx, len(s.suspects)); err != nil {
			return err
		}
		waiting := s.due(func(x store.Suspect) bool {
			return x.Reason == store.SuspectGone || x.Reason == store.SuspectOlder && x.Attempts < 2
		})
		if len(waiting) == 0 {
			return nil
		}
		latest := slices.MaxFunc(waiting, func(a, b store.Suspect) int { return int(a.DueAt - b.DueAt) })
		if err := s.Sleep(ctx, max(0, latest.DueAt.Time().Sub(s.Now()))+time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) askAll(ctx context.Context, list []store.Suspect, limit int) error {
	for _, x := range list[:min(len(list), limit)] {
		if _, err := s.ask(ctx, s.of(x.Key.Kind), x.Key); err != nil {
			return err
		}
	}
	return nil
}

// due lists the suspects of kinds that can be read by id of which something holds, the longest due first.
func (s *session) due(holds func(store.Suspect) bool) (list []store.Suspect) {
	for _, x := range s.suspects {
		if readable(x.Key.Kind) && holds(x) {
			list = append(list, x)
		}
	}
	slices.SortFunc(list, func(a, b store.Suspect) int {
		if a.DueAt != b.DueAt {
			return int(a.DueAt - b.DueAt)
		}
		return strings.Compare(string(a.Key.Kind)+a.Key.ID, string(b.Key.Kind)+b.Key.ID)
	})
	return list
}
