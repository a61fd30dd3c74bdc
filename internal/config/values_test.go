package config

import (
	"slices"
	"strings"
	"testing"
)

// goodValue is a value that Load must accept and show as want.
type goodValue struct{ name, value, want string }

func goodValues(t *testing.T) []goodValue {
	t.Helper()
	return []goodValue{
		{"DATABASE_URL", "sqlite:///var/lib/app.db", "sqlite:///var/lib/app.db"},
		{"DATABASE_URL", "sqlite:////var/../lib//app.db", "sqlite:///lib/app.db"},
		{"DATABASE_URL", "sqlite:/app%20one.db", "sqlite:///app one.db"},
		{"DATABASE_URL", "SQLite::memory:", "sqlite::memory:"},
		{"DATABASE_URL", "postgres://u:p%40ss@db.example.com:5432/app?sslmode=disable&password=x", "postgres://db.example.com:5432/app"},
		{"DATABASE_URL", "postgresql://u@a:1,[::1]:2,c/app", "postgresql://a:1,[::1]:2,c/app"},
		{"DATABASE_URL", "postgres:///app?host=/run/postgresql", "postgres:///app"},
		{"CLERK_SECRET_KEY", "sk_test_abc", "set"},
		{"CLERK_WEBHOOK_SIGNING_SECRET", svixSecret + ", " + otherSecret, "set"},
		{"CLERK_WEBHOOK_SECRET", svixSecret, "set"},
		{"CLERKSYNC_WEBHOOK_SCHEME", "HMAC-body", "hmac-body"},
		{"CLERK_API_URL", "https://proxy.example.com/clerk/v1/", "https://proxy.example.com/clerk"},
		{"CLERK_API_URL", "http://127.0.0.1:9000/v1", "http://127.0.0.1:9000"},
		{"CLERK_API_URL", "http://[::1]:9000", "http://[::1]:9000"},
		{"CLERK_API_URL", "https://v1", "https://v1"},
		{"CLERK_INSTANCE_ID", "ins_2abcDEF", "ins_2abcDEF"},
		{"CLERKSYNC_LISTEN", "localhost:80", "localhost:80"},
		{"CLERKSYNC_LISTEN", "[::]:0", "[::]:0"},
		{"PORT", "3000", ":3000"},
		{"CLERKSYNC_OPERATOR_LISTEN", "OFF", "off"},
		{"CLERKSYNC_OPERATOR_LISTEN", "Public", "public"},
		{"CLERKSYNC_OPERATOR_LISTEN", "[::1]:9", "[::1]:9"},
		{"CLERKSYNC_OPERATOR_METRICS", "Open", "open"},
		{"CLERKSYNC_ROLES", "member , org:admin", "member,org:admin"},
		{"CLERKSYNC_LOG_LEVEL", "WARN", "warn"},
		{"CLERKSYNC_LOG_FORMAT", "text", "text"},
		{"CLERKSYNC_READ_DATABASE_URL", "postgres://u:p@replica/app?sslmode=disable", "postgres://replica/app"},
		{"CLERKSYNC_DATABASE_WAIT", "0s", "0s"},
		{"CLERKSYNC_DATABASE_WAIT", "60m", "1h"},
		{"CLERKSYNC_SQLITE_SYNCHRONOUS", "normal", "NORMAL"},
		{"CLERKSYNC_SQLITE_CHECKPOINTS", "External", "external"},
		{"CLERKSYNC_SQLITE_MODE", "640", "0640"},
		{"CLERKSYNC_SQLITE_MODE", "0660", "0660"},
		{"CLERKSYNC_SQLITE_MODE", "0600", "0600"},
		{"CLERKSYNC_SQLITE_GROUP", "app-readers", "app-readers"},
		{"CLERKSYNC_SQLITE_GROUP", "1001", "1001"},
		{"CLERKSYNC_UPGRADE_COPIES", "0", "0"},
		{"CLERKSYNC_UPGRADE_COPIES", "20", "20"},
		{"CLERK_JWT_ALGORITHM", "rs256", "RS256"},
		{"CLERK_JWT_KEY", publicPEM(t), "set"},
		{"CLERK_JWKS_URL", "https://clerk.example.com/.well-known/jwks.json", "https://clerk.example.com/.well-known/jwks.json"},
		{"CLERK_ISSUER", "https://clerk.example.com/", "https://clerk.example.com"},
		{"CLERK_ISSUER", "http://localhost:4000", "http://localhost:4000"},
		{"CLERK_ISSUER", "HTTPS://Clerk.example.com:443/", "https://clerk.example.com"},
		{"CLERK_ISSUER", "https://app.example.com/__clerk", "https://app.example.com/__clerk"},
		{"CLERKSYNC_CLOCK_LEEWAY", "60s", "1m"},
		{"CLERKSYNC_DANGEROUSLY_ALLOW_MISSING_AZP", "True", "true"},
		{"CLERK_PUBLISHABLE_KEY", publishable, publishable},
		{"CLERK_AUTHORIZED_PARTIES", "https://a.example.com,http://localhost:3000", "https://a.example.com,http://localhost:3000"},
		{"CLERK_AUTHORIZED_PARTIES", "chrome-extension://abcdefghij,https://[::1]:8443", "chrome-extension://abcdefghij,https://[::1]:8443"},
		{"CLERK_AUDIENCE", "api,urn:b", "api,urn:b"},
		{"CLERKSYNC_JIT", "off", "off"},
		{"CLERKSYNC_ADMIN_ROLE", "growth", "growth"},
		{"CLERKSYNC_ADMIN_ROLE", "OFF", "off"},
		{"CLERKSYNC_POLICY", "routes:\n  - path: /x\n", "set"},
		{"CLERKSYNC_TRUSTED_PROXIES", "10.1.2.3/8, 192.0.2.1,2001:db8::1", "10.0.0.0/8,192.0.2.1/32,2001:db8::1/128"},
		{"CLERKSYNC_TRUSTED_PROXIES", "10.0.0.0/8,10.1.0.0/16,10.0.0.0/8,64.0.0.0/2,fc00::/7,2400::/6", "10.0.0.0/8,10.1.0.0/16,10.0.0.0/8,64.0.0.0/2,fc00::/7,2400::/6"},
		{"CLERKSYNC_PROXY", "Ingress-NGINX", "ingress-nginx"},
		{"CLERKSYNC_IDENTITY_SECRET", longText, "set"},
		{"CLERKSYNC_OPERATOR_CONSOLE", "OFF", "off"},
		{"CLERKSYNC_CONSOLE_NAME", "Acme & Söhne", "Acme & Söhne"},
		{"CLERKSYNC_CONSOLE_HOSTS", "Ops.example.com, [::1]", "ops.example.com,::1"},
		{"CLERKSYNC_CONSOLE_PAYLOADS", "show", "show"},
		{"CLERKSYNC_WEBHOOKS_ALLOW", "Hooks.internal, 127.0.0.1,[::1]", "hooks.internal,127.0.0.1,::1"},
		{"CLERKSYNC_CORS_ORIGINS", "https://app.example.com", "https://app.example.com"},
		{"CLERKSYNC_UPGRADE_URL", "https://example.com/pricing", "https://example.com/pricing"},
		{"CLERKSYNC_UNREADY", "deny", "deny"},
		{"CLERKSYNC_READY_WITHIN", "0", "0s"},
		{"CLERKSYNC_READY_WALK_WITHIN", "3h", "3h"},
		{"CLERKSYNC_OAUTH_RESOURCES", "https://api.example.com/mcp", "https://api.example.com/mcp"},
		{"CLERKSYNC_MACHINE_CALLERS", "mch_1=deals:read+deals:write, mch_2", "mch_1=deals:read+deals:write,mch_2"},
		{"CLERKSYNC_MACHINE_ID", "mch_2abc", "mch_2abc"},
		{"CLERK_MACHINE_SECRET_KEY", "ak_" + longText, "set"},
		{"CLERKSYNC_MACHINE_TTL", "10m", "10m"},
		{"CLERKSYNC_MACHINE_MAX_STALE", "0", "0s"},
		{"CLERKSYNC_MACHINE_CALLS", "60", "60"},
		{"CLERKSYNC_MACHINE_PRICE", "0.0001", "0.0001"},
		{"CLERKSYNC_PLAN_FEATURES", "pro=reports+export, team=reports", "pro=reports+export,team=reports"},
		{"CLERKSYNC_BACKFILL", "off", "off"},
		{"CLERKSYNC_RECONCILE", "off", "off"},
		{"CLERKSYNC_WRITES", "off", "off"},
		{"CLERKSYNC_WALK_MIN_PAUSE", "1m", "1m"},
		{"CLERKSYNC_WALK_MAX_PAUSE", "1h", "1h"},
		{"CLERKSYNC_API_BUDGET", "7.5%", "7.5%"},
		{"CLERKSYNC_API_BUDGET", "100%", "100%"},
		{"CLERKSYNC_API_LIMIT", "3000", "3000"},
		{"CLERKSYNC_NATS_URL", "nats://u:secret@10.0.0.1:4222, tls://nats.example.com", "set"},
		{"CLERKSYNC_NATS_CREDENTIALS", natsCredentials, "set"},
		{"CLERKSYNC_NATS_CA", certificatePEM(t).cert, "set"},
		{"CLERKSYNC_NATS_STREAM", "CLERK_2", "CLERK_2"},
		{"CLERKSYNC_NATS_PREFIX", "acme.clerk", "acme.clerk"},
		{"CLERKSYNC_ERASE_AFTER", "0", "0s"},
		{"CLERKSYNC_INBOX_RETENTION", "1h30m", "1h30m"},
		{"CLERKSYNC_CHANGES_RETENTION", "48h", "48h"},
		{"CLERKSYNC_AUDIT_RETENTION", "48h", "48h"},
		{"CLERKSYNC_REDACT", "public_metadata.ssn,phone_numbers.*.id", "public_metadata.ssn,phone_numbers.*.id"},
		{"CLERKSYNC_PUBLIC_URL", "https://sync.example.com/", "https://sync.example.com"},
		{"CLERKSYNC_OPERATOR_TOKEN", longText, "set"},
	}
}

