package ingest

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// Stats counts what happened since the start.
type Stats struct {
	Applied, Duplicates, Ignored, Quarantined, Dead, Unavailable atomic.Int64
	Conflicts                                                    atomic.Int64 // message ids that came again with another body
	FactsRejected                                                atomic.Int64 // joined times that were nonsense
	Commits                                                      atomic.Int64

	byType map[string]*[statusCount]atomic.Int64 // only the counters change
}

// Commit describes a batch that was committed.
type Commit struct {
	Events   int
	Replayed int             // of Events: deliveries that were stored before
	Took     time.Duration   // since its first try
	Lags     []time.Duration // of new events: from Clerk's time to the commit, by both clocks
}

// OtherType stands for all types that are not known, because there can be any number of them.
const OtherType = "other"

const statusCount = 7

// Statuses lists the possible outcomes of a message.
func Statuses() []mirror.Outcome {
	return []mirror.Outcome{
		mirror.OutcomeProcessed, mirror.OutcomeDuplicate, mirror.OutcomeIgnored, mirror.OutcomeQuarantined,
		mirror.OutcomeInvalid, mirror.OutcomeFailed, mirror.OutcomeUnavailable,
	}
}

func (s *Stats) init() {
	s.byType = map[string]*[statusCount]atomic.Int64{OtherType: {}}
	for _, t := range clerk.EventTypes() {
		s.byType[t] = new([statusCount]atomic.Int64)
	}
}

// count counts the outcome of a message.
func (s *Stats) count(eventType string, status mirror.Outcome) {
	counts := s.byType[eventType]
	if counts == nil {
		counts = s.byType[OtherType]
	}
	counts[slices.Index(Statuses(), status)].Add(1)
}

// ByType calls each with every type and outcome that occurred, and how often.
func (s *Stats) ByType(each func(eventType string, status mirror.Outcome, n int64)) {
	for eventType, counts := range s.byType {
		for i, status := range Statuses() {
			if n := counts[i].Load(); n > 0 {
				each(eventType, status, n)
			}
		}
	}
}

// Waiting returns how many messages wait to be committed, and their size in bytes.
func (in *Ingest) Waiting() (messages, bytes int) { return in.queue.Waiting() }

// reportCommit reports a committed batch to the caller.
func (in *Ingest) reportCommit(jobs []*job, began time.Time) {
	if in.onMeasure == nil {
		return
	}
	c := Commit{Events: len(jobs), Took: time.Since(began), Lags: make([]time.Duration, 0, len(jobs))}
	now := in.now()
	for _, j := range jobs {
		if j.replay {
			c.Replayed++
		}
		if j.outcome.Status != mirror.OutcomeProcessed || j.replay || len(j.ops) == 0 {
			continue
		}
		if at := max(j.ops[0].ObservedAt, j.ops[0].At); at > 0 {
			c.Lags = append(c.Lags, max(0, now.Sub(at.Time())))
		}
	}
	in.onMeasure(c)
}

// Traced sets the span in which the message came. The span of its commit links to it.
func (p *Prepared) Traced(span trace.SpanContext) {
	if span.IsSampled() {
		p.span = &span
	}
}

// KnownType returns the event type, or [OtherType].
func (p *Prepared) KnownType() string {
	if kind, _ := clerk.KindOfEvent(p.delivery.Type); kind == "" {
		return OtherType
	}
	return p.delivery.Type
}

// trace starts the span of a commit if one of its messages was traced.
func (in *Ingest) trace(jobs []*job) (end func(error)) {
	var links []trace.Link
	for _, j := range jobs {
		if j.span != nil {
			links = append(links, trace.Link{SpanContext: *j.span})
		}
	}
	if len(links) == 0 {
		return func(error) {}
	}
	_, span := in.tracer.Start(context.Background(), "clerksync.commit", trace.WithLinks(links...), //nolint:spancheck // the caller ends it
		trace.WithAttributes(attribute.Int("clerksync.events", len(jobs))))
	return func(err error) { //nolint:spancheck // as above
		if err != nil { // its text may quote the event
			span.SetStatus(codes.Error, "the batch could not be committed")
		}
		span.End()
	}
}
