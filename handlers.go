package clerksync

import (
	"net/http"

	"github.com/clerksync/clerksync/internal/web"
)

// MaxWebhookBody is the largest webhook body that is accepted, in bytes. Svix sends messages of
// about 350 kB at most.
const MaxWebhookBody = 1 << 20

// WebhookHandler returns the handler that receives Clerk's webhooks. It answers 200 only after the
// event is durable and applied, with {"status": "processed"|"duplicate"|"ignored"|"quarantined"}.
// Errors are problem+json:
//
//	400            the delivery is not signed, is too old, or is not JSON
//	400            a signed event lacks a required field; it is stored as a dead letter, and the
//	               header "webhook-delivery: abort-message" asks the sender to give up
//	405, 413, 415  wrong method, body too large, wrong content type
//	500            no secret is configured, or the event could not be applied; it is stored
//	503            the event could not be stored, or too many bodies are being read
//
// The handler refuses a delivery before it reads the body if the headers are reason enough.
// Unverified bodies use 16 MiB of memory at most.
func (m *Mirror) WebhookHandler() http.Handler { return m.receiver.Handler() }

// MeHandler returns the handler of GET /api/auth/me. It answers with the stored user of the
// request's token, the role, the session and the active organization, or denies with a code;
// docs/http-api.md lists the codes. With the query parameter at_least it first waits for that
// change.
func (m *Mirror) MeHandler() http.Handler {
	return atLeastForSignedIn(m, web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
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
	}))
}

// HealthHandler returns the handler that serves [Mirror.Health], for people and alerts. The HTTP
// status is always 200. The route is public, so with a key of a production instance the response
// has only the status and the database, unless a named operator asks. Operators also get the
// warnings from [Mirror.OperatorHandler].
func (m *Mirror) HealthHandler() http.Handler { return healthFor(m, "") }

// ReadyHandler returns a handler for load balancers. It answers 200 if the database responds and
// keys that verify tokens were fetched, else 503. It answers within a second.
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
