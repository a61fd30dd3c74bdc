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
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Clerk lists sessions for one user at a time. A session pass reads those of the recently active
// users, ordered by id, some of them each minute. Its cursor is stored.
const (
	usersPerTick   = 60                 // users in one call of Tick
	passEvery      = 15 * time.Minute   // from the start of one pass to that of the next
	recentlyActive = 7 * 24 * time.Hour // Clerk's default life of a session; users with a usable session count however old it is
)

// someSessions continues the session pass.
func (r *run) someSessions(ctx context.Context) error {
	walks, err := r.DB.Walks(ctx)
	if err != nil || walks[string(clerk.KindUser)].BackfilledAt == 0 {
		return err
	}
	w := walks[string(clerk.KindSession)]
	w.List = string(clerk.KindSession)
	if w.Cursor == "" {
		if age := r.Now().Sub(w.BegunAt.Time()); age >= 0 && age < passEvery {
			return nil
		}
		w.BegunAt, w.EndedAt, w.Rows, w.Found, w.Repaired, w.Reason = r.now(), 0, 0, 0, 0, ""
	}
	k := r.kindReport(clerk.KindSession)
	pass := sessionPass{run: r, report: k, firstPassEnded: w.BackfilledAt}
	if w.Cursor, err = pass.readUsers(ctx, w.Cursor, usersPerTick); err != nil {
		return err
	}
	var mass *mirror.MassDeletionError
	if err := pass.judgeMissing(ctx, false); errors.As(err, &mass) { // the rest of the pass goes on
		w.Reason = mass.Error()
		r.Logger.Error("too many sessions are missing at Clerk", "error", err)
	} else if err != nil {
		return err
	}
	w.Rows, w.Found, w.Repaired = w.Rows+int64(k.Rows), w.Found+int64(k.Found), w.Repaired+int64(k.Repaired)
	return pass.save(ctx, w)
}

// walkSessions does a whole session pass.
func (r *run) walkSessions(ctx context.Context, o mirror.ReconcileOptions) error {
	walks, err := r.DB.Walks(ctx)
	if err != nil {
		return err
	}
	w := store.Walk{List: string(clerk.KindSession), BackfilledAt: walks[string(clerk.KindSession)].BackfilledAt, BegunAt: r.now()}
	k := r.kindReport(clerk.KindSession)
	pass := sessionPass{run: r, report: k, firstPassEnded: w.BackfilledAt}
	for more := true; more; more = w.Cursor != "" {
		if w.Cursor, err = pass.readUsers(ctx, w.Cursor, idsAtOnce); err != nil {
			return err
		}
		if o.Progress != nil {
			o.Progress(mirror.SyncProgress{Kind: clerk.KindSession, Rows: k.Rows, Total: -1})
		}
	}
	failed := pass.judgeMissing(ctx, o.AllowMassDelete)
	k.Complete = failed == nil
	if failed != nil {
		k.Reason = failed.Error()
	}
	var mass *mirror.MassDeletionError
	if r.dryRun || failed != nil && !errors.As(failed, &mass) {
		return failed
	}
	w.Rows, w.Found, w.Repaired, w.Reason = int64(k.Rows), int64(k.Found), int64(k.Repaired), k.Reason
	return errors.Join(failed, pass.save(ctx, w))
}

// sessionPass is a session pass, or the part of it that one call of Tick does.
type sessionPass struct {
	*run
	report         *mirror.KindReport
	firstPassEnded clerk.Time // 0 during the first pass, whose sessions are not drift
	evidence       eventEvidence
	usable         int       // stored usable sessions of the users that were read
	missing        []row.Key // those of them that Clerk did not list
}

// save stores the pass. Without a cursor it has ended.
func (p *sessionPass) save(ctx context.Context, w store.Walk) error {
	if w.Cursor == "" {
		w.EndedAt, w.Complete = p.now(), w.Reason == ""
		if w.Complete {
			w.CompleteAt = w.BegunAt
		}
		if w.BackfilledAt == 0 {
			w.BackfilledAt = w.EndedAt
		}
	}
	return p.write(ctx, func(tx *store.Tx) error { return tx.SaveWalk(ctx, w) })
}

