package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// Bounds of jobs.
const (
	maxOpenJobs = 20 // that wait or run
	maxPlans    = 50 // that are neither started nor expired; beyond, the oldest is dropped
	// maxJobFailures is how many failures of a job are listed. The others are counted.
	maxJobFailures = 10_000
	// maxEndedJobs is how many jobs are kept after they ended.
	maxEndedJobs = 1000
)

// Job is a job as it is stored.
type Job struct {
	mirror.Job

	Until  clerk.Time // objects that were created or received later are not selected
	Cursor string     // how far it has come in the list of its objects
	By     mirror.By  // who started it last
}

// jobProgress is what of a job is stored as JSON and changes all the time.
type jobProgress struct {
	Rate    float64              `json:"rate,omitempty"`
	Problem string               `json:"problem,omitempty"`
	Kinds   []mirror.JobProgress `json:"kinds,omitempty"`
}

const jobColumns = `job_id, action, state, request, plan, selected_until, cursor, done, failed, skipped, progress, error, created_at, created_by, expires_at,
	started_at, started_by, address, request_id, cancelled_by, updated_at, ended_at`

func scanJob(r Row) (j Job, err error) {
	var request, plan, progress string
	err = r.Scan(&j.ID, &j.Action, &j.State, &request, &plan, &j.Until, &j.Cursor, &j.Done, &j.Failed, &j.Skipped, &progress, (*text)(&j.Error),
		(*instant)(&j.CreatedAt), (*text)(&j.CreatedBy), (*instant)(&j.ExpiresAt), (*instant)(&j.StartedAt), (*text)(&j.StartedBy),
		(*text)(&j.By.Address), (*text)(&j.By.RequestID), (*text)(&j.CancelledBy), (*instant)(&j.UpdatedAt), (*instant)(&j.EndedAt))
	if err != nil {
		return j, err
	}
	var asked mirror.JobRequest
	var p jobProgress
	for _, part := range []struct {
		text string
		into any
	}{{request, &asked}, {plan, &j.Plan}, {progress, &p}} {
		if err := json.Unmarshal([]byte(part.text), part.into); err != nil {
			return j, fmt.Errorf("job %s: %w", j.ID, err)
		}
	}
	j.Filter, j.Role, j.Kinds, j.AllowMassDelete = asked.Filter, asked.Role, append([]clerk.Kind{}, asked.Kinds...), asked.AllowMassDelete
	j.Plan.Sample = append([]mirror.JobItem{}, j.Plan.Sample...)
	j.Rate, j.Problem, j.Progress = p.Rate, p.Problem, append([]mirror.JobProgress{}, p.Kinds...)
	j.By.Actor, j.By.Origin = j.StartedBy, "job "+j.ID
	return j, nil
}

// encoded returns the columns of a job that are JSON.
func (j *Job) encoded() (request, plan, progress string, err error) {
	asked := mirror.JobRequest{Action: j.Action, Filter: j.Filter, Role: j.Role, Kinds: j.Kinds, AllowMassDelete: j.AllowMassDelete}
	texts := [3]string{}
	for i, part := range []any{asked, j.Plan, jobProgress{j.Rate, j.Problem, j.Progress}} {
		b, err := json.Marshal(part)
		if err != nil {
			return "", "", "", err
		}
		texts[i] = string(b)
	}
	return texts[0], texts[1], texts[2], nil
}

// audit returns the audit entry of what became of a job.
func (j *Job) audit(by mirror.By, was mirror.JobState) mirror.AuditEntry {
	e := by.Entry(mirror.AuditJob)
	e.Object, e.Was, e.Became = j.ID, string(was), fmt.Sprintf("%s %s", j.State, j.Action)
	if j.Role != "" {
		e.Became += " to " + j.Role
	}
	switch {
	case j.State == mirror.JobPlanned && !j.Action.ReadsClerk():
		e.Became += fmt.Sprintf(": %d", j.Plan.Matches)
		if j.Plan.AtLeast {
			e.Became += " or more"
		}
	case j.State.Ended() && was != mirror.JobPlanned:
		e.Became += fmt.Sprintf(": %d done, %d failed, %d skipped", j.Done, j.Failed, j.Skipped)
	}
	return e
}

