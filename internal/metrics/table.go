package metrics

import (
	"slices"
	"strings"
)

// Kind is how to read the values of a metric.
type Kind string

// The kinds.
const (
	Counter   Kind = "counter"   // only grows, from the start of the process
	Gauge     Kind = "gauge"     // as it is now
	Histogram Kind = "histogram" // how often a value was in which bucket
)

// Metric is one line of the table.
type Metric struct {
	Name    string // OpenTelemetry's; see [Metric.Prometheus]
	Kind    Kind
	Unit    string // UCUM: s, By, or an annotation such as {event}
	Labels  []string
	Help    string
	buckets []float64 // of a histogram
}

// Prometheus returns the metric's name in Prometheus.
func (m Metric) Prometheus() string {
	name := strings.ReplaceAll(m.Name, ".", "_")
	switch m.Unit {
	case "s":
		name += "_seconds"
	case "By":
		name += "_bytes"
	}
	if m.Kind == Counter {
		name += "_total"
	}
	return name
}

// All lists the metrics in the order in which people read them. Times are Unix seconds, 0 where
// there was none: then `time() - x` is large, and alerts on it fire.
func All() []Metric {
	return slices.Concat(mirrorTable(), Outgoing(), NATS())
}

// mirrorTable lists the metrics of a mirror.
func mirrorTable() []Metric {
	return slices.Concat(eventMetrics(), mirrorMetrics(), walkMetrics(), apiMetrics(), gateMetrics(), machineMetrics(),
		consumerMetrics(), jobMetrics(), databaseMetrics())
}

func eventMetrics() []Metric {
	seconds := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	late := []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400}
	return []Metric{
		{Events, Counter, "{event}", []string{"type", "outcome"}, "Events by what became of them; a type that is not known is other.", nil},
		{LastEvent, Gauge, "s", nil, "When an event was last stored, by whichever process.", nil},
		{WebhookDuration, Histogram, "s", []string{"code"}, "Time to answer a webhook, by the error code of the answer, ok where there is none.", seconds},
		{ClockSkew, Counter, "{request}", nil, "Well-signed webhooks that were refused for their time: our clock, or a replay.", nil},
		{CommitDuration, Histogram, "s", nil, "Time to commit a batch of events, tries included.", seconds},
		{CommitEvents, Histogram, "{event}", nil, "Events of a batch.", []float64{1, 2, 4, 8, 16, 32, 64, 128, 256}},
		{HookDuration, Histogram, "s", []string{"outcome"}, "Time of a call of the application's OnChange, by its outcome: ok, or failed.", seconds},
		{ApplyLag, Histogram, "s", nil, "From the time that Clerk gave an event to its commit here, by both clocks.", late},
		{QueueEvents, Gauge, "{event}", nil, "Events that wait to be committed.", nil},
		{QueueSize, Gauge, "By", nil, "Size of the events that wait to be committed.", nil},
		{Conflicts, Counter, "{event}", nil, "Message ids that came again with another body.", nil},
		{FactsRejected, Counter, "{fact}", nil, "Times in events that were nonsense and were left out.", nil},
	}
}

func mirrorMetrics() []Metric {
	return []Metric{
		{Deliveries, Gauge, "{delivery}", []string{"state"}, "Deliveries in the database that were not simply applied.", nil},
		{DeadOldest, Gauge, "s", nil, "When the oldest event that is not applied (a dead letter) came; 0: there is none.", nil},
		{VerifyQueue, Gauge, "{object}", nil, "Objects in doubt, which wait to be read from Clerk.", nil},
		{VerifyOldest, Gauge, "s", nil, "When the oldest doubt arose; 0: there is none.", nil},
		{Warnings, Gauge, "{warning}", []string{"code", "severity"}, "1 while /health gives this warning.", nil},
	}
}

func walkMetrics() []Metric {
	return []Metric{
		{Backfilled, Gauge, "{kind}", []string{"kind"}, "1 once the kind was read from Clerk to its end.", nil},
		{WalkBegan, Gauge, "s", []string{"kind"}, "When the last walk of the kind began.", nil},
		{WalkCompleted, Gauge, "s", []string{"kind"}, "When the last walk began that proved to bring everything.", nil},
		{WalkRows, Gauge, "{row}", []string{"kind"}, "Rows that the last walk read.", nil},
		{Swept, Gauge, "s", nil, "When this process last swept what changed at Clerk; of several one process sweeps.", nil},
		{DriftFound, Counter, "{row}", []string{"kind"}, "Rows that this process found to differ from Clerk.", nil},
		{DriftRepaired, Counter, "{row}", []string{"kind"}, "Rows that this process repaired.", nil},
	}
}

