package jobs

import (
	"maps"
	"sync"
	"time"

	"github.com/clerksync/clerksync/mirror"
)

// tally is what became of some objects.
type tally struct {
	done, skipped int64
	failures      []mirror.JobFailure
}

// Count is what the jobs of one action did in this process.
type Count struct{ Done, Failed, Skipped int64 }

// Stats counts what this process did. It is safe for concurrent use.
type Stats struct {
	mu      sync.Mutex
	objects map[mirror.JobAction]Count
	ended   map[mirror.JobState]int64
}

func (s *Stats) count(a mirror.JobAction, did tally) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.objects == nil {
		s.objects = map[mirror.JobAction]Count{}
	}
	n := s.objects[a]
	n.Done, n.Skipped, n.Failed = n.Done+did.done, n.Skipped+did.skipped, n.Failed+int64(len(did.failures))
	s.objects[a] = n
}

func (s *Stats) end(state mirror.JobState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = map[mirror.JobState]int64{}
	}
	s.ended[state]++
}

// Objects returns what became of objects, by the action of their jobs.
func (s *Stats) Objects() map[mirror.JobAction]Count {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.objects)
}

// Ended returns how many jobs have ended in each state.
func (s *Stats) Ended() map[mirror.JobState]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.ended)
}

// rateOver is the time over which the rate of a job is measured.
const rateOver = 10 * time.Second

// rate measures how many objects a second a job works on.
type rate struct{ samples []sample }

type sample struct {
	at    time.Time
	total int64
}

// note adds how many objects were worked on by now, and returns the rate.
func (r *rate) note(now time.Time, total int64) float64 {
	r.samples = append(r.samples, sample{now, total})
	for len(r.samples) > 2 && now.Sub(r.samples[1].at) >= rateOver {
		r.samples = r.samples[1:]
	}
	first := r.samples[0]
	seconds := now.Sub(first.at).Seconds()
	if seconds <= 0 {
		return 0
	}
	return float64(int64(float64(total-first.total)/seconds*10+0.5)) / 10
}
