package status

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// The values of mirror.Health.Status.
const (
	healthOK       = "ok"
	healthDegraded = "degraded"
)

var errNoAnswer = errors.New("no answer within a second")

// Health returns the state of the mirror. It is about a second old at most and comes within a
// second, however many ask and whatever the database does. A database that does not respond in
// time is not OK.
func (m *Monitor) Health(ctx context.Context) mirror.Health {
	h, ok := m.health.get(ctx)
	if ok {
		return h
	}
	if ctx.Err() == nil { // else it is the caller who does not wait
		m.noteDatabase(errNoAnswer)
	}
	s := m.signals(nil)
	s.databaseErr = errNoAnswer
	return m.healthOf(s)
}

// computeHealth is the shared read of the health.
func (m *Monitor) computeHealth(ctx context.Context) mirror.Health {
	s := m.readSignals(ctx)
	m.noteDatabase(cmp.Or(s.databaseErr, s.storedErr))
	return m.healthOf(s)
}

// readSignals asks the database for a sign of life, and if there is one reads everything that
// warnings need.
func (m *Monitor) readSignals(ctx context.Context) *signals {
	_, databaseErr := m.db.Head(ctx)
	if databaseErr != nil {
		s := m.signals(nil)
		s.databaseErr = databaseErr
		return s
	}
	storedErr := m.refreshSettings(ctx)
	reasons := m.recentReasons(ctx)
	var facts *Facts
	if storedErr == nil {
		facts, storedErr = m.read(ctx, false)
	}
	if storedErr != nil {
		facts = nil
	}
	s := m.signals(facts)
	s.reasons, s.storedErr = reasons, storedErr
	return s
}

// healthOf makes the health out of signals.
func (m *Monitor) healthOf(s *signals) mirror.Health {
	h := mirror.Health{
		Status: healthOK, Warnings: warningsOf(s, allWarners()),
		Database: mirror.DatabaseHealth{Engine: mirror.Engine(m.db.Engine()), OK: s.databaseErr == nil},
	}
	if r := s.replica; r != nil {
		h.ReadReplica = &mirror.ReplicaHealth{Used: r.Used}
		if r.Err == nil {
			lag := r.Lag.Seconds()
			h.ReadReplica.LagSeconds = &lag
		}
	}
	if !h.Database.OK || len(h.Warnings) > 0 && h.Warnings[0].Severity == mirror.SeverityError {
		h.Status = healthDegraded
	}
	return h
}

// noteDatabase logs once that the database stopped responding, or responds again.
func (m *Monitor) noteDatabase(err error) {
	switch down := err != nil; {
	case m.databaseDown.Swap(down) == down:
	case down:
		m.config.Logger.Error("the database does not answer", "database", m.db.String(), "error", m.db.Explain(err))
	default:
		m.config.Logger.Info("the database answers again")
	}
}

// Counts counts rows, and returns what else the database knows of them. It reads whole indexes.
func (m *Monitor) Counts(ctx context.Context) (mirror.Counts, error) {
	at := m.config.Now()
	counts, err := m.db.Counts(ctx)
	if err != nil {
		m.config.Logger.Error("rows could not be counted", "error", err)
		return mirror.Counts{}, err
	}
	instances, err1 := m.db.Instances(ctx)
	head, err2 := m.db.Head(ctx)
	counts.CountedAt, counts.LastEventAt = at.UTC(), head.LastReceivedAt.Time()
	counts.Instances = slices.Concat([]string{}, instances) // never null in JSON
	return counts, cmp.Or(err1, err2)
}

// RecentCounts returns counts that are at most ten minutes old, nil if there are none. Those of the
// last minute are read in the background, once for all who ask.
func (m *Monitor) RecentCounts(ctx context.Context) *mirror.Counts {
	counts, at := m.rows.recent(ctx, rowsMaxAge, readTimeout/4)
	if counts == nil || m.config.Now().Sub(at) > rowsMaxAge {
		return nil
	}
	return counts
}

// signals returns what warnings are made of: what was read from the database, if anything was,
// and what this process knows.
func (m *Monitor) signals(stored *Facts) *signals {
	var accepted clerk.Time
	if stored != nil {
		accepted = stored.Head.LastReceivedAt
	}
	slow, longest := m.config.OnChange.slow()
	var replica *store.ReplicaState
	if state, ok := m.db.Replica(); ok {
		replica = &state
	}
	settings := m.config.Settings
	if m.config.HasWebhookSecret != nil {
		settings.WebhookSecret = m.config.HasWebhookSecret()
	}
	return &signals{
		slowCalls: slow, longestCall: longest,
		Settings: &settings, now: m.config.Now(), stored: stored, readsClerk: m.config.API != nil, remembered: m.db.Settings(),
		engine: m.db.Engine(), replica: replica, durable: !m.db.NonDurable(), database: m.db.String(),
		instances: m.config.Instance.AllowedInstances(), keysMissing: m.config.Instance.KeysMissing(),
		listeningSince: m.config.ListeningSince(), refused: m.config.Refusals.Current(accepted),
		others: m.config.Warnings(), aheadOfClerk: m.config.AheadOfClerk(), outage: m.outage(), writeFault: m.db.WriteFault(),
	}
}

// outage returns since when, and why, Clerk answers no request of this process.
func (m *Monitor) outage() clerkapi.Outage {
	if m.config.API == nil {
		return clerkapi.Outage{}
	}
	return m.config.API.Stats().Outage
}

// Production reports whether a key is one of a production instance.
func (m *Monitor) Production() bool { return m.config.Settings.Production }

// Domain returns the host of the Frontend API, empty if it is not configured.
func (m *Monitor) Domain() string { return m.config.Settings.Domain }

// HasSecretKey reports whether a secret key is configured.
func (m *Monitor) HasSecretKey() bool { return m.config.Settings.SecretKey }
