package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Setting describes one setting: for Load, for `serve --help` and for the documentation.
type Setting struct {
	Name    string   // of the environment variable
	Aliases []string // other names that are read where Name is unset
	Secret  bool     // never printed, no flag
	Default string   // as it would be written; empty: none, or derived as Summary says
	Since   string   // the capability that uses it: core, tokens, gate, upkeep
	Summary string   // one line

	noun, why, form string // texts of its faults: "NOUN is …", why it matters, what to write
	multiline       bool
	// emptyIsUnset means that an empty value opens nothing: the default restricts as much as any value does, or
	// the setting restricts nothing. Of all other settings an empty file is a fault and an empty text a warning.
	emptyIsUnset bool
	binding
}

// Flag is the name of the variable's flag without the leading hyphens; empty for secrets, which have none.
func (v Setting) Flag() string {
	if v.Secret {
		return ""
	}
	return flagName(v.Name)
}

// List reports whether the value is a list: comma text, or a list in the YAML file.
func (v Setting) List() bool { return v.list }

func (v Setting) names() []string { return append([]string{v.Name}, v.Aliases...) }

func flagName(name string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, "CLERKSYNC_")), "_", "-")
}

// binding ties a variable to a field of Config.
type binding struct {
	list bool
	set  func(*Config, string) error
	show func(*Config) string
}

func bind[T any](field func(*Config) *T, parse func(string) (T, error)) binding {
	return binding{
		list: reflect.TypeFor[T]().Kind() == reflect.Slice,
		set: func(c *Config, text string) error {
			value, err := parse(text)
			if err == nil {
				*field(c) = value
			}
			return err
		},
		show: func(c *Config) string { return display(*field(c)) },
	}
}

func display(value any) string {
	switch value := value.(type) {
	case []string:
		return strings.Join(value, ",")
	case []netip.Prefix:
		texts := make([]string, len(value))
		for i, prefix := range value {
			texts[i] = prefix.String()
		}
		return strings.Join(texts, ",")
	case float64:
		return strconv.FormatFloat(100*value, 'g', 6, 64) + "%"
	default:
		return fmt.Sprint(value)
	}
}

// Settings is the table of all settings, in the order in which people read them.
func Settings() []Setting {
	groups := []struct {
		since     string
		variables []Setting
	}{
		{"core", coreSettings()},
		{"core", serverSettings()},
		{"tokens", tokenSettings()},
		{"gate", gateSettings()},
		{"upkeep", upkeepSettings()},
	}
	var all []Setting
	for _, group := range groups {
		for _, v := range group.variables {
			v.Since = group.since
			all = append(all, v)
		}
	}
	return all
}

const (
	originForm = "Write origins as browsers send them, https://app.example.com or http://localhost:3000, in lower case, " +
		"without path and default port."
	urlForm = "Write an https URL without user, query and fragment; plain http is for loopback addresses only."
)

