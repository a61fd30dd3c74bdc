package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clerksync/clerksync/mirror"
)

const (
	// MaxReplicaLag is how old a list from a read replica may be. Where it could be older, lists
	// are read from the primary.
	MaxReplicaLag = 5 * time.Second

	replicaPause   = time.Second            // between two comparisons with the primary
	replicaWait    = 500 * time.Millisecond // for a comparison
	replicaTimeout = 3 * time.Second        // for a list; the primary is asked after it
)

// ReplicaState is what a process knows of its read replica.
type ReplicaState struct {
	// Used reports that lists are read from the replica.
	Used bool
	// Lag is how old the replica was, at most, when it was compared with the primary last. It is
	// not known if Err is set.
	Lag time.Duration
	// Behind reports that the replica is not used because it is too far behind. Lag may then be
	// greater than it says.
	Behind bool
	// Err is why the replica cannot be used or compared with the primary.
	Err error
}

var errLooking = errors.New("it is being compared")

var errOtherReplica = errors.New("it is not a copy of the primary: its last change is not in the primary's feed")

// replica is a copy of a primary that lists are read from while it is new enough. How new it is
// follows from the write counter of the head row, so that it does not depend on clocks or on how
// the copy is made.
type replica struct {
	primary, db *DB

	audited atomic.Int64 // the write counter of the last transaction of this process with an audit entry
	wanted  atomic.Int64 // the greatest change that a caller was told is here

	begin, closing sync.Once
	end            chan struct{}
	ended          sync.WaitGroup
	looking        sync.Mutex // held during a comparison

	mu      sync.Mutex
	samples []replicaSample // of the primary, oldest first; the replica has the first and no other
	seen    replicaEnd      // of the replica
	looked  time.Time       // when the primary was asked for the last comparison
	err     error
}

// replicaSample is what the primary had at a moment.
type replicaSample struct {
	at     time.Time
	writes int64
}

// replicaEnd is the last write that a database has, and the last change of its feed.
type replicaEnd struct {
	writes, seq int64
	tag         string
}

// UseReplica makes [List] read from a copy of this database, which [DB.Close] closes too. The copy
// is never written. Call it before the handle is used.
func (db *DB) UseReplica(reader *DB) error {
	if db.engine != Postgres || reader.engine != Postgres {
		return errors.New("only Postgres has read replicas")
	}
	db.replica = &replica{primary: db, db: reader.SetReadOnly(), end: make(chan struct{})}
	return nil
}

// Replica returns what is known of the read replica, and whether there is one.
func (db *DB) Replica() (ReplicaState, bool) {
	if db.replica == nil {
		return ReplicaState{}, false
	}
	db.replica.follow()
	return db.replica.state(), true
}

// ReadAtLeast makes the lists of this process have a change of the feed from now on. They are read
// from the primary until the replica has it.
func (db *DB) ReadAtLeast(seq int64) {
	if db.replica != nil {
		raise(&db.replica.wanted, seq)
	}
}

// raise sets a number that only grows.
func raise(n *atomic.Int64, to int64) {
	for old := n.Load(); old < to; old = n.Load() {
		if n.CompareAndSwap(old, to) {
			return
		}
	}
}

// List reads a page of a list, from the read replica where there is one that is new enough. The
// page may lack what was committed in the last [MaxReplicaLag], except for what this process has
// audited, such as changes of operators, and for what [DB.ReadAtLeast] asks for. If the replica
// fails, the primary answers.
func List[F, T any](ctx context.Context, db *DB, read func(*DB, context.Context, F) (mirror.Page[T], error), filter F) (mirror.Page[T], error) {
	r := db.replica
	if r == nil || inside(ctx) || db.snapshotOf(ctx) != nil || !r.usable() {
		return read(db, ctx, filter)
	}
	limited, cancel := context.WithTimeout(ctx, replicaTimeout)
	defer cancel()
	page, failed := read(r.db, limited, filter)
	if failed == nil || ctx.Err() != nil {
		return page, failed
	}
	page, err := read(db, ctx, filter)
	if err == nil { // else it is the filter that is wrong, or both are down
		r.fail(failed)
	}
	return page, err
}

