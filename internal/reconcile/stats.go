package reconcile

import (
	"maps"
	"sync"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// DriftCount counts rows of a kind that differed, since the start of the process.
type DriftCount struct{ Found, Repaired int64 }

type stats struct {
	mu       sync.Mutex
	drifted  map[clerk.Kind]DriftCount
	lastTick time.Time
}

func (s *stats) count(kind clerk.Kind, drift []mirror.Drift) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drifted == nil {
		s.drifted = map[clerk.Kind]DriftCount{}
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

func (s *stats) ticked(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastTick = at
}

// DriftCounts returns the drift of each kind that this process found, dry runs included.
func (r *Reconciler) DriftCounts() map[clerk.Kind]DriftCount {
	r.stats.mu.Lock()
	defer r.stats.mu.Unlock()
	return maps.Clone(r.stats.drifted)
}

// LastTick returns when this process last completed [Reconciler.Tick]. It is zero before the first.
func (r *Reconciler) LastTick() time.Time {
	r.stats.mu.Lock()
	defer r.stats.mu.Unlock()
	return r.stats.lastTick
}