func coreSettings() []Setting {
	return []Setting{{
		Name: configName, Summary: "YAML file with settings, read after flags and environment",
		noun: "configuration file", why: "Its settings are not in force.", form: "Name a readable YAML file.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.File }, anyText),
	}, {
		Name: databaseName, Default: "sqlite:clerksync.db",
		Summary: "where the mirror lives: sqlite:///abs/app.db, sqlite:app.db, sqlite::memory: or postgres://…",
		noun:    "database URL", why: "Without a database nothing can be stored.", form: databaseForm,
		binding: bind(func(c *Config) *Database { return &c.Database }, parseDatabase),
	}, {
		Name: secretKeyName, Secret: true,
		Summary: "Clerk's secret key, for the Backend API",
		noun:    "secret key", why: "Clerk's Backend API answers only to the secret key.",
		form:    "Copy it from the API keys page in the Clerk dashboard; it starts with sk_.",
		binding: bind(func(c *Config) *string { return &c.SecretKey }, parseSecretKey),
	}, {
		Name: webhookName, Aliases: []string{"CLERK_WEBHOOK_SECRET"}, Secret: true,
		Summary: "signing secret of the webhook endpoint; several while one is rotated",
		noun:    "webhook secret", why: "Clerk's webhooks cannot be verified without it.",
		form:         "Copy it from the endpoint's page in the Clerk dashboard; it starts with whsec_.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *[]string { return &c.WebhookSecrets }, listOf(anyText)),
	}, {
		Name: schemeName, Default: "svix",
		Summary: "what signs webhooks: svix, or hmac-body (dangerous: neither id nor time is signed)",
		noun:    "webhook scheme", why: "Webhooks can be verified in a known scheme only.",
		form:         "Leave it unset for Clerk; it is svix or hmac-body.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.WebhookScheme }, oneOf("svix", "hmac-body")),
	}, {
		Name: "CLERK_API_URL", Default: "https://api.clerk.com",
		Summary: "base of Clerk's Backend API, without /v1",
		noun:    "Clerk API URL", why: "The secret key is sent to this address.", form: urlForm,
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.APIURL }, parseAPIURL),
	}, {
		Name: "CLERK_INSTANCE_ID", Summary: "pins the Clerk instance (ins_…); unset: learned from its JWKS. The database remembers it",
		noun: "instance id", why: "Events of other instances are told apart by it.",
		form:    "Write the id of the instance, ins_ and then letters and digits.",
		binding: bind(func(c *Config) *string { return &c.InstanceID }, matching("ins_", `^ins_[A-Za-z0-9]{1,64}$`)),
	}}
}

func serverSettings() []Setting {
	return []Setting{{
		Name: listenName, Aliases: []string{portName}, Default: ":8080",
		Summary: "address of the public listener, host:port or :port (PORT takes the number alone)",
		noun:    "listen address", why: "The server cannot open its port.",
		form:    "Write host:port or :port, such as :8080; in PORT the number alone.",
		binding: bind(func(c *Config) *string { return &c.Listen }, parseListen),
	}, {
		Name: operatorListenName, Default: "127.0.0.1:8081",
		Summary: "address of the operator listener; off; public mounts it on the public one, behind sign-in",
		noun:    "operator listen address", why: "Console, operator API and metrics are served there.",
		form:    "Write host:port, off or public.",
		binding: bind(func(c *Config) *string { return &c.OperatorListen }, parseOperatorListen),
	}, {
		Name: "CLERKSYNC_OPERATOR_METRICS", Default: "token",
		Summary: "token; open answers /metrics without the operator token where other machines reach the operator listener",
		noun:    "operator metrics mode", why: "Metrics tell how much happens here, and everyone who reaches the listener could read them.",
		form:    "Write token or open.",
		binding: bind(func(c *Config) *string { return &c.OperatorMetrics }, oneOf("token", "open")),
	}, {
		Name: rolesName, Default: "solo,growth,enterprise,admin",
		Summary: "ladder of roles, lowest first",
		noun:    "role", why: "Access rules compare roles by their place in this list.",
		form:    "List each role once, lowest first; letters, digits and _ . : - make a name of at most 64.",
		binding: bind(func(c *Config) *[]string { return &c.Roles }, parseRoles),
	}, {
		Name: "CLERKSYNC_LOG_LEVEL", Default: "info", Summary: "debug, info, warn or error",
		noun: "log level", why: "The log would say too much or too little.", form: "Write debug, info, warn or error.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.LogLevel }, oneOf("debug", "info", "warn", "error")),
	}, {
		Name: "CLERKSYNC_LOG_FORMAT", Default: "json", Summary: "json or text",
		noun: "log format", why: "Whoever reads the log expects one of the two.", form: "Write json or text.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.LogFormat }, oneOf("json", "text")),
	}, {
		Name: synchronousName, Default: "FULL",
		Summary: "FULL; NORMAL is faster and may lose acknowledged events at a power cut",
		noun:    "synchronous mode", why: "It decides whether an acknowledged event outlives a power cut.",
		form:         "Write FULL or NORMAL.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.SQLiteSynchronous }, oneOf("FULL", "NORMAL")),
	}}
}

