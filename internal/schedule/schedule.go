package schedule

import (
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
)

const (
	// dutyFactor is how many times longer than a walk the pause after it is, so that walks take at
	// most 5 % of the time.
	dutyFactor = 20
	// Bounds of the pause, unless the operator sets others.
	shortestPause = 10 * time.Minute
	longestPause  = 24 * time.Hour
	// The grace that a walk gets beyond its due time before it counts as late. It is as long as the
	// pause, within these bounds: one failed walk alone makes nothing late.
	minGrace = 20 * time.Minute
	maxGrace = 2 * time.Hour
)

// Schedule is how often everything at Clerk is compared. A zero bound means its default: 10 minutes
// and 24 hours.
type Schedule struct{ Min, Max time.Duration }

func (s Schedule) bounds() (least, most time.Duration) {
	least, most = s.Min, s.Max
	if least <= 0 {
		least = shortestPause
	}
	if most <= 0 {
		most = longestPause
	}
	return least, max(least, most)
}

// Pause returns how long after the end of a walk the next one begins, given how long the walk took.
func (s Schedule) Pause(took time.Duration) time.Duration {
	least, most := s.bounds()
	return min(max(dutyFactor*took, least), most)
}

// Retry returns how long after a failed or incomplete walk the next attempt begins.
func (s Schedule) Retry() time.Duration {
	least, _ := s.bounds()
	return least
}

// Overdue returns the age, counted from its start, from which on the last walk is too old to prove
// anything.
func (s Schedule) Overdue(took time.Duration) time.Duration {
	pause := s.Pause(took)
	return took + pause + min(max(pause, minGrace), maxGrace)
}

// Took returns how long the last walk took: the sum of what each list took.
func Took(walks map[string]store.Walk) (took time.Duration) {
	for list := range walks {
		if w := walks[list]; w.EndedAt > w.BegunAt {
			took += time.Duration(w.EndedAt-w.BegunAt) * time.Millisecond
		}
	}
	return took
}

// Due reports whether the lists are to be walked now. provenFrom is the end of the last gap (see
// store.Life): walks that began before it prove nothing, so the next one is due at once.
// A walk that seems to have ended in the future is due as well: a clock has jumped.
func (s Schedule) Due(kinds []clerk.Kind, walks map[string]store.Walk, provenFrom, now clerk.Time) bool {
	pause := s.Pause(Took(walks))
	for _, kind := range kinds {
		w := walks[string(kind)]
		age := time.Duration(now-w.EndedAt) * time.Millisecond
		switch {
		case age < 0, w.BegunAt < provenFrom, age >= pause:
			return true
		case !w.Complete && !w.Refused && age >= s.Retry():
			return true
		}
	}
	return false
}
