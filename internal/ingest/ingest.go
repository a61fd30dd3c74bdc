package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/clerksync/clerksync/internal/group"
	"github.com/clerksync/clerksync/internal/store"
)

// Config configures an Ingest.
type Config struct {
	DB     *store.DB
	Logger *slog.Logger
	// Pins answers the instances whose events are applied; none means all.
	Pins func() []string
	Now  func() time.Time // for arrival times alone; no rule asks a clock
	// Committed hears what was written, after the commit and before anybody is answered. nil is fine.
	Committed func([]store.ChangeRef)
	// EraseAtOnce erases a user in the transaction of its deletion; else that is for EraseDue.
	EraseAtOnce bool
	// Measured hears of each batch that was committed. nil is fine.
	Measured func(Commit)
	// Tracer takes a span of each commit that a traced message is in. nil is fine.
	Tracer trace.Tracer
	// Redact is never stored, nor are one-time secrets, as long as the database itself has no paths of redaction; see
	// [Ingest.ChangeRedaction].
	Redact Redaction
}

// Ingest is the one writer of mirrored rows. It owns no goroutine while nothing waits.
type Ingest struct {
	db        *store.DB
	log       *slog.Logger
	pins      func() []string
	now       func() time.Time
	inboxKey  []byte
	tell      func([]store.ChangeRef)
	atOnce    bool                  // erases
	redaction Redaction             // configured
	rules     atomic.Pointer[rules] // in force
	measured  func(Commit)
	tracer    trace.Tracer
	Stats     Stats
	queue     *group.Queue[*job]

	seen sync.Map // instance ids remembered already
}

// Stats counts what happened since the start.
type Stats struct {
	Applied, Duplicates, Ignored, Quarantined, Dead, Unavailable atomic.Int64
	Conflicts                                                    atomic.Int64 // message ids that came again with another body
	FactsRejected                                                atomic.Int64 // joined times that were nonsense
	Commits                                                      atomic.Int64

	byType map[string]*[statusCount]atomic.Int64 // never changes but in its counters
}

// New prepares an Ingest on a migrated database. It starts nothing.
func New(ctx context.Context, c Config) (*Ingest, error) {
	key, err := c.DB.InboxKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the inbox key: %w", err)
	}
	in := &Ingest{
		db: c.DB, log: c.Logger, pins: c.Pins, now: c.Now, inboxKey: key, tell: c.Committed, measured: c.Measured, tracer: c.Tracer,
		atOnce: c.EraseAtOnce, redaction: c.Redact,
	}
	if in.tell == nil {
		in.tell = func([]store.ChangeRef) {}
	}
	if in.pins == nil {
		in.pins = func() []string { return nil }
	}
	if in.now == nil {
		in.now = time.Now
	}
	if in.tracer == nil {
		in.tracer = noop.Tracer{}
	}
	if in.log == nil {
		in.log = slog.New(slog.DiscardHandler)
	}
	in.Stats.init()
	in.queue = in.newQueue()
	return in, nil
}
