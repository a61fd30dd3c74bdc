package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/holder"
	"github.com/clerksync/clerksync/internal/incident"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/wait"
	"github.com/clerksync/clerksync/mirror"
)

// Func handles a change.
type Func func(context.Context, mirror.Change) error

// Feed reads the change feed.
type Feed interface {
	Page(ctx context.Context, q mirror.FeedQuery) (mirror.FeedPage, error)
}

// Config is what a consumer works with.
type Config struct {
	DB        *store.DB
	Feed      Feed
	Now       func() time.Time
	Random    func() float64           // nil: random numbers from 0 to 1
	Holder    string                   // "": a new name for this process
	Dead      func(holder string) bool // nil: what is known of the processes of this machine
	Logger    *slog.Logger
	Incidents *incident.Log
}

// Options are what the application chooses. Zero values are the defaults.
type Options struct {
	Start    mirror.FeedCursor // where a new consumer begins; "": at the present end
	Snapshot []clerk.Kind      // a new consumer begins with all live objects of these kinds
	Kinds    []clerk.Kind
	Types    []string

	ParkAfter int // 0: a change is tried until it succeeds
	MaxParked int // beyond it, none is parked
	MaxHeld   int
	RetryMin  time.Duration
	RetryMax  time.Duration

	SaveChanges int
	SaveEvery   time.Duration
	Lease       time.Duration

	GoneSkip     bool         // if the place is gone, go on from the present end
	GoneSnapshot []clerk.Kind // if the place is gone, go on with a snapshot
}

const (
	defaultMaxHeld     = 1000
	defaultMaxParked   = 10_000
	defaultSaveChanges = 100
	defaultSaveEvery   = 100 * time.Millisecond
	defaultLease       = 15 * time.Second
	leaseEvery         = time.Second            // how often a process that waits looks at the lease
	lookEvery          = 500 * time.Millisecond // how often the holder looks for what operators did
	failurePause       = 100 * time.Millisecond // after an error of the database, at first
	maxFailurePause    = 5 * time.Second
	shutdownTimeout    = 5 * time.Second // for the last save
)

func (o Options) withDefaults() Options {
	whereZero := func(d *time.Duration, otherwise time.Duration) {
		if *d == 0 {
			*d = otherwise
		}
	}
	whereZero(&o.RetryMin, shortestRetry)
	whereZero(&o.RetryMax, max(longestRetry, o.RetryMin))
	whereZero(&o.SaveEvery, defaultSaveEvery)
	whereZero(&o.Lease, defaultLease)
	if o.MaxHeld == 0 {
		o.MaxHeld = defaultMaxHeld
	}
	if o.MaxParked == 0 {
		o.MaxParked = defaultMaxParked
	}
	if o.SaveChanges == 0 {
		o.SaveChanges = defaultSaveChanges
	}
	return o
}

// check returns what is wrong with the options.
func (o Options) check() error {
	switch {
	case o.ParkAfter < 0 || o.MaxHeld < 1 || o.SaveChanges < 1:
		return errors.New("numbers of tries and changes must be positive")
	case o.RetryMin < 0 || o.RetryMax < o.RetryMin || o.SaveEvery < 0:
		return errors.New("pauses must be positive, and the longest one no shorter than the shortest")
	case o.Start != "" && len(o.Snapshot) > 0:
		return errors.New("a consumer begins at a cursor or with a snapshot, not both")
	case !areKinds(o.Snapshot) || !areKinds(o.GoneSnapshot):
		return fmt.Errorf("%w: a snapshot has kinds of objects that exist, each once", mirror.ErrInvalidFilter)
	case o.GoneSkip && len(o.GoneSnapshot) > 0:
		return errors.New("a consumer whose cursor is gone goes on from now or with a snapshot, not both")
	}
	return nil
}

