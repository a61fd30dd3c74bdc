package write

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

const (
	// maxKeys is how many keys of one subject are listed or revoked at Clerk.
	maxKeys = 1000
	// revocationMargin is for how long a revocation stays after its token has ended: clocks differ.
	revocationMargin = 24 * time.Hour
	// longestLife is more than the ten years that Clerk lets a token live.
	longestLife = 100 * 365 * 24 * time.Hour
	// otherProcesses is for how long another process may remember an answer of Clerk, if its
	// settings are not those of this one.
	otherProcesses = 31 * 24 * time.Hour
)

// RevokeKey revokes an API key, or a token: by the id of the key or the opaque token, or the claim
// jti of a JWT. It is refused here first, and then revoked at Clerk if Clerk can do that: JWTs and
// OAuth tokens are refused here alone. expires is when a JWT ends, if that is known.
func (w *Writer) RevokeKey(ctx context.Context, id string, expires time.Time, by mirror.By, p clerkapi.Priority) (mirror.Written, error) {
	if !isKeyID(id) {
		return mirror.Written{}, mirror.ErrNotFound
	}
	if ownsKeys(id) { // its row would replace the one of the subject
		return mirror.Written{}, fmt.Errorf("a key with the id %s, which is that of a user, an organization or a machine, was %w", id, mirror.ErrNotFound)
	}
	entry := by.Entry(mirror.AuditKeyRevoked)
	entry.Object, entry.Became = id, string(mirror.KeyRevoked)
	revocation := store.Revocation{ID: id}
	if !expires.IsZero() {
		revocation.ExpiresAt = w.endFor(expires)
	}
	written, err := w.refuseHere(ctx, revocation, &entry)
	if err != nil || w.API == nil || !clerkRevokes(id) {
		return written, err
	}
	switch err = w.revokeKey(ctx, id, p); {
	case isNotFound(err) && maybeJWT(id):
		return written, nil
	case err == nil:
		written.Where = mirror.AtClerk
		w.endRevocation(ctx, id)
		return written, nil
	case isNotFound(err):
		w.endRevocation(ctx, id)
	}
	return written, w.keyFailed(ctx, entry, err)
}

// RevokeKeysOf revokes all API keys and tokens of a user, an organization or a machine that were
// made until now, and returns how many were valid at Clerk. They are refused here first. Where one
// of them cannot be revoked at Clerk it goes on, and returns the first error.
func (w *Writer) RevokeKeysOf(ctx context.Context, subject string, by mirror.By, p clerkapi.Priority) (n int, written mirror.Written, err error) {
	if !isKeyID(subject) || !ownsKeys(subject) {
		return 0, mirror.Written{}, mirror.ErrNotFound
	}
	entry := by.Entry(mirror.AuditKeyRevoked)
	entry.Object, entry.Became = subject, "all keys revoked"
	if strings.HasPrefix(subject, "user_") {
		entry.ClerkUserID = subject
	}
	if written, err = w.refuseHere(ctx, store.Revocation{ID: subject, IsSubject: true}, &entry); err != nil || w.API == nil {
		return 0, written, err
	}
	keys, err := w.keysOf(ctx, subject, p)
	for i := range keys {
		if keys[i].Revoked || keys[i].Expired {
			continue
		}
		failed := w.revokeKey(ctx, keys[i].ID, p)
		if failed == nil {
			n++
		} else if err == nil {
			err = failed
		}
	}
	if err != nil {
		return n, written, w.keyFailed(ctx, entry, err)
	}
	written.Where = mirror.AtClerk
	return n, written, nil
}

// Keys lists the API keys of a user or an organization, or the opaque M2M tokens of a machine, as
// Clerk has them.
func (w *Writer) Keys(ctx context.Context, subject string, p clerkapi.Priority) ([]mirror.Key, error) {
	if w.API == nil {
		return nil, mirror.ErrNoSecretKey
	}
	tokens, err := w.keysOf(ctx, subject, p)
	if err != nil {
		return nil, publicError(err)
	}
	keys := make([]mirror.Key, len(tokens))
	for i := range tokens {
		t := &tokens[i]
		kind := auth.APIKey
		if t.Kind == clerkapi.M2MToken {
			kind = auth.M2M
		}
		refused, err := w.Revocations.Revoked(ctx, &auth.Claims{Kind: kind, KeyID: t.ID, Subject: t.Subject, IssuedAt: t.CreatedAt.Time()})
		if err != nil {
			return nil, err
		}
		state := mirror.KeyActive
		switch {
		case t.Revoked || refused:
			state = mirror.KeyRevoked
		case t.Expired:
			state = mirror.KeyExpired
		}
		keys[i] = mirror.Key{
			ID: t.ID, Kind: kind.String(), Subject: t.Subject, Name: t.Name, Scopes: append([]string{}, t.Scopes...), CreatedBy: t.CreatedBy, State: state,
			CreatedAt: t.CreatedAt.Time(), ExpiresAt: t.ExpiresAt.Time(), LastUsedAt: t.LastUsedAt.Time(),
		}
	}
	return keys, nil
}

