package ingest

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/clerksync/clerksync/internal/group"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Outcome is the result of one message. Err is for the log.
type Outcome struct {
	Status mirror.Outcome
	Err    error
}

// Bounds of the committer.
const (
	maxBatch      = 256
	maxWaiting    = 8192
	maxWaitBytes  = 64 << 20
	commitTimeout = 10 * time.Second
	maxTries      = 4
)

// Causes of Unavailable that are not the database's.
var (
	ErrQueueFull = errors.New("too many events wait to be stored")
	ErrClosed    = errors.New("the mirror is shutting down")
)

// job is one message that waits for its commit.
type job struct {
	*Prepared
	outcome Outcome
	done    chan struct{}
}

// newQueue makes the queue of events, which groups what waits into one transaction at a time: while
// one commit is on its way to the disk, the next batch gathers.
func (in *Ingest) newQueue() *group.Queue[*job] {
	return group.New(group.Config[*job]{
		MaxBatch: maxBatch, MaxItems: maxWaiting, MaxSize: maxWaitBytes,
		Size: func(j *job) int { return j.size },
		Work: func(jobs []*job) {
			in.commit(jobs)
			for _, j := range jobs {
				close(j.done)
			}
		},
	})
}

// Submit waits until the message is committed, or until it is known that it cannot be. It does not
// stop waiting when the sender hangs up: an event that was accepted is stored.
func (in *Ingest) Submit(p *Prepared) Outcome {
	j := &job{Prepared: p, done: make(chan struct{})}
	if err := queueError(in.queue.Do(j)); err != nil {
		in.Stats.Unavailable.Add(1)
		in.Stats.count(p.delivery.Type, mirror.OutcomeUnavailable)
		return Outcome{mirror.OutcomeUnavailable, err}
	}
	<-j.done
	return j.outcome
}

// enqueue accepts jobs from the first on, as many as there is room for. They share a commit.
func (in *Ingest) enqueue(jobs ...*job) (taken int, err error) {
	taken, err = in.queue.Add(jobs...)
	return taken, queueError(err)
}

// queueError returns the cause of [mirror.OutcomeUnavailable] for an error of the queue.
func queueError(err error) error {
	switch {
	case errors.Is(err, group.ErrFull):
		return ErrQueueFull
	case errors.Is(err, group.ErrClosed):
		return ErrClosed
	}
	return err
}

// Close refuses new messages and waits until the accepted ones are committed or have failed.
func (in *Ingest) Close() { in.queue.Close() }

// commit stores a batch in one transaction. If the database fails, it tries again, then fails the
// whole batch. After any other error it tries each half of the batch. An event that fails alone
// becomes a dead letter, so that it does not stop the others.
func (in *Ingest) commit(jobs []*job) {
	began, traced := time.Now(), in.trace(jobs)
	err := in.retry(func(ctx context.Context) error { return in.applyAll(ctx, jobs) })
	traced(err)
	switch {
	case err == nil:
	case store.IsTransient(err):
		in.failAll(jobs, err)
		return
	case len(jobs) == 1:
		in.storeDeadLetter(jobs[0], err)
	default:
		half := len(jobs) / 2
		in.commit(jobs[:half])
		in.commit(jobs[half:])
		return
	}
	in.Stats.Commits.Add(1)
	for _, j := range jobs {
		in.count(j)
	}
	in.reportCommit(jobs, began)
}

// retry runs a transaction until it succeeds, fails with a permanent error, or has used up its
// tries. A commit with an unknown outcome is a transient error too: if it was committed, the next
// try finds duplicates.
func (in *Ingest) retry(work func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	for n := 1; ; n++ {
		err := work(ctx)
		if err == nil || !store.IsTransient(err) || n == maxTries || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(time.Duration(n*n) * 20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// failAll fails all events of a batch; Clerk will deliver them again.
func (in *Ingest) failAll(jobs []*job, err error) {
	in.incidents.Report(slog.LevelError, "not stored", "events could not be stored", slog.Int("events", len(jobs)), slog.Any("error", err))
	in.Stats.Unavailable.Add(int64(len(jobs)))
	for _, j := range jobs {
		j.outcome = Outcome{mirror.OutcomeUnavailable, err}
		in.Stats.count(j.delivery.Type, mirror.OutcomeUnavailable)
	}
}

// storeDeadLetter keeps an event that alone makes the transaction fail.
func (in *Ingest) storeDeadLetter(j *job, cause error) {
	err := in.retry(func(ctx context.Context) error {
		b, jobs := newBatch(in), []*job{j}
		return in.db.UpdateWith(ctx, b.wanted(jobs), func(tx *store.Tx, found store.Found) error {
			if err := b.within(tx).use(tx, found, jobs); err != nil {
				return err
			}
			d := j.delivery
			earlier := b.inbox.earlier[d.MessageID]
			d.State, d.Reason, d.Attempts = mirror.DeliveryDead, ReasonError, earlier.Attempts+1
			d.State = stillDismissed(earlier, d)
			if refusal, ok := errors.AsType[*mirror.OnChangeError](cause); ok {
				d.Reason = ReasonHook
				if j.delivery.State != mirror.DeliveryErased { // nothing that may name the user is kept
					d.Problem = refusal.Problem()
				}
				if err := tx.NoteRefusal(ctx, d.Problem); err != nil {
					return err
				}
			}
			return tx.SaveInbox(ctx, []store.Delivery{d})
		})
	})
	if err != nil {
		// a dead letter that cannot be stored was not accepted
		j.outcome = Outcome{mirror.OutcomeUnavailable, errors.Join(cause, err)}
		return
	}
	j.outcome = Outcome{mirror.OutcomeFailed, cause}
}

func (in *Ingest) count(j *job) {
	in.Stats.count(j.delivery.Type, j.outcome.Status)
	switch j.outcome.Status {
	case mirror.OutcomeProcessed:
		in.Stats.Applied.Add(1)
	case mirror.OutcomeDuplicate:
		in.Stats.Duplicates.Add(1)
	case mirror.OutcomeIgnored:
		in.Stats.Ignored.Add(1)
	case mirror.OutcomeQuarantined:
		in.Stats.Quarantined.Add(1)
		in.incidents.Report(slog.LevelWarn, "quarantined", "event quarantined", slog.String("message_id", j.delivery.MessageID),
			slog.String("type", j.delivery.Type), slog.String("instance", j.delivery.InstanceID))
	case mirror.OutcomeInvalid, mirror.OutcomeFailed:
		in.Stats.Dead.Add(1)
		in.incidents.Report(slog.LevelError, "dead letter "+j.delivery.Reason, "event is a dead letter", slog.String("message_id", j.delivery.MessageID),
			slog.String("type", j.delivery.Type), slog.Any("error", j.outcome.Err))
	case mirror.OutcomeUnavailable:
		in.Stats.Unavailable.Add(1)
	case mirror.OutcomeUnreadable: // was never submitted
	}
}
