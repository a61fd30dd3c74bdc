package machine

import (
	"sync/atomic"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/metrics"
)

type counter = atomic.Int64

// Stats counts since the start.
type Stats struct {
	Hits        counter // answered from memory
	Misses      counter // that memory could not answer
	Loaded      counter // of the misses: answered from the database
	Remembered  counter // refused from memory, since Clerk has refused them
	Stale       counter // of the misses: accepted by an old answer, for Clerk could not be asked
	Reads       counter // of the misses: answered by a read that Clerk is not paid for
	OverAddress counter // not answered: the address sends too many unknown tokens
	OverCalls   counter // not answered: unknown tokens have cost enough

	calls [3]counter // that Clerk was paid for: API keys, OAuth tokens, M2M tokens
}

func (s *Stats) paid(kind auth.Kind) *counter { return &s.calls[apiKind(kind)] }

// Paid returns the verifications of a kind that Clerk was paid for.
func (s *Stats) Paid(kind auth.Kind) int64 { return s.paid(kind).Load() }

// Collect observes what the verifier counts.
func (v *Verifier) Collect(o metrics.Observe) {
	s := &v.Stats
	o(metrics.MachineHits, float64(s.Hits.Load()+s.Remembered.Load()))
	o(metrics.MachineMisses, float64(s.Misses.Load()))
	for _, kind := range []auth.Kind{auth.APIKey, auth.OAuth, auth.M2M} {
		o(metrics.MachineCalls, float64(s.Paid(kind)), kind.String())
	}
	o(metrics.MachineOverBudget, float64(s.OverAddress.Load()), "address")
	o(metrics.MachineOverBudget, float64(s.OverCalls.Load()), "calls")
	o(metrics.MachineStale, float64(s.Stale.Load()))
	o(metrics.MachineSaved, float64(s.Saved())*v.config.Price)
}

// Saved returns how many verifications Clerk was not asked for.
func (s *Stats) Saved() int64 {
	return s.Hits.Load() + s.Loaded.Load() + s.Remembered.Load() + s.Stale.Load() + s.Reads.Load()
}
