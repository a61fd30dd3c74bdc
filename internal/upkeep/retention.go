package upkeep

import (
	"context"
	"errors"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/privacy"
	"github.com/clerksync/clerksync/mirror"
)

const (
	eraseEvery = time.Minute // how soon a user is erased once the delay has ended
	purgeEvery = time.Hour
	// leastIDs is how long the ids of messages are kept at least: a manual replay at Clerk sends
	// old ones again.
	leastIDs = 90 * 24 * time.Hour
	// exceptionsFactor is how many times longer dead and quarantined deliveries are kept than
	// others.
	exceptionsFactor = 2
	// wholeInbox is how often bodies are looked for in all of the inbox, and not only among those
	// that have become too old since the last time: a dead letter that was applied later may have
	// any age.
	wholeInbox     = 24 * time.Hour
	driftRetention = 90 * 24 * time.Hour
	// webhookRetention is how long attempts and failed messages of outgoing webhooks are kept.
	webhookRetention = 30 * 24 * time.Hour
	// walkRetention is how long the history of walks is kept, as long as the drift that they found.
	walkRetention = driftRetention
	// minuteRetention is how long the counts of each minute are kept.
	minuteRetention = 7 * 24 * time.Hour
	// machineTokenRetention is how long a verified API key or token is kept that nobody uses, and
	// maxMachineTokens how many are.
	machineTokenRetention = 30 * 24 * time.Hour
	maxMachineTokens      = 100_000
	// jobRetention is how long jobs are kept after they ended.
	jobRetention = 90 * 24 * time.Hour
)

// runRetention erases users whose delay has ended and removes what is older than its retention,
// until the context ends.
func (u *Upkeep) runRetention(ctx context.Context) {
	var purged time.Time
	for ctx.Err() == nil {
		if err := u.EraseDue(ctx); err != nil && ctx.Err() == nil {
			u.config.Logger.Error("erasures could not be finished; they go on in a minute", "error", err)
		}
		if time.Since(purged) >= purgeEvery {
			purged = time.Now()
			n, err := u.Purge(ctx)
			if err != nil && ctx.Err() == nil {
				u.config.Logger.Error("what is older than its retention could not be removed", "error", err)
			}
			if n != (mirror.Purged{}) {
				u.config.Logger.Info("what is older than its retention was removed",
					"bodies", n.Bodies, "deliveries", n.Deliveries, "changes", n.Changes, "audit", n.Audit, "drift", n.Drift)
			}
		}
		wait(ctx, eraseEvery)
	}
}

// EraseDue erases users whose delay has ended, and finishes erasures that were begun. What the
// application's OnChange refuses is left for the next time.
func (u *Upkeep) EraseDue(ctx context.Context) error {
	n, refused, err := u.config.Ingest.EraseDue(ctx, clerk.TimeOf(u.config.Now().Add(-max(u.config.EraseAfter, 0))))
	finished, err2 := privacy.FinishErasures(ctx, u.db)
	if n > 0 || finished > 0 {
		u.config.Logger.Info("users were erased", "erased", n, "searched_for_copies", finished)
		_, err3 := u.db.TruncateWAL(ctx) // if it fails, the write-ahead log is overwritten later
		err2 = errors.Join(err2, err3)
	}
	if _, ok := errors.AsType[*mirror.OnChangeError](err2); ok {
		refused++
	}
	err = errors.Join(err, err2)
	problem := ""
	if refusal, ok := errors.AsType[*mirror.OnChangeError](err); ok {
		problem = refusal.Problem()
	}
	return errors.Join(err, u.db.NoteRefusedErasures(ctx, refused, problem))
}

// Purge removes what is older than its retention.
func (u *Upkeep) Purge(ctx context.Context) (n mirror.Purged, err error) {
	c, now := u.config, u.config.Now()
	before := func(d time.Duration) clerk.Time { return clerk.TimeOf(now.Add(-d)) }
	ids := max(c.InboxRetention, leastIDs)
	var errs [10]error
	n.Drift, errs[4] = u.db.PurgeDrift(ctx, before(driftRetention))
	errs[5] = u.db.PurgeWebhooks(ctx, before(webhookRetention))
	errs[6] = u.db.PurgeJobs(ctx, clerk.TimeOf(now), before(jobRetention))
	errs[7] = u.db.PurgeWalkRuns(ctx, before(walkRetention))
	errs[8] = u.db.PurgeMinutes(ctx, before(minuteRetention))
	errs[9] = u.db.PurgeMachineTokens(ctx, clerk.TimeOf(now), before(machineTokenRetention), maxMachineTokens)
	n.Audit, errs[0] = u.db.PurgeAudit(ctx, before(c.AuditRetention))
	from := u.cleared
	if now.Sub(from.Time()) > c.InboxRetention+wholeInbox {
		from = 0
	}
	n.Bodies, errs[1] = u.db.PurgeBodies(ctx, from, before(c.InboxRetention))
	if errs[1] == nil && from == 0 {
		u.cleared = before(c.InboxRetention)
	}
	n.Deliveries, errs[2] = u.db.PurgeDeliveries(ctx, before(ids), before(ids*exceptionsFactor))
	n.Changes, errs[3] = u.db.PurgeChanges(ctx, clerk.TimeOf(now), before(c.ChangesRetention))
	if n.Changes > 0 {
		u.warnOfPassedConsumers(ctx)
	}
	u.purgedMu.Lock()
	defer u.purgedMu.Unlock()
	u.purged = u.purged.Add(n)
	return n, errors.Join(errs[:]...)
}

// warnOfPassedConsumers logs which consumers have lost their place because the feed was purged.
func (u *Upkeep) warnOfPassedConsumers(ctx context.Context) {
	consumers, err := u.db.Consumers(ctx, clerk.TimeOf(u.config.Now()))
	if err != nil {
		return // health warns of them, too
	}
	for i := range consumers {
		if consumers[i].StopReason == mirror.CursorExpired {
			u.config.Logger.Error("changes that a consumer has not handled were older than the retention of the feed and were removed; it is stopped",
				"consumer", consumers[i].Name, "cursor", string(consumers[i].Cursor))
		}
	}
}

// Purged returns what this process has removed.
func (u *Upkeep) Purged() mirror.Purged {
	u.purgedMu.Lock()
	defer u.purgedMu.Unlock()
	return u.purged
}