func (w *Writer) keysOf(ctx context.Context, subject string, p clerkapi.Priority) (all []clerkapi.MachineToken, err error) {
	for len(all) < maxKeys {
		page, total, err := w.API.TokensOf(ctx, subject, len(all), p)
		if err != nil {
			return nil, err
		}
		if all = append(all, page...); len(page) == 0 || len(all) >= total {
			break
		}
	}
	return all, nil
}

// refuseHere stores a revocation. It counts in this process when it returns, and in others within a
// second.
func (w *Writer) refuseHere(ctx context.Context, r store.Revocation, entry *mirror.AuditEntry) (written mirror.Written, err error) {
	if err := w.Check(); err != nil {
		return written, err
	}
	if err := store.CheckOutside(ctx); err != nil {
		return written, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	written.Where = mirror.Here
	r.At = clerk.TimeOf(w.Now())
	err = w.DB.Update(ctx, func(tx *store.Tx) error {
		if err := w.learnOwner(ctx, tx, &r, entry); err != nil {
			return err
		}
		err := errors.Join(tx.Revoke(ctx, r), tx.AppendAudit(ctx, []mirror.AuditEntry{*entry}))
		if err == nil {
			written.Cursor, err = tx.FeedEnd(ctx)
		}
		return err
	})
	if err != nil {
		return written, err
	}
	w.done(ctx, &change{entry: *entry})
	return written, w.Revocations.Load(ctx)
}

// learnOwner adds to a revocation and to the audit what is remembered of the key: whose it is, and
// when it ends. The end of an API key can be changed at Clerk, so it says nothing.
func (w *Writer) learnOwner(ctx context.Context, tx *store.Tx, r *store.Revocation, entry *mirror.AuditEntry) error {
	if r.IsSubject {
		return nil
	}
	owner, err := tx.KeyOwner(ctx, r.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if strings.HasPrefix(owner.Subject, "user_") {
		entry.ClerkUserID = owner.Subject
	}
	if owner.ExpiresAt != 0 && owner.Kind != auth.APIKey.String() {
		r.ExpiresAt = w.endFor(owner.ExpiresAt.Time())
	}
	return err
}

// endFor returns when the revocation of a token ends that expires at a time. It stays for the
// margin at least, and is kept where the token lives longer than any of Clerk's.
func (w *Writer) endFor(expires time.Time) clerk.Time {
	now := w.Now()
	if expires.After(now.Add(longestLife)) {
		return 0
	}
	if expires.Before(now) {
		expires = now
	}
	return clerk.TimeOf(expires.Add(revocationMargin))
}

// endRevocation lets the revocation of a key end that Clerk does not call valid any more: as soon
// as no process can remember that it was. If that cannot be stored the revocation is kept.
func (w *Writer) endRevocation(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	end := clerk.TimeOf(w.Now().Add(w.Remembered + otherProcesses))
	if err := w.DB.Update(ctx, func(tx *store.Tx) error { return tx.EndRevocation(ctx, id, end) }); err != nil {
		w.Logger.LogAttrs(ctx, slog.LevelWarn, "the end of a revocation could not be stored, so it is kept", slog.Any("error", err))
	}
}

func (w *Writer) revokeKey(ctx context.Context, id string, p clerkapi.Priority) error {
	if err := w.CheckSecretKey(ctx, p); err != nil {
		return err
	}
	_, err := w.API.RevokeToken(ctx, id, p)
	return err
}

// keyFailed audits that a key is refused here, but could not be revoked at Clerk, and returns an
// error that says so.
func (w *Writer) keyFailed(ctx context.Context, entry mirror.AuditEntry, cause error) error {
	err := publicError(cause)
	if failed, ok := errors.AsType[*mirror.ClerkError](err); ok {
		failed.Operation = entry.Object + " is refused here, but not revoked at Clerk"
	}
	entry.Failure = err.Error()
	w.count(&entry, "failed")
	w.Logger.LogAttrs(ctx, slog.LevelWarn, "a key is refused here, but could not be revoked at Clerk", append(attributes(&entry), slog.Any("error", err))...)
	return w.record(ctx, err, entry)
}

// isKeyID reports whether a text can be the id of a key or a subject, or the claim jti of a token.
func isKeyID(id string) bool {
	odd := func(c rune) bool { return !unicode.IsPrint(c) || c == ' ' }
	return id != "" && len(id) <= 255 && !strings.ContainsFunc(id, odd)
}

// ownsKeys reports whether an id is of a kind that has keys.
func ownsKeys(id string) bool {
	return strings.HasPrefix(id, "user_") || strings.HasPrefix(id, "org_") || strings.HasPrefix(id, "mch_")
}

// maybeJWT reports whether what Clerk does not have may be a JWT all the same: the claim jti of M2M
// tokens has the form of an id.
func maybeJWT(id string) bool { return !strings.HasPrefix(id, "ak_") }

// clerkRevokes reports whether Clerk can revoke what has an id. JWTs are not stored at Clerk, and
// OAuth tokens are revoked by the token alone.
func clerkRevokes(id string) bool {
	return strings.HasPrefix(id, "ak_") || strings.HasPrefix(id, "mt_")
}
