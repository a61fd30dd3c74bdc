package jobs_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/internal/jobs"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// A job can be cancelled at any point. What was done stays done, and a job that was started goes on
// from there if it is started again.
func TestCancel(t *testing.T) {
	bubble(t, func(e *env) {
		e.received(200, mirror.DeliveryDead, time.Now().Add(-time.Minute))
		cancel := func(id string) error {
			_, err := e.jobs.Cancel(e.Context(), id, ada)
			return err
		}
		start := func(id string) error {
			_, err := e.jobs.Start(e.Context(), id, ada)
			return err
		}
		e.refused("a job that is not there", cancel("job_x"), mirror.ErrNotFound)

		planned := e.plan(replays).ID
		for range 2 { // the second changes nothing
			e.must(cancel(planned))
			e.is(planned, mirror.JobCancelled, 0, 0, 0)
		}
		e.refused("a plan that was given up", start(planned), mirror.ErrJobEnded)

		waiting := e.start(replays).ID
		e.must(start(waiting)) // once more changes nothing
		e.must(cancel(waiting))
		e.is(waiting, mirror.JobCancelled, 0, 0, 0)

		held := make(chan struct{})
		r := &replayer{answer: func(_ context.Context, call int, ids []string) (mirror.ReplayReport, error) {
			if call == 2 {
				<-held
			}
			return all(ids)
		}}
		stop := e.running(e.process(jobs.Config{Deliveries: r}))
		running := e.start(replays).ID
		pass(10 * time.Second)
		e.is(running, mirror.JobRunning, 0, 0, 0) // the first batch is not saved: it took no second
		e.must(cancel(running))
		e.must(cancel(running))
		e.refused("a job that is being cancelled", start(running), mirror.ErrJobEnded)
		pass(10 * time.Second)
		e.is(running, mirror.JobCancelling, 0, 0, 0)
		close(held)
		synctest.Wait()
		pass(3 * time.Second)
		if j := e.is(running, mirror.JobCancelled, 128, 0, 0); j.CancelledBy != "ada" {
			e.Errorf("cancelled by %q", j.CancelledBy)
		}
		e.must(start(running))
		pass(5 * time.Second)
		if j := e.is(running, mirror.JobDone, 200, 0, 0); j.CancelledBy != "" {
			e.Errorf("started again, cancelled by %q", j.CancelledBy)
		}
		if ids, twice := r.replayed(); len(ids) != 200 || twice != 0 {
			e.Errorf("%d were replayed, %d of them twice", len(ids), twice)
		}
		e.refused("a job that is done", cancel(running), mirror.ErrJobEnded)
		e.refused("a job that is done", start(running), mirror.ErrJobEnded)
		stop()

		// The process is gone, and its lease with it.
		r.answer = func(_ context.Context, _ int, ids []string) (mirror.ReplayReport, error) {
			pass(2 * time.Second)
			return all(ids)
		}
		e.jobs = e.process(jobs.Config{Deliveries: r})
		stop = e.running(e.jobs)
		left := e.start(replays).ID
		pass(5 * time.Second)
		stop()
		e.is(left, mirror.JobRunning, 192, 0, 0)
		e.must(cancel(left))
		e.is(left, mirror.JobCancelled, 192, 0, 0)
	})
}

// Of several processes one works, on one job after another in the order of their starts.
func TestProcesses(t *testing.T) {
	bubble(t, func(e *env) {
		e.received(300, mirror.DeliveryDead, time.Now().Add(-time.Minute))
		var atOnce, most atomic.Int64
		r := &replayer{answer: func(_ context.Context, _ int, ids []string) (mirror.ReplayReport, error) {
			most.Store(max(most.Load(), atOnce.Add(1)))
			defer atOnce.Add(-1)
			pass(300 * time.Millisecond)
			return all(ids)
		}}
		for range 3 {
			e.running(e.process(jobs.Config{Deliveries: r}))
		}
		first, second := e.start(replays).ID, e.start(replays).ID
		pass(2200 * time.Millisecond)
		if j := e.job(second); j.State != mirror.JobWaiting && e.job(first).State != mirror.JobDone {
			e.Errorf("the second job is %s before the first one is done", j.State)
		}
		pass(10 * time.Second)
		e.is(first, mirror.JobDone, 300, 0, 0)
		e.is(second, mirror.JobDone, 300, 0, 0)
		if ids, twice := r.replayed(); len(ids) != 300 || twice != 300 || most.Load() != 1 {
			e.Errorf("%d were replayed, %d more than once, %d at once", len(ids), twice, most.Load())
		}
	})
}