// badValue is a value that Load must refuse with the faults whose first lines are want, separated
// by |.
type badValue struct {
	name, value, want string
	with              []string // other entries of the environment
}

func badValues() []badValue {
	return slices.Concat(badDatabases(), badCore(), badRolesAndTokens(), badGateAndUpkeep())
}

func badDatabases() []badValue {
	const (
		database  = "DATABASE_URL"
		form      = "database URL is neither an sqlite: nor a postgres: URL"
		escaped   = "database URL has a character that must be escaped"
		host      = "database URL has a malformed host or port"
		slashes   = "database URL has two slashes before a relative path"
		noFile    = "database URL names no file"
		parameter = "database URL has parameters, which sqlite: URLs do not take"
	)
	return []badValue{
		{database, "app.db", form, nil},
		{database, "mysql://u:p@h/d", form, nil},
		{database, "host=/tmp user=x", form, nil},
		{database, "sqlite://app.db", slashes, nil},
		{database, "sqlite://", slashes, nil},
		{database, "sqlite:", noFile, nil},
		{database, "sqlite:///", noFile, nil},
		{database, "sqlite:data/", noFile, nil},
		{database, "sqlite:data/..", noFile, nil},
		{database, "sqlite:a%0Ab", noFile, nil},
		{database, "sqlite:a%zz", "database URL has a malformed % escape", nil},
		{database, "sqlite:app.db?mode=ro", parameter, nil},
		{database, "sqlite::memory:?cache=shared", parameter, nil},
		{database, "sqlite:///:memory:", "database URL has a path called :memory:", nil},
		{database, "postgres:db", "database URL lacks the two slashes after the scheme", nil},
		{database, "postgres://u:pa/ss@h/d", host, nil},
		{database, "postgres://u:1/ss@h/d", escaped, nil},
		{database, "postgres://u:1?ss@h/d", escaped, nil},
		{database, "postgres://u:1#ss@h/d", escaped, nil},
		{database, "postgres://u:p@ss@h/d", escaped, nil},
		{database, "postgres://u:p%s@h/d", escaped, nil},
		{database, "postgres://h:99999/d", host, nil},
		{database, "postgres://::1/d", host, nil},
	}
}

