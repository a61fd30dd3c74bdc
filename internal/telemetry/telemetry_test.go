package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	jwt    = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1c2VyXzEifQ.c2lnbmF0dXJl"
	hunter = "hunter2"
)

func TestMask(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"empty", "", ""},
		{"plain", "user user_2abc signed in", "user user_2abc signed in"},
		{"token", "bad token " + jwt + ", refused", "bad token [redacted], refused"},
		{"token without a signature", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIi", "[redacted]"},
		{"cut token", "eyJhbGciOiJSUzI1NiJ9", "[redacted]"},
		{"encrypted token", "eyJhbGciOiJkaXIifQ..aXY.dGV4dA.dGFn", "[redacted]"},
		{"token in a query", "/v1/tickets/accept?ticket=" + jwt + "&x=1", "/v1/tickets/accept?ticket=[redacted]&x=1"},
		{"secret key", "using sk_live_abcDEF123.", "using [redacted]."},
		{"test key in quotes", `key "sk_test_x-y_z"`, `key "[redacted]"`},
		{"machine tokens", "ak_0123456789abcdef mt_0123456789abcdef oat_0123456789abcdef", "[redacted] [redacted] [redacted]"},
		{"words that end like their prefixes", "break_the_ice format_string float_value task_list", "break_the_ice format_string float_value task_list"},
		{"webhook secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw/+=,", "[redacted],"},
		{"token of an operator", `{"token":"cso_0123456789abcdef-_0123456789"}`, `{"token":"[redacted]"}`},
		{"publishable key is public", "pk_test_Y2xlcmsuZXhhbXBsZSQ", "pk_test_Y2xlcmsuZXhhbXBsZSQ"},
		{"e-mail", "sent to ann.o'hara+x@mail.example.com, twice", "sent to [redacted], twice"},
		{"e-mail in angles", "Ann <ann@example.com>", "Ann <[redacted]>"},
		{"quoted local part", `"ann b"@example.com`, "[redacted]"},
		{"escaped at", "email_address=ann%40example.com", "[redacted]"},
		{"international e-mail", "jürgen@müller.example", "[redacted]"},
		{"two", "a@example.com;b@example.org", "[redacted];[redacted]"},
		{"module version", "github.com/jackc/pgx/v5@v5.12.0/conn.go:42", "github.com/jackc/pgx/v5@v5.12.0/conn.go:42"},
		{"at alone", "@ noon, 5 @ 3", "@ noon, 5 @ 3"},
		{"password in URL", "postgres://app:hunter2@db/app", "postgres:[redacted]db/app"},
		{"password with a slash", `parse "postgres://app:hun/ter2@db/app": invalid port`, `parse "postgres:[redacted]db/app": invalid port`},
		{"password with an at", "postgres://app:hun@ter2@db/app", "postgres:[redacted]db/app"},
		{"token in URL", "https://hunter2@api.test/x", "https:[redacted]api.test/x"},
		{"URL", "https://api.clerk.com/v1/users?limit=1", "https://api.clerk.com/v1/users?limit=1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, changed := mask(tt.in)
			if got != tt.want || changed != (got != tt.in) {
				t.Errorf("mask(%q) = %q, %v, want %q", tt.in, got, changed, tt.want)
			}
		})
	}
}

func TestSecretKey(t *testing.T) {
	t.Parallel()
	secret := []string{
		"authorization", "Authorization", "Proxy-Authorization", "bearer", "cookie", "Set-Cookie", "__session_cookie", "token",
		"access_token", "sessionToken", "TOKENS", "secret", "webhook_secrets", "password", "passwd", "passphrase", "signature",
		"svix-signature", "webhook-signature", "email", "e_mail", "emailAddress", "email_addresses", "phone", "phoneNumbers",
		"jwt", "JWT", "key", "Keys", "api_key", "apiKey", "APIKey", "apikey", "signing-key", "key_pem", "DSN", "otp", "totp",
		"credential", "csrf", "ticket", "first_name", "lastName", "private_metadata", "publicMetadata", "SECRETID", "sig",
	}
	for _, key := range secret {
		if !secretKey(key) {
			t.Errorf("key %q is shown", key)
		}
	}
	innocent := []string{
		"", "method", "pattern", "status", "bytes", "duration_ms", "request_id", "client_ip", "code", "reason", "error", "user_id",
		"event_type", "keyspace", "keyed", "keyboard", "key_id", "keyId", "KEY_ID", "key_ids", "keyIDs", "KEY_IDS", "session_token_ids", "token_count", "token_type", "email_id",
		"phoneStatus", "design", "signal", "optimum", "é", "_", "id", "count",
	}
	for _, key := range innocent {
		if secretKey(key) {
			t.Errorf("key %q is hidden", key)
		}
	}
}

