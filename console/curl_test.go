package console

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/webhook"
)

// hostileBodies are events with what a shell, a here-document or printf could misread.
func hostileBodies() []string {
	return []string{
		`{"data":{"id":"user_1"},"type":"user.updated"}`,
		`{"data":{"first_name":"O'Brien $HOME $(id) ` + "`id`" + ` \"x\" \\ \n %s %d ü é !! -- '"},"type":"user.updated"}`,
		"{\"data\":{\n\"a\":\"'\\\\''\"},\"type\":\"user.updated\"}",
		`{"data":{"a":"` + strings.Repeat("x", 90_000) + `"},"type":"user.updated"}`,
	}
}

// The script runs in a real shell with the real openssl and curl, and the real verifier accepts
// what arrives. With another secret it does not.
func TestCurlScriptSignsAsClerkDoes(t *testing.T) {
	t.Parallel()
	const secret = "whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0AAE=" // its key has a zero byte and ends with padding
	verifier, err := webhook.NewVerifier(webhook.Config{Secrets: []string{secret}})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.URL.Path != "/api/webhooks/clerk" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("got %s %v, %v", r.URL, r.Header, err)
		}
		message, err := verifier.Verify(r.Header, body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		ids[message.ID], got = true, string(body)
		_, _ = io.WriteString(w, "accepted")
	}))
	t.Cleanup(server.Close)
	for i, body := range hostileBodies() {
		out, err := shell(t, curlScript(body), "CLERKSYNC_URL="+server.URL, "CLERK_WEBHOOK_SIGNING_SECRET="+secret)
		if err != nil || out != "accepted" || got != body || len(ids) != i+1 {
			t.Errorf("body %d: %q, %v; %d message ids", i, out, err, len(ids))
		}
	}
	if out, err := shell(t, curlScript(`{}`), "CLERKSYNC_URL="+server.URL, "CLERK_WEBHOOK_SIGNING_SECRET=whsec_bm90IHRoZSBzZWNyZXQgb2YgaXQ="); err != nil || out == "accepted" {
		t.Errorf("with another secret: %q, %v", out, err)
	}
	if out, err := shell(t, curlScript(`{}`), "CLERKSYNC_URL="+server.URL); err == nil || !strings.Contains(out, "CLERK_WEBHOOK_SIGNING_SECRET") {
		t.Errorf("without a secret: %q, %v", out, err)
	}
}

// An emulator sends what its control API is given by the script.
func TestEmulatorScriptSends(t *testing.T) {
	t.Parallel()
	const secret = "whsec_Y2xlcmt0ZXN0Y2xlcmt0ZXN0Y2xlcmt0ZXN0"
	verifier, err := webhook.NewVerifier(webhook.Config{Secrets: []string{secret}})
	if err != nil {
		t.Fatal(err)
	}
	e, err := emulator.New(emulator.Options{Seed: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	received := make(chan error, len(hostileBodies()))
	_, err = e.AddEndpoint(emulator.Target{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		_, refused := verifier.Verify(r.Header, body)
		received <- errors.Join(err, refused)
	})}, secret)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	for _, body := range hostileBodies()[:3] {
		out, err := shell(t, emulatorScript(body), "CLERK_API_URL="+server.URL)
		if err != nil || !strings.Contains(out, `"type":"user.updated"`) {
			t.Fatalf("%s, %v", out, err)
		}
		if err := <-received; err != nil {
			t.Error(err)
		}
	}
}

// shell runs a script and returns what it prints.
func shell(t *testing.T, script string, environ ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-e", "-u", "-o", "pipefail")
	cmd.Stdin = strings.NewReader(script)
	cmd.Env = slices.Concat(environ, []string{"PATH=/usr/local/bin:/usr/bin:/bin"})
	out, err := cmd.CombinedOutput()
	return string(out), err
}