func badCore() []badValue {
	const (
		apiURL   = "CLERK_API_URL"
		listen   = "CLERKSYNC_LISTEN"
		noListen = "listen address does not have the form host:port or :port"
		badPort  = "listen address has a port that is not a number up to 65535"
	)
	return []badValue{
		{"CLERK_SECRET_KEY", "sk_test_a b", "secret key contains white space or a character that is not printable ASCII", nil},
		{"CLERK_SECRET_KEY", publishable, "secret key is the publishable key", nil},
		{"CLERK_SECRET_KEY", svixSecret, "secret key is a webhook secret", nil},
		{webhookName, "whsec_%%%", "webhook secret is not valid base64 (standard alphabet, with padding)", nil},
		{webhookName, "whsec_", "webhook secret has nothing after whsec_", nil},
		{webhookName, "whsec_c2hvcnQ=", "webhook secret is a key shorter than 16 bytes", nil},
		{webhookName, svixSecret + ",", "webhook secret 2 is empty", nil},
		{webhookName, "whsec_", "webhook secret is a key shorter than 16 bytes", []string{"CLERKSYNC_WEBHOOK_SCHEME=hmac-body"}},
		{"CLERK_WEBHOOK_SECRET", "whsec_", "webhook secret has nothing after whsec_", nil},
		{"CLERKSYNC_WEBHOOK_SCHEME", "none", "webhook scheme is not one of svix, hmac-body", nil},
		{apiURL, "http://api.clerk.com", "Clerk API URL is plain http to another machine", nil},
		{apiURL, "http://127.0.0.1.evil.example", "Clerk API URL is plain http to another machine", nil},
		{apiURL, "ftp://api.clerk.com", "Clerk API URL is neither https nor http", nil},
		{apiURL, "api.clerk.com", "Clerk API URL is not an absolute URL", nil},
		{apiURL, "https:///v1", "Clerk API URL is not an absolute URL", nil},
		{apiURL, "https://u:p@api.clerk.com", "Clerk API URL contains a user name or password", nil},
		{apiURL, "https://api.clerk.com?a=b", "Clerk API URL has a query or a fragment", nil},
		{apiURL, "https://api.clerk.com/#", "Clerk API URL has a query or a fragment", nil},
		{"CLERK_INSTANCE_ID", "user_2abc", "instance id does not have the form ins_…", nil},
		{"CLERK_INSTANCE_ID", "ins_", "instance id does not have the form ins_…", nil},
		{listen, "8080", noListen, nil},
		{listen, "off", noListen, nil},
		{listen, "::1:80", noListen, nil},
		{listen, "a b:80", noListen, nil},
		{listen, ":65536", badPort, nil},
		{listen, ":http", badPort, nil},
		{listen, ":", badPort, nil},
		{"PORT", ":8080", noListen, nil},
		{"PORT", "-1", badPort, nil},
		{"PORT", "080", badPort, nil},
		{"CLERKSYNC_OPERATOR_LISTEN", "on", "operator listen address does not have the form host:port or :port", nil},
		{"CLERKSYNC_OPERATOR_LISTEN", "127.0.0.1:8080", "operator listen address has the port of the public listener", nil},
		{
			"CLERKSYNC_OPERATOR_LISTEN", ":9", "operator listen address is reachable from other machines, and no operator token is set", nil,
		},
		{"CLERKSYNC_OPERATOR_METRICS", "yes", "operator metrics mode is not one of token, open", nil},
		{
			"CLERKSYNC_OPERATOR_LISTEN", "127.0.0.1:80", "operator listen address has the port of the public listener",
			[]string{"CLERKSYNC_LISTEN=127.0.0.1:80"},
		},
	}
}

