package receive

import (
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/incident"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/metrics"
	"github.com/clerksync/clerksync/internal/refusals"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/webhook"
)

// MaxBody is the largest body that is read, in bytes. Svix sends messages of some 350 kB at most.
const MaxBody = 1 << 20

// maxBodies bounds the memory of bodies whose signatures are not verified yet. Most bodies have a
// few kB.
const maxBodies = 16 << 20

// Config configures a [Receiver].
type Config struct {
	Verifier  *webhook.Verifier // nil: there is no secret, and every delivery is refused; see SetSecrets
	Scheme    webhook.Scheme
	Ingest    *ingest.Ingest
	Refusals  *refusals.Counter
	OnRefuse  func() // a delivery was refused that had no verified signature
	Incidents *incident.Log
	Record    metrics.Observe // records a measurement
	Tracer    trace.Tracer
	Now       func() time.Time
}

// Receiver takes webhooks. It is safe for concurrent use.
type Receiver struct {
	config    Config
	verifier  atomic.Pointer[webhook.Verifier]
	bodies    *web.Bodies
	untimely  atomic.Bool  // a delivery outside the time window is being read
	clockSkew atomic.Int64 // well-signed deliveries outside the time window
	since     atomic.Int64 // when this process began to take webhooks, in milliseconds; 0: it does not
}

// New makes a Receiver.
func New(config Config) *Receiver {
	c := &Receiver{config: config, bodies: web.NewBodies(maxBodies)}
	c.verifier.Store(config.Verifier)
	return c
}

// SetSecrets replaces the secrets. Deliveries that begin from now on are verified with these. The
// error says what is wrong with them, and then nothing changes.
func (c *Receiver) SetSecrets(secrets []string) error {
	v, err := webhook.NewVerifier(webhook.Config{Secrets: secrets, Scheme: c.config.Scheme, Now: c.config.Now})
	if err == nil {
		c.verifier.Store(v)
	}
	return err
}

// Handler returns the handler of the webhook route. From now on the process counts as one that
// takes webhooks.
func (c *Receiver) Handler() http.Handler {
	c.since.CompareAndSwap(0, c.config.Now().UnixMilli())
	return c.measured(c.reported(c.receive))
}

// Since returns when this process began to take webhooks, the zero time if it does not.
func (c *Receiver) Since() time.Time {
	if at := c.since.Load(); at != 0 {
		return time.UnixMilli(at)
	}
	return time.Time{}
}

// HasSecret reports whether there is a secret to verify deliveries with.
func (c *Receiver) HasSecret() bool { return c.verifier.Load() != nil }

// Collect observes what the receiver counts.
func (c *Receiver) Collect(o metrics.Observe) { o(metrics.ClockSkew, float64(c.clockSkew.Load())) }

// receive takes one delivery.
func (c *Receiver) receive(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return &web.Problem{
			Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Detail: "Webhooks are sent with POST",
			Header: http.Header{"Allow": {http.MethodPost}},
		}
	}
	verifier := c.verifier.Load()
	if verifier == nil {
		return &web.Problem{
			Status: http.StatusInternalServerError, Code: "webhook_secret_unset",
			Detail: "No webhook signing secret is configured: set CLERK_WEBHOOK_SIGNING_SECRET to the endpoint's whsec_… secret",
		}
	}
	body, err := c.admit(w, r, verifier)
	if err != nil {
		return err
	}
	defer body.Release()
	message, err := c.verify(r, body.Bytes(), verifier)
	if err != nil {
		c.countRefusal(r.Header, err)
		return c.unsigned(err)
	}
	c.config.Refusals.Accepted()
	prepared, err := c.config.Ingest.Prepare(ingest.Message{ID: message.ID, SignedAt: message.SignedAt, Body: body.Keep()})
	if err != nil {
		return notJSON(err)
	}
	body.Release() // from here on the queue of events bounds the memory
	if span := trace.SpanFromContext(r.Context()); span.IsRecording() {
		prepared.Traced(span.SpanContext())
		span.SetAttributes(attribute.String("clerksync.event_type", prepared.KnownType()))
	}
	return answer(w, c.config.Ingest.Submit(prepared))
}

