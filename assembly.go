package clerksync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/access"
	"github.com/clerksync/clerksync/internal/activity"
	"github.com/clerksync/clerksync/internal/buildinfo"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/consumer"
	"github.com/clerksync/clerksync/internal/feed"
	"github.com/clerksync/clerksync/internal/incident"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/instance"
	"github.com/clerksync/clerksync/internal/jobs"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/machine"
	"github.com/clerksync/clerksync/internal/metrics"
	"github.com/clerksync/clerksync/internal/privacy"
	"github.com/clerksync/clerksync/internal/reach"
	"github.com/clerksync/clerksync/internal/receive"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/refusals"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/schedule"
	"github.com/clerksync/clerksync/internal/status"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/upkeep"
	"github.com/clerksync/clerksync/internal/write"
	"github.com/clerksync/clerksync/webhook"
)

// assembly makes the parts of a mirror out of its configuration. A part that needs another one
// which is made later gets a function.
type assembly struct {
	Config
	db     *store.DB
	mirror *Mirror

	webhooks      *webhook.Verifier     // nil: there is no secret
	tokens        *auth.Verifier        // nil: there are no keys
	machines      *auth.MachineVerifier // nil: neither are there an issuer and keys, nor can Clerk be asked
	knownMachines *auth.MachineVerifier // the same, but it never asks Clerk
	opaque        *machine.Verifier     // nil: Clerk cannot be asked about API keys and opaque tokens
	revocations   *machine.Revocations
	redaction     privacy.Redaction     // configured
	api           *clerkapi.Client      // nil: without a secret key Clerk cannot be read
	reconciler    *reconcile.Reconciler // nil as well
	waited        func() time.Time      // the clock of the reconciler
	clerkTime     *reach.Clock
	incidents     *incident.Log
	tracer        trace.Tracer
	hookTimes     *status.OnChangeTimes // nil: the application has no OnChange
}

// clients makes what depends on the configuration alone: the verifiers of webhooks and tokens, and
// the client of Clerk's API. It reports all faults of the configuration at once.
func (a *assembly) clients() error {
	follower := feed.New(feed.Config{DB: a.db, Now: a.Test.Now, Logger: a.Logger})
	a.mirror = &Mirror{db: a.db, refusals: refusals.New(a.db, a.Test.Now, a.Logger), activity: activity.New(a.db, a.Test.Now, a.Logger), feed: Feed{
		feed:      follower,
		consumers: consumer.New(consumer.Config{DB: a.db, Feed: follower, Now: a.Test.Now, Logger: a.Logger, Incidents: a.incidents}),
	}}
	var faults []error
	fault := func(err error) {
		if err != nil {
			faults = append(faults, err)
		}
	}
	var err error
	if len(a.WebhookSecrets) > 0 {
		a.webhooks, err = webhook.NewVerifier(webhook.Config{Secrets: a.WebhookSecrets, Scheme: a.WebhookScheme, Now: a.Test.Now})
		fault(err)
	}
	switch a.StalePolicy {
	case StaleAskClerk, StaleTrust, StaleDeny:
	default:
		fault(fmt.Errorf("the stale policy is %q: use ask, allow or deny", a.StalePolicy))
	}
	a.redaction, err = a.checkSettings()
	fault(err)
	var keys auth.KeySet
	a.mirror.instance, keys, err = instance.New(instance.Config{
		DB: a.db, ID: a.InstanceID, SecretKeyTried: a.mirror.refusals.SecretKeyTried, Clock: a.clerkTime, Now: a.Test.Now, Logger: a.Logger,
		Keys: instance.KeyConfig{
			Algorithm: a.JWTAlgorithm, JWTKey: a.JWTKey, JWKSURL: a.JWKSURL, SecretKey: a.SecretKey, APIURL: a.APIURL, FrontendAPI: a.FrontendAPI,
		},
	})
	if err != nil {
		fault(fmt.Errorf("token keys: %w", err))
	}
	if keys != nil {
		a.tokens, err = auth.NewVerifier(auth.Config{
			Keys: keys, Algorithm: a.JWTAlgorithm, Issuer: a.Issuer, AuthorizedParties: a.AuthorizedParties,
			Audience: a.Audience, Now: a.Test.Now, Leeway: a.ClockLeeway,
			DangerouslyAllowMissingAuthorizedParty: a.DangerouslyAllowMissingAuthorizedParty,
		})
		fault(err)
	}
	if a.hasAPIKey() {
		a.api, err = a.newAPI()
		fault(err)
	}
	fault(a.openMachines(keys))
	return errors.Join(faults...)
}

