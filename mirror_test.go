package clerksync_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	svix "github.com/svix/svix-webhooks/go"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/internal/web"
)

// bench is a mirror behind a real HTTP server, and an instance that signs for it.
type bench struct {
	*testing.T
	m        *clerksync.Mirror
	instance *testInstance
	driver   string // of database/sql, to look at the tables behind the mirror's back
	dsn      string
	url      string
	logs     *testenv.Logs
	serial   int
	ahead    atomic.Int64 // how far the mirror's clock is ahead, in nanoseconds
}

// onBothEngines runs a test with a bench on each engine.
func onBothEngines(t *testing.T, configure func(*clerksync.Config), test func(b *bench)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		instance, err := newTestInstance()
		if err != nil {
			t.Fatal(err)
		}
		key, err := instance.PublicPEM()
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{T: t, driver: d.Driver, dsn: d.DSN, instance: instance, logs: &testenv.Logs{}}
		config := clerksync.Config{WebhookSecrets: []string{instance.WebhookSecret}, JWTKey: key, Issuer: instance.Issuer, Logger: b.logs.Logger()}
		config.Test.Now = func() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }
		if configure != nil {
			configure(&config)
		}
		if b.m, err = clerksync.New(t.Context(), driver.NewHandle(d.Connect(t)), config); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.m.Close() })
		mux := http.NewServeMux()
		mux.Handle("/api/webhooks/clerk", b.m.WebhookHandler())
		mux.Handle("GET /api/auth/me", b.m.MeHandler())
		mux.Handle("GET /health", b.m.HealthHandler())
		mux.Handle("GET /deals", b.m.Require(auth.MinRole("growth"))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, _ := clerksync.UserFromContext(r.Context())
			fmt.Fprint(w, user.FirstName)
		})))
		server := httptest.NewServer(web.Standard(web.Config{Logger: b.logs.Logger()}, web.NotFoundAndMethod(mux)))
		t.Cleanup(server.Close)
		b.url = server.URL
		test(b)
	})
}

// send signs a body with the official library and answers status and body.
func (b *bench) send(id string, body []byte, change func(*http.Request)) (int, map[string]any) {
	b.Helper()
	signer, err := svix.NewWebhook(b.instance.WebhookSecret)
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	signature, err := signer.Sign(id, now, body)
	if err != nil {
		b.Fatal(err)
	}
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, b.url+"/api/webhooks/clerk", bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Svix-Id", id)
	r.Header.Set("Svix-Timestamp", strconv.FormatInt(now.Unix(), 10))
	r.Header.Set("Svix-Signature", signature)
	if change != nil {
		change(r)
	}
	return b.do(r)
}

func (b *bench) event(body string) (int, map[string]any) {
	b.Helper()
	b.serial++
	return b.send(fmt.Sprintf("msg_%d", b.serial), []byte(body), nil)
}

func (b *bench) get(path, token string) (int, map[string]any) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, b.url+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return b.do(r)
}

func (b *bench) do(r *http.Request) (int, map[string]any) {
	b.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.Fatal(err)
	}
	answer := map[string]any{"header": response.Header, "text": string(text)}
	_ = json.Unmarshal(text, &answer) // text that is no JSON is looked at as it is
	return response.StatusCode, answer
}

