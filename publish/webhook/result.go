package webhook

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/clerksync/clerksync/internal/metrics"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/wait"
	"github.com/clerksync/clerksync/mirror"
)

// result is how an attempt to send a message ended.
type result struct {
	worker     *worker
	message    *store.WebhookMessage
	attempt    *mirror.WebhookAttempt
	retryAfter time.Duration
}

// commit stores results, and tries again until it succeeds. Only then is the next message of an
// object sent: if this process dies before, the same message is sent again, and never an older one
// after a newer one.
func (t *tenure) commit(batch []*result) {
	ctx := context.WithoutCancel(t.sending)
	for {
		var disabled []*store.WebhookEndpoint
		err := t.update(ctx, func(tx *store.Tx) (err error) {
			disabled, err = storeResults(ctx, tx, batch, time.Now())
			return err
		})
		if err == nil {
			for _, e := range disabled {
				t.options.Logger.Warn("a webhook endpoint was disabled", "endpoint", e.ID, "reason", e.DisabledReason)
			}
			break
		}
		if errors.Is(err, store.ErrFenced) {
			t.abort()
			break
		}
		t.incidents.Report(slog.LevelWarn, "commit", "results of outgoing webhooks cannot be stored", slog.Any("error", err))
		if t.sending.Err() != nil { // the process stops: they are sent again
			break
		}
		_ = wait.For(t.sending, retryDatabase)
	}
	for _, r := range batch {
		r.worker.done(r.message)
	}
}

// storeResults stores results and returns the endpoints that it disabled. Those of endpoints that
// were removed are dropped.
func storeResults(ctx context.Context, tx *store.Tx, batch []*result, now time.Time) (disabled []*store.WebhookEndpoint, err error) {
	endpoints := map[string]*store.WebhookEndpoint{}
	var attempts []*mirror.WebhookAttempt
	for _, r := range batch {
		e, known := endpoints[r.message.EndpointID]
		if !known {
			found, err := tx.WebhookEndpoint(ctx, r.message.EndpointID)
			switch {
			case err == nil:
				e = &found
			case !errors.Is(err, store.ErrNotFound):
				return nil, err
			}
			endpoints[r.message.EndpointID] = e
		}
		if e == nil {
			continue
		}
		was := e.Enabled
		if err := storeResult(ctx, tx, r, e, now); err != nil {
			return nil, err
		}
		if was && !e.Enabled {
			disabled = append(disabled, e)
		}
		attempts = append(attempts, r.attempt)
	}
	return disabled, tx.AppendWebhookAttempts(ctx, attempts)
}

func storeResult(ctx context.Context, tx *store.Tx, r *result, e *store.WebhookEndpoint, now time.Time) error {
	m := *r.message
	if r.attempt.Delivered() {
		if !e.FailingSince.IsZero() {
			e.FailingSince = time.Time{}
			if err := tx.SetWebhookFailing(ctx, e); err != nil {
				return err
			}
		}
		return tx.WebhookDelivered(ctx, &m, now)
	}
	m.Attempts++
	wait, more := nextAttempt(m.Attempts, r.retryAfter)
	gone := r.attempt.Status == http.StatusGone
	var err error
	switch {
	case more:
		err = tx.RetryWebhook(ctx, &m, now.Add(wait))
	case gone: // it waits for the endpoint to be enabled
		err = tx.RetryWebhook(ctx, &m, now)
	default:
		err = tx.GiveUpWebhook(ctx, &m, now)
	}
	if err != nil || !e.Enabled {
		return err
	}
	if e.FailingSince.IsZero() {
		e.FailingSince = r.attempt.At
		if err := tx.SetWebhookFailing(ctx, e); err != nil {
			return err
		}
	}
	switch {
	case gone:
		return disable(ctx, tx, e, mirror.WebhookGone, mirror.By{})
	case now.Sub(e.FailingSince) >= failingLimit:
		return disable(ctx, tx, e, mirror.WebhookFailing, mirror.By{})
	}
	return nil
}

// record measures an attempt.
func (p *Publisher) record(a *mirror.WebhookAttempt) {
	outcome := "delivered"
	if !a.Delivered() {
		outcome = a.Reason
	}
	p.metrics.Record(metrics.OutgoingDuration, float64(a.DurationMS)/1000, outcome)
}

// collect observes the endpoints.
func (p *Publisher) collect(ctx context.Context, o metrics.Observe) {
	endpoints, err := p.Endpoints(ctx)
	if err != nil {
		return // old figures would look like new ones
	}
	for i := range endpoints {
		e := &endpoints[i]
		o(metrics.OutgoingEnabled, metrics.Bool(e.Enabled), e.ID)
		o(metrics.OutgoingMessages, float64(e.Pending), e.ID, "pending")
		o(metrics.OutgoingMessages, float64(e.Failed), e.ID, "failed")
		o(metrics.OutgoingOldest, metrics.Seconds(e.OldestPending), e.ID)
		o(metrics.OutgoingFailing, metrics.Seconds(e.FailingSince), e.ID)
	}
}
