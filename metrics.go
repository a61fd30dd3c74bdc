package clerksync

import (
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/consumer"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/jobs"
	"github.com/clerksync/clerksync/internal/metrics"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/write"
	"github.com/clerksync/clerksync/mirror"
)

func collectIngest(in *ingest.Ingest, o metrics.Observe) {
	in.Stats.ByType(func(eventType string, status mirror.Outcome, n int64) {
		o(metrics.Events, float64(n), eventType, string(status))
	})
	waiting, size := in.Waiting()
	o(metrics.QueueEvents, float64(waiting))
	o(metrics.QueueSize, float64(size))
	o(metrics.Conflicts, float64(in.Stats.Conflicts.Load()))
	o(metrics.FactsRejected, float64(in.Stats.FactsRejected.Load()))
}

func collectConsumers(s *consumer.Service, o metrics.Observe) {
	for name, n := range s.Stats.All() {
		o(metrics.ConsumerChanges, float64(n.Handled), name, "handled")
		o(metrics.ConsumerChanges, float64(n.Failed), name, "failed")
		o(metrics.ConsumerChanges, float64(n.Parked), name, "parked")
	}
}

func collectWrites(w *write.Writer, o metrics.Observe) {
	for c, n := range w.Counts() {
		o(metrics.Writes, float64(n), string(c.Action), c.Outcome)
	}
}

func collectJobs(s *jobs.Service, o metrics.Observe) {
	ended, objects := s.Stats.Ended(), s.Stats.Objects()
	for _, state := range []mirror.JobState{mirror.JobDone, mirror.JobFailed, mirror.JobCancelled} {
		o(metrics.JobsEnded, float64(ended[state]), string(state))
	}
	for action, n := range objects {
		o(metrics.JobObjects, float64(n.Done), string(action), "done")
		o(metrics.JobObjects, float64(n.Failed), string(action), "failed")
		o(metrics.JobObjects, float64(n.Skipped), string(action), "skipped")
	}
}

func collectReconciler(r *reconcile.Reconciler, o metrics.Observe) {
	o(metrics.Swept, metrics.Seconds(r.LastTick()))
	drifted := r.DriftCounts()
	for _, kind := range reconcile.Kinds() {
		o(metrics.DriftFound, float64(drifted[kind].Found), string(kind))
		o(metrics.DriftRepaired, float64(drifted[kind].Repaired), string(kind))
	}
}

func collectAPI(s clerkapi.Stats, o metrics.Observe) {
	o(metrics.APIRequests, float64(s.Requests))
	o(metrics.APIRetries, float64(s.Retries))
	o(metrics.APIRefused, float64(s.TooMany))
	o(metrics.APIFailures, float64(s.Failures))
	o(metrics.APILimit, float64(s.Limit))
	o(metrics.APIBudget, float64(s.Budget))
	o(metrics.APIAllowed, float64(s.Allowed))
	o(metrics.APIUsed, float64(s.Used))
	o(metrics.APIPaused, s.Paused.Seconds())
	o(metrics.APIWaits, float64(s.Waits))
	o(metrics.APIWaited, s.Waited.Seconds())
	o(metrics.BreakerOpen, metrics.Bool(s.Breaker != clerkapi.BreakerClosed))
	o(metrics.BreakerOpens, float64(s.BreakerOpens))
}