// newAPI makes the client of Clerk's Backend API. Requests wait for single objects with a timeout
// of their own; pages of lists may take longer. [Config] checks the budget and the limit.
func (a *assembly) newAPI() (*clerkapi.Client, error) {
	c := clerkapi.Config{
		SecretKey: a.SecretKey, MachineSecretKey: a.MachineSecretKey, MachineID: a.MachineID, URL: a.APIURL, Logger: a.Logger, Tracer: a.tracer,
		OnKeyChecked: a.mirror.refusals.SecretKeyTried, Clock: a.clerkTime,
		ReadFence: func(ctx context.Context) (row.ReadFence, error) { return a.mirror.ingest.ReadFence(ctx) },
	}
	if a.checkBudget() == nil { // else its faults would be reported twice
		c.Budget, c.Limit = a.APIBudget, a.APILimit
	}
	return clerkapi.New(c)
}

// open makes the mirror.
func (a *assembly) open(ctx context.Context) (*Mirror, error) {
	a.clerkTime = &reach.Clock{Now: a.Test.Now}
	a.incidents, a.tracer = incident.New(a.Logger), a.TracerProvider.Tracer(modulePath)
	for _, step := range []func(context.Context) error{
		func(context.Context) error { return a.clients() },
		a.openDatabase,
		a.openIngest,
		a.openReconciler,
		a.openGate,
		a.openWriter,
		a.openMonitor,
		a.openUpkeep,
		a.openJobs,
		a.openReceiver,
		a.enforceFirst,
	} {
		if err := step(ctx); err != nil {
			if a.mirror.metrics != nil {
				_ = a.mirror.metrics.Close()
			}
			return nil, err
		}
	}
	return a.mirror, nil
}

// openDatabase migrates a database that is written, and checks the schema of one that is only
// read. A database of another instance is refused.
func (a *assembly) openDatabase(ctx context.Context) error {
	prepare := a.db.Migrate
	if a.db.ReadOnly() {
		prepare = func(ctx context.Context) error {
			if err := a.db.CheckSchema(ctx); err != nil {
				return err
			}
			_, err := a.db.LoadSettings(ctx)
			return err
		}
	}
	if err := prepare(ctx); err != nil {
		return err
	}
	logUpgradeCopy(a.db, a.Logger)
	if err := instance.Open(ctx, a.db, a.InstanceID); err != nil {
		return err
	}
	if err := a.mirror.instance.LoadRefusal(ctx); err != nil {
		return err
	}
	if err := a.readMachines(ctx); err != nil {
		return err
	}
	return a.mirror.refusals.Load(ctx)
}

func (a *assembly) openIngest(ctx context.Context) (err error) {
	m := a.mirror
	if a.OnChange != nil {
		a.hookTimes = &status.OnChangeTimes{}
		a.db.SetOnChange(a.onChange(), func(took time.Duration, err error) {
			a.hookTimes.Note(took)
			m.metrics.Record(metrics.HookDuration, took.Seconds(), outcomeOf(err))
		})
	}
	m.ingest, err = ingest.New(ctx, ingest.Config{
		DB: a.db, Logger: a.Logger, AllowedInstances: m.instance.AllowedInstances, Now: a.Test.Now, Tracer: a.tracer, Redact: a.redaction,
		EraseOnDelete: a.EraseAfter < 0,
		OnCommit: func(changes []row.ChangeRef) {
			m.gate.OnCommit(changes)
			m.feed.feed.Notify()
		},
		OnMeasure: func(c ingest.Commit) {
			m.activity.Stored(c.Events-c.Replayed, c.Lags)
			m.metrics.Record(metrics.CommitDuration, c.Took.Seconds())
			m.metrics.Record(metrics.CommitEvents, float64(c.Events))
			for _, lag := range c.Lags {
				m.metrics.Record(metrics.ApplyLag, lag.Seconds())
			}
		},
	})
	return err
}

// hasAPIKey reports whether the secret key is Clerk's, and not a shared secret of tokens.
func (c *Config) hasAPIKey() bool {
	return c.SecretKey != "" && (c.JWTAlgorithm != auth.HS256 || c.JWTKey != "")
}

