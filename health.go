package clerksync

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/webhook"
)

// Health is the state of a mirror, fit for anonymous eyes: no secret, no count, no name.
type Health struct {
	Status   string         `json:"status"` // "ok", or "degraded" when there are warnings
	Database DatabaseHealth `json:"database"`
	Warnings []Warning      `json:"warnings"`
}

// DatabaseHealth tells whether the database answers.
type DatabaseHealth struct {
	Engine string `json:"engine"`
	OK     bool   `json:"ok"`
}

// Warning is something that wants an operator's attention. Codes are stable.
type Warning struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Remedy  string `json:"remedy"`
}

// Counts are the figures of a mirror: for operators, not for anonymous eyes.
type Counts struct {
	store.Counts
	LastEventAt  time.Time        `json:"last_event_at"`
	Instances    []string         `json:"instances"`
	Denials      map[string]int64 `json:"denials"`       // requests that the token alone would have passed, by code
	AuditDropped int64            `json:"audit_dropped"` // entries that could not be written
	Purged       Purged           `json:"purged"`        // since the start, for its age
}

// silence is how long no event is no cause for worry.
const silence = 24 * time.Hour

// healthCache bounds what anonymous callers can make the database do.
type healthCache struct {
	mu    sync.Mutex
	at    time.Time
	value Health
}

// Health looks at the configuration and the database. The answer is at most a second old.
func (m *Mirror) Health(ctx context.Context) Health {
	m.health.mu.Lock()
	defer m.health.mu.Unlock()
	if now := m.config.Now(); m.health.at.IsZero() || now.Sub(m.health.at) >= time.Second {
		m.health.value, m.health.at = m.look(ctx), now
	}
	return m.health.value
}

func (m *Mirror) look(ctx context.Context) Health {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	h := Health{Status: "ok", Warnings: m.configWarnings(), Database: DatabaseHealth{Engine: string(m.db.Engine())}}
	found, err := m.dataWarnings(ctx)
	h.Database.OK = err == nil
	h.Warnings = append(h.Warnings, found...)
	if err != nil {
		m.config.Logger.Error("health: the database does not answer", "error", err)
		h.Warnings = append(h.Warnings, Warning{
			"database", "The database does not answer.", "See the log for the cause; webhooks are answered 503 until it is back.",
		})
	}
	if len(h.Warnings) > 0 {
		h.Status = "degraded"
	}
	return h
}

func (m *Mirror) configWarnings() []Warning {
	c := m.config
	var warnings []Warning
	warn := func(when bool, code, message, remedy string) {
		if when {
			warnings = append(warnings, Warning{code, message, remedy})
		}
	}
	hs256 := c.JWTAlgorithm == auth.HS256
	warn(c.SecretKey == "", "secret_key_unset", "No Clerk secret key is configured: nothing can be read from Clerk.",
		"Set CLERK_SECRET_KEY.")
	warn(c.Unready == UnreadyAllow, "mirror_unproven", "Stored roles are used though nothing proves that the mirror is complete.",
		"Set CLERK_SECRET_KEY, and leave CLERKSYNC_UNREADY unset or ask.")
	warn(m.webhooks == nil, "webhook_secret_unset", "No webhook signing secret is configured: no event is accepted.",
		"Set CLERK_WEBHOOK_SIGNING_SECRET to the secret of the endpoint in the Clerk dashboard.")
	warn(hs256, "jwt_hs256", "Tokens are verified with HS256 and a shared secret: they name no session and outlive its revocation.",
		"Use session tokens with RS256 in production.")
	warn(c.WebhookScheme == webhook.SchemeDangerousHMACBody, "hmac_body",
		"Webhooks are verified by a bare HMAC of the body: an old delivery can be sent again by anybody who saw it.",
		"Use Clerk's own signatures (CLERKSYNC_WEBHOOK_SCHEME=svix).")
	warn(m.db.Engine() == store.SQLite && strings.HasPrefix(c.SecretKey, "sk_live_"), "sqlite_in_production",
		"A production instance is mirrored into SQLite, which one machine alone can serve.", "Use Postgres where there is more than one replica.")
	warn(m.db.Relaxed(), "sqlite_synchronous_normal", "SQLite is not synchronous: acknowledged events can be lost at a power cut.",
		"Unset CLERKSYNC_SQLITE_SYNCHRONOUS.")
	warn(!hs256 && c.Issuer == "", "issuer_unset", "The issuer of tokens is not checked; the keys alone pin the instance.",
		"Set CLERK_ISSUER or CLERK_PUBLISHABLE_KEY.")
	warn(!hs256 && len(c.AuthorizedParties) == 0, "authorized_parties_unset", "Tokens made for any origin are accepted.",
		"Set CLERK_AUTHORIZED_PARTIES to the origins of your pages.")
	return warnings
}

func (m *Mirror) dataWarnings(ctx context.Context) (warnings []Warning, err error) {
	head, err := m.db.Head(ctx)
	if err != nil {
		return nil, err
	}
	if last := head.LastReceivedAt; m.webhooks != nil && (last == 0 || m.config.Now().Sub(last.Time()) > silence) {
		warnings = append(warnings, Warning{
			"silence", "No event has come for 24 hours.", "Check the endpoint in the Clerk dashboard: it may be disabled or point elsewhere.",
		})
	}
	exceptions, err := m.db.Exceptions(ctx)
	if err != nil {
		return nil, err
	}
	dead, err := m.deadWarning(ctx, exceptions)
	if err != nil {
		return nil, err
	}
	sync, err := m.syncWarnings(ctx)
	if err != nil {
		return nil, err
	}
	warnings = slices.Concat(warnings, dead, sync)
	instance, err := m.instanceWarnings(ctx)
	if err != nil {
		return nil, err
	}
	warnings = slices.Concat(warnings, instance, m.settingsWarnings())
	rejected, err := m.db.RolesRejected(ctx)
	if err != nil {
		return nil, err
	}
	if rejected > 0 {
		warnings = append(warnings, Warning{
			"roles_rejected", "Some users' metadata names a role that is not configured; they have the lowest.", "Correct public_metadata.role, or CLERKSYNC_ROLES.",
		})
	}
	if m.clockSkew.Load() > 0 {
		warnings = append(warnings, Warning{
			"clock_skew", "Well-signed webhooks were refused for their time.", "Check this server's clock: all deliveries are lost by a wrong one.",
		})
	}
	return warnings, nil
}

// Counts counts rows: figures of the business, for operators.
func (m *Mirror) Counts(ctx context.Context) (Counts, error) {
	counts, err := m.db.Counts(ctx)
	if err != nil {
		return Counts{}, fmt.Errorf("clerksync: %w", err)
	}
	instances, err1 := m.db.Instances(ctx)
	head, err2 := m.db.Head(ctx)
	return Counts{counts, head.LastReceivedAt.Time(), instances, m.denials.counts(), m.auditor.dropped.Load(), m.purgedSoFar()}, cmp.Or(err1, err2)
}

// HealthHandler answers [Mirror.Health], always with 200: it is for people and alerts.
func (m *Mirror) HealthHandler() http.Handler {
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		return web.WriteJSON(w, http.StatusOK, m.Health(r.Context()))
	})
}

// ReadyHandler answers 200 when the database answers, else 503: it is for load balancers.
func (m *Mirror) ReadyHandler() http.Handler {
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if !m.Health(r.Context()).Database.OK {
			return &web.Problem{Status: http.StatusServiceUnavailable, Code: "not_ready", Detail: "The database does not answer"}
		}
		return web.WriteJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	})
}
