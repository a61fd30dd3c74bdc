package clerksync

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/webhook"
)

// Config configures a [Mirror]. The zero value is valid: such a mirror stores no events and denies
// every caller, because it has no secrets and no keys. New reports all faults of a Config at once.
type Config struct {
	// ReadDB is a read replica of the database, opened with postgres.OpenReadOnly: lists of users,
	// organizations, memberships, sessions, invitations, deliveries, audit and drift are read from
	// it. The mirror closes it and never writes it. A page from it may lack what was committed in
	// the last 5 seconds, but neither what this mirror has audited, such as changes of operators,
	// nor what [Feed.Reached] has found. The primary answers where the replica is further behind,
	// fails, or is not a copy of it. Single objects, requests and verdicts are always read from the
	// primary. Nil: there is no replica.
	ReadDB DB

	// SecretKey is the secret key of the instance (sk_test_… or sk_live_…). The mirror reads
	// Clerk's Backend API with it. It also fetches the keys that verify tokens with it, unless
	// JWTKey or JWKSURL is set.
	SecretKey string
	// WebhookSecrets are the signing secrets (whsec_…) of the webhook endpoints. A webhook must
	// match one of them, so that secrets can be rotated. Empty ones are ignored. Without secrets
	// the webhook route answers 500 and stores nothing.
	WebhookSecrets []string
	// WebhookScheme is the signature scheme of webhooks. Empty means webhook.SchemeSvix.
	WebhookScheme webhook.Scheme
	// InstanceID (ins_…) is the Clerk instance whose events are applied. If it is empty, the ids of
	// the keys that verify tokens name the instance, or else those of the secret key. The database
	// remembers the instance. After that, keys and events of another instance are refused; see
	// [ErrOtherInstance].
	InstanceID string
	// Roles is the ladder of roles, lowest first. Nil means [DefaultRoles]. A user's role is
	// public_metadata.role if it is on the ladder, else the lowest. The database remembers the
	// ladder in force; Run and [Migrate] change it.
	Roles []string

	// JWTAlgorithm is RS256 or HS256. Empty means RS256. HS256 is for tokens of a template with a
	// shared secret; such tokens name no session.
	JWTAlgorithm string
	// JWTKey is the instance's public key in PEM form, or the shared secret of HS256.
	JWTKey string
	// JWKSURL is the URL from which the keys that verify tokens are fetched. The secret key is not
	// sent there.
	JWKSURL string
	// FrontendAPI is the URL of the instance's Frontend API. Empty means the one that
	// PublishableKey names. The keys that verify tokens are fetched from there if JWTKey, JWKSURL
	// and SecretKey are empty.
	FrontendAPI string
	// APIURL is the URL of the Backend API, without /v1. Empty means https://api.clerk.com.
	APIURL string
	// Issuer is the claim iss that tokens must have. Empty means the Frontend API that
	// PublishableKey names. Without both, the issuer is not checked.
	Issuer string
	// AuthorizedParties are the origins of the pages whose tokens are accepted (the claim azp).
	// Session cookies are accepted only if it is set.
	AuthorizedParties []string
	// Audience lists audiences, one of which tokens must have (the claim aud). If it is empty, the
	// audience is not checked.
	Audience []string
	// DangerouslyAllowMissingAuthorizedParty accepts tokens without the claim azp in the
	// Authorization header, although AuthorizedParties is set. Tokens of native apps and of the
	// Backend API have no azp. In a cookie such a token is never accepted.
	DangerouslyAllowMissingAuthorizedParty bool
	// ClockLeeway is how far Clerk's clock may be ahead of this one, for the claims iat and nbf. 0
	// means 5 seconds. The maximum is a minute.
	ClockLeeway time.Duration
	// OAuthResources are the URLs of this API, one of which the audience of an OAuth access token
	// must hold. See [auth.MachineConfig].Resources. Tokens are accepted only on routes that accept
	// OAuth access tokens; see [auth.Accept].
	OAuthResources []string
	// MachineCallers are the machines (mch_…) whose M2M tokens are accepted, each with the scopes
	// that it has here. See [auth.MachineConfig].Callers.
	MachineCallers map[string][]string
	// MachineID (mch_…) is this application's own machine. See [auth.MachineConfig].MachineID.
	MachineID string
	// MachineSecretKey (ak_…) is the secret key of MachineID. With it, Clerk accepts only M2M
	// tokens that are for this machine. If it is empty, SecretKey verifies them. API keys and
	// opaque tokens are verified with SecretKey, which MachineSecretKey does not replace.
	MachineSecretKey string
	// MachineTTL is how long Clerk's answer about an API key or an opaque token counts, if the
	// token lives that long. 0 means a minute. A token that was revoked at Clerk, and not with
	// [Keys.Revoke], is accepted for that long.
	MachineTTL time.Duration
	// MachineMaxStale is how much longer the last answer counts while Clerk cannot be asked. 0
	// means 5 minutes, a negative value none. A token that was never seen is never accepted then.
	MachineMaxStale time.Duration
	// MachineCallsPerMinute is how many verifications at Clerk, which are paid for, API keys and
	// tokens that were never seen may cost in any minute. 0 means 600.
	MachineCallsPerMinute int
	// MachinePrice is what Clerk charges for a verification in US dollars, for metrics. 0 means
	// 0.00001.
	MachinePrice float64
	// TrustedProxies are the networks of the proxies in front of this server. The client's address,
	// which they say in X-Forwarded-For, counts for the limits of API keys and tokens that were
	// never seen.
	TrustedProxies []netip.Prefix
	// PublishableKey (pk_test_… or pk_live_…) sets Issuer and FrontendAPI if they are empty. It
	// also names the instance's session cookie, for hosts that several instances share.
	PublishableKey string

	// StalePolicy decides what stored roles, permissions and plans may grant while they are stale.
	// A role or permission is stale if the mirror did not compare it with Clerk recently enough
	// (see RoleMaxStale and PermissionMaxStale), or if its row is in the verify queue. A plan is
	// stale until it is read from Clerk. Empty means StaleAskClerk with a SecretKey, and StaleTrust
	// without. StalePolicy only limits granting. A stored fact that denies always denies.
	StalePolicy StalePolicy
	// RoleMaxStale is how long stored roles may grant after the last sweep of all users, which Run
	// does every minute. 0 means 5 minutes; a negative value means that they never grant. If the
	// event of a change is lost, the old role may grant for that long.
	RoleMaxStale time.Duration
	// PermissionMaxStale is how long stored permissions of organization roles may grant after the
	// last walk, because sweeps do not compare them. 0 means 26 hours; a negative value means that
	// they never grant. A walk that is overdue (see WalkMinPause and WalkMaxPause) ends this time
	// earlier. It can be long, because the token proves the membership and the role, and is a
	// minute old at most. The mirror adds only what the role may do.
	PermissionMaxStale time.Duration
	// DisableOnDemandUsers denies users who are not mirrored yet with 401. By default the mirror
	// reads such a user once from Clerk.
	DisableOnDemandUsers bool
	// APIBudget is the share of Clerk's rate limit that the mirror may use, above 0 and up to 1. 0
	// means 0.2.
	APIBudget float64
	// APILimit is how many requests Clerk allows the instance in ten seconds. 0 means 1000 with a
	// live key and 100 with a test key.
	APILimit int
	// DisableBackfill keeps Run from copying everything from Clerk at the start. [Sync.Backfill]
	// does it on demand.
	DisableBackfill bool
	// DisableReconcile keeps Run from comparing the mirror with Clerk and repairing it.
	// [Sync.Reconcile] does it on demand.
	DisableReconcile bool
	// DisableWrites refuses the changes that operators ask for: nothing is changed at Clerk, and
	// nothing is overridden here. Without it the secret key is also used to change roles, to ban,
	// lock and delete users, and to revoke sessions, each time because an operator asked for that.
	DisableWrites bool
	// WalkMinPause is the shortest pause that Run makes between two walks, which compare everything
	// with Clerk. The pause is 20 times as long as the last walk took, within both bounds. 0 means
	// 10 minutes.
	WalkMinPause time.Duration
	// WalkMaxPause is the longest such pause. 0 means 24 hours.
	WalkMaxPause time.Duration
	// PlanFeatures lists the features of each plan, by slug. Stored subscriptions name only plans.
	PlanFeatures map[string][]string
	// UpgradeURL is the URL that a client gets with a denial for a missing feature or plan.
	UpgradeURL string
	// PolicyVersion names the version of a route policy, such as a digest of its text. Run and
	// [Migrate] write an audit entry when it changes. Empty means that there is no policy to
	// record.
	PolicyVersion string
	// ForwardAuthWithoutPolicy means that this process serves forward auth without a route policy,
	// so that any signed-in user may make any request. Health warns of it (no_policy).
	ForwardAuthWithoutPolicy bool
	// AuditRetention is how long entries of the audit are kept. 0 means 90 days.
	AuditRetention time.Duration
	// EraseAfter is how long personal data is kept after a user's deletion. 0 means 30 days. With
	// EraseAtOnce the deletion itself removes it, and Run removes copies of it within a minute.
	EraseAfter time.Duration
	// InboxRetention is how long the bodies of deliveries are kept. 0 means 90 days. Their ids are
	// kept for at least 90 days. Dead letters and quarantined deliveries are kept twice as long as
	// ids.
	InboxRetention time.Duration
	// Redact lists paths of fields that are never stored, such as private_metadata or
	// public_metadata.ssn. A path such as user.unsafe_metadata.x applies to objects of one kind.
	// The database remembers the paths in force. Run and [Migrate] change them, and remove the
	// fields of new paths from what is stored.
	Redact []string
	// OnChange, if it is set, runs in every transaction that changes the mirror, before the commit,
	// with the changes of the transaction in their order. Its statements on tx and the changes are
	// committed together or not at all. tx sees the new state of the mirror in the live views, such
	// as clerk_users_live. One transaction can have the changes of many events, or of a page of a
	// list that was read. OnChange is called for events, reads, backfills, walks, replays,
	// erasures, and for changes of Roles and Redact; never in a dry run.
	//
	// An error or a panic of OnChange rolls the transaction back. Of events that shared it, only
	// those that OnChange refuses by themselves are not applied: they become dead letters with the
	// reason hook_failed and the message of the error, which must not hold personal data.
	// [Deliveries.Replay] applies them later. What was read from Clerk stays as it was, and is read
	// again later. Methods such as [Users.Apply] and [Users.Erase] return the error, a
	// [*mirror.OnChangeError]. If the database is the cause (it is locked, or the connection was
	// lost), or time has run out, nothing is judged: events are answered 503 and sent again.
	//
	// While OnChange runs, all other writers of the mirror wait. It must be quick, and must not use
	// the network or wait for anything: if it has not returned after 10 seconds, the transaction is
	// rolled back. It must not write to tables named clerk_, and must not call methods of the
	// mirror: methods that write return [ErrInsideOnChange] for its ctx, and methods that read show
	// the state before the transaction. It may be called again for the same event, if a commit
	// failed. Its statements were rolled back then; anything else that it did is done twice.
	//
	// Set OnChange in every process that writes the database. What others write passes it by. The
	// database remembers that OnChange is used, and such processes warn (hook_bypassed); see
	// [ForgetOnChange].
	OnChange func(ctx context.Context, tx *Tx, changes []mirror.Change) error
	// ChangesRetention is how long entries of the change feed are kept. 0 means 30 days.
	ChangesRetention time.Duration

	// RemediesForServer makes remedies of warnings and findings name environment variables and
	// commands, for operators of the clerksync server. By default they name fields of Config and
	// methods.
	RemediesForServer bool

	// Warnings returns warnings about other parts of the program, such as a publisher of changes.
	// Health shows them next to those of the mirror. It is called for each assessment, so it must
	// not block. Nil means none.
	Warnings func() []mirror.Warning

	// MeterProvider receives the metrics that docs/metrics.md lists. Nil means no metrics.
	MeterProvider metric.MeterProvider
	// TracerProvider receives traces. Nil means no traces.
	TracerProvider trace.TracerProvider
	// Logger receives warnings and errors. Nil means no log.
	Logger *slog.Logger
	// Test has hooks for tests. Leave it empty in production.
	Test TestConfig
}