func (a *assembly) openReconciler(context.Context) error {
	a.waited = a.Test.Now
	if a.api == nil {
		return nil
	}
	m := a.mirror
	m.instance.UseAPI(a.api)
	var sleep func(context.Context, time.Duration) error
	if a.Test.Sleep != nil {
		var slept atomic.Int64 // what was waited counts as passed
		a.waited = func() time.Time { return a.Test.Now().Add(time.Duration(slept.Load())) }
		sleep = func(ctx context.Context, d time.Duration) error {
			slept.Add(int64(d))
			return a.Test.Sleep(ctx, d)
		}
	}
	a.reconciler = reconcile.New(reconcile.Config{
		DB: a.db, Ingest: m.ingest, API: a.api, AllowedInstances: m.instance.AllowedInstances, Now: a.waited, Sleep: sleep, Logger: a.Logger, Tracer: a.tracer,
		OnKeyIDs: m.instance.LearnSecretKey,
	})
	return nil
}

func (c *Config) bounds() live.Bounds {
	return live.Bounds{Sweep: max(0, c.RoleMaxStale), Walk: max(0, c.PermissionMaxStale), Schedule: c.schedule()}
}

func (c *Config) schedule() schedule.Schedule {
	return schedule.Schedule{Min: c.WalkMinPause, Max: c.WalkMaxPause}
}

func (a *assembly) openGate(ctx context.Context) (err error) {
	m := a.mirror
	m.gate, err = access.New(ctx, access.Config{
		DB: a.db, Ingest: m.ingest, API: a.api, Instance: m.instance, Tokens: a.tokens, Machines: a.machines, Known: a.knownMachines, Proxies: a.TrustedProxies,
		Opaque: a.opaque, Revocations: a.revocations,
		PublishableKey: a.PublishableKey, AuthorizedParties: a.AuthorizedParties, Roles: a.Roles,
		Unready: string(a.StalePolicy), DisableJIT: a.DisableOnDemandUsers, PlanFeatures: a.PlanFeatures, UpgradeURL: a.UpgradeURL, Bounds: a.bounds(),
		HistoryLost: func(ctx context.Context) { m.upkeep.HistoryLost(ctx) }, Now: a.Test.Now, Logger: a.Logger, Incidents: a.incidents,
	})
	return err
}

func (a *assembly) openWriter(context.Context) error {
	m := a.mirror
	m.writer = write.New(write.Config{
		DB: a.db, Ingest: m.ingest, API: a.api, CheckSecretKey: m.instance.CheckSecretKey,
		Revocations: a.revocations, Remembered: a.MachineTTL + max(0, a.MachineMaxStale), Disabled: a.DisableWrites, Now: a.Test.Now, Logger: a.Logger,
	})
	return nil
}

// domain returns the host of the instance's Frontend API.
func (c *Config) domain() string {
	u, err := url.Parse(cmp.Or(c.FrontendAPI, c.Issuer))
	if err != nil {
		return ""
	}
	return u.Host
}

// keysOfTwoKinds reports whether one of the keys is for production and the other for development.
func (c *Config) keysOfTwoKinds() bool {
	return strings.HasPrefix(c.SecretKey, "sk_live_") && strings.HasPrefix(c.PublishableKey, "pk_test_") ||
		strings.HasPrefix(c.SecretKey, "sk_test_") && strings.HasPrefix(c.PublishableKey, "pk_live_")
}

// statusSettings returns what warnings look at of the configuration.
func (a *assembly) statusSettings() status.Settings {
	return status.Settings{
		Server: a.RemediesForServer, SecretKey: a.SecretKey != "", KeysOfTwoKinds: a.keysOfTwoKinds(), WebhookSecret: a.webhooks != nil, TokenKeys: a.tokens != nil,
		Production:    strings.HasPrefix(a.SecretKey, "sk_live_") || strings.HasPrefix(a.PublishableKey, "pk_live_"),
		Domain:        a.domain(),
		TrustUnproven: a.StalePolicy == StaleTrust, HMACBody: a.WebhookScheme == webhook.SchemeDangerousHMACBody,
		HS256: a.JWTAlgorithm == auth.HS256, AuthorizedParties: len(a.AuthorizedParties) > 0, Issuer: a.Issuer != "",
		NoPolicy: a.ForwardAuthWithoutPolicy, MissingAZP: a.DangerouslyAllowMissingAuthorizedParty,
		DisableReconcile: a.DisableReconcile, FeedRetention: a.ChangesRetention, Roles: a.Roles, Redact: a.Redact,
		OnChange: a.OnChange != nil, ReadOnly: a.db.ReadOnly(),
	}
}

