package reconcile

import (
	"context"

	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// alsoWrite writes what belongs into the transaction of a read, and returns which of the
// differences are drift. In a dry run there is no transaction: tx is nil.
type alsoWrite func(context.Context, *store.Tx, []ingest.Difference) ([]mirror.Drift, error)

// applyRead applies a read by id and counts its drift.
func (r *run) applyRead(ctx context.Context, k *mirror.KindReport, read ingest.Reading, also alsoWrite) error {
	return r.applyUnder(ctx, k, also, func(u ingest.ApplyOptions) ([]ingest.Difference, error) {
		return r.Ingest.ApplyWith(ctx, u, read)
	})
}

// applyPage applies a page of a list and counts its drift. progress, which may be nil, is written
// in the transaction of its last object. Where the application's OnChange refuses the page, each
// half is applied by itself, so that only the objects that it refuses stay as they are.
func (r *run) applyPage(
	ctx context.Context, k *mirror.KindReport, page *ingest.PreparedPage, also alsoWrite, progress func(context.Context, *store.Tx) error,
) error {
	with := func(ctx context.Context, tx *store.Tx, found []ingest.Difference) ([]mirror.Drift, error) {
		drift, err := also(ctx, tx, found)
		if err == nil && tx != nil && progress != nil {
			err = progress(ctx, tx)
		}
		return drift, err
	}
	err := r.applyUnder(ctx, k, with, func(u ingest.ApplyOptions) ([]ingest.Difference, error) {
		return r.Ingest.ApplyPrepared(ctx, page, u)
	})
	refusal, refused := refusalOf(err)
	switch {
	case !refused:
		return err
	case page.Len() == 1:
		return r.noteRefused(ctx, k, page.Key(0), refusal, progress)
	}
	first, second := page.Halves()
	if err := r.applyPage(ctx, k, first, also, nil); err != nil {
		return err
	}
	return r.applyPage(ctx, k, second, also, progress)
}

// applyUnder runs apply under the lease. What also writes, and the drift that it returns, are
// committed in the same transaction; the drift is counted after the commit.
func (r *run) applyUnder(
	ctx context.Context, k *mirror.KindReport, also alsoWrite, apply func(ingest.ApplyOptions) ([]ingest.Difference, error),
) error {
	var drift []mirror.Drift
	found, err := apply(r.under(func(ctx context.Context, tx *store.Tx, found []ingest.Difference) (err error) {
		if drift, err = also(ctx, tx, found); err != nil {
			return err
		}
		return tx.AppendDrift(ctx, drift)
	}))
	if err == nil && r.dryRun {
		drift, err = also(ctx, nil, found)
	}
	if err == nil {
		r.count(k, drift)
	}
	return err
}

func (r *run) under(also func(context.Context, *store.Tx, []ingest.Difference) error) ingest.ApplyOptions {
	u := ingest.ApplyOptions{DryRun: r.dryRun, InTx: also}
	if !r.dryRun {
		u.Lease = &r.lease
	}
	return u
}

// recordList returns what is written with a page of a list: drift, and suspects for the rows whose
// state at Clerk is older than the stored one.
func (r *run) recordList(evidence eventEvidence, a clerkapi.Answer) alsoWrite {
	return func(ctx context.Context, tx *store.Tx, found []ingest.Difference) ([]mirror.Drift, error) {
		drift := r.drift(found, evidence, a)
		if r.dryRun {
			return drift, nil
		}
		return drift, r.suspectContradictions(ctx, tx, found, a.Fence.Since)
	}
}
