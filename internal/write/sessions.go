package write

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/wait"
	"github.com/clerksync/clerksync/mirror"
)

// RevokeSession ends a session. A session that has ended at Clerk already is stored as Clerk has
// it, which is no error. Without a secret key the status is overridden here.
func (w *Writer) RevokeSession(ctx context.Context, sessionID string, by mirror.By, p clerkapi.Priority) (mirror.Written, error) {
	if err := w.Check(); err != nil {
		return mirror.Written{}, err
	}
	session, err := w.DB.Session(ctx, clerk.Text(sessionID).String())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return mirror.Written{}, err
	}
	session.ClerkSessionID = clerk.Text(sessionID).String()
	written, _, err := w.revoke(ctx, &session, by, p, time.Time{})
	return written, err
}

// revoke ends a session. Where the budget is used up it waits until a time. ended reports that the
// session had not ended at Clerk before.
func (w *Writer) revoke(
	ctx context.Context, s *mirror.Session, by mirror.By, p clerkapi.Priority, until time.Time,
) (written mirror.Written, ended bool, err error) {
	c := &change{
		write: clerkapi.RevokeSession(s.ClerkSessionID), key: row.Key{Kind: clerk.KindSession, ID: s.ClerkSessionID},
		entry: by.Entry(mirror.AuditRevoked), ends: []mirror.OverrideField{mirror.OverrideStatus},
	}
	c.entry.ClerkUserID, c.entry.ClerkSessionID = s.ClerkUserID, s.ClerkSessionID
	c.entry.Was, c.entry.Became = string(s.Status), string(mirror.SessionRevoked)
	if w.API == nil {
		written, err = w.override(ctx, c, mirror.OverrideStatus, string(mirror.SessionRevoked), by)
		return written, s.Usable(), err
	}
	reading, err := w.sendUntil(ctx, c, p, until)
	if err != nil {
		over, known := w.hasEnded(ctx, c, err, p)
		if !known {
			return written, false, w.failed(ctx, c, err)
		}
		reading = over
	}
	c.entry.Became = reading.Body.Get("status").String()
	c.entry.ClerkUserID = reading.Body.Get("user_id").String()
	written, failed := w.apply(ctx, c, reading)
	return written, err == nil, failed
}

// hasEnded reports whether a session whose end Clerk refuses has ended already, and returns it.
func (w *Writer) hasEnded(ctx context.Context, c *change, cause error, p clerkapi.Priority) (clerkapi.Reading, bool) {
	if !errors.Is(cause, clerkapi.ErrRefused) || isUnknown(publicError(cause)) {
		return clerkapi.Reading{}, false
	}
	reading, err := w.API.Object(ctx, clerkapi.Ref{Kind: clerk.KindSession, ID: c.key.ID}, p)
	status := mirror.Session{Status: mirror.SessionStatus(reading.Body.Get("status").String())}
	return reading, err == nil && status.Status != "" && !status.Usable()
}

// patience is how long ending all sessions of a user may wait for the budget.
const patience = 30 * time.Second

// sendUntil is send that waits where the budget is used up, until a time.
func (w *Writer) sendUntil(ctx context.Context, c *change, p clerkapi.Priority, until time.Time) (clerkapi.Reading, error) {
	for {
		reading, err := w.send(ctx, c, p)
		failed, ok := errors.AsType[*clerkapi.Error](err)
		if !ok || !errors.Is(failed, clerkapi.ErrBudget) || failed.Unknown || failed.RetryAfter <= 0 {
			return reading, err
		}
		if time.Now().Add(failed.RetryAfter).After(until) || wait.For(ctx, failed.RetryAfter) != nil {
			return reading, err
		}
	}
}

