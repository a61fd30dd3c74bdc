package consumer

import (
	"maps"
	"sync"
)

// Counts are what this process did for a consumer.
type Counts struct {
	Handled int64 // calls that succeeded
	Failed  int64 // calls that failed
	Parked  int64 // changes that were given up
}

// Stats counts by consumer. Their number is bounded by that of the consumers in the database. The
// zero value is ready.
type Stats struct {
	mu     sync.Mutex
	counts map[string]Counts
}

func (s *Stats) add(name string, c Counts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil {
		s.counts = map[string]Counts{}
	}
	t := s.counts[name]
	s.counts[name] = Counts{t.Handled + c.Handled, t.Failed + c.Failed, t.Parked + c.Parked}
}

// All returns the counts of each consumer that this process worked for.
func (s *Stats) All() map[string]Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counts)
}
