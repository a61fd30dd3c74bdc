package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/clerk"
)

// MachineToken is an API key or another opaque token that Clerk has accepted. The token itself is
// not stored.
type MachineToken struct {
	Digest    string // an HMAC of the token
	Kind      string // api_key, oauth or m2m
	KeyID     string
	Subject   string
	CreatedBy string
	ClientID  string
	Scopes    []string
	Claims    string // JSON, as its creator wrote them; "null" for none

	IssuedAt, ExpiresAt clerk.Time // 0 for none
	CheckedAt           clerk.Time // when Clerk was asked the last time that it called the token valid
	VerifiedAt          clerk.Time // likewise, by the token itself and not by its id
}

// users returns who may be a person in a token.
func (t *MachineToken) users() []string { return []string{t.Subject, t.CreatedBy} }

//nolint:gosec // names of columns, and no token
const machineTokenColumns = "digest, kind, key_id, subject, created_by, client_id, scopes, claims, issued_at, expires_at, checked_at, verified_at"

var machineTokenUpsert = newBulk("INSERT INTO clerk_machine_tokens ("+machineTokenColumns+")",
	slices.Concat(slices.Repeat([]columnType{textColumn}, 8), slices.Repeat([]columnType{intColumn}, 4)),
	` ON CONFLICT (digest) DO UPDATE SET kind = excluded.kind, key_id = excluded.key_id, subject = excluded.subject,
		created_by = excluded.created_by, client_id = excluded.client_id, scopes = excluded.scopes, claims = excluded.claims,
		issued_at = excluded.issued_at, expires_at = excluded.expires_at, checked_at = excluded.checked_at, verified_at = excluded.verified_at
		WHERE excluded.checked_at > clerk_machine_tokens.checked_at`)

// MachineToken returns a token by its digest, or [ErrNotFound].
func (db *DB) MachineToken(ctx context.Context, digest string) (MachineToken, error) {
	rows, err := db.query(ctx, "SELECT "+machineTokenColumns+" FROM clerk_machine_tokens WHERE digest = $1", digest)
	return exactlyOne(scanAll(rows, err, scanMachineToken))
}

// LatestMachineTokens returns so many tokens at most, the one that Clerk was asked about last comes
// first.
func (db *DB) LatestMachineTokens(ctx context.Context, most int) ([]MachineToken, error) {
	rows, err := db.query(ctx, "SELECT "+machineTokenColumns+" FROM clerk_machine_tokens ORDER BY checked_at DESC LIMIT $1", most)
	return scanAll(rows, err, scanMachineToken)
}

func scanMachineToken(r Row) (t MachineToken, err error) {
	var scopes string
	err = r.Scan(&t.Digest, &t.Kind, &t.KeyID, &t.Subject, (*text)(&t.CreatedBy), (*text)(&t.ClientID), &scopes, &t.Claims,
		&t.IssuedAt, &t.ExpiresAt, &t.CheckedAt, &t.VerifiedAt)
	if err == nil {
		err = json.Unmarshal([]byte(scopes), &t.Scopes)
	}
	return t, err
}

// SaveMachineTokens stores tokens that Clerk has accepted, and removes others by their digests.
// Tokens of erased users are not stored, nor is what is older than what is stored.
func (db *DB) SaveMachineTokens(ctx context.Context, list []MachineToken, gone []string) error {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b MachineToken) int { return strings.Compare(a.Digest, b.Digest) })
	var users []string
	for i := range list {
		users = append(users, list[i].users()...)
	}
	slices.Sort(users)
	return db.UpdateWith(ctx, Wanted{Users: slices.Compact(users)}, func(tx *Tx, found Found) error {
		kept := slices.DeleteFunc(slices.Clone(list), func(t MachineToken) bool {
			return slices.ContainsFunc(t.users(), func(id string) bool { return found.Erased[id] })
		})
		if err := tx.deleteMachineTokens(ctx, "digest", gone); err != nil {
			return err
		}
		return tx.save(ctx, machineTokenUpsert, len(kept), func(i int) []any {
			t := &kept[i]
			scopes, _ := json.Marshal(append([]string{}, t.Scopes...))
			return []any{
				t.Digest, t.Kind, t.KeyID, t.Subject, textOrNull(t.CreatedBy), textOrNull(t.ClientID), string(scopes), t.Claims,
				int64(t.IssuedAt), int64(t.ExpiresAt), int64(t.CheckedAt), int64(t.VerifiedAt),
			}
		})
	})
}

// deleteMachineTokens removes the tokens that have one of some values in a column.
func (tx *Tx) deleteMachineTokens(ctx context.Context, column string, values []string) error {
	if len(values) == 0 {
		return nil
	}
	condition, arg := tx.db.engine.oneOf(column, values)
	return tx.exec(ctx, "DELETE FROM clerk_machine_tokens WHERE "+condition, arg)
}

// EraseMachineTokens removes what is stored of the API keys and tokens of a user, and of the keys
// that the user made.
func (tx *Tx) EraseMachineTokens(ctx context.Context, userID string) error {
	if err := tx.deleteMachineTokens(ctx, "subject", []string{userID}); err != nil {
		return err
	}
	return tx.deleteMachineTokens(ctx, "created_by", []string{userID})
}

// PurgeMachineTokens removes tokens that have expired, or that were not used since a time, and of
// the others the oldest until so many are left. It also removes revocations of tokens that have
// expired.
func (db *DB) PurgeMachineTokens(ctx context.Context, now, before clerk.Time, most int) error {
	_, err := db.inPages(ctx, `DELETE FROM clerk_revocations WHERE id IN
		(SELECT id FROM clerk_revocations WHERE expires_at > 0 AND expires_at < $1 LIMIT $2)`, int64(now), purgePage)
	if err != nil {
		return err
	}
	_, err = db.inPages(ctx, `DELETE FROM clerk_machine_tokens WHERE digest IN
		(SELECT digest FROM clerk_machine_tokens WHERE checked_at < $1 OR expires_at > 0 AND expires_at < $2 LIMIT $3)`, int64(before), int64(now), purgePage)
	if err != nil {
		return err
	}
	for {
		n, err := db.number(ctx, "SELECT count(*) FROM clerk_machine_tokens")
		if err != nil || n <= int64(most) {
			return err
		}
		err = db.Update(ctx, func(tx *Tx) error {
			return tx.exec(ctx, `DELETE FROM clerk_machine_tokens WHERE digest IN
				(SELECT digest FROM clerk_machine_tokens ORDER BY checked_at LIMIT $1)`, min(purgePage, n-int64(most)))
		})
		if err != nil {
			return fmt.Errorf("remove machine tokens: %w", err)
		}
	}
}
