package reconcile

import (
	"maps"
	"sync"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// Drifted counts rows of a kind that differed, since the start of the process.
type Drifted struct{ Found, Repaired int64 }

type stats struct {
	mu      sync.Mutex
	drifted map[clerk.Kind]Drifted
	swept   time.Time
}

func (s *stats) count(kind clerk.Kind, drift []mirror.Drift) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drifted == nil {
		s.drifted = map[clerk.Kind]Drifted{}
	}
	d := s.drifted[kind]
	for i := range drift {
		d.Found++
		if drift[i].Repaired {
			d.Repaired++
		}
	}
	s.drifted[kind] = d
}

func (s *stats) sweptAt(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.swept = at
}

// Drifted returns the drift of each kind that this process found, dry runs included.
func (r *Reconciler) Drifted() map[clerk.Kind]Drifted {
	r.stats.mu.Lock()
	defer r.stats.mu.Unlock()
	return maps.Clone(r.stats.drifted)
}

// Swept returns when this process last completed [Reconciler.Tick]. It is zero before the first.
func (r *Reconciler) Swept() time.Time {
	r.stats.mu.Lock()
	defer r.stats.mu.Unlock()
	return r.stats.swept
}
