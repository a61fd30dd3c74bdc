package clerksync_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/webhook"
)

// A hundred requests at a time, some of which hang up, wait for one look at a database that does
// not answer, and that for a second: they do not wait in a row.
func TestHealthDoesNotWaitForAHangingDatabase(t *testing.T) {
	t.Parallel()
	for name, sleep := range map[string]time.Duration{"for ever": 0, "until the statement is cancelled": 2 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d, db := openHanging(t)
				m, err := clerksync.New(t.Context(), driver.NewHandle(db), clerksync.Config{})
				if err != nil {
					t.Fatal(err)
				}
				ask := func(ctx context.Context, h http.Handler) *httptest.ResponseRecorder {
					w := httptest.NewRecorder()
					h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
					return w
				}
				if w := ask(t.Context(), m.ReadyHandler()); w.Code != http.StatusOK {
					t.Fatalf("before: %d %s", w.Code, w.Body)
				}
				pass(10 * time.Second)
				released := make(chan struct{})
				d.stop(func() {
					if sleep > 0 {
						pass(sleep)
					} else {
						<-released
					}
				})
				for round := range 3 {
					began := time.Now()
					var all sync.WaitGroup
					for i := range 100 {
						all.Go(func() {
							ctx, hangUp := context.WithCancel(t.Context())
							defer hangUp()
							if i%10 == 0 {
								time.AfterFunc(10*time.Millisecond, hangUp)
							}
							if i%2 == 0 {
								if w := ask(ctx, m.HealthHandler()); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"ok":false`) {
									t.Errorf("health: %d %s", w.Code, w.Body)
								}
							} else if w := ask(ctx, m.ReadyHandler()); w.Code != http.StatusServiceUnavailable {
								t.Errorf("ready: %d %s", w.Code, w.Body)
							}
						})
					}
					all.Wait()
					if took := time.Since(began); took > 1200*time.Millisecond {
						t.Errorf("round %d took %s", round, took)
					}
				}
				d.stop(nil)
				close(released)
				pass(time.Minute)
				if w := ask(t.Context(), m.ReadyHandler()); w.Code != http.StatusOK {
					t.Errorf("once it answers again: %d %s", w.Code, w.Body)
				}
				if err := m.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// healthOf is what /health answers, with the warnings by code.
type healthOf struct {
	Status   string
	Database struct {
		OK bool
	}
	Warnings []struct{ Code, Severity, Message, Remedy string }
	text     string
}

func (h healthOf) warning(code string) (severity string, found bool) {
	i := slices.IndexFunc(h.Warnings, func(w struct{ Code, Severity, Message, Remedy string }) bool { return w.Code == code })
	if i < 0 {
		return "", false
	}
	return h.Warnings[i].Severity, true
}

func askHealth(t *testing.T, m *clerksync.Mirror) (h healthOf) {
	t.Helper()
	w := httptest.NewRecorder()
	m.HealthHandler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/health", nil))
	if err := json.Unmarshal(w.Body.Bytes(), &h); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	h.text = w.Body.String()
	return h
}

// A mirror that was made today, and one that has just started, has no reason to miss yesterday's
// events.
func TestYoungMirrorDoesNotComplainOfSilence(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clerk.db")
	now := time.Now()
	open := func() *clerksync.Mirror {
		db, err := sqlite.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		m, err := clerksync.New(t.Context(), driver.NewHandle(db), clerksync.Config{
			WebhookSecrets: []string{"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"}, Test: clerksync.TestConfig{Now: func() time.Time { return now }},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Close() })
		return m
	}
	silent := func(m *clerksync.Mirror, want bool, when string) {
		t.Helper()
		if _, got := askHealth(t, m).warning("silence"); got != want {
			t.Errorf("%s: silence is told: %v", when, got)
		}
	}
	m := open()
	m.WebhookHandler()
	silent(m, false, "just made")
	now = now.Add(23 * time.Hour)
	silent(m, false, "after 23 hours")
	now = now.Add(2 * time.Hour)
	silent(m, true, "after 25 hours")

	restarted := open()
	restarted.WebhookHandler()
	silent(restarted, false, "just restarted")
	silent(open(), true, "for a command, which takes no webhooks")
	now = now.Add(25 * time.Hour)
	silent(restarted, true, "a day after the restart")
}

// What the operator chose is told, but is no harm.
func TestChoicesDoNotDegrade(t *testing.T) {
	t.Parallel()
	db, err := sqlite.Open(sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), driver.NewHandle(db), clerksync.Config{
		FrontendAPI:    "https://clerk.example.com",
		WebhookSecrets: []string{"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	h := askHealth(t, m)
	if severity, found := h.warning("issuer_unset"); h.Status != "ok" || !found || severity != "info" {
		t.Errorf("health is %s", h.text)
	}
}

// deliver posts a webhook with some headers.
func deliver(t *testing.T, m *clerksync.Mirror, change func(http.Header)) int {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/webhooks/clerk", strings.NewReader(`{"type":"user.created"}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Svix-Id", "msg_1")
	r.Header.Set("Svix-Timestamp", strconv.FormatInt(time.Now().Unix(), 10))
	r.Header.Set("Svix-Signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	if change != nil {
		change(r.Header)
	}
	w := httptest.NewRecorder()
	m.WebhookHandler().ServeHTTP(w, r)
	return w.Code
}

// A wrong secret is a warning at once. Requests of strangers who do not know how a delivery looks
// are none.
func TestRefusedSignaturesAreWarnedOf(t *testing.T) {
	t.Parallel()
	const code = "webhook_signatures_refused"
	onBothEngines(t, nil, func(b *bench) {
		told := func(m *clerksync.Mirror) (h healthOf, severity string, found bool) {
			for range 20 { // a database that does not answer within a second hides the warning
				b.ahead.Add(int64(time.Second)) // health is kept for that long
				if h = askHealth(b.T, m); h.Database.OK {
					break
				}
			}
			severity, found = h.warning(code)
			return h, severity, found
		}
		for name, change := range map[string]func(http.Header){
			"no headers":      func(h http.Header) { h.Del("Svix-Id"); h.Del("Svix-Timestamp"); h.Del("Svix-Signature") },
			"a stale time":    func(h http.Header) { h.Set("Svix-Timestamp", "1700000000") },
			"a time to come":  func(h http.Header) { h.Set("Svix-Timestamp", "99999999999") },
			"no number":       func(h http.Header) { h.Set("Svix-Timestamp", "now") },
			"an odd id":       func(h http.Header) { h.Set("Svix-Id", "msg 1") },
			"two signatures":  func(h http.Header) { h.Add("Svix-Signature", "v1,x") },
			"a long one":      func(h http.Header) { h.Set("Svix-Signature", strings.Repeat("v1,x ", 1000)) },
			"both families":   func(h http.Header) { h.Set("Webhook-Id", "msg_1") },
			"no v1 signature": func(h http.Header) { h.Set("Svix-Signature", "hello v1,aGVsbG8=") },
		} {
			if status := deliver(b.T, b.m, change); status != http.StatusBadRequest {
				b.Errorf("%s: %d", name, status)
			}
		}
		if h, _, found := told(b.m); found {
			b.Errorf("noise is told: %s", h.text)
		}
		deliver(b.T, b.m, nil)
		if h, severity, found := told(b.m); !found || severity != "error" || h.Status != "degraded" || !strings.Contains(h.text, "1 delivery was refused at 20") ||
			!strings.Contains(h.text, "that of another endpoint") {
			b.Errorf("with no delivery ever accepted: %s", h.text)
		}
		if status, answer := b.event(`{"type":"user.created","data":{"id":"user_1"}}`); status != http.StatusOK {
			b.Fatalf("%d %v", status, answer)
		}
		if h, _, found := told(b.m); found {
			b.Errorf("after one was accepted: %s", h.text)
		}
		for n := range 30 { // a stranger's among those that are accepted
			deliver(b.T, b.m, nil)
			if h, _, found := told(b.m); found {
				b.Fatalf("after %d that were accepted: %s", n, h.text)
			}
			if status, answer := b.event(`{"type":"user.updated","data":{"id":"user_1"}}`); status != http.StatusOK {
				b.Fatalf("%d %v", status, answer)
			}
		}
		b.ahead.Add(int64(time.Second)) // later than the one that was accepted, on a fast machine too
		for range 3 {
			deliver(b.T, b.m, nil)
		}
		b.ahead.Add(int64(15 * time.Second))
		h, severity, found := told(b.m)
		if !strings.Contains(h.text, "Deliveries were accepted until 20") {
			b.Errorf("the cause is not named: %s", h.text)
		}
		if !found || severity != "warning" || !strings.Contains(h.text, "3 deliveries were refused since 20") {
			b.Errorf("refused after others were accepted: %s", h.text)
		}
	})
}

// What a server refuses, a command tells too, which is another process; what has ended there, has
// ended here.
func TestIncidentsReachOtherProcesses(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		var moved atomic.Int64
		start := func(secret string) *clerksync.Mirror {
			m, err := clerksync.New(t.Context(), driver.NewHandle(d.Connect(t)), clerksync.Config{
				WebhookSecrets: []string{secret}, Test: clerksync.TestConfig{Now: func() time.Time { return time.Now().Add(time.Duration(moved.Load())) }},
			})
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		told := func(m *clerksync.Mirror, count string) {
			t.Helper()
			moved.Add(int64(time.Second))
			h := askHealth(t, m)
			if _, found := h.warning("webhook_signatures_refused"); found != (count != "") || !strings.Contains(h.text, count) {
				t.Errorf("want %q in %s", count, h.text)
			}
		}
		const wrong, right = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz", "whsec_plJ3nmyCDGBKInavdOK15jsl"
		server, command := start(wrong), start("")
		defer command.Close()
		for range 3 {
			deliver(t, server, nil)
		}
		told(server, "3 deliveries")
		if err := server.Close(); err != nil { // what waits is written
			t.Error(err)
		}
		told(command, "3 deliveries")

		server = start(right)
		defer server.Close()
		told(server, "3 deliveries")
		signer, err := webhook.NewSigner(right)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now().Add(time.Duration(moved.Load()))
		status := deliver(t, server, func(h http.Header) {
			maps.Copy(h, signer.Sign("msg_2", now, []byte(`{"type":"user.created"}`)))
		})
		if status != http.StatusBadRequest { // it lacks data, and is stored all the same
			t.Fatalf("answered %d", status)
		}
		told(server, "")
		told(command, "")

		deliver(t, server, nil)
		moved.Add(int64(15 * time.Second))
		told(server, "1 delivery")
		moved.Add(int64(25 * time.Hour))
		told(server, "")
	})
}

// A flood of refused deliveries is one small write every few seconds.
func TestIncidentsAreWrittenSeldom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, db := openHanging(t)
		m, err := clerksync.New(t.Context(), driver.NewHandle(db), clerksync.Config{WebhookSecrets: []string{"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"}})
		if err != nil {
			t.Fatal(err)
		}
		before, err := db.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 600 {
			deliver(t, m, nil)
			pass(100 * time.Millisecond)
		}
		pass(time.Minute)
		after, err := db.Head(t.Context())
		if n := after.Writes - before.Writes; n < 2 || n > 14 || err != nil {
			t.Errorf("%d writes in a minute, %v", n, err)
		}
		row, err := db.Meta(t.Context(), "incidents")
		if !strings.Contains(row, `"count":600`) || len(row) > 200 || err != nil {
			t.Errorf("kept is %s, %v", row, err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Clerk's refusal of the secret key is a warning, whichever request met it, until Clerk takes a key
// again.
func TestRefusedSecretKeyIsWarnedOf(t *testing.T) {
	t.Parallel()
	c := clerktest.New(t)
	var status atomic.Int64
	var refusedPath atomic.Value
	refusedPath.Store("")
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if code := int(status.Load()); code != 0 && strings.HasPrefix(r.URL.Path, refusedPath.Load().(string)) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			_, _ = w.Write([]byte(`{"errors":[{"code":"authentication_invalid","message":"no"}]}`))
			return
		}
		c.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	var moved atomic.Int64
	g := openGate(t, c, func(config *clerksync.Config) {
		config.APIURL, config.APIBudget, config.JWTKey, config.JWKSURL = front.URL, 1, "", ""
		config.Test.Now = func() time.Time { return time.Now().Add(time.Duration(moved.Load())) }
	})
	told := func(want bool, when string) {
		t.Helper()
		moved.Add(int64(time.Second))
		h := askHealth(t, g.m)
		if severity, found := h.warning("secret_key_refused"); found != want || found && severity != "error" {
			t.Errorf("%s: %s", when, h.text)
		}
	}
	backfill := func() { _, _ = g.m.Sync().Backfill(t.Context(), nil) }
	told(false, "before anything was asked")
	for _, code := range []int64{http.StatusUnauthorized, http.StatusForbidden} {
		status.Store(code)
		if g.m.FetchKeys(t.Context()) == nil {
			t.Error("the keys were fetched")
		}
		told(true, "the token keys")
		status.Store(0)
		if err := g.m.FetchKeys(t.Context()); err != nil {
			t.Error(err)
		}
		told(false, "the token keys could be fetched again")
		status.Store(code)
		backfill()
		told(true, "a read in the background")
		status.Store(0)
		backfill()
		told(false, "a read that succeeded")
	}
	status.Store(http.StatusForbidden)
	refusedPath.Store("/v1/organization")
	backfill()
	told(false, "organizations are switched off")
}

// Strangers learn of a production instance that it lives, and no more.
func TestPublicHealthOfAProductionInstance(t *testing.T) {
	t.Parallel()
	for key, want := range map[string][]string{
		"sk_live_x": {"database", "status"}, "sk_test_x": {"database", "status", "warnings"}, "": {"database", "status", "warnings"},
	} {
		db, err := sqlite.Open(sqlite.Memory)
		if err != nil {
			t.Fatal(err)
		}
		m, err := clerksync.New(t.Context(), driver.NewHandle(db), clerksync.Config{SecretKey: key})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		w := httptest.NewRecorder()
		m.HealthHandler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/health", nil))
		var answer map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(answer)); !slices.Equal(got, want) || answer["status"] != "degraded" {
			t.Errorf("key %q: %s", key, w.Body)
		}
		if len(m.Health(t.Context()).Warnings) == 0 {
			t.Errorf("key %q: operators are not warned either", key)
		}
	}
}

// An unreachable database is named in health, without its password.
func TestHealthNamesAnUnreachableDatabase(t *testing.T) {
	t.Parallel()
	server := testenv.NewPostgresServer(t, testenv.ServerOptions{})
	db, err := postgres.Open(server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), driver.NewHandle(db), clerksync.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	server.Stop()
	h := askHealth(t, m)
	if _, found := h.warning("database"); !found || h.Database.OK || !strings.Contains(h.text, "Postgres at postgres:///") || !strings.Contains(h.text, "Start Postgres") {
		t.Errorf("health is %s", h.text)
	}
}

// Warnings about other parts of the program are among those of the mirror, sorted by severity, and
// one that is an error makes the state degraded.
func TestWarningsOfOtherParts(t *testing.T) {
	t.Parallel()
	var others atomic.Pointer[[]mirror.Warning]
	others.Store(&[]mirror.Warning{})
	now := time.Now()
	m, err := clerksync.New(t.Context(), driver.NewHandle(testkit.NewDatabase(t, "sqlite").Connect(t)), clerksync.Config{
		Warnings: func() []mirror.Warning { return *others.Load() },
		Test:     clerksync.TestConfig{Now: func() time.Time { return now }},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	before := m.Health(t.Context())
	others.Store(&[]mirror.Warning{{Code: "minor", Severity: mirror.SeverityInfo}, {Code: "broken", Severity: mirror.SeverityError}})
	now = now.Add(time.Minute) // health is remembered for a second
	after := m.Health(t.Context())
	if len(after.Warnings) != len(before.Warnings)+2 || after.Warnings[len(after.Warnings)-1].Code != "minor" || after.Status != "degraded" {
		t.Errorf("got %+v, without them %+v", after, before)
	}
	broken := slices.IndexFunc(after.Warnings, func(w mirror.Warning) bool { return w.Code == "broken" })
	if broken < 0 || broken > 0 && after.Warnings[broken-1].Severity != mirror.SeverityError {
		t.Errorf("got %+v", after.Warnings)
	}
}