// TestConfig replaces clocks, for tests.
type TestConfig struct {
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Sleep replaces the wait of a reconcile before it confirms a deletion, which is a minute. Nil
	// means a real wait. The reconcile and its status count the requested time as passed.
	Sleep func(context.Context, time.Duration) error
}

// StalePolicy is what stored facts may grant while they are stale; see Config.StalePolicy.
type StalePolicy string

// Values of [StalePolicy].
const (
	// StaleAskClerk reads the object from Clerk, within the budget. If that fails, the stale fact
	// grants nothing.
	StaleAskClerk StalePolicy = "ask"
	// StaleTrust grants as if the fact were fresh.
	StaleTrust StalePolicy = "allow"
	// StaleDeny grants nothing.
	StaleDeny StalePolicy = "deny"
)

// EraseAtOnce is the value of Config.EraseAfter that erases personal data with the deletion of the
// user.
const EraseAtOnce time.Duration = -1

const (
	defaultRetention        = 90 * 24 * time.Hour
	defaultEraseAfter       = 30 * 24 * time.Hour
	defaultChangesRetention = 30 * 24 * time.Hour

	defaultMachineTTL      = time.Minute
	defaultMachineMaxStale = 5 * time.Minute
	defaultMachineCalls    = 600
	defaultMachinePrice    = 0.00001 // https://clerk.com/pricing
	// five sweeps may fail before roles are asked for one by one
	defaultRoleMaxStale = 5 * time.Minute
	// the longest pause between walks is a day by default; two hours are for a walk to end
	defaultPermissionMaxStale = 26 * time.Hour
)

// DefaultRoles returns the ladder that is used if Config.Roles is nil: solo, growth, enterprise,
// admin.
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
	if c.Warnings == nil {
		c.Warnings = func() []mirror.Warning { return nil }
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
	c.MachineTTL = cmp.Or(c.MachineTTL, defaultMachineTTL)
	c.MachineMaxStale = cmp.Or(c.MachineMaxStale, defaultMachineMaxStale)
	c.MachineCallsPerMinute = cmp.Or(c.MachineCallsPerMinute, defaultMachineCalls)
	c.MachinePrice = cmp.Or(c.MachinePrice, defaultMachinePrice)
	c.EraseAfter = cmp.Or(c.EraseAfter, defaultEraseAfter)
	return c
}