// AddJob stores a plan, gives it an id, and audits that. It removes plans that have expired.
func (db *DB) AddJob(ctx context.Context, j *Job, by mirror.By) error {
	now := db.now().UnixMilli()
	j.ID, j.State = "job_"+entryID(now, db.audited.Add(1)), mirror.JobPlanned
	request, plan, progress, err := j.encoded()
	if err != nil {
		return err
	}
	return db.Update(ctx, func(tx *Tx) error {
		rows, err := tx.query(ctx, "SELECT job_id, expires_at FROM clerk_jobs WHERE ended_at IS NULL AND started_at IS NULL ORDER BY job_id DESC")
		plans, err := scanAll(rows, err, func(r Row) (p place, err error) { return p, r.Scan(&p.id, &p.at) })
		if err != nil {
			return err
		}
		for i, p := range plans {
			if i >= maxPlans-1 || int64(p.at) <= now {
				if err := tx.exec(ctx, "DELETE FROM clerk_jobs WHERE job_id = $1", p.id); err != nil {
					return err
				}
			}
		}
		const insert = `INSERT INTO clerk_jobs (job_id, action, state, request, plan, cursor, done, failed, skipped, progress,
			created_at, created_by, expires_at, updated_at, selected_until) VALUES ($1, $2, $3, $4, $5, '', 0, 0, 0, $6, $7, $8, $9, $7, $10)`
		err = tx.exec(ctx, insert, j.ID, string(j.Action), string(j.State), request, plan, progress, int64(clerk.TimeOf(j.CreatedAt)),
			textOrNull(j.CreatedBy), int64(clerk.TimeOf(j.ExpiresAt)), int64(j.Until))
		if err != nil {
			return err
		}
		return tx.AppendAudit(ctx, []mirror.AuditEntry{j.audit(by, "")})
	})
}

// Job returns a job, or [ErrNotFound].
func (db *DB) Job(ctx context.Context, id string) (Job, error) {
	rows, err := db.query(ctx, "SELECT "+jobColumns+" FROM clerk_jobs WHERE job_id = $1", id)
	list, err := scanAll(rows, err, scanJob)
	return only(list, err, "job", id)
}

func (tx *Tx) job(ctx context.Context, id string) (Job, error) {
	rows, err := tx.query(ctx, "SELECT "+jobColumns+" FROM clerk_jobs WHERE job_id = $1", id)
	list, err := scanAll(rows, err, scanJob)
	return only(list, err, "job", id)
}

// Jobs returns a page of jobs, newest first.
func (db *DB) Jobs(ctx context.Context, f mirror.JobFilter) (p mirror.Page[mirror.Job], err error) {
	var w where
	after, found, err := placeOf(jobsList, f.After)
	if err != nil {
		return p, err
	}
	if found {
		w.add("job_id < ?", after.id)
	}
	if f.State != "" {
		w.add("state = ?", string(f.State))
	}
	if f.Action != "" {
		w.add("action = ?", string(f.Action))
	}
	rest, args := w.pageBy("job_id DESC", f.Limit)
	rows, err := db.query(ctx, "SELECT "+jobColumns+" FROM clerk_jobs"+rest, args...)
	list, err := scanAll(rows, err, func(r Row) (mirror.Job, error) {
		j, err := scanJob(r)
		return j.Job, err
	})
	return pageOf(list, err, f.Limit, jobsList, func(j *mirror.Job) place { return place{id: j.ID} })
}

// OpenJobs lists the jobs that wait or run, in the order in which they were started.
func (db *DB) OpenJobs(ctx context.Context) ([]Job, error) {
	rows, err := db.query(ctx, "SELECT "+jobColumns+" FROM clerk_jobs WHERE ended_at IS NULL AND started_at IS NOT NULL ORDER BY started_at, job_id")
	return scanAll(rows, err, scanJob)
}

