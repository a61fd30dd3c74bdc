package reconcile

import (
	"context"
	"errors"
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
)

// answer is what came of a read by id.
type answer uint8

const (
	told    answer = iota // Clerk told the object
	unknown               // Clerk does not know it
	refused               // nothing was learnt
)

// ask reads one object. What is found is applied. What Clerk does not know, or tells older than it is here, is a suspect,
// until a second answer confirms it.
func (s *session) ask(ctx context.Context, k *KindReport, key store.Key) (answer, error) {
	row, err := s.DB.Sight(ctx, key)
	exists := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return refused, err
	}
	if row.Exposed() {
		return told, s.hideAgain(ctx, k, key)
	}
	if row.Hard && s.suspects[key].Reason != store.SuspectConflict { // nothing that Clerk says can change that
		return told, s.close(ctx, key, row.Written)
	}
	reading, err := s.API.Object(ctx, clerkapi.Ref{
		Kind: key.Kind, ID: key.ID, UserID: row.UserID, OrganizationID: row.OrganizationID,
	}, clerkapi.Background)
	unanswered := s.unanswered
	s.unanswered = 0
	switch {
	case err == nil:
		return told, s.found(ctx, k, key, reading)
	case errors.Is(err, clerkapi.ErrNotFound):
		return unknown, s.absent(ctx, k, key, row, exists, reading)
	case errors.Is(err, clerkapi.ErrNoParent), errors.Is(err, clerkapi.ErrInvalid), errors.Is(err, clerkapi.ErrRefused):
		return refused, s.unread(ctx, k, key, err)
	case errors.Is(err, clerkapi.ErrUnavailable) && unanswered < maxUnanswered: // it may be this one object
		s.unanswered = unanswered + 1
		return refused, s.unread(ctx, k, key, err)
	}
	return refused, err
}

// maxUnanswered is how many reads in a row may fail before it is Clerk that fails, and not an object.
const maxUnanswered = 2

// found applies what was read, and judges it where it is older than what is stored.
func (s *session) found(ctx context.Context, k *KindReport, key store.Key, reading clerkapi.Reading) error {
	signs, err := s.signs(ctx, key.Kind)
	if err != nil {
		return err
	}
	before, suspected := s.suspects[key]
	var next store.Suspect
	var contradicted ingest.Difference
	var proven bool
	r := ingest.Reading{Key: key, Body: reading.Body, ObservedAt: reading.ObservedAt(), ByID: true, Since: reading.Horizon.Since}
	err = s.apply(ctx, k, r, func(ctx context.Context, tx *store.Tx, found []ingest.Difference) ([]store.Drift, error) {
		drift := s.drift(found, signs, reading.Answer)
		if s.dryRun {
			return drift, nil
		}
		next, proven = store.Suspect{}, false
		if i := slices.IndexFunc(found, stays); i >= 0 {
			contradicted = found[i]
			next, proven = older(before, found[i], reading.Horizon.Since, tx.Head.Writes, s.now())
			if proven && !slices.Contains(s.accept, key.ID) {
				drift = append(drift, s.contradiction(found[i], false))
			}
		}
		switch {
		case next.Reason != "":
			return drift, tx.SaveSuspects(ctx, next)
		case suspected:
			return drift, tx.DropSuspects(ctx, key)
		}
		return drift, nil
	})
	if err != nil {
		return err
	}
	if delete(s.suspects, key); next.Reason != "" {
		s.suspects[key] = next
	}
	if proven && slices.Contains(s.accept, key.ID) {
		return s.setBack(ctx, k, r, contradicted, next.Since)
	}
	return nil
}

// setBack makes a row what was read, though it is older, or deleted here: a person said so.
func (s *session) setBack(ctx context.Context, k *KindReport, r ingest.Reading, contradicted ingest.Difference, since int64) error {
	r.Accept, r.Unwritten, r.Since = true, true, since
	return s.apply(ctx, k, r, func(ctx context.Context, tx *store.Tx, found []ingest.Difference) ([]store.Drift, error) {
		if len(found) == 0 {
			return nil, nil // it was written meanwhile
		}
		delete(s.suspects, r.Key)
		s.accepted = append(s.accepted, r.Key.ID)
		line := s.contradiction(contradicted, true)
		line.Fields = s.contradiction(found[0], true).Fields
		return []store.Drift{line}, errors.Join(tx.DropSuspects(ctx, r.Key), tx.AppendAudit(ctx, []store.AuditEntry{accepted(r.Key, line.Cause)}))
	})
}

