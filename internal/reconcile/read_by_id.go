package reconcile

import (
	"context"
	"errors"
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// readResult is the result of a read by id.
type readResult uint8

const (
	found      readResult = iota // Clerk returned the object
	notFound                     // Clerk does not have it
	unanswered                   // nothing was learned
	refused                      // the application's OnChange refused what was learned
)

// readByID reads one object and applies what Clerk returns. An object that Clerk does not have, or
// returns in an older state than the stored one, becomes a suspect until a second answer confirms
// it. What the application's OnChange refuses is noted, unless the operator asked for it.
func (r *run) readByID(ctx context.Context, k *mirror.KindReport, key row.Key) (readResult, error) {
	before, suspected := r.suspects[key]
	result, err := r.readOnce(ctx, k, key)
	refusal, ok := refusalOf(err)
	if !ok || slices.Contains(r.accept, key.ID) {
		return result, err
	}
	if suspected { // it counts the refusals so far
		r.suspects[key] = before
	}
	return refused, r.noteRefused(ctx, k, key, refusal, nil)
}

func (r *run) readOnce(ctx context.Context, k *mirror.KindReport, key row.Key) (readResult, error) {
	row, err := r.DB.RowMeta(ctx, key)
	exists := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return unanswered, err
	}
	if row.Exposed() {
		return found, r.hideAgain(ctx, k, key)
	}
	if row.Hard && r.suspects[key].Reason != store.SuspectConflict { // no answer of Clerk changes a hard tombstone
		return found, r.settle(ctx, key, row.Written)
	}
	reading, err := r.API.Object(ctx, clerkapi.Ref{
		Kind: key.Kind, ID: key.ID, UserID: row.UserID, OrganizationID: row.OrganizationID,
	}, clerkapi.Background)
	failures := r.unanswered
	r.unanswered = 0
	switch {
	case err == nil:
		return found, r.applyFound(ctx, k, key, reading)
	case errors.Is(err, clerkapi.ErrNotFound):
		return notFound, r.judgeNotFound(ctx, k, key, row, exists, reading)
	case errors.Is(err, clerkapi.ErrNoParent), errors.Is(err, clerkapi.ErrInvalid), errors.Is(err, clerkapi.ErrRefused):
		return unanswered, r.backOff(ctx, k, key, err)
	case errors.Is(err, clerkapi.ErrUnavailable) && failures < maxUnanswered: // it may be this one object
		r.unanswered = failures + 1
		return unanswered, r.backOff(ctx, k, key, err)
	}
	return unanswered, err
}

