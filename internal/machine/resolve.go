package machine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/store"
)

var errBudget = errors.New("too many tokens that were never seen")

const (
	// trustIDs is for how long a token may be asked about by its id alone, which Clerk is not paid
	// for. A key whose secret has stopped working, while the key has not, is found then.
	trustIDs = time.Hour
	// maxListed is how many valid tokens a machine may have at Clerk for its list to be read, which
	// is five pages. The tokens of other machines are verified.
	maxListed = 500
	// askAgain is when Clerk is asked again about a known token after an attempt that failed.
	askAgain = 5 * time.Second
)

// resolve decides about a token that is not fresh in memory.
func (v *Verifier) resolve(ctx context.Context, key digest, token auth.OpaqueToken) (*auth.Claims, error) {
	now := v.config.Now()
	e := v.held(key)
	if e == nil {
		if wait := v.addresses.wait(token.Address, now); wait > 0 { // the database need not be asked either
			return nil, v.overBudget(&v.Stats.OverAddress, wait)
		}
	}
	if e == nil || !v.fresh(e, now) {
		stored, err := v.load(ctx, key, token.Kind)
		switch {
		case err != nil && e == nil:
			return nil, v.unavailable(0, fmt.Errorf("look the token up: %w", err))
		case stored != nil && (e == nil || stored.checked.After(e.checked)):
			if e = stored; !v.keep(key, e) {
				return nil, refuse(auth.ReasonRevoked, nil)
			}
		}
	}
	switch {
	case e == nil:
		return v.verifyUnknown(ctx, key, token)
	case v.fresh(e, now) && !v.mayRefresh(e, now):
		v.Stats.Loaded.Add(1)
		return e.claims, nil
	}
	return v.verifyKnown(ctx, key, e, token)
}

// held returns a copy of the entry of a token, or nil.
func (v *Verifier) held(key digest) *entry {
	v.mu.Lock()
	defer v.mu.Unlock()
	e, found := v.entries.get(key)
	if !found {
		return nil
	}
	c := *e
	return &c
}

// mayRefresh reports whether an entry that still counts is old enough to ask Clerk.
func (v *Verifier) mayRefresh(e *entry, now time.Time) bool {
	return now.Sub(e.checked) >= time.Duration(refreshAt*float64(v.config.TTL)) && !now.Before(e.again)
}

// keep puts an entry into memory, and reports whether it did: a token that was revoked here
// meanwhile is forgotten instead.
func (v *Verifier) keep(key digest, e *entry) bool {
	r := v.config.Revocations
	r.mu.RLock() // so that a revocation is known now, or finds the entry
	defer r.mu.RUnlock()
	if r.covers(e.claims) {
		v.drop(key, auth.ReasonRevoked)
		v.saver.remove(key)
		return false
	}
	kept := *e
	v.mu.Lock()
	defer v.mu.Unlock()
	if old, found := v.entries.get(key); found {
		kept.looking = old.looking
	}
	v.entries.put(key, &kept)
	v.refused.remove(key)
	return true
}

// load returns what the database has of a token, or nil.
func (v *Verifier) load(ctx context.Context, key digest, kind auth.Kind) (*entry, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	stored, err := v.config.DB.MachineToken(ctx, key.String())
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return v.entryOf(&stored, kind), nil
}

func (v *Verifier) overBudget(count *counter, wait time.Duration) error {
	count.Add(1)
	return v.unavailable(wait, errBudget)
}

// verifyUnknown asks Clerk about a token that was never seen, within the budgets.
func (v *Verifier) verifyUnknown(ctx context.Context, key digest, token auth.OpaqueToken) (*auth.Claims, error) {
	now := v.config.Now()
	if wait := v.addresses.charge(token.Address, now); wait > 0 { // also during a pause: the database was asked
		return nil, v.overBudget(&v.Stats.OverAddress, wait)
	}
	if wait := v.paused(token.Kind, now); wait > 0 {
		return nil, v.unavailable(wait, errPaused)
	}
	if wait := v.calls.charge(now); wait > 0 {
		return nil, v.overBudget(&v.Stats.OverCalls, wait)
	}
	claims, err := v.verify(ctx, key, token, false)
	if failed := unanswered(err); failed != nil {
		if failed.Attempts == 0 {
			v.calls.giveBack()
		}
		if errors.Is(failed, clerkapi.ErrBudget) && failed.Attempts == 0 {
			return nil, v.overBudget(&v.Stats.OverCalls, failed.RetryAfter)
		}
		return nil, v.unavailable(failed.RetryAfter, err)
	}
	return claims, err
}

// unanswered returns the error of a question that Clerk did not answer, or nil if it did: a refusal
// has Clerk's answer as its cause.
func unanswered(err error) *clerkapi.Error {
	if _, refused := errors.AsType[*auth.Error](err); refused {
		return nil
	}
	failed, _ := errors.AsType[*clerkapi.Error](err)
	return failed
}

// verifyKnown asks Clerk again about a token that Clerk has accepted before. While Clerk cannot be
// asked, the last answer counts a while longer.
func (v *Verifier) verifyKnown(ctx context.Context, key digest, e *entry, token auth.OpaqueToken) (*auth.Claims, error) {
	now := v.config.Now()
	failed := errPaused
	wait := max(e.again.Sub(now), 0)
	if wait == 0 {
		claims, err := v.checkAgain(ctx, key, e, token)
		without := unanswered(err)
		if without == nil {
			return claims, err
		}
		failed, wait = err, max(askAgain, without.RetryAfter)
		v.postpone(key, now.Add(wait))
	}
	if !counts(e, now, v.config.TTL+v.config.MaxStale) {
		return nil, v.unavailable(wait, failed)
	}
	if !v.fresh(e, now) {
		v.Stats.Stale.Add(1)
		_ = v.unavailable(wait, failed)
	}
	return e.claims, nil
}

// postpone notes when to ask Clerk again about a token.
func (v *Verifier) postpone(key digest, until time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e, found := v.entries.get(key); found {
		e.again = until
	}
}
