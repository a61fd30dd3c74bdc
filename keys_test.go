package clerksync_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
)

// fetching is a gate whose keys are fetched from a Clerk that can be made unreachable, with a clock
// of its own.
type fetching struct {
	*gate
	down  atomic.Bool
	moved atomic.Int64
}

func newFetching(t *testing.T) *fetching {
	t.Helper()
	f := &fetching{}
	c := clerktest.New(t)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.down.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		c.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	f.gate = openGate(t, c, func(config *clerksync.Config) {
		config.APIURL, config.JWTKey = front.URL, ""
		config.Test.Now = func() time.Time { return time.Now().Add(time.Duration(f.moved.Load())) }
	})
	c.SendTo(f.m.WebhookHandler())
	return f
}

// later lets waits for the next attempt pass, and what health remembers.
func (f *fetching) later() { f.moved.Add(int64(time.Minute)) }

func (f *fetching) ready() bool {
	f.Helper()
	return readiness(f.T, f.m) == http.StatusOK
}

func readiness(t *testing.T, m *clerksync.Mirror) int {
	t.Helper()
	w := httptest.NewRecorder()
	m.ReadyHandler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil))
	return w.Code
}

// Clerk's keys cannot be fetched and none is known: that is no fault of the token. A client that
// was told 401 would sign people out.
func TestUnreachableKeysAreNoFaultOfTheToken(t *testing.T) {
	t.Parallel()
	f := newFetching(t)
	life := 3 * 24 * 3600
	token := f.clerk.TokenFor(clerktest.TokenOptions{UserID: f.clerk.CreateUser(clerktest.User{Email: "ada@example.com"}), ExpiresIn: &life})
	f.clerk.Settle()
	f.down.Store(true)
	if strings.Contains(health(t, f.m), "keys_unavailable") {
		t.Error("a warning before anything was tried")
	}
	w, p := f.try(token, nil, nil)
	if w.Code != http.StatusServiceUnavailable || p["code"] != "keys_unavailable" || w.Header().Get("Retry-After") == "" ||
		w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("answered %d %v %v, want 503 keys_unavailable with Retry-After", w.Code, p, w.Header())
	}
	f.refused("", nil, http.StatusUnauthorized, "authentication_required")
	f.later()
	if !strings.Contains(health(t, f.m), "keys_unavailable") {
		t.Error("health does not warn")
	}
	if f.ready() {
		t.Error("ready without keys")
	}
	f.down.Store(false)
	f.later()
	for deadline := time.Now().Add(10 * time.Second); !f.ready(); { // being asked makes it fetch
		if time.Now().After(deadline) {
			t.Fatal("never ready, though the keys can be fetched")
		}
	}
	f.passes(token, nil)
	f.down.Store(true) // keys that are there serve on
	f.later()
	f.passes(token, nil)
	if !f.ready() || strings.Contains(health(t, f.m), "keys_unavailable") {
		t.Error("an outage takes keys away that are known")
	}
	f.moved.Add(int64(25 * time.Hour))
	f.refused(token, nil, http.StatusServiceUnavailable, "keys_unavailable")
	if !strings.Contains(health(t, f.m), "keys_unavailable") {
		t.Error("health does not warn of keys that are too old")
	}
}

// Where no key is configured no token can be verified, which is no fault of the token either.
func TestNoKeysConfigured(t *testing.T) {
	t.Parallel()
	g := openGate(t, clerktest.New(t), func(c *clerksync.Config) { c.JWTKey, c.SecretKey = "", "" })
	g.refused("a.b.c", nil, http.StatusServiceUnavailable, "keys_unavailable")
	if !strings.Contains(health(t, g.m), "keys_unavailable") {
		t.Error("health does not warn")
	}
}

// Only keys that are fetched are waited for.
func TestReadyWithConfiguredKey(t *testing.T) {
	t.Parallel()
	g := openGateAt(t, clerktest.New(t), filepath.Join(t.TempDir(), "clerk.db"))
	if status := readiness(t, g.m); status != http.StatusOK || strings.Contains(health(t, g.m), "keys_unavailable") {
		t.Errorf("readiness %d, %s", status, health(t, g.m))
	}
}

// Native apps have no page. The setting lets their tokens in by the header, never in a cookie, and
// health says so.
func TestTokensWithoutAuthorizedParty(t *testing.T) {
	t.Parallel()
	for _, allowed := range []bool{false, true} {
		g := newGate(t, func(c *clerksync.Config) {
			c.AuthorizedParties, c.DangerouslyAllowMissingAuthorizedParty = []string{appOrigin}, allowed
		})
		token := g.clerk.TokenFor(clerktest.TokenOptions{UserID: g.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})})
		g.clerk.Settle()
		if w, _ := g.try(token, nil, nil); (w.Code == http.StatusOK) != allowed {
			t.Errorf("allowed %t: %d", allowed, w.Code)
		}
		if w, p := g.try("", nil, func(r *http.Request) { r.Header.Set("Cookie", "__session="+token) }); w.Code != 401 || p["reason"] != "authorized_party" {
			t.Errorf("allowed %t, in a cookie: %d %v", allowed, w.Code, p)
		}
		if strings.Contains(health(t, g.m), "missing_azp_allowed") != allowed {
			t.Errorf("allowed %t: %s", allowed, health(t, g.m))
		}
	}
}
