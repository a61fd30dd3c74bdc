package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
)

// Clerk lists sessions of one user at a time. A round reads those of the users who were active lately, by id, some in each
// minute; its cursor is kept, and the next one begins a while after it began.
const (
	sessionsAtOnce = 60 // users in one call of Tick
	roundEvery     = 15 * time.Minute
	activeLately   = 7 * 24 * time.Hour // Clerk's default life of a session; what is stored as usable counts however old
)

// someSessions goes on with the round.
func (s *session) someSessions(ctx context.Context) error {
	walks, err := s.DB.Walks(ctx)
	if err != nil || walks[string(clerk.KindUser)].BackfilledAt == 0 {
		return err
	}
	w := walks[string(clerk.KindSession)]
	w.List = string(clerk.KindSession)
	if w.Cursor == "" {
		if age := s.Now().Sub(w.BegunAt.Time()); age >= 0 && age < roundEvery {
			return nil
		}
		w.BegunAt, w.EndedAt, w.Rows, w.Found, w.Repaired, w.Reason = s.now(), 0, 0, 0, 0, ""
	}
	k := s.of(clerk.KindSession)
	r := round{session: s, k: k, known: w.BackfilledAt}
	if w.Cursor, err = r.some(ctx, w.Cursor, sessionsAtOnce); err != nil {
		return err
	}
	var mass *MassDeletion
	if err := r.end(ctx, false); errors.As(err, &mass) { // the rest of the round is none the worse for it
		w.Reason = mass.Error()
		s.Logger.Error("too many sessions are missing at Clerk", "error", err)
	} else if err != nil {
		return err
	}
	w.Rows, w.Found, w.Repaired = w.Rows+int64(k.Rows), w.Found+int64(k.Found), w.Repaired+int64(k.Repaired)
	r.keep(&w)
	return s.write(ctx, func(tx *store.Tx) error { return tx.SaveWalk(ctx, w) })
}

// allSessions is a whole round.
func (s *session) allSessions(ctx context.Context, o Options) error {
	walks, err := s.DB.Walks(ctx)
	if err != nil {
		return err
	}
	w := store.Walk{List: string(clerk.KindSession), BackfilledAt: walks[string(clerk.KindSession)].BackfilledAt, BegunAt: s.now()}
	k := s.of(clerk.KindSession)
	r := round{session: s, k: k, known: w.BackfilledAt}
	for more := true; more; more = w.Cursor != "" {
		if w.Cursor, err = r.some(ctx, w.Cursor, idsAtOnce); err != nil {
			return err
		}
		if o.Progress != nil {
			o.Progress(Progress{Kind: clerk.KindSession, Rows: k.Rows, Total: -1})
		}
	}
	failed := r.end(ctx, o.AllowMassDelete)
	k.Complete = failed == nil
	if failed != nil {
		k.Reason = failed.Error()
	}
	var mass *MassDeletion
	if s.dryRun || failed != nil && !errors.As(failed, &mass) {
		return failed
	}
	w.Rows, w.Found, w.Repaired, w.Reason = int64(k.Rows), int64(k.Found), int64(k.Repaired), k.Reason
	r.keep(&w)
	return errors.Join(failed, s.write(ctx, func(tx *store.Tx) error { return tx.SaveWalk(ctx, w) }))
}

// round is a part of a round.
type round struct {
	*session
	k       *KindReport
	known   clerk.Time // when the first round ended; 0: this is it, and what it brings is no drift
	heard   signs
	usable  int         // sessions stored as usable, of the users who were read
	lacking []store.Key // of those, what Clerk did not list
}

// keep notes the end of a round.
func (r *round) keep(w *store.Walk) {
	if w.Cursor != "" {
		return
	}
	w.EndedAt, w.Complete = r.now(), w.Reason == ""
	if w.Complete {
		w.CompleteAt = w.BegunAt
	}
	if w.BackfilledAt == 0 {
		w.BackfilledAt = w.EndedAt
	}
}

