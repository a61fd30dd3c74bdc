package clerksync_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/webhook"
)

// told are the lines of a log at INFO and above: what stands on the disk of a server.
func told(t *testing.T, logs *testenv.Logs) (lines []map[string]any) {
	t.Helper()
	for _, entry := range logs.Entries(t) {
		if entry["level"] != "DEBUG" {
			lines = append(lines, entry)
		}
	}
	return lines
}

// Anyone can send deliveries that are refused. They are one line of the log an incident, not one
// each.
func TestRefusedDeliveriesAreOneLineOfTheLog(t *testing.T) {
	t.Parallel()
	for reason, change := range map[string]func(*http.Request){
		"missing_header":        func(r *http.Request) { r.Header.Del("Svix-Signature") },
		"no_matching_signature": func(r *http.Request) { r.Header.Set("Svix-Id", "msg_other") },
		"bad_timestamp":         func(r *http.Request) { r.Header.Set("Svix-Timestamp", "soon") },
		"method_not_allowed":    func(r *http.Request) { r.Method = http.MethodPut },
		"body_too_large": func(r *http.Request) {
			r.Body, r.ContentLength = http.NoBody, clerksync.MaxWebhookBody+1
		},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			var logs testenv.Logs
			g := openGate(t, clerktest.New(t), func(c *clerksync.Config) { c.Logger = logs.Logger() })
			signer, err := webhook.NewSigner(g.clerk.Keys().WebhookSecret)
			if err != nil {
				t.Fatal(err)
			}
			h := web.Standard(web.Config{Logger: logs.Logger()}, g.m.WebhookHandler())
			body := []byte(`{"type":"user.created","data":{"id":"user_1"}}`)
			for range 200 {
				r := httptest.NewRequest(http.MethodPost, "/api/webhooks/clerk", bytes.NewReader(body))
				r.Header = signer.Sign("msg_1", time.Now(), body)
				change(r)
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, r); w.Code < 400 {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
			}
			if lines := told(t, &logs); len(lines) != 1 || lines[0]["level"] != "WARN" || !strings.Contains(logs.String(), reason) {
				t.Errorf("%d lines: %.1000v", len(lines), lines)
			}
		})
	}
}

// Once the budget is spent, tokens of unknown users are one line of the log, not one a request.
func TestUnknownUsersAreOneLineOfTheLog(t *testing.T) {
	t.Parallel()
	var logs testenv.Logs
	g, _ := asked(t, func(c *clerksync.Config) {
		c.Logger, c.APILimit, c.APIBudget = logs.Logger(), 10, 0.1
	})
	var all sync.WaitGroup
	for n := range 40 {
		token := g.clerk.Token(g.clerk.CreateUser(clerktest.User{Username: fmt.Sprint("ada", n)}))
		all.Go(func() {
			r := httptest.NewRequest(http.MethodGet, "/api/auth/me", http.NoBody)
			r.Header.Set("Authorization", "Bearer "+token)
			g.m.MeHandler().ServeHTTP(httptest.NewRecorder(), r)
		})
	}
	all.Wait()
	lines := told(t, &logs)
	if len(lines) != 1 || !strings.Contains(lines[0]["msg"].(string), "user") || lines[0]["error"] == nil {
		t.Errorf("%d lines: %.1000v", len(lines), lines)
	}
}
