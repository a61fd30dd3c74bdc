package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

var auditInsert = newBulk(`INSERT INTO clerk_audit (audit_id, at, action, clerk_user_id, clerk_session_id, clerk_organization_id,
	object, actor, address, origin, was, became, failure, request_id)`,
	slices.Concat([]columnType{textColumn, intColumn}, slices.Repeat([]columnType{textColumn}, 12)), "")

// auditValues returns the values of the columns. serial orders the entries that one process appends
// in the same millisecond.
func auditValues(e *mirror.AuditEntry, now int64, serial uint64) []any {
	e.At, e.ID = clerk.Time(now).Time(), entryID(now, serial)
	return []any{
		e.ID, now, string(e.Action), textOrNull(e.ClerkUserID), textOrNull(e.ClerkSessionID), textOrNull(e.ClerkOrganizationID),
		textOrNull(e.Object), textOrNull(e.Actor), textOrNull(e.Address), textOrNull(e.Origin), textOrNull(e.Was), textOrNull(e.Became),
		textOrNull(e.Failure), textOrNull(e.RequestID),
	}
}

// entryID returns an id that orders entries by time. serial orders those of one process in the same
// millisecond.
func entryID(now int64, serial uint64) string {
	return fmt.Sprintf("%012x%04x%s", now, serial&0xffff, rand.Text()[:8])
}

// entryTime returns the beginning of the ids of a time.
func entryTime(t time.Time) string { return fmt.Sprintf("%012x", max(0, t.UnixMilli())) }

// AppendAudit adds entries, in the transaction of the change that they record.
func (tx *Tx) AppendAudit(ctx context.Context, entries []mirror.AuditEntry) error {
	now := tx.db.now().UnixMilli()
	tx.audits = tx.audits || len(entries) > 0
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
	if f.Actor != "" {
		w.add("actor = ?", f.Actor)
	}
	if !f.Since.IsZero() { // ids begin with the time
		w.add("audit_id >= ?", entryTime(f.Since))
	}
	if !f.Until.IsZero() {
		w.add("audit_id < ?", entryTime(f.Until))
	}
	rest, args := w.pageBy("audit_id DESC", f.Limit)
	rows, err := db.query(ctx, `SELECT audit_id, at, action, clerk_user_id, clerk_session_id, clerk_organization_id,
		object, actor, address, origin, was, became, failure, request_id
		FROM clerk_audit`+rest, args...)
	list, err := scanAll(rows, err, func(r Row) (e mirror.AuditEntry, err error) {
		return e, r.Scan(&e.ID, (*instant)(&e.At), &e.Action, (*text)(&e.ClerkUserID), (*text)(&e.ClerkSessionID), (*text)(&e.ClerkOrganizationID),
			(*text)(&e.Object), (*text)(&e.Actor), (*text)(&e.Address), (*text)(&e.Origin), (*text)(&e.Was), (*text)(&e.Became),
			(*text)(&e.Failure), (*text)(&e.RequestID))
	})
	return pageOf(list, err, f.Limit, auditList, func(e *mirror.AuditEntry) place { return place{id: e.ID} })
}

// PurgeAudit removes entries from before a time, in pages, and returns how many.
func (db *DB) PurgeAudit(ctx context.Context, before clerk.Time) (n int64, err error) {
	return db.inPages(ctx, `DELETE FROM clerk_audit WHERE audit_id IN
		(SELECT audit_id FROM clerk_audit WHERE audit_id < $1 ORDER BY audit_id LIMIT $2)`, fmt.Sprintf("%012x", int64(before)), purgePage)
}

const metaPolicy = "policy"

// RecordPolicy stores which version of a policy is in force, and audits a change. An empty version
// does nothing.
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
