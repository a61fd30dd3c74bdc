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
)

// Commit is what there is to say of a batch that was committed.
type Commit struct {
	Events int
	Took   time.Duration   // from its first try
	Lags   []time.Duration // of new events with a time of Clerk's: from that to the commit, by both clocks
}

// OtherType stands for the types that are not known: they could be any number.
const OtherType = "other"

const statusCount = 7

// Statuses lists what can become of a message.
func Statuses() []Status {
	return []Status{Processed, Duplicate, Ignored, Quarantined, Invalid, Failed, Unavailable}
}

func (s *Stats) init() {
	s.byType = map[string]*[statusCount]atomic.Int64{OtherType: {}}
	for _, t := range clerk.EventTypes() {
		s.byType[t] = new([statusCount]atomic.Int64)
	}
}

// count notes what became of a message of a type.
func (s *Stats) count(eventType string, status Status) {
	counts := s.byType[eventType]
	if counts == nil {
		counts = s.byType[OtherType]
	}
	counts[slices.Index(Statuses(), status)].Add(1)
}

// ByType tells how many messages of each type had which outcome, those that there were.
func (s *Stats) ByType(each func(eventType string, status Status, n int64)) {
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

// measure tells of a committed batch.
func (in *Ingest) measure(jobs []*job, began time.Time) {
	if in.measured == nil {
		return
	}
	c := Commit{Events: len(jobs), Took: time.Since(began), Lags: make([]time.Duration, 0, len(jobs))}
	now := in.now()
	for _, j := range jobs {
		if j.outcome.Status != Processed || j.replay || len(j.ops) == 0 {
			continue
		}
		if at := max(j.ops[0].ObservedAt, j.ops[0].at); at > 0 {
			c.Lags = append(c.Lags, max(0, now.Sub(at.Time())))
		}
	}
	in.measured(c)
}

// Traced names the span in which the message came; the span of its commit links to it.
func (p *Prepared) Traced(span trace.SpanContext) {
	if span.IsSampled() {
		p.span = &span
	}
}

// KnownType is the event type, or [OtherType].
func (p *Prepared) KnownType() string {
	if kind, _ := clerk.KindOfEvent(p.delivery.Type); kind == "" {
		return OtherType
	}
	return p.delivery.Type
}

// trace begins the span of a commit, where one of the messages was traced.
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
	_, span := in.tracer.Start(context.Background(), "clerksync.commit", trace.WithLinks(links...), //nolint:spancheck // ended by who commits
		trace.WithAttributes(attribute.Int("clerksync.events", len(jobs))))
	return func(err error) { //nolint:spancheck // as above
		if err != nil { // its text may quote the event
			span.SetStatus(codes.Error, "the batch could not be committed")
		}
		span.End()
	}
}
