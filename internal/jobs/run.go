package jobs

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/wait"
	"github.com/clerksync/clerksync/mirror"
)

const (
	saveEvery   = time.Second
	objectsPage = 500
	// maxTries is how often something is tried that fails for no fault of the object, and
	// longestPause is the longest pause in between: two minutes in all.
	maxTries     = 8
	longestPause = 30 * time.Second
	// maxDoubtful is how many objects in a row can fail for no fault of theirs before the job ends.
	maxDoubtful = 3
	// maxReason bounds the texts that say why something failed.
	maxReason = 300
)

// errCancelled means that an operator has cancelled the job.
var errCancelled = errors.New("the job was cancelled")

// running is a job that this process works on.
type running struct {
	*tenure

	job   *store.Job
	saved store.JobSaved // and what has changed since
	at    time.Time      // when it was saved
	rate  rate
	stop  context.Context //nolint:containedctx // ends when the job is to be cancelled

	doubtful []doubt // objects that had no answer, after the place that is saved
	inRow    int     // objects that failed since the last one that did not
}

// doubt is an object that may have failed for no fault of its own.
type doubt struct {
	failure mirror.JobFailure
	cursor  string
}

// do works on a job until it has ended, the lease is lost or the context ends.
func (t *tenure) do(ctx context.Context, j *store.Job) error {
	stop, cancel := context.WithCancel(ctx)
	defer cancel()
	t.working(j.ID, cancel)
	defer t.working("", nil)
	r := &running{tenure: t, job: j, stop: stop, saved: store.JobSaved{
		ID: j.ID, State: mirror.JobRunning, Cursor: j.Cursor, Done: j.Done, Failed: j.Failed, Skipped: j.Skipped, Progress: j.Progress, By: j.By,
	}}
	if j.State == mirror.JobCancelling {
		return r.end(ctx, errCancelled)
	}
	if err := r.save(ctx); err != nil {
		return ignoreEnded(err)
	}
	t.Logger.Info("a job runs", "job", j.ID, "action", j.Action, "started_by", j.StartedBy)
	if j.Action.ReadsClerk() {
		return ignoreEnded(r.end(ctx, r.sync(ctx)))
	}
	a := r.actionOf(j.Action)
	err := r.objects(ctx, a)
	if a.finish != nil && ctx.Err() == nil {
		if failed := a.finish(ctx, r.Service); failed != nil {
			r.Logger.Warn("a job left work that a server does within a minute", "job", j.ID, "error", failed)
		}
	}
	return ignoreEnded(r.end(ctx, err))
}

// ignoreEnded makes nil of the error that a job has ended, because an operator ended it.
func ignoreEnded(err error) error {
	if errors.Is(err, mirror.ErrJobEnded) || errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// end saves how the job ended. If the context has ended, or the lease is lost, the job goes on
// later.
func (r *running) end(ctx context.Context, err error) error {
	s := &r.saved
	s.Rate, s.Problem = 0, ""
	switch {
	case err == nil:
		s.State = mirror.JobDone
	case errors.Is(err, errCancelled):
		s.State = mirror.JobCancelled
	case errors.Is(err, mirror.ErrJobEnded) || errors.Is(err, errLost) || errors.Is(context.Cause(ctx), errLost):
		return err
	case ctx.Err() != nil: // the process ends
		saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		_ = r.save(saving) // what is not saved is done again
		return ctx.Err()
	default:
		s.State, s.Error = mirror.JobFailed, shorten(err.Error())
	}
	if err := r.saveSurely(ctx); err != nil {
		return err
	}
	r.Stats.end(s.State)
	log := r.Logger.Info
	if s.State == mirror.JobFailed {
		log = r.Logger.Error
	}
	log("a job has ended", "job", s.ID, "action", r.job.Action, "state", s.State, "done", s.Done, "failed", s.Failed, "skipped", s.Skipped, "error", s.Error)
	return nil
}

// save stores the progress. What the database has of the job afterwards, it has at least as long
// as the lease is ours.
func (r *running) save(ctx context.Context) error {
	now := r.Now()
	s := &r.saved
	if s.State == mirror.JobRunning {
		s.Rate = r.rate.note(now, s.Done+s.Failed+s.Skipped)
	}
	state, err := r.DB.SaveJob(ctx, r.lease, r.Lease, s, r.now())
	if errors.Is(err, store.ErrFenced) {
		return errLost
	}
	if err != nil {
		return err
	}
	s.Failures, r.at = nil, now
	r.extended(now)
	if state == mirror.JobCancelling {
		r.cancel()
	}
	return nil
}

// saveSurely saves, again and again while the database does not work and the lease is ours.
func (r *running) saveSurely(ctx context.Context) error {
	for pause := r.Pause; ; pause = min(2*pause, longestPause) {
		err := r.save(ctx)
		if err == nil || !store.IsTransient(err) || ctx.Err() != nil || !r.ours() {
			return err
		}
		if wait.For(ctx, pause) != nil {
			return err
		}
	}
}

// due reports whether the progress is to be saved.
func (r *running) due() bool { return r.Now().Sub(r.at) >= saveEvery }

// check returns why the work must not go on.
func (r *running) check(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !r.ours():
		return errLost
	case r.stop.Err() != nil:
		return errCancelled
	}
	return nil
}

