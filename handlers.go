package clerksync

import (
	"net/http"

	"github.com/clerksync/clerksync/internal/receive"
	"github.com/clerksync/clerksync/internal/web"
)

// MaxWebhookBody is the largest webhook body that is read, in bytes. Svix sends messages of some
// 350 kB at most.
const MaxWebhookBody = receive.MaxBody

// WebhookHandler returns the handler that takes Clerk's webhooks. It answers 200 only when the
// event is durable and applied, with {"status": "processed"|"duplicate"|"ignored"|"quarantined"}.
// Errors are problem+json: 400 for what is not signed, stale or no JSON; 400 with
// "webhook-delivery: abort-message" for a signed event that lacks what it must have (kept as a
// dead letter); 405, 413, 415; 500 when no secret is configured or an event could not be applied
// (kept too); 503 when it could not be stored, or when too many bodies are on their way.
//
// A delivery whose headers alone are a reason to refuse it is refused before its body is read,
// and unverified bodies take 16 MiB at most.
func (m *Mirror) WebhookHandler() http.Handler { return m.receiver.Handler() }

// MeHandler returns the handler of GET /api/auth/me: the stored user of the request's token, the
// role, the session and the active organization. Refusals are 401 with a code; see the HTTP
// contract in docs/ARCHITECTURE.md.
func (m *Mirror) MeHandler() http.Handler {
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		caller, err := m.gate.Authorize(r, nil)
		if err != nil {
			return problem(publicError(err))
		}
		body, err := caller.Me()
		if err != nil {
			return err
		}
		web.WriteBody(w, http.StatusOK, body)
		return nil
	})
}

// HealthHandler returns the handler that serves [Mirror.Health], always with status 200: it is
// for people and alerts. Anyone may ask. With a key of a production instance it therefore shows
// status and database alone; operators get the warnings from [Mirror.Health].
func (m *Mirror) HealthHandler() http.Handler { return healthFor(m, "") }

// ReadyHandler returns a handler for load balancers. It answers 200 when the database responds
// and the first keys that verify tokens are there, else 503. It waits a second at most.
func (m *Mirror) ReadyHandler() http.Handler {
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if !m.Health(r.Context()).Database.OK {
			return &web.Problem{Status: http.StatusServiceUnavailable, Code: "not_ready", Detail: "The database does not answer"}
		}
		if !m.instance.KeysReady() {
			return &web.Problem{Status: http.StatusServiceUnavailable, Code: "not_ready", Detail: "The keys that verify tokens are not there yet"}
		}
		return web.WriteJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	})
}
