package reconcile

import (
	"context"
	"errors"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// backOff postpones the next read of an object that Clerk did not return, the longer the more often
// Clerk refused.
func (r *run) backOff(ctx context.Context, k *mirror.KindReport, key row.Key, cause error) error {
	k.Unread++
	before, suspected := r.suspects[key]
	switch {
	case r.dryRun:
		return nil
	case before.Reason == store.SuspectHidden && errors.Is(cause, clerkapi.ErrNoParent):
		return r.clearSuspects(ctx, key) // its parent hides it, and nothing more can be learned
	case before.Reason == store.SuspectHidden || before.Reason == store.SuspectConflict || before.Reason == store.SuspectOlder && before.Attempts > 1:
		before.DueAt = r.in(remindEvery)
		return r.saveSuspects(ctx, before)
	case suspected && !isRefused(before) && errors.Is(cause, clerkapi.ErrUnavailable):
		before.DueAt = r.in(confirmAfter) // the first answer still counts
		return r.saveSuspects(ctx, before)
	case !suspected || !isRefused(before):
		before = store.Suspect{Key: key, Reason: store.SuspectRefused}
	}
	before.Attempts++
	before.DueAt = r.in(backoff(before.Attempts))
	if before.Attempts >= maxRefusals && !errors.Is(cause, clerkapi.ErrUnavailable) {
		before.Reason = store.SuspectUnreadable
	}
	if before.Attempts == 1 && errors.Is(cause, clerkapi.ErrNoParent) {
		if err := r.queueParent(ctx, key); err != nil {
			return err
		}
	}
	r.Logger.Warn("Clerk does not return an object that is in the verify queue",
		"kind", string(key.Kind), "id", key.ID, "attempts", before.Attempts, "error", cause)
	return r.saveSuspects(ctx, before)
}

// queueParent queues a read of the organization that Clerk does not have. If it is gone, that hides
// the rows below it.
func (r *run) queueParent(ctx context.Context, key row.Key) error {
	stored, err := r.DB.RowMeta(ctx, key)
	if err != nil || stored.OrganizationID == "" {
		return err
	}
	parent := row.Key{Kind: clerk.KindOrganization, ID: stored.OrganizationID}
	return r.write(ctx, func(tx *store.Tx) error {
		return tx.QueueVerify(ctx, []row.VerifyItem{{Key: parent, Reason: "unknown_to_a_child"}})
	})
}