func TestPayloadsOfClerk(t *testing.T) {
	t.Parallel()
	files := payloadFiles(t)
	onBothEngines(t, nil, func(b *bench) {
		for i, file := range files {
			body, err := os.ReadFile(file)
			if err != nil {
				b.Fatal(err)
			}
			want := "processed"
			if name := filepath.Base(file); strings.HasPrefix(name, "email.") || strings.HasPrefix(name, "sms.") {
				want = "ignored"
			}
			for _, want := range []string{want, "duplicate"} {
				if status, answer := b.send(fmt.Sprintf("msg_p%d", i), body, nil); status != 200 || answer["status"] != want {
					b.Errorf("%s: %d %v, want %s", file, status, answer, want)
				}
			}
		}
		counts, err := b.m.Counts(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if counts.Deliveries["dead"] != 0 || counts.Live["organization_membership"] > 3 {
			b.Errorf("after all payloads: %+v", counts)
		}
		grace, err := b.m.Users().ByEmail(b.Context(), "grace@example.com")
		if err != nil || grace.FirstName != "Grace" {
			b.Errorf("Grace is %+v, %v", grace, err)
		}
		if _, err := b.m.Users().ByEmail(b.Context(), "ada@example.com"); clerksync.ErrorCode(err) != "not_found" {
			b.Errorf("Ada was deleted in the story, but: %v", err)
		}
	})
}

func TestBadWebhooksChangeNothing(t *testing.T) {
	t.Parallel()
	const good = `{"type":"user.created","object":"event","timestamp":1780000000000,"data":{"id":"user_1","object":"user"}}`
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	cases := []struct {
		name   string
		body   string
		change func(*http.Request)
		status int
		code   string
	}{
		{"no headers", good, func(r *http.Request) { r.Header = http.Header{} }, 400, "invalid_signature"},
		{"one header missing", good, func(r *http.Request) { r.Header.Del("Svix-Id") }, 400, "invalid_signature"},
		{"two families", good, set("Webhook-Id", "msg_x"), 400, "invalid_signature"},
		{"bad base64", good, set("Svix-Signature", "v1,%%%"), 400, "invalid_signature"},
		{"other timestamp", good, set("Svix-Timestamp", strconv.FormatInt(time.Now().Unix()-1, 10)), 400, "invalid_signature"},
		{"body altered", good, func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(good[:len(good)-1] + " ")) }, 400, "invalid_signature"},
		{"empty", "", nil, 400, "invalid_json"},
		{"not JSON", "hello", nil, 400, "invalid_json"},
		{"an array", "[" + good + "]", nil, 400, "invalid_json"},
		{"deep", strings.Repeat("[", 200000), nil, 400, "invalid_json"},
		{"deep object", strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200), nil, 400, "invalid_json"},
		{"invalid UTF-8", `{"type":"` + "\xff" + `"}`, nil, 400, "invalid_json"},
		{"type missing", `{"data":{"id":"user_1"}}`, nil, 400, "invalid_event"},
		{"data missing", `{"type":"user.created"}`, nil, 400, "invalid_event"},
		{"data null", `{"type":"user.created","data":null}`, nil, 400, "invalid_event"},
		{"data a string", `{"type":"user.created","data":"user_1"}`, nil, 400, "invalid_event"},
		{"id missing", `{"type":"user.created","data":{"object":"user"}}`, nil, 400, "invalid_event"},
		{"id missing in a deletion", `{"type":"user.deleted","data":{"deleted":true}}`, nil, 400, "invalid_event"},
		{"another kind", `{"type":"user.created","data":{"id":"org_1","object":"organization"}}`, nil, 400, "invalid_event"},
		{"GET", good, func(r *http.Request) { r.Method = http.MethodGet }, 405, "method_not_allowed"},
		{"encoded", good, set("Content-Encoding", "gzip"), 415, ""},
		{"too big", `{"x":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413, ""},
	}
	onBothEngines(t, nil, func(b *bench) {
		dead := 0
		for i, c := range cases {
			status, answer := b.send(fmt.Sprintf("msg_bad%d", i), []byte(c.body), c.change)
			if status != c.status || c.code != "" && answer["code"] != c.code {
				b.Errorf("%s: %d %v, want %d %s", c.name, status, answer["text"], c.status, c.code)
			}
			header := answer["header"].(http.Header)
			if got := header.Get("Content-Type"); got != "application/problem+json" {
				b.Errorf("%s: content type %q", c.name, got)
			}
			aborts := header.Get("Webhook-Delivery") == "abort-message"
			if aborts != (c.code == "invalid_event") {
				b.Errorf("%s: aborts the message: %v", c.name, aborts)
			}
			if aborts {
				dead++
			}
		}
		counts, err := b.m.Counts(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if counts.Live["user"] != 0 || counts.Live["organization"] != 0 || counts.Deliveries["dead"] != int64(dead) {
			b.Errorf("after bad webhooks: %+v, want %d dead letters alone", counts, dead)
		}
	})
}

func TestOddButRightWebhooks(t *testing.T) {
	t.Parallel()
	onBothEngines(t, nil, func(b *bench) {
		for name, body := range map[string]string{
			"big metadata": `{"type":"user.created","data":{"id":"user_big","public_metadata":{"x":"` + strings.Repeat("x", 300_000) + `"}}}`,
			"NUL":          `{"type":"user.created","data":{"id":"user_nul","first_name":"a\u0000b\udc00"}}`,
			"text times":   `{"type":"user.created","timestamp":"2026-05-28T20:26:45Z","data":{"id":"user_t","created_at":"2026-05-28T20:26:45Z","updated_at":-5,"last_sign_in_at":1e300}}`,
		} {
			if status, answer := b.event(body); status != 200 || answer["status"] != "processed" {
				b.Errorf("%s: %d %v", name, status, answer["text"])
			}
		}
		if status, answer := b.event(`{"type":"user.frobnicated","data":{"id":"user_x"}}`); status != 200 || answer["status"] != "ignored" {
			b.Errorf("unknown type: %d %v", status, answer["text"])
		}
		u, err := b.m.Users().ByClerkID(b.Context(), "user_t")
		if err != nil || clerk.TimeOf(u.CreatedAt).String() != "2026-05-28T20:26:45.000Z" || !u.UpdatedAt.IsZero() || !u.LastLoginAt.IsZero() {
			b.Errorf("times: %+v, %v", u, err)
		}
	})
}

func TestAlteredDuplicateIsKeptApart(t *testing.T) {
	t.Parallel()
	onBothEngines(t, nil, func(b *bench) {
		body := func(name string) []byte {
			return []byte(`{"type":"user.created","data":{"id":"user_1","updated_at":1780000000000,"first_name":"` + name + `"}}`)
		}
		b.send("msg_same", body("Ada"), nil)
		if status, answer := b.send("msg_same", body("Eve"), nil); status != 200 || answer["status"] != "quarantined" {
			b.Errorf("altered duplicate: %d %v", status, answer["text"])
		}
		if u, err := b.m.Users().ByClerkID(b.Context(), "user_1"); err != nil || u.FirstName != "Ada" {
			b.Errorf("user %q, %v; want Ada", u.FirstName, err)
		}
	})
}

func TestForeignInstanceIsQuarantined(t *testing.T) {
	t.Parallel()
	pinned := func(c *clerksync.Config) { c.InstanceID = "ins_ours" }
	onBothEngines(t, pinned, func(b *bench) {
		if status, answer := b.event(`{"type":"user.created","instance_id":"ins_theirs","data":{"id":"user_1"}}`); status != 200 || answer["status"] != "quarantined" {
			b.Errorf("%d %v", status, answer["text"])
		}
		if _, err := b.m.Users().ByClerkID(b.Context(), "user_1"); clerksync.ErrorCode(err) != "not_found" {
			b.Errorf("a foreign user was stored: %v", err)
		}
		if _, answer := b.get("/health", ""); !strings.Contains(answer["text"].(string), `"foreign_instance"`) {
			b.Errorf("health does not warn: %v", answer["text"])
		}
	})
}

func TestWhoCalls(t *testing.T) {
	t.Parallel()
	onBothEngines(t, nil, func(b *bench) {
		const ada, grace, session, organization = "user_ada", "user_grace", "sess_ada", "org_engines"
		for _, event := range []string{ // late, and out of order
			`{"type":"session.created","timestamp":1780000050000,"data":{"id":"sess_ada","user_id":"user_ada","status":"active","created_at":1780000050000,"updated_at":1780000050000}}`,
			`{"type":"user.updated","timestamp":1780000070000,"data":{"id":"user_ada","first_name":"Ada","primary_email_address_id":"idn_1","email_addresses":[{"id":"idn_1","email_address":"ada@example.com"}],"public_metadata":{"role":"growth"},"updated_at":1780000070000}}`,
			`{"type":"user.updated","timestamp":1780000060000,"data":{"id":"user_ada","first_name":"Augusta","public_metadata":{},"updated_at":1780000060000}}`,
			`{"type":"organizationMembership.created","timestamp":1780000061000,"data":{"id":"orgmem_1","role":"org:admin","organization":{"id":"org_engines"},"public_user_data":{"user_id":"user_ada"},"updated_at":1780000061000}}`,
			`{"type":"user.deleted","timestamp":1780000080000,"data":{"id":"user_grace","deleted":true}}`,
			`{"type":"user.updated","timestamp":1780000075000,"data":{"id":"user_grace","first_name":"Grace","updated_at":1780000075000}}`,
		} {
			if status, answer := b.event(event); status != 200 {
				b.Fatalf("%s: %v", event, answer["text"])
			}
		}
		token := func(user, sid string, life time.Duration) string {
			text, err := b.instance.Token(user, sid, time.Now(), life)
			if err != nil {
				b.Fatal(err)
			}
			return text
		}
		stranger, err := newTestInstance()
		if err != nil {
			b.Fatal(err)
		}
		forged, err := stranger.Token(ada, session, time.Now(), time.Minute)
		if err != nil {
			b.Fatal(err)
		}
		for name, c := range map[string]struct {
			token, code, detail string
			status              int
		}{
			"none":       {"", "authentication_required", "Authentication required", 401},
			"valid":      {token(ada, session, time.Minute), "", "", 200},
			"expired":    {token(ada, session, -time.Minute), "invalid_token", "Invalid authentication token", 401},
			"forged":     {forged, "invalid_token", "Invalid authentication token", 401},
			"garbage":    {"abc", "invalid_token", "Invalid authentication token", 401},
			"no session": {token(ada, "", time.Minute), "invalid_token_payload", "Invalid token payload", 401},
			"unknown":    {token("user_nobody", "sess_x", time.Minute), "user_not_registered", "User not registered", 401},
			"deleted":    {token(grace, "sess_y", time.Minute), "user_inactive", "User is not active", 401},
		} {
			status, answer := b.get("/api/auth/me", c.token)
			code, _ := answer["code"].(string)
			detail, _ := answer["detail"].(string)
			if status != c.status || code != c.code || detail != c.detail {
				b.Errorf("%s: %d %v, want %d %s %q", name, status, answer["text"], c.status, c.code, c.detail)
			}
			if status == 401 && answer["header"].(http.Header).Get("Www-Authenticate") != map[bool]string{true: "Bearer", false: `Bearer error="invalid_token"`}[code == "authentication_required"] {
				b.Errorf("%s: no challenge", name)
			}
			if status == 200 && (answer["role"] != "growth" || answer["email"] != "ada@example.com" || answer["organization_id"] != organization) {
				b.Errorf("me: %v", answer["text"])
			}
		}
		if status, answer := b.get("/deals", token(ada, session, time.Minute)); status != 200 || answer["text"] != "Ada" {
			b.Errorf("deals: %d %v", status, answer["text"])
		}
		b.event(`{"type":"session.revoked","data":{"id":"` + session + `","user_id":"` + ada + `","status":"revoked"}}`)
		if status, answer := b.get("/api/auth/me", token(ada, session, time.Minute)); status != 401 || answer["code"] != "session_ended" {
			b.Errorf("after the revocation was answered 2xx: %d %v", status, answer["text"])
		}
		b.logs.MustNotContain(b, "ada@example.com", b.instance.WebhookSecret, "eyJ")
	})
}

func TestWithoutWebhookSecretNothingIsStored(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(c *clerksync.Config) { c.WebhookSecrets = []string{""} }, func(b *bench) {
		if status, answer := b.event(`{"type":"user.created","data":{"id":"user_1"}}`); status != 500 || answer["code"] != "webhook_secret_unset" {
			b.Errorf("%d %v", status, answer["text"])
		}
		if status, answer := b.get("/health", ""); status != 200 || !strings.Contains(answer["text"].(string), `"webhook_secret_unset"`) {
			b.Errorf("health: %d %v", status, answer["text"])
		}
	})
}

func TestRoleLadder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clerk.db")
	open := func(roles ...string) *clerksync.Mirror {
		db, err := sqlite.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		config := clerksync.Config{Roles: roles}
		if err := clerksync.Migrate(t.Context(), driver.NewHandle(db), config); err != nil {
			t.Fatal(err)
		}
		m, err := clerksync.New(t.Context(), driver.NewHandle(db), config)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := open("low", "high")
	user, err := m.Users().Apply(t.Context(), json.RawMessage(`{"object":"user","id":"user_1","public_metadata":{"role":"boss"},"unsafe_metadata":{"role":"high"}}`))
	if err != nil || user.Role != "low" {
		t.Fatalf("role %q, %v; want the lowest", user.Role, err)
	}
	if counts, err := m.Counts(t.Context()); err != nil || counts.RolesRejected != 1 {
		t.Errorf("rejected roles: %+v, %v", counts, err)
	}
	_ = m.Close()
	m = open("low", "boss")
	defer m.Close()
	if user, err = m.Users().ByClerkID(t.Context(), "user_1"); err != nil || user.Role != "boss" {
		t.Errorf("after the ladder changed: %q, %v; want boss", user.Role, err)
	}
	if err := m.Users().Delete(t.Context(), "user_1"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Users().Apply(t.Context(), json.RawMessage(`{"object":"user","id":"user_1"}`)); clerksync.ErrorCode(err) != "not_found" {
		t.Errorf("a deleted user came back: %v", err)
	}
}
