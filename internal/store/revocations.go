package store

import (
	"context"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// Revocation is the refusal of a token that was revoked here, or of all tokens of a subject that
// were made until then.
type Revocation struct {
	ID        string // of the key or the token, or of the subject
	IsSubject bool
	At        clerk.Time
	ExpiresAt clerk.Time // when nothing could accept the token any more; 0: that is not known, and the revocation is kept
}

// KeyOwner is what is remembered of a key or an opaque token by its id.
type KeyOwner struct {
	Kind      string // api_key, oauth or m2m
	Subject   string
	ExpiresAt clerk.Time // 0 for none
}

// KeyOwner returns what is remembered of a key or an opaque token, or [ErrNotFound].
func (tx *Tx) KeyOwner(ctx context.Context, keyID string) (KeyOwner, error) {
	rows, err := tx.query(ctx, "SELECT kind, subject, expires_at FROM clerk_machine_tokens WHERE key_id = $1 ORDER BY digest LIMIT 1", keyID)
	return exactlyOne(scanAll(rows, err, func(r Row) (o KeyOwner, err error) { return o, r.Scan(&o.Kind, &o.Subject, &o.ExpiresAt) }))
}

// Revoke stores a revocation and forgets what is stored of the tokens.
func (tx *Tx) Revoke(ctx context.Context, r Revocation) error {
	column := "key_id"
	if r.IsSubject {
		column = "subject"
	}
	if err := tx.deleteMachineTokens(ctx, column, []string{r.ID}); err != nil {
		return err
	}
	const text = `INSERT INTO clerk_revocations (id, is_subject, revoked_at, expires_at, revoked_write) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (id) DO UPDATE SET is_subject = excluded.is_subject, expires_at = excluded.expires_at, revoked_write = excluded.revoked_write,
		revoked_at = CASE WHEN excluded.revoked_at > clerk_revocations.revoked_at THEN excluded.revoked_at ELSE clerk_revocations.revoked_at END
		WHERE excluded.is_subject >= clerk_revocations.is_subject` // a subject's stays, if somebody takes its id for that of a key
	return tx.exec(ctx, text, r.ID, flag(r.IsSubject), int64(r.At), int64(r.ExpiresAt), tx.Head.Writes)
}

// EndRevocation sets the time from which a revocation of a key or a token can be removed.
func (tx *Tx) EndRevocation(ctx context.Context, id string, at clerk.Time) error {
	return tx.exec(ctx, "UPDATE clerk_revocations SET expires_at = $1 WHERE id = $2 AND is_subject = 0", int64(at), id)
}

// CountRevocations counts the revocations that have no end, up to a number.
func (db *DB) CountRevocations(ctx context.Context, most int) (int64, error) {
	return db.number(ctx, "SELECT count(*) FROM (SELECT 1 FROM clerk_revocations WHERE expires_at = 0 LIMIT $1) AS kept", most)
}

// RevocationsPage returns a page of the revocations, the latest first.
func (db *DB) RevocationsPage(ctx context.Context, f mirror.RevocationFilter) (p mirror.Page[mirror.Revocation], err error) {
	var w where
	after, found, err := placeOf(revocationsList, f.After)
	if err != nil {
		return p, err
	}
	if found { // the place is the transaction, and each revokes one thing
		w.add("revoked_write < ?", int64(after.at))
	}
	if f.ID != "" {
		w.add("id = ?", f.ID)
	}
	rest, args := w.pageBy("revoked_write DESC", f.Limit)
	type numbered struct {
		mirror.Revocation
		write clerk.Time
	}
	rows, err := db.query(ctx, "SELECT id, is_subject, revoked_at, expires_at, revoked_write FROM clerk_revocations"+rest, args...)
	list, err := scanAll(rows, err, func(r Row) (v numbered, err error) {
		var at, ends clerk.Time
		err = r.Scan(&v.ID, &v.IsSubject, &at, &ends, &v.write)
		v.RevokedAt, v.EndsAt = at.Time(), ends.Time()
		return v, err
	})
	of, err := pageOf(list, err, f.Limit, revocationsList, func(v *numbered) place { return place{v.write, v.ID} })
	p = mirror.Page[mirror.Revocation]{Items: []mirror.Revocation{}, Next: of.Next}
	for i := range of.Items {
		p.Items = append(p.Items, of.Items[i].Revocation)
	}
	return p, err
}

// Revocations lists all revocations. version is the one of [QueuedRefs].
func (db *DB) Revocations(ctx context.Context) (list []Revocation, version int64, err error) {
	rows, err := db.query(ctx, "SELECT id, is_subject, revoked_at, expires_at, revoked_write FROM clerk_revocations")
	list, err = scanAll(rows, err, func(r Row) (v Revocation, err error) {
		var write int64
		err = r.Scan(&v.ID, &v.IsSubject, &v.At, &v.ExpiresAt, &write)
		version = max(version, write)
		return v, err
	})
	return list, version, err
}
