package ingest

import (
	"context"

	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// inbox is what a batch knows and writes of the inbox.
type inbox struct {
	earlier   map[string]store.Delivery // deliveries that were known before, or that the batch has recorded
	records   []store.Delivery          // to be saved
	recordAt  map[string]int            // message id -> index in records
	instances []string                  // seen for the first time
	repeated  []row.Key                 // objects of duplicates
}

func newInbox() inbox {
	return inbox{earlier: map[string]store.Delivery{}, recordAt: map[string]int{}}
}

// processMessage decides about one message and applies it.
func (b *batch) processMessage(j *job, head *store.Head) Outcome {
	d := j.delivery
	earlier, known := b.inbox.earlier[d.MessageID]
	if known && !j.replay {
		switch {
		case d.Digest != "" && earlier.Digest != "" && d.Digest != earlier.Digest:
			return b.quarantineConflict(d)
		case !mayComeAgain(earlier.State):
			head.LastReceivedAt = max(head.LastReceivedAt, d.ReceivedAt)
			for i := range j.ops {
				b.inbox.repeated = append(b.inbox.repeated, j.ops[i].Key)
			}
			return Outcome{Status: mirror.OutcomeDuplicate}
		}
	}
	d.Attempts = earlier.Attempts + 1
	changes := len(b.effects.Changes)
	outcome := b.applyByState(j, &d, head)
	if !known || len(b.effects.Changes) > changes {
		d.Seq = head.Seq // which counts them when they are saved
	}
	d.State = stillDismissed(earlier, d)
	b.inbox.recordDelivery(d)
	return outcome
}

// mayComeAgain reports whether a message in a state is applied when Clerk delivers it again.
func mayComeAgain(state mirror.DeliveryState) bool {
	return state == mirror.DeliveryDead || state == mirror.DeliveryQuarantined || state == mirror.DeliveryDismissed
}

// stillDismissed returns the state of a delivery after another attempt. A dismissed message that
// fails again tells the operator nothing new, so it stays dismissed.
func stillDismissed(earlier, d store.Delivery) mirror.DeliveryState {
	if earlier.State == mirror.DeliveryDismissed && d.State == mirror.DeliveryDead {
		return mirror.DeliveryDismissed
	}
	return d.State
}

// applyByState applies an event that is to be applied, and returns the outcome of any.
func (b *batch) applyByState(j *job, d *store.Delivery, head *store.Head) Outcome {
	switch j.decided {
	case mirror.DeliveryIgnored:
		return Outcome{Status: mirror.OutcomeIgnored}
	case mirror.DeliveryQuarantined:
		b.noteInstance(d.InstanceID)
		return Outcome{Status: mirror.OutcomeQuarantined}
	case mirror.DeliveryDead:
		return Outcome{mirror.OutcomeInvalid, j.fault}
	case mirror.DeliveryApplied, mirror.DeliveryErased, mirror.DeliveryDismissed:
	}
	if err := b.applyEvent(j.Prepared, head); err != nil {
		d.State, d.Reason = mirror.DeliveryDead, ReasonError
		return Outcome{mirror.OutcomeFailed, err}
	}
	b.noteInstance(d.InstanceID)
	return Outcome{Status: mirror.OutcomeProcessed}
}

// quarantineConflict keeps a duplicate with another body next to the first delivery, and applies
// nothing.
func (b *batch) quarantineConflict(d store.Delivery) Outcome {
	b.in.Stats.Conflicts.Add(1)
	d.MessageID += "~" + d.Digest[:16]
	d.State, d.Reason = mirror.DeliveryQuarantined, ReasonBodyConflict
	b.inbox.recordDelivery(d)
	return Outcome{Status: mirror.OutcomeQuarantined}
}

// recordDelivery notes a delivery to be saved. A message that comes twice in one batch is one row.
func (i *inbox) recordDelivery(d store.Delivery) {
	i.earlier[d.MessageID] = d
	if at, twice := i.recordAt[d.MessageID]; twice {
		i.records[at] = d
		return
	}
	i.recordAt[d.MessageID] = len(i.records)
	i.records = append(i.records, d)
}

func (b *batch) noteInstance(instance string) {
	if instance == "" {
		return
	}
	if _, known := b.in.seenInstances.Load(instance); !known {
		b.inbox.instances = append(b.inbox.instances, instance)
	}
}

func (i *inbox) save(ctx context.Context, tx *store.Tx) error {
	if err := tx.RememberInstances(ctx, i.instances); err != nil {
		return err
	}
	return tx.SaveInbox(ctx, i.records)
}
