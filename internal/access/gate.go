package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/incident"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/instance"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/machine"
	"github.com/clerksync/clerksync/internal/metrics"
	"github.com/clerksync/clerksync/internal/nearest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/web"
)

// What stored facts may grant while the mirror is not proven to be complete and fresh.
const (
	Ask   = "ask"   // a fact grants once it was read from Clerk
	Allow = "allow" // stored facts grant
	Deny  = "deny"  // stored facts grant nothing
)

// Config configures a [Gate].
type Config struct {
	DB       *store.DB
	Ingest   *ingest.Ingest
	API      *clerkapi.Client // nil: Clerk cannot be asked
	Instance *instance.Guard
	Tokens   *auth.Verifier        // nil: there are no keys
	Machines *auth.MachineVerifier // nil: no route can accept machine tokens
	Known    *auth.MachineVerifier // the same, but it never asks Clerk

	// Opaque is what Machines asks about opaque tokens; the gate closes it. Nil: there is none.
	Opaque *machine.Verifier
	// Revocations are the machine tokens that were revoked here.
	Revocations *machine.Revocations
	// Proxies name the client of a request, for the limits of tokens that were never seen.
	Proxies web.Proxies

	PublishableKey    string   // names the session cookie
	AuthorizedParties []string // origins whose cookies count for requests that change something
	Roles             []string // the configured ladder, lowest first
	Unready           string   // Ask, Allow or Deny
	DisableJIT        bool     // users who are not mirrored are refused, and not read from Clerk
	PlanFeatures      map[string][]string
	UpgradeURL        string

	// Bounds and HistoryLost are those of [live.Config].
	Bounds      live.Bounds
	HistoryLost func(context.Context)

	Now       func() time.Time
	Logger    *slog.Logger
	Incidents *incident.Log
}

// Gate decides who makes a request and what the caller may do. It is safe for concurrent use.
type Gate struct {
	config      Config
	tokenReader auth.TokenReader
	crossOrigin *http.CrossOriginProtection
	operators   *Operators
	cache       *live.Cache
	onDemand    onDemand
	audit       *auditor
	denials     denials
}

// New makes a gate on a migrated database. It starts nothing.
func New(ctx context.Context, config Config) (*Gate, error) {
	g := &Gate{config: config, tokenReader: auth.NewTokenReader(config.PublishableKey), crossOrigin: http.NewCrossOriginProtection()}
	for _, origin := range config.AuthorizedParties {
		_ = g.crossOrigin.AddTrustedOrigin(origin) // the verifier reports what is no origin
	}
	g.onDemand = onDemand{
		Proofs: live.NewProofs(config.Now, cachedFor), config: &g.config, missing: map[live.Fact]time.Time{},
	}
	g.operators = newOperators(&g.config)
	g.audit = newAuditor(config.DB, config.Now, func(err error) {
		config.Incidents.Report(slog.LevelError, "audit", "the audit cannot be written", slog.Any("error", err))
	})
	var err error
	g.cache, err = live.New(ctx, live.Config{
		DB: config.DB, Now: config.Now, Bounds: config.Bounds, HistoryLost: config.HistoryLost, Changed: g.onDemand.Changed,
		Revocations: config.Revocations.Follow, Logger: config.Logger,
	})
	return g, err
}

// Close waits for what is written in the background: the audit, when operators came last, and the
// tokens that were verified.
func (g *Gate) Close() {
	g.operators.close()
	g.audit.close()
	if g.config.Opaque != nil {
		g.config.Opaque.Close()
	}
}

// Operators returns the named operators.
func (g *Gate) Operators() *Operators { return g.operators }

// OnCommit forgets what a transaction of this process changed. It is called before anyone learns
// of the change.
func (g *Gate) OnCommit(changes []row.ChangeRef) {
	g.cache.Drop(changes)
	if g.config.Tokens == nil {
		return
	}
	for i := range changes {
		switch changes[i].Key.Kind {
		case clerk.KindUser, clerk.KindSession:
			g.config.Tokens.Forget(changes[i].Key.ID)
		default:
		}
	}
}

// FollowFeed reads what other processes changed. Requests do so too; without them this is how a
// database that was restored under a running server is noticed.
func (g *Gate) FollowFeed(ctx context.Context) error { return g.cache.Follow(ctx) }

// FollowFeedTo reads what other processes changed, up to a change at least.
func (g *Gate) FollowFeedTo(ctx context.Context, seq int64) error { return g.cache.FollowTo(ctx, seq) }

// ValidateRule returns why a rule can never allow a request: what is wrong with the rule, or a
// role that is not on the ladder, with the nearest one.
func (g *Gate) ValidateRule(rule auth.Rule) error {
	faults := []error{auth.Validate(rule)}
	for _, role := range auth.Roles(rule) {
		if role != "" && !slices.Contains(g.config.Roles, role) {
			faults = append(faults, fmt.Errorf("%s: the role %q is not on the ladder (%s); did you mean %q?", rule, role,
				strings.Join(g.config.Roles, ", "), nearest.Of(role, g.config.Roles)))
		}
	}
	return errors.Join(faults...)
}

// Denials returns how many requests were refused although their token was valid, by code.
func (g *Gate) Denials() map[string]int64 { return g.denials.counts() }

// AuditDropped returns how many entries of the audit could not be written.
func (g *Gate) AuditDropped() int64 { return g.audit.dropped.Load() }

// FeedAt returns the number of the last change that this process has read.
func (g *Gate) FeedAt() int64 { return g.cache.At() }

// Collect observes what the gate counts.
func (g *Gate) Collect(o metrics.Observe) {
	for code, n := range g.Denials() {
		o(metrics.Denials, float64(n), code)
	}
	o(metrics.AuditDropped, float64(g.AuditDropped()))
	if g.config.Tokens != nil {
		stats := g.config.Tokens.Stats()
		o(metrics.TokensVerified, float64(stats.Verified))
		for reason, n := range stats.Refused {
			o(metrics.TokensRefused, float64(n), reason)
		}
	}
	if g.config.Opaque != nil {
		g.config.Opaque.Collect(o)
	}
	cache := &g.cache.Stats
	o(metrics.CacheHits, float64(cache.Hits.Load()))
	o(metrics.CacheLoads, float64(cache.Loads.Load()))
	o(metrics.CacheFlushes, float64(cache.Flushes.Load()))
	o(metrics.FeedPolls, float64(cache.Polls.Load()))
	o(metrics.FeedFailures, float64(cache.PollFailures.Load()))
	o(metrics.GateBreakerOpen, metrics.Bool(g.cache.Open()))
	o(metrics.GateBreakerOpens, float64(g.cache.Opens()))
	o(metrics.GateBreakerRefused, float64(g.cache.Refused()))
}
