package clerksync_test

import (
	"bytes"
	"context"
	"errors"
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
	"github.com/clerksync/clerksync/mirror"
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

// Whatever a sender or a caller repeats, it is one warning of the log and not one a request.
func TestFloodsAreOneWarning(t *testing.T) {
	t.Parallel()
	signed := func(t *testing.T, g *gate, n int, body string) *http.Request {
		signer, err := webhook.NewSigner(g.clerk.Keys().WebhookSecret)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/api/webhooks/clerk", strings.NewReader(body))
		r.Header = signer.Sign(fmt.Sprintf("msg_%d", n), time.Now(), []byte(body))
		return r
	}
	user := func(n int) string {
		return fmt.Sprintf(`{"type":"user.created","data":{"object":"user","id":"user_%d"}}`, n)
	}
	for name, c := range map[string]struct {
		configure func(*clerksync.Config)
		before    func(*testing.T, *gate)
		request   func(*testing.T, *gate, int) *http.Request
		want      int
	}{
		"dead letters": {want: 1, request: func(t *testing.T, g *gate, n int) *http.Request {
			return signed(t, g, n, `{"type":"user.created","data":{"object":"user"}}`)
		}},
		"OnChange refuses": {
			want: 2, // of the event, and that requests fail
			configure: func(c *clerksync.Config) {
				c.OnChange = func(context.Context, *clerksync.Tx, []mirror.Change) error { return errors.New("never") }
			},
			request: func(t *testing.T, g *gate, n int) *http.Request { return signed(t, g, n, user(n)) },
		},
		"events of another instance": {want: 1, request: func(t *testing.T, g *gate, n int) *http.Request {
			return signed(t, g, n, strings.Replace(user(n), "{", `{"instance_id":"ins_other",`, 1))
		}},
		"the database is gone": {
			want:    2, // that events are not stored, and that requests fail
			before:  func(_ *testing.T, g *gate) { _ = g.m.Close() },
			request: func(t *testing.T, g *gate, n int) *http.Request { return signed(t, g, n, user(n)) },
		},
		"no keys": {
			want: 2, // that they cannot be fetched, and that requests fail
			configure: func(c *clerksync.Config) {
				c.JWTKey, c.JWKSURL, c.SecretKey = "", "http://127.0.0.1:1/jwks", ""
			},
			request: func(_ *testing.T, g *gate, n int) *http.Request {
				r := httptest.NewRequest(http.MethodGet, "/api/auth/me", http.NoBody)
				r.Header.Set("Authorization", "Bearer "+g.clerk.Token(g.clerk.CreateUser(clerktest.User{Username: fmt.Sprint("someone", n)})))
				return r
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var logs testenv.Logs
			g := openGate(t, clerktest.New(t), func(config *clerksync.Config) {
				config.Logger = logs.Logger()
				if c.configure != nil {
					c.configure(config)
				}
			})
			if c.before != nil {
				c.before(t, g)
			}
			h := web.Standard(web.Config{Logger: logs.Logger()}, g.m.Handler(clerksync.HandlerOptions{}))
			for n := range 50 {
				h.ServeHTTP(httptest.NewRecorder(), c.request(t, g, n))
			}
			var warnings []string
			for _, line := range logs.Entries(t) {
				if line["level"] == "WARN" || line["level"] == "ERROR" {
					warnings = append(warnings, fmt.Sprint(line["msg"], " ", line["code"]))
				}
			}
			if len(warnings) == 0 || len(warnings) > c.want {
				t.Errorf("%d warnings for 50 requests, want %d: %q", len(warnings), c.want, warnings)
			}
		})
	}
}