func apiMetrics() []Metric {
	return []Metric{
		{APIRequests, Counter, "{request}", nil, "Requests sent to Clerk's Backend API, retries included.", nil},
		{APIRetries, Counter, "{request}", nil, "Requests that were sent again.", nil},
		{APIRefused, Counter, "{request}", nil, "Answers 429 of Clerk.", nil},
		{APIFailures, Counter, "{request}", nil, "Requests that got no answer of Clerk's.", nil},
		{APILimit, Gauge, "{request}", nil, "Requests in ten seconds that Clerk grants the instance.", nil},
		{APIBudget, Gauge, "{request}", nil, "Our share of the limit.", nil},
		{APIAllowed, Gauge, "{request}", nil, "Of the budget at present: less after a 429.", nil},
		{APIUsed, Gauge, "{request}", nil, "Of the budget in the last ten seconds.", nil},
		{APIPaused, Gauge, "s", nil, "How long Clerk still wants to hear nothing.", nil},
		{APIWaits, Counter, "{call}", nil, "Calls that waited for the budget.", nil},
		{APIWaited, Counter, "s", nil, "Time that calls waited for the budget.", nil},
		{BreakerOpen, Gauge, "{breaker}", nil, "1 while nothing, or one request alone, is sent, because Clerk does not answer.", nil},
		{BreakerOpens, Counter, "{break}", nil, "How often it was given up to ask for a while.", nil},
	}
}

func gateMetrics() []Metric {
	return []Metric{
		{KeysFetched, Gauge, "s", nil, "When the keys that verify tokens were last fetched.", nil},
		{KeysFetches, Counter, "{fetch}", nil, "Fetches of the keys.", nil},
		{KeysFailures, Counter, "{fetch}", nil, "Fetches of the keys that failed.", nil},
		{TokensVerified, Counter, "{token}", nil, "Tokens that were accepted by their signature; those remembered are not counted.", nil},
		{TokensRefused, Counter, "{token}", []string{"reason"}, "Tokens that were refused.", nil},
		{Denials, Counter, "{request}", []string{"code"}, "Requests that the token alone would have passed, refused by stored facts.", nil},
		{
			Writes, Counter, "{change}",
			[]string{"action", "outcome"},
			"Changes that operators asked this process for, by the action of the audit and what became of it: done, failed, unknown.", nil,
		},
		{AuditDropped, Counter, "{entry}", nil, "Entries of the audit that could not be written.", nil},
		{CacheHits, Counter, "{request}", nil, "Requests whose stored facts were in memory.", nil},
		{CacheLoads, Counter, "{request}", nil, "Requests whose stored facts were read from the database.", nil},
		{CacheFlushes, Counter, "{flush}", nil, "How often everything in memory was forgotten.", nil},
		{FeedPolls, Counter, "{poll}", nil, "Reads of the change feed; requests ask for them.", nil},
		{FeedFailures, Counter, "{poll}", nil, "Reads of the change feed that failed.", nil},
		{FeedBehind, Gauge, "{change}", nil, "Changes since the last read of the feed, our own included; grows while no request comes.", nil},
		{GateBreakerOpen, Gauge, "{breaker}", nil, "1 while requests that need the database are refused with 503, because it does not answer.", nil},
		{GateBreakerOpens, Counter, "{break}", nil, "How often the database was found not to answer requests.", nil},
		{GateBreakerRefused, Counter, "{request}", nil, "Requests that were refused because the database did not answer.", nil},
	}
}

// machineMetrics are about API keys and opaque tokens, which Clerk verifies for money.
func machineMetrics() []Metric {
	return []Metric{
		{MachineHits, Counter, "{token}", nil, "API keys and opaque tokens that memory answered.", nil},
		{MachineMisses, Counter, "{token}", nil, "API keys and opaque tokens that memory could not answer.", nil},
		{MachineCalls, Counter, "{call}", []string{"kind"}, "Verifications that Clerk was paid for: api_key, oauth or m2m.", nil},
		{MachineOverBudget, Counter, "{token}", []string{"budget"}, "Unknown tokens that were not looked up: of the address, or of all calls.", nil},
		{MachineStale, Counter, "{token}", nil, "Tokens that were accepted by an old answer, because Clerk could not be asked.", nil},
		{MachineSaved, Counter, "{USD}", nil, "US dollars that the verifications would have cost for which Clerk was not asked, by the configured price.", nil},
	}
}

