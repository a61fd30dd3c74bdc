package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/clerksync/clerksync/internal/group"
	"github.com/clerksync/clerksync/internal/incident"
	"github.com/clerksync/clerksync/internal/privacy"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
)

// Config configures an Ingest.
type Config struct {
	DB     *store.DB
	Logger *slog.Logger
	// AllowedInstances returns the instances whose events are applied; none means all.
	AllowedInstances func() []string
	Now              func() time.Time // for arrival times only; no rule uses a clock
	// OnCommit is called with what changed, after the commit and before the senders are answered.
	// nil is fine.
	OnCommit func([]row.ChangeRef)
	// EraseOnDelete erases a user in the transaction of its deletion. Otherwise EraseDue does it.
	EraseOnDelete bool
	// OnMeasure is called after each committed batch. nil is fine.
	OnMeasure func(Commit)
	// Tracer makes a span of each commit that contains a traced message. nil is fine.
	Tracer trace.Tracer
	// Redact is never stored, in addition to one-time secrets. It applies as long as the database
	// has no paths of its own; see [privacy.Redactor.ChangeRedaction].
	Redact privacy.Redaction
}

// Ingest is the one writer of mirrored rows. It runs no goroutine while nothing waits.
type Ingest struct {
	*privacy.Redactor

	db               *store.DB
	log              *slog.Logger
	incidents        *incident.Log // of events, which come in any number
	allowedInstances func() []string
	now              func() time.Time
	inboxKey         []byte
	onCommit         func([]row.ChangeRef)
	eraseOnDelete    bool
	onMeasure        func(Commit)
	tracer           trace.Tracer
	Stats            Stats
	queue            *group.Queue[*job]

	seenInstances sync.Map // ids of instances that are stored already
}

// New prepares an Ingest on a migrated database. It starts nothing.
func New(ctx context.Context, c Config) (*Ingest, error) {
	key, err := c.DB.InboxKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the inbox key: %w", err)
	}
	in := &Ingest{
		db: c.DB, log: c.Logger, allowedInstances: c.AllowedInstances, now: c.Now, inboxKey: key, onCommit: c.OnCommit,
		onMeasure: c.OnMeasure, tracer: c.Tracer, eraseOnDelete: c.EraseOnDelete,
	}
	if in.onCommit == nil {
		in.onCommit = func([]row.ChangeRef) {}
	}
	if in.allowedInstances == nil {
		in.allowedInstances = func() []string { return nil }
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
	in.incidents = incident.New(in.log)
	in.Redactor = privacy.NewRedactor(c.DB, in.log, c.Redact)
	in.Stats.init()
	in.queue = in.newQueue()
	return in, nil
}
