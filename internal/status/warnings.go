package status

import (
	"cmp"
	"slices"
	"time"

	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/refusals"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Settings are what warnings look at of the configuration.
type Settings struct {
	// Server means that the configuration comes from the clerksync command: remedies name
	// commands and environment variables. Else they name fields of clerksync.Config and methods.
	Server bool

	SecretKey         bool   // there is one
	KeysOfTwoKinds    bool   // of secret key and publishable key one is for production, one for development
	WebhookSecret     bool   // there is one
	TokenKeys         bool   // there is a source of keys that verify tokens
	Production        bool   // a key is one of a production instance
	Domain            string // host of the Frontend API, empty if it is not configured
	TrustUnproven     bool   // stored facts grant although nothing proves them
	HMACBody          bool   // webhooks are verified by a bare HMAC of the body
	HS256             bool   // tokens are verified with a shared secret
	AuthorizedParties bool   // they are set
	Issuer            bool   // it is set
	NoPolicy          bool   // proxies are answered without a route policy
	MissingAZP        bool   // tokens without a party are accepted
	DisableReconcile  bool
	FeedRetention     time.Duration // how long entries of the change feed are kept
	Roles             []string
	Redact            []string
	OnChange          bool // the application has one
	ReadOnly          bool // this process writes nothing
}

// signals are what warnings are made of. They are read once for each assessment: all warnings are
// about one moment, and no warning reads the database by itself.
type signals struct {
	*Settings
	now            time.Time
	engine         store.Engine
	database       string              // engine and place, for people
	replica        *store.ReplicaState // nil: there is none
	durable        bool                // commits survive a power cut
	readsClerk     bool                // there is a client of Clerk's Backend API
	listeningSince time.Time           // when this process began to take webhooks; zero: it does not
	instances      []string            // whose events are applied; none: those of any
	keysMissing    bool                // no key is usable now, and fetching them failed
	refused        map[refusals.Kind]refusals.Count
	aheadOfClerk   time.Duration   // how far this machine's clock is ahead; 0: they agree, or were not compared
	outage         clerkapi.Outage // of Clerk's Backend API, as this process sees it
	slowCalls      int             // of OnChange, among the last ones in this process
	longestCall    time.Duration
	remembered     *store.Settings     // the settings in force
	reasons        []mirror.SyncReason // why the mirror is not proven to equal Clerk; for health up to half a minute old

	others []mirror.Warning // about other parts of the program

	stored      *Facts           // nil: the database did not respond
	databaseErr error            // why
	writeFault  store.WriteFault // why nothing can be stored, although the database responds
	storedErr   error            // why stored is nil although the database responds
}

// remedy returns the text for the reader of the warning: an operator of the server, or a user of
// the library.
func (s *Settings) remedy(server, library string) string {
	if s.Server {
		return server
	}
	return library
}

// warner makes warnings out of signals.
type warner func(*signals) []mirror.Warning

// configWarners look at the configuration.
func configWarners() []warner {
	return []warner{warnOfCredentials, warnOfTokens, warnOfPolicy, warnOfDurability}
}

// dataWarners look at what happened: at what the database knows, and at what was refused.
func dataWarners() []warner {
	return []warner{
		warnOfDatabase, warnOfReplica, warnOfKeys, warnOfClerk, warnOfClock, warnOfRefusals, warnOfSilence, warnOfDeadLetters, warnOfNotRunning,
		warnOfReasons, warnOfWalks, warnOfQueues,
		warnOfUnreadable, warnOfSubscriptions, warnOfInstances, warnOfSettings, warnOfRoles, warnOfConsumers, warnOfEndpoints, warnOfJobs, warnOfOnChange,
		warnOfRevocations,
		func(s *signals) []mirror.Warning { return s.others },
	}
}

func allWarners() []warner { return slices.Concat(configWarners(), dataWarners()) }

// warningsOf returns the warnings, the worst first.
func warningsOf(s *signals, warners []warner) []mirror.Warning {
	warnings := []mirror.Warning{}
	for _, warn := range warners {
		warnings = append(warnings, warn(s)...)
	}
	slices.SortStableFunc(warnings, func(a, b mirror.Warning) int { return cmp.Compare(rank(a.Severity), rank(b.Severity)) })
	return warnings
}

// rank orders severities, the worst first.
func rank(s mirror.Severity) int {
	return slices.Index([]mirror.Severity{mirror.SeverityError, mirror.SeverityWarning, mirror.SeverityInfo}, s)
}

// ConfigWarnings returns the warnings about a configuration alone.
func ConfigWarnings(settings Settings, db *store.DB) []mirror.Warning {
	return warningsOf(&signals{Settings: &settings, engine: db.Engine(), durable: !db.NonDurable(), database: db.String()}, configWarners())
}

// conditional collects the warnings whose condition holds.
type conditional []mirror.Warning

func (c *conditional) when(condition bool, w mirror.Warning) {
	if condition {
		*c = append(*c, w)
	}
}