func badRolesAndTokens() []badValue {
	const (
		roles   = "CLERKSYNC_ROLES"
		parties = "CLERK_AUTHORIZED_PARTIES"
		more    = "authorized party is not in lower case, or has more than scheme, host and port"
		key     = "publishable key does not contain the host of a Frontend API"
		control = " contains a control character or is not UTF-8"
	)
	return []badValue{
		{roles, "a,b,a", "role 3 is listed twice", nil},
		{roles, "a,,b", "role 2 is empty", nil},
		{roles, ",", "role 1 is empty|role 2 is empty", nil},
		{roles, "a b", "role does not have the form letters, digits and _ . : -, at most 64", nil},
		{roles, strings.Repeat("a,", 256) + "b", "role list has more than 256 items", nil},
		{"CLERKSYNC_ADMIN_ROLE", "solo", "admin role is the lowest role, which every user has", nil},
		{"CLERKSYNC_ADMIN_ROLE", "root", "admin role is not a role of CLERKSYNC_ROLES", nil},
		{"CLERKSYNC_ADMIN_ROLE", "admin", "admin role is not a role of CLERKSYNC_ROLES", []string{roles + "=user,owner"}},
		{"CLERKSYNC_ADMIN_ROLE", "user", "admin role is the lowest role, which every user has", []string{roles + "=user"}},
		{"CLERKSYNC_ADMIN_ROLE", "Admin", "admin role is not a role of CLERKSYNC_ROLES", nil},
		{"CLERKSYNC_LOG_LEVEL", "trace", "log level is not one of debug, info, warn, error", nil},
		{"CLERKSYNC_LOG_FORMAT", "xml", "log format is not one of json, text", nil},
		{"CLERKSYNC_READ_DATABASE_URL", "sqlite:app.db", "URL of the read replica is not a postgres: URL", nil},
		{"CLERKSYNC_DATABASE_WAIT", "61m", "wait for the database is not between 0s and 1h", nil},
		{"CLERKSYNC_DATABASE_WAIT", "60", "wait for the database is not a duration with a unit", nil},
		{"CLERKSYNC_SQLITE_CHECKPOINTS", "litestream", "way of checkpoints is not one of own, external", nil},
		{"CLERKSYNC_SQLITE_MODE", "0644", "file mode lets every user of the machine use personal data", nil},
		{"CLERKSYNC_SQLITE_MODE", "0666", "file mode lets every user of the machine use personal data", nil},
		{"CLERKSYNC_SQLITE_MODE", "0400", "file mode is none of 0600, 0640 and 0660", nil},
		{"CLERKSYNC_SQLITE_MODE", "rw", "file mode is none of 0600, 0640 and 0660", nil},
		{"CLERKSYNC_SQLITE_GROUP", "a b", "file group does not have the form NAME or NUMBER", nil},
		{"CLERKSYNC_UPGRADE_COPIES", "21", "number of copies is not a whole number from 0 to 20", nil},
		{"CLERKSYNC_UPGRADE_COPIES", "-1", "number of copies is not a whole number from 0 to 20", nil},
		{"CLERKSYNC_SQLITE_SYNCHRONOUS", "OFF", "synchronous mode is not one of FULL, NORMAL", nil},
		{"CLERK_JWT_ALGORITHM", "none", "JWT algorithm is not one of RS256, HS256", nil},
		{"CLERK_JWT_ALGORITHM", "ES256", "JWT algorithm is not one of RS256, HS256", nil},
		{"CLERK_JWT_KEY", "a\x1bb", "JWT key" + control, nil},
		{"CLERK_JWKS_URL", "http://clerk.example.com/jwks", "JWKS URL is plain http to another machine", nil},
		{"CLERK_ISSUER", "clerk.example.com", "issuer is not an absolute URL", nil},
		{"CLERK_ISSUER", "http://clerk.example.com", "issuer is plain http to another machine", nil},
		{"CLERK_ISSUER", "https://clerk.example.com/.well-known/jwks.json", "issuer is the URL of the key set", nil},
		{"CLERK_ISSUER", "https://u:p@clerk.example.com", "issuer contains a user name or password", nil},
		{"CLERKSYNC_CLOCK_LEEWAY", "61s", "clock leeway is not between 1s and 1m", nil},
		{"CLERKSYNC_CLOCK_LEEWAY", "0", "clock leeway is not between 1s and 1m", nil},
		{"CLERKSYNC_CLOCK_LEEWAY", "-5s", "clock leeway is not between 1s and 1m", nil},
		{"CLERKSYNC_CLOCK_LEEWAY", "5", "clock leeway is not a duration with a unit", nil},
		{"CLERKSYNC_DANGEROUSLY_ALLOW_MISSING_AZP", "yes", "acceptance of tokens without azp is not one of false, true", nil},
		{"CLERK_PUBLISHABLE_KEY", "sk_live_abc", "publishable key is a secret key", nil},
		{"CLERK_PUBLISHABLE_KEY", "pk_prod_Y2xlcmsuZXhhbXBsZS5jb20k", key, nil},
		{"CLERK_PUBLISHABLE_KEY", "pk_live_Y2xlcmsuZXhhbXBsZS5jb20", key, nil},              // no $
		{"CLERK_PUBLISHABLE_KEY", "pk_live_Y2xlcmskJA==", key, nil},                         // clerk$$
		{"CLERK_PUBLISHABLE_KEY", "pk_live_bG9jYWxob3N0JA", key, nil},                       // localhost$
		{"CLERK_PUBLISHABLE_KEY", "pk_live_ZXZpbC5leGFtcGxlL2NsZXJrLmV4YW1wbGUk", key, nil}, // evil.example/clerk.example$
		{parties, "*", "authorized party is not an origin", nil},
		{parties, "null", "authorized party is not an origin", nil},
		{parties, "https://*.example.com", "authorized party is not an origin", nil},
		{parties, "https://a.example.com/", more, nil},
		{parties, "https://A.example.com", more, nil},
		{parties, "https://u@a.example.com", more, nil},
		{parties, "https://a.example.com?", more, nil},
		{parties, "https://a.example.com:443", "authorized party has the default port, which browsers leave out", nil},
		{parties, "https://a.example.com:", "authorized party is not an origin", nil},
		{"CLERK_AUDIENCE", "a,,b", "audience 2 is empty", nil},
	}
}

