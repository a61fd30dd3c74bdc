package auth

import (
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// KeyStats counts the fetches of a [RemoteKeySet].
type KeyStats struct {
	Fetched  time.Time // when the keys in use were fetched; zero if there are none
	Fetches  uint64    // the number of fetches that ended, failures included
	Failures uint64    // the number of fetches that failed
}

// Stats returns the counts of the fetches so far.
func (r *RemoteKeySet) Stats() KeyStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	stats := r.stats
	if set := r.set.Load(); set != nil {
		stats.Fetched = set.fetched
	}
	return stats
}

// TokenStats counts the tokens of a [Verifier] or a [MachineVerifier].
type TokenStats struct {
	// Verified is the number of tokens whose signature was verified and that were accepted. Tokens
	// that the verifier remembered are not counted.
	Verified uint64

	// Refused is the number of refused tokens, by the reason of their [Error], or by its code if it
	// has no reason.
	Refused map[string]uint64
}

// tokenStats counts what [TokenStats] returns. It costs a remembered token nothing.
type tokenStats struct {
	verified atomic.Uint64

	mu      sync.Mutex
	refused map[string]uint64
}

func (s *tokenStats) refuse(err error) {
	reason := reasonUnavailable
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

// Stats returns the counts of the tokens so far.
func (v *Verifier) Stats() TokenStats { return v.stats.snapshot() }

func (s *tokenStats) snapshot() TokenStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return TokenStats{s.verified.Load(), maps.Clone(s.refused)}
}
