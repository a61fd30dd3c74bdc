package clerksync

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/webhook"
)

// Config configures a [Mirror]. The zero value is valid: it mirrors nothing and lets
// nobody in until it is told secrets and keys.
type Config struct {
	// SecretKey is the instance's sk_test_… or sk_live_… key. The JWKS is read with it
	// unless JWTKey or JWKSURL is set.
	SecretKey string
	// WebhookSecrets are the signing secrets (whsec_…) of the webhook endpoints; any of
	// them may match, so that they can be rotated. Empty ones are ignored. With none the
	// webhook route answers 500 and stores nothing.
	WebhookSecrets []string
	// WebhookScheme is webhook.SchemeSvix unless told.
	WebhookScheme webhook.Scheme
	// InstanceID (ins_…) pins the Clerk instance whose events are applied. When empty, the
	// key ids of the JWKS name it, that of the tokens' keys or that of the secret key. The database remembers it, and from
	// then on keys and events of another one are refused; see [ErrOtherInstance].
	InstanceID string
	// Roles is the ladder of roles, lowest first; nil is solo, growth, enterprise, admin.
	// A user's role is public_metadata.role if it is on the ladder, else the lowest. The database remembers the ladder in
	// force; Run and [Migrate] change it.
	Roles []string

	// JWTAlgorithm is RS256 (the default) or HS256, which is for template tokens with a
	// shared secret and does not know about sessions.
	JWTAlgorithm string
	// JWTKey is the instance's public key in PEM form, or the HS256 secret.
	JWTKey string
	// JWKSURL is read without the secret key.
	JWKSURL string
	// FrontendAPI is the instance's Frontend API URL: the last place to look for the JWKS.
	FrontendAPI string
	// APIURL is the Backend API without /v1; empty is https://api.clerk.com.
	APIURL string
	// Issuer, AuthorizedParties and Audience are what tokens must say; see auth.Config. Session cookies are accepted
	// only with AuthorizedParties.
	Issuer            string
	AuthorizedParties []string
	Audience          []string
	// DangerouslyAllowMissingAuthorizedParty accepts tokens without azp in the Authorization header though AuthorizedParties is
	// set. Native apps and tokens made by the Backend API have none. In a cookie such a token never counts.
	DangerouslyAllowMissingAuthorizedParty bool
	// ClockLeeway is how far the clock of Clerk may be ahead, for the claims iat and nbf; 0 means 5 seconds, the most is a
	// minute.
	ClockLeeway time.Duration
	// PublishableKey (pk_…) names the instance to front ends. It sets Issuer and FrontendAPI if they are empty, and names
	// the instance's session cookie, for hosts that several instances share.
	PublishableKey string

	// StalePolicy decides what stored roles, permissions and plans may grant while they are not proven: while the mirror was
	// not compared with Clerk recently enough (see RoleMaxStale and PermissionMaxStale), or the row waits to be read again. Of
	// plans only a read proves that. Empty is StaleAskClerk with a SecretKey, and StaleTrust without. This only limits
	// granting: a stored fact that denies always denies.
	StalePolicy StalePolicy
	// RoleMaxStale is for how long after a comparison of the changes of all users with Clerk, which Run makes each minute, their
	// stored roles grant. 0 means 5 minutes, a negative value never. A change whose event was lost may still grant for that
	// long.
	RoleMaxStale time.Duration
	// PermissionMaxStale is the same for the permissions of organization roles, which only walks of everything compare. 0
	// means 26 hours, a negative value never. A walk that is overdue by the schedule (WalkMinPause, WalkMaxPause) ends it
	// earlier. It may be long: the token, which is a minute old at most, proves the membership and the role, and the mirror
	// only adds what the role may do.
	PermissionMaxStale time.Duration
	// DisableOnDemandUsers answers 401 for users who are not mirrored yet, instead of reading them once from Clerk.
	DisableOnDemandUsers bool
	// APIBudget is the share of Clerk's rate limit that reads may use, above 0 and up to 1; 0 means 0.2.
	APIBudget float64
	// APILimit is how many requests in ten seconds Clerk allows the instance; 0 means 1000 with a live key and 100 with a test key.
	APILimit int
	// DisableBackfill keeps Run from reading everything that Clerk has at first. Sync().Backfill does it.
	DisableBackfill bool
	// DisableReconcile keeps Run from repairing what no event announced. Sync().Reconcile does it.
	DisableReconcile bool
	// WalkMinPause and WalkMaxPause bound how long Run pauses between two comparisons of everything with Clerk. The pause is
	// 20 times as long as the last comparison took; 0 means 10 minutes and 24 hours.
	WalkMinPause, WalkMaxPause time.Duration
	// PlanFeatures lists the features of each plan, by slug. Stored subscriptions name plans only.
	PlanFeatures map[string][]string
	// UpgradeURL is where a refusal for a feature or a plan points to.
	UpgradeURL string
	// PolicyVersion names the version of a route policy, such as a digest of its text. Where Run or [Migrate]
	// finds another one than before, that is a line of the audit. Empty says nothing of a policy.
	PolicyVersion string
	// ForwardAuthWithoutPolicy means that this process answers proxies without a route policy, so that any signed-in
	// user may make any request. Health warns of it (no_policy).
	ForwardAuthWithoutPolicy bool
	// AuditRetention is how long the audit is kept; 0 means 90 days.
	AuditRetention time.Duration
	// EraseAfter is how long after a user's deletion the personal data is kept; 0 means 30 days. With EraseAtOnce it goes
	// in the transaction of the deletion, and copies of it within a minute while Run runs.
	EraseAfter time.Duration
	// InboxRetention is how long the bodies of deliveries are kept; 0 means 90 days. Their ids are kept at least 90 days,
	// dead and quarantined deliveries twice as long as ids.
	InboxRetention time.Duration
	// Redact lists field paths that are never stored, such as private_metadata, public_metadata.ssn, or
	// user.unsafe_metadata.x for objects of one kind. The database remembers the paths in force; Run and [Migrate] change
	// them, and take new ones out of what is stored.
	Redact []string
	// ChangesRetention is how long the change feed goes back; 0 means 30 days.
	ChangesRetention time.Duration

	// RemediesForServer makes the remedies of warnings and findings name environment variables and commands, as the
	// clerksync server does. Else they name fields of Config and methods.
	RemediesForServer bool

	// MeterProvider and TracerProvider take metrics (docs/metrics.md) and traces; nil takes none.
	MeterProvider  metric.MeterProvider
	TracerProvider trace.TracerProvider
	// Logger gets warnings and errors; nil is silence.
	Logger *slog.Logger
	// Test has hooks for tests. Leave it empty in production.
	Test TestConfig
}