func tokenSettings() []Setting {
	return []Setting{{
		Name: algorithmName, Default: "RS256", Summary: "RS256; HS256 for staging",
		noun: "JWT algorithm", why: "No token passes an algorithm that is not configured.", form: "Write RS256 or HS256.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.JWTAlgorithm }, oneOf("RS256", "HS256")),
	}, {
		Name: jwtKeyName, Secret: true, multiline: true,
		Summary: "RS256: the instance's public key in PEM; HS256: the shared secret (default CLERK_SECRET_KEY)",
		noun:    "JWT key", why: "Session tokens cannot be verified with it.",
		form:    "Copy the JWKS public key from the API keys page in the Clerk dashboard.",
		binding: bind(func(c *Config) *string { return &c.JWTKey }, anyText),
	}, {
		Name: "CLERK_JWKS_URL", Summary: "where to fetch the keys, without the secret key",
		noun: "JWKS URL", why: "Whoever answers there decides which tokens are valid.", form: urlForm,
		binding: bind(func(c *Config) *string { return &c.JWKSURL }, parseURL),
	}, {
		Name: issuerName, Summary: "issuer of the tokens; default: derived from CLERK_PUBLISHABLE_KEY, else not checked",
		noun: "issuer", why: "It is compared exactly with that of each token.", form: urlForm,
		binding: bind(func(c *Config) *string { return &c.Issuer }, parseIssuer),
	}, {
		Name: publishableName, Summary: "Clerk's publishable key; names the issuer",
		noun: "publishable key", why: "The issuer of the tokens is derived from it.",
		form:    "Copy it from the API keys page in the Clerk dashboard; it starts with pk_test_ or pk_live_.",
		binding: bind(func(c *Config) *string { return &c.PublishableKey }, parsePublishableKey),
	}, {
		Name: "CLERK_AUTHORIZED_PARTIES", Summary: "origins whose pages may use the tokens (claim azp)",
		noun: "authorized party", why: "Tokens of pages elsewhere are refused by an exact comparison.", form: originForm,
		binding: bind(func(c *Config) *[]string { return &c.AuthorizedParties }, listOf(parseOrigin)),
	}, {
		Name: missingAZPName, Default: "false",
		Summary: "true accepts tokens without azp in the Authorization header, as of native apps; never in cookies",
		noun:    "permission of tokens without azp", why: "Such a token does not say for which page it was made.", form: "Write true or false.",
		binding: bind(func(c *Config) *bool { return &c.AllowMissingAZP }, parseBool),
	}, {
		Name: "CLERK_AUDIENCE", Summary: "accepted audiences (claim aud)",
		noun: "audience", why: "Tokens for other audiences are refused by an exact comparison.",
		form:    "List the audiences, separated by commas.",
		binding: bind(func(c *Config) *[]string { return &c.Audience }, listOf(anyText)),
	}, {
		Name: "CLERKSYNC_CLOCK_LEEWAY", Default: "5s",
		Summary: "how far Clerk's clock may be ahead (claims iat and nbf), up to 60s; tokens live no longer for it",
		noun:    "clock leeway", why: "Fresh tokens are refused while this server's clock is behind by more.",
		form:    "Write seconds such as 10s, from 1s to 60s.",
		binding: bind(func(c *Config) *time.Duration { return &c.ClockLeeway }, durationBetween(time.Second, time.Minute)),
	}, {
		Name: "CLERKSYNC_JIT", Default: "auto", Summary: "auto fetches an unknown user once; off",
		noun: "just-in-time mode", why: "It decides what a token of an unknown user gets.", form: "Write auto or off.",
		binding: bind(func(c *Config) *string { return &c.JIT }, oneOf("auto", "off")),
	}}
}