// verify verifies the signature of a delivery.
func (c *Receiver) verify(r *http.Request, body []byte, verifier *webhook.Verifier) (webhook.Message, error) {
	if trace.SpanFromContext(r.Context()).IsRecording() {
		_, span := c.config.Tracer.Start(r.Context(), "clerksync.verify")
		defer span.End()
	}
	return verifier.Verify(r.Header, body)
}

// unsigned is the answer to a delivery whose signature does not verify.
func (c *Receiver) unsigned(err error) error {
	p := &web.Problem{Status: http.StatusBadRequest, Code: "invalid_signature", Detail: "The webhook's signature does not verify", Err: err}
	if refused, ok := errors.AsType[*webhook.Error](err); ok {
		p.Extra = map[string]any{"reason": string(refused.Reason)}
		if refused.Reason == webhook.ReasonStaleTimestamp || refused.Reason == webhook.ReasonFutureTimestamp {
			// the signature is good, so this is no forgery: one of the clocks is wrong, perhaps
			// ours
			c.clockSkew.Add(1)
			p.Code, p.Detail = "stale_timestamp", "The webhook is well signed, but not within five minutes of this server's clock"
		}
	}
	return p
}

// notJSON is the answer to a signed body that is no JSON object.
func notJSON(err error) error {
	p := &web.Problem{Status: http.StatusBadRequest, Code: "invalid_json", Detail: "The body is not a JSON object", Err: err}
	if syntax, ok := errors.AsType[*clerk.SyntaxError](err); ok {
		p.Extra = map[string]any{"reason": syntax.Problem}
	}
	return p
}

// answer sends what became of a delivery.
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
	default: // it is stored and need not be sent again
	}
	return web.WriteJSON(w, http.StatusOK, struct {
		Status mirror.Outcome `json:"status"`
	}{o.Status})
}

// measured measures and traces a delivery, by the code of the problem or "ok".
func (c *Receiver) measured(next web.HandlerFunc) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		began := time.Now()
		ctx, span := c.config.Tracer.Start(r.Context(), "clerksync.webhook", trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		if span.IsRecording() {
			r = r.WithContext(ctx)
		}
		err := next(w, r)
		code := "ok"
		if err != nil {
			code = "error"
			if p, ok := errors.AsType[*web.Problem](err); ok {
				code = p.Code
			}
		}
		span.SetAttributes(attribute.String("clerksync.code", code))
		if code != "ok" {
			span.SetStatus(codes.Error, code)
		}
		c.config.Record(metrics.WebhookDuration, time.Since(began).Seconds(), code)
		return err
	}
}

// reported logs refused deliveries as incidents: anyone can send them, in any number.
func (c *Receiver) reported(next web.HandlerFunc) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := next(w, r)
		p, ok := errors.AsType[*web.Problem](err)
		if !ok || !unverified(p.Code) {
			return err
		}
		c.config.OnRefuse()
		reason, _ := p.Extra["reason"].(string)
		attrs := []slog.Attr{slog.String("code", p.Code)}
		if reason != "" {
			attrs = append(attrs, slog.String("reason", reason))
		}
		if p.Err != nil {
			attrs = append(attrs, slog.Any("error", p.Err))
		}
		c.config.Incidents.Report(slog.LevelWarn, "webhook "+p.Code+" "+reason, "webhook deliveries are refused", attrs...)
		p.Reported = true
		return err
	}
}

// unverified reports whether a delivery that is refused with this code has no verified signature.
func unverified(code string) bool {
	switch code {
	case "method_not_allowed", "webhook_secret_unset", "invalid_signature", "stale_timestamp", "body_too_large",
		"unsupported_content_encoding", "request_timeout", "body_unreadable", "server_busy":
		return true
	default:
		return false
	}
}