// some reads the sessions of so many users, and answers the last one; "": there are no more.
func (r *round) some(ctx context.Context, after string, limit int) (next string, err error) {
	if r.heard, err = r.signs(ctx, clerk.KindSession); err != nil {
		return after, err
	}
	users, err := r.DB.ActiveUsers(ctx, r.in(-activeLately), r.now(), after, limit)
	if err != nil {
		return after, err
	}
	for _, user := range users {
		if err := r.user(ctx, user); err != nil {
			return after, err
		}
	}
	if len(users) < limit {
		return "", nil
	}
	return users[len(users)-1], nil
}

// user reads the sessions of one.
func (r *round) user(ctx context.Context, user string) error {
	seen := map[string]bool{}
	walked, err := r.API.Walk(ctx, clerkapi.SessionsOf(user), "", func(p clerkapi.Page) error {
		for _, row := range p.Rows {
			seen[row.Get("id").String()] = true
		}
		note := r.note(r.heard, p.Answer)
		page := ingest.Page{Kind: clerk.KindSession, Rows: p.Rows, ObservedAt: p.ObservedAt(), Since: p.Horizon.Since}
		return r.page(ctx, r.k, r.Ingest.PreparePage(page), func(ctx context.Context, tx *store.Tx, found []ingest.Difference) ([]store.Drift, error) {
			return note(ctx, tx, slices.DeleteFunc(slices.Clone(found), func(d ingest.Difference) bool {
				return untold(d, rowOf(p.Rows, d.Key.ID), r.known)
			}))
		})
	})
	r.k.Rows += walked.Rows
	switch {
	case errors.Is(err, clerkapi.ErrNotFound), errors.Is(err, clerkapi.ErrRefused), errors.Is(err, clerkapi.ErrInvalid):
		return nil // the user is gone, or nothing can be learnt
	case err != nil || !walked.Complete:
		return err
	}
	stored, err := r.DB.Sessions(ctx, store.SessionFilter{ClerkUserID: user, Limit: 500})
	for _, x := range stored {
		if !x.Usable() || x.ExpireAt <= r.now() {
			continue // Clerk forgets those that are over
		}
		if r.usable++; !seen[x.ClerkSessionID] {
			r.lacking = append(r.lacking, store.Key{Kind: clerk.KindSession, ID: x.ClerkSessionID})
		}
	}
	return err
}

func rowOf(rows []clerk.Value, id string) clerk.Value {
	if i := slices.IndexFunc(rows, func(v clerk.Value) bool { return v.Get("id").String() == id }); i >= 0 {
		return rows[i]
	}
	return clerk.Value{}
}

// end asks for each session that should be usable and was not listed, unless they are too many.
func (r *round) end(ctx context.Context, allowed bool) error {
	left := func(keys ...store.Key) {
		for _, key := range keys {
			r.count(r.k, []store.Drift{{Kind: key.Kind, ID: key.ID, FoundAt: r.now(), Cause: r.heard.cause(0, 0)}})
		}
	}
	if n := len(r.lacking); n > 10 && tooMany(n, r.usable) && !allowed {
		left(r.lacking...)
		return &MassDeletion{clerk.KindSession, n, r.usable}
	}
	for _, key := range r.lacking {
		answer, err := r.ask(ctx, r.k, key)
		if err != nil {
			return fmt.Errorf("read a session that was not listed: %w", err)
		}
		if answer == refused || answer == unknown && r.dryRun {
			left(key)
		}
	}
	return nil
}

// matters reports whether it is drift that a row is gone: that of a session which was over is none, nor that of a row which
// its user or organization has hidden before.
func (s *session) matters(ctx context.Context, key store.Key) (bool, error) {
	if standing, err := s.DB.StandingOf(ctx, key.Kind, []string{key.ID}); err != nil || len(standing) == 0 {
		return false, err
	}
	if key.Kind != clerk.KindSession {
		return true, nil
	}
	x, err := s.DB.Session(ctx, key.ID)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return x.Usable() && x.ExpireAt > s.now(), err
}
