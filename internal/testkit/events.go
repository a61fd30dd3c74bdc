package testkit

import (
	"io"
	"net/http"
	"slices"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/webhook"
)

// LoseEvents makes all events from now on get lost.
func (e *Env) LoseEvents() {
	e.Helper()
	e.Must(e.Clerk.SetFaults(emulator.Faults{Drop: 1}))
}

// Post delivers an event with the body of a webhook message, signed now.
func (e *Env) Post(id, body string) ingest.Outcome {
	e.Helper()
	p, err := e.Ingest.Prepare(ingest.Message{ID: id, SignedAt: e.Now(), Body: []byte(body)})
	e.Must(err)
	return e.Ingest.Submit(p)
}

// Redeliver delivers the last event of a type again, or for the first time if it was lost.
func (e *Env) Redeliver(eventType string) {
	e.Helper()
	for _, m := range slices.Backward(e.Clerk.Deliveries()) {
		if m.Type != eventType {
			continue
		}
		if o := e.Post(m.ID, string(m.Body)); o.Status != mirror.OutcomeProcessed {
			e.Fatalf("%s: %+v", eventType, o)
		}
		return
	}
	e.Fatalf("no %s was sent", eventType)
}

// webhookHandler verifies and applies the webhooks of the instance.
func (e *Env) webhookHandler() http.Handler {
	e.Helper()
	verifier, err := webhook.NewVerifier(webhook.Config{Secrets: []string{e.Clerk.Keys("").WebhookSecret}, Now: e.Clerk.Now})
	e.Must(err)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		message, err := verifier.Verify(r.Header, body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		prepared, err := e.Ingest.Prepare(ingest.Message{ID: message.ID, SignedAt: message.SignedAt, Body: body})
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		switch e.Ingest.Submit(prepared).Status {
		case mirror.OutcomeInvalid:
			w.WriteHeader(http.StatusBadRequest)
		case mirror.OutcomeFailed:
			w.WriteHeader(http.StatusInternalServerError)
		case mirror.OutcomeUnavailable:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
		}
	})
}