// TestConfig replaces clocks, for tests.
type TestConfig struct {
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Sleep is how a reconcile waits for the minute after which it confirms a deletion; nil waits. The time that it is asked
	// to wait counts as passed for the reconcile and for its status alone.
	Sleep func(context.Context, time.Duration) error
}

// StalePolicy is what unproven stored facts may grant; see [Config].
type StalePolicy string

// The policies.
const (
	StaleAskClerk StalePolicy = "ask"   // reads the one object from Clerk, within the budget, and denies where that fails
	StaleTrust    StalePolicy = "allow" // grants as if they were proven
	StaleDeny     StalePolicy = "deny"  // grants nothing
)

// EraseAtOnce is the Config.EraseAfter that holds nothing back.
const EraseAtOnce time.Duration = -1

const (
	defaultRetention        = 90 * 24 * time.Hour
	defaultEraseAfter       = 30 * 24 * time.Hour
	defaultChangesRetention = 30 * 24 * time.Hour
	// five sweeps may fail before roles are asked for one by one
	defaultRoleMaxStale = 5 * time.Minute
	// the longest pause between walks is a day by default; two hours are for a walk to end
	defaultPermissionMaxStale = 26 * time.Hour
)

// DefaultRoles is the ladder used when Config.Roles is nil, lowest first.
func DefaultRoles() []string { return store.DefaultLadder() }

func (c Config) withDefaults() Config {
	c.WebhookSecrets = slices.DeleteFunc(slices.Clone(c.WebhookSecrets), func(s string) bool { return strings.TrimSpace(s) == "" })
	if c.Roles == nil {
		c.Roles = DefaultRoles()
	}
	if c.JWTAlgorithm == "" {
		c.JWTAlgorithm = auth.RS256
	}
	if c.APIURL == "" {
		c.APIURL = "https://api.clerk.com"
	}
	c.APIURL = strings.TrimSuffix(strings.TrimSuffix(c.APIURL, "/"), "/v1")
	if frontend, err := auth.FrontendAPI(c.PublishableKey); err == nil {
		c.FrontendAPI, c.Issuer = cmp.Or(c.FrontendAPI, frontend), cmp.Or(c.Issuer, frontend)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Test.Now == nil {
		c.Test.Now = time.Now
	}
	if c.MeterProvider == nil {
		c.MeterProvider = metricnoop.NewMeterProvider()
	}
	if c.TracerProvider == nil {
		c.TracerProvider = tracenoop.NewTracerProvider()
	}
	if c.StalePolicy == "" {
		c.StalePolicy = StaleTrust
		if c.SecretKey != "" {
			c.StalePolicy = StaleAskClerk
		}
	}
	c.RoleMaxStale = cmp.Or(c.RoleMaxStale, defaultRoleMaxStale)
	c.PermissionMaxStale = cmp.Or(c.PermissionMaxStale, defaultPermissionMaxStale)
	c.AuditRetention = cmp.Or(c.AuditRetention, defaultRetention)
	c.InboxRetention = cmp.Or(c.InboxRetention, defaultRetention)
	c.ChangesRetention = cmp.Or(c.ChangesRetention, defaultChangesRetention)
	c.EraseAfter = cmp.Or(c.EraseAfter, defaultEraseAfter)
	return c
}
