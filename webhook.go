package clerksync

import (
	"errors"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/webhook"
)

// MaxWebhookBody is the largest webhook body that is read, in bytes. Svix takes messages
// of some 350 kB at most.
const MaxWebhookBody = 1 << 20

// WebhookHandler takes Clerk's webhooks. It answers 200 only when the event is durable
// and applied, with {"status": "processed"|"duplicate"|"ignored"|"quarantined"}. Errors
// are problem+json: 400 for what is not signed, stale or no JSON; 400 with
// "webhook-delivery: abort-message" for a signed event that lacks what it must have (kept
// as a dead letter); 405, 413, 415; 500 when no secret is configured or an event could
// not be applied (kept too); 503 when it could not be stored, or when too many bodies are on their way.
//
// A delivery whose headers alone are a reason to refuse it is refused before its body is read, and unverified bodies take 16 MiB at most.
func (m *Mirror) WebhookHandler() http.Handler {
	m.listening.CompareAndSwap(0, m.config.Test.Now().UnixMilli())
	return m.timed(m.reported(m.receive))
}

func (m *Mirror) receive(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return &web.Problem{
			Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Detail: "Webhooks are sent with POST",
			Header: http.Header{"Allow": {http.MethodPost}},
		}
	}
	if m.webhooks == nil {
		return &web.Problem{
			Status: http.StatusInternalServerError, Code: "webhook_secret_unset",
			Detail: "No webhook signing secret is configured: set CLERK_WEBHOOK_SIGNING_SECRET to the endpoint's whsec_… secret",
		}
	}
	body, err := m.admit(w, r)
	if err != nil {
		return err
	}
	defer body.Release()
	message, err := m.verifySignature(r, body.Bytes())
	if err != nil {
		m.noteWebhook(r.Header, err)
		return m.unsigned(err)
	}
	prepared, err := m.ingest.Prepare(ingest.Message{ID: message.ID, SignedAt: message.SignedAt, Body: body.Keep()})
	if err != nil {
		return notJSON(err)
	}
	body.Release() // from here on the queue of events bounds it
	if span := trace.SpanFromContext(r.Context()); span.IsRecording() {
		prepared.Traced(span.SpanContext())
		span.SetAttributes(attribute.String("clerksync.event_type", prepared.KnownType()))
	}
	return answer(w, m.ingest.Submit(prepared))
}

func (m *Mirror) verifySignature(r *http.Request, body []byte) (webhook.Message, error) {
	if trace.SpanFromContext(r.Context()).IsRecording() {
		_, span := m.tracer.Start(r.Context(), "clerksync.verify")
		defer span.End()
	}
	return m.webhooks.Verify(r.Header, body)
}

func (m *Mirror) unsigned(err error) error {
	p := &web.Problem{Status: http.StatusBadRequest, Code: "invalid_signature", Detail: "The webhook's signature does not verify", Err: err}
	if refused, ok := errors.AsType[*webhook.Error](err); ok {
		p.Extra = map[string]any{"reason": string(refused.Reason)}
		if refused.Reason == webhook.ReasonStaleTimestamp || refused.Reason == webhook.ReasonFutureTimestamp {
			// a good signature: not forged, but by a clock that is wrong, perhaps ours
			m.clockSkew.Add(1)
			p.Code, p.Detail = "stale_timestamp", "The webhook is well signed, but not within five minutes of this server's clock"
		}
	}
	return p
}

func notJSON(err error) error {
	p := &web.Problem{Status: http.StatusBadRequest, Code: "invalid_json", Detail: "The body is not a JSON object", Err: err}
	if syntax, ok := errors.AsType[*clerk.SyntaxError](err); ok {
		p.Extra = map[string]any{"reason": syntax.Problem}
	}
	return p
}

func answer(w http.ResponseWriter, o ingest.Outcome) error {
	switch o.Status {
	case mirror.OutcomeInvalid:
		return &web.Problem{
			Status: http.StatusBadRequest, Code: "invalid_event", Detail: o.Err.Error() + "; it is kept as a dead letter", Err: o.Err,
			Header: http.Header{"Webhook-Delivery": {"abort-message"}},
		}
	case mirror.OutcomeFailed:
		return &web.Problem{
			Status: http.StatusInternalServerError, Code: "event_failed", Err: o.Err,
			Detail: "The event could not be applied and is kept as a dead letter; a later delivery is tried again",
		}
	case mirror.OutcomeUnavailable:
		return &web.Problem{
			Status: http.StatusServiceUnavailable, Code: "storage_unavailable", Err: o.Err,
			Detail: "The event is not stored: deliver it again", Header: http.Header{"Retry-After": {"5"}},
		}
	default: // it is stored, and needs to be sent no more
	}
	return web.WriteJSON(w, http.StatusOK, struct {
		Status mirror.Outcome `json:"status"`
	}{o.Status})
}
