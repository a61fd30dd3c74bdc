package clerksync_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/sqlite"
	"github.com/clerksync/clerksync/webhook"
)

// wrongKey is a Clerk that refuses the secret key unless it is the right one, and publishes its
// keys on the Frontend API.
func wrongKey(t *testing.T, c *clerktest.Clerk) (address string) {
	t.Helper()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/") && r.Header.Get("Authorization") != "Bearer "+c.Keys().SecretKey {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"errors":[{"code":"clerk_key_invalid","message":"no"}]}`))
			return
		}
		c.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	return front.URL
}

func openWith(t *testing.T, config clerksync.Config) *clerksync.Mirror {
	t.Helper()
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), db, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// Wrong secrets are warnings and leave the server ready, because it answers requests by what it
// knows. A server that has never had keys to verify tokens is not ready.
func TestWrongSecretsLeaveAServerReady(t *testing.T) {
	t.Parallel()
	c := clerktest.New(t)
	address := wrongKey(t, c)
	const other = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
	for name, want := range map[string]struct {
		frontendAPI string
		status      int
	}{
		"the Frontend API is known": {address, http.StatusOK},
		"it is not":                 {"", http.StatusServiceUnavailable},
	} {
		var moved atomic.Int64
		m := openWith(t, clerksync.Config{
			SecretKey: "sk_test_wrong", APIURL: address, FrontendAPI: want.frontendAPI, WebhookSecrets: []string{other}, PublishableKey: "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k",
			Issuer: c.Keys().Issuer, Test: clerksync.TestConfig{Now: func() time.Time { return time.Now().Add(time.Duration(moved.Load())) }},
		})
		_ = m.FetchKeys(t.Context()) // it fails, because Clerk refuses the key
		deliver(t, m, nil)
		moved.Add(int64(time.Second))
		var text string
		for _, w := range m.Health(t.Context()).Warnings {
			if w.Severity == "error" {
				text += w.Code + ": " + w.Message + "\n"
			}
		}
		for _, says := range []string{"webhook_signatures_refused: 1 delivery", "secret_key_refused: ", "one is for production"} {
			if !strings.Contains(text, says) {
				t.Errorf("%s: no %q in\n%s", name, says, text)
			}
		}
		if got := readiness(t, m); got != want.status {
			t.Errorf("%s: /readyz %d, want %d", name, got, want.status)
		}
	}
}

// Rotate replaces what can be used, and leaves the rest as it was.
func TestRotate(t *testing.T) {
	t.Parallel()
	c := clerktest.New(t)
	keys, address := c.Keys(), wrongKey(t, c)
	m := openWith(t, clerksync.Config{SecretKey: "sk_test_wrong", APIURL: address, Issuer: keys.Issuer})
	body := []byte(`{"type":"user.created","data":{"object":"user","id":"user_1"}}`)
	send := func() int {
		signer, err := webhook.NewSigner(keys.WebhookSecret)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/api/webhooks/clerk", bytes.NewReader(body))
		r.Header = signer.Sign("msg_1", time.Now(), body)
		w := httptest.NewRecorder()
		m.WebhookHandler().ServeHTTP(w, r)
		return w.Code
	}
	if got := send(); got != http.StatusInternalServerError {
		t.Errorf("without a webhook secret: %d", got)
	}
	err := clerksync.Rotate(t.Context(), m, clerksync.Secrets{WebhookSecrets: []string{"", keys.WebhookSecret}, SecretKey: "sk_test_other"})
	if !errors.Is(err, clerksync.ErrSecretKeyRefused) {
		t.Errorf("a key that Clerk refuses: %v", err)
	}
	if got := send(); got != http.StatusOK {
		t.Errorf("with the new webhook secret: %d", got)
	}
	if err := clerksync.Rotate(t.Context(), m, clerksync.Secrets{WebhookSecrets: []string{"whsec_!"}}); err == nil || send() != http.StatusOK {
		t.Errorf("malformed: %v", err)
	}
	if m.FetchKeys(t.Context()) == nil {
		t.Error("the wrong secret key is accepted")
	}
	if err := clerksync.Rotate(t.Context(), m, clerksync.Secrets{SecretKey: keys.SecretKey}); err != nil {
		t.Error(err)
	}
	if err := m.FetchKeys(t.Context()); err != nil {
		t.Errorf("with the new secret key: %v", err)
	}
	another := clerktest.New(t)
	m = openWith(t, clerksync.Config{SecretKey: keys.SecretKey, APIURL: address, InstanceID: another.Keys().InstanceID})
	if err := clerksync.Rotate(t.Context(), m, clerksync.Secrets{SecretKey: keys.SecretKey + "x"}); err == nil {
		t.Error("a key that Clerk refuses was taken")
	}
	if err := clerksync.Rotate(t.Context(), openWith(t, clerksync.Config{}), clerksync.Secrets{SecretKey: keys.SecretKey}); !errors.Is(err, clerksync.ErrNoSecretKey) {
		t.Errorf("without a secret key before: %v", err)
	}
}

