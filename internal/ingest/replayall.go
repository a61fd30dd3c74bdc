package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/store"
)

// Bounds of a replay. That many deliveries are in memory at once, and share a commit.
const (
	replayTogether = 64
	replayPage     = 500
	keptFailures   = 100
)

// ReplayOptions say how deliveries are replayed.
type ReplayOptions struct {
	DryRun    bool // what would become of them is worked out in a transaction that only reads
	KeepGoing bool // past failures
	// Progress hears of the report now and then, never twice at a time. nil is fine.
	Progress func(ReplayReport)
}

// ReplayReport tells what became of a replay.
type ReplayReport struct {
	DryRun   bool             `json:"dry_run"`
	Replayed int64            `json:"replayed"`
	Outcomes map[Status]int64 `json:"outcomes"`
	// Skipped deliveries have no body: it was not kept, is older than the retention, or somebody in it was erased.
	Skipped int64 `json:"skipped"`
	Changes int64 `json:"changes"` // of a dry run: entries that the change feed would get
	Failed  int64 `json:"failed"`
	// Failures are the first hundred that could not be applied.
	Failures []ReplayFailure `json:"failures"`
	Stopped  bool            `json:"stopped"` // at the first failure: there may be more to replay
}

// ReplayFailure is a delivery that could not be applied.
type ReplayFailure struct {
	MessageID string `json:"message_id"`
	Status    Status `json:"status"` // invalid, failed, unavailable, or unreadable: the stored body is damaged
	Problem   string `json:"problem"`
}

// Unreadable is the status of a delivery whose stored body can not be read.
const Unreadable Status = "unreadable"

// replaying is one run.
type replaying struct {
	in      *Ingest
	options ReplayOptions
	report  ReplayReport
}

// ReplayAll applies deliveries again that a filter selects, in no particular order: none matters. Quarantined and
// dismissed ones are left out unless the filter's state is that. The memory it takes does not depend on how many there are.
func (in *Ingest) ReplayAll(ctx context.Context, filter store.DeliveryFilter, o ReplayOptions) (ReplayReport, error) {
	filter.Limit, filter.Unquarantined = replayPage, !filter.State.SetAside()
	return in.replayIDs(ctx, o, func() ([]string, error) {
		ids, err := in.db.DeliveryIDs(ctx, filter)
		if len(ids) > 0 {
			filter.AfterMessageID = ids[len(ids)-1]
		}
		return ids, err
	})
}

// ReplayThese applies the deliveries of message ids again. One that does not exist is [store.ErrNotFound].
func (in *Ingest) ReplayThese(ctx context.Context, ids []string, o ReplayOptions) (ReplayReport, error) {
	for _, id := range ids {
		if _, err := in.db.Delivery(ctx, id); err != nil {
			return ReplayReport{}, fmt.Errorf("delivery %s: %w", id, err)
		}
	}
	return in.replayIDs(ctx, o, func() (page []string, _ error) {
		n := min(len(ids), replayPage)
		page, ids = ids[:n], ids[n:]
		return page, nil
	})
}

func (in *Ingest) replayIDs(ctx context.Context, o ReplayOptions, next func() ([]string, error)) (ReplayReport, error) {
	r := &replaying{in: in, options: o, report: ReplayReport{DryRun: o.DryRun, Outcomes: map[Status]int64{}}}
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

// page replays a page, some deliveries at a time.
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

// read reads deliveries; one that was removed since is left out.
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
		p, err := r.in.again(d)
		if err != nil {
			r.note(id, Outcome{Unreadable, err})
			continue
		}
		jobs = append(jobs, &job{Prepared: p, done: make(chan struct{})})
	}
	return jobs, nil
}

// apply commits deliveries together. Live events come first: where the queue is full it waits, for ten seconds.
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
		case !errors.Is(err, ErrQueueFull) || waited == 100:
			for _, j := range jobs {
				r.note(j.delivery.MessageID, Outcome{Unavailable, err})
			}
			return nil
		}
		waited++
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

// dry works out what would become of deliveries, and writes nothing.
func (r *replaying) dry(ctx context.Context, jobs []*job) error {
	err := r.in.db.View(ctx, func(tx *store.Tx) error {
		b := newBatch(r.in, tx)
		if err := b.load(ctx, tx, jobs); err != nil {
			return err
		}
		for _, j := range jobs {
			j.outcome = b.take(j, &tx.Head)
		}
		r.report.Changes += int64(len(b.changes))
		return nil
	})
	if err != nil {
		return err
	}
	for _, j := range jobs {
		r.note(j.delivery.MessageID, j.outcome)
	}
	return nil
}

func (r *replaying) note(id string, o Outcome) {
	if errors.Is(o.Err, ErrNoBody) {
		r.report.Skipped++
		return
	}
	r.report.Replayed++
	r.report.Outcomes[o.Status]++
	switch o.Status {
	case Invalid, Failed, Unavailable, Unreadable:
	default:
		return
	}
	r.report.Failed++
	r.report.Stopped = r.report.Stopped || !r.options.KeepGoing
	if len(r.report.Failures) < keptFailures {
		problem := ""
		if o.Err != nil {
			problem, _, _ = strings.Cut(o.Err.Error(), "\n")
		}
		r.report.Failures = append(r.report.Failures, ReplayFailure{id, o.Status, problem[:min(len(problem), 200)]})
	}
}
