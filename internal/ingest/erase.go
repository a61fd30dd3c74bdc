package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/privacy"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// dueTogether is how many users [Ingest.EraseDue] looks up at a time.
const dueTogether = 100

// isAboutErased reports whether an event is about a user who was erased.
func (b *batch) isAboutErased(p *Prepared) bool {
	return slices.ContainsFunc(p.users, func(id string) bool { return b.erased[id] }) ||
		slices.ContainsFunc(p.ops, func(op converge.Operation) bool { return b.rows[op.Key].row.Erased })
}

// withoutErased removes from an operation what must not be stored again. ok is false if nothing is
// left to apply.
func (b *batch) withoutErased(op *converge.Operation) (_ *converge.Operation, ok bool) {
	r, _ := b.delta.Row(op.Key)
	return privacy.WithoutErased(op, r.Erased, b.erased)
}

// Erase erases a user permanently: see docs/correctness.md, §3. The user's rows are empty when it
// returns. Other copies are left to [privacy.FinishErasures]. The error is [store.ErrNotFound] for
// a user who was never known here.
func (in *Ingest) Erase(ctx context.Context, userID string) error {
	return in.EraseWith(ctx, ApplyOptions{}, userID)
}

// EraseWith is Erase with options.
func (in *Ingest) EraseWith(ctx context.Context, options ApplyOptions, userID string) error {
	return in.erase(ctx, options, userID, mirror.ErasedOnRequest)
}

func (in *Ingest) erase(ctx context.Context, options ApplyOptions, userID string, cause mirror.ErasureCause) error {
	key := row.Key{Kind: clerk.KindUser, ID: userID}
	options.Origin = mirror.OriginErasure
	_, err := in.applyInTx(ctx, options, func(_ context.Context, tx *store.Tx, b *batch) error {
		if err := b.load(tx, b.wantKey(nil, key)); err != nil {
			return err
		}
		e := b.rows[key]
		switch {
		case !e.exists:
			return store.ErrNotFound
		case cause == mirror.ErasedAfterDeletion && (!e.row.Tombstoned || e.row.Erased):
			return nil // another process was faster
		case !e.row.Tombstoned:
			b.delta.Apply(&converge.Operation{Key: key, Action: converge.Tombstone, At: clerk.TimeOf(in.now())})
			b.merge()
		}
		b.toErase[userID] = cause
		return nil
	})
	if err == nil {
		in.onCommit([]row.ChangeRef{(&row.Row{Key: key}).Ref()})
	}
	return err
}

// EraseDue erases the users who were deleted before a time, and returns how many. It leaves those
// whose erasure the application's OnChange refuses, and then returns how many they are and the last
// error.
func (in *Ingest) EraseDue(ctx context.Context, before clerk.Time) (n, refused int, last error) {
	for ctx.Err() == nil {
		due, err := in.db.Erasable(ctx, before, refused, dueTogether)
		if err != nil || len(due) == 0 {
			return n, refused, cmp.Or(err, last)
		}
		for _, id := range due {
			err := in.erase(ctx, ApplyOptions{}, id, mirror.ErasedAfterDeletion)
			if err == nil {
				n++
				continue
			}
			err = fmt.Errorf("erase %s: %w", id, err)
			if _, ok := errors.AsType[*mirror.OnChangeError](err); !ok || store.IsTransient(err) {
				return n, refused, err
			}
			refused, last = refused+1, err
		}
	}
	return n, refused, ctx.Err()
}
