package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/jobs"
	"github.com/clerksync/clerksync/mirror"
)

// users makes users with the role solo, user_00 and so on.
func (e *env) users(n int) {
	e.Helper()
	for i := range n {
		body := fmt.Sprintf(`{"type":"user.created","timestamp":%d,"data":{"object":"user","id":"user_%02d","created_at":%[1]d,"updated_at":%[1]d,
			"first_name":"Ada","last_name":"N%[2]d"}}`, time.Now().Add(-time.Hour).UnixMilli()+int64(i), i)
		if p, err := e.ingest.Prepare(ingest.Message{ID: fmt.Sprint("msg_", i), SignedAt: time.Now(), Body: []byte(body)}); err != nil {
			e.Fatal(err)
		} else if o := e.ingest.Submit(p); o.Err != nil {
			e.Fatal(o.Err)
		}
	}
}

// changes is the request to give all users a role.
func changes(f mirror.JobSelection) mirror.JobRequest {
	return mirror.JobRequest{Action: mirror.JobChangeRole, Filter: f, Role: "admin"}
}

// What Clerk refuses of one user is listed. What it refuses of all of them ends the job.
func TestChangesThatFail(t *testing.T) {
	bubble(t, func(e *env) {
		e.users(80)
		w := &writer{answer: func(_ context.Context, id string) error {
			switch id {
			case "user_03":
				return &mirror.ClerkError{Reason: mirror.ErrClerkRefused, Operation: "change", Status: 422}
			case "user_05":
				return fmt.Errorf("user %s %w", id, mirror.ErrNotFound)
			}
			return nil
		}}
		e.jobs = e.process(jobs.Config{Users: w})
		j := e.run(e.jobs, e.start(changes(mirror.JobSelection{Role: "solo"})).ID)
		e.is(j.ID, mirror.JobDone, 78, 2, 0)
		if f := e.failures(j.ID); len(f) != 2 || f[0].ObjectID != "user_03" || f[0].Reason != "change: Clerk refused the change (status 422)" || f[1].ObjectID != "user_05" {
			e.Errorf("failures: %+v", f)
		}

		w.answers(func(context.Context, string) error { return mirror.ErrClerkRefused })
		j = e.run(e.jobs, e.start(changes(mirror.JobSelection{All: true})).ID)
		e.is(j.ID, mirror.JobFailed, 0, 50, 0)
		if !strings.HasPrefix(j.Error, "50 objects in a row failed; start the job again to go on after them: Clerk refused") {
			e.Errorf("it failed with %q", j.Error)
		}
		w.answers(nil)
		_, err := e.jobs.Start(e.Context(), j.ID, ada)
		e.must(err)
		e.run(e.jobs, j.ID)
		e.is(j.ID, mirror.JobDone, 30, 50, 0)
		if asked := w.list(); len(asked) != 30 || asked[0] != "user_50 admin ada" {
			e.Errorf("%d were changed: %q", len(asked), asked)
		}

		for _, fatal := range []error{mirror.ErrSecretKeyRefused, mirror.ErrWritesDisabled, mirror.ErrInvalidRole} {
			w.answers(func(_ context.Context, id string) error {
				if id == "user_02" {
					return fatal
				}
				return nil
			})
			j = e.run(e.jobs, e.start(changes(mirror.JobSelection{All: true})).ID)
			e.is(j.ID, mirror.JobFailed, 2, 0, 0)
			if asked := w.list(); len(asked) != 3 {
				e.Errorf("%v: asked for %q", fatal, asked)
			}
		}
	})
}

// Clerk does not answer for one user: the job goes on with the others. It does not answer at all:
// the job ends before the first user who had no answer, and goes on there.
func TestClerkDoesNotAnswer(t *testing.T) {
	bubble(t, func(e *env) {
		e.users(20)
		w := &writer{}
		down := func(is func(id string) bool) {
			w.answers(func(_ context.Context, id string) error {
				if is(id) {
					return &mirror.ClerkError{Reason: mirror.ErrClerkUnavailable, Status: 503, OutcomeUnknown: true}
				}
				return nil
			})
		}
		e.jobs = e.process(jobs.Config{Users: w})
		down(func(id string) bool { return id == "user_04" || id == "user_05" })
		id := e.start(changes(mirror.JobSelection{All: true})).ID
		e.running(e.jobs)
		pass(10 * time.Second)
		if j := e.is(id, mirror.JobRunning, 4, 0, 0); !strings.Contains(j.Problem, "Clerk cannot be reached (status 503)") {
			e.Errorf("it waits for %q", j.Problem)
		}
		pass(10 * time.Minute)
		e.is(id, mirror.JobDone, 18, 2, 0)
		if f := e.failures(id); len(f) != 2 || f[0].ObjectID != "user_04" || f[1].ObjectID != "user_05" {
			e.Errorf("failures: %+v", f)
		}

		down(func(id string) bool { return id >= "user_07" })
		id = e.start(changes(mirror.JobSelection{All: true})).ID
		pass(time.Hour)
		if j := e.is(id, mirror.JobFailed, 7, 0, 0); !strings.HasPrefix(j.Error, "3 objects in a row got no answer; start the job again") {
			e.Errorf("it failed with %q", j.Error)
		}
		if asked := slices.Compact(w.list()); len(asked) != 10 {
			e.Errorf("asked for %q", asked)
		}
		down(func(string) bool { return false })
		_, err := e.jobs.Start(e.Context(), id, ada)
		e.must(err)
		pass(10 * time.Second)
		e.is(id, mirror.JobDone, 20, 0, 0)
	})
}