// JobFailures returns a page of what a job could not do, in its order.
func (db *DB) JobFailures(ctx context.Context, id string, f mirror.JobFailureFilter) (p mirror.Page[mirror.JobFailure], err error) {
	if _, err := db.Job(ctx, id); err != nil {
		return p, err
	}
	after, found, err := placeOf(jobFailuresList, f.After)
	if err != nil || found && after.id != id {
		return p, errors.Join(err, ErrInvalidCursor)
	}
	var w where
	w.add("job_id = ?", id)
	w.add("number > ?", int64(after.at))
	type numbered struct {
		mirror.JobFailure

		number int64
	}
	rest, args := w.pageBy("number", f.Limit)
	rows, err := db.query(ctx, "SELECT job_id, number, object_id, reason, at FROM clerk_job_failures"+rest, args...)
	list, err := scanAll(rows, err, func(r Row) (n numbered, err error) {
		return n, r.Scan(&n.JobID, &n.number, &n.ObjectID, &n.Reason, (*instant)(&n.At))
	})
	page, err := pageOf(list, err, f.Limit, jobFailuresList, func(n *numbered) place { return place{clerk.Time(n.number), id} })
	p.Next, p.Items = page.Next, make([]mirror.JobFailure, len(page.Items))
	for i := range page.Items {
		p.Items[i] = page.Items[i].JobFailure
	}
	return p, err
}

// StartJob makes a job wait for a process: a plan, or a job that ended before everything was done.
// One that is open already stays as it is.
func (db *DB) StartJob(ctx context.Context, id string, by mirror.By) (j Job, err error) {
	err = db.changeJob(ctx, id, func(tx *Tx) error {
		if j, err = tx.job(ctx, id); err != nil {
			return err
		}
		now, was := clerk.TimeOf(db.now()), j.State
		switch {
		case was == mirror.JobWaiting || was == mirror.JobRunning:
			return nil
		case was == mirror.JobPlanned && !now.Time().Before(j.ExpiresAt):
			return mirror.ErrJobExpired
		case was != mirror.JobPlanned && !j.Resumable():
			return fmt.Errorf("job %s: %w", id, mirror.ErrJobEnded)
		}
		rows, err := tx.query(ctx, "SELECT job_id FROM clerk_jobs WHERE ended_at IS NULL AND started_at IS NOT NULL")
		open, err := scanAll(rows, err, scanOne[string])
		if err != nil {
			return err
		}
		if len(open) >= maxOpenJobs {
			return mirror.ErrTooManyJobs
		}
		const text = `UPDATE clerk_jobs SET state = 'waiting', started_at = $3, started_by = $4, address = $5, request_id = $6, updated_at = $3,
			cancelled_by = NULL, ended_at = NULL, error = NULL WHERE job_id = $1 AND state = $2 RETURNING ` + jobColumns
		rows, err = tx.query(ctx, text, id, string(was), int64(now), textOrNull(by.Actor), textOrNull(by.Address), textOrNull(by.RequestID))
		if j, err = changedJob(scanAll(rows, err, scanJob)); err != nil {
			return err
		}
		return tx.AppendAudit(ctx, []mirror.AuditEntry{j.audit(by, was)})
	})
	return j, err
}

// CancelJob ends a job, or makes the process that works on it end it. lease returns the name of the
// lease of the process that works on jobs with an action. A job that is cancelled already stays as
// it is.
func (db *DB) CancelJob(
	ctx context.Context, id string, by mirror.By, now clerk.Time, lease func(mirror.JobAction) string, dead func(holder string) bool,
) (j Job, err error) {
	err = db.changeJob(ctx, id, func(tx *Tx) error {
		if j, err = tx.job(ctx, id); err != nil {
			return err
		}
		was, becomes := j.State, mirror.JobCancelled
		switch was {
		case mirror.JobPlanned, mirror.JobWaiting:
		case mirror.JobCancelled:
			return nil
		case mirror.JobDone, mirror.JobFailed:
			return fmt.Errorf("job %s: %w", id, mirror.ErrJobEnded)
		case mirror.JobRunning, mirror.JobCancelling:
			held, err := tx.lease(ctx, lease(j.Action), now)
			if err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
			if err == nil && held.runs(dead) {
				becomes = mirror.JobCancelling
			}
		}
		if was == becomes {
			return nil
		}
		at := clerk.TimeOf(db.now())
		const text = `UPDATE clerk_jobs SET state = $3, cancelled_by = COALESCE(cancelled_by, $4), updated_at = $5,
			ended_at = CASE WHEN $3 = 'cancelled' THEN $5 ELSE ended_at END WHERE job_id = $1 AND state = $2 RETURNING ` + jobColumns
		rows, err := tx.query(ctx, text, id, string(was), string(becomes), textOrNull(by.Actor), int64(at))
		if j, err = changedJob(scanAll(rows, err, scanJob)); err != nil {
			return err
		}
		return tx.AppendAudit(ctx, []mirror.AuditEntry{j.audit(by, was)})
	})
	return j, err
}

