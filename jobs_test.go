package clerksync_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/mirror"
)

// planned plans a job.
func (w *watched) planned(r mirror.JobRequest, matches int64) mirror.Job {
	w.Helper()
	j, err := w.m.Jobs().Plan(w.Context(), r, eve("POST /api/jobs"))
	w.must(err)
	if j.State != mirror.JobPlanned || j.Plan.Matches != matches || j.Plan.AtLeast {
		w.Errorf("%s is planned as %+v, want %d matches", r.Action, j, matches)
	}
	return j
}

// worked starts a job, works on it until it ends, and demands what became of its objects.
func (w *watched) worked(id string, done, failed, skipped int64) mirror.Job {
	w.Helper()
	_, err := w.m.Jobs().Start(w.Context(), id, eve("POST /api/jobs/{id}/start"))
	w.must(err)
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	j, err := w.m.Jobs().Run(ctx, id, nil)
	w.must(err)
	if j.State != mirror.JobDone || j.Done != done || j.Failed != failed || j.Skipped != skipped {
		w.Errorf("%s is %s: %d done, %d failed, %d skipped, %q; want %d, %d, %d", j.Action, j.State, j.Done, j.Failed, j.Skipped, j.Error, done, failed, skipped)
	}
	return j
}

// Jobs change at Clerk what their filters select, each user once, although the users cease to match
// by that. Who came after the plan stays as it was. What Clerk refuses is listed.
func TestJobsAtClerk(t *testing.T) {
	t.Parallel()
	onEnginesWith(t, func(_ *watched, c *clerksync.Config) { c.APILimit = 2000 }, func(w *watched) {
		ctx, jobs := w.Context(), w.m.Jobs()
		var users []string
		for i := range 12 {
			users = append(users, w.clerk.CreateUser(clerktest.User{Email: fmt.Sprintf("user%02d@example.com", i), Role: "solo"}))
		}
		boss := w.clerk.CreateUser(clerktest.User{Email: "boss@example.com", Role: "growth"})
		w.clerk.SignIn(users[0])
		w.clerk.SignIn(users[0])
		w.clerk.SignIn(users[1])
		third := w.clerk.SignIn(boss)
		w.backfill()
		w.clerk.Settle()

		promote := w.planned(mirror.JobRequest{Action: mirror.JobChangeRole, Filter: mirror.JobSelection{Role: "solo"}, Role: "admin"}, 12)
		if len(promote.Plan.Sample) != 10 || promote.Plan.Sample[0] != (mirror.JobItem{ID: users[0], Label: "user00@example.com", Was: "solo", Becomes: "admin"}) {
			w.Errorf("the sample is %+v", promote.Plan.Sample)
		}
		late := w.clerk.CreateUser(clerktest.User{Email: "late@example.com", Role: "solo"})
		w.clerk.Settle()
		w.refuse("/users/"+users[7]+"/metadata", 422, `{"errors":[{"code":"a_code","message":"user07@example.com"}]}`)
		j := w.worked(promote.ID, 11, 1, 0)
		w.refuse("", 0, "")
		failures, err := jobs.Failures(ctx, j.ID, mirror.JobFailureFilter{})
		if err != nil || len(failures.Items) != 1 || failures.Items[0].ObjectID != users[7] || !strings.Contains(failures.Items[0].Reason, "a_code") ||
			strings.Contains(failures.Items[0].Reason, "@") {
			w.Errorf("failures: %+v, %v", failures, err)
		}
		for id, role := range map[string]string{users[0]: "admin", users[11]: "admin", users[7]: "solo", late: "solo", boss: "growth"} {
			if u, err := w.m.Users().ByClerkID(ctx, id); err != nil || u.Role != role || w.atClerk("/users/" + id)["public_metadata"].(map[string]any)["role"] != role {
				w.Errorf("%s is %q, want %q: %v", u.Email, u.Role, role, err)
			}
		}
		if e := w.audited(mirror.AuditFilter{Action: mirror.AuditRole, ClerkUserID: users[0]}); len(e) == 0 || e[len(e)-1].Origin != "job "+j.ID ||
			e[len(e)-1].Actor != "eve" || e[len(e)-1].Address != "192.0.2.7" {
			w.Errorf("audited: %+v", e)
		}
		// Clerk's rate limit is waited for, and is no failure.
		w.refuse("/metadata", 429, `{"errors":[{"code":"too_many_requests","message":"m"}]}`)
		lift := time.AfterFunc(500*time.Millisecond, func() { w.refuse("", 0, "") })
		w.worked(w.planned(mirror.JobRequest{Action: mirror.JobChangeRole, Filter: mirror.JobSelection{IDs: users[6:8]}, Role: "admin"}, 2).ID, 1, 0, 1)
		if lift.Stop() {
			w.Error("the job did not wait for Clerk")
		}

		sessions := w.planned(mirror.JobRequest{Action: mirror.JobRevokeSessions, Filter: mirror.JobSelection{Role: "admin"}}, 12)
		if s := sessions.Plan.Sample; s[0].Was != "2 sessions" || s[0].Becomes != "revoked" || s[1].Was != "1 session" || s[2].Was != "no known session" {
			w.Errorf("the sample is %+v", s)
		}
		w.worked(sessions.ID, 2, 0, 10)
		if s, err := w.m.Sessions().ByClerkID(ctx, third); err != nil || s.Status != mirror.SessionActive {
			w.Errorf("the session of a user who was not selected is %+v, %v", s, err)
		}
		ofBoss := w.planned(mirror.JobRequest{Action: mirror.JobRevokeSessions, Filter: mirror.JobSelection{User: boss}}, 1)
		if s := ofBoss.Plan.Sample[0]; s != (mirror.JobItem{ID: third, Label: "boss@example.com", Was: "active", Becomes: "revoked"}) {
			w.Errorf("the sample is %+v", s)
		}
		w.worked(ofBoss.ID, 1, 0, 0)
		if s, err := w.m.Sessions().ByClerkID(ctx, third); err != nil || s.Status != mirror.SessionRevoked {
			w.Errorf("the session of the selected user is %+v, %v", s, err)
		}

		erased := w.worked(w.planned(mirror.JobRequest{Action: mirror.JobEraseUsers, Filter: mirror.JobSelection{Search: "user0"}}, 10).ID, 10, 0, 0)
		if j, err := jobs.ByID(ctx, erased.ID); err != nil || j.Filter.Search != "[erased]" || j.Plan.Sample[0].Label != "" {
			w.Errorf("the job still says %+v, %v", j, err)
		}
		if _, err := w.m.Users().ByClerkID(ctx, users[0]); !errors.Is(err, clerksync.ErrNotFound) {
			w.Errorf("an erased user: %v", err)
		}
		if e, err := w.db.Erasure(ctx, users[9]); err != nil || e.DoneAt.IsZero() {
			w.Errorf("the erasure is %+v, %v", e, err)
		}
		if f, err := jobs.Failures(ctx, promote.ID, mirror.JobFailureFilter{}); err != nil || f.Items[0].Reason != "" {
			w.Errorf("the failure of an erased user says %+v, %v", f, err)
		}
		list, err := jobs.List(ctx, mirror.JobFilter{State: mirror.JobDone, Limit: 2})
		if err != nil || len(list.Items) != 2 || list.Items[0].ID != erased.ID || list.Next == "" {
			w.Errorf("listed: %+v, %v", list, err)
		}
		clerktest.AssertConverged(w.T, w.clerk, w.m)
	})
}