func badGateAndUpkeep() []badValue {
	const (
		limit   = "API limit is not a whole number from 1 to 1000000"
		budget  = "API budget is not a percentage above 0% and up to 100%"
		most    = "trusted proxy list covers half of the internet or more"
		proxy   = "trusted proxy is neither an address nor a CIDR"
		control = " contains a control character or is not UTF-8"
	)
	return []badValue{
		{"CLERKSYNC_JIT", "on", "just-in-time mode is not one of auto, off", nil},
		{"CLERKSYNC_POLICY", "- a", "policy is not a YAML mapping", nil},
		{"CLERKSYNC_POLICY", "a: *b", "policy is not valid YAML", nil},
		{"CLERKSYNC_POLICY", "a: 1\n---\nb: 1", "policy has a second document on line 2", nil},
		{"CLERKSYNC_POLICY", "# nothing", "policy is empty", nil},
		{"CLERKSYNC_TRUSTED_PROXIES", "10.0.0.0/33", proxy, nil},
		{"CLERKSYNC_TRUSTED_PROXIES", "fe80::1%eth0", proxy, nil},
		{"CLERKSYNC_TRUSTED_PROXIES", "proxy.example.com", proxy, nil},
		{"CLERKSYNC_TRUSTED_PROXIES", "::ffff:10.0.0.1", "trusted proxy is an IPv4 address written as IPv6", nil},
		{"CLERKSYNC_TRUSTED_PROXIES", "0.0.0.0/0", most, nil},
		{"CLERKSYNC_TRUSTED_PROXIES", "10.0.0.0/8,::/0", most, nil},
		{"CLERKSYNC_TRUSTED_PROXIES", "0.0.0.0/1,128.0.0.0/1", most, nil},
		{"CLERKSYNC_TRUSTED_PROXIES", "0.0.0.0/2,64.0.0.0/2,128.0.0.0/2,192.0.0.0/3", most, nil}, // all but multicast
		{"CLERKSYNC_TRUSTED_PROXIES", "128.0.0.0/1", most, nil},
		{"CLERKSYNC_TRUSTED_PROXIES", "::/1,8000::/1", most, nil},
		{"CLERKSYNC_TRUSTED_PROXIES", "2000::/4,3000::/4", most, nil}, // all that is routed
		{"CLERKSYNC_PROXY", "apache", "kind of proxy is not one of nginx, caddy, traefik, envoy, ingress-nginx", nil},
		{"CLERKSYNC_CONSOLE_NAME", strings.Repeat("x", 61), "name of the mirror is longer than 60 characters", nil},
		{"CLERKSYNC_CONSOLE_HOSTS", "https://ops.example.com", "host of the console is not a host name or an address", nil},
		{"CLERKSYNC_OPERATOR_CONSOLE", "yes", "console switch is not one of on, off", nil},
		{"CLERKSYNC_CONSOLE_PAYLOADS", "yes", "payload mode is not one of ask, show", nil},
		{"CLERKSYNC_WEBHOOKS_ALLOW", "hooks.internal,http://hooks", "webhook host 2 is not a host name or an address", nil},
		{"CLERKSYNC_WEBHOOKS_ALLOW", "hooks:80", "webhook host is not a host name or an address", nil},
		{"CLERKSYNC_CORS_ORIGINS", "https://a.example,*", "CORS origin 2 is not an origin", nil},
		{"CLERKSYNC_UPGRADE_URL", "javascript:alert(1)", "upgrade URL is not an absolute URL", nil},
		{"CLERKSYNC_UNREADY", "never", "unready mode is not one of ask, allow, deny", nil},
		{"CLERKSYNC_BACKFILL", "yes", "backfill mode is not one of auto, off", nil},
		{"CLERKSYNC_RECONCILE", "1", "reconcile mode is not one of auto, off", nil},
		{"CLERKSYNC_WRITES", "no", "mode of changes is not one of on, off", nil},
		{"CLERKSYNC_WALK_MIN_PAUSE", "59s", "shortest pause between walks is too short", nil},
		{"CLERKSYNC_WALK_MAX_PAUSE", "9m", "longest pause between walks is shorter than CLERKSYNC_WALK_MIN_PAUSE", nil},
		{"CLERKSYNC_API_BUDGET", "0.2", budget, nil},
		{"CLERKSYNC_API_BUDGET", "0%", budget, nil},
		{"CLERKSYNC_API_BUDGET", "101%", budget, nil},
		{"CLERKSYNC_API_BUDGET", "NaN%", budget, nil},
		{"CLERKSYNC_API_LIMIT", "0", limit, nil},
		{"CLERKSYNC_API_LIMIT", "1e3", limit, nil},
		{"CLERKSYNC_API_LIMIT", "1000001", limit, nil},
		{"CLERKSYNC_NATS_URL", "http://u:secret@10.0.0.1:4222", "NATS URL is neither nats, tls, ws nor wss", nil},
		{"CLERKSYNC_NATS_URL", "nats://a:1,10.0.0.1:4222", "NATS URL is not an absolute URL", nil},
		{"CLERKSYNC_NATS_CREDENTIALS", "/run/secrets/nats.creds", "NATS credentials are not the content of a .creds file", nil},
		{"CLERKSYNC_NATS_CA", "ca.pem", "NATS certificate authority is not the PEM text of a certificate", nil},
		{"CLERKSYNC_NATS_STREAM", "a.b", "NATS stream contains a space or one of . * > / \\", nil},
		{"CLERKSYNC_NATS_PREFIX", "clerk.*", "NATS prefix is not a subject", nil},
		{"CLERKSYNC_NATS_PREFIX", "$JS", "NATS prefix is not a subject", nil},
		{"CLERKSYNC_ERASE_AFTER", "30d", "erasure delay is not a duration with a unit", nil},
		{"CLERKSYNC_ERASE_AFTER", "-1h", "erasure delay is too short", nil},
		{"CLERKSYNC_INBOX_RETENTION", "0", "inbox retention is too short", nil},
		{"CLERKSYNC_CHANGES_RETENTION", "59m", "change feed retention is too short", nil},
		{"CLERKSYNC_AUDIT_RETENTION", "59m", "audit retention is too short", nil},
		{"CLERKSYNC_OAUTH_RESOURCES", "api", "OAuth resource is not an absolute URL", nil},
		{"CLERKSYNC_MACHINE_CALLERS", "user_1", "machine caller does not start with the id of a machine (mch_…)", nil},
		{"CLERKSYNC_MACHINE_CALLERS", "mch_1=a++b", "machine caller has a scope that is empty or has a character that no scope has", nil},
		{"CLERKSYNC_MACHINE_CALLERS", "mch_1=", "machine caller has a scope that is empty or has a character that no scope has", nil},
		{"CLERKSYNC_MACHINE_ID", "ak_1", "machine id is not the id of a machine (mch_…)", nil},
		{"CLERKSYNC_MACHINE_ID", "mch_", "machine id is not the id of a machine (mch_…)", nil},
		{"CLERK_MACHINE_SECRET_KEY", "sk_test_abc", "machine secret key is not the secret key of a machine (ak_…)", nil},
		{"CLERK_MACHINE_SECRET_KEY", "ak_x", "machine secret key is not the secret key of a machine (ak_…)", nil},
		{"CLERKSYNC_MACHINE_TTL", "0", "lifetime of verified tokens is not between 1s and 720h", nil},
		{"CLERKSYNC_MACHINE_MAX_STALE", "-1s", "stale time of verified tokens is too short", nil},
		{"CLERKSYNC_MACHINE_CALLS", "0", "number of verifications is not a whole number from 1 to 1000000", nil},
		{"CLERKSYNC_MACHINE_PRICE", "NaN", "price of a verification is not an amount from 0 to 1", nil},
		{"CLERKSYNC_PLAN_FEATURES", "pro", "plan's features do not start with the slug of a plan and =", nil},
		{"CLERKSYNC_PLAN_FEATURES", "pro=a b", "plan's features contain a feature that is not a slug", nil},
		{"CLERKSYNC_REDACT", "a..b", "redacted field path does not have the form field.field", nil},
		{"CLERKSYNC_PUBLIC_URL", "http://sync.example.com", "public URL is plain http to another machine", nil},
		{"CLERKSYNC_OPERATOR_TOKEN", longText[1:], "operator token is shorter than 32 characters", nil},
		{"CLERKSYNC_OPERATOR_TOKEN", longText + " x", "operator token contains white space or a character that is not printable ASCII", nil},
		{"CLERK_AUDIENCE", "a\nb", "audience" + control, nil},
		{"CLERK_AUDIENCE", "a\xff", "audience" + control, nil},
	}
}
