package config

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/clerksync/clerksync/forwardauth"
)

// Config is the configuration of every command. Its form is valid; whether a database answers or a
// key is the instance's is not checked here. When it is printed, logged or marshaled, secrets are
// masked.
type Config struct {
	File     string // the YAML file that was read; empty for none
	Database Database
	// ReadDatabase is a read replica of Database. Its Engine is empty if there is none.
	ReadDatabase Database
	// DatabaseWait is how long a server waits at start for a database that cannot be reached.
	DatabaseWait time.Duration

	SecretKey      string
	WebhookSecrets []string // empty: the webhook route answers 500; none holds a comma
	WebhookScheme  string   // svix, hmac-body
	APIURL         string   // without /v1 and without a slash at the end
	InstanceID     string

	Listen         string // host:port or :port
	OperatorListen string // host:port, :port, public, off

	OperatorMetrics string // token, open

	Console         string // on, off
	ConsoleName     string
	ConsoleHosts    []string
	ConsolePayloads string // ask, show

	Roles     []string // lowest first, at least one
	AdminRole string   // of Roles, not the first; or off

	LogLevel          string   // debug, info, warn, error
	LogFormat         string   // json, text
	SQLiteSynchronous string   // FULL, NORMAL
	SQLiteCheckpoints string   // own, external
	SQLiteMode        FileMode // 0: the files keep their mode
	SQLiteGroup       string
	UpgradeCopies     Copies

	JWTAlgorithm      string // RS256, HS256
	JWTKey            string // RS256: public key as auth.ParsePublicKey reads it, or empty; HS256: at least 32 bytes
	JWKSURL           string
	Issuer            string // empty: not checked
	PublishableKey    string
	AuthorizedParties []string // origins
	AllowMissingAZP   bool
	Audience          []string
	ClockLeeway       time.Duration
	JIT               string // auto, off

	OAuthResources []string // URLs; empty: the audience of access tokens is not checked
	MachineCallers []string // machine=scope+scope
	MachineID      string

	MachineSecretKey string
	MachineTTL       time.Duration
	MachineMaxStale  time.Duration // 0: never
	MachineCalls     int           // a minute
	MachinePrice     string        // a number of US dollars

	Policy         string              // YAML text; empty: no policy
	Routes         *forwardauth.Policy // that text as a policy; nil: any signed-in user passes
	TrustedProxies []netip.Prefix
	Proxy          string   // one of forwardauth.Proxies; empty: any but ingress-nginx
	IdentitySecret string   // empty: no signed identity header
	CORSOrigins    []string // origins
	UpgradeURL     string
	Unready        string   // ask, allow, deny
	PlanFeatures   []string // plan=feature+feature

	ReadyWithin     time.Duration // 0: never
	ReadyWalkWithin time.Duration // 0: never
	WalkMinPause    time.Duration
	WalkMaxPause    time.Duration

	Backfill         string        // auto, off
	Writes           string        // on, off
	Reconcile        string        // auto, off
	APIBudget        float64       // share of Clerk's rate limit, above 0 and up to 1
	APILimit         int           // requests in ten seconds; 0: by the kind of secret key
	EraseAfter       time.Duration // 0: in the transaction of the deletion
	InboxRetention   time.Duration
	ChangesRetention time.Duration
	AuditRetention   time.Duration
	Redact           []string // field paths
	PublicURL        string
	OperatorToken    string
	WebhooksAllow    []string // hosts of outgoing webhooks that may be private
	NATS             NATS

	options Options // what it was read from

	// Files has the path of the file that a NAME_FILE names, by the name of the setting in
	// [Settings], also of one that is empty.
	Files map[string]string

	// Sources has the origin of each setting's value, by its name in [Settings].
	Sources map[string]Origin
}

// Database is the database to open.
type Database struct {
	Engine string // sqlite, postgres
	Path   string // sqlite: path of the file, or :memory:
	Memory bool   // sqlite: nothing is kept
	DSN    string // postgres: the URL as given, password included
}

