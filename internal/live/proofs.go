package live

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
)

// Fact names what is read from Clerk by itself: a role or a permission by its id, a user, a user's
// place in an organization, or the plans of a user or of an organization.
type Fact struct {
	Kind               clerk.Kind
	ID                 string // of a role or a permission
	User, Organization string
}

// Proof is what a read from Clerk proved.
type Proof struct {
	At    time.Time // when the read began
	Since int64     // the head's write counter from before the read
	Plans []string  // of a subscription; all other facts are stored
}

const (
	maxProofs  = 100_000
	maxReadFor = 3 // reads for one request whose fact changes while it is read
)

// Proofs remembers what was read from Clerk by itself. It is safe for concurrent use.
//
// A proof counts for a while, and only if its read began after the last doubt: a fact in the verify
// queue names the transaction that queued it, and a proof from before that transaction is none.
// What a proof vouches for is stored, so that a later event counts without further ado, but for
// plans: their proof holds them, and a change of a subscription ends it.
type Proofs struct {
	now  func() time.Time
	keep time.Duration

	mu    sync.Mutex
	held  map[Fact]Proof
	reads map[Fact]*proving
}

// proving is a read under way. err is to be read after done is closed.
type proving struct {
	done     chan struct{}
	err      error
	outdated bool // what it reads has changed since it began; guarded by Proofs.mu
}

// NewProofs returns an empty memory in which a proof counts for the time keep.
func NewProofs(now func() time.Time, keep time.Duration) *Proofs {
	return &Proofs{now: now, keep: keep, held: map[Fact]Proof{}, reads: map[Fact]*proving{}}
}

// Held returns the proof of a fact if it counts. queued is the number of the transaction that put
// the fact into the verify queue, 0 for one that is not in doubt.
func (p *Proofs) Held(f Fact, queued int64) (Proof, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts(f, queued)
}

func (p *Proofs) counts(f Fact, queued int64) (Proof, bool) {
	proof, ok := p.held[f]
	if !ok || proof.Since < queued {
		return Proof{}, false
	}
	age := p.now().Sub(proof.At)
	return proof, age >= 0 && age < p.keep
}

var errChanges = errors.New("the fact changes while it is read")

// Prove reads a fact, once for all who ask for it at a time, and remembers the proof. No one joins
// a read that began before a change of what it reads. A caller who gives up does not fail the
// others.
func (p *Proofs) Prove(ctx context.Context, f Fact, queued int64, read func(context.Context) (Proof, error)) error {
	for range maxReadFor {
		r := p.join(ctx, f, queued, read)
		if r == nil {
			return nil
		}
		select {
		case <-r.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if r.err != nil {
			return r.err
		}
	}
	if _, ok := p.Held(f, queued); ok {
		return nil
	}
	return errChanges
}

// join returns the read of a fact that is under way, or begins one; nil means that the fact is
// proven.
func (p *Proofs) join(ctx context.Context, f Fact, queued int64, read func(context.Context) (Proof, error)) *proving {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.counts(f, queued); ok {
		return nil
	}
	if r := p.reads[f]; r != nil {
		return r
	}
	r := &proving{done: make(chan struct{})}
	p.reads[f] = r
	go func() {
		proof, err := read(context.WithoutCancel(ctx))
		p.land(f, r, proof, err)
	}()
	return r
}

func (p *Proofs) land(f Fact, r *proving, proof Proof, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer close(r.done)
	r.err = err
	if r.outdated {
		return
	}
	delete(p.reads, f)
	if err != nil {
		return
	}
	if len(p.held) >= maxProofs {
		maps.DeleteFunc(p.held, func(_ Fact, old Proof) bool { return proof.At.Sub(old.At) >= p.keep })
	}
	if len(p.held) < maxProofs {
		p.held[f] = proof
	}
}

// Changed ends the proofs that hold what changed; nil ends all. See [Config.Changed].
func (p *Proofs) Changed(changes []row.ChangeRef) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if changes == nil {
		p.forget(func(Fact) bool { return true })
		return
	}
	for i := range changes {
		t := &changes[i]
		if t.Key.Kind != clerk.KindSubscription && t.Key.Kind != clerk.KindSubscriptionItem {
			continue
		}
		if t.UserID == "" && t.OrganizationID == "" { // its payer is not known
			p.forget(func(f Fact) bool { return f.Kind == clerk.KindSubscription })
			return
		}
		p.end(Fact{Kind: clerk.KindSubscription, User: t.UserID})
		p.end(Fact{Kind: clerk.KindSubscription, Organization: t.OrganizationID})
	}
}

func (p *Proofs) forget(which func(Fact) bool) {
	for f := range p.held {
		if which(f) {
			p.end(f)
		}
	}
	for f := range p.reads {
		if which(f) {
			p.end(f)
		}
	}
}

// end forgets the proof of a fact. A read under way is no proof either, and no one joins it any
// more.
func (p *Proofs) end(f Fact) {
	delete(p.held, f)
	if r := p.reads[f]; r != nil {
		r.outdated = true
		delete(p.reads, f)
	}
}