// consumerMetrics have the name of the consumer as a label. A database has at most 100.
func consumerMetrics() []Metric {
	return []Metric{
		{
			ConsumerLag, Gauge, "s",
			[]string{"consumer"},
			"Age of the oldest change that a consumer of the change feed has not handled; parked ones do not count.", nil,
		},
		{ConsumerLagChanges, Gauge, "{change}", []string{"consumer"}, "Changes that were stored after the place of a consumer.", nil},
		{ConsumerHeldBack, Gauge, "{change}", []string{"consumer"}, "Changes that a consumer holds back: those that failed, and later ones of their objects.", nil},
		{ConsumerParked, Gauge, "{change}", []string{"consumer"}, "Changes that a consumer gave up after too many tries.", nil},
		{
			ConsumerChanges, Counter, "{change}",
			[]string{"consumer", "outcome"},
			"Calls of a consumer's function in this process: handled, failed; and changes that were parked.", nil,
		},
	}
}

func jobMetrics() []Metric {
	return []Metric{
		{JobsOpen, Gauge, "{job}", []string{"state"}, "Jobs that are waiting, or running.", nil},
		{JobsEnded, Counter, "{job}", []string{"state"}, "Jobs that this process worked on to their end: done, failed, cancelled.", nil},
		{JobObjects, Counter, "{object}", []string{"action", "outcome"}, "Objects that jobs worked on in this process: done, failed, skipped.", nil},
	}
}

// Outgoing lists the metrics of a publisher of outgoing webhooks.
func Outgoing() []Metric {
	seconds := []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15}
	return []Metric{
		{
			OutgoingDuration, Histogram, "s",
			[]string{"outcome"},
			"Time of an attempt to deliver an outgoing webhook, by the reason of its failure, or delivered.", seconds,
		},
		{OutgoingEnabled, Gauge, "{endpoint}", []string{"endpoint"}, "1 while the endpoint of outgoing webhooks is enabled, 0 while it is disabled.", nil},
		{OutgoingMessages, Gauge, "{message}", []string{"endpoint", "state"}, "Outgoing webhooks that are pending or failed.", nil},
		{OutgoingOldest, Gauge, "s", []string{"endpoint"}, "When the oldest change happened whose outgoing webhook is pending; 0: there is none.", nil},
		{OutgoingFailing, Gauge, "s", []string{"endpoint"}, "Since when all attempts to the endpoint have failed; 0: the last one succeeded.", nil},
	}
}

func databaseMetrics() []Metric {
	return []Metric{
		{DatabaseUp, Gauge, "{database}", []string{"engine"}, "1 while the database answers.", nil},
		{ReplicaLag, Gauge, "s", nil, "How old lists from the read replica may be; no sample where it cannot be compared with the primary.", nil},
		{DatabaseSize, Gauge, "By", nil, "Size of the database.", nil},
		{DatabaseConnections, Gauge, "{connection}", []string{"pool", "state"}, "Open connections.", nil},
		{DatabaseWaits, Counter, "{wait}", []string{"pool"}, "Waits for a connection.", nil},
		{DatabaseWaited, Counter, "s", []string{"pool"}, "Time waited for a connection.", nil},
		{Build, Gauge, "{build}", []string{"version", "go"}, "1; the labels tell what runs.", nil},
	}
}

// NATS lists the metrics of a publisher to NATS.
func NATS() []Metric {
	return []Metric{
		{NATSPublished, Counter, "{message}", nil, "Messages that this process stored in the stream of NATS.", nil},
		{NATSFailures, Counter, "{failure}", nil, "How often publishing to NATS failed and was tried again.", nil},
		{NATSResets, Counter, "{reset}", nil, "How often this process told the consumers of the stream to begin again with a snapshot.", nil},
		{NATSBehind, Gauge, "{change}", nil, "Changes that the stream of NATS lacks.", nil},
		{NATSCaughtUp, Gauge, "s", nil, "When the stream of NATS last had all changes.", nil},
	}
}

