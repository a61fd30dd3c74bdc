package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

var operator = mirror.By{Actor: "ada", Address: "192.0.2.1", Origin: "POST /api/jobs", RequestID: "r"}

func jobLease(mirror.JobAction) string { return "jobs" }

func noneDead(string) bool { return false }

// planJob stores the plan of a job with everything that a job can have.
func planJob(t *testing.T, db *store.DB, now time.Time) store.Job {
	t.Helper()
	j := store.Job{Until: 77, Job: mirror.Job{
		Action: mirror.JobChangeRole, Role: "admin", Kinds: []clerk.Kind{clerk.KindUser}, AllowMassDelete: true,
		Filter:    mirror.JobSelection{Search: "ada", Active: new(true), IDs: []string{"user_1"}, Since: now},
		Plan:      mirror.JobPlan{Matches: 7, Sample: []mirror.JobItem{{ID: "user_1", Was: "solo", Becomes: "admin"}}},
		Progress:  []mirror.JobProgress{},
		CreatedAt: now, CreatedBy: "ada", ExpiresAt: now.Add(time.Hour), UpdatedAt: now,
	}}
	if err := db.AddJob(t.Context(), &j, operator); err != nil {
		t.Fatal(err)
	}
	return j
}

func startJob(t *testing.T, db *store.DB, id string) store.Job {
	t.Helper()
	j, err := db.StartJob(t.Context(), id, operator)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// jobsKept demands that a job is read as it was stored, and changes its state as an operator asks.
func jobsKept(t *testing.T, db *store.DB) {
	at := clerk.TimeOf(time.Now().Truncate(time.Second))
	now := at.Time()
	db.SetClock(func() time.Time { return now })
	planned := planJob(t, db, now)
	stored, err := db.Job(t.Context(), planned.ID)
	if diff := cmp.Diff(planned.Job, stored.Job); err != nil || diff != "" || stored.Until != 77 {
		t.Fatalf("%v, %s", err, diff)
	}
	if j, err := db.CancelJob(t.Context(), "job_x", operator, at, jobLease, nil); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a job that is not there: %+v, %v", j, err)
	}
	started := startJob(t, db, planned.ID)
	if started.State != mirror.JobWaiting || started.StartedBy != "ada" || !started.StartedAt.Equal(now) ||
		started.By != (mirror.By{Actor: "ada", Address: "192.0.2.1", RequestID: "r", Origin: "job " + planned.ID}) {
		t.Errorf("started: %+v", started)
	}
	if again := startJob(t, db, planned.ID); again.State != mirror.JobWaiting {
		t.Errorf("started again: %+v", again)
	}
	lease, err := db.AcquireLease(t.Context(), "jobs", "me", at, time.Minute, noneDead)
	if err != nil {
		t.Fatal(err)
	}
	saved := store.JobSaved{
		ID: planned.ID, State: mirror.JobRunning, Cursor: "c", Done: 3, Skipped: 1, Rate: 0.5, Problem: "p", By: started.By,
		Progress: []mirror.JobProgress{{Kind: clerk.KindUser, Rows: 4, Total: -1}},
	}
	if state, err := db.SaveJob(t.Context(), lease, time.Minute, &saved, at); state != mirror.JobRunning || err != nil {
		t.Errorf("saved: %s, %v", state, err)
	}
	if j, err := db.CancelJob(t.Context(), planned.ID, operator, at, jobLease, noneDead); err != nil || j.State != mirror.JobCancelling || j.CancelledBy != "ada" {
		t.Errorf("cancelled while it runs: %+v, %v", j, err)
	}
	if state, err := db.SaveJob(t.Context(), lease, time.Minute, &saved, at); state != mirror.JobCancelling || err != nil {
		t.Errorf("saved: %s, %v", state, err)
	}
	if _, err := db.StartJob(t.Context(), planned.ID, operator); !errors.Is(err, mirror.ErrJobEnded) {
		t.Errorf("started while it is being cancelled: %v", err)
	}
	if open, err := db.CountOpenJobs(t.Context()); err != nil || len(open) != 1 || open[mirror.JobCancelling] != 1 {
		t.Errorf("open are %v, %v", open, err)
	}
	saved.State, saved.Error = mirror.JobFailed, "e"
	if state, err := db.SaveJob(t.Context(), lease, time.Minute, &saved, at); state != mirror.JobFailed || err != nil {
		t.Errorf("saved: %s, %v", state, err)
	}
	if _, err := db.SaveJob(t.Context(), lease, time.Minute, &saved, at); !errors.Is(err, mirror.ErrJobEnded) {
		t.Errorf("saved after the end: %v", err)
	}
	if failed, err := db.FailedJobs(t.Context(), at); err != nil || len(failed) != 1 || failed[0].Error != "e" || failed[0].Done != 3 ||
		failed[0].Rate != 0.5 || failed[0].Problem != "p" || failed[0].Progress[0].Rows != 4 || !failed[0].Resumable() {
		t.Errorf("failed are %+v, %v", failed, err)
	}
	if j := startJob(t, db, planned.ID); j.State != mirror.JobWaiting || j.Cursor != "c" || j.Done != 3 || j.Error != "" || !j.EndedAt.IsZero() {
		t.Errorf("started after a failure: %+v", j)
	}
	if failed, err := db.FailedJobs(t.Context(), at); err != nil || len(failed) != 0 {
		t.Errorf("failed are %+v, %v", failed, err)
	}
	if j, err := db.CancelJob(t.Context(), planned.ID, operator, at, jobLease, noneDead); err != nil || j.State != mirror.JobCancelled {
		t.Errorf("cancelled while it waits: %+v, %v", j, err)
	}
	page, err := db.Audit(t.Context(), mirror.AuditFilter{Action: mirror.AuditJob})
	var said []string
	for i := range page.Items {
		e := &page.Items[i]
		said = append(said, e.Actor+" "+e.Was+" > "+e.Became)
		if e.Object != planned.ID || e.Address != "192.0.2.1" || e.RequestID != "r" {
			t.Errorf("audited: %+v", e)
		}
	}
	slices.Reverse(said)
	want := []string{
		"ada  > planned change_role to admin: 7", "ada planned > waiting change_role to admin", "ada running > cancelling change_role to admin",
		"ada running > failed change_role to admin: 3 done, 0 failed, 1 skipped", "ada failed > waiting change_role to admin",
		"ada waiting > cancelled change_role to admin: 3 done, 0 failed, 1 skipped",
	}
	if diff := cmp.Diff(want, said); err != nil || diff != "" {
		t.Errorf("%v, the audit differs: %s", err, diff)
	}
}