// RevokeSessions ends all sessions of a user, and returns how many had not ended before. Where one
// of them cannot be ended it goes on, and returns the first error. It stops where Clerk cannot be
// reached.
func (w *Writer) RevokeSessions(ctx context.Context, userID string, by mirror.By, p clerkapi.Priority) (n int, written mirror.Written, err error) {
	if err := w.Check(); err != nil {
		return 0, written, err
	}
	all := &revocation{
		Writer: w, by: by, priority: p, until: time.Now().Add(patience), user: clerk.Text(userID).String(), seen: map[string]bool{},
	}
	err = all.run(ctx)
	return all.n, all.written, cmp.Or(all.first, err)
}

// revocation ends the sessions of a user.
type revocation struct {
	*Writer

	by       mirror.By
	priority clerkapi.Priority
	until    time.Time // where the budget is used up
	user     string
	seen     map[string]bool
	n        int
	written  mirror.Written
	first    error // of a session that could not be ended
}

// rounds is how often the sessions are listed at most: more than once for a user with very many, or
// who signs in meanwhile.
const rounds = 20

func (r *revocation) run(ctx context.Context) error {
	if r.API != nil {
		for range rounds {
			ids, more, err := r.API.ActiveSessions(ctx, r.user, r.priority)
			if err != nil {
				c, _, _ := r.changeOf(ctx, r.user, r.by.Entry(mirror.AuditRevoked))
				return r.failed(ctx, c, err)
			}
			fresh, err := r.revokeThese(ctx, ids)
			if err != nil {
				return err
			}
			if !more || !fresh {
				break
			}
		}
	}
	return r.revokeStored(ctx)
}

// revokeThese ends sessions that Clerk has listed, and reports whether there were any that it had
// not listed before.
func (r *revocation) revokeThese(ctx context.Context, ids []string) (fresh bool, err error) {
	for _, id := range ids {
		if r.seen[id] {
			continue
		}
		fresh = true
		session, err := r.DB.Session(ctx, id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return fresh, err
		}
		session.ClerkSessionID, session.ClerkUserID = id, r.user
		if err := r.revokeOne(ctx, &session); err != nil {
			return fresh, err
		}
	}
	return fresh, nil
}

// revokeOne ends a session. The error is one that other sessions would have, too.
func (r *revocation) revokeOne(ctx context.Context, s *mirror.Session) error {
	r.seen[s.ClerkSessionID] = true
	written, ended, err := r.revoke(ctx, s, r.by, r.priority, r.until)
	switch {
	case errors.Is(err, mirror.ErrNotFound): // Clerk has forgotten it
		return nil
	case errors.Is(err, mirror.ErrClerkRefused):
		r.first = cmp.Or(r.first, err)
		return nil
	case err != nil:
		return err
	}
	if r.written = written; ended {
		r.n++
	}
	return nil
}

// revokeStored ends the sessions that are stored as usable and that Clerk did not list: those that
// are pending, and without a secret key all of them.
func (r *revocation) revokeStored(ctx context.Context) error {
	filter := mirror.SessionFilter{ClerkUserID: r.user, Limit: 500}
	for {
		page, err := r.DB.Sessions(ctx, filter)
		if err != nil {
			return err
		}
		for i := range page.Items {
			if s := &page.Items[i]; s.Usable() && !r.seen[s.ClerkSessionID] {
				if err := r.revokeOne(ctx, s); err != nil {
					return err
				}
			}
		}
		if filter.After = page.Next; page.Next == "" {
			return r.finish(ctx)
		}
	}
}

// finish says what became of a user without sessions.
func (r *revocation) finish(ctx context.Context) (err error) {
	if r.first != nil || r.written.Where != "" {
		return r.first
	}
	if _, err := r.DB.UserByClerkID(ctx, r.user); err != nil {
		return err
	}
	entry := r.by.Entry(mirror.AuditRevoked)
	entry.ClerkUserID, entry.Became = r.user, "there were no sessions"
	if err := r.Ingest.Record(ctx, entry); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	r.written.Where = mirror.AtClerk
	if r.API == nil {
		r.written.Where = mirror.Here
	}
	_, r.written.Cursor, err = r.DB.FeedEnds(ctx)
	return err
}
