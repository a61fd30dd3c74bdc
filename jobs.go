package clerksync

import (
	"context"
	"iter"

	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/jobs"
	"github.com/clerksync/clerksync/internal/upkeep"
	"github.com/clerksync/clerksync/internal/write"
	"github.com/clerksync/clerksync/mirror"
)

// Jobs plans, starts, shows and cancels work on many objects. The work is done in the background,
// by one process at a time that runs [Mirror.Run] for the database, and survives its end.
type Jobs struct{ jobs *jobs.Service }

// Jobs returns the service of work on many objects.
func (m *Mirror) Jobs() Jobs { return Jobs{m.jobs} }

// Plan finds out what a job would do: how many objects it would work on, and what would change with
// some of them. It counts up to 10,000 objects, for two seconds at most. Nothing is done before
// [Jobs.Start], which is possible within an hour.
//
// The error is [ErrInvalidJob], [ErrNotFound] for an id that does not exist, [ErrInvalidRole],
// [ErrWritesDisabled] for an action that changes something at Clerk, or [ErrNoSecretKey] for one
// that reads Clerk.
func (s Jobs) Plan(ctx context.Context, r mirror.JobRequest, by mirror.By) (mirror.Job, error) {
	return s.jobs.Plan(ctx, r, by)
}

// Start starts a planned job. It also lets a job go on that failed or was cancelled. A job that
// waits or runs already stays as it is. The error is [ErrNotFound], [ErrJobExpired], [ErrJobEnded]
// or [ErrTooManyJobs].
func (s Jobs) Start(ctx context.Context, id string, by mirror.By) (mirror.Job, error) {
	return s.jobs.Start(ctx, id, by)
}

// Cancel ends a job after the objects that are in progress, within a second. What was done stays
// done. The error is [ErrNotFound], or [ErrJobEnded] for a job that is done or has failed.
func (s Jobs) Cancel(ctx context.Context, id string, by mirror.By) (mirror.Job, error) {
	return s.jobs.Cancel(ctx, id, by)
}

// ByID returns a job, or [ErrNotFound].
func (s Jobs) ByID(ctx context.Context, id string) (mirror.Job, error) { return s.jobs.ByID(ctx, id) }

// List returns a page of jobs, newest first. Their samples have no labels.
func (s Jobs) List(ctx context.Context, f mirror.JobFilter) (mirror.Page[mirror.Job], error) {
	return s.jobs.DB.Jobs(ctx, f)
}

// All iterates over the jobs that a filter selects, newest first. It reads a page at a time.
func (s Jobs) All(ctx context.Context, f mirror.JobFilter) iter.Seq2[mirror.Job, error] {
	return allOf(f.After, func(after mirror.Cursor) (mirror.Page[mirror.Job], error) {
		f := f // goroutines may share the iterator
		f.After = after
		return s.List(ctx, f)
	})
}

// Failures returns a page of the objects that a job could not work on, in the order of the work.
// The first 10,000 of each job are kept.
func (s Jobs) Failures(ctx context.Context, id string, f mirror.JobFailureFilter) (mirror.Page[mirror.JobFailure], error) {
	return s.jobs.DB.JobFailures(ctx, id, f)
}

// Run waits until a started job has ended, and works on it in this process unless another one does.
// It is for programs without [Mirror.Run], such as commands. progress is called from time to time;
// it may be nil. If the context ends first, the objects in progress are finished, and the job goes
// on as soon as a process works on jobs.
func (s Jobs) Run(ctx context.Context, id string, progress func(mirror.Job)) (mirror.Job, error) {
	return s.jobs.RunJob(ctx, id, progress)
}

// inBackground makes changes for jobs, behind whoever waits for the budget of requests.
type inBackground struct{ writer *write.Writer }

func (b inBackground) Check() error { return b.writer.Check() }

func (b inBackground) SetRole(ctx context.Context, userID, role string, by mirror.By) error {
	_, err := b.writer.SetRole(ctx, userID, role, by, clerkapi.Background)
	return err
}

func (b inBackground) RevokeSessions(ctx context.Context, userID string, by mirror.By) (int, error) {
	n, _, err := b.writer.RevokeSessions(ctx, userID, by, clerkapi.Background)
	return n, err
}

func (b inBackground) RevokeSession(ctx context.Context, sessionID string, by mirror.By) error {
	_, err := b.writer.RevokeSession(ctx, sessionID, by, clerkapi.Background)
	return err
}

func (b inBackground) Erase(ctx context.Context, userID string, by mirror.By) error {
	_, err := b.writer.DeleteAndEraseRows(ctx, userID, by, clerkapi.Background)
	return err
}

func (b inBackground) FinishErasures(ctx context.Context) error { return b.writer.FinishErasures(ctx) }

// onDemand reads lists at Clerk for jobs, which show that they wait for another process.
type onDemand struct{ upkeep *upkeep.Upkeep }

func (o onDemand) Backfill(ctx context.Context, progress func(mirror.SyncProgress)) (*mirror.SyncReport, error) {
	return o.upkeep.TryBackfill(ctx, progress)
}

func (o onDemand) Reconcile(ctx context.Context, options mirror.ReconcileOptions) (*mirror.SyncReport, error) {
	return o.upkeep.TryReconcile(ctx, options)
}
