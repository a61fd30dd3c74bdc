package clerksync

import (
	"context"
	"errors"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/privacy"
	"github.com/clerksync/clerksync/mirror"
)

const (
	eraseEvery = time.Minute // how soon a person is erased once the hold has ended
	purgeEvery = time.Hour
	// leastIDs is how long the ids of messages are kept at least: a manual replay at Clerk sends old ones again.
	leastIDs = 90 * 24 * time.Hour
	// exceptionsFactor is how many times longer dead and quarantined deliveries are kept than others.
	exceptionsFactor = 2
	// wholeInbox is after what time bodies are looked for in all of the inbox again, and not only in what has grown old
	// since: a dead letter that was applied after all may be of any age.
	wholeInbox = 24 * time.Hour
)

// keepClean erases who is due and removes what is older than its retention, until the context ends.
func (m *Mirror) keepClean(ctx context.Context) {
	var purged time.Time
	for ctx.Err() == nil {
		if err := m.eraseDue(ctx); err != nil && ctx.Err() == nil {
			m.config.Logger.Error("erasures could not be finished; they go on in a minute", "error", err)
		}
		if time.Since(purged) >= purgeEvery {
			purged = time.Now()
			n, err := m.purge(ctx)
			if err != nil && ctx.Err() == nil {
				m.config.Logger.Error("what is older than its retention could not be removed", "error", err)
			}
			if n != (mirror.Purged{}) {
				m.config.Logger.Info("what is older than its retention was removed",
					"bodies", n.Bodies, "deliveries", n.Deliveries, "changes", n.Changes, "audit", n.Audit, "drift", n.Drift)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(eraseEvery):
		}
	}
}

// eraseDue erases whose hold has ended, and finishes what was begun.
func (m *Mirror) eraseDue(ctx context.Context) error {
	n, err := m.ingest.EraseDue(ctx, clerk.TimeOf(m.config.Test.Now().Add(-max(m.config.EraseAfter, 0))))
	finished, err2 := privacy.FinishErasures(ctx, m.db)
	if n > 0 || finished > 0 {
		m.config.Logger.Info("persons were erased", "erased", n, "searched_for_copies", finished)
		_, err3 := m.db.TruncateWAL(ctx) // else the log is overwritten in time
		err2 = errors.Join(err2, err3)
	}
	return errors.Join(err, err2)
}

// purge removes what is older than its retention.
func (m *Mirror) purge(ctx context.Context) (n mirror.Purged, err error) {
	c, now := m.config, m.config.Test.Now()
	before := func(d time.Duration) clerk.Time { return clerk.TimeOf(now.Add(-d)) }
	ids := max(c.InboxRetention, leastIDs)
	var errs [5]error
	n.Drift, errs[4] = m.db.PurgeDrift(ctx, before(driftRetention))
	n.Audit, errs[0] = m.db.PurgeAudit(ctx, before(c.AuditRetention))
	from := m.cleared
	if now.Sub(from.Time()) > c.InboxRetention+wholeInbox {
		from = 0
	}
	n.Bodies, errs[1] = m.db.PurgeBodies(ctx, from, before(c.InboxRetention))
	if errs[1] == nil && from == 0 {
		m.cleared = before(c.InboxRetention)
	}
	n.Deliveries, errs[2] = m.db.PurgeDeliveries(ctx, before(ids), before(ids*exceptionsFactor))
	n.Changes, errs[3] = m.db.PurgeChanges(ctx, clerk.TimeOf(now), before(c.ChangesRetention))
	m.purgedMu.Lock()
	defer m.purgedMu.Unlock()
	m.purged = m.purged.Add(n)
	return n, errors.Join(errs[:]...)
}

func (m *Mirror) purgedSoFar() mirror.Purged {
	m.purgedMu.Lock()
	defer m.purgedMu.Unlock()
	return m.purged
}
