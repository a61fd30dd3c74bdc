package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

var auditInsert = newBulk(`INSERT INTO clerk_audit (audit_id, at, action, clerk_user_id, clerk_session_id, clerk_organization_id,
	actor, origin, was, became, request_id)`, slices.Concat([]columnType{textColumn, intColumn}, slices.Repeat([]columnType{textColumn}, 9)), "")

// auditValues are those of the columns. serial orders what one process appends in one millisecond.
func auditValues(e *mirror.AuditEntry, now int64, serial uint64) []any {
	e.At, e.ID = clerk.Time(now).Time(), fmt.Sprintf("%012x%04x%s", now, serial&0xffff, rand.Text()[:8])
	return []any{
		e.ID, now, string(e.Action), textOrNull(e.ClerkUserID), textOrNull(e.ClerkSessionID), textOrNull(e.ClerkOrganizationID),
		textOrNull(e.Actor), textOrNull(e.Origin), textOrNull(e.Was), textOrNull(e.Became), textOrNull(e.RequestID),
	}
}

// AppendAudit adds entries in the transaction of what they tell.
func (tx *Tx) AppendAudit(ctx context.Context, entries []mirror.AuditEntry) error {
	now := tx.db.now().UnixMilli()
	return tx.save(ctx, auditInsert, len(entries), func(i int) []any { return auditValues(&entries[i], now, tx.db.audited.Add(1)) })
}

// Audit returns a page of entries, newest first.
func (db *DB) Audit(ctx context.Context, f mirror.AuditFilter) (p mirror.Page[mirror.AuditEntry], err error) {
	var w where
	after, found, err := placeOf(auditList, f.After)
	if err != nil {
		return p, err
	}
	if found {
		w.add("audit_id < ?", after.id)
	}
	if f.ClerkUserID != "" {
		w.add("clerk_user_id = ?", f.ClerkUserID)
	}
	if f.Action != "" {
		w.add("action = ?", string(f.Action))
	}
	rest, args := w.pageBy("audit_id DESC", f.Limit)
	rows, err := db.query(ctx, `SELECT audit_id, at, action, clerk_user_id, clerk_session_id, clerk_organization_id, actor, origin, was, became, request_id
		FROM clerk_audit`+rest, args...)
	list, err := scanAll(rows, err, func(r *sql.Rows) (e mirror.AuditEntry, err error) {
		return e, r.Scan(&e.ID, (*instant)(&e.At), &e.Action, (*text)(&e.ClerkUserID), (*text)(&e.ClerkSessionID), (*text)(&e.ClerkOrganizationID),
			(*text)(&e.Actor), (*text)(&e.Origin), (*text)(&e.Was), (*text)(&e.Became), (*text)(&e.RequestID))
	})
	return pageOf(list, err, f.Limit, auditList, func(e *mirror.AuditEntry) place { return place{id: e.ID} })
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
		return tx.AppendAudit(ctx, []mirror.AuditEntry{{Action: mirror.AuditPolicy, Origin: "start", Was: was, Became: version}})
	})
}
