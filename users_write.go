package clerksync

import (
	"context"

	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/mirror"
)

// SetRole sets public_metadata.role of a user at Clerk, as an operator asks. The role must be on
// the role ladder in force. All other metadata stay as they are. Clerk's answer is stored before
// SetRole returns, so that the next request sees the new role. Without a secret key the role is
// overridden here, see [Overrides]. The change is audited with by, also if it fails.
//
// SetRole waits two seconds for the request budget, and about ten for Clerk. A context that ends
// does not end a request that was sent.
//
// The error is [ErrInvalidRole] for a role that is not on the ladder, [ErrWritesDisabled] with
// Config.DisableWrites, and [ErrNotStored] if Clerk has made the change and the database cannot
// store it. What Clerk or the way to it refuses is a [*mirror.ClerkError]; it wraps [ErrNotFound],
// [ErrClerkRefused], [ErrClerkBusy], [ErrClerkUnavailable] or [ErrSecretKeyRefused], and
// [ErrOutcomeUnknown] if Clerk may have made the change all the same. To make a change twice does
// no harm.
func (s Users) SetRole(ctx context.Context, clerkUserID, role string, by mirror.By) (mirror.Written, error) {
	return s.writer.SetRole(ctx, clerkUserID, role, by, clerkapi.Interactive)
}

// Ban bans a user at Clerk, which ends the user's sessions. Without a secret key the user is banned
// here alone. For the errors see SetRole. Some plans of Clerk have no bans: that is
// [ErrClerkRefused].
func (s Users) Ban(ctx context.Context, clerkUserID string, by mirror.By) (mirror.Written, error) {
	return s.writer.SetBanned(ctx, clerkUserID, true, by, clerkapi.Interactive)
}

// Unban lifts the ban of a user at Clerk. Without a secret key it is lifted here alone. For the
// errors see SetRole.
func (s Users) Unban(ctx context.Context, clerkUserID string, by mirror.By) (mirror.Written, error) {
	return s.writer.SetBanned(ctx, clerkUserID, false, by, clerkapi.Interactive)
}

// Lock keeps a user from signing in, for as long as the settings of the Clerk instance say.
// Sessions go on. For the errors see SetRole; without a secret key it is [ErrNoSecretKey].
func (s Users) Lock(ctx context.Context, clerkUserID string, by mirror.By) (mirror.Written, error) {
	return s.writer.SetLocked(ctx, clerkUserID, true, by, clerkapi.Interactive)
}

// Unlock lets a user sign in again who was locked, by an operator or by Clerk after failed
// attempts. For the errors see SetRole; without a secret key it is [ErrNoSecretKey].
func (s Users) Unlock(ctx context.Context, clerkUserID string, by mirror.By) (mirror.Written, error) {
	return s.writer.SetLocked(ctx, clerkUserID, false, by, clerkapi.Interactive)
}

// RevokeSessions ends all sessions of a user at Clerk, and returns how many had not ended before.
// If one of them cannot be ended, it goes on with the others and returns the first error. It may
// take half a minute for a user with many sessions. Without a secret key the stored sessions are
// revoked here alone. For the errors see SetRole.
func (s Users) RevokeSessions(ctx context.Context, clerkUserID string, by mirror.By) (n int, written mirror.Written, err error) {
	return s.writer.RevokeSessions(ctx, clerkUserID, by, clerkapi.Interactive)
}

// DeleteAndErase deletes a user at Clerk, and removes the user's personal data here, as Erase does.
// Neither can be undone. It erases nothing here if Clerk refuses or does not answer; a user who is
// not at Clerk any more is erased. Without a secret key the user is erased here and stays at Clerk:
// the place of the result is [mirror.Here]. For the errors see SetRole.
func (s Users) DeleteAndErase(ctx context.Context, clerkUserID string, by mirror.By) (mirror.Written, error) {
	return s.writer.DeleteAndErase(ctx, clerkUserID, by, clerkapi.Interactive)
}
