package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/clerksync/clerksync/clerk"
)

// Actions that the audit records.
const (
	AuditContradiction = "contradiction"      // a token was refused because a newer stored fact says otherwise
	AuditImpersonated  = "impersonated"       // an actor used another user's account
	AuditRole          = "role_changed"       // of a user
	AuditMembership    = "member_changed"     // the role of a user in an organization
	AuditPolicy        = "policy_changed"     // of routes, by its version
	AuditDismissed     = "delivery_dismissed" // a dead letter need not be applied, an operator says
	AuditLadder        = "ladder_changed"     // the role ladder by which stored roles are derived
	AuditRedaction     = "redaction_changed"
	AuditAccepted      = "accepted" // an operator had an object set to what Clerk tells, against what is stored
)

// AuditEntry is one line of the audit. It holds ids and names, never a person's data.
type AuditEntry struct {
	ID                  string // orders by time; set when it is appended
	At                  clerk.Time
	Action              string
	ClerkUserID         string
	ClerkSessionID      string
	ClerkOrganizationID string
	Actor               string // who did it: a Clerk user id for impersonation, what the operator gave for a dismissal, else empty
	Origin              string // what it came with: a message id, "read", or a method and a route
	Was, Became         string
	RequestID           string
}

var auditInsert = newBulk(`INSERT INTO clerk_audit (audit_id, at, action, clerk_user_id, clerk_session_id, clerk_organization_id,
	actor, origin, was, became, request_id)`, slices.Concat([]columnType{textColumn, intColumn}, slices.Repeat([]columnType{textColumn}, 9)), "")

// values are those of the columns. serial orders what one process appends in one millisecond.
func (e *AuditEntry) values(now int64, serial uint64) []any {
	e.At, e.ID = clerk.Time(now), fmt.Sprintf("%012x%04x%s", now, serial&0xffff, rand.Text()[:8])
	return []any{
		e.ID, now, e.Action, textOrNull(e.ClerkUserID), textOrNull(e.ClerkSessionID), textOrNull(e.ClerkOrganizationID),
		textOrNull(e.Actor), textOrNull(e.Origin), textOrNull(e.Was), textOrNull(e.Became), textOrNull(e.RequestID),
	}
}

// AppendAudit adds entries in the transaction of what they tell.
func (tx *Tx) AppendAudit(ctx context.Context, entries []AuditEntry) error {
	now := tx.db.now().UnixMilli()
	return tx.save(ctx, auditInsert, len(entries), func(i int) []any { return entries[i].values(now, tx.db.audited.Add(1)) })
}

// AuditFilter selects entries; the zero value selects all.
type AuditFilter struct {
	ClerkUserID string
	Action      string
	Before      string // the id of the last entry of the page before
	Limit       int    // 0 = 50, at most 500
}

// Audit lists entries, newest first.
func (db *DB) Audit(ctx context.Context, f AuditFilter) ([]AuditEntry, error) {
	var w where
	if f.ClerkUserID != "" {
		w.add("clerk_user_id = ?", f.ClerkUserID)
	}
	if f.Action != "" {
		w.add("action = ?", f.Action)
	}
	if f.Before != "" {
		w.add("audit_id < ?", f.Before)
	}
	rest, args := w.pageBy("audit_id DESC", f.Limit)
	rows, err := db.query(ctx, `SELECT audit_id, at, action, clerk_user_id, clerk_session_id, clerk_organization_id, actor, origin, was, became, request_id
		FROM clerk_audit`+rest, args...)
	return scanAll(rows, err, func(r *sql.Rows) (e AuditEntry, err error) {
		return e, r.Scan(&e.ID, &e.At, &e.Action, (*text)(&e.ClerkUserID), (*text)(&e.ClerkSessionID), (*text)(&e.ClerkOrganizationID),
			(*text)(&e.Actor), (*text)(&e.Origin), (*text)(&e.Was), (*text)(&e.Became), (*text)(&e.RequestID))
	})
}

// PurgeAudit removes entries from before a time, a bounded number at a time, and answers how many.
func (db *DB) PurgeAudit(ctx context.Context, before clerk.Time) (n int64, err error) {
	return db.inPages(ctx, `DELETE FROM clerk_audit WHERE audit_id IN
		(SELECT audit_id FROM clerk_audit WHERE audit_id < $1 ORDER BY audit_id LIMIT $2)`, fmt.Sprintf("%012x", int64(before)), purgePage)
}

const metaPolicy = "policy"

// RecordPolicy notes which version of a policy is in force, and audits a change. The empty version says nothing.
func (db *DB) RecordPolicy(ctx context.Context, version string) error {
	if version == "" {
		return nil
	}
	was, err := db.Meta(ctx, metaPolicy)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	if err != nil || was == version {
		return err
	}
	return db.Update(ctx, func(tx *Tx) error {
		if err := tx.SetMeta(ctx, metaPolicy, version); err != nil {
			return err
		}
		return tx.AppendAudit(ctx, []AuditEntry{{Action: AuditPolicy, Origin: "start", Was: was, Became: version}})
	})
}
