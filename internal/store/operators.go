package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// TokenDigest is the SHA-256 of the token of an operator.
type TokenDigest [sha256.Size]byte

// String returns the digest as it is stored.
func (d TokenDigest) String() string { return hex.EncodeToString(d[:]) }

// Scan reads a stored digest.
func (d *TokenDigest) Scan(src any) error {
	var s string
	if err := (*text)(&s).Scan(src); err != nil {
		return err
	}
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(d) {
		return errors.New("the stored digest of an operator's token is not one")
	}
	copy(d[:], b)
	return nil
}

// OperatorToken is an operator with the digest of the token.
type OperatorToken struct {
	mirror.Operator

	Digest TokenDigest
}

// MaxOperators bounds the operators of a database: each request of one compares its token with all.
const MaxOperators = 100

// OperatorTokens lists the operators by name.
func (db *DB) OperatorTokens(ctx context.Context) ([]OperatorToken, error) {
	rows, err := db.query(ctx, `SELECT name, token_digest, read_only, created_at, created_by, expires_at, last_used_at
		FROM clerk_operators ORDER BY name`)
	return scanAll(rows, err, func(r Row) (o OperatorToken, err error) {
		return o, r.Scan(&o.Name, &o.Digest, &o.ReadOnly, (*instant)(&o.CreatedAt), (*text)(&o.CreatedBy), (*instant)(&o.ExpiresAt),
			(*instant)(&o.LastUsedAt))
	})
}

// AddOperator stores a new operator and audits that. The error is [mirror.ErrOperatorExists] or
// [mirror.ErrTooManyOperators] if nothing can be added.
func (db *DB) AddOperator(ctx context.Context, o *OperatorToken, by mirror.By) error {
	return db.Update(ctx, func(tx *Tx) error {
		rows, err := tx.query(ctx, "SELECT name FROM clerk_operators")
		names, err := scanAll(rows, err, scanOne[string])
		if err != nil {
			return err
		}
		if slices.Contains(names, o.Name) {
			return mirror.ErrOperatorExists
		}
		if len(names) >= MaxOperators {
			return mirror.ErrTooManyOperators
		}
		const insert = `INSERT INTO clerk_operators (name, token_digest, read_only, created_at, created_by, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6)`
		err = tx.exec(ctx, insert, o.Name, o.Digest.String(), flag(o.ReadOnly), int64(clerk.TimeOf(o.CreatedAt)), textOrNull(o.CreatedBy),
			int64(clerk.TimeOf(o.ExpiresAt)))
		if err != nil {
			return err
		}
		entry := by.Entry(mirror.AuditOperator)
		entry.Object, entry.Became = o.Name, roleOf(o.ReadOnly)+" until "+o.ExpiresAt.UTC().Format(time.RFC3339)
		return tx.AppendAudit(ctx, []mirror.AuditEntry{entry})
	})
}

func roleOf(readOnly bool) string {
	if readOnly {
		return "read-only"
	}
	return "operator"
}

// RevokeOperator removes an operator and audits that. The error is [ErrNotFound] if there is none
// of the name.
func (db *DB) RevokeOperator(ctx context.Context, name string, by mirror.By) error {
	return db.Update(ctx, func(tx *Tx) error {
		rows, err := tx.query(ctx, "DELETE FROM clerk_operators WHERE name = $1 RETURNING read_only", name)
		revoked, err := scanAll(rows, err, scanOne[bool])
		readOnly, err := only(revoked, err, "operator", name)
		if err != nil {
			return err
		}
		entry := by.Entry(mirror.AuditOperator)
		entry.Object, entry.Was, entry.Became = name, roleOf(readOnly), "revoked"
		return tx.AppendAudit(ctx, []mirror.AuditEntry{entry})
	})
}

// OperatorUsed stores when a token was used, unless a use within the given time before is stored.
func (db *DB) OperatorUsed(ctx context.Context, digest TokenDigest, at time.Time, within time.Duration) error {
	return db.updateWithoutHead(ctx, func(tx *Tx) error {
		const text = `UPDATE clerk_operators SET last_used_at = $2 WHERE token_digest = $1 AND (last_used_at IS NULL OR last_used_at <= $3)`
		return tx.exec(ctx, text, digest.String(), int64(clerk.TimeOf(at)), int64(clerk.TimeOf(at.Add(-within))))
	})
}