// changeJob runs a transaction that changes a job depending on its state. While it runs, the
// process that works on the job can change the state, but no operator can: the transaction runs
// again then.
func (db *DB) changeJob(ctx context.Context, id string, fn func(*Tx) error) error {
	for range 5 {
		err := db.Update(ctx, fn)
		if !errors.Is(err, errJobChanged) {
			return err
		}
	}
	return fmt.Errorf("job %s: %w", id, errJobChanged)
}

// errJobChanged means that the state of a job is another one than a transaction has read.
var errJobChanged = errors.New("the state of the job has changed meanwhile")

// changedJob returns the job that a statement has changed.
func changedJob(list []Job, err error) (Job, error) {
	j, err := exactlyOne(list, err)
	if errors.Is(err, ErrNotFound) {
		err = errJobChanged
	}
	return j, err
}

// JobSaved is what of a job is stored while a process works on it.
type JobSaved struct {
	ID       string
	State    mirror.JobState // running, or how it ended
	Cursor   string
	Done     int64
	Failed   int64
	Skipped  int64
	Failures []mirror.JobFailure // since the last time, the last of them the Failed-th
	Rate     float64
	Problem  string
	Error    string
	Progress []mirror.JobProgress
	By       mirror.By // for the audit of the end
}

// SaveJob stores the progress of a job and extends the lease, in one transaction. It returns the
// state that the job has now: an operator may be cancelling it. [ErrFenced] means that another
// process works on jobs, [mirror.ErrJobEnded] that the job has ended. Nothing is written then.
func (db *DB) SaveJob(ctx context.Context, l Lease, ttl time.Duration, s *JobSaved, now clerk.Time) (state mirror.JobState, err error) {
	changing := Job{Job: mirror.Job{
		ID: s.ID, Done: s.Done, Failed: s.Failed, Skipped: s.Skipped, Rate: s.Rate, Problem: s.Problem, Progress: s.Progress,
	}}
	_, _, progress, err := changing.encoded()
	if err != nil {
		return "", err
	}
	err = db.updateWithoutHead(ctx, func(tx *Tx) error {
		if err := tx.extendLease(ctx, l, now, ttl); err != nil {
			return err
		}
		tx.rows++
		const text = `UPDATE clerk_jobs SET state = CASE WHEN $2 = 'running' AND state = 'cancelling' THEN state ELSE $2 END, cursor = $3,
				done = $4, failed = $5, skipped = $6, progress = $7, error = $8, updated_at = $9, ended_at = $10
			WHERE job_id = $1 AND ended_at IS NULL AND started_at IS NOT NULL RETURNING ` + jobColumns
		at, ended := clerk.TimeOf(db.now()), clerk.Time(0)
		if s.State.Ended() {
			ended = at
		}
		rows, err := tx.query(ctx, text, s.ID, string(s.State), s.Cursor, s.Done, s.Failed, s.Skipped, progress, textOrNull(s.Error), int64(at), orNull(ended))
		j, err := exactlyOne(scanAll(rows, err, scanJob))
		if errors.Is(err, ErrNotFound) {
			return mirror.ErrJobEnded
		}
		if err != nil {
			return err
		}
		state = j.State
		if err := tx.saveJobFailures(ctx, s); err != nil || !state.Ended() {
			return err
		}
		if state == mirror.JobDone && j.Action == mirror.JobEraseUsers { // it may have searched for them by name
			if err := tx.MaskJob(ctx, &j); err != nil {
				return err
			}
		}
		return tx.AppendAudit(ctx, []mirror.AuditEntry{j.audit(s.By, mirror.JobRunning)})
	})
	return state, err
}

var jobFailureInsert = newBulk("INSERT INTO clerk_job_failures (job_id, number, object_id, reason, at)",
	[]columnType{textColumn, intColumn, textColumn, textColumn, intColumn}, " ON CONFLICT (job_id, number) DO NOTHING")