// readUsers reads the sessions of up to limit users whose ids are greater than after. It returns
// the last id, or "" if there are no more users.
func (p *sessionPass) readUsers(ctx context.Context, after string, limit int) (next string, err error) {
	if p.evidence, err = p.run.evidence(ctx, clerk.KindSession); err != nil {
		return after, err
	}
	users, err := p.DB.ActiveUsers(ctx, p.in(-recentlyActive), p.now(), after, limit)
	if err != nil {
		return after, err
	}
	for _, user := range users {
		if err := p.readUser(ctx, user); err != nil {
			return after, err
		}
	}
	if len(users) < limit {
		return "", nil
	}
	return users[len(users)-1], nil
}

// readUser reads the sessions of one user.
func (p *sessionPass) readUser(ctx context.Context, user string) error {
	seen := map[string]bool{}
	walked, err := p.API.Walk(ctx, clerkapi.SessionsOf(user), "", func(page clerkapi.Page) error {
		for _, row := range page.Rows {
			seen[row.Get("id").String()] = true
		}
		return p.writePage(ctx, page)
	})
	p.report.Rows += walked.Rows
	switch {
	case errors.Is(err, clerkapi.ErrNotFound), errors.Is(err, clerkapi.ErrRefused), errors.Is(err, clerkapi.ErrInvalid):
		return nil // the user is gone, or nothing can be learned
	case err != nil || !walked.Complete:
		return err
	}
	stored, err := p.DB.Sessions(ctx, mirror.SessionFilter{ClerkUserID: user, Limit: 500})
	for _, x := range stored.Items {
		if !x.Usable() || !x.ExpireAt.After(p.Now()) {
			continue // Clerk forgets those that are over
		}
		if p.usable++; !seen[x.ClerkSessionID] {
			p.missing = append(p.missing, row.Key{Kind: clerk.KindSession, ID: x.ClerkSessionID})
		}
	}
	return err
}

// writePage applies a page of sessions. Silent changes are not drift.
func (p *sessionPass) writePage(ctx context.Context, page clerkapi.Page) error {
	record := p.recordList(p.evidence, page.Answer)
	prepared := p.Ingest.PreparePage(ingest.Page{
		Kind: clerk.KindSession, Rows: page.Rows, ObservedAt: page.ObservedAt(), Since: page.Fence.Since,
	})
	return p.applyPage(ctx, p.report, prepared, func(ctx context.Context, tx *store.Tx, differences []ingest.Difference) ([]mirror.Drift, error) {
		return record(ctx, tx, slices.DeleteFunc(slices.Clone(differences), func(d ingest.Difference) bool {
			return isSilentChange(d, rowByID(page.Rows, d.Key.ID), p.firstPassEnded)
		}))
	}, nil)
}

func rowByID(rows []clerk.Value, id string) clerk.Value {
	if i := slices.IndexFunc(rows, func(v clerk.Value) bool { return v.Get("id").String() == id }); i >= 0 {
		return rows[i]
	}
	return clerk.Value{}
}

// judgeMissing reads by id each session that should be usable and was not listed, unless they are
// too many.
func (p *sessionPass) judgeMissing(ctx context.Context, allowMass bool) error {
	cause := p.evidence.cause(0, 0)
	if n := len(p.missing); n > 10 && isMassDeletion(n, p.usable) && !allowMass {
		p.countUnrepaired(p.report, cause, p.missing...)
		return &mirror.MassDeletionError{Kind: clerk.KindSession, Missing: n, Rows: p.usable}
	}
	for _, key := range p.missing {
		result, err := p.readByID(ctx, p.report, key)
		if err != nil {
			return fmt.Errorf("read a session that was not listed: %w", err)
		}
		if result == unanswered || result == notFound && p.dryRun {
			p.countUnrepaired(p.report, cause, key)
		}
	}
	return nil
}