// usable reports whether the replica has what it must have.
func (r *replica) usable() bool {
	r.follow()
	if !r.state().Used {
		return false
	}
	if !r.lacks() {
		return true
	}
	return r.look() == nil && !r.lacks()
}

// lacks reports whether the replica, as it was seen last, lacks what a caller knows of.
func (r *replica) lacks() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen.writes < r.audited.Load() || r.seen.seq < r.wanted.Load()
}

// follow begins to compare replica and primary each second, until the handle is closed.
func (r *replica) follow() {
	r.begin.Do(func() {
		_ = r.look()
		r.ended.Go(func() {
			for {
				select {
				case <-r.end:
					return
				case <-time.After(replicaPause):
					_ = r.look()
				}
			}
		})
	})
}

func (r *replica) close() error {
	r.begin.Do(func() {}) // it does not begin any more
	r.closing.Do(func() { close(r.end) })
	r.ended.Wait()
	return r.db.Close()
}

// look compares replica and primary. It does not wait for another comparison.
func (r *replica) look() error {
	if !r.looking.TryLock() {
		return errLooking
	}
	defer r.looking.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), replicaWait)
	defer cancel()
	at := time.Now()
	head, err := r.primary.Head(ctx)
	if err != nil {
		return r.note(replicaSample{}, replicaEnd{}, fmt.Errorf("the primary: %w", err))
	}
	seen, err := r.db.replicaEnd(ctx)
	if err == nil && seen.seq > 0 {
		var here []string
		rows, failed := r.primary.query(ctx, "SELECT tag FROM clerk_changes WHERE seq = $1", seen.seq)
		if here, err = scanAll(rows, failed, scanOne[string]); err == nil && !slices.Contains(here, seen.tag) {
			err = errOtherReplica
		}
	}
	return r.note(replicaSample{at, head.Writes}, seen, err)
}

func (db *DB) replicaEnd(ctx context.Context) (replicaEnd, error) {
	rows, err := db.query(ctx, `SELECT h.writes, h.seq, COALESCE(c.tag, '') FROM clerk_head h LEFT JOIN clerk_changes c ON c.seq = h.seq WHERE h.one = 1`)
	return exactlyOne(scanAll(rows, err, func(r Row) (e replicaEnd, err error) { return e, r.Scan(&e.writes, &e.seq, &e.tag) }))
}

// note keeps the result of a comparison.
func (r *replica) note(primary replicaSample, seen replicaEnd, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
	if err != nil {
		return err
	}
	r.looked, r.seen = primary.at, seen
	if last := len(r.samples) - 1; last >= 0 && r.samples[last].writes > primary.writes {
		r.samples = nil // the primary is another one
	}
	r.samples = append(r.samples, primary)
	for len(r.samples) > 1 && r.samples[1].writes <= seen.writes {
		r.samples = r.samples[1:]
	}
	if extra := len(r.samples) - maxReplicaSamples; extra > 0 { // it is far behind: how far exactly does not matter
		r.samples = slices.Delete(r.samples, 1, 1+extra)
	}
	return nil
}

// maxReplicaSamples bounds what is remembered of a primary whose replica is behind.
const maxReplicaSamples = 600

// fail notes that the replica could not be read. The next comparison decides whether it is used
// again.
func (r *replica) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

func (r *replica) state() ReplicaState {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := ReplicaState{Err: r.err}
	if s.Err != nil || len(r.samples) == 0 {
		return s
	}
	first := r.samples[0]
	near := time.Since(first.at) <= MaxReplicaLag
	s.Lag, s.Behind = r.looked.Sub(first.at), !near
	s.Used = near && first.writes <= r.seen.writes // else the replica was not seen yet with anything that the primary had
	return s
}
