package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Bounds of a replay.
const (
	replayTogether = 64 // deliveries that are in memory at once and share a commit
	replayPage     = 500
	keptFailures   = 100
	replayWaits    = 100 // times that a replay waits for room in the queue
	replayWait     = 100 * time.Millisecond
)

// replaying is one run of a replay.
type replaying struct {
	in      *Ingest
	options mirror.ReplayOptions
	report  mirror.ReplayReport
}

// ReplayAll applies again the deliveries that a filter selects. The order does not matter and is
// not defined. It leaves out quarantined and dismissed deliveries unless the filter selects that
// state. Its memory does not depend on how many there are.
func (in *Ingest) ReplayAll(ctx context.Context, filter mirror.DeliveryFilter, o mirror.ReplayOptions) (mirror.ReplayReport, error) {
	filter.WithoutSetAside = !filter.State.SetAside()
	after := ""
	return in.replayPages(ctx, o, func() ([]string, error) {
		ids, err := in.db.DeliveryIDs(ctx, filter, after, replayPage)
		if len(ids) > 0 {
			after = ids[len(ids)-1]
		}
		return ids, err
	})
}

// ReplayIDs applies the deliveries of message ids again. If one does not exist, the error is
// [store.ErrNotFound].
func (in *Ingest) ReplayIDs(ctx context.Context, ids []string, o mirror.ReplayOptions) (mirror.ReplayReport, error) {
	for _, id := range ids {
		if _, err := in.db.Delivery(ctx, id); err != nil {
			return mirror.ReplayReport{}, err
		}
	}
	return in.ReplayStored(ctx, ids, o)
}

// ReplayStored is [Ingest.ReplayIDs], and leaves out deliveries that do not exist.
func (in *Ingest) ReplayStored(ctx context.Context, ids []string, o mirror.ReplayOptions) (mirror.ReplayReport, error) {
	return in.replayPages(ctx, o, func() (page []string, _ error) {
		n := min(len(ids), replayPage)
		page, ids = ids[:n], ids[n:]
		return page, nil
	})
}

func (in *Ingest) replayPages(ctx context.Context, o mirror.ReplayOptions, next func() ([]string, error)) (mirror.ReplayReport, error) {
	if err := store.CheckOutside(ctx); err != nil { // the committer would wait for the caller
		return mirror.ReplayReport{}, err
	}
	r := &replaying{in: in, options: o, report: mirror.ReplayReport{DryRun: o.DryRun, Outcomes: map[mirror.Outcome]int64{}}}
	for {
		page, err := next()
		if err != nil || len(page) == 0 {
			return r.report, err
		}
		if err = r.page(ctx, page); err == nil {
			err = ctx.Err()
		}
		if err != nil || r.report.Stopped {
			return r.report, err
		}
		if o.Progress != nil {
			o.Progress(r.report)
		}
	}
}

// page replays a page, a few deliveries at a time.
func (r *replaying) page(ctx context.Context, ids []string) error {
	apply := r.apply
	if r.options.DryRun {
		apply = r.dry
	}
	for len(ids) > 0 && !r.report.Stopped && ctx.Err() == nil {
		n := min(len(ids), replayTogether)
		jobs, err := r.read(ctx, ids[:n])
		if err == nil {
			err = apply(ctx, jobs)
		}
		if err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// read reads deliveries. It leaves out those that were removed since.
func (r *replaying) read(ctx context.Context, ids []string) (jobs []*job, err error) {
	stored, err := r.in.db.DeliveriesOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		d, found := stored[id]
		if !found {
			continue
		}
		p, err := r.in.prepareStored(d)
		if err != nil {
			r.note(id, Outcome{mirror.OutcomeUnreadable, err})
			continue
		}
		jobs = append(jobs, &job{Prepared: p, done: make(chan struct{})})
	}
	return jobs, nil
}

// apply commits deliveries together. Live events come first: if the queue is full, apply waits up
// to ten seconds.
func (r *replaying) apply(ctx context.Context, jobs []*job) error {
	for waited := 0; len(jobs) > 0; {
		taken, err := r.in.enqueue(jobs...)
		for _, j := range jobs[:taken] {
			<-j.done
			r.note(j.delivery.MessageID, j.outcome)
		}
		jobs = jobs[taken:]
		switch {
		case taken > 0:
			waited = 0
			continue
		case !errors.Is(err, ErrQueueFull) || waited == replayWaits:
			for _, j := range jobs {
				r.note(j.delivery.MessageID, Outcome{mirror.OutcomeUnavailable, err})
			}
			return nil
		}
		waited++
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(replayWait):
		}
	}
	return nil
}

