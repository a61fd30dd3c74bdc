package config

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

func TestPrecedence(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := write(t, dir, "c.yaml", "clerksync_log_level: error\n")
	named := write(t, dir, "level", "debug\r\n\n")
	empty := write(t, dir, "empty", "\n")
	port := write(t, dir, "port", "port: 3\n")
	tests := []struct {
		name          string
		options       Options
		value, source string // of CLERKSYNC_LOG_LEVEL, or of CLERKSYNC_LISTEN where that is a number
	}{
		{"default", Options{}, "info", "default"},
		{"file", Options{Flags: map[string]string{configName: path}}, "error", path + ":1"},
		{"file by environment", Options{Environ: []string{"CLERKSYNC_CONFIG=" + path}}, "error", path + ":1"},
		{"flag names the file first", Options{
			Flags: map[string]string{configName: path}, Environ: []string{"CLERKSYNC_CONFIG=absent"},
		}, "error", path + ":1"},
		{"environment before file", Options{
			Flags: map[string]string{configName: path}, Environ: []string{"CLERKSYNC_LOG_LEVEL=warn"},
		}, "warn", "environment"},
		{"twin before file", Options{
			Flags: map[string]string{configName: path}, Environ: []string{"CLERKSYNC_LOG_LEVEL_FILE=" + named},
		}, "debug", "environment (CLERKSYNC_LOG_LEVEL_FILE: " + named + ")"},
		{"flag before environment", Options{
			Flags: map[string]string{"CLERKSYNC_LOG_LEVEL": "debug"}, Environ: []string{"CLERKSYNC_LOG_LEVEL=warn"},
		}, "debug", "flag --log-level"},
		{"empty flag", Options{
			Flags: map[string]string{"CLERKSYNC_LOG_LEVEL": ""}, Environ: []string{"CLERKSYNC_LOG_LEVEL=warn"},
		}, "warn", "environment"},
		{"empty environment", Options{Flags: map[string]string{configName: path}, Environ: []string{"CLERKSYNC_LOG_LEVEL="}}, "error", path + ":1"},
		{"empty twin", Options{Flags: map[string]string{configName: path}, Environ: []string{"CLERKSYNC_LOG_LEVEL_FILE=" + empty}}, "error", path + ":1"},
		{"first of two entries, as os.Getenv", Options{
			Environ: []string{"CLERKSYNC_LOG_LEVEL=warn", "CLERKSYNC_LOG_LEVEL=error"},
		}, "warn", "environment"},
		{"name before alias", Options{Environ: []string{"PORT=2", "CLERKSYNC_LISTEN=:1"}}, ":1", "environment"},
		{"alias before file", Options{Flags: map[string]string{configName: port}, Environ: []string{"PORT=2"}}, ":2", "environment (PORT)"},
		{"alias in file", Options{Flags: map[string]string{configName: port}}, ":3", port + ":1 (port)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.options.WorkingDir = dir
			c := mustLoad(t, tt.options)
			value, origin := c.LogLevel, c.Sources["CLERKSYNC_LOG_LEVEL"]
			if strings.HasPrefix(tt.value, ":") {
				value, origin = c.Listen, c.Sources["CLERKSYNC_LISTEN"]
			}
			if value != tt.value || origin.String() != tt.source {
				t.Errorf("%q from %q, want %q from %q", value, origin, tt.value, tt.source)
			}
		})
	}
}