// objects works on the objects of the job, from the saved place on.
func (r *running) objects(ctx context.Context, a *action) error {
	source, limit := r.source(r.job), objectsPage
	if r.job.Filter.Search != "" {
		limit = 1 // it has no place between the objects of a page
	}
	for cursor, ended := r.saved.Cursor, false; !ended; {
		page, err := trying(ctx, r, func(ctx context.Context) (store.JobObjects, error) { return source(ctx, cursor, limit) })
		if err != nil {
			return err
		}
		for list := page.Objects; len(list) > 0; {
			n := min(len(list), a.together)
			if err := r.some(ctx, a, list[:n]); err != nil {
				return err
			}
			list = list[n:]
		}
		cursor, ended = string(page.Next), page.Next == ""
		if len(r.doubtful) == 0 && !ended {
			r.saved.Cursor = cursor
		}
		if err := r.check(ctx); err != nil {
			return err
		}
		if r.due() {
			if err := r.saveSurely(ctx); err != nil {
				return err
			}
		}
	}
	r.settle()
	return nil
}

// some works on some objects at once.
func (r *running) some(ctx context.Context, a *action, list []store.JobObject) error {
	last := list[len(list)-1].Cursor
	did, err := trying(ctx, r, func(ctx context.Context) (tally, error) { return a.do(ctx, r.Service, r.job, list) })
	switch {
	case err == nil:
		r.settle()
		r.count(did, string(last))
		if r.inRow += len(did.failures); did.done > 0 {
			r.inRow = 0
		}
		if a.maxInRow > 0 && r.inRow >= a.maxInRow {
			return fmt.Errorf("%d objects in a row failed; start the job again to go on after them: %s", r.inRow, did.failures[0].Reason)
		}
	case !retryable(err):
		return err
	case len(list) > 1 || len(r.doubtful)+1 >= maxDoubtful:
		return fmt.Errorf("%d objects in a row got no answer; start the job again to go on with them: %w", len(r.doubtful)+len(list), err)
	default:
		r.doubtful = append(r.doubtful, doubt{r.failure(list[0].ID, err), string(last)})
	}
	if last != "" && r.due() { // a search has no place after its last object
		return r.saveSurely(ctx)
	}
	return nil
}

// count adds what was done, up to a place.
func (r *running) count(did tally, cursor string) {
	s := &r.saved
	s.Done, s.Skipped, s.Failed = s.Done+did.done, s.Skipped+did.skipped, s.Failed+int64(len(did.failures))
	s.Failures = append(s.Failures, did.failures...)
	if cursor != "" {
		s.Cursor = cursor
	}
	r.Stats.count(r.job.Action, did)
}

// settle counts the doubtful objects as failed: an answer has come for another one after them.
func (r *running) settle() {
	for _, d := range r.doubtful {
		r.count(tally{failures: []mirror.JobFailure{d.failure}}, d.cursor)
	}
	r.doubtful = nil
}

func (r *running) failure(id string, err error) mirror.JobFailure {
	return mirror.JobFailure{JobID: r.job.ID, ObjectID: id, Reason: shorten(err.Error()), At: r.Now()}
}

// shorten returns the first line of a text, within bounds.
func shorten(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return text
}

// trying runs work until it succeeds, fails for good, or was tried often enough. In between, the
// job says what it waits for. The context of the work ends when the job is cancelled.
func trying[T any](ctx context.Context, r *running, work func(context.Context) (T, error)) (result T, err error) {
	for n, pause := 1, r.Pause; ; n, pause = n+1, min(2*pause, longestPause) {
		if err := r.check(ctx); err != nil {
			return result, err
		}
		result, err = safely(r.stop, r, work)
		if err == nil || !retryable(err) || n == maxTries {
			if r.saved.Problem != "" {
				r.saved.Problem, r.at = "", time.Time{} // to be saved soon
			}
			return result, err
		}
		if stopped := r.check(ctx); stopped != nil {
			return result, stopped
		}
		r.saved.Problem = shorten(err.Error())
		if err := r.save(ctx); err != nil && !store.IsTransient(err) {
			return result, err
		}
		if wait.For(r.stop, pause) != nil {
			return result, r.check(ctx)
		}
	}
}

// safely returns an error if work panics. The panic would end each process that takes the job over.
func safely[T any](ctx context.Context, r *running, work func(context.Context) (T, error)) (result T, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			r.Logger.Error("a job panicked", "job", r.job.ID, "panic", cause, "stack", string(debug.Stack()))
			err = fmt.Errorf("it panicked, see the log: %v", cause)
		}
	}()
	return work(ctx)
}
