package jobs

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/holder"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/wait"
	"github.com/clerksync/clerksync/mirror"
)

// Replayer applies stored deliveries again.
type Replayer interface {
	ReplayStored(ctx context.Context, messageIDs []string, o mirror.ReplayOptions) (mirror.ReplayReport, error)
}

// Writer makes changes, at Clerk first, within the budget of requests in the background.
type Writer interface {
	// Check returns why no change can be made.
	Check() error
	SetRole(ctx context.Context, userID, role string, by mirror.By) error
	// RevokeSessions ends all sessions of a user, and returns how many there were.
	RevokeSessions(ctx context.Context, userID string, by mirror.By) (int, error)
	RevokeSession(ctx context.Context, sessionID string, by mirror.By) error
	// Erase deletes a user at Clerk and empties the user's rows.
	Erase(ctx context.Context, userID string, by mirror.By) error
	// FinishErasures removes what else names users who were erased.
	FinishErasures(ctx context.Context) error
}

// Sync reads lists at Clerk. The error is [mirror.ErrSyncBusy] while another process does.
type Sync interface {
	Backfill(ctx context.Context, progress func(mirror.SyncProgress)) (*mirror.SyncReport, error)
	Reconcile(ctx context.Context, o mirror.ReconcileOptions) (*mirror.SyncReport, error)
}

// Config is what a [Service] works with.
type Config struct {
	DB         *store.DB
	Deliveries Replayer
	Users      Writer
	Sync       Sync
	ReadsClerk bool // there is a secret key
	// Listed reports whether Clerk lists a kind, so that it can be reconciled.
	Listed func(clerk.Kind) bool
	// Transient reports whether an error is no fault of the object: the same work may succeed
	// later.
	Transient func(error) bool

	Now    func() time.Time
	Dead   func(holder string) bool // nil: what is known of the processes of this machine
	Logger *slog.Logger

	// For tests; 0 is the default.
	Lease time.Duration
	Poll  time.Duration // how often a process without work looks for jobs that others started
	Pause time.Duration // before the first new try
}

const (
	defaultLease = 15 * time.Second
	defaultPoll  = 2 * time.Second
	defaultPause = time.Second
)

// Service plans, shows and runs jobs. It is safe for concurrent use.
type Service struct {
	// Stats counts what this process did.
	Stats Stats

	Config
	holder string
	lanes  []*lane
}

// New returns a service. It runs nothing yet.
func New(c Config) *Service {
	whereZero := func(d *time.Duration, otherwise time.Duration) {
		if *d == 0 {
			*d = otherwise
		}
	}
	whereZero(&c.Lease, defaultLease)
	whereZero(&c.Poll, defaultPoll)
	whereZero(&c.Pause, defaultPause)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Dead == nil {
		c.Dead = holder.Dead
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{Config: c, holder: holder.New()}
	for _, l := range []lane{{lease: "jobs"}, {lease: "jobs:sync", readsClerk: true}} {
		s.lanes = append(s.lanes, &lane{Service: s, lease: l.lease, readsClerk: l.readsClerk, wake: make(chan struct{}, 1)})
	}
	return s
}

// laneOf returns the lane of an action.
func (s *Service) laneOf(a mirror.JobAction) *lane {
	return s.lanes[slices.IndexFunc(s.lanes, func(l *lane) bool { return l.readsClerk == a.ReadsClerk() })]
}

func (s *Service) now() clerk.Time { return clerk.TimeOf(s.Now()) }

// Start makes a planned job wait for a process, or a job that ended before everything was done. A
// job that waits or runs already stays as it is.
func (s *Service) Start(ctx context.Context, id string, by mirror.By) (mirror.Job, error) {
	j, err := s.DB.StartJob(ctx, id, by)
	if err != nil {
		return mirror.Job{}, err
	}
	s.laneOf(j.Action).notify()
	return s.withLabels(ctx, j.Job)
}

// Cancel ends a job after the objects in progress. What was done stays done.
func (s *Service) Cancel(ctx context.Context, id string, by mirror.By) (mirror.Job, error) {
	j, err := s.DB.CancelJob(ctx, id, by, s.now(), func(a mirror.JobAction) string { return s.laneOf(a).lease }, s.Dead)
	if err != nil {
		return mirror.Job{}, err
	}
	s.laneOf(j.Action).notify()
	return s.withLabels(ctx, j.Job)
}

// ByID returns a job.
func (s *Service) ByID(ctx context.Context, id string) (mirror.Job, error) {
	j, err := s.DB.Job(ctx, id)
	if err != nil {
		return mirror.Job{}, err
	}
	return s.withLabels(ctx, j.Job)
}

// withLabels looks up by what people know the objects of the sample: of sessions, their users. No
// job stores that, because a person may be erased meanwhile.
func (s *Service) withLabels(ctx context.Context, j mirror.Job) (mirror.Job, error) {
	if j.Action == mirror.JobReplayDeliveries || len(j.Plan.Sample) == 0 {
		return j, nil
	}
	user := func(item *mirror.JobItem) string { return cmp.Or(item.Label, item.ID) }
	ids := make([]string, len(j.Plan.Sample))
	for i := range j.Plan.Sample {
		ids[i] = user(&j.Plan.Sample[i])
	}
	users, err := s.DB.UsersByClerkIDs(ctx, ids)
	for i := range j.Plan.Sample {
		item := &j.Plan.Sample[i]
		if u, ok := users[user(item)]; ok {
			item.Label = labelOf(&u)
		}
	}
	return j, err
}

// Run works on jobs until the context ends.
func (s *Service) Run(ctx context.Context) {
	var working sync.WaitGroup
	defer working.Wait()
	for _, l := range s.lanes {
		working.Go(func() { l.run(ctx) })
	}
}

// followEvery is how often progress is reported to the caller of RunJob.
const followEvery = 500 * time.Millisecond

// RunJob waits until a job has ended, and works on it in this process unless another one does. It
// reports progress from time to time. If the context ends first, the job stays open: the next
// process that works on jobs goes on with it.
func (s *Service) RunJob(ctx context.Context, id string, progress func(mirror.Job)) (mirror.Job, error) {
	j, err := s.ByID(ctx, id)
	if err != nil || j.State == mirror.JobPlanned || j.State.Ended() {
		return j, err
	}
	working, stop := context.WithCancel(ctx)
	var worker sync.WaitGroup
	lane := s.laneOf(j.Action) // not in the goroutine: j is read again below
	worker.Go(func() { lane.run(working) })
	defer func() {
		stop()
		worker.Wait()
	}()
	for {
		if j, err = s.ByID(ctx, id); err != nil || j.State.Ended() {
			return j, err
		}
		if progress != nil {
			progress(j)
		}
		if err := wait.For(ctx, followEvery); err != nil {
			return j, err
		}
	}
}
