package reconcile

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/holder"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/wait"
)

// idsAtOnce bounds how many ids one query or one map holds.
const idsAtOnce = 1000

// Config is what a [Reconciler] works with.
type Config struct {
	DB     *store.DB
	Ingest *ingest.Ingest
	API    *clerkapi.Client
	// AllowedInstances returns the ids of the Clerk instances that may be read. If there are none,
	// any may be read, and the database remembers the first.
	AllowedInstances func() []string
	Now              func() time.Time
	Sleep            func(context.Context, time.Duration) error // for tests; nil waits
	Logger           *slog.Logger
	Lease            time.Duration // for tests; 0 is 30 s
	// OnKeyIDs is called with the ids of the signing keys of the secret key's instance. It may be
	// nil.
	OnKeyIDs func(keyIDs []string)
	Tracer   trace.Tracer // nil records no spans
}

// Reconciler reconciles for one process. Several processes may share a database.
type Reconciler struct {
	Config
	holder string

	mu sync.Mutex // one run at a time
	// deferred holds the users whose last change the last sweep left to its event, and the time of
	// that change.
	deferred map[string]clerk.Time
	stats    stats
}

// New returns a reconciler. It starts nothing.
func New(c Config) *Reconciler {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Sleep == nil {
		c.Sleep = wait.For
	}
	if c.Tracer == nil {
		c.Tracer = noop.Tracer{}
	}
	if c.Lease == 0 {
		c.Lease = leaseTTL
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Reconciler{Config: c, holder: holder.New()}
}