// A job that is cancelled while it waits for Clerk ends at once. A process that ends leaves it to
// the next one, which does no user again that was counted, also where users are searched for.
func TestChangesAreResumed(t *testing.T) {
	bubble(t, func(e *env) {
		e.users(40)
		slow := func(ctx context.Context, _ string) error {
			select {
			case <-ctx.Done():
				return &mirror.ClerkError{Reason: mirror.ErrClerkBusy, Cause: ctx.Err()}
			case <-time.After(300 * time.Millisecond):
				return nil
			}
		}
		for name, filter := range map[string]mirror.JobSelection{
			"all": {All: true}, "searched": {Search: "ada"}, "with a role": {Role: "solo"},
			"by id": {IDs: []string{"user_03", "user_00", "user_09", "user_05", "user_07", "user_01", "user_11", "user_02", "user_04", "user_06", "user_08"}},
		} {
			w := &writer{answer: slow}
			e.jobs = e.process(jobs.Config{Users: w})
			j := e.start(changes(filter))
			for lives := 0; !j.State.Ended(); lives++ {
				service := e.process(jobs.Config{Users: w})
				ctx, cancel := context.WithTimeout(e.Context(), 2300*time.Millisecond)
				_, err := service.RunJob(ctx, j.ID, nil)
				cancel()
				if j = e.job(j.ID); !j.State.Ended() && !errors.Is(err, context.DeadlineExceeded) || lives > 10 {
					e.Fatalf("%s, life %d: %+v, %v", name, lives, j, err)
				}
			}
			e.is(j.ID, mirror.JobDone, j.Plan.Matches, 0, 0)
			asked := w.list()
			done := slices.Compact(slices.Sorted(slices.Values(asked)))
			if len(done) != int(j.Plan.Matches) || len(asked)-len(done) > 10 { // one a life had no answer
				e.Errorf("%s: %d of %d, %d times", name, len(done), j.Plan.Matches, len(asked))
			}
		}
		w := &writer{answer: func(ctx context.Context, _ string) error {
			<-ctx.Done() // the budget is used up
			return &mirror.ClerkError{Reason: mirror.ErrClerkBusy, Cause: ctx.Err()}
		}}
		e.jobs = e.process(jobs.Config{Users: w})
		e.running(e.jobs)
		id := e.start(changes(mirror.JobSelection{All: true})).ID
		pass(30 * time.Second)
		_, err := e.jobs.Cancel(e.Context(), id, ada)
		e.must(err)
		pass(time.Second)
		if j := e.is(id, mirror.JobCancelled, 0, 0, 0); len(w.list()) != 1 || j.Problem != "" {
			e.Errorf("asked for %q, waits for %q", w.list(), j.Problem)
		}
	})
}

// The clock of Clerk may be ahead. Users that it dates after the plan are selected, if they were
// there when the plan was made.
func TestClocksThatDiffer(t *testing.T) {
	bubble(t, func(e *env) {
		w := &writer{}
		ahead := e.process(jobs.Config{Users: w, Now: func() time.Time { return time.Now().Add(-24 * time.Hour) }}) // ours is behind
		e.users(5)
		j, err := ahead.Plan(e.Context(), changes(mirror.JobSelection{All: true}), ada)
		if err != nil || j.Plan.Matches != 5 {
			e.Errorf("planned %+v, %v", j, err)
		}
		pass(time.Hour)
		e.users(9) // four are new
		e.jobs = e.process(jobs.Config{Users: w})
		_, err = e.jobs.Start(e.Context(), j.ID, ada)
		e.refused("a plan of yesterday", err, mirror.ErrJobExpired)
		j, err = ahead.Plan(e.Context(), changes(mirror.JobSelection{Search: "ada"}), ada)
		if err != nil || j.Plan.Matches != 9 {
			e.Errorf("planned %+v, %v", j, err)
		}
	})
}
