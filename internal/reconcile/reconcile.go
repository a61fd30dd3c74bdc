package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/holder"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
)

// ErrBusy means that another process walks.
var ErrBusy = errors.New("another process is walking")

const (
	leaseName = "reconcile"
	leaseTTL  = 30 * time.Second
	idsAtOnce = 1000
)

// Config says what is reconciled with what.
type Config struct {
	DB     *store.DB
	Ingest *ingest.Ingest
	API    *clerkapi.Client
	Pins   func() []string // the instances that may be read; none means any, and then the database remembers the first
	Now    func() time.Time
	Sleep  func(context.Context, time.Duration) error // for tests; nil waits
	Logger *slog.Logger
	Lease  time.Duration // for tests; 0 is 30 s
	// Learned is called with the ids of the keys of the instance that the secret key belongs to. nil is fine.
	Learned func(keyIDs []string)
	Tracer  trace.Tracer // nil: nobody takes spans
}

// Reconciler walks for one process; several may share a database.
type Reconciler struct {
	Config
	holder string

	mu    sync.Mutex            // one walk at a time
	left  map[string]clerk.Time // users whose last change the last sweep left to its event, and when that was
	stats stats
}

// New makes a reconciler. It starts nothing.
func New(c Config) *Reconciler {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Sleep == nil {
		c.Sleep = sleep
	}
	if c.Tracer == nil {
		c.Tracer = noop.Tracer{}
	}
	if c.Lease == 0 {
		c.Lease = leaseTTL
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Reconciler{Config: c, holder: holder.New()}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// Progress tells how far a walk is. Total is Clerk's count, -1 where it tells none.
type Progress struct {
	Kind        clerk.Kind
	Rows, Total int
	// AskedAgain is when objects are asked for again that Clerk does not know, or told older than they are stored; Rows is
	// how many, Kind is empty. It is zero while a list is read.
	AskedAgain time.Time
}

// Options of a reconcile.
type Options struct {
	Kinds           []clerk.Kind // nil: all of Kinds(); sessions, of users active lately, only where they are named
	DryRun          bool         // report, repair nothing
	AllowMassDelete bool
	// Since reads only the users who were changed then or later; what was deleted is not noticed by that. Other kinds
	// are read whole: Clerk can not tell what changed of them.
	Since clerk.Time
	// AcceptRegression names objects of which Clerk told twice something older than what is stored, a minute apart. They
	// are set back to what Clerk tells.
	AcceptRegression []string
	Progress         func(Progress) // nil is fine
}

// KindReport is how the walk of a kind went.
type KindReport struct {
	Kind     clerk.Kind `json:"kind"`
	Rows     int        `json:"rows"`
	Total    int        `json:"total"` // as Clerk counts
	Complete bool       `json:"complete"`
	Refused  bool       `json:"refused,omitempty"` // Clerk has no such list for this instance: organizations are switched off
	Reason   string     `json:"reason,omitempty"`
	Since    clerk.Time `json:"since,omitempty"`  // only what was changed since then was read
	Unread   int        `json:"unread,omitempty"` // objects in doubt of which Clerk refused to tell
	Found    int        `json:"drift_found"`
	Repaired int        `json:"drift_repaired"`
}

// Report is how a backfill or a reconcile went.
type Report struct {
	Kinds    []KindReport  `json:"kinds"`
	Drift    []store.Drift `json:"drift"` // at most maxListed rows
	Found    int           `json:"drift_found"`
	Repaired int           `json:"drift_repaired"`
	DryRun   bool          `json:"dry_run"`
}

const maxListed = 1000

// Complete reports whether each walk proved that it brought everything, where there is anything to bring.
func (r *Report) Complete() bool {
	return !slices.ContainsFunc(r.Kinds, func(k KindReport) bool { return !k.Complete && !k.Refused })
}

// session is work under the lease.
type session struct {
	*Reconciler
	lease    store.Lease
	dryRun   bool
	report   *Report
	known    *ingest.Known
	listed   map[clerk.Kind]int64        // the head's write counters when the lists of this walk were begun
	suspects map[store.Key]store.Suspect // as in the database; a dry run keeps its own to itself
	accept   []string                    // ids whose regression a person accepts
	accepted []string                    // … and that was done

	unanswered int // reads of one object in a row that failed
}

func (s *session) under(also func(context.Context, *store.Tx, []ingest.Difference) error) ingest.Under {
	u := ingest.Under{DryRun: s.dryRun, Also: also}
	if !s.dryRun {
		u.Lease = &s.lease
	}
	return u
}

// lead does work as the only one who walks. A dry run writes nothing and needs no lease.
func (r *Reconciler) lead(ctx context.Context, o Options, work func(context.Context, *session) error) (*Report, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &session{
		Reconciler: r, dryRun: o.DryRun, accept: o.AcceptRegression, known: ingest.NewKnown(), listed: map[clerk.Kind]int64{},
		report: &Report{DryRun: o.DryRun, Drift: []store.Drift{}},
	}
	begin := func(ctx context.Context) error {
		if err := r.checkInstance(ctx, o.DryRun); err != nil {
			return err
		}
		if err := s.recall(ctx); err != nil {
			return err
		}
		return work(ctx, s)
	}
	if o.DryRun {
		return s.report, begin(ctx)
	}
	var err error
	if s.lease, err = r.DB.AcquireLease(ctx, leaseName, r.holder, clerk.TimeOf(r.Now()), r.Lease, holder.Dead); err != nil {
		if errors.Is(err, store.ErrLeaseHeld) {
			err = ErrBusy
		}
		return s.report, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var renewing sync.WaitGroup
	stop := make(chan struct{})
	renewing.Go(func() { s.renew(ctx, stop, cancel) })
	err = begin(ctx) // Clerk is asked nothing while another process has the lease
	close(stop)
	renewing.Wait()
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, store.ErrFenced) {
		err = cause
	}
	return s.report, errors.Join(err, r.DB.ReleaseLease(context.WithoutCancel(ctx), s.lease))
}

// renew keeps the lease while the work goes on, also while it waits for Clerk.
func (s *session) renew(ctx context.Context, stop <-chan struct{}, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(s.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.DB.RenewLease(ctx, s.lease, clerk.TimeOf(s.Now()), s.Lease); errors.Is(err, store.ErrFenced) {
				cancel(err)
				return
			}
		}
	}
}

// signs looks up what is known of the events of a kind.
func (r *Reconciler) signs(ctx context.Context, kind clerk.Kind) (signs, error) {
	heard, err := r.DB.Heard(ctx, kind.EventPrefix())
	if err != nil {
		return signs{}, err
	}
	head, err := r.DB.Head(ctx)
	return signs{heard, head.LastReceivedAt}, err
}

// drift turns differences into lines of the report. What is older at Clerk is drift once that is proven; a dry run, which
// does not wait for a second answer, tells of it all the same.
func (s *session) drift(found []ingest.Difference, signs signs, a clerkapi.Answer) []store.Drift {
	list := make([]store.Drift, 0, len(found))
	for _, d := range found {
		if stays(d) {
			if d.Written <= a.Horizon.Since && (s.dryRun || d.Conflict && !Readable(d.Key.Kind)) {
				list = append(list, s.contradiction(d, false))
			}
			continue
		}
		fields := slices.Clone(d.Fields)
		slices.Sort(fields)
		line := store.Drift{
			Kind: d.Key.Kind, ID: d.Key.ID, FoundAt: s.now(), Fields: slices.Compact(fields), Cause: signs.cause(d.UpdatedAt, a.Date),
			Since: d.UpdatedAt, Repaired: !s.dryRun,
		}
		if d.Altered {
			line.Cause, line.Since = CauseAltered, 0
		}
		list = append(list, line)
	}
	return list
}

// count adds to the report what was found and, but in a dry run, repaired.
func (s *session) count(k *KindReport, drift []store.Drift) {
	s.stats.count(k.Kind, drift)
	for _, d := range drift {
		k.Found++
		s.report.Found++
		if d.Repaired {
			k.Repaired++
			s.report.Repaired++
		}
		if len(s.report.Drift) < maxListed {
			s.report.Drift = append(s.report.Drift, d)
		}
	}
}

// of is the report of a kind. One that is not walked as a whole lacks nothing.
func (s *session) of(kind clerk.Kind) *KindReport {
	for i := range s.report.Kinds {
		if s.report.Kinds[i].Kind == kind {
			return &s.report.Kinds[i]
		}
	}
	s.report.Kinds = append(s.report.Kinds, KindReport{Kind: kind, Total: -1, Complete: true})
	return &s.report.Kinds[len(s.report.Kinds)-1]
}
