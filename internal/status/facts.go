package status

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/instance"
	"github.com/clerksync/clerksync/internal/reach"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/schedule"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Facts are what the database knows of a mirror at one moment, by the database's clock.
type Facts struct {
	Library bool // remedies name methods and fields of the library, not commands and environment variables

	Ours clerk.Time // the same moment by the clock of this process
	// AheadOfDatabase is how far this machine's clock is ahead of that of Postgres; 0: they agree.
	AheadOfDatabase time.Duration
	Now             clerk.Time
	Born            clerk.Time // when the database was made
	Head            store.Head
	Life            store.Life
	CopiedAt        clerk.Time // when this copy of a database was made, if no process has looked after it since
	Abandoned       bool       // the process that kept the mirror up to date was killed, or this is a copy that was taken while it ran
	Foreign         instance.Foreign
	Instance        Instance
	DeadLetters     int64         // with Quarantined, up to a little more than maxCounted unless Counted is set
	Refused         store.Refused // by the application's OnChange
	Quarantined     int64
	LastDead        clerk.Time // when the last dead letter came
	// Unheard are kinds that change at Clerk and of which no event has ever come.
	Unheard       []clerk.Kind
	RolesRejected int64                    // 1 if there are any
	Consumers     []mirror.Consumer        // of the change feed
	FailedJobs    []mirror.Job             // of the last day
	Revocations   int64                    // of keys and tokens, that have no end; up to a little more than maxCounted
	Endpoints     []mirror.WebhookEndpoint // of outgoing webhooks, without the counts of messages
	Kinds         []Kind
	Overdue       time.Duration // the age from which on a walk is too old to prove anything

	// LastDeliveries and Drift are read together with the counts of rows.
	Counted        bool
	Deliveries     int64 // that are stored
	LastDeliveries map[string]store.LastDelivery
	Drift          []mirror.Drift // the latest
	Overrides      int64          // values that operators set here, up to ten thousand
}

// Instance names the Clerk instances that count for the proof.
type Instance struct {
	Own     string   // the one that the database belongs to; "" while it is not known
	Foreign []string // others whose keys or events came here since the last walk began
}

// Kind is what is known of the copies of one kind.
type Kind struct {
	Kind     clerk.Kind
	Listed   bool // Clerk lists the kind, so that all of it can be compared
	Readable bool // Clerk returns one by id, so that a row in the verify queue can be read again
	Walk     store.Walk
	Queue    store.Queue
	// Unreadable rows are in the verify queue, and Clerk keeps refusing to return them.
	Unreadable int64

	// The rest is read together with the counts of rows.
	Tally    store.KindCounts
	Suspects int64 // one answer of Clerk has to be confirmed by a second
	// Conflicts are objects that Clerk has and that are deleted here permanently.
	Conflicts int64
	Drift     store.DriftCount
}

// Bounds of freshness, beyond those of the schedule of walks. Status, warnings and doctor use
// these.
const (
	// MaxSilence is how long the mirror may go without a sign of life of a process that keeps it
	// up to date. After a longer gap nothing is proven until everything has been compared again.
	MaxSilence = 10 * time.Minute
	// maxSweepAge is how long the recent changes of users may go unread: they are read each minute.
	maxSweepAge = 15 * time.Minute
	// maxVerifyWait is how long a row may wait in the verify queue: a hundred are read every five
	// seconds.
	maxVerifyWait = 15 * time.Minute
	// unheardFor is how long a change that sent no webhook is a reason to check the subscription.
	unheardFor = 7 * 24 * time.Hour
	// failedJobsFor is how long a job that failed is a reason to warn.
	failedJobsFor = 24 * time.Hour
	// maxCounted bounds what is counted while tables are not.
	maxCounted = 10_000
	// listedDrift is how many rows of the drift report a status shows.
	listedDrift = 100
)

// Read reads in one transaction what the proof rests on, but for other instances. ours is our
// clock, which counts on SQLite only; drift is also counted since a time.
func Read(ctx context.Context, db *store.DB, s schedule.Schedule, ours, since clerk.Time) (f Facts, err error) {
	err = db.Snapshot(ctx, func(ctx context.Context) error {
		if err := f.read(ctx, db, s, ours); err != nil {
			return err
		}
		return f.count(ctx, db, since)
	})
	return f, err
}

// read reads what is read quickly: everything but counts of tables. ours is our clock, which
// counts on SQLite only.
func (f *Facts) read(ctx context.Context, db *store.DB, s schedule.Schedule, ours clerk.Time) error {
	var errs [9]error
	var unreadable map[clerk.Kind]int64
	var walks map[string]store.Walk
	var queues map[clerk.Kind]store.Queue
	var runners []store.Runner
	asked := time.Now()
	f.Now, errs[0] = db.Clock(ctx, ours)
	if db.Engine() == store.Postgres && errs[0] == nil {
		f.AheadOfDatabase = reach.Ahead(asked, time.Now(), f.Now.Time())
	}
	walks, errs[1] = db.Walks(ctx)
	queues, errs[2] = db.Queues(ctx)
	f.DeadLetters, f.Quarantined, errs[3] = db.CountProblems(ctx, maxCounted+1)
	f.Life, errs[4] = db.Life(ctx)
	unreadable, errs[5] = db.Unreadable(ctx)
	runners, errs[6] = db.Runners(ctx)
	f.Refused, errs[7] = db.Refused(ctx)
	f.CopiedAt, errs[8] = db.CopiedAt(ctx)
	if err := cmp.Or(errs[:]...); err != nil {
		return err
	}
	_, f.Abandoned = Abandoned(runners, 0, f.Now)
	f.Overdue = s.Overdue(schedule.Took(walks))
	for _, kind := range Kinds() {
		f.Kinds = append(f.Kinds, Kind{
			Kind: kind, Listed: slices.Contains(reconcile.Kinds(), kind), Readable: converge.Readable(kind), Walk: walks[string(kind)],
			Queue: queues[kind], Unreadable: unreadable[kind],
		})
	}
	return nil
}