func (a *assembly) openMonitor(context.Context) (err error) {
	m := a.mirror
	m.monitor = status.NewMonitor(status.Config{
		DB: a.db, API: a.api, Instance: m.instance, Refusals: m.refusals, Bounds: a.bounds(), Settings: a.statusSettings(),
		ListeningSince: func() time.Time { return m.receiver.Since() }, HasWebhookSecret: func() bool { return m.receiver.HasSecret() },
		FeedAt: m.gate.FeedAt, AheadOfClerk: a.clerkTime.Ahead, Warnings: a.Warnings, OnChange: a.hookTimes,
		Now: a.Test.Now, Waited: a.waited, Logger: a.Logger,
	})
	return nil
}

// upkeepSettings returns the settings that the database remembers.
func (c *Config) upkeepSettings() upkeep.Settings {
	return upkeep.Settings{Roles: c.Roles, Redact: c.Redact, PolicyVersion: c.PolicyVersion}
}

func (a *assembly) openUpkeep(context.Context) error {
	m := a.mirror
	m.upkeep = upkeep.New(upkeep.Config{
		DB: a.db, Ingest: m.ingest, Reconciler: a.reconciler, Schedule: a.schedule(), Settings: a.upkeepSettings(),
		LearnKeys: m.instance.LearnKeys, FollowFeed: m.gate.FollowFeed,
		WorkOnJobs: func(ctx context.Context) { m.jobs.Run(ctx) }, DisableBackfill: a.DisableBackfill, DisableReconcile: a.DisableReconcile,
		EraseAfter: a.EraseAfter, AuditRetention: a.AuditRetention, InboxRetention: a.InboxRetention, ChangesRetention: a.ChangesRetention,
		Now: a.Test.Now, Logger: a.Logger,
	})
	return nil
}

func (a *assembly) openJobs(context.Context) error {
	m := a.mirror
	m.jobs = jobs.New(jobs.Config{
		DB: a.db, Deliveries: m.ingest, Users: inBackground{m.writer}, Sync: onDemand{m.upkeep}, ReadsClerk: a.reconciler != nil,
		Listed: listed, Now: a.Test.Now, Logger: a.Logger,
	})
	return nil
}

func (a *assembly) openReceiver(context.Context) (err error) {
	m := a.mirror
	m.receiver = receive.New(receive.Config{
		Verifier: a.webhooks, Scheme: a.WebhookScheme, Ingest: m.ingest, Refusals: m.refusals, Incidents: a.incidents,
		Record:   func(name string, value float64, labels ...string) { m.metrics.Record(name, value, labels...) },
		OnRefuse: m.activity.Refused,
		Tracer:   a.tracer, Now: a.Test.Now,
	})
	m.metrics, err = metrics.New(a.MeterProvider, a.collect)
	return err
}

// enforceFirst puts the configured settings into force where the database remembers none, and
// logs where it remembers others.
func (a *assembly) enforceFirst(ctx context.Context) error {
	if a.db.ReadOnly() {
		return nil
	}
	if a.OnChange != nil {
		if err := a.db.RememberOnChange(ctx, true); err != nil {
			return err
		}
	}
	if err := upkeep.EnforceFirst(ctx, a.db, a.mirror.ingest, a.upkeepSettings(), a.Logger); err != nil {
		return err
	}
	settings := a.statusSettings()
	logWarnings(ctx, a.Logger, status.SettingsWarnings(a.db.Settings(), &settings))
	return nil
}

const modulePath = "github.com/clerksync/clerksync"

// collect observes everything that is counted anyway.
func (a *assembly) collect(ctx context.Context, o metrics.Observe) {
	m := a.mirror
	collectIngest(m.ingest, o)
	collectConsumers(m.feed.consumers, o)
	collectWrites(m.writer, o)
	collectJobs(m.jobs, o)
	m.receiver.Collect(o)
	m.monitor.Collect(ctx, o)
	m.gate.Collect(o)
	m.instance.Collect(o)
	if a.api != nil {
		collectAPI(a.api.Stats(), o)
		collectReconciler(a.reconciler, o)
	}
	o(metrics.Build, 1, buildinfo.Read().Version, runtime.Version())
}
