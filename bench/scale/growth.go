package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/webhook"
)

const (
	growthIssuer = "https://clerk.example.com"
	growthSecret = "whsec_Z3Jvd3RoLWdyb3d0aC1ncm93dGgtZ3Jvd3Ro" //nolint:gosec // signs made-up events
	callers      = 4000                                         // users who make requests
	changes      = 10_000                                       // users who change
	connections  = 32
)

// grown is a mirror of made-up users, to whose size growth is compared.
type grown struct {
	m     *clerksync.Mirror
	users int64
	key   *rsa.PrivateKey
	life  time.Duration // of each measurement

	changing []map[string]any // users who will change, as Clerk sends them
}

// growth measures what should not depend on the number of users: ingest, GET /api/auth/me and the
// rules. It prints a line for each, with a tab before the value in nanoseconds.
func growth(ctx context.Context, url string, users int64, life time.Duration) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	database, err := open(url)
	if err != nil {
		return err
	}
	m, err := clerksync.New(ctx, database, clerksync.Config{
		JWTKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})), Issuer: growthIssuer, WebhookSecrets: []string{growthSecret},
		StalePolicy: clerksync.StaleTrust,
	})
	if err != nil {
		return err
	}
	defer m.Close()
	g := &grown{m: m, users: users, key: key, life: life}
	if err := g.ingest(ctx); err != nil {
		return err
	}
	return g.requests(ctx)
}

// readChanging reads the users who will change. Each run has other users, spread over all.
func (g *grown) readChanging(ctx context.Context) error {
	start := time.Now().UnixNano()
	for i := int64(0); len(g.changing) < changes; i++ {
		u, err := g.m.Users().ByClerkID(ctx, id("user_", (start+i*7919)%g.users+1))
		if errors.Is(err, clerksync.ErrNotFound) { // deleted
			continue
		}
		if err != nil {
			return err
		}
		var object map[string]any
		if err := json.Unmarshal(u.RawObject(), &object); err != nil {
			return err
		}
		g.changing = append(g.changing, object)
	}
	return nil
}