// applyFound applies what was read, and judges it if it contradicts what is stored.
func (r *run) applyFound(ctx context.Context, k *mirror.KindReport, key row.Key, reading clerkapi.Reading) error {
	evidence, err := r.evidence(ctx, key.Kind)
	if err != nil {
		return err
	}
	before, suspected := r.suspects[key]
	accept := slices.Contains(r.accept, key.ID)
	var next store.Suspect
	var contradiction ingest.Difference
	var proven bool
	read := ingest.Reading{Key: key, Body: reading.Body, ObservedAt: reading.ObservedAt(), ByID: true, Since: reading.Fence.Since}
	err = r.applyRead(ctx, k, read, func(ctx context.Context, tx *store.Tx, differences []ingest.Difference) ([]mirror.Drift, error) {
		drift := r.drift(differences, evidence, reading.Answer)
		if r.dryRun {
			return drift, nil
		}
		next, proven = store.Suspect{}, false
		if i := slices.IndexFunc(differences, isContradiction); i >= 0 {
			contradiction = differences[i]
			next, proven = judgeContradiction(before, contradiction, reading.Fence.Since, tx.Head.Writes, r.now())
			if proven && !accept {
				drift = append(drift, r.contradiction(contradiction, false))
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
	if delete(r.suspects, key); next.Reason != "" {
		r.suspects[key] = next
	}
	if proven && accept {
		return r.acceptRegression(ctx, k, read, contradiction, next.Since)
	}
	return nil
}

// acceptRegression sets a row to what was read although that is older, or the object is deleted
// here, because the operator asked for it.
func (r *run) acceptRegression(ctx context.Context, k *mirror.KindReport, read ingest.Reading, contradiction ingest.Difference, since int64) error {
	read.Accept, read.Unwritten, read.Since = true, true, since
	return r.applyRead(ctx, k, read, func(ctx context.Context, tx *store.Tx, differences []ingest.Difference) ([]mirror.Drift, error) {
		if len(differences) == 0 {
			return nil, nil // it was written meanwhile
		}
		delete(r.suspects, read.Key)
		r.accepted = append(r.accepted, read.Key.ID)
		line := r.contradiction(contradiction, true)
		line.Fields = sortedFields(differences[0])
		return []mirror.Drift{line}, errors.Join(
			tx.DropSuspects(ctx, read.Key), tx.AppendAudit(ctx, []mirror.AuditEntry{auditOfAccepted(read.Key, line.Cause)}))
	})
}

// auditOfAccepted returns the audit entry for an object that the operator had set back.
func auditOfAccepted(key row.Key, cause mirror.DriftCause) mirror.AuditEntry {
	e := mirror.AuditEntry{Action: mirror.AuditAccepted, Origin: "reconcile", Was: string(cause), Became: string(key.Kind) + " " + key.ID}
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

// hideAgain hides a deleted row that something other than clerksync made visible.
func (r *run) hideAgain(ctx context.Context, k *mirror.KindReport, key row.Key) error {
	return r.applyUnder(ctx, k, func(_ context.Context, _ *store.Tx, differences []ingest.Difference) ([]mirror.Drift, error) {
		return r.drift(differences, eventEvidence{}, clerkapi.Answer{}), nil
	}, func(u ingest.ApplyOptions) ([]ingest.Difference, error) { return r.Ingest.Rehide(ctx, u, key) })
}

// judgeNotFound judges the answer that there is no such object. The first such answer makes the row
// a suspect, the second one hides it, and the third one, a week later, makes the deletion
// permanent.
func (r *run) judgeNotFound(ctx context.Context, k *mirror.KindReport, key row.Key, row store.RowMeta, exists bool, reading clerkapi.Reading) error {
	before := r.suspects[key]
	first := store.Suspect{Key: key, Reason: store.SuspectGone, Since: reading.Fence.Since, DueAt: r.in(confirmAfter), Attempts: 1}
	switch {
	case r.dryRun: // the caller counts it
		return r.saveSuspects(ctx, first)
	case row.Hard: // so there is no conflict any more
		return r.settle(ctx, key, reading.Fence.Since)
	case row.Hidden && before.Reason == store.SuspectHidden:
		return r.confirmDeletion(ctx, before, row, reading)
	case r.readSinceList(key, row): // a list of this walk has it, which outweighs a read by id
		return nil
	case row.Hidden || !exists: // nothing new
		return r.settle(ctx, key, reading.Fence.Since)
	case before.Reason != store.SuspectGone || row.Written > before.Since:
		return r.saveSuspects(ctx, first)
	case r.now() < before.DueAt:
		return nil
	}
	return r.hide(ctx, k, before, reading.ObservedAt())
}

// hide applies an absence, unless the row was written since it became a suspect. If the kind can be
// read by id, the hidden object is read once more in a week.
func (r *run) hide(ctx context.Context, k *mirror.KindReport, first store.Suspect, observedAt clerk.Time) error {
	key := first.Key
	evidence, err := r.evidence(ctx, key.Kind)
	if err != nil {
		return err
	}
	countsAsDrift, err := r.countsAsDrift(ctx, key)
	if err != nil {
		return err
	}
	delete(r.suspects, key)
	read := ingest.Reading{Key: key, ObservedAt: observedAt, ByID: true, Since: first.Since, Unwritten: true}
	return r.applyRead(ctx, k, read, func(ctx context.Context, tx *store.Tx, differences []ingest.Difference) (drift []mirror.Drift, err error) {
		if countsAsDrift {
			drift = r.drift(differences, evidence, clerkapi.Answer{})
		}
		if len(differences) == 0 || !converge.Readable(key.Kind) {
			return drift, tx.DropSuspects(ctx, key)
		}
		return drift, tx.SaveSuspects(ctx, store.Suspect{
			Key: key, Reason: store.SuspectHidden, Since: tx.Head.Writes, DueAt: r.in(confirmDeletionAfter),
		})
	})
}

// countsAsDrift reports whether it is drift that a row is gone. It is not for a session that was
// over, nor for a row that its user or organization had hidden before.
func (r *run) countsAsDrift(ctx context.Context, key row.Key) (bool, error) {
	if live, err := r.DB.LiveRowsOf(ctx, key.Kind, []string{key.ID}); err != nil || len(live) == 0 {
		return false, err
	}
	if key.Kind != clerk.KindSession {
		return true, nil
	}
	x, err := r.DB.Session(ctx, key.ID)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return x.Usable() && x.ExpireAt.After(r.Now()), err
}

// confirmDeletion makes an inferred deletion permanent, if it is a week old by Clerk's clock.
func (r *run) confirmDeletion(ctx context.Context, before store.Suspect, row store.RowMeta, reading clerkapi.Reading) error {
	remaining := confirmDeletionAfter - reading.Date.Time().Sub(row.GoneAt.Time())
	if reading.Date > 0 && remaining > 0 {
		before.DueAt = r.in(remaining)
		return r.saveSuspects(ctx, before)
	}
	delete(r.suspects, before.Key)
	_, err := r.Ingest.ApplyWith(ctx, r.under(func(ctx context.Context, tx *store.Tx, _ []ingest.Difference) error {
		return tx.DropSuspects(ctx, before.Key)
	}), ingest.Reading{Key: before.Key, Deleted: true, ObservedAt: row.GoneAt, Unwritten: true, Since: row.Written})
	return err
}

// settle takes an object off the verify queue, unless it was queued after a write count, and clears
// its suspect.
func (r *run) settle(ctx context.Context, key row.Key, since int64) error {
	delete(r.suspects, key)
	if r.dryRun {
		return nil
	}
	return r.write(ctx, func(tx *store.Tx) error {
		return errors.Join(tx.ClearVerify(ctx, key, since), tx.DropSuspects(ctx, key))
	})
}