// The secret key of the application's own machine is replaced while the mirror runs, once Clerk
// accepts it for this machine.
func TestRotateMachineSecretKey(t *testing.T) {
	t.Parallel()
	c := clerktest.New(t)
	type made struct {
		ID     string
		Secret string `json:"secret_key"`
	}
	var receiver, stranger, caller made
	c.Call("POST", "/v1/machines", map[string]any{"name": "receiver"}, &receiver)
	c.Call("POST", "/v1/machines", map[string]any{"name": "stranger"}, &stranger)
	c.Call("POST", "/v1/machines", map[string]any{"name": "caller", "scoped_machines": []string{receiver.ID}}, &caller)
	config := clerksync.Config{
		SecretKey: c.Keys().SecretKey, APIURL: c.Keys().APIURL, Issuer: c.Keys().Issuer, MachineSecretKey: receiver.Secret, MachineID: receiver.ID,
	}
	m := openWith(t, config)
	verified := func() int {
		var token struct{ Token string }
		c.Call("POST", "/_emulator/m2m_tokens", map[string]any{"machine_id": caller.ID, "token_format": "opaque"}, &token)
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+token.Token)
		w := httptest.NewRecorder()
		m.Require(auth.Accept(auth.M2M))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		return w.Code
	}
	rotate := func(key string) error {
		return clerksync.Rotate(t.Context(), m, clerksync.Secrets{MachineSecretKey: key})
	}
	for name, key := range map[string]string{"unknown": "ak_neverMadeAtClerk", "of another machine": stranger.Secret, "malformed": "ak_ cut"} {
		err := rotate(key)
		if err == nil || strings.Contains(err.Error(), key) || errors.Is(err, clerksync.ErrSecretKeyRefused) != (name == "unknown") {
			t.Errorf("a key that is %s: %v", name, err)
		}
		if got := verified(); got != http.StatusOK {
			t.Errorf("after a key that is %s: %d", name, got)
		}
	}
	var next struct{ Secret string }
	c.Call("POST", "/v1/machines/"+receiver.ID+"/secret_key/rotate", map[string]any{"previous_token_ttl": 0}, &next)
	if got := verified(); got != http.StatusServiceUnavailable {
		t.Errorf("with a key that has ended at Clerk: %d", got)
	}
	if err := rotate(next.Secret); err != nil {
		t.Fatal(err)
	}
	if got := verified(); got != http.StatusOK {
		t.Errorf("with the new key: %d", got)
	}
	config.MachineID = ""
	m = openWith(t, config)
	if err := rotate(next.Secret); err == nil || !strings.Contains(err.Error(), "the id of the machine") {
		t.Errorf("without the id of the machine: %v", err)
	}
	config.MachineSecretKey = ""
	m = openWith(t, config)
	if err := rotate(next.Secret); !errors.Is(err, clerksync.ErrNoSecretKey) {
		t.Errorf("without a key before: %v", err)
	}
}