// accepted is the audit's entry of what an operator had set back.
func accepted(key store.Key, cause string) store.AuditEntry {
	e := store.AuditEntry{Action: store.AuditAccepted, Origin: "reconcile", Was: cause, Became: string(key.Kind) + " " + key.ID}
	switch key.Kind {
	case clerk.KindUser:
		e.ClerkUserID = key.ID
	case clerk.KindSession:
		e.ClerkSessionID = key.ID
	case clerk.KindOrganization:
		e.ClerkOrganizationID = key.ID
	default:
	}
	return e
}

// contradiction is drift of a row that stays as it is until a person decides: Clerk was set back, or has what is deleted
// here.
func (s *session) contradiction(d ingest.Difference, repaired bool) store.Drift {
	fields := slices.Clone(d.Fields)
	slices.Sort(fields)
	cause := CauseRegression
	if d.Conflict {
		cause = CauseDeletedHere
	}
	return store.Drift{
		Kind: d.Key.Kind, ID: d.Key.ID, FoundAt: s.now(), Fields: slices.Compact(fields), Cause: cause, Since: d.UpdatedAt, Repaired: repaired,
	}
}

// hideAgain hides a row that is deleted and was made visible by something else than clerksync.
func (s *session) hideAgain(ctx context.Context, k *KindReport, key store.Key) error {
	return s.keeping(ctx, k, func(_ context.Context, _ *store.Tx, found []ingest.Difference) ([]store.Drift, error) {
		return s.drift(found, signs{}, clerkapi.Answer{}), nil
	}, func(u ingest.Under) ([]ingest.Difference, error) { return s.Ingest.Rehide(ctx, u, key) })
}

// absent judges the answer that there is no such object. A first one makes a suspect, a second one hides the row, and a
// third one, a week later, is for ever.
func (s *session) absent(ctx context.Context, k *KindReport, key store.Key, row store.Sight, exists bool, reading clerkapi.Reading) error {
	before := s.suspects[key]
	first := store.Suspect{Key: key, Reason: store.SuspectGone, Since: reading.Horizon.Since, DueAt: s.in(confirmAfter), Attempts: 1}
	switch {
	case s.dryRun: // who asks counts it
		return s.suspect(ctx, first)
	case row.Hard: // so there is no conflict any more
		return s.close(ctx, key, reading.Horizon.Since)
	case row.Hidden && before.Reason == store.SuspectHidden:
		return s.harden(ctx, before, row, reading)
	case s.shown(key, row): // whatever reads by id say
		return nil
	case row.Hidden || !exists: // nothing new
		return s.close(ctx, key, reading.Horizon.Since)
	case before.Reason != store.SuspectGone || row.Written > before.Since:
		return s.suspect(ctx, first)
	case s.now() < before.DueAt:
		return nil
	}
	return s.hide(ctx, k, before, reading.ObservedAt())
}

// hide applies an absence, unless the row was written since it was first suspected. What is hidden is asked for once more
// in a week, where that can be.
func (s *session) hide(ctx context.Context, k *KindReport, first store.Suspect, observedAt clerk.Time) error {
	key := first.Key
	signs, err := s.signs(ctx, key.Kind)
	if err != nil {
		return err
	}
	matters, err := s.matters(ctx, key)
	if err != nil {
		return err
	}
	delete(s.suspects, key)
	r := ingest.Reading{Key: key, ObservedAt: observedAt, ByID: true, Since: first.Since, Unwritten: true}
	return s.apply(ctx, k, r, func(ctx context.Context, tx *store.Tx, found []ingest.Difference) (drift []store.Drift, err error) {
		if matters {
			drift = s.drift(found, signs, clerkapi.Answer{})
		}
		if len(found) == 0 || !Readable(key.Kind) {
			return drift, tx.DropSuspects(ctx, key)
		}
		return drift, tx.SaveSuspects(ctx, store.Suspect{Key: key, Reason: store.SuspectHidden, Since: tx.Head.Writes, DueAt: s.in(hardenAfter)})
	})
}

// harden makes a deduced deletion one for ever, if it is a week old by Clerk's own clock.
func (s *session) harden(ctx context.Context, before store.Suspect, row store.Sight, reading clerkapi.Reading) error {
	if left := hardenAfter - reading.Date.Time().Sub(row.GoneAt.Time()); reading.Date > 0 && left > 0 {
		before.DueAt = s.in(left)
		return s.suspect(ctx, before)
	}
	delete(s.suspects, before.Key)
	_, err := s.Ingest.ApplyUnder(ctx, s.under(func(ctx context.Context, tx *store.Tx, _ []ingest.Difference) error {
		return tx.DropSuspects(ctx, before.Key)
	}), ingest.Reading{Key: before.Key, Deleted: true, ObservedAt: row.GoneAt, Unwritten: true, Since: row.Written})
	return err
}