func (tx *Tx) saveJobFailures(ctx context.Context, s *JobSaved) error {
	first := s.Failed - int64(len(s.Failures)) + 1
	list := s.Failures[:max(0, min(int64(len(s.Failures)), maxJobFailures+1-first))]
	return tx.save(ctx, jobFailureInsert, len(list), func(i int) []any {
		return []any{s.ID, first + int64(i), list[i].ObjectID, list[i].Reason, int64(clerk.TimeOf(list[i].At))}
	})
}

// PurgeJobs removes jobs that ended before a time, the oldest beyond a thousand, and plans that
// have expired.
func (db *DB) PurgeJobs(ctx context.Context, now, before clerk.Time) error {
	rows, err := db.query(ctx, `SELECT job_id FROM clerk_jobs WHERE started_at IS NULL AND expires_at < $1 OR ended_at < $2
		OR job_id IN (SELECT job_id FROM clerk_jobs WHERE ended_at IS NOT NULL ORDER BY ended_at DESC, job_id DESC LIMIT 1000 OFFSET $3)`,
		int64(now), int64(before), maxEndedJobs)
	ids, err := scanAll(rows, err, scanOne[string])
	for _, id := range ids {
		if err != nil {
			break
		}
		_, err = db.inPages(ctx, `DELETE FROM clerk_job_failures WHERE job_id = $1 AND number IN
			(SELECT number FROM clerk_job_failures WHERE job_id = $1 ORDER BY number LIMIT $2)`, id, purgePage)
		if err == nil {
			err = db.updateWithoutHead(ctx, func(tx *Tx) error {
				return tx.exec(ctx, "DELETE FROM clerk_jobs WHERE job_id = $1 AND (started_at IS NULL OR ended_at IS NOT NULL)", id)
			})
		}
	}
	return err
}

// FailedJobs lists jobs that failed since a time and were not started again, the last ones first.
func (db *DB) FailedJobs(ctx context.Context, since clerk.Time) ([]mirror.Job, error) {
	rows, err := db.query(ctx, "SELECT "+jobColumns+` FROM clerk_jobs WHERE ended_at >= $1 AND state = 'failed'
		ORDER BY ended_at DESC, job_id DESC LIMIT 10`, int64(since))
	return scanAll(rows, err, func(r Row) (mirror.Job, error) {
		j, err := scanJob(r)
		return j.Job, err
	})
}

// CountOpenJobs counts the jobs that wait or run, by state.
func (db *DB) CountOpenJobs(ctx context.Context) (map[mirror.JobState]int64, error) {
	rows, err := db.query(ctx, "SELECT state, count(*) FROM clerk_jobs WHERE ended_at IS NULL AND started_at IS NOT NULL GROUP BY state")
	return scanMap(rows, err, func(r Row) (s mirror.JobState, n int64, err error) { return s, n, r.Scan(&s, &n) })
}

// EraseJobFailures removes why jobs could not work on some objects: the texts may name a person.
func (tx *Tx) EraseJobFailures(ctx context.Context, objectIDs []string) error {
	if len(objectIDs) == 0 {
		return nil
	}
	condition, arg := tx.db.engine.oneOf("object_id", objectIDs)
	return tx.exec(ctx, "UPDATE clerk_job_failures SET reason = '' WHERE "+condition, arg)
}

// JobsThatSearch lists the jobs whose filters have a text that may name a person, without those
// that wait or run: if their filters changed, they would select others.
func (tx *Tx) JobsThatSearch(ctx context.Context) (list []Job, err error) {
	rows, err := tx.query(ctx, "SELECT "+jobColumns+` FROM clerk_jobs
		WHERE (ended_at IS NOT NULL OR started_at IS NULL) AND (request LIKE '%"q":%' OR request LIKE '%"text":%')`)
	return scanAll(rows, err, scanJob)
}

// maskedText replaces the texts of a filter that named a person. It must not be empty: an empty
// filter selects everything.
const maskedText = "[erased]"

// MaskJob replaces the texts of the filter of a job.
func (tx *Tx) MaskJob(ctx context.Context, j *Job) error {
	for _, text := range []*string{&j.Filter.Search, &j.Filter.Text} {
		if *text != "" {
			*text = maskedText
		}
	}
	request, _, _, err := j.encoded()
	if err != nil {
		return err
	}
	return tx.exec(ctx, "UPDATE clerk_jobs SET request = $2 WHERE job_id = $1", j.ID, request)
}
