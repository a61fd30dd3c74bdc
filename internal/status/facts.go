package status

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/schedule"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Facts are what is known of a mirror at one moment, by the database's clock.
type Facts struct {
	Now         clerk.Time
	Life        store.Life
	Abandoned   bool // who looked after the mirror last was killed, or this is a copy that was taken meanwhile
	Instance    Instance
	DeadLetters int64
	Quarantined int64
	Kinds       []Kind
	Overdue     time.Duration // the age from which on a walk is too old to prove anything
}

// Instance is what names the Clerk instance of a mirror.
type Instance struct {
	Own     string   // the one that the database belongs to; "" while it is not known
	Foreign []string // others whose keys or events came here
}

// Kind is what is known of the copies of one kind.
type Kind struct {
	Kind     clerk.Kind
	Listed   bool // Clerk lists the kind, so that all of it can be compared
	Readable bool // Clerk returns one by id, so that a doubt can be settled
	Walk     store.Walk
	Tally    store.KindCounts
	Queue    store.Queue
	Suspects int64 // one answer of Clerk has to be confirmed by a second
	// Conflicts are objects that Clerk has and that are deleted here permanently.
	Conflicts int64
	Drift     store.DriftCount
	// Unreadable rows are in doubt, and Clerk keeps refusing to return them.
	Unreadable int64
}

// Read gathers the facts in one read transaction. ours is our clock, which counts on SQLite only; drift is
// also counted since the given time.
func Read(ctx context.Context, db *store.DB, s schedule.Schedule, ours, since clerk.Time) (f Facts, err error) {
	err = db.Snapshot(ctx, func(ctx context.Context) error {
		f, err = read(ctx, db, s, ours, since)
		return err
	})
	return f, err
}

func read(ctx context.Context, db *store.DB, s schedule.Schedule, ours, since clerk.Time) (f Facts, err error) {
	var errs [10]error
	var unreadable, conflicts map[clerk.Kind]int64
	var walks map[string]store.Walk
	var queues map[clerk.Kind]store.Queue
	var counts map[clerk.Kind]store.DriftCount
	var deliveries map[mirror.DeliveryState]int64
	var suspects map[clerk.Kind]int64
	var runners []store.Runner
	f.Now, errs[0] = db.Clock(ctx, ours)
	walks, errs[1] = db.Walks(ctx)
	queues, errs[2] = db.Queues(ctx)
	counts, errs[3] = db.DriftCounts(ctx, since)
	deliveries, errs[4] = db.CountNotApplied(ctx)
	suspects, errs[5] = db.Suspected(ctx)
	f.Life, errs[6] = db.Life(ctx)
	unreadable, errs[7] = db.Unreadable(ctx)
	conflicts, errs[8] = db.Conflicts(ctx)
	runners, errs[9] = db.Runners(ctx)
	if err := cmp.Or(errs[:]...); err != nil {
		return f, err
	}
	_, f.Abandoned = Abandoned(runners, 0, f.Now)
	f.DeadLetters, f.Quarantined = deliveries[mirror.DeliveryDead], deliveries[mirror.DeliveryQuarantined]
	f.Overdue = s.Overdue(schedule.Took(walks))
	for _, kind := range Kinds() {
		k := Kind{
			Kind: kind, Listed: slices.Contains(reconcile.Kinds(), kind), Readable: reconcile.Readable(kind), Walk: walks[string(kind)],
			Queue: queues[kind], Suspects: suspects[kind], Drift: counts[kind], Unreadable: unreadable[kind], Conflicts: conflicts[kind],
		}
		if k.Tally, err = db.KindCounts(ctx, kind, k.Walk.Whole); err != nil {
			return f, fmt.Errorf("count %s: %w", kind, err)
		}
		f.Kinds = append(f.Kinds, k)
	}
	return f, nil
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
