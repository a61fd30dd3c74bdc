package access

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/group"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

const (
	auditWaiting = 1024        // entries that may wait for the database
	auditOnce    = time.Minute // in which the same entry is written once
	auditKeys    = 10_000      // entries that are remembered for that
	auditTimeout = 10 * time.Second
)

// auditor writes entries in the background: no request waits for its entry. The same entry is
// written once a minute, so that a flood of equal requests cannot fill the audit.
type auditor struct {
	db    *store.DB
	now   func() time.Time
	log   func(err error)
	queue *group.Queue[mirror.AuditEntry]

	dropped atomic.Int64

	mu     sync.Mutex
	recent map[string]time.Time // entries that were recorded, and when
}

func newAuditor(db *store.DB, now func() time.Time, log func(error)) *auditor {
	a := &auditor{db: db, now: now, log: log, recent: map[string]time.Time{}}
	a.queue = group.New(group.Config[mirror.AuditEntry]{Work: a.write, MaxItems: auditWaiting})
	return a
}

// contradiction records a valid token that a stored fact refuses.
func (a *auditor) contradiction(r *http.Request, c *auth.Claims, refusal *live.Refusal) {
	e := entryOf(r, c)
	e.Action, e.Was, e.Became = mirror.AuditContradiction, refusal.Claimed, refusal.Stored
	a.record(e)
}

// impersonated records a request that someone makes as another user.
func (a *auditor) impersonated(r *http.Request, c *auth.Claims) {
	e := entryOf(r, c)
	e.Action, e.Actor = mirror.AuditImpersonated, c.Actor.Subject
	a.record(e)
}

// entryOf returns an entry about a request. It names the route and not the path, which may
// contain personal data.
func entryOf(r *http.Request, c *auth.Claims) mirror.AuditEntry {
	e := mirror.AuditEntry{
		ClerkUserID: live.Person(c), ClerkSessionID: c.SessionID, Origin: r.Method, RequestID: web.RequestID(r.Context()),
	}
	if r.Pattern != "" {
		e.Origin = r.Pattern
	}
	if c.Organization != nil {
		e.ClerkOrganizationID = c.Organization.ID
	}
	return e
}

// record queues an entry, unless the same one was recorded a moment ago.
func (a *auditor) record(e mirror.AuditEntry) {
	if a.db.ReadOnly() {
		return
	}
	key := string(e.Action) + "\n" + e.ClerkUserID + "\n" + e.ClerkSessionID + "\n" + e.Origin + "\n" + e.Became
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if last, known := a.recent[key]; known && now.Sub(last) < auditOnce && !now.Before(last) {
		return
	}
	if _, err := a.queue.Add(e); err != nil {
		a.dropped.Add(1)
		return
	}
	if len(a.recent) >= auditKeys {
		clear(a.recent)
	}
	a.recent[key] = now
}

func (a *auditor) write(entries []mirror.AuditEntry) {
	ctx, cancel := context.WithTimeout(context.Background(), auditTimeout)
	defer cancel()
	if err := a.db.Update(ctx, func(tx *store.Tx) error { return tx.AppendAudit(ctx, entries) }); err != nil {
		a.dropped.Add(int64(len(entries)))
		a.log(err)
	}
}

// close waits until all entries are written.
func (a *auditor) close() { a.queue.Close() }

// denials counts requests that were refused although their token was valid, by code.
type denials struct {
	notRegistered, inactive, sessionEnded, contradiction, organization atomic.Int64
}

func (d *denials) of(code string) *atomic.Int64 {
	switch code {
	case live.CodeNotRegistered:
		return &d.notRegistered
	case live.CodeInactive:
		return &d.inactive
	case live.CodeSessionEnded:
		return &d.sessionEnded
	case live.CodeOrganizationInactive:
		return &d.organization
	default:
		return &d.contradiction
	}
}

func (d *denials) count(code string) { d.of(code).Add(1) }

func (d *denials) counts() map[string]int64 {
	all := map[string]int64{}
	for _, code := range []string{live.CodeNotRegistered, live.CodeInactive, live.CodeSessionEnded, live.CodeContradiction, live.CodeOrganizationInactive} {
		all[code] = d.of(code).Load()
	}
	return all
}
