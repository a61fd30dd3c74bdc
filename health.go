package clerksync

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// The values of Health.Status.
const (
	statusOK       = "ok"
	statusDegraded = "degraded"
)

// Health checks the configuration and the database. The answer is about a second old at most, and comes within a second
// however many ask and whatever the database does: one that does not answer in time is not OK.
func (m *Mirror) Health(ctx context.Context) mirror.Health {
	h, answered := m.health.get(ctx)
	if answered {
		return h
	}
	if ctx.Err() == nil { // else it is the caller who does not wait
		m.noteDatabase(errNoAnswer)
	}
	return m.judged(ctx, &facts{databaseErr: errNoAnswer})
}

// lookAtHealth is one look, which all who ask at a time share.
func (m *Mirror) lookAtHealth(ctx context.Context) mirror.Health {
	f := m.readFacts(ctx)
	m.noteDatabase(cmp.Or(f.databaseErr, f.storedErr))
	return m.judged(ctx, f)
}

// judged turns facts into an answer.
func (m *Mirror) judged(ctx context.Context, f *facts) mirror.Health {
	m.completeFacts(f)
	h := mirror.Health{
		Status: statusOK, Warnings: warningsOf(ctx, f, allWarners()),
		Database: mirror.DatabaseHealth{Engine: mirror.Engine(m.db.Engine()), OK: f.databaseErr == nil},
	}
	if !h.Database.OK || len(h.Warnings) > 0 && h.Warnings[0].Severity == mirror.SeverityError {
		h.Status = statusDegraded
	}
	return h
}

// noteDatabase logs that the database stopped answering, or answers again: once, not with each look.
func (m *Mirror) noteDatabase(err error) {
	switch down := err != nil; {
	case m.databaseDown.Swap(down) == down:
	case down:
		m.config.Logger.Error("the database does not answer", "database", m.db.String(), "error", m.db.Explain(err))
	default:
		m.config.Logger.Info("the database answers again")
	}
}

// Counts counts rows. It shows the size of a business: it is for operators.
func (m *Mirror) Counts(ctx context.Context) (mirror.Counts, error) {
	counts, err := m.db.Counts(ctx)
	if err != nil {
		return mirror.Counts{}, fmt.Errorf("clerksync: %w", err)
	}
	instances, err1 := m.db.Instances(ctx)
	head, err2 := m.db.Head(ctx)
	counts.LastEventAt = head.LastReceivedAt.Time()
	counts.Instances = slices.Concat([]string{}, instances) // never null in JSON
	counts.Denials, counts.AuditDropped, counts.Purged = m.gate.Denials(), m.gate.AuditDropped(), m.purgedSoFar()
	return counts, cmp.Or(err1, err2)
}

// HealthHandler serves [Mirror.Health], always with status 200: it is for people and alerts. Anyone may ask. With a key
// of a production instance it therefore answers status and database alone; the warnings are for operators, by
// [Mirror.Health].
func (m *Mirror) HealthHandler() http.Handler {
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		h := m.Health(r.Context())
		if !m.production() {
			return web.WriteJSON(w, http.StatusOK, h)
		}
		return web.WriteJSON(w, http.StatusOK, struct {
			Status   string                `json:"status"`
			Database mirror.DatabaseHealth `json:"database"`
		}{h.Status, h.Database})
	})
}

// production reports whether a key is one of a production instance.
func (m *Mirror) production() bool {
	return strings.HasPrefix(m.config.SecretKey, "sk_live_") || strings.HasPrefix(m.config.PublishableKey, "pk_live_")
}

// ReadyHandler serves 200 when the database answers and the first keys that verify tokens are there, else 503: it is for
// load balancers. It waits a second at most.
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
