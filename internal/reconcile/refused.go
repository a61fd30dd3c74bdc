package reconcile

import (
	"context"
	"errors"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// The application's OnChange may refuse what was read. The object then stays as it was, is
// suspected as [store.SuspectHook], and the mirror is not in sync. The row is put into the verify
// queue, so that it grants no access and the object is read again, after 1, 2, 4, … 60 minutes. An
// object that cannot be read by id waits for the next walk.

// refusalOf returns the refusal of the application's OnChange that an error is, unless it is only
// for now.
func refusalOf(err error) (*mirror.OnChangeError, bool) {
	refusal, ok := errors.AsType[*mirror.OnChangeError](err)
	return refusal, ok && !store.IsTransient(err)
}

// noteRefused leaves an object as it is. progress, which may be nil, is written in the same
// transaction.
func (r *run) noteRefused(
	ctx context.Context, k *mirror.KindReport, key row.Key, cause *mirror.OnChangeError, progress func(context.Context, *store.Tx) error,
) error {
	_, err := r.DB.RowMeta(ctx, key)
	exists := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	x := r.suspects[key]
	if x.Reason != store.SuspectHook {
		x = store.Suspect{Key: key, Reason: store.SuspectHook}
	}
	x.Attempts++
	x.DueAt = r.in(backoff(x.Attempts))
	k.NotApplied++
	r.refused[key] = true
	r.Logger.Error("OnChange refused what was read from Clerk; it is not stored, and is read again later",
		"kind", string(key.Kind), "id", key.ID, "attempts", x.Attempts, "error", cause)
	err = r.write(ctx, func(tx *store.Tx) error {
		if canReadByID(key.Kind, exists) {
			if err := tx.QueueVerify(ctx, []row.VerifyItem{{Key: key, Reason: converge.ReasonHook}}); err != nil {
				return err
			}
		}
		if err := tx.ParkVerify(ctx, key.Kind, []string{key.ID}); err != nil {
			return err
		}
		if err := errors.Join(tx.SaveSuspects(ctx, x), tx.NoteRefusal(ctx, cause.Problem())); err != nil || progress == nil {
			return err
		}
		return progress(ctx, tx)
	})
	if err == nil {
		r.suspects[key] = x
	}
	return err
}

// waitsForOnChange reports whether the application's OnChange refused a user. The verify queue has
// the user, and a pause between two tries.
func (r *run) waitsForOnChange(user clerk.Value) bool {
	return r.suspects[row.Key{Kind: clerk.KindUser, ID: user.Get("id").String()}].Reason == store.SuspectHook
}

// canReadByID reports whether an object can be read by its id. Clerk returns memberships and
// invitations only with their organization, which the row knows.
func canReadByID(kind clerk.Kind, exists bool) bool {
	return converge.Readable(kind) && (exists || kind != clerk.KindMembership && kind != clerk.KindInvitation)
}
