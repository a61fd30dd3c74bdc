package reconcile

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
)

// Suspects are kept in the database, so that whoever walks next, after a restart or in another process, settles them.

const (
	settleAtOnce = 100  // reads of suspects in one call of Tick
	settleRounds = 5    // of waiting; what is written again and again meanwhile is left to the next walk
	maxOlder     = 1000 // rows that are asked for because a list told them older; enough to tell that Clerk was set back
)

func (s *session) now() clerk.Time { return clerk.TimeOf(s.Now()) }

func (s *session) in(d time.Duration) clerk.Time { return clerk.TimeOf(s.Now().Add(d)) }

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
	var anew []store.Suspect
	for key, x := range s.suspects {
		switch latest := s.in(patience(x)); {
		case x.DueAt > latest:
			x.DueAt = latest
			anew = append(anew, x)
		case isRefused(x) && x.DueAt < s.in(-askAgain): // it is in doubt no longer
			drop = append(drop, key)
		}
	}
	if err := s.suspect(ctx, anew...); err != nil || s.dryRun {
		return err
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

// hint suspects the rows that a list shows older than they are here, or that are permanently deleted here, if they were
// not written since the list was asked for. Where a row is a suspect already, seeing the same once more is no write that
// would start it again.
func (s *session) hint(ctx context.Context, tx *store.Tx, found []ingest.Difference, since int64) error {
	if !slices.ContainsFunc(found, stays) {
		return nil
	}
	var list []store.Suspect
	known := len(s.chosen(isContradicted))
	for _, d := range found {
		if !stays(d) || d.Written > since || !Readable(d.Key.Kind) && !d.Conflict {
			continue
		}
		reason := suspicionOf(d)
		x, suspected := s.suspects[d.Key]
		switch {
		case !suspected && known >= maxOlder:
			continue
		case !suspected || x.Reason != reason && d.Conflict: // whatever else was thought of it, it is deleted since
			known++
			x = store.Suspect{Key: d.Key, Reason: reason, DueAt: s.now()}
		case x.Reason != reason || d.Written > x.Since:
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
	list := s.chosen(s.isDue)
	return s.askAll(ctx, list[:min(len(list), limit)])
}

// settleAll asks again for all suspects of some kinds (nil: of all), and waits for those that want a second answer. What
// is known to be older at Clerk is asked for too, so that the report tells of it.
func (s *session) settleAll(ctx context.Context, kinds []clerk.Kind, progress func(Progress)) error {
	of := func(holds func(store.Suspect) bool) []store.Suspect {
		return s.chosen(func(x store.Suspect) bool { return (kinds == nil || slices.Contains(kinds, x.Key.Kind)) && holds(x) })
	}
	known := of(func(x store.Suspect) bool { return isContradicted(x) && x.Attempts > 1 })
	if err := s.askAll(ctx, known); err != nil {
		return err
	}
	for round := 1; ; round++ {
		if err := s.askAll(ctx, of(s.isDue)); err != nil {
			return err
		}
		waiting := of(func(x store.Suspect) bool {
			return x.Reason == store.SuspectGone || isContradicted(x) && x.Attempts < 2
		})
		if len(waiting) == 0 || round == settleRounds {
			s.unsettled(waiting)
			return nil
		}
		due := waiting[len(waiting)-1].DueAt.Time()
		if progress != nil {
			progress(Progress{Rows: len(waiting), Total: -1, AskedAgain: due})
		}
		if err := s.Sleep(ctx, max(0, due.Sub(s.Now()))+time.Millisecond); err != nil {
			return err
		}
	}
}

// unsettled reports what has to wait for the next walk.
func (s *session) unsettled(list []store.Suspect) {
	for _, x := range list {
		s.count(s.of(x.Key.Kind), []store.Drift{{Kind: x.Key.Kind, ID: x.Key.ID, FoundAt: s.now(), Cause: CauseUnknown}})
	}
}

// isDue is true for what is to be asked again now. What Clerk refused to tell is asked while it is in the verify queue.
func (s *session) isDue(x store.Suspect) bool {
	return !isRefused(x) && x.DueAt <= s.now()
}

// isContradicted is true for what Clerk has otherwise than it is stored, and what stays as it is until a person decides.
func isContradicted(x store.Suspect) bool {
	return x.Reason == store.SuspectOlder || x.Reason == store.SuspectConflict
}

func isRefused(x store.Suspect) bool {
	return x.Reason == store.SuspectRefused || x.Reason == store.SuspectUnreadable
}

func (s *session) askAll(ctx context.Context, list []store.Suspect) error {
	for _, x := range list {
		if _, err := s.ask(ctx, s.of(x.Key.Kind), x.Key); err != nil {
			return err
		}
	}
	return nil
}

// chosen lists the suspects of kinds that can be read by id of which something holds, the longest due first.
func (s *session) chosen(holds func(store.Suspect) bool) (list []store.Suspect) {
	for _, x := range s.suspects {
		if Readable(x.Key.Kind) && holds(x) {
			list = append(list, x)
		}
	}
	slices.SortFunc(list, func(a, b store.Suspect) int {
		return cmp.Or(cmp.Compare(a.DueAt, b.DueAt), cmp.Compare(a.Key.Kind, b.Key.Kind), cmp.Compare(a.Key.ID, b.Key.ID))
	})
	return list
}

// shown reports whether a list of this walk, or what was read since it began, has an object. The row is as it was stored
// before it was asked for.
func (s *session) shown(key store.Key, row store.Sight) bool {
	began, walked := s.listed[key.Kind]
	return walked && row.ReadAfter >= began
}