// String returns the URL without user, password and parameters.
func (d Database) String() string {
	switch {
	case d.Engine == "":
		return ""
	case d.Engine == "postgres":
		scheme, rest, _ := strings.Cut(d.DSN, "://")
		rest, _, _ = strings.Cut(rest, "?")
		return scheme + "://" + rest[strings.LastIndex(rest, "@")+1:]
	case strings.HasPrefix(d.Path, "/"):
		return d.Engine + "://" + d.Path
	default:
		return d.Engine + ":" + d.Path
	}
}

// Format prints String for every verb, so that no verb shows the password.
func (d Database) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, d.String()) }

// MarshalText returns String, for loggers and JSON.
func (d Database) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Origin is where the value of a setting comes from.
type Origin struct {
	Source    string `json:"source"`               // default, flag, environment, file (the YAML file) or derived
	Name      string `json:"written_as,omitempty"` // the name there, if it is not the setting's: PORT, CLERK_JWT_KEY_FILE
	File      string `json:"file,omitempty"`       // the YAML file
	Line      int    `json:"line,omitempty"`       // in that file
	ValueFile string `json:"value_file,omitempty"` // the file that NAME_FILE names
}

// What Origin.Source may be.
const (
	fromDefault     = "default"
	fromFlag        = "flag"
	fromEnvironment = "environment"
	fromYAML        = "file"
	fromOther       = "derived" // from the setting in Origin.Name
)

// String returns the origin in words, such as "clerksync.yaml:3".
func (o Origin) String() string {
	text := o.Source
	switch o.Source {
	case fromFlag:
		return "flag " + o.Name
	case fromOther:
		return "derived from " + o.Name
	case fromYAML:
		text = fmt.Sprintf("%s:%d", o.File, o.Line)
	}
	switch {
	case o.ValueFile != "":
		text += fmt.Sprintf(" (%s: %s)", o.Name, o.ValueFile)
	case o.Name != "":
		text += " (" + o.Name + ")"
	}
	return text
}

// Value is a setting that is in force. It holds no secret.
type Value struct {
	Name   string `json:"name"`
	Value  string `json:"value"`            // "set" or "unset" for secrets and policies; "invalid" and "unknown" in a Report
	Secret bool   `json:"secret,omitempty"` // the value is not shown
	Origin Origin `json:"origin"`
}

// Values returns all settings in the order of [Settings], without any secret.
func (c *Config) Values() []Value {
	var values []Value
	for _, s := range Settings() {
		value := s.show(c)
		switch {
		case !s.Secret && !s.multiline:
		case value == "":
			value = "unset"
		default:
			value = "set"
		}
		values = append(values, Value{Name: s.Name, Value: value, Secret: s.Secret, Origin: c.Sources[s.Name]})
	}
	return values
}

// Format prints the settings without secrets for every verb.
func (c Config) Format(f fmt.State, _ rune) {
	for _, v := range c.Values() {
		_, _ = fmt.Fprintf(f, "%s=%s (%s)\n", v.Name, v.Value, v.Origin)
	}
}

// MarshalJSON writes the settings without secrets.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.Values()) }

// Fault is one thing that is wrong with the configuration. Its texts hold no value, except the
// correct one of an issuer.
type Fault struct {
	Name   string `json:"name"` // as written: CLERKSYNC_LISTEN, --listen, clerksync_listen in clerksync.yaml
	What   string `json:"what"`
	Why    string `json:"why"`
	Remedy string `json:"remedy"`
}

func (f Fault) lines() string { return fmt.Sprintf("%s (%s)\n%s\n%s", f.What, f.Name, f.Why, f.Remedy) }

// Faults is the error of [Load]: every fault of the configuration.
type Faults []Fault

// Error returns three lines a fault, the first after "error: ", with an empty line between faults.
func (fs Faults) Error() string {
	texts := make([]string, len(fs))
	for i, f := range fs {
		texts[i] = "error: " + f.lines()
	}
	return strings.Join(texts, "\n\n")
}

// Warning is like a Fault, but stops nothing.
type Warning Fault

// String returns three lines, the first after "warning: ".
func (w Warning) String() string { return "warning: " + Fault(w).lines() }