func gateSettings() []Setting {
	return []Setting{{
		Name: policyName, multiline: true,
		Summary: "route policy of forward auth as YAML text; usually CLERKSYNC_POLICY_FILE",
		noun:    "policy", why: "Without it any signed-in user passes.", form: "Write a YAML mapping; see docs/forward-auth.md.",
		binding: bind(func(c *Config) *string { return &c.Policy }, parsePolicy),
	}, {
		Name: proxiesName, Summary: "CIDRs of the proxies whose X-Forwarded-* headers count",
		noun: "trusted proxy", why: "Whoever is trusted decides which address and path a request seems to have.",
		form:    "List addresses or CIDRs, such as 10.0.0.0/8 or fd00::/8.",
		binding: bind(func(c *Config) *[]netip.Prefix { return &c.TrustedProxies }, parseProxies),
	}, {
		Name:    "CLERKSYNC_PROXY",
		Summary: "kind of proxy that forward auth answers: nginx, caddy, traefik, envoy, ingress-nginx; unset: any but the last",
		noun:    "kind of proxy", why: "A client can send the headers in which another kind tells the original request.",
		form:    "Write nginx, caddy, traefik, envoy or ingress-nginx.",
		binding: bind(func(c *Config) *string { return &c.Proxy }, oneOf(proxyKinds()...)),
	}, {
		Name: identityName, Secret: true, Summary: "signs the header X-Clerk-Identity of forward auth; default: no such header",
		noun: "identity secret", why: "Servers behind the proxy believe whoever knows it.",
		form:    "Write at least 32 printable characters without spaces, such as the output of `openssl rand -hex 32`.",
		binding: bind(func(c *Config) *string { return &c.IdentitySecret }, parseOperatorToken),
	}, {
		Name: "CLERKSYNC_CORS_ORIGINS", Summary: "origins whose pages may call the API",
		noun: "CORS origin", why: "Pages elsewhere are refused by an exact comparison.", form: originForm,
		binding: bind(func(c *Config) *[]string { return &c.CORSOrigins }, listOf(parseOrigin)),
	}, {
		Name: "CLERKSYNC_UPGRADE_URL", Summary: "page that a refusal for want of a plan points to",
		noun: "upgrade URL", why: "People are sent to this address.", form: urlForm,
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.UpgradeURL }, parseURL),
	}, {
		Name: "CLERKSYNC_UNREADY",
		Summary: "while the mirror is unproven: ask the API, else deny (default with a secret key); " +
			"allow (default without); deny",
		noun: "unready mode", why: "It decides what is granted while the mirror is unproven.",
		form:    "Write ask, allow or deny.",
		binding: bind(func(c *Config) *string { return &c.Unready }, oneOf("ask", "allow", "deny")),
	}, {
		Name: "CLERKSYNC_READY_WITHIN", Default: "5m",
		Summary: "how old the last sweep of users may be for stored roles to grant unasked; 0 never",
		noun:    "readiness bound", why: "A change that no event told grants for that long at most.", form: "Write minutes such as 5m, or 0.",
		binding: bind(func(c *Config) *time.Duration { return &c.ReadyWithin }, durationFrom(0)),
	}, {
		Name: "CLERKSYNC_READY_WALK_WITHIN", Default: "26h",
		Summary: "how old the last walk of everything may be for permissions of stored organization roles to grant unasked, if it is not overdue; 0 never",
		noun:    "readiness bound", why: "A change that no event told grants for that long at most.", form: "Write hours such as 26h, or 0.",
		binding: bind(func(c *Config) *time.Duration { return &c.ReadyWalkWithin }, durationFrom(0)),
	}, {
		Name: "CLERKSYNC_PLAN_FEATURES", Summary: "features of each plan, for tokens without them: pro=reports+export,team=reports",
		noun: "plan's features", why: "Stored subscriptions name plans only; a feature that no plan has is refused.",
		form:         "Write plan=feature+feature, by their slugs.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *[]string { return &c.PlanFeatures }, listOf(parsePlanFeatures)),
	}}
}

func upkeepSettings() []Setting { return slices.Concat(readingSettings(), keepingSettings()) }

