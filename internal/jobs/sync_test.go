package jobs_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/jobs"
	"github.com/clerksync/clerksync/mirror"
)

// lists reads lists at Clerk as it is told.
type lists struct {
	read  func(ctx context.Context, o mirror.ReconcileOptions) (*mirror.SyncReport, error)
	calls atomic.Int64
}

func (l *lists) Reconcile(ctx context.Context, o mirror.ReconcileOptions) (*mirror.SyncReport, error) {
	l.calls.Add(1)
	return l.read(ctx, o)
}

func (l *lists) Backfill(ctx context.Context, progress func(mirror.SyncProgress)) (*mirror.SyncReport, error) {
	return l.Reconcile(ctx, mirror.ReconcileOptions{Progress: progress})
}

// slowWalk reads two kinds, and takes 20 seconds for each.
func slowWalk(ctx context.Context, o mirror.ReconcileOptions) (*mirror.SyncReport, error) {
	report := &mirror.SyncReport{}
	for _, kind := range []clerk.Kind{clerk.KindUser, clerk.KindOrganization} {
		for i := range 20 {
			o.Progress(mirror.SyncProgress{Kind: kind, Rows: (i + 1) * 100, Total: 2000})
			select {
			case <-ctx.Done():
				return report, ctx.Err()
			case <-time.After(time.Second):
			}
		}
		report.Kinds = append(report.Kinds, mirror.KindReport{Kind: kind, Rows: 2000, Total: 2000, Complete: true, Found: 3, Repaired: 2})
	}
	return report, nil
}

// A job that reads Clerk waits for another process that does, shows how far each kind is, and can
// be cancelled. Jobs that do not read Clerk need not wait for it.
func TestReadingClerk(t *testing.T) {
	bubble(t, func(e *env) {
		var busy atomic.Bool
		l := &lists{read: func(ctx context.Context, o mirror.ReconcileOptions) (*mirror.SyncReport, error) {
			if busy.Load() {
				return nil, mirror.ErrSyncBusy
			}
			return slowWalk(ctx, o)
		}}
		config := jobs.Config{Sync: l, ReadsClerk: true, Listed: func(clerk.Kind) bool { return true }}
		e.jobs = e.process(config)
		stop := e.running(e.jobs)
		e.received(10, mirror.DeliveryDead, time.Now().Add(-time.Minute))

		busy.Store(true)
		id := e.start(mirror.JobRequest{Action: mirror.JobReconcile}).ID
		pass(5500 * time.Millisecond)
		if j := e.is(id, mirror.JobRunning, 0, 0, 0); !strings.Contains(j.Problem, "another process reads Clerk") {
			e.Errorf("it waits for %q", j.Problem)
		}
		replay := e.start(replays).ID
		pass(time.Second)
		e.is(replay, mirror.JobDone, 5, 5, 0)
		busy.Store(false)
		pass(25 * time.Second)
		j := e.job(id)
		if len(j.Progress) != 2 || !j.Progress[0].Done || j.Progress[0].Rows != 2000 || j.Progress[1].Done || j.Progress[1].Rows == 0 ||
			j.Progress[1].Total != 2000 || j.Done != 2000+j.Progress[1].Rows || j.Rate < 90 || j.Rate > 110 || j.Problem != "" {
			e.Errorf("in between: %+v", j)
		}
		pass(25 * time.Second)
		want := mirror.JobProgress{Kind: clerk.KindUser, Rows: 2000, Total: 2000, Done: true, Found: 3, Repaired: 2}
		if j = e.is(id, mirror.JobDone, 4000, 0, 0); len(j.Progress) != 2 || j.Progress[0] != want || j.Rate != 0 {
			e.Errorf("in the end: %+v", j)
		}

		id = e.start(mirror.JobRequest{Action: mirror.JobBackfill}).ID
		pass(10500 * time.Millisecond)
		_, err := e.jobs.Cancel(e.Context(), id, ada)
		e.must(err)
		pass(2 * time.Second)
		if j := e.job(id); j.State != mirror.JobCancelled || j.Done < 900 || j.Done > 1200 {
			e.Errorf("cancelled: %+v", j)
		}

		// The process ends in between, and another one begins again.
		id = e.start(mirror.JobRequest{Action: mirror.JobReconcile}).ID
		pass(30 * time.Second)
		stop()
		if j := e.job(id); j.State != mirror.JobRunning {
			e.Errorf("after the end of the process: %+v", j)
		}
		calls := l.calls.Load()
		e.running(e.process(config))
		pass(time.Minute)
		e.is(id, mirror.JobDone, 4000, 0, 0)
		if l.calls.Load() != calls+1 {
			e.Errorf("%d walks after the restart", l.calls.Load()-calls)
		}
	})
}