// TestTwins sets every variable through its _FILE twin; the value of the one is the value of the
// other.
func TestTwins(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	values := map[string]string{
		"CLERK_WEBHOOK_SIGNING_SECRET": svixSecret, "CLERK_PUBLISHABLE_KEY": publishable, "CLERK_JWT_KEY": publicPEM(t),
		"CLERK_SECRET_KEY": "sk_test_x", "CLERK_INSTANCE_ID": "ins_1", "CLERKSYNC_OPERATOR_TOKEN": longText,
		"CLERK_JWKS_URL": "https://a.example", "CLERK_ISSUER": "https://a.example", "CLERKSYNC_UPGRADE_URL": "https://a.example",
		"CLERKSYNC_PUBLIC_URL": "https://a.example", "CLERK_AUTHORIZED_PARTIES": "https://a.example",
		"CLERKSYNC_CORS_ORIGINS": "https://a.example", "CLERK_AUDIENCE": "a", "CLERKSYNC_POLICY": "routes: [{path: /x}]", "CLERKSYNC_IDENTITY_SECRET": "identity" + longText,
		"CLERKSYNC_TRUSTED_PROXIES": "10.0.0.0/8", "CLERKSYNC_PROXY": "nginx", "CLERKSYNC_UNREADY": "deny", "CLERKSYNC_PLAN_FEATURES": "pro=reports", "CLERKSYNC_REDACT": "a.b", "CLERKSYNC_API_LIMIT": "500",
		"CLERKSYNC_OAUTH_RESOURCES": "https://a.example", "CLERKSYNC_MACHINE_CALLERS": "mch_1", "CLERKSYNC_MACHINE_ID": "mch_1", "CLERK_MACHINE_SECRET_KEY": "ak_" + longText,
		"CLERKSYNC_SQLITE_MODE": "0640", "CLERKSYNC_SQLITE_GROUP": "app",
		"CLERKSYNC_ADMIN_ROLE": "admin", "CLERKSYNC_CONSOLE_NAME": "Acme", "CLERKSYNC_CONSOLE_HOSTS": "ops.example.com", "CLERKSYNC_WEBHOOKS_ALLOW": "hooks.internal", "CLERKSYNC_NATS_URL": "nats://a", "CLERKSYNC_READ_DATABASE_URL": "postgres://a/b", "CLERKSYNC_NATS_CREDENTIALS": natsCredentials,
	}
	pair := certificatePEM(t)
	values[natsCAName], values[natsCertName], values[natsKeyName] = pair.cert, pair.cert, pair.key
	var direct, twins []string
	for _, v := range Settings() {
		if v.Name == configName {
			continue
		}
		value := cmp.Or(values[v.Name], v.Default)
		direct = append(direct, v.Name+"="+value)
		twins = append(twins, v.Name+"_FILE="+v.Name)
		write(t, dir, v.Name, strings.TrimRight(value, "\n")+"\n")
	}
	a := mustLoad(t, Options{WorkingDir: dir, Environ: direct})
	b := mustLoad(t, Options{WorkingDir: dir, Environ: twins})
	for i, got := range b.Values() {
		want := a.Values()[i]
		if want.Origin.Source == fromEnvironment {
			want.Origin = Origin{Source: fromEnvironment, Name: got.Name + "_FILE", ValueFile: got.Name}
		}
		if skipped := got.Name == configName; got != want || !skipped && got.Origin.Source == fromDefault {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	if a.SecretKey != b.SecretKey || a.OperatorToken != b.OperatorToken || a.WebhookSecrets[0] != b.WebhookSecrets[0] {
		t.Error("a secret differs")
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "big", strings.Repeat("a", maxFile+1))
	write(t, dir, "full", strings.Repeat("a", maxFile))
	for file, want := range map[string]string{
		"absent":    "secret key cannot be read: no such file or directory (CLERK_SECRET_KEY_FILE)",
		".":         "secret key cannot be read: is a directory (CLERK_SECRET_KEY_FILE)",
		"big":       "secret key cannot be read: it is larger than 1 MiB (CLERK_SECRET_KEY_FILE)",
		"full":      "",
		"a\x00b":    "secret key cannot be read: invalid argument (CLERK_SECRET_KEY_FILE)",
		"big/below": "secret key cannot be read: not a directory (CLERK_SECRET_KEY_FILE)",
	} {
		_, _, err := Load(Options{WorkingDir: dir, Environ: []string{"CLERK_SECRET_KEY_FILE=" + file}})
		if got := strings.Join(whats(err), "\n"); got != want {
			t.Errorf("%q: %q, want %q", file, got, want)
		}
	}
	// What an unreadable file might have set is not reported as unset.
	_, _, err := Load(Options{WorkingDir: dir, Flags: map[string]string{configName: "absent"}, Environ: []string{
		"CLERK_JWT_ALGORITHM=HS256", "CLERKSYNC_LISTEN=:8081",
	}})
	if diff := gocmp.Diff([]string{"configuration file cannot be read: no such file or directory (--config)"}, whats(err)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// The name of a YAML file is no secret.
	_, _, err = Load(Options{WorkingDir: dir, Flags: map[string]string{configName: "absent.yaml"}})
	if diff := gocmp.Diff([]string{"configuration file cannot be read: no such file or directory (absent.yaml)"}, whats(err)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestYAML(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{ // want: values by name, or the faults
		{"plain, null and empty", "clerksync_jit: off\nclerk_issuer: ~\nclerk_jwks_url:\nclerk_audience: ''\n", "CLERKSYNC_JIT=off"},
		{"numbers as written", "clerksync_listen: ':010'\nport: 1_0\nclerk_audience: 007\n", "CLERKSYNC_LISTEN=:010 & CLERK_AUDIENCE=007 & PORT=1_0"},
		{"lists", "clerk_audience: [a, 1]\nclerksync_roles:\n- x\n- y\nclerksync_redact: []\n", "CLERKSYNC_ROLES=x,y & CLERK_AUDIENCE=a,1"},
		{"empty item", "clerk_audience: [a, ~]\n", "CLERK_AUDIENCE=a,"},
		{"block", "clerksync_policy: |\n  a: b\n", "CLERKSYNC_POLICY=a: b\n"},
		{"twin", "clerk_secret_key_file: /run/key\n", "CLERK_SECRET_KEY_FILE=/run/key"},
		{"nothing", "# comment\n", ""},
		{"null document", "~\n", ""},
		{"unknown", "log_level: debug\n", "has an unknown key on line 1, log_level"},
		{"capitals", "DATABASE_URL: sqlite:a\n", "has an unknown key on line 1, DATABASE_URL"},
		{"long s", "clerkſync_jit: off\n", "has an unknown key on line 1"},
		{"secret as key", "\nsk_live_1234: x\n", "has an unknown key on line 2"},
		{"list as key", "[a]: x\n", "has an unknown key on line 1"},
		{"merge", "<<: {a: b}\n", "has an unknown key on line 1"},
		{"repeated", "clerksync_jit: off\n\nclerksync_jit: auto\n", "has the key clerksync_jit on line 1 and again on line 3"},
		{"itself", "clerksync_config: a\n", "names a configuration file on line 1"},
		{"its twin", "clerksync_config_file: a\n", "has an unknown key on line 1, clerksync_config_file"},
		{"nested", "clerksync_jit: {a: b}\n", "has a value of the wrong kind on line 1"},
		{"list for one value", "clerksync_jit: [off]\n", "has a value of the wrong kind on line 1"},
		{"list for a twin", "clerk_audience_file: [a]\n", "has a value of the wrong kind on line 1"},
		{"list in a list", "clerk_audience:\n- a\n- [b]\n", "has a value of the wrong kind on line 3"},
		{"tag", "clerk_audience: !!binary YQ==\n", "has a value of the wrong kind on line 1"},
		{"anchor", "clerk_audience: &a b\nclerk_issuer: *a\n", "has a value of the wrong kind on line 1|has a value of the wrong kind on line 2"},
		{"two documents", "clerksync_jit: off\n---\nclerksync_jit: off\n", "has a second document on line 2"},
		{"broken second document", "clerksync_jit: off\n---\na: 'b\n", "is not valid YAML, near line 3"},
		{"list", "- a\n", "is not a YAML mapping"},
		{"text", "sk_live_1234\n", "is not a YAML mapping"},
		{"broken", "clerksync_jit: off\nclerk_secret_key: *sk_live_1234\n", "is not valid YAML"},
		{"open quote", "a: 'b\n", "is not valid YAML, near line 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			values, _, err := newLoader(Options{}).parseYAML(tt.text)
			var got []string
			if err != nil {
				for _, err := range split(err) {
					got = append(got, err.Error())
				}
				if strings.Join(got, "|") != tt.want {
					t.Errorf("faults %q, want %q", got, tt.want)
				}
				return
			}
			want := map[string]string{}
			for entry := range strings.SplitSeq(tt.want, " & ") {
				if name, value, ok := strings.Cut(entry, "="); ok {
					want[name] = value
				}
			}
			if diff := gocmp.Diff(want, values); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "empty", "\r\n")
	tests := []struct {
		name    string
		entries []string
		want    string // What (Name): Remedy
	}{
		{"typing error", []string{"CLERKSYNC_LISTN=:1"}, "environment variable is unknown (CLERKSYNC_LISTN): The nearest known name is CLERKSYNC_LISTEN; rename it or unset it."},
		{"other prefix", []string{"CLERKSYNC_SECRET_KEY=x"}, "environment variable is unknown (CLERKSYNC_SECRET_KEY): The nearest known name is CLERK_SECRET_KEY; rename it or unset it."},
		{"no prefix", []string{"CLERKSYNC_DATABASE_URL_FILE=x"}, "environment variable is unknown (CLERKSYNC_DATABASE_URL_FILE): The nearest known name is DATABASE_URL_FILE; rename it or unset it."},
		{"twin of the file name", []string{"CLERKSYNC_CONFIG_FILE=x"}, "environment variable is unknown (CLERKSYNC_CONFIG_FILE): The nearest known name is CLERKSYNC_CONFIG; rename it or unset it."},
		{"odd name", []string{"CLERKSYNC_\x1b[31m=x"}, `environment variable is unknown ("CLERKSYNC_\x1b[31m"): The nearest known name is CLERKSYNC_JIT; rename it or unset it.`},
		{"once each", []string{"CLERKSYNC_LISTN=:1", "CLERKSYNC_LISTN=:2"}, "environment variable is unknown (CLERKSYNC_LISTN): The nearest known name is CLERKSYNC_LISTEN; rename it or unset it."},
		{"empty is unset", []string{"CLERKSYNC_LISTN="}, ""},
		{"typing error of Clerk's", []string{"CLERK_SECRET_KEYS=x"}, "environment variable is unknown (CLERK_SECRET_KEYS): The nearest known name is CLERK_SECRET_KEY; rename it or unset it."},
		{"British spelling", []string{"CLERK_AUTHORISED_PARTIES=x"}, "environment variable is unknown (CLERK_AUTHORISED_PARTIES): The nearest known name is CLERK_AUTHORIZED_PARTIES; rename it or unset it."},
		{"Clerk's prefix on ours", []string{"CLERK_LISTEN=:1"}, "environment variable is unknown (CLERK_LISTEN): The nearest known name is CLERKSYNC_LISTEN; rename it or unset it."},
		{"of Clerk's SDKs", []string{
			"CLERK_API_KEY=x", "CLERK_API_VERSION=v1", "CLERK_FAPI_URL=x", "CLERK_JS_URL=x", "CLERK_JS_VERSION=5", "CLERK_PROXY_URL=x", "CLERK_DOMAIN=x", "CLERK_FRONTEND_API=x",
			"CLERK_IS_SATELLITE=true", "CLERK_ENCRYPTION_KEY=x", "CLERK_SIGN_IN_URL=/in", "CLERK_SIGN_UP_URL=/up",
			"CLERK_SIGN_IN_FORCE_REDIRECT_URL=/", "CLERK_TELEMETRY_DISABLED=1", "CLERK_TELEMETRY_DEBUG=1", "NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY=x",
		}, ""},
		{"of the emulator", []string{"CLERKSYNC_EMULATE_LISTEN=:1"}, ""},
		{"not ours", []string{"NEXT_PUBLIC_CLERKSYNC_X=y", "clerksync_listen=:1", "OTEL_SDK_DISABLED=true"}, ""},
		{"service links", []string{
			"CLERKSYNC_SERVICE_HOST=10.0.0.1", "CLERKSYNC_SERVICE_PORT=80", "CLERKSYNC_SERVICE_PORT_HTTP=80", "CLERKSYNC_PORT=tcp://10.0.0.1:80",
			"CLERKSYNC_PORT_80_TCP=tcp://10.0.0.1:80", "CLERKSYNC_PORT_80_TCP_ADDR=10.0.0.1", "CLERKSYNC_DB_PORT_53_UDP_PROTO=udp",
		}, ""},
		{"no service link", []string{"CLERKSYNC_PORT=80"}, "environment variable is unknown (CLERKSYNC_PORT): The nearest known name is PORT; rename it or unset it."},
		{"empty file", []string{"CLERKSYNC_UPGRADE_URL_FILE=empty"}, "upgrade URL comes from an empty file (CLERKSYNC_UPGRADE_URL_FILE): Write the value into the file, or unset the name."},
		{"synchronous", []string{"CLERKSYNC_SQLITE_SYNCHRONOUS=NORMAL"}, "synchronous mode is NORMAL (CLERKSYNC_SQLITE_SYNCHRONOUS): Unset it, unless it is enough that reconcile repairs them later."},
		{"synchronous of no use", []string{"CLERKSYNC_SQLITE_SYNCHRONOUS=NORMAL", "DATABASE_URL=postgres://h/d"}, ""},
		{"tokens without azp", []string{"CLERKSYNC_DANGEROUSLY_ALLOW_MISSING_AZP=true"}, "tokens without azp are accepted (CLERKSYNC_DANGEROUSLY_ALLOW_MISSING_AZP): Unset it, unless native apps or your own back end call this server."},
		{"tokens without azp, off", []string{"CLERKSYNC_DANGEROUSLY_ALLOW_MISSING_AZP=false"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, warnings, err := Load(Options{Environ: tt.entries, WorkingDir: dir})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range warnings {
				got = append(got, w.What+" ("+w.Name+"): "+w.Remedy)
			}
			if strings.Join(got, "\n") != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	const passwordWarning = "database password is given as a flag"
	for url, want := range map[string]bool{
		"postgres://u:p@h/d": true, "postgres://h/d?password=p": true, "postgres://u@h:5432/d": false, "sqlite:a:b@c": false,
	} {
		_, warnings, err := Load(Options{Flags: map[string]string{"DATABASE_URL": url}})
		if got := len(warnings) == 1 && warnings[0].What == passwordWarning && warnings[0].Name == "--database-url"; err != nil || got != want {
			t.Errorf("%s: %v, %v", url, warnings, err)
		}
	}
}

// TestNothingIsQuoted pastes a secret into every place that can be wrong.
func TestNothingIsQuoted(t *testing.T) {
	t.Parallel()
	const pasted = "sk_live_qUiTeSeCrEt1 \x01"
	var texts []string
	judge := func(o Options, yaml ...string) {
		o.WorkingDir = t.TempDir()
		for _, text := range yaml {
			o.Flags = map[string]string{configName: write(t, o.WorkingDir, "c.yaml", text)}
		}
		_, warnings, err := Load(o)
		if err == nil {
			t.Errorf("accepted: %v", o)
			return
		}
		texts = append(texts, err.Error())
		for _, w := range warnings {
			texts = append(texts, w.String())
		}
	}
	for _, v := range Settings() {
		for _, name := range v.names() {
			judge(Options{Environ: []string{name + "=" + pasted}})
			if v.Flag != "" {
				judge(Options{Flags: map[string]string{name: pasted}})
			}
			if name == configName {
				continue
			}
			judge(Options{Environ: []string{name + "_FILE=" + pasted}})
			judge(Options{Environ: []string{name + "=" + pasted, name + "_FILE=x"}})
			for _, value := range []string{pasted, "{a: sk_live_qUiTeSeCrEt1}", "[[sk_live_qUiTeSeCrEt1]]", "*sk_live_qUiTeSeCrEt1", "!sk_live_qUiTeSeCrEt1 a", "'sk_live_qUiTeSeCrEt1"} {
				judge(Options{Flags: map[string]string{configName: strings.ToLower(name) + ": " + value}})
			}
		}
	}
	for _, tt := range badValues() {
		judge(Options{Environ: append(tt.with, tt.name+"="+tt.value, "CLERKSYNC_LOG_LEVEL="+pasted)})
	}
	for _, text := range []string{"sk_live_qUiTeSeCrEt1: x", "sk_live_qUiTeSeCrEt1", "? [sk_live_qUiTeSeCrEt1]"} {
		judge(Options{Flags: map[string]string{configName: text}})
	}
	for _, text := range texts {
		if strings.Contains(text, "qUiTe") {
			t.Errorf("quoted:\n%s", text)
		}
		for block := range strings.SplitSeq(text, "\n\n") {
			if strings.Count(block, "\n") != 2 {
				t.Errorf("not three lines:\n%s", block)
			}
		}
	}
}

// FuzzLoad feeds a file and two values through every way in: no panic, no half result, no value
// quoted in an error.
func FuzzLoad(f *testing.F) {
	f.Add([]byte("clerksync_roles: [a, b]\nclerk_secret_key: sk_test_x\n"), uint8(1), "sqlite:app.db", uint8(30), "a: b")
	f.Add([]byte("a: &a [*a]\n---\n"), uint8(4), "whsec_%", uint8(12), "http://[::1%25a]:1/v1")
	f.Add([]byte("? {a: b}\n: !!map {<<: *x}\n"), uint8(15), "pk_test_YS5iJA==", uint8(17), "https://\x00:@/")
	for i, tt := range badValues() {
		f.Add([]byte("database_url: postgres://u:p@h/d\n"), uint8(i), tt.value, uint8(i+7), tt.value)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, file []byte, one uint8, value string, two uint8, other string) {
		settings := slices.DeleteFunc(Settings(), func(s Setting) bool { return s.Name == configName }) // which names a file of this machine
		name := func(i uint8) string { return settings[int(i)%len(settings)].Name }
		path := filepath.Join(dir, "value")
		if err := os.WriteFile(path, []byte(other), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, o := range []Options{
			{Environ: []string{name(one) + "=" + value, name(two) + "=" + other}},
			{Environ: []string{name(one) + "=" + value + marker, name(two) + "=" + marker + other}},
			{Environ: []string{name(one) + "_FILE=" + path}, Flags: map[string]string{"CLERKSYNC_LOG_LEVEL": value}},
			{Environ: []string{"CLERKSYNC_" + value + "=" + other}},
		} {
			check(t, o)
		}
		if text := string(file); !strings.Contains(text, strings.ToLower(fileSuffix)) {
			l := newLoader(Options{})
			values, lines, err := l.parseYAML(text)
			if values == nil && err == nil {
				t.Fatal("neither values nor faults")
			}
			for _, v := range Settings() {
				l.load(v, []source{{label: fromYAML, values: values, lines: lines}})
			}
			l.derive()
			if _, _, err = l.parseYAML(text + marker); err != nil && strings.Contains(err.Error(), marker) {
				t.Fatalf("quoted: %v", err)
			}
		}
	})
}

const marker = "sk_live_qUiTeSeCrEt1"

func check(t *testing.T, o Options) {
	t.Helper()
	c, warnings, err := Load(o)
	if (c == nil) == (err == nil) {
		t.Fatalf("%v and %v", c, err)
	}
	if text := fmt.Sprint(err, warnings); strings.Contains(text, marker) {
		t.Fatalf("quoted: %s", text)
	}
	if err != nil {
		if len(whats(err)) == 0 {
			t.Fatalf("error without faults: %v", err)
		}
		return
	}
	if c.Listen == "" || len(c.Roles) == 0 || c.Unready == "" || c.APIBudget <= 0 || c.APIBudget > 1 {
		t.Fatalf("half a Config: %v", c)
	}
}
