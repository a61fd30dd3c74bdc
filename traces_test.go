package clerksync_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/webhook"
)

// A webhook, its commit, and the reading of Clerk are traced, and no span tells of a person or a
// secret.
func TestTraces(t *testing.T) {
	t.Parallel()
	e, err := emulator.New(emulator.Options{Users: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	keys := e.Keys(server.URL)
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"))
	if err != nil {
		t.Fatal(err)
	}
	spans := tracetest.NewInMemoryExporter()
	m, err := clerksync.New(t.Context(), driver.NewHandle(db), clerksync.Config{
		SecretKey: keys.SecretKey, APIURL: keys.APIURL, WebhookSecrets: []string{keys.WebhookSecret}, APIBudget: 1,
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	var users []struct{ ID string }
	if err := e.Call(t.Context(), http.MethodGet, "/v1/users", nil, &users); err != nil {
		t.Fatal(err)
	}
	body := `{"type":"user.created","object":"event","data":{"object":"user","id":"` + users[0].ID + `","first_name":"Ada",
		"email_addresses":[{"id":"idn_1","email_address":"ada@example.com"}]}}`
	signer, err := webhook.NewSigner(keys.WebhookSecret)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"msg_1", "forged"} {
		r := httptest.NewRequest(http.MethodPost, "/api/webhooks/clerk", strings.NewReader(body))
		r.Header = signer.Sign("msg_1", time.Now(), []byte(body))
		r.Header.Set("Svix-Id", id)
		r.Header.Set("Content-Type", "application/json")
		m.WebhookHandler().ServeHTTP(httptest.NewRecorder(), r)
	}
	if _, err := m.Sync().Backfill(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	names, all := map[string]tracetest.SpanStub{}, ""
	for _, s := range spans.GetSpans() {
		if _, seen := names[s.Name]; !seen {
			names[s.Name] = s
		}
		all += fmt.Sprint(s.Name, s.Attributes, s.Events, s.Status, "\n")
	}
	for _, want := range []string{"clerksync.webhook", "clerksync.verify", "clerksync.commit", "clerksync.walk user", "clerk walk user", "clerk count user"} {
		if _, found := names[want]; !found {
			t.Errorf("no span %q in\n%s", want, all)
		}
	}
	arrived, commit := names["clerksync.webhook"], names["clerksync.commit"]
	if len(commit.Links) != 1 || commit.Links[0].SpanContext.SpanID() != arrived.SpanContext.SpanID() {
		t.Errorf("the commit links to %v, not to the webhook", commit.Links)
	}
	if names["clerksync.verify"].Parent.SpanID() != arrived.SpanContext.SpanID() || names["clerk walk user"].Parent.SpanID() != names["clerksync.walk user"].SpanContext.SpanID() {
		t.Error("spans are not within one another")
	}
	if !strings.Contains(all, "user.created") || !strings.Contains(all, "invalid_signature") {
		t.Errorf("neither type nor refusal is told:\n%s", all)
	}
	for _, secret := range []string{"user_", "Ada", "@", "sk_test", "whsec", "msg_1", "v1,"} {
		if strings.Contains(all, secret) {
			t.Errorf("%q is in a span:\n%s", secret, all)
		}
	}
}
