package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/wait"
	"github.com/clerksync/clerksync/mirror"
)

// reading is the progress of a job that reads lists at Clerk. The work notes it, and another
// goroutine saves it.
type reading struct {
	mu      sync.Mutex
	kinds   []mirror.JobProgress
	problem string
}

// note takes over how far the work is.
func (r *reading) note(p mirror.SyncProgress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problem = ""
	if !p.AskedAgain.IsZero() {
		r.problem = fmt.Sprintf("Clerk is asked a second time about %d objects at %s", p.Rows, p.AskedAgain.UTC().Format("15:04:05 UTC"))
		return
	}
	k := r.of(p.Kind)
	k.Rows, k.Total = int64(p.Rows), int64(p.Total)
}

// report takes over how the work ended. Of a kind that it did not come to the end of, the report
// may have nothing.
func (r *reading) report(report *mirror.SyncReport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problem = ""
	if report == nil {
		return
	}
	for i := range report.Kinds {
		k := &report.Kinds[i]
		p := r.of(k.Kind)
		*p = mirror.JobProgress{
			Kind: k.Kind, Rows: int64(k.Rows), Total: int64(k.Total), Done: k.Complete || k.Refused,
			Found: int64(k.Found), Repaired: int64(k.Repaired), Reason: shorten(k.Reason),
		}
	}
}

// of returns the progress of a kind. The kinds before it are done.
func (r *reading) of(kind clerk.Kind) *mirror.JobProgress {
	i := slices.IndexFunc(r.kinds, func(k mirror.JobProgress) bool { return k.Kind == kind })
	if i < 0 {
		for k := range r.kinds {
			r.kinds[k].Done = true
		}
		r.kinds = append(r.kinds, mirror.JobProgress{Kind: kind})
		i = len(r.kinds) - 1
	}
	return &r.kinds[i]
}

// copyTo puts the progress into what is saved.
func (r *reading) copyTo(j *running) {
	r.mu.Lock()
	defer r.mu.Unlock()
	j.saved.Progress, j.saved.Problem, j.saved.Done = slices.Clone(r.kinds), r.problem, 0
	for i := range r.kinds {
		j.saved.Done += r.kinds[i].Rows
	}
}

func (r *reading) busy() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problem = "another process reads Clerk for this database: this job waits for it"
}

// sync reads lists at Clerk. The job saves its progress meanwhile.
func (r *running) sync(ctx context.Context) error {
	progress := &reading{}
	working, stop := context.WithCancel(r.stop)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		_, err := safely(working, r, func(ctx context.Context) (struct{}, error) { return struct{}{}, r.read(ctx, progress) })
		ended <- err
	}()
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			progress.copyTo(r)
			if stopped := r.check(ctx); stopped != nil && err != nil {
				return stopped
			}
			return err
		case <-tick.C:
		}
		if ctx.Err() != nil {
			continue // the work ends, too
		}
		progress.copyTo(r)
		if err := r.saveSurely(ctx); err != nil {
			stop()
			return errors.Join(err, <-ended)
		}
	}
}

// read does the work of a job that reads lists at Clerk, once no other process does.
func (r *running) read(ctx context.Context, progress *reading) error {
	for {
		var report *mirror.SyncReport
		var err error
		if r.job.Action == mirror.JobBackfill {
			report, err = r.Sync.Backfill(ctx, progress.note)
		} else {
			report, err = r.Sync.Reconcile(ctx, mirror.ReconcileOptions{
				Kinds: r.job.Kinds, AllowMassDelete: r.job.AllowMassDelete, Progress: progress.note,
			})
		}
		if errors.Is(err, mirror.ErrSyncBusy) {
			progress.busy()
			if err := wait.For(ctx, r.Pause); err != nil {
				return err
			}
			continue
		}
		progress.report(report)
		if err == nil && report != nil {
			err = incomplete(report)
		}
		return err
	}
}

// incomplete returns an error that names the kinds that could not be read whole.
func incomplete(report *mirror.SyncReport) error {
	var reasons []string
	for i := range report.Kinds {
		if k := &report.Kinds[i]; !k.Complete && !k.Refused {
			reasons = append(reasons, string(k.Kind)+": "+k.Reason)
		}
	}
	if len(reasons) == 0 {
		return nil
	}
	return fmt.Errorf("some lists could not be read whole: %s", strings.Join(reasons, "; "))
}
