package clerksync

import (
	"context"
	"iter"
	"time"

	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/write"
	"github.com/clerksync/clerksync/mirror"
)

// Keys lists and revokes API keys and tokens of machines.
type Keys struct {
	writer *write.Writer
	db     *store.DB
}

// Keys returns the service that lists and revokes API keys and tokens of machines.
func (m *Mirror) Keys() Keys { return Keys{m.writer, m.db} }

// List lists the API keys of a user (user_…) or an organization (org_…), or the opaque M2M tokens
// of a machine (mch_…), as Clerk has them, a thousand at most. Clerk lists no OAuth tokens and no
// JWTs. It reads Clerk; the error is [ErrNoSecretKey] without a secret key, or a
// [*mirror.ClerkError].
func (s Keys) List(ctx context.Context, subject string) ([]mirror.Key, error) {
	return s.writer.Keys(ctx, subject, clerkapi.Interactive)
}

// Revoke revokes an API key or a token, by its id (ak_…, mt_…, oat_…) or the claim jti of a JWT.
// This process refuses it from now on, and others within a second. API keys and opaque M2M tokens
// are revoked at Clerk as well; then the place of the result is [mirror.AtClerk]. Clerk cannot
// revoke JWTs, nor OAuth tokens by their id. A revocation cannot be undone.
//
// The key is refused here before Clerk is asked, and stays so if there is an error of Clerk. For
// the errors see [Users.SetRole].
func (s Keys) Revoke(ctx context.Context, id string, by mirror.By) (mirror.Written, error) {
	return s.writer.RevokeKey(ctx, id, time.Time{}, by, clerkapi.Interactive)
}

// RevokeJWT is Revoke for a JWT whose end is known: its claim exp. The revocation is removed a day
// after that. Those of JWTs whose end is not known are kept, and servers hold all in memory.
func (s Keys) RevokeJWT(ctx context.Context, jti string, expires time.Time, by mirror.By) (mirror.Written, error) {
	return s.writer.RevokeKey(ctx, jti, expires, by, clerkapi.Interactive)
}

// RevokeAll revokes all API keys and tokens of a user (user_…), an organization (org_…) or a
// machine (mch_…) that were made until now, and returns how many of them were valid at Clerk. Of a
// user that includes OAuth tokens, and JWTs: those that do not say when they were issued, and those
// of the present second, count as made before. For the rest see Revoke.
func (s Keys) RevokeAll(ctx context.Context, subject string, by mirror.By) (n int, written mirror.Written, err error) {
	return s.writer.RevokeKeysOf(ctx, subject, by, clerkapi.Interactive)
}

// Revocations returns a page of what is refused here, the latest first. It does not ask Clerk.
func (s Keys) Revocations(ctx context.Context, f mirror.RevocationFilter) (mirror.Page[mirror.Revocation], error) {
	return s.db.RevocationsPage(ctx, f)
}

// AllRevocations iterates over what is refused here, the latest first. It reads a page at a time.
func (s Keys) AllRevocations(ctx context.Context, f mirror.RevocationFilter) iter.Seq2[mirror.Revocation, error] {
	return allOf(f.After, func(after mirror.Cursor) (mirror.Page[mirror.Revocation], error) {
		f := f // goroutines may share the iterator
		f.After = after
		return s.Revocations(ctx, f)
	})
}
