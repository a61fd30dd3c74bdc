package ingest

import (
	"context"
	"errors"
	"strings"

	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Preview returns what a replay of a stored delivery would do. It writes nothing and does not call
// OnChange.
func (in *Ingest) Preview(ctx context.Context, messageID string) (mirror.ReplayPreview, error) {
	preview := mirror.ReplayPreview{Operations: []mirror.DeliveryOperation{}, Changes: []mirror.Change{}}
	if err := store.CheckOutside(ctx); err != nil {
		return preview, err
	}
	d, err := in.db.Delivery(ctx, messageID)
	if err != nil {
		return preview, err
	}
	p, err := in.prepareStored(d)
	switch {
	case errors.Is(err, mirror.ErrNoBody):
		return preview, err
	case err != nil:
		preview.Outcome, preview.Problem = mirror.OutcomeUnreadable, problemOf(err)
		return preview, nil
	}
	j := &job{Prepared: p, done: make(chan struct{})}
	var changes []row.Change
	err = in.db.View(ctx, func(tx *store.Tx) error {
		b, err := in.dryRun(tx, []*job{j})
		changes = b.effects.Changes
		return err
	})
	if err != nil {
		return preview, err
	}
	preview.Outcome, preview.Problem = j.outcome.Status, problemOf(j.outcome.Err)
	for i := range j.ops {
		preview.Operations = append(preview.Operations, operationRecord(&j.ops[i]))
	}
	for i := range changes {
		c := store.FeedEntry(&changes[i])
		c.Cursor = ""
		preview.Changes = append(preview.Changes, c)
	}
	return preview, nil
}

func operationRecord(op *converge.Operation) mirror.DeliveryOperation {
	return mirror.DeliveryOperation{
		Kind: op.Key.Kind, ID: op.Key.ID, Delete: op.Action == converge.Tombstone, Embedded: op.Action == converge.Upsert && op.Rank < row.Full,
		UpdatedAt: op.UpdatedAt.Time(), ObservedAt: max(op.ObservedAt, op.At).Time(),
	}
}

// maxProblem bounds the text of what is wrong with a delivery, in bytes.
const maxProblem = 200

// problemOf returns the first line of an error for people, shortened.
func problemOf(err error) string {
	if err == nil {
		return ""
	}
	problem, _, _ := strings.Cut(err.Error(), "\n")
	return strings.ToValidUTF8(problem[:min(len(problem), maxProblem)], "")
}