// dry finds out what would become of deliveries, and writes nothing.
func (r *replaying) dry(ctx context.Context, jobs []*job) error {
	err := r.in.db.View(ctx, func(tx *store.Tx) error {
		b, err := r.in.dryRun(tx, jobs)
		r.report.Changes += int64(len(b.effects.Changes))
		return err
	})
	if err != nil {
		return err
	}
	for _, j := range jobs {
		r.note(j.delivery.MessageID, j.outcome)
	}
	return nil
}

// dryRun processes messages in a transaction that only reads.
func (in *Ingest) dryRun(tx *store.Tx, jobs []*job) (*batch, error) {
	b := newBatch(in).within(tx)
	found, err := tx.Find(b.wanted(jobs))
	if err != nil {
		return b, err
	}
	return b, b.process(tx, found, jobs)
}

func (r *replaying) note(id string, o Outcome) {
	if errors.Is(o.Err, mirror.ErrNoBody) {
		r.report.Skipped++
		return
	}
	r.report.Replayed++
	r.report.Outcomes[o.Status]++
	switch o.Status {
	case mirror.OutcomeInvalid, mirror.OutcomeFailed, mirror.OutcomeUnavailable, mirror.OutcomeUnreadable:
	default:
		return
	}
	r.report.Failed++
	r.report.Stopped = r.report.Stopped || !r.options.KeepGoing
	if len(r.report.Failures) < keptFailures {
		r.report.Failures = append(r.report.Failures, mirror.ReplayFailure{MessageID: id, Status: o.Status, Problem: problemOf(o.Err)})
	}
}

// Replay applies a stored delivery again, by the same functions as a new one. What the mirror has
// already changes nothing.
func (in *Ingest) Replay(ctx context.Context, messageID string) (Outcome, error) {
	if err := store.CheckOutside(ctx); err != nil { // the committer would wait for the caller
		return Outcome{}, err
	}
	d, err := in.db.Delivery(ctx, messageID)
	if err != nil {
		return Outcome{}, err
	}
	return in.replay(d)
}

func (in *Ingest) replay(d store.Delivery) (Outcome, error) {
	p, err := in.prepareStored(d)
	if err != nil {
		return Outcome{}, err
	}
	return in.Submit(p), nil
}

// prepareStored reads a stored delivery as if it had just come.
func (in *Ingest) prepareStored(d store.Delivery) (*Prepared, error) {
	if d.Body == "" || d.State == mirror.DeliveryErased {
		return nil, mirror.ErrNoBody
	}
	envelope, err := clerk.Parse([]byte(d.Body))
	if err != nil {
		return nil, fmt.Errorf("stored body of %s: %w", d.MessageID, err)
	}
	p, err := in.read(envelope)
	if err != nil {
		return nil, fmt.Errorf("stored body of %s: %w", d.MessageID, err)
	}
	p.replay, p.size = true, len(d.Body)
	p.delivery.MessageID, p.delivery.ReceivedAt, p.delivery.SignedAt = d.MessageID, d.ReceivedAt, d.SignedAt
	p.delivery.Digest = d.Digest // of the body as it was delivered, before redaction
	return p, nil
}

// Upgrade replays once what an older version could not read: dead letters and events of types that
// it did not know. It returns how many.
func (in *Ingest) Upgrade(ctx context.Context) (replayed int, err error) {
	for _, state := range []mirror.DeliveryState{mirror.DeliveryDead, mirror.DeliveryIgnored} {
		n, err := in.upgrade(ctx, mirror.DeliveryFilter{State: state, RevisionBelow: converge.ApplyRevision})
		if replayed += n; err != nil {
			return replayed, err
		}
	}
	return replayed, nil
}

func (in *Ingest) upgrade(ctx context.Context, filter mirror.DeliveryFilter) (replayed int, err error) {
	for after := ""; ; {
		page, err := in.db.DeliveriesAfter(ctx, filter, after, replayPage)
		if err != nil || len(page) == 0 {
			return replayed, err
		}
		for _, d := range page {
			after = d.MessageID
			if ctx.Err() != nil {
				return replayed, ctx.Err()
			}
			switch _, err := in.replay(d); {
			case err == nil:
				replayed++
			case !errors.Is(err, mirror.ErrNoBody):
				in.log.Warn("a delivery cannot be replayed", "message_id", d.MessageID, "error", err)
			}
		}
	}
}
