package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/jobs"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// env is a database, and a process that works on jobs.
type env struct {
	*testing.T
	db     *store.DB
	ingest *ingest.Ingest
	jobs   *jobs.Service
}

// eachEngine runs a test in real time on both engines.
func eachEngine(t *testing.T, test func(*env)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		e := newEnv(t, d.OpenFast(t), nil)
		t.Cleanup(e.ingest.Close)
		test(e)
	})
}

// bubble runs a test with SQLite in a bubble of package synctest: no time passes but in waiting.
func bubble(t *testing.T, test func(*env)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"), sqlite.DangerouslySynchronousNormal())
		e := newEnv(t, db, err)
		test(e)
		e.ingest.Close()
		e.must(db.Close())
	})
}

func newEnv(t *testing.T, db *store.DB, err error) *env {
	t.Helper()
	e := &env{T: t, db: db}
	e.must(err)
	e.must(db.Migrate(t.Context()))
	e.ingest, err = ingest.New(t.Context(), ingest.Config{DB: db, Logger: slog.New(slog.DiscardHandler)})
	e.must(err)
	e.jobs = e.process(jobs.Config{})
	return e
}

// process returns another process that works on jobs of the same database.
func (e *env) process(c jobs.Config) *jobs.Service {
	c.DB = e.db
	if c.Deliveries == nil {
		c.Deliveries = e.ingest
	}
	c.Logger = slog.New(slog.NewTextHandler(e.Output(), nil))
	return jobs.New(c)
}

// running makes a process work until the test, or the function that it returns, ends that.
func (e *env) running(s *jobs.Service) (stop func()) {
	ctx, cancel := context.WithCancel(e.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	e.Cleanup(stop)
	return stop
}

func (e *env) must(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

var ada = mirror.By{Actor: "ada", Origin: "POST /api/jobs", Address: "192.0.2.1"}

// received stores deliveries as an older version left them. Every other one can be applied.
func (e *env) received(n int, state mirror.DeliveryState, at time.Time) {
	e.Helper()
	list := make([]store.Delivery, n)
	for i := range list {
		list[i] = store.Delivery{
			MessageID: fmt.Sprintf("msg_%s_%04d", state, i), ReceivedAt: clerk.TimeOf(at), Type: "user.updated", State: state, Attempts: 1,
			Body: fmt.Sprintf(`{"data":{"id":"user_%d","updated_at":1780000000000},"timestamp":1780000000000,"type":"user.updated"}`, i),
		}
		if i%2 == 1 {
			list[i].Body = `{"data":{},"type":"user.updated"}`
		}
	}
	e.must(e.db.Update(e.Context(), func(tx *store.Tx) error { return tx.SaveInbox(e.Context(), list) }))
}

// replays is the request to replay all dead letters.
var replays = mirror.JobRequest{Action: mirror.JobReplayDeliveries, Filter: mirror.JobSelection{State: mirror.DeliveryDead}}

// plan plans a job.
func (e *env) plan(r mirror.JobRequest) mirror.Job {
	e.Helper()
	j, err := e.jobs.Plan(e.Context(), r, ada)
	e.must(err)
	return j
}

// start plans and starts a job.
func (e *env) start(r mirror.JobRequest) mirror.Job {
	e.Helper()
	j, err := e.jobs.Start(e.Context(), e.plan(r).ID, ada)
	e.must(err)
	return j
}

func (e *env) job(id string) mirror.Job {
	e.Helper()
	j, err := e.jobs.ByID(e.Context(), id)
	e.must(err)
	return j
}

// is demands what a job is, and how many objects are done, failed and skipped.
func (e *env) is(id string, state mirror.JobState, done, failed, skipped int64) mirror.Job {
	e.Helper()
	j := e.job(id)
	if j.State != state || j.Done != done || j.Failed != failed || j.Skipped != skipped || state.Ended() == j.EndedAt.IsZero() {
		e.Errorf("the job is %s with %d done, %d failed, %d skipped, ended at %s: %q; want %s, %d, %d, %d",
			j.State, j.Done, j.Failed, j.Skipped, j.EndedAt, j.Error, state, done, failed, skipped)
	}
	return j
}

// failures returns all failures of a job, read in small pages.
func (e *env) failures(id string) (all []mirror.JobFailure) {
	e.Helper()
	for f := (mirror.JobFailureFilter{Limit: 7}); ; {
		p, err := e.db.JobFailures(e.Context(), id, f)
		e.must(err)
		if all = append(all, p.Items...); p.Next == "" {
			return all
		}
		f.After = p.Next
	}
}

// run works on a job until it has ended.
func (e *env) run(s *jobs.Service, id string) mirror.Job {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), time.Minute)
	defer cancel()
	j, err := s.RunJob(ctx, id, nil)
	e.must(err)
	return j
}

func (e *env) refused(what string, err, want error) {
	e.Helper()
	if !errors.Is(err, want) {
		e.Errorf("%s: the error is %v, want %v", what, err, want)
	}
}

// replayer replays as it is told, and notes what it was given.
type replayer struct {
	mu     sync.Mutex
	ids    []string
	calls  int
	answer func(ctx context.Context, call int, ids []string) (mirror.ReplayReport, error)
}

func (r *replayer) ReplayStored(ctx context.Context, ids []string, o mirror.ReplayOptions) (mirror.ReplayReport, error) {
	if o.DryRun {
		return mirror.ReplayReport{}, nil
	}
	r.mu.Lock()
	r.calls++
	call := r.calls
	r.mu.Unlock()
	report, err := mirror.ReplayReport{Replayed: int64(len(ids))}, error(nil)
	if r.answer != nil {
		report, err = r.answer(ctx, call, ids)
	}
	if err == nil {
		r.mu.Lock()
		r.ids = append(r.ids, ids...)
		r.mu.Unlock()
	}
	return report, err
}

// replayed returns the ids of what was replayed, in order, and how many of them came more than
// once.
func (r *replayer) replayed() (ids []string, twice int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids = slices.Compact(slices.Sorted(slices.Values(r.ids)))
	return ids, len(r.ids) - len(ids)
}

func all(ids []string) (mirror.ReplayReport, error) {
	return mirror.ReplayReport{Replayed: int64(len(ids))}, nil
}

// pass lets time pass, in a bubble.
func pass(d time.Duration) { <-time.After(d) }