// A walk that cannot be completed ends its job with the reason.
func TestReadingClerkFails(t *testing.T) {
	bubble(t, func(e *env) {
		l := &lists{}
		e.jobs = e.process(jobs.Config{Sync: l, ReadsClerk: true})
		for says, read := range map[string]func() (*mirror.SyncReport, error){
			"Clerk is down":                        func() (*mirror.SyncReport, error) { return nil, errors.New("Clerk is down\nmore") },
			"some lists could not be read whole: ": func() (*mirror.SyncReport, error) { return partly(false), nil },
			"900 of 1000 rows of kind user are": func() (*mirror.SyncReport, error) {
				return partly(true), &mirror.MassDeletionError{Kind: clerk.KindUser, Missing: 900, Rows: 1000}
			},
		} {
			l.read = func(_ context.Context, o mirror.ReconcileOptions) (*mirror.SyncReport, error) {
				o.Progress(mirror.SyncProgress{Rows: 3, AskedAgain: time.Unix(7, 0)})
				return read()
			}
			j := e.run(e.jobs, e.start(mirror.JobRequest{Action: mirror.JobReconcile}).ID)
			if j.State != mirror.JobFailed || !strings.HasPrefix(j.Error, says) || strings.Contains(j.Error, "\n") || j.Problem != "" {
				e.Errorf("%s: %+v", says, j)
			}
		}
	})
}

// partly is the report of a walk of two kinds, of which one was refused.
func partly(whole bool) *mirror.SyncReport {
	return &mirror.SyncReport{Kinds: []mirror.KindReport{
		{Kind: clerk.KindUser, Rows: 5, Complete: whole, Reason: "the list ended early"}, {Kind: clerk.KindOrganization, Refused: true},
	}}
}

// RunJob shows the caller how far the job is. It has nothing to do for a plan.
func TestRunJob(t *testing.T) {
	bubble(t, func(e *env) {
		e.received(200, mirror.DeliveryDead, time.Now().Add(-time.Minute))
		r := &replayer{answer: func(_ context.Context, _ int, ids []string) (mirror.ReplayReport, error) {
			pass(1100 * time.Millisecond)
			return all(ids)
		}}
		e.jobs = e.process(jobs.Config{Deliveries: r})
		planned := e.plan(replays)
		if j, err := e.jobs.RunJob(e.Context(), planned.ID, nil); err != nil || j.State != mirror.JobPlanned {
			e.Errorf("a plan: %+v, %v", j, err)
		}
		_, err := e.jobs.Start(e.Context(), planned.ID, ada)
		e.must(err)
		var seen []int64
		j, err := e.jobs.RunJob(e.Context(), planned.ID, func(j mirror.Job) {
			if len(seen) == 0 || seen[len(seen)-1] != j.Done {
				seen = append(seen, j.Done)
			}
		})
		if err != nil || j.State != mirror.JobDone || len(seen) < 4 || seen[1] != 64 || seen[3] != 192 {
			e.Errorf("it ended as %+v, %v, and was seen at %v", j, err, seen)
		}
	})
}

// While a job runs, its deliveries change and others come: it works on those of its plan, once.
func TestFilterThatChanges(t *testing.T) {
	bubble(t, func(e *env) {
		e.received(100, mirror.DeliveryDead, time.Now().Add(-time.Minute))
		r := &replayer{}
		r.answer = func(ctx context.Context, call int, ids []string) (mirror.ReplayReport, error) {
			if call == 1 { // later ones, with ids before and after the others
				pass(time.Second)
				e.received(40, mirror.DeliveryApplied, time.Now())
			}
			return e.ingest.ReplayStored(ctx, ids, mirror.ReplayOptions{KeepGoing: true})
		}
		e.jobs = e.process(jobs.Config{Deliveries: r})
		j := e.run(e.jobs, e.start(mirror.JobRequest{Action: mirror.JobReplayDeliveries}).ID)
		e.is(j.ID, mirror.JobDone, 50, 50, 0)
		dead := e.start(replays)
		if dead.Plan.Matches != 50 {
			e.Errorf("%d are dead after the replay", dead.Plan.Matches)
		}
		e.run(e.jobs, dead.ID)
		e.is(dead.ID, mirror.JobDone, 0, 50, 0)
		if ids, twice := r.replayed(); len(ids) != 100 || twice != 50 {
			e.Errorf("%d were replayed, %d more than once", len(ids), twice)
		}
	})
}
