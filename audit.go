package clerksync

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/web"
)

// AuditEntry is one line of the audit: a denial for a contradiction, an access in another's name, a changed role.
type AuditEntry = store.AuditEntry

// AuditFilter selects entries; the zero value selects all.
type AuditFilter = store.AuditFilter

// Audit lists entries of the audit, newest first. Nothing changes or removes an entry before Config.AuditRetention.
func (m *Mirror) Audit(ctx context.Context, f AuditFilter) ([]AuditEntry, error) {
	return m.db.Audit(ctx, f)
}

const (
	auditWaiting = 1024        // entries that may wait for the database
	auditOnce    = time.Minute // in which the same again is not written again
	auditKeys    = 10_000      // what was written lately, remembered for that
)

// auditor writes entries beside the requests that cause them: a request does not wait for its entry, and a flood of
// the same is one entry a minute. A goroutine lives only while something waits.
type auditor struct {
	db  *store.DB
	now func() time.Time
	log func(err error)

	dropped atomic.Int64

	mu      sync.Mutex
	idle    *sync.Cond
	waiting []store.AuditEntry
	running bool
	lately  map[string]time.Time
}

func newAuditor(db *store.DB, now func() time.Time, log func(error)) *auditor {
	a := &auditor{db: db, now: now, log: log, lately: map[string]time.Time{}}
	a.idle = sync.NewCond(&a.mu)
	return a
}

func (a *auditor) contradiction(r *http.Request, c *auth.Claims, refusal *live.Refusal) {
	e := entryOf(r, c)
	e.Action, e.Was, e.Became = store.AuditContradiction, refusal.Claimed, refusal.Stored
	a.record(e)
}

func (a *auditor) impersonated(r *http.Request, c *auth.Claims) {
	e := entryOf(r, c)
	e.Action, e.Actor = store.AuditImpersonated, c.Actor.Subject
	a.record(e)
}

// entryOf names the route and not the path, which may tell more of a person than an audit should hold.
func entryOf(r *http.Request, c *auth.Claims) store.AuditEntry {
	e := store.AuditEntry{
		ClerkUserID: c.Subject, ClerkSessionID: c.SessionID, Origin: r.Method, RequestID: web.RequestID(r.Context()),
	}
	if r.Pattern != "" {
		e.Origin = r.Pattern
	}
	if c.Organization != nil {
		e.ClerkOrganizationID = c.Organization.ID
	}
	return e
}

func (a *auditor) record(e store.AuditEntry) {
	if a.db.ReadOnly() {
		return
	}
	key := e.Action + "\n" + e.ClerkUserID + "\n" + e.ClerkSessionID + "\n" + e.Origin + "\n" + e.Became
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if last, known := a.lately[key]; known && now.Sub(last) < auditOnce && !now.Before(last) {
		return
	}
	if len(a.waiting) >= auditWaiting {
		a.dropped.Add(1)
		return
	}
	if len(a.lately) >= auditKeys {
		clear(a.lately)
	}
	a.lately[key] = now
	a.waiting = append(a.waiting, e)
	if !a.running {
		a.running = true
		go a.write()
	}
}

func (a *auditor) write() {
	for {
		a.mu.Lock()
		batch := a.waiting
		a.waiting = nil
		if len(batch) == 0 {
			a.running = false
			a.idle.Broadcast()
			a.mu.Unlock()
			return
		}
		a.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err := a.db.Update(ctx, func(tx *store.Tx) error { return tx.AppendAudit(ctx, batch) })
		cancel()
		if err != nil {
			a.dropped.Add(int64(len(batch)))
			a.log(err)
		}
	}
}

// close waits for what is being written.
func (a *auditor) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.running {
		a.idle.Wait()
	}
}

// denials counts the requests that the token alone would have passed, by code.
type denials struct {
	notRegistered, inactive, sessionEnded, contradiction atomic.Int64
}

func (d *denials) of(code string) *atomic.Int64 {
	switch code {
	case live.CodeNotRegistered:
		return &d.notRegistered
	case live.CodeInactive:
		return &d.inactive
	case live.CodeSessionEnded:
		return &d.sessionEnded
	default:
		return &d.contradiction
	}
}

func (d *denials) count(code string) { d.of(code).Add(1) }

func (d *denials) counts() map[string]int64 {
	all := map[string]int64{}
	for _, code := range []string{live.CodeNotRegistered, live.CodeInactive, live.CodeSessionEnded, live.CodeContradiction} {
		all[code] = d.of(code).Load()
	}
	return all
}