// areKinds reports whether a list has kinds that are mirrored, each once.
func areKinds(list []clerk.Kind) bool {
	for i, kind := range list {
		if !slices.Contains(clerk.Kinds(), kind) || slices.Contains(list[:i], kind) {
			return false
		}
	}
	return true
}

var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// checkName returns an error for a text that cannot be the name of a consumer.
func checkName(name string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("%q cannot be the name of a consumer: use up to 63 lower-case letters, digits, dots, dashes and underscores", name)
	}
	return nil
}

// runner is a consumer in this process.
type runner struct {
	Config
	Options

	stats *Stats
	name  string
	fn    Func
}

// run works for a consumer until the context ends, and then returns nil. It returns an error for
// what cannot get better by itself.
func (r *runner) run(ctx context.Context) error {
	if err := errors.Join(checkName(r.name), r.Options.check()); err != nil {
		return err
	}
	if r.fn == nil {
		return errors.New("the function of the consumer is nil")
	}
	if r.Holder == "" {
		r.Holder = holder.New()
	}
	if err := r.persist(ctx, r.register); err != nil {
		return r.ended(ctx, err)
	}
	for pause := time.Duration(0); ; {
		err := r.tenure(ctx)
		if ctx.Err() != nil || isFinal(err) {
			return r.ended(ctx, err)
		}
		if errors.Is(err, errLost) {
			pause = 0
			continue
		}
		r.reportOutage(err)
		pause = nextPause(pause)
		_ = wait.For(ctx, pause)
	}
}

// ended returns the error with which Run ends: none if the context has ended.
func (r *runner) ended(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended == nil {
		return fmt.Errorf("consumer %s: %w", r.name, err)
	}
	return nil
}

// isFinal reports whether trying again cannot help.
func isFinal(err error) bool {
	if _, gone := errors.AsType[*mirror.CursorGoneError](err); gone {
		return true
	}
	for _, final := range []error{
		store.ErrNotFound, store.ErrReadOnly, store.ErrTooManyConsumers, mirror.ErrInvalidCursor, mirror.ErrInvalidFilter, errNoSnapshot,
	} {
		if errors.Is(err, final) {
			return true
		}
	}
	return false
}

// register stores a new consumer. What it selects is checked first, and where it begins.
func (r *runner) register(ctx context.Context) error {
	if _, err := r.Feed.Page(ctx, r.query("")); err != nil {
		return err
	}
	_, err := r.DB.Consumer(ctx, r.name)
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	start, err := r.start(ctx)
	if err != nil {
		return err
	}
	return r.DB.RegisterConsumer(ctx, r.name, start, len(r.Snapshot) > 0, clerk.TimeOf(r.Now()))
}

// start returns where a new consumer begins. The beginning of the feed is the oldest change that is
// kept.
func (r *runner) start(ctx context.Context) (mirror.FeedCursor, error) {
	if r.Start == "" {
		return "", nil
	}
	_, err := r.Feed.Page(ctx, r.query(r.Start))
	if gone, ok := errors.AsType[*mirror.CursorGoneError](err); ok && r.Start == mirror.FeedStart {
		return gone.Oldest, nil
	}
	return r.Start, err
}

// persist calls fn until it succeeds or fails for good.
func (r *runner) persist(ctx context.Context, fn func(context.Context) error) error {
	for pause := time.Duration(0); ; {
		err := fn(ctx)
		if err == nil || isFinal(err) {
			return err
		}
		if ctx.Err() == nil {
			r.reportOutage(err)
		}
		if pause = nextPause(pause); wait.For(ctx, pause) != nil {
			return ctx.Err()
		}
	}
}

func (r *runner) reportOutage(err error) {
	r.Incidents.Report(slog.LevelWarn, "consumer database "+r.name, "a consumer of the change feed cannot use the database; it tries again",
		slog.String("consumer", r.name), slog.Any("error", err))
}

// nextPause doubles a pause.
func nextPause(d time.Duration) time.Duration {
	return min(max(2*d, failurePause), maxFailurePause)
}