// When the process that works hangs for longer than its lease, another one goes on from the last
// saved place. What the first one saves later is refused.
func TestProcessThatHangs(t *testing.T) {
	bubble(t, func(e *env) {
		e.received(300, mirror.DeliveryDead, time.Now().Add(-time.Minute))
		free := make(chan struct{})
		slow := func(_ context.Context, _ int, ids []string) (mirror.ReplayReport, error) {
			pass(1100 * time.Millisecond) // each batch is saved
			return all(ids)
		}
		hangs := &replayer{answer: func(ctx context.Context, call int, ids []string) (mirror.ReplayReport, error) {
			if call == 3 {
				<-free
			}
			return slow(ctx, call, ids)
		}}
		// Its clock stands still like the process: it does not extend its lease.
		var stopped atomic.Bool
		var at time.Time
		now := func() time.Time {
			if stopped.Load() {
				return at
			}
			return time.Now()
		}
		hanging := e.process(jobs.Config{Deliveries: hangs, Now: now, Dead: func(string) bool { return false }})
		e.running(hanging)
		id := e.start(replays).ID
		pass(5 * time.Second)
		e.is(id, mirror.JobRunning, 128, 0, 0)
		at = time.Now()
		stopped.Store(true)

		other := &replayer{answer: slow}
		e.running(e.process(jobs.Config{Deliveries: other}))
		pass(30 * time.Second)
		e.is(id, mirror.JobDone, 300, 0, 0)
		close(free)
		stopped.Store(false)
		pass(10 * time.Second)
		e.is(id, mirror.JobDone, 300, 0, 0)
		if ids, _ := other.replayed(); len(ids) != 172 || ids[0] != "msg_dead_0128" {
			e.Errorf("the other process replayed %d, from %q on", len(ids), ids[:min(1, len(ids))])
		}
	})
}

// What is no fault of the deliveries is waited for. When that takes too long, the job fails, and
// goes on if it is started again. Failures of deliveries are listed.
func TestOutage(t *testing.T) {
	bubble(t, func(e *env) {
		e.received(200, mirror.DeliveryDead, time.Now().Add(-time.Minute))
		var broken atomic.Bool
		r := &replayer{answer: func(_ context.Context, _ int, ids []string) (report mirror.ReplayReport, err error) {
			pass(1100 * time.Millisecond)
			report.Replayed = int64(len(ids))
			if broken.Load() {
				report.Failed = 1
				report.Failures = []mirror.ReplayFailure{{MessageID: ids[0], Status: mirror.OutcomeUnavailable, Problem: "disk full\nmore"}}
				return report, nil
			}
			if slices.Contains(ids, "msg_dead_0070") {
				report.Replayed, report.Failed = int64(len(ids))-1, 1 // one has no body
				report.Failures = []mirror.ReplayFailure{{MessageID: "msg_dead_0070", Status: mirror.OutcomeInvalid, Problem: strings.Repeat("x", 400)}}
			}
			return report, nil
		}}
		service := e.process(jobs.Config{Deliveries: r})
		e.jobs = service
		e.running(service)
		id := e.start(replays).ID
		pass(1200 * time.Millisecond)
		broken.Store(true)
		pass(5 * time.Second)
		if j := e.is(id, mirror.JobRunning, 64, 0, 0); j.Problem != "disk full" {
			e.Errorf("it waits for %q", j.Problem)
		}
		broken.Store(false)
		pass(10 * time.Second)
		if j := e.is(id, mirror.JobDone, 198, 1, 1); j.Problem != "" || j.Rate != 0 || j.Error != "" {
			e.Errorf("after the outage: %+v", j)
		}
		if f := e.failures(id); len(f) != 1 || f[0].ObjectID != "msg_dead_0070" || len(f[0].Reason) > 310 || !strings.HasPrefix(f[0].Reason, "xxx") {
			e.Errorf("failures: %+v", f)
		}

		id = e.start(replays).ID
		pass(1500 * time.Millisecond)
		broken.Store(true)
		pass(10 * time.Minute)
		j := e.is(id, mirror.JobFailed, 64, 0, 0)
		if !strings.HasSuffix(j.Error, "start the job again to go on with them: disk full") || j.Problem != "" {
			e.Errorf("after a long outage: %q, %q", j.Error, j.Problem)
		}
		broken.Store(false)
		_, err := e.jobs.Start(e.Context(), id, ada)
		e.must(err)
		pass(20 * time.Second)
		e.is(id, mirror.JobDone, 198, 1, 1)
		if ended := service.Stats.Ended(); ended[mirror.JobDone] != 2 || ended[mirror.JobFailed] != 1 {
			e.Errorf("counted %v", ended)
		}
		if n := service.Stats.Objects()[mirror.JobReplayDeliveries]; n != (jobs.Count{Done: 396, Failed: 2, Skipped: 2}) {
			e.Errorf("counted %+v", n)
		}
	})
}

// A job that panics fails, and does not end each process that takes it over. A job of a newer
// version is left alone, and those after it are not.
func TestJobsThatCannotBeWorkedOn(t *testing.T) {
	bubble(t, func(e *env) {
		e.received(10, mirror.DeliveryDead, time.Now().Add(-time.Minute))
		later := &store.Job{Job: mirror.Job{Action: "of_the_future", CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}}
		e.must(e.db.AddJob(e.Context(), later, ada))
		_, err := e.db.StartJob(e.Context(), later.ID, ada)
		e.must(err)
		pass(time.Second)
		r := &replayer{answer: func(context.Context, int, []string) (mirror.ReplayReport, error) { panic("oh") }}
		e.jobs = e.process(jobs.Config{Deliveries: r})
		j := e.run(e.jobs, e.start(replays).ID)
		if e.is(j.ID, mirror.JobFailed, 0, 0, 0); j.Error != "it panicked, see the log: oh" {
			e.Errorf("it failed with %q", j.Error)
		}
		e.is(later.ID, mirror.JobWaiting, 0, 0, 0)
	})
}