func readingSettings() []Setting {
	return []Setting{{
		Name: "CLERKSYNC_BACKFILL", Default: "auto", Summary: "auto reads what Clerk has at the first start; off",
		noun: "backfill mode", why: "Without it the mirror knows only what webhooks tell.", form: "Write auto or off.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.Backfill }, oneOf("auto", "off")),
	}, {
		Name: "CLERKSYNC_RECONCILE", Default: "auto", Summary: "auto repairs lost events by reading Clerk again; off",
		noun: "reconcile mode", why: "Without it lost events stay lost.", form: "Write auto or off.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.Reconcile }, oneOf("auto", "off")),
	}, {
		Name: walkMinName, Default: "10m",
		Summary: "shortest pause between two comparisons of everything with Clerk; the pause is 20 times as long as the last one took",
		noun:    "pause between walks", why: "What no event told stays unnoticed for that long.", form: "Write minutes such as 10m, at least 1m.",
		binding: bind(func(c *Config) *time.Duration { return &c.WalkMinPause }, durationFrom(time.Minute)),
	}, {
		Name: walkMaxName, Default: "24h",
		Summary: "longest pause between two comparisons of everything with Clerk",
		noun:    "pause between walks", why: "What no event told stays unnoticed for that long.",
		form:    "Write hours such as 24h, at least " + walkMinName + ".",
		binding: bind(func(c *Config) *time.Duration { return &c.WalkMaxPause }, durationFrom(time.Minute)),
	}, {
		Name: "CLERKSYNC_API_BUDGET", Default: "20%", Summary: "share of Clerk's rate limit that we may use",
		noun: "API budget", why: "Your own application shares Clerk's rate limit with us.",
		form:         "Write a percentage above 0% and up to 100%, such as 20%.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *float64 { return &c.APIBudget }, parsePercent),
	}, {
		Name: "CLERKSYNC_API_LIMIT", Summary: "requests in 10 s that Clerk allows the instance, if it isn't 1000 (live) or 100 (test)",
		noun: "API limit", why: "The budget is a share of it.", form: "Write a whole number from 1 to 1000000.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *int { return &c.APILimit }, parseRequests),
	}}
}

func keepingSettings() []Setting {
	const keeps = "It decides how long data is kept."
	return []Setting{{
		Name: "CLERKSYNC_ERASE_AFTER", Default: "720h", Summary: "from a user's deletion to the erasure of its data; 0 at once",
		noun: "erasure delay", why: keeps, form: "Write hours such as 720h, or 0.",
		binding: bind(func(c *Config) *time.Duration { return &c.EraseAfter }, durationFrom(0)),
	}, {
		Name: "CLERKSYNC_INBOX_RETENTION", Default: "2160h", Summary: "how long the bodies of deliveries are kept",
		noun: "inbox retention", why: keeps, form: "Write hours such as 2160h, at least 1h.",
		binding: bind(func(c *Config) *time.Duration { return &c.InboxRetention }, durationFrom(time.Hour)),
	}, {
		Name: "CLERKSYNC_CHANGES_RETENTION", Default: "720h", Summary: "how long the change feed goes back",
		noun: "change feed retention", why: keeps, form: "Write hours such as 720h, at least 1h.",
		binding: bind(func(c *Config) *time.Duration { return &c.ChangesRetention }, durationFrom(time.Hour)),
	}, {
		Name: "CLERKSYNC_AUDIT_RETENTION", Default: "2160h", Summary: "how long the audit goes back",
		noun: "audit retention", why: keeps, form: "Write hours such as 2160h, at least 1h.",
		binding: bind(func(c *Config) *time.Duration { return &c.AuditRetention }, durationFrom(time.Hour)),
	}, {
		Name: "CLERKSYNC_REDACT", Summary: "field paths that are never stored, such as public_metadata.ssn",
		noun: "redacted field path", why: "What it should hide would be stored.",
		form:    "Write field names joined by full stops, such as public_metadata.ssn.",
		binding: bind(func(c *Config) *[]string { return &c.Redact }, listOf(parseFieldPath)),
	}, {
		Name: "CLERKSYNC_PUBLIC_URL", Summary: "where the world reaches this server; used by doctor",
		noun: "public URL", why: "The doctor calls this address.", form: urlForm,
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.PublicURL }, parseBaseURL),
	}, {
		Name: adminRoleName, Summary: "role that may administer; default: the highest of CLERKSYNC_ROLES",
		noun: "admin role", why: "Whoever has it may administer.", form: "Write one of the names in CLERKSYNC_ROLES.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.AdminRole }, parseRole),
	}, {
		Name: operatorTokenName, Secret: true, Summary: "token of the first operator",
		noun: "operator token", why: "Whoever guesses it operates this server.",
		form:    "Write at least 32 printable characters without spaces, such as the output of `openssl rand -hex 32`.",
		binding: bind(func(c *Config) *string { return &c.OperatorToken }, parseOperatorToken),
	}}
}