// Names of the metrics.
const (
	Events          = "clerksync.events"
	LastEvent       = "clerksync.last_event.timestamp"
	WebhookDuration = "clerksync.webhook.duration"
	ClockSkew       = "clerksync.webhook.clock_skew"
	CommitDuration  = "clerksync.commit.duration"
	CommitEvents    = "clerksync.commit.events"
	HookDuration    = "clerksync.hook.duration"
	ApplyLag        = "clerksync.apply.lag"
	QueueEvents     = "clerksync.queue.events"
	QueueSize       = "clerksync.queue.size"
	Conflicts       = "clerksync.event.conflicts"
	FactsRejected   = "clerksync.event.facts_rejected"

	Deliveries   = "clerksync.deliveries"
	DeadOldest   = "clerksync.dead_letters.oldest.timestamp"
	VerifyQueue  = "clerksync.verify.queue"
	VerifyOldest = "clerksync.verify.oldest.timestamp"
	Warnings     = "clerksync.warning"

	Backfilled    = "clerksync.backfilled"
	WalkBegan     = "clerksync.walk.began.timestamp"
	WalkCompleted = "clerksync.walk.completed.timestamp"
	WalkRows      = "clerksync.walk.rows"
	Swept         = "clerksync.sweep.timestamp"
	DriftFound    = "clerksync.drift.found"
	DriftRepaired = "clerksync.drift.repaired"

	APIRequests  = "clerksync.api.requests"
	APIRetries   = "clerksync.api.retries"
	APIRefused   = "clerksync.api.refused"
	APIFailures  = "clerksync.api.failures"
	APILimit     = "clerksync.api.limit"
	APIBudget    = "clerksync.api.budget"
	APIAllowed   = "clerksync.api.allowed"
	APIUsed      = "clerksync.api.used"
	APIPaused    = "clerksync.api.paused"
	APIWaits     = "clerksync.api.waits"
	APIWaited    = "clerksync.api.waited"
	BreakerOpen  = "clerksync.api.breaker.open"
	BreakerOpens = "clerksync.api.breaker.opens"

	KeysFetched    = "clerksync.keys.fetched.timestamp"
	KeysFetches    = "clerksync.keys.fetches"
	KeysFailures   = "clerksync.keys.failures"
	TokensVerified = "clerksync.tokens.verified"
	TokensRefused  = "clerksync.tokens.refused"

	MachineHits       = "clerksync.machine.hits"
	MachineMisses     = "clerksync.machine.misses"
	MachineCalls      = "clerksync.machine.calls"
	MachineOverBudget = "clerksync.machine.over_budget"
	MachineStale      = "clerksync.machine.stale"
	MachineSaved      = "clerksync.machine.saved"

	Denials      = "clerksync.denials"
	AuditDropped = "clerksync.audit.dropped"
	Writes       = "clerksync.writes"
	CacheHits    = "clerksync.cache.hits"
	CacheLoads   = "clerksync.cache.loads"
	CacheFlushes = "clerksync.cache.flushes"
	FeedPolls    = "clerksync.feed.polls"
	FeedFailures = "clerksync.feed.failures"
	FeedBehind   = "clerksync.feed.behind"

	GateBreakerOpen    = "clerksync.gate.breaker.open"
	GateBreakerOpens   = "clerksync.gate.breaker.opens"
	GateBreakerRefused = "clerksync.gate.breaker.refused"

	ConsumerLag        = "clerksync.consumer.lag"
	ConsumerLagChanges = "clerksync.consumer.lag.changes"
	ConsumerHeldBack   = "clerksync.consumer.held_back"
	ConsumerParked     = "clerksync.consumer.parked"
	ConsumerChanges    = "clerksync.consumer.changes"

	JobsOpen   = "clerksync.jobs"
	JobsEnded  = "clerksync.jobs.ended"
	JobObjects = "clerksync.job.objects"

	OutgoingDuration = "clerksync.outgoing.attempt.duration"
	OutgoingEnabled  = "clerksync.outgoing.enabled"
	OutgoingMessages = "clerksync.outgoing.messages"
	OutgoingOldest   = "clerksync.outgoing.oldest.timestamp"
	OutgoingFailing  = "clerksync.outgoing.failing_since.timestamp"

	DatabaseUp          = "clerksync.database.up"
	ReplicaLag          = "clerksync.read_replica.lag"
	DatabaseSize        = "clerksync.database.size"
	DatabaseConnections = "clerksync.database.connections"
	DatabaseWaits       = "clerksync.database.waits"
	DatabaseWaited      = "clerksync.database.waited"
	Build               = "clerksync.build.info"

	NATSPublished = "clerksync.nats.published"
	NATSFailures  = "clerksync.nats.failures"
	NATSResets    = "clerksync.nats.resets"
	NATSBehind    = "clerksync.nats.behind"
	NATSCaughtUp  = "clerksync.nats.caught_up.timestamp"
)