type (
	valuer     struct{ name, email string }
	stringer   struct{ s string }
	textual    struct{ err error }
	nilPointer struct{ s string }
	nested     struct {
		ID     string
		Email  string         `json:"email_address"`
		Known  bool           `json:"token_known"`
		Raw    map[string]any `json:"raw"`
		Values []string
	}
)

func (v valuer) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", v.name), slog.String("email", v.email))
}
func (s stringer) String() string              { return s.s }
func (t textual) MarshalText() ([]byte, error) { return []byte("text " + jwt), t.err }
func (p *nilPointer) Error() string            { return p.s }

func TestRedactAttributes(t *testing.T) {
	t.Parallel()
	const r = redacted
	tests := []struct {
		name string
		attr slog.Attr
		want any
	}{
		{"innocent", slog.String("a", "b"), "b"},
		{"number", slog.Int("status", 200), 200.0},
		{"by key", slog.String("token", hunter), r},
		{"number by key", slog.Int("otp", 123456), r},
		{"any by key", slog.Any("cookies", []string{hunter}), r},
		{"whether there is a secret", slog.Bool("webhook_secret", true), true},
		{"when", slog.Duration("token", time.Second), 1e9},
		{"by form", slog.String("a", "x "+jwt), "x " + r},
		{"group", slog.Group("g", slog.Int("n", 1), slog.String("password", hunter)), map[string]any{"n": 1.0, "password": r}},
		{"group in a group", slog.Group("g", slog.Group("h", "to", "ann@example.com")), map[string]any{"h": map[string]any{"to": r}}},
		{"secret group", slog.Group("credentials", slog.String("a", hunter)), r},
		{"innocent group", slog.Group("g", slog.Int("n", 1)), map[string]any{"n": 1.0}},
		{"valuer", slog.Any("user", valuer{"a", hunter}), map[string]any{"name": "a", "email": r}},
		{"error", slog.Any("error", fmt.Errorf("send: %w", errors.New("to ann@example.com"))), "send: to " + r},
		{"error of net/url", slog.Any("error", parseError("postgres://u:hunter2@h:x/")), `parse "postgres:` + r + `h:x/": invalid port ":x" after host`},
		{"stringer", slog.Any("a", stringer{"key whsec_abc="}), "key " + r},
		{"url", slog.Any("a", &url.URL{Scheme: "https", Host: "h", Path: "/", RawQuery: "t=" + jwt}), "https://h/?t=" + r},
		{"address", slog.Any("a", netip.MustParseAddr("::1")), "::1"},
		{"text", slog.Any("a", textual{}), "text " + r},
		{"failing text", slog.Any("a", textual{errors.New(hunter)}), r},
		{"bytes", slog.Any("a", []byte("ann@example.com")), r},
		{"raw JSON", slog.Any("a", json.RawMessage(`{"id":"x","token":"hunter2"}`)), map[string]any{"id": "x", "token": r}},
		{"header", slog.Any("a", http.Header{"Authorization": {hunter}, "Accept": {"*/*"}}), map[string]any{
			"Authorization": r, "Accept": []any{"*/*"},
		}},
		{"struct", slog.Any("a", nested{"i", hunter, true, map[string]any{"ann@example.com": 1, "secret": nil}, []string{jwt}}), map[string]any{
			"ID": "i", "email_address": r, "token_known": true, "raw": map[string]any{r: 1.0, "secret": nil}, "Values": []any{r},
		}},
		{"nil", slog.Any("a", nil), nil},
		{"nil pointer", slog.Any("a", (*nilPointer)(nil)), r},
		{"no JSON", slog.Any("a", math.NaN), r},
		{"large number", slog.Any("a", []uint64{math.MaxUint64}), []any{float64(math.MaxUint64)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			plain := record(t, func(l *slog.Logger) { l.LogAttrs(t.Context(), slog.LevelInfo, "m", tt.attr) })
			preset := record(t, func(l *slog.Logger) { slog.New(l.Handler().WithAttrs([]slog.Attr{tt.attr})).Info("m") })
			want := map[string]any{"level": "INFO", "msg": "m", tt.attr.Key: tt.want}
			if diff := cmp.Diff(want, plain); diff != "" {
				t.Errorf("in the record (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want, preset); diff != "" {
				t.Errorf("by With (-want +got):\n%s", diff)
			}
		})
	}
}

func parseError(s string) error {
	_, err := url.Parse(s)
	return err
}

// record returns the one line that f logs, in both formats: decoded JSON, after a look at the text.
func record(t *testing.T, f func(*slog.Logger)) map[string]any {
	t.Helper()
	var text, line bytes.Buffer
	for format, w := range map[string]io.Writer{"text": &text, "json": &line} {
		logger, err := NewLogger(w, format, "")
		if err != nil {
			t.Fatal(err)
		}
		f(logger)
	}
	for _, s := range []string{hunter, jwt, "ann@example.com", "whsec_a"} {
		if strings.Contains(text.String(), s) || strings.Contains(line.String(), s) {
			t.Errorf("%q is told by\n%s%s", s, &text, &line)
		}
	}
	var m map[string]any
	if err := json.Unmarshal(line.Bytes(), &m); err != nil {
		t.Fatalf("line %q: %v", &line, err)
	}
	delete(m, "time")
	return m
}

func TestRedactMessageKeysAndGroups(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		log  func(*slog.Logger)
		want map[string]any
	}{
		{"message", func(l *slog.Logger) { l.Info("to ann@example.com", "n", 1) }, map[string]any{"msg": "to " + redacted, "n": 1.0}},
		{"misplaced value", func(l *slog.Logger) { l.Info("m", []any{jwt}...) }, map[string]any{"msg": "m", "!BADKEY": redacted}},
		{"value as a key", func(l *slog.Logger) { l.Info("m", jwt, 1) }, map[string]any{"msg": "m", redacted: 1.0}},
		{"group", func(l *slog.Logger) { l.WithGroup("g").Info("m", "token", hunter) }, map[string]any{
			"msg": "m", "g": map[string]any{"token": redacted},
		}},
		{"secret group", func(l *slog.Logger) { l.WithGroup("token").With("a", hunter).WithGroup("b").Info("m", "c", hunter) }, map[string]any{
			"msg": "m", "token": map[string]any{"a": redacted, "b": map[string]any{"c": redacted}},
		}},
		{"many attributes", func(l *slog.Logger) { l.Info("m", "a", 1, "b", 2, "c", 3, "d", 4, "e", 5, "f", jwt) }, map[string]any{
			"msg": "m", "a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0, "e": 5.0, "f": redacted,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.want["level"] = "INFO"
			if diff := cmp.Diff(tt.want, record(t, tt.log)); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRedactLeavesTheCallersGroupAlone(t *testing.T) {
	t.Parallel()
	attrs := []any{slog.String("token", hunter)}
	group := slog.Group("g", attrs...)
	slog.New(Redact(slog.DiscardHandler)).With(group).Info("m", group)
	if got := group.Value.Group()[0].Value.String(); got != hunter {
		t.Errorf("the caller's attribute became %q", got)
	}
}

func TestNewLogger(t *testing.T) {
	t.Parallel()
	tests := []struct {
		format, level string
		debug, info   bool
		wantErr       string
		json          bool
	}{
		{"", "", false, true, "", true},
		{"json", "debug", true, true, "", true},
		{"TEXT", "Info", false, true, "", false},
		{"text", "warn", false, false, "", false},
		{"json", "error", false, false, "", true},
		{"xml", "", false, false, `log format "xml"`, false},
		{"", "loud", false, false, `log level "loud"`, false},
		{"", "info+1", false, false, `log level "info+1"`, false},
	}
	for _, tt := range tests {
		t.Run(tt.format+" "+tt.level, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			logger, err := NewLogger(&b, tt.format, tt.level)
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Errorf("err = %v, want %s", err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			ctx := t.Context()
			if logger.Enabled(ctx, slog.LevelDebug) != tt.debug || logger.Enabled(ctx, slog.LevelInfo) != tt.info {
				t.Errorf("enabled: debug %v, info %v", !tt.debug, !tt.info)
			}
			logger.Error("m")
			if json.Valid(b.Bytes()) != tt.json || !strings.Contains(b.String(), "m") {
				t.Errorf("line %q, want JSON: %v", &b, tt.json)
			}
		})
	}
}

// A planted secret never shows, whatever stands round it, and masking twice changes nothing more.
func FuzzRedact(f *testing.F) {
	f.Add("token ", " refused", "a")
	f.Add("https://u:", "@h", "key")
	f.Add("\"", "\"@example.com", "email")
	f.Add("x_ak_", "%40b.c", "\xff")
	f.Fuzz(func(t *testing.T, before, after, key string) {
		const address, secret = "ann.secret@example.com", "sk_live_4f8d2c"
		for _, planted := range []string{jwt, secret, "whsec_MfKQ9r8GKYqr", address} {
			s := before + planted + after
			got, _ := mask(s)
			if strings.Contains(got, planted) {
				t.Errorf("mask(%q) = %q", s, got)
			}
			if again, _ := mask(got); !suspicious(got) && again != got {
				t.Errorf("masked again: %q, then %q", got, again)
			}
			if !suspicious(s) {
				t.Errorf("%q is not suspicious", s)
			}
		}
		var b bytes.Buffer
		logger := slog.New(Redact(slog.NewJSONHandler(&b, nil)))
		logger.Info(before+address, key, after+address, "error", errors.New(secret), "m", map[string]string{key: jwt + after})
		if out := b.String(); strings.Contains(out, address) || strings.Contains(out, secret) || strings.Contains(out, jwt) {
			t.Errorf("log: %s", out)
		}
		if !json.Valid(b.Bytes()) {
			t.Errorf("no JSON: %s", &b)
		}
	})
}

// suspicious must not miss what the expression would find.
func FuzzSuspicious(f *testing.F) {
	for _, s := range []string{jwt, "ak_0123456789abcdef", "//u:p@h", "a%40b.c", "rk_live_1", "whsec_1", "cso_0123456789abcdef"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if secretForm.MatchString(s) && !suspicious(s) {
			t.Errorf("%q is missed", s)
		}
	})
}

func TestInnocentRecordsCostNoAllocation(t *testing.T) {
	h := Redact(slog.DiscardHandler)
	r := slog.NewRecord(time.Time{}, slog.LevelInfo, "request", 0)
	r.AddAttrs(slog.String("method", "GET"), slog.String("pattern", "GET /api/users/{id}"), slog.Int("status", 200))
	if got := testing.AllocsPerRun(100, func() { _ = h.Handle(t.Context(), r) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkRedact(b *testing.B) {
	h := Redact(slog.DiscardHandler)
	attrs := []slog.Attr{
		slog.String("method", "GET"), slog.String("pattern", "GET /api/users/{id}"), slog.Int("status", 200), slog.Int64("bytes", 5120),
		slog.Float64("duration_ms", 0.25), slog.String("request_id", "7YQ2MZKV5T3XW4RN6BHJ8CDPFA"), slog.String("client_ip", "203.0.113.9"),
	}
	for name, last := range map[string]slog.Attr{"innocent": slog.String("code", "ok"), "secret": slog.Any("error", errors.New("bad "+jwt))} {
		b.Run(name, func(b *testing.B) {
			r := slog.NewRecord(time.Time{}, slog.LevelInfo, "request", 0)
			r.AddAttrs(append(attrs, last)...)
			b.ReportAllocs()
			for b.Loop() {
				_ = h.Handle(b.Context(), r)
			}
		})
	}
}