// close takes an object off the verify queue, but for what was queued after a write count, and forgets what was suspected.
func (s *session) close(ctx context.Context, key store.Key, since int64) error {
	delete(s.suspects, key)
	if s.dryRun {
		return nil
	}
	return s.write(ctx, func(tx *store.Tx) error {
		return errors.Join(tx.ClearVerify(ctx, key, since), tx.DropSuspects(ctx, key))
	})
}

// unread leaves an object alone for a while of which Clerk refuses to tell, the longer the more often it did.
func (s *session) unread(ctx context.Context, k *KindReport, key store.Key, cause error) error {
	k.Unread++
	before, suspected := s.suspects[key]
	switch {
	case s.dryRun:
		return nil
	case before.Reason == store.SuspectHidden && errors.Is(cause, clerkapi.ErrNoParent):
		return s.acquit(ctx, key) // its parent hides it, and nothing more will be learnt
	case before.Reason == store.SuspectHidden || before.Reason == store.SuspectConflict || before.Reason == store.SuspectOlder && before.Attempts > 1:
		before.DueAt = s.in(askAgain)
		return s.suspect(ctx, before)
	case suspected && !isRefused(before) && errors.Is(cause, clerkapi.ErrUnavailable):
		before.DueAt = s.in(confirmAfter) // what the first answer said still counts
		return s.suspect(ctx, before)
	case !suspected || !isRefused(before):
		before = store.Suspect{Key: key, Reason: store.SuspectRefused}
	}
	before.Attempts++
	before.DueAt = s.in(backoff(before.Attempts))
	if before.Attempts >= maxRefusals && !errors.Is(cause, clerkapi.ErrUnavailable) {
		before.Reason = store.SuspectUnreadable
	}
	if before.Attempts == 1 && errors.Is(cause, clerkapi.ErrNoParent) {
		if err := s.doubtParent(ctx, key); err != nil {
			return err
		}
	}
	s.Logger.Warn("Clerk does not tell of an object that is in doubt", "kind", string(key.Kind), "id", key.ID, "attempts", before.Attempts, "error", cause)
	return s.suspect(ctx, before)
}

// doubtParent queues a read of the organization that Clerk does not know. If it is gone, it hides what is below it.
func (s *session) doubtParent(ctx context.Context, key store.Key) error {
	row, err := s.DB.Sight(ctx, key)
	if err != nil || row.OrganizationID == "" {
		return err
	}
	parent := store.Key{Kind: clerk.KindOrganization, ID: row.OrganizationID}
	return s.write(ctx, func(tx *store.Tx) error {
		return tx.QueueVerify(ctx, []store.Doubt{{Key: parent, Reason: "unknown_to_a_child"}})
	})
}

// keep goes into the transaction of a reading, and tells what of the differences is drift. In a dry run there is no
// transaction: tx is nil.
type keep func(context.Context, *store.Tx, []ingest.Difference) ([]store.Drift, error)

// apply applies a reading and counts the drift.
func (s *session) apply(ctx context.Context, k *KindReport, r ingest.Reading, keep keep) error {
	return s.keeping(ctx, k, keep, func(u ingest.Under) ([]ingest.Difference, error) { return s.Ingest.ApplyUnder(ctx, u, r) })
}

// page applies a page of a list and counts the drift.
func (s *session) page(ctx context.Context, k *KindReport, page *ingest.PreparedPage, keep keep) error {
	return s.keeping(ctx, k, keep, func(u ingest.Under) ([]ingest.Difference, error) { return s.Ingest.ApplyPrepared(ctx, page, u) })
}

func (s *session) keeping(ctx context.Context, k *KindReport, keep keep, apply func(ingest.Under) ([]ingest.Difference, error)) error {
	var drift []store.Drift
	found, err := apply(s.under(func(ctx context.Context, tx *store.Tx, found []ingest.Difference) (err error) {
		if drift, err = keep(ctx, tx, found); err != nil {
			return err
		}
		return tx.AppendDrift(ctx, drift)
	}))
	if err == nil && s.dryRun {
		drift, err = keep(ctx, nil, found)
	}
	if err == nil {
		s.count(k, drift)
	}
	return err
}

// note is the keep of lists: drift, and hints at rows that are older at Clerk than here.
func (s *session) note(signs signs, a clerkapi.Answer) keep {
	return func(ctx context.Context, tx *store.Tx, found []ingest.Difference) ([]store.Drift, error) {
		drift := s.drift(found, signs, a)
		if s.dryRun {
			return drift, nil
		}
		return drift, s.hint(ctx, tx, found, a.Horizon.Since)
	}
}