// readMore reads what only warnings look at.
func (f *Facts) readMore(ctx context.Context, db *store.DB, guard *instance.Guard, now time.Time) error {
	var errs [10]error
	f.Head, errs[0] = db.Head(ctx)
	f.Born, errs[1] = db.CreatedAt(ctx)
	f.LastDead, errs[2] = db.LastDeadLetter(ctx)
	f.Unheard, errs[3] = unheard(ctx, db, now)
	f.Foreign, errs[4] = guard.Foreign(ctx)
	f.RolesRejected, errs[5] = db.RolesRejected(ctx, 1)
	f.Consumers, errs[6] = db.Consumers(ctx, f.Ours)
	endpoints, err := db.WebhookEndpoints(ctx)
	for i := range endpoints {
		f.Endpoints = append(f.Endpoints, endpoints[i].WebhookEndpoint)
	}
	errs[7] = err
	f.FailedJobs, errs[8] = db.FailedJobs(ctx, clerk.TimeOf(now.Add(-failedJobsFor)))
	f.Revocations, errs[9] = db.CountRevocations(ctx, maxCounted+1)
	return cmp.Or(errs[:]...)
}

// count reads what counts tables. Drift is also counted since a time.
func (f *Facts) count(ctx context.Context, db *store.DB, since clerk.Time) error {
	var errs [9]error
	var notApplied map[mirror.DeliveryState]int64
	var drift map[clerk.Kind]store.DriftCount
	var page mirror.Page[mirror.Drift]
	var suspects, conflicts map[clerk.Kind]int64
	drift, errs[0] = db.DriftCounts(ctx, since)
	suspects, errs[1] = db.Suspected(ctx)
	conflicts, errs[2] = db.Conflicts(ctx)
	f.LastDeliveries, errs[3] = db.LastDeliveries(ctx)
	page, errs[4] = db.Drift(ctx, mirror.DriftFilter{Limit: listedDrift})
	f.Instance, errs[5] = f.instances(ctx, db)
	f.Overrides, errs[6] = db.CountOverrides(ctx)
	notApplied, errs[7] = db.CountNotApplied(ctx)
	f.Deliveries, errs[8] = db.CountStored(ctx)
	if err := cmp.Or(errs[:]...); err != nil {
		return err
	}
	f.Counted, f.Drift = true, page.Items
	f.DeadLetters, f.Quarantined = notApplied[mirror.DeliveryDead], notApplied[mirror.DeliveryQuarantined]
	for i := range f.Kinds {
		k := &f.Kinds[i]
		k.Drift, k.Suspects, k.Conflicts = drift[k.Kind], suspects[k.Kind], conflicts[k.Kind]
		var err error
		if k.Tally, err = db.KindCounts(ctx, k.Kind, k.Walk.Whole); err != nil {
			return fmt.Errorf("count %s: %w", k.Kind, err)
		}
	}
	return nil
}

// instances returns the other Clerk instances that put the proof in doubt: those of configured
// keys, and those whose events came since the last walk began or were mixed with ours.
func (f *Facts) instances(ctx context.Context, db *store.DB) (Instance, error) {
	others := f.Foreign.Keys
	if len(f.Foreign.Events) > 0 {
		at, err := db.LastForeign(ctx)
		if err != nil {
			return Instance{}, err
		}
		if f.Foreign.Database == "" || at >= f.ProvenAt() {
			others = slices.Concat(others, f.Foreign.Events)
		}
	}
	return Instance{Own: f.Foreign.Database, Foreign: others}, nil
}

// unheard returns the kinds of which walks of the last days found changes, though no event of
// them has ever come.
func unheard(ctx context.Context, db *store.DB, now time.Time) (kinds []clerk.Kind, err error) {
	for _, kind := range reconcile.Kinds() {
		at, err := db.LastNotSubscribed(ctx, kind)
		if err != nil {
			return nil, err
		}
		if at == 0 || now.Sub(at.Time()) > unheardFor {
			continue
		}
		heard, err := db.EventSeen(ctx, kind.EventPrefix())
		if err != nil {
			return nil, err
		}
		if !heard {
			kinds = append(kinds, kind)
		}
	}
	return kinds, nil
}

// Walks returns the last walk of each list, by its name.
func (f *Facts) Walks() map[string]store.Walk {
	walks := make(map[string]store.Walk, len(f.Kinds))
	for i := range f.Kinds {
		if k := &f.Kinds[i]; k.Listed {
			walks[string(k.Kind)] = k.Walk
		}
	}
	return walks
}

// Kinds returns all mirrored kinds, those that Clerk lists first.
func Kinds() []clerk.Kind {
	listed := reconcile.Kinds()
	rest := slices.DeleteFunc(clerk.Kinds(), func(k clerk.Kind) bool { return slices.Contains(listed, k) })
	return append(listed, rest...)
}