// A job that reconciles shows each kind and what was repaired, and [clerksync.Mirror.Run] works on
// it.
func TestJobsThatReadClerk(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *watched) {
		ada := w.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
		backfill := w.planned(mirror.JobRequest{Action: mirror.JobBackfill}, 0)
		ctx, stop := context.WithCancel(w.Context())
		defer stop()
		w.clerk.Settle()
		j, err := w.m.Jobs().Start(ctx, backfill.ID, eve("POST"))
		w.must(err)
		j, err = w.m.Jobs().Run(ctx, j.ID, nil)
		if err != nil || j.State != mirror.JobDone || j.Done == 0 || len(j.Progress) < 5 || !j.Progress[0].Done {
			w.Fatalf("backfill: %+v, %v", j, err)
		}
		w.deaf.Store(true)
		w.clerk.Call("PATCH", "/v1/users/"+ada, map[string]any{"first_name": "Ada"}, nil)
		running := make(chan error, 1)
		go func() { running <- w.m.Run(ctx) }()
		r := mirror.JobRequest{Action: mirror.JobReconcile, Kinds: []clerk.Kind{clerk.KindUser}}
		j, err = w.m.Jobs().Start(ctx, w.planned(r, 0).ID, eve("POST"))
		w.must(err)
		for end := time.Now().Add(time.Minute); !j.State.Ended(); <-time.After(20 * time.Millisecond) {
			if j, err = w.m.Jobs().ByID(ctx, j.ID); err != nil || time.Now().After(end) {
				w.Fatalf("the job is %+v, %v", j, err)
			}
		}
		u, err := w.m.Users().ByClerkID(ctx, ada)
		if err != nil || u.FirstName != "Ada" || j.State != mirror.JobDone || len(j.Progress) != 1 || j.Progress[0].Kind != clerk.KindUser {
			w.Errorf("reconciled: %+v, user %q, %v", j, u.FirstName, err)
		}
		stop()
		w.must(<-running)
	})
}