// jobsBounded demands the bounds of jobs, plans and failures, and that the old are removed.
func jobsBounded(t *testing.T, db *store.DB) {
	at := clerk.TimeOf(time.Now())
	var mu sync.Mutex
	now := at.Time()
	db.SetClock(func() time.Time { mu.Lock(); defer mu.Unlock(); return now })
	later := func(d time.Duration) clerk.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
		return clerk.TimeOf(now)
	}
	var plans []string
	for range 53 {
		later(time.Millisecond)
		plans = append(plans, planJob(t, db, now).ID)
	}
	all := inPages(t, func(after mirror.Cursor) (mirror.Page[mirror.Job], error) {
		return db.Jobs(t.Context(), mirror.JobFilter{State: mirror.JobPlanned, Action: mirror.JobChangeRole, After: after, Limit: 7})
	})
	if len(all) != 50 || all[0].ID != plans[52] || all[49].ID != plans[3] {
		t.Errorf("%d plans are kept", len(all))
	}
	for _, id := range plans[3:23] {
		startJob(t, db, id)
	}
	if _, err := db.StartJob(t.Context(), plans[23], operator); !errors.Is(err, mirror.ErrTooManyJobs) {
		t.Errorf("one more than the limit: %v", err)
	}
	lease, err := db.AcquireLease(t.Context(), "jobs", "me", at, 10*time.Minute, noneDead)
	if err != nil {
		t.Fatal(err)
	}
	saved := store.JobSaved{ID: plans[3], State: mirror.JobRunning}
	for range 3 {
		saved.Failures = make([]mirror.JobFailure, 4000)
		for i := range saved.Failures {
			saved.Failures[i] = mirror.JobFailure{ObjectID: "user_" + strconv.FormatInt(saved.Failed, 10), Reason: "r", At: now}
			saved.Failed++
		}
		if _, err := db.SaveJob(t.Context(), lease, time.Minute, &saved, at); err != nil {
			t.Fatal(err)
		}
	}
	failures := inPages(t, func(after mirror.Cursor) (mirror.Page[mirror.JobFailure], error) {
		return db.JobFailures(t.Context(), plans[3], mirror.JobFailureFilter{After: after, Limit: 500})
	})
	if len(failures) != 10_000 || failures[9999].ObjectID != "user_9999" || failures[0].JobID != plans[3] || !failures[0].At.Equal(now) {
		t.Errorf("%d failures are listed", len(failures))
	}
	first, err := db.JobFailures(t.Context(), plans[3], mirror.JobFailureFilter{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.JobFailures(t.Context(), plans[4], mirror.JobFailureFilter{After: first.Next}); !errors.Is(err, store.ErrInvalidCursor) {
		t.Errorf("the cursor of another job: %v", err)
	}
	saved.State, saved.Failures = mirror.JobDone, nil
	if _, err := db.SaveJob(t.Context(), lease, time.Minute, &saved, at); err != nil {
		t.Fatal(err)
	}
	ended := later(time.Hour)
	if _, err := db.StartJob(t.Context(), plans[23], operator); !errors.Is(err, mirror.ErrJobExpired) {
		t.Errorf("an old plan: %v", err)
	}
	planJob(t, db, now)
	if err := db.PurgeJobs(t.Context(), ended, ended); err != nil {
		t.Fatal(err)
	}
	left, err := db.Jobs(t.Context(), mirror.JobFilter{Limit: 500})
	if err != nil || len(left.Items) != 20 { // 19 that wait, and the new plan
		t.Errorf("%d jobs are left, %v", len(left.Items), err)
	}
	if _, err := db.JobFailures(t.Context(), plans[3], mirror.JobFailureFilter{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("failures of a job that is gone: %v", err)
	}
}

// jobsFenced demands that a process whose lease was taken over saves nothing, and that a job whose
// process is gone can be cancelled.
func jobsFenced(t *testing.T, db *store.DB) {
	at := clerk.TimeOf(time.Now())
	j := planJob(t, db, at.Time())
	startJob(t, db, j.ID)
	old, err := db.AcquireLease(t.Context(), "jobs", "old", at, time.Minute, noneDead)
	if err != nil {
		t.Fatal(err)
	}
	saved := store.JobSaved{ID: j.ID, State: mirror.JobRunning, Cursor: "a", Done: 1}
	if _, err := db.SaveJob(t.Context(), old, time.Minute, &saved, at); err != nil {
		t.Fatal(err)
	}
	oldIsDead := func(holder string) bool { return holder == "old" }
	if _, err := db.AcquireLease(t.Context(), "jobs", "new", at, time.Minute, oldIsDead); err != nil {
		t.Fatal(err)
	}
	saved = store.JobSaved{ID: j.ID, State: mirror.JobDone, Cursor: "b", Done: 2, Failed: 1, Failures: []mirror.JobFailure{{ObjectID: "x"}}}
	if _, err := db.SaveJob(t.Context(), old, time.Minute, &saved, at); !errors.Is(err, store.ErrFenced) {
		t.Errorf("saved by the old process: %v", err)
	}
	stored, err := db.Job(t.Context(), j.ID)
	if err != nil || stored.Cursor != "a" || stored.Done != 1 || stored.State != mirror.JobRunning {
		t.Errorf("stored is %+v, %v", stored, err)
	}
	if f, err := db.JobFailures(t.Context(), j.ID, mirror.JobFailureFilter{}); err != nil || len(f.Items) != 0 {
		t.Errorf("failures are %+v, %v", f, err)
	}
	isNew := func(holder string) bool { return holder == "new" }
	if j, err := db.CancelJob(t.Context(), j.ID, operator, at, jobLease, isNew); err != nil || j.State != mirror.JobCancelled || j.EndedAt.IsZero() {
		t.Errorf("cancelled without a process: %+v, %v", j, err)
	}
}

// jobObjects demands that the parts of a list have each selected object once, in the order of
// creation, and none that came later.
func jobObjects(t *testing.T, db *store.DB) {
	var rows []*row.Row
	var deliveries []store.Delivery
	for i := range 30 {
		role, banned, status := "solo", i%5 == 0, "active"
		if i%3 == 0 {
			role, status = "admin", "ended"
		}
		created := epoch + i/4 // several at a time
		user := newRow(t, clerk.KindUser, fmt.Sprintf(`{"id":"user_%02d","created_at":%d,"banned":%t,"public_metadata":{"role":%q}}`, i, created, banned, role))
		if banned {
			user.BannedAt = epoch + 99 // which ends the sessions from before
		}
		rows = append(rows, user,
			newRow(t, clerk.KindSession, fmt.Sprintf(`{"id":"sess_%02d","created_at":%d,"user_id":"user_%02d","status":%q}`, i, created, i%2, status)))
		if i%2 == 0 {
			rows = append(rows, newRow(t, clerk.KindMembership,
				fmt.Sprintf(`{"id":"orgmem_%02d","created_at":%d,"user_id":"user_%02d","organization_id":"org_1","role":"org:member"}`, i, created, i)))
		}
		d := store.Delivery{MessageID: fmt.Sprintf("msg_%02d", i), ReceivedAt: clerk.Time(created), Type: "user.updated", State: mirror.DeliveryApplied, Body: "{}"}
		if i%3 == 0 {
			d.State, d.Reason = mirror.DeliveryDead, "r"+strconv.Itoa(i%2)
		}
		if i%5 == 0 {
			d.Type = "session.created"
		}
		deliveries = append(deliveries, d)
	}
	save(t, db, rows...)
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveInbox(t.Context(), deliveries) }); err != nil {
		t.Fatal(err)
	}
	until := clerk.Time(epoch + 6) // without the last two
	users := func(f mirror.UserFilter) func(mirror.Cursor, int) (store.JobObjects, error) {
		return func(after mirror.Cursor, limit int) (store.JobObjects, error) {
			return db.JobUsers(t.Context(), f, until, after, limit)
		}
	}
	sessions := func(f mirror.SessionFilter) func(mirror.Cursor, int) (store.JobObjects, error) {
		return func(after mirror.Cursor, limit int) (store.JobObjects, error) {
			return db.JobSessions(t.Context(), f, until, after, limit)
		}
	}
	received := func(f mirror.DeliveryFilter) func(mirror.Cursor, int) (store.JobObjects, error) {
		return func(after mirror.Cursor, limit int) (store.JobObjects, error) {
			return db.JobDeliveries(t.Context(), f, until, after, limit)
		}
	}
	numbers := func(keep func(int) bool) (list []string) {
		for i := range 28 {
			if keep(i) {
				list = append(list, fmt.Sprintf("%02d", i))
			}
		}
		return list
	}
	for name, test := range map[string]struct {
		read func(mirror.Cursor, int) (store.JobObjects, error)
		want func(int) bool
		was  string
	}{
		"users":              {users(mirror.UserFilter{}), func(int) bool { return true }, ""},
		"users with a role":  {users(mirror.UserFilter{Role: "admin"}), func(i int) bool { return i%3 == 0 }, "admin"},
		"active users":       {users(mirror.UserFilter{Active: new(true)}), func(i int) bool { return i%5 != 0 }, ""},
		"inactive users":     {users(mirror.UserFilter{Active: new(false)}), func(i int) bool { return i%5 == 0 }, ""},
		"inactive with role": {users(mirror.UserFilter{Active: new(false), Role: "solo"}), func(i int) bool { return i%5 == 0 && i%3 != 0 }, "solo"},
		"members":            {users(mirror.UserFilter{OrganizationID: "org_1"}), func(i int) bool { return i%2 == 0 }, ""},
		"members with a role": {users(mirror.UserFilter{OrganizationID: "org_1", Role: "admin", Active: new(true)}), func(i int) bool {
			return i%6 == 0 && i%5 != 0
		}, "admin"},
		"members of another": {users(mirror.UserFilter{OrganizationID: "org_2"}), func(int) bool { return false }, ""},
		"users by id":        {users(mirror.UserFilter{Search: "user_07"}), func(i int) bool { return i == 7 }, "solo"},
		"sessions":           {sessions(mirror.SessionFilter{}), func(i int) bool { return i%3 != 0 && i%2 == 1 }, "active"}, // user_00 is banned
		"sessions of a user": {sessions(mirror.SessionFilter{ClerkUserID: "user_01"}), func(i int) bool { return i%3 != 0 && i%2 == 1 }, "active"},
		"pending sessions":   {sessions(mirror.SessionFilter{Status: mirror.SessionPending}), func(int) bool { return false }, ""},
		"deliveries":         {received(mirror.DeliveryFilter{}), func(int) bool { return true }, ""},
		"dead letters":       {received(mirror.DeliveryFilter{State: "dead"}), func(i int) bool { return i%3 == 0 }, "dead"},
		"dead of a type":     {received(mirror.DeliveryFilter{State: "dead", Type: "session.*", Reason: "r0"}), func(i int) bool { return i%30 == 0 }, "dead"},
		"of a type":          {received(mirror.DeliveryFilter{Type: "session.created"}), func(i int) bool { return i%5 == 0 }, ""},
		"applied":            {received(mirror.DeliveryFilter{State: "applied"}), func(i int) bool { return i%3 != 0 }, "applied"},
		"of a time": {received(mirror.DeliveryFilter{Since: clerk.Time(epoch + 1).Time(), Until: clerk.Time(epoch + 3).Time()}), func(i int) bool {
			return i >= 4 && i < 12
		}, ""},
		"until later": {received(mirror.DeliveryFilter{Until: clerk.Time(epoch + 99).Time()}), func(int) bool { return true }, ""},
	} {
		for _, limit := range []int{1, 3, 500} {
			var got []string
			for next, parts := mirror.Cursor(""), 0; parts < 40; parts++ {
				p, err := test.read(next, limit)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if len(p.Objects) > limit {
					t.Errorf("%s: %d objects in a part of %d rows", name, len(p.Objects), limit)
				}
				for _, o := range p.Objects {
					got = append(got, o.ID[strings.LastIndexByte(o.ID, '_')+1:])
					if test.was != "" && o.Was != test.was {
						t.Errorf("%s: %+v", name, o)
					}
				}
				if next = p.Next; next == "" {
					break
				}
				if n := len(p.Objects); n > 0 && test.read != nil { // a part that begins after an object goes on after it
					again, err := test.read(p.Objects[n-1].Cursor, limit)
					if err != nil || slices.ContainsFunc(again.Objects, func(o store.JobObject) bool { return o.ID == p.Objects[n-1].ID }) {
						t.Errorf("%s: after %s come %+v, %v", name, p.Objects[n-1].ID, again.Objects, err)
					}
				}
			}
			if diff := cmp.Diff(numbers(test.want), got); diff != "" {
				t.Errorf("%s, %d at a time: %s", name, limit, diff)
			}
		}
	}
	for _, newest := range []struct {
		kind         store.JobKind
		organization string
		want         clerk.Time
	}{
		{store.JobUser, "", epoch + 7},
		{store.JobUser, "org_1", epoch + 7},
		{store.JobUser, "org_2", 0},
		{store.JobSession, "", epoch + 7},
		{store.JobDelivery, "", epoch + 7},
	} {
		if at, err := db.NewestJobObject(t.Context(), newest.kind, newest.organization); err != nil || at != newest.want {
			t.Errorf("the newest %s of %q is of %d, %v", newest.kind, newest.organization, at-epoch, err)
		}
	}
	of, err := db.JobObjectsOf(t.Context(), store.JobUser, []string{"user_03", "user_x", "user_01"})
	if err != nil || len(of) != 2 || of[0].ID != "user_03" || of[1].Was != "solo" {
		t.Errorf("by ids: %+v, %v", of, err)
	}
}