// ingest measures deliveries of new users, changed users and new sessions, by turns.
func (g *grown) ingest(ctx context.Context) error {
	signer, err := webhook.NewSigner(growthSecret)
	if err != nil {
		return err
	}
	if err := g.readChanging(ctx); err != nil {
		return err
	}
	handler, began := g.m.WebhookHandler(), time.Now()
	var next, failed atomic.Int64
	took := make([][]time.Duration, connections)
	var group sync.WaitGroup
	for worker := range connections {
		group.Go(func() {
			for time.Since(began) < g.life {
				r := g.delivery(ctx, signer, began, next.Add(1))
				w, sent := httptest.NewRecorder(), time.Now()
				handler.ServeHTTP(w, r)
				if took[worker] = append(took[worker], time.Since(sent)); w.Code != http.StatusOK {
					failed.Add(1)
				}
			}
		})
	}
	group.Wait()
	if n := failed.Load(); n > 0 {
		return fmt.Errorf("%d deliveries of %d were refused", n, next.Load())
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	printed("ingest, an event at 32 connections", time.Since(began)/time.Duration(len(all)))
	printed("ingest, p99", all[len(all)*99/100])
	return nil
}

func printed(name string, d time.Duration) { fmt.Fprintf(os.Stdout, "%s\t%d\n", name, d.Nanoseconds()) }

// delivery returns the n-th delivery of a run.
func (g *grown) delivery(ctx context.Context, signer *webhook.Signer, began time.Time, n int64) *http.Request {
	now, run := time.Now().UnixMilli(), began.UnixNano()
	changing := g.changing[n%int64(len(g.changing))]
	var object map[string]any
	var kind string
	switch n % 3 {
	case 0:
		kind, object = "user.created", map[string]any{
			"object": "user", "id": fmt.Sprintf("user_%d%d", run, n), "first_name": fmt.Sprintf("Ada %d", n), "email_addresses": []any{},
			"public_metadata": map[string]any{"role": "growth", "pad": string(bytes.Repeat([]byte("x"), 1400))}, "created_at": now,
		}
	case 1:
		kind, object = "user.updated", maps.Clone(changing)
		object["last_active_at"] = now
	default:
		kind, object = "session.created", map[string]any{
			"object": "session", "id": fmt.Sprintf("sess_%d%d", run, n), "user_id": changing["id"], "status": "active", "created_at": now,
		}
	}
	object["updated_at"] = now
	body, _ := json.Marshal(map[string]any{"type": kind, "object": "event", "timestamp": now, "data": object}) //nolint:errchkjson // texts and numbers
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/api/webhooks/clerk", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	maps.Copy(r.Header, signer.Sign(fmt.Sprintf("msg_%d_%d", run, n), time.Now(), body))
	return r
}

// requests measures requests with tokens that were never seen, with known ones, and each rule.
func (g *grown) requests(ctx context.Context) error {
	var requests []*http.Request
	for i := int64(0); len(requests) < callers; i++ {
		user := i*7919%g.users + 1
		if user%500 == 3 || user%200 == 7 { // banned or deleted
			continue
		}
		token, err := g.token(user)
		if err != nil {
			return err
		}
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/auth/me", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		requests = append(requests, r)
	}
	me := g.m.MeHandler()
	began := time.Now()
	for _, r := range requests {
		if err := served(me, r); err != nil {
			return err
		}
	}
	printed("me, a token never seen", time.Since(began)/callers)
	known := requests[:1000]
	if err := repeated("me, a known token", g.life, known, me); err != nil {
		return err
	}
	for name, rule := range map[string]auth.Rule{
		"MinRole": auth.MinRole("solo"), "Role": auth.Any(auth.Role("solo"), auth.MinRole("solo")),
		"OrgRole":    auth.Any(auth.OrgRole("member"), auth.OrgRole("admin")),
		"Permission": auth.Permission("org:sys_memberships:read"), "NotImpersonated": auth.NotImpersonated(),
		"Feature, or a role": auth.Any(auth.Feature("export"), auth.MinRole("solo")), "Plan, or a role": auth.Any(auth.Plan("pro"), auth.MinRole("solo")),
		"Reverified": auth.Reverified(auth.Lax()),
	} {
		guarded := g.m.Require(rule)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		if err := repeated("rule "+name, g.life/4, known, guarded); err != nil {
			return err
		}
	}
	return nil
}

func repeated(name string, life time.Duration, requests []*http.Request, h http.Handler) error {
	n, began := 0, time.Now()
	for ; time.Since(began) < life; n++ {
		for _, r := range requests[:100] {
			if err := served(h, r); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		requests = append(requests[100:], requests[:100]...)
	}
	printed(name, time.Since(began)/time.Duration(100*n))
	return nil
}

func served(h http.Handler, r *http.Request) error {
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusOK {
		return errors.New(w.Body.String())
	}
	return nil
}

// token returns a session token of a made-up user in the first of the user's organizations.
func (g *grown) token(user int64) (string, error) {
	organization, role := int64(1), "member"
	if organizations := max(g.users/20, 2); user > g.users/10 {
		organization = 2 + user*7919%(organizations-1)
	}
	if user%100 == 0 {
		role = "admin"
	}
	now := time.Now().Unix()
	payload, err := json.Marshal(map[string]any{
		"sub": id("user_", user), "sid": id("sess_growth", user), "iss": growthIssuer, "iat": now, "nbf": now, "exp": now + 3600, "v": 2, "fva": []int{1, 1},
		"o": map[string]any{"id": id("org_", organization), "rol": role},
	})
	if err != nil {
		return "", err
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode(payload)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, g.key, crypto.SHA256, digest[:])
	return signed + "." + encode(signature), err
}
