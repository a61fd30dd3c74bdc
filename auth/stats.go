package auth

import (
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// KeyStats is what became of the fetches of [RemoteKeySet] since they were made.
type KeyStats struct {
	Fetched           time.Time // when the keys in use were fetched; zero: there are none
	Fetches, Failures uint64    // that ended; Failures are among Fetches
}

// Stats tells of the fetches so far.
func (r *RemoteKeySet) Stats() KeyStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	stats := r.stats
	if set := r.set.Load(); set != nil {
		stats.Fetched = set.fetched
	}
	return stats
}

// TokenStats is what became of tokens since the [Verifier] was made.
type TokenStats struct {
	Verified uint64            // accepted, but for those that were remembered: they are not counted
	Refused  map[string]uint64 // by reason, or by code where there is no reason
}

// tokenStats costs tokens that are remembered nothing.
type tokenStats struct {
	verified atomic.Uint64

	mu      sync.Mutex
	refused map[string]uint64
}

func (s *tokenStats) refuse(err error) {
	reason := CodeInvalidToken
	if refused, ok := errors.AsType[*Error](err); ok {
		if reason = refused.Reason; reason == "" {
			reason = refused.Code
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused == nil {
		s.refused = map[string]uint64{}
	}
	s.refused[reason]++
}

// Stats tells of the tokens so far. The reasons are the constants of this package.
func (v *Verifier) Stats() TokenStats {
	v.stats.mu.Lock()
	defer v.stats.mu.Unlock()
	return TokenStats{v.stats.verified.Load(), maps.Clone(v.stats.refused)}
}
