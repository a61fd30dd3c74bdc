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

// Config is the configuration of every command, validated in form. What it says of other machines (that a database
// answers, that a key is the instance's) is not checked here. Printed, logged or marshalled it is redacted.
type Config struct {
	File     string // the YAML file that was read; empty for none
	Database Database

	SecretKey      string
	WebhookSecrets []string // empty: the webhook route answers 500; none holds a comma
	WebhookScheme  string   // svix, hmac-body
	APIURL         string   // without /v1 and without a slash at the end
	InstanceID     string

	Listen         string // host:port or :port
	OperatorListen string // host:port, :port, off, public

	OperatorMetrics string // token, open

	Roles     []string // lowest first, at least one
	AdminRole string   // one of Roles

	LogLevel          string // debug, info, warn, error
	LogFormat         string // json, text
	SQLiteSynchronous string // FULL, NORMAL

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

	// Sources tells for each name of [Settings] where its value comes from: "flag", "environment", "file PATH" (the
	// YAML file or that of NAME_FILE), "derived from NAME" or "default".
	Sources map[string]string
}

// Database says which database to open.
type Database struct {
	Engine string // sqlite, postgres
	Path   string // sqlite: path of the file, or :memory:
	Memory bool   // sqlite: nothing is kept
	DSN    string // postgres: the URL as given, password included
}

// String is the URL without user, password and parameters.
func (d Database) String() string {
	switch {
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

// MarshalText is String, for loggers and JSON.
func (d Database) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Value is one line of what a process runs with.
type Value struct {
	Name   string `json:"name"`
	Value  string `json:"value"` // "set" or "unset" for secrets and long texts
	Source string `json:"source"`
}

// Values lists all settings in the order of [Settings], without any secret.
func (c *Config) Values() []Value {
	var settings []Value
	for _, v := range Settings() {
		value := v.show(c)
		switch {
		case !v.Secret && !v.multiline:
		case value == "":
			value = "unset"
		default:
			value = "set"
		}
		settings = append(settings, Value{Name: v.Name, Value: value, Source: c.Sources[v.Name]})
	}
	return settings
}

// Format prints the redacted settings for every verb.
func (c Config) Format(f fmt.State, _ rune) {
	for _, s := range c.Values() {
		_, _ = fmt.Fprintf(f, "%s=%s (%s)\n", s.Name, s.Value, s.Source)
	}
}

// MarshalJSON writes the redacted settings.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.Values()) }

// Fault is one thing wrong with the configuration. None of its texts holds a value, but for the right one of an issuer.
type Fault struct {
	Name   string // of the setting as it was written: CLERKSYNC_LISTEN, --listen, clerksync_listen in clerksync.yaml
	What   string // what happened
	Why    string // why it matters
	Remedy string // what to do
}

func (f Fault) lines() string { return fmt.Sprintf("%s (%s)\n%s\n%s", f.What, f.Name, f.Why, f.Remedy) }

// Faults is the error of [Load]: every fault of the configuration, at least one.
type Faults []Fault

// Error is ready to print: three lines a fault, the first after "error: ", with an empty line between faults.
func (fs Faults) Error() string {
	texts := make([]string, len(fs))
	for i, f := range fs {
		texts[i] = "error: " + f.lines()
	}
	return strings.Join(texts, "\n\n")
}

// Warning is a Fault that stops nothing.
type Warning Fault

// String is ready to print, three lines, the first after "warning: ".
func (w Warning) String() string { return "warning: " + Fault(w).lines() }
