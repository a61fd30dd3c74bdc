package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
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
		e := &env{T: t, db: d.OpenFast(t)}
		var err error
		e.ingest, err = ingest.New(t.Context(), ingest.Config{DB: e.db})
		e.must(err)
		t.Cleanup(e.ingest.Close)
		e.jobs = e.process(jobs.Config{})
		test(e)
	})
}

// process returns another process that works on jobs of the same database.
func (e *env) process(c jobs.Config) *jobs.Service {
	c.DB = e.db
	if c.Deliveries == nil {
		c.Deliveries = e.ingest
	}
	if c.Poll == 0 {
		c.Poll = 5 * time.Millisecond
	}
	if c.Pause == 0 {
		c.Pause = time.Millisecond
	}
	c.Logger = slog.New(slog.NewTextHandler(e.Output(), nil))
	return jobs.New(c)
}

func (e *env) must(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

var ada = mirror.By{Actor: "ada", Origin: "POST /api/jobs", Address: "192.0.2.1"}

// received stores deliveries as an older version left them. Half of the dead ones can be applied.
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
func (e *env) run(id string) mirror.Job {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), 20*time.Second)
	defer cancel()
	j, err := e.jobs.RunJob(ctx, id, nil)
	e.must(err)
	return j
}

// refused demands that an error is the expected one.
func (e *env) refused(err, want error) {
	e.Helper()
	if !errors.Is(err, want) {
		e.Errorf("the error is %v, want %v", err, want)
	}
}
