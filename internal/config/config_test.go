package config

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/clerksync/clerksync/internal/testenv"
)

const (
	svixSecret  = "whsec_plJ3nmyCDGBKInavdOK15jsl" // published by Svix as an example
	otherSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	publishable = "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k" // clerk.example.com
	longText    = "0123456789abcdef0123456789abcdef" // 32 bytes
)

// load loads from environment entries alone.
func load(t *testing.T, environ ...string) (*Config, []Warning, error) {
	t.Helper()
	return Load(Options{Environ: environ, WorkingDir: t.TempDir()})
}

func mustLoad(t *testing.T, o Options) *Config {
	t.Helper()
	c, _, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// whats are the first lines of the faults, without "error: ".
func whats(err error) []string {
	var faults Faults
	errors.As(err, &faults)
	var texts []string
	for _, f := range faults {
		texts = append(texts, fmt.Sprintf("%s (%s)", f.What, f.Name))
	}
	return texts
}

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func publicPEM(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	got, warnings, err := Load(Options{WorkingDir: dir})
	if err != nil || warnings != nil {
		t.Fatal(err, warnings)
	}
	for name, source := range got.Sources {
		if source != (Origin{Source: fromDefault}) {
			t.Errorf("source of %s = %q", name, source)
		}
	}
	if len(got.Sources) != len(Settings()) {
		t.Errorf("%d sources for %d variables", len(got.Sources), len(Settings()))
	}
	got.Sources, got.Files = nil, nil
	want := &Config{
		Database: Database{Engine: "sqlite", Path: filepath.Join(dir, "clerksync.db")}, DatabaseWait: time.Minute,
		WebhookScheme: "svix", APIURL: "https://api.clerk.com", Listen: ":8080", OperatorListen: "127.0.0.1:8081", OperatorMetrics: "token",
		Roles: []string{"solo", "growth", "enterprise", "admin"}, AdminRole: "admin",
		LogLevel: "info", LogFormat: "json", SQLiteSynchronous: "FULL", SQLiteCheckpoints: "own", UpgradeCopies: 2,
		MachineTTL: time.Minute, MachineMaxStale: 5 * time.Minute, MachineCalls: 600, MachinePrice: "0.00001",
		JWTAlgorithm: "RS256", ClockLeeway: 5 * time.Second, JIT: "auto", Unready: "allow",
		ReadyWithin: 5 * time.Minute, ReadyWalkWithin: 26 * time.Hour, WalkMinPause: 10 * time.Minute, WalkMaxPause: 24 * time.Hour,
		Backfill: "auto", Reconcile: "auto", Writes: "on", APIBudget: 0.2, Console: "on", ConsolePayloads: "ask", NATS: NATS{Stream: "CLERK", Prefix: "clerk"},
		EraseAfter: 30 * 24 * time.Hour, InboxRetention: 90 * 24 * time.Hour, ChangesRetention: 30 * 24 * time.Hour, AuditRetention: 90 * 24 * time.Hour,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Config{}), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// The names of the settings are a promise.
func TestSettings(t *testing.T) {
	t.Parallel()
	const lists = `CLERK_WEBHOOK_SIGNING_SECRET CLERKSYNC_ROLES CLERK_AUTHORIZED_PARTIES CLERK_AUDIENCE
		CLERKSYNC_TRUSTED_PROXIES CLERKSYNC_CORS_ORIGINS CLERKSYNC_PLAN_FEATURES CLERKSYNC_WEBHOOKS_ALLOW CLERKSYNC_REDACT CLERKSYNC_CONSOLE_HOSTS
		CLERKSYNC_OAUTH_RESOURCES CLERKSYNC_MACHINE_CALLERS`
	const names = `DATABASE_URL CLERKSYNC_READ_DATABASE_URL CLERKSYNC_DATABASE_WAIT CLERKSYNC_SQLITE_SYNCHRONOUS
		CLERKSYNC_SQLITE_CHECKPOINTS CLERKSYNC_SQLITE_MODE CLERKSYNC_SQLITE_GROUP CLERKSYNC_UPGRADE_COPIES
		CLERK_SECRET_KEY CLERK_WEBHOOK_SIGNING_SECRET CLERK_PUBLISHABLE_KEY CLERK_INSTANCE_ID CLERK_API_URL CLERKSYNC_WEBHOOK_SCHEME
		CLERKSYNC_CONFIG CLERKSYNC_LISTEN CLERKSYNC_OPERATOR_LISTEN CLERKSYNC_OPERATOR_TOKEN CLERKSYNC_OPERATOR_METRICS CLERKSYNC_PUBLIC_URL
		CLERKSYNC_CORS_ORIGINS CLERKSYNC_LOG_LEVEL CLERKSYNC_LOG_FORMAT
		CLERKSYNC_OPERATOR_CONSOLE CLERKSYNC_CONSOLE_NAME CLERKSYNC_CONSOLE_HOSTS CLERKSYNC_CONSOLE_PAYLOADS
		CLERK_ISSUER CLERK_AUTHORIZED_PARTIES CLERKSYNC_DANGEROUSLY_ALLOW_MISSING_AZP CLERK_AUDIENCE CLERKSYNC_CLOCK_LEEWAY
		CLERK_JWT_KEY CLERK_JWKS_URL CLERK_JWT_ALGORITHM
		CLERKSYNC_OAUTH_RESOURCES CLERKSYNC_MACHINE_CALLERS CLERKSYNC_MACHINE_ID
		CLERK_MACHINE_SECRET_KEY CLERKSYNC_MACHINE_TTL CLERKSYNC_MACHINE_MAX_STALE CLERKSYNC_MACHINE_CALLS CLERKSYNC_MACHINE_PRICE
		CLERKSYNC_ROLES CLERKSYNC_ADMIN_ROLE CLERKSYNC_PLAN_FEATURES CLERKSYNC_UPGRADE_URL CLERKSYNC_JIT
		CLERKSYNC_UNREADY CLERKSYNC_READY_WITHIN CLERKSYNC_READY_WALK_WITHIN
		CLERKSYNC_POLICY CLERKSYNC_TRUSTED_PROXIES CLERKSYNC_PROXY CLERKSYNC_IDENTITY_SECRET
		CLERKSYNC_BACKFILL CLERKSYNC_RECONCILE CLERKSYNC_WRITES CLERKSYNC_WALK_MIN_PAUSE CLERKSYNC_WALK_MAX_PAUSE CLERKSYNC_API_BUDGET CLERKSYNC_API_LIMIT
		CLERKSYNC_WEBHOOKS_ALLOW
		CLERKSYNC_NATS_URL CLERKSYNC_NATS_CREDENTIALS CLERKSYNC_NATS_CA CLERKSYNC_NATS_CERT CLERKSYNC_NATS_KEY CLERKSYNC_NATS_STREAM CLERKSYNC_NATS_PREFIX
		CLERKSYNC_ERASE_AFTER CLERKSYNC_INBOX_RETENTION CLERKSYNC_CHANGES_RETENTION CLERKSYNC_AUDIT_RETENTION CLERKSYNC_REDACT`
	var got []string
	flags := map[string]bool{}
	for _, s := range Settings() {
		got = append(got, s.Name)
		for _, text := range []string{s.Group, s.Value, s.Summary, s.When, s.noun, s.why, s.Default + s.Unset} {
			if text == "" || strings.Contains(text, "\n") {
				t.Errorf("%s: a text of the table is %q", s.Name, text)
			}
		}
		for _, sentence := range []string{s.Summary, s.When, s.why, s.remedyText()} {
			if !strings.HasSuffix(sentence, ".") {
				t.Errorf("%s: %q does not end like a sentence", s.Name, sentence)
			}
		}
		switch {
		case (s.Default == "") != (s.Unset != ""):
			t.Errorf("%s: default %q, and unset %q", s.Name, s.Default, s.Unset)
		case s.Flag != "" && (s.Secret || flags[s.Flag] || s.Flag != (source{label: fromFlag}).key(s.Name)):
			t.Errorf("%s: flag %q", s.Name, s.Flag)
		case s.List() != slices.Contains(strings.Fields(lists), s.Name):
			t.Errorf("%s: list %v", s.Name, s.List())
		}
		flags[s.Flag] = true
	}
	if diff := cmp.Diff(strings.Fields(names), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestGoodValues(t *testing.T) {
	t.Parallel()
	untested := map[string]bool{}
	for _, v := range Settings() {
		pair := v.Name == natsCertName || v.Name == natsKeyName // TestNATSTLS has them: each needs the other one
		untested[v.Name] = v.Name != configName && !pair
	}
	for _, tt := range goodValues(t) {
		name := map[string]string{"PORT": "CLERKSYNC_LISTEN", "CLERK_WEBHOOK_SECRET": webhookName}[tt.name]
		if name == "" {
			name = tt.name
		}
		untested[name] = false
		t.Run(tt.name+"="+tt.value, func(t *testing.T) {
			t.Parallel()
			c, _, err := load(t, tt.name+"="+tt.value)
			if err != nil {
				t.Fatal(err)
			}
			values := c.Values()
			i := slices.IndexFunc(values, func(v Value) bool { return v.Name == name })
			got := values[i]
			if got.Value != tt.want || got.Origin.Source != fromEnvironment || (got.Origin.Name == tt.name) == (name == tt.name) {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
	for name, missing := range untested {
		if missing {
			t.Errorf("no case for %s", name)
		}
	}
}

func TestBadValues(t *testing.T) {
	t.Parallel()
	for _, tt := range badValues() {
		t.Run(tt.name+"="+tt.value, func(t *testing.T) {
			t.Parallel()
			environ := append([]string{tt.name + "=" + tt.value}, tt.with...)
			c, _, err := load(t, environ...)
			if c != nil || err == nil {
				t.Fatalf("accepted: %v", c)
			}
			var want []string
			for what := range strings.SplitSeq(tt.want, "|") {
				want = append(want, what+" ("+tt.name+")")
			}
			if diff := cmp.Diff(want, whats(err)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "c.yaml", "clerksync_lisen: :1\nclerksync_jit: on\nclerk_secret_key: sk_test_file\nclerksync_roles: {a: b}\n")
	_, warnings, err := Load(Options{
		WorkingDir: dir,
		Flags:      map[string]string{"CLERKSYNC_LOG_LEVEL": "loud", configName: "c.yaml"},
		Environ: []string{
			"DATABASE_URL=mysql://root:hunter2@db/app", "CLERK_WEBHOOK_SIGNING_SECRET=whsec_%%%," + svixSecret + ",whsec_",
			"CLERK_API_URL=http://api.example.com", "CLERK_JWT_KEY_FILE=absent.pem", "PORT=http",
			"CLERKSYNC_OPERATOR_TOKEN=short", "CLERKSYNC_OPERATOR_TOKEN_FILE=token",
			"CLERKSYNC_API_BUDGET=0%", "CLERKSYNC_WEBHOOK_SECRET=oops", "CLERK_AUTHORISED_PARTIES=oops", "CLERKSYNC_ADMIN_ROLE=a b",
		},
	})
	text := ""
	for _, w := range warnings {
		text += w.String() + "\n\n"
	}
	testenv.Golden(t, "testdata/faults.golden", []byte(text+err.Error()+"\n"))
}

func TestJWTKey(t *testing.T) {
	t.Parallel()
	public := publicPEM(t)
	lines := strings.Split(strings.TrimSpace(public), "\n")
	bare := strings.Join(lines[1:len(lines)-1], "")
	tests := []struct {
		name    string
		environ []string
		key     string
		source  string
		fault   string
	}{
		{"RS256 in one line", []string{"CLERK_JWT_KEY=" + strings.ReplaceAll(public, "\n", `\n`)}, strings.ReplaceAll(public, "\n", `\n`), "environment", ""},
		{"HS256 own secret", []string{"CLERK_JWT_ALGORITHM=HS256", "CLERK_JWT_KEY=" + longText}, longText, "environment", ""},
		{"HS256 secret key", []string{"CLERK_JWT_ALGORITHM=HS256", "CLERK_SECRET_KEY=" + longText}, longText, "derived from CLERK_SECRET_KEY", ""},
		{"HS256 none", []string{"CLERK_JWT_ALGORITHM=HS256"}, "", "", "JWT key is unset, and HS256 needs one (CLERK_JWT_KEY)"},
		{"HS256 short secret key", []string{"CLERK_JWT_ALGORITHM=HS256", "CLERK_SECRET_KEY=" + longText[1:]}, "", "", "JWT key is shorter than 32 bytes, too short for HS256 (CLERK_SECRET_KEY)"},
		{"HS256 public key", []string{"CLERK_JWT_ALGORITHM=HS256", "CLERK_JWT_KEY=" + public}, "", "", "JWT key is a PEM text, which cannot be the shared secret of HS256 (CLERK_JWT_KEY)"},
		{"HS256 public key without frame", []string{"CLERK_JWT_ALGORITHM=HS256", "CLERK_JWT_KEY=" + bare}, "", "", "JWT key is a PEM text, which cannot be the shared secret of HS256 (CLERK_JWT_KEY)"},
		{"RS256 secret", []string{"CLERK_JWT_KEY=" + longText}, "", "", "JWT key is not the PEM text of an RSA public key of at least 2048 bits (CLERK_JWT_KEY)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, _, err := load(t, tt.environ...)
			if got := strings.Join(whats(err), "\n"); got != tt.fault {
				t.Fatalf("fault %q, want %q", got, tt.fault)
			}
			if err == nil && (c.JWTKey != tt.key || c.Sources["CLERK_JWT_KEY"].String() != tt.source) {
				t.Errorf("key %q from %q", c.JWTKey, c.Sources["CLERK_JWT_KEY"])
			}
		})
	}
}

func TestDerived(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, Options{Environ: []string{
		"CLERK_SECRET_KEY=sk_test_x", "CLERK_PUBLISHABLE_KEY=" + publishable, "CLERKSYNC_ROLES=low,high", "CLERKSYNC_TRUSTED_PROXIES=::1",
	}})
	got := []string{c.Issuer, c.Sources["CLERK_ISSUER"].String(), c.Unready, c.Database.Path}
	want := []string{"https://clerk.example.com", "derived from CLERK_PUBLISHABLE_KEY", "ask", "clerksync.db"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if !slices.Equal(c.TrustedProxies, []netip.Prefix{netip.MustParsePrefix("::1/128")}) {
		t.Errorf("proxies %v", c.TrustedProxies)
	}
	c = mustLoad(t, Options{Environ: []string{"CLERK_ISSUER=https://own.example.com", "CLERK_PUBLISHABLE_KEY=" + publishable}})
	if c.Issuer != "https://own.example.com" {
		t.Errorf("issuer %q: the configured one must win", c.Issuer)
	}
}

// TestSecretsStayHidden prints, logs and marshals a Config full of secrets in every way there is.
func TestSecretsStayHidden(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, Options{Environ: []string{
		"DATABASE_URL=postgres://us3r:p4ssw0rd@db/app?password=p4ssw0rd", "CLERK_SECRET_KEY=sk_test_hidden",
		"CLERK_WEBHOOK_SIGNING_SECRET=" + svixSecret, "CLERK_JWT_ALGORITHM=HS256", "CLERK_JWT_KEY=" + longText,
		"CLERKSYNC_OPERATOR_TOKEN=" + longText, "CLERKSYNC_IDENTITY_SECRET=1d3nt1ty" + longText,
	}})
	var out strings.Builder
	for _, value := range []any{c, *c, c.Database, &c.Database, []any{c}, c.Values()} {
		fmt.Fprintf(&out, "%v %+v %#v %s %q %x\n", value, value, value, value, value, value)
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(encoded)
		slog.New(slog.NewTextHandler(&out, nil)).Info("start", "config", value)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("start", "config", value)
	}
	if !strings.Contains(out.String(), "CLERK_SECRET_KEY=set (environment)") {
		t.Error("the settings are missing")
	}
	for _, secret := range []string{"us3r", "p4ssw0rd", "hidden", "plJ3nm", "1d3nt1ty", longText, fmt.Sprintf("%x", "hidden"), fmt.Sprintf("%x", "p4ss")} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q is printed", secret)
		}
	}
}
