package apiclient

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// Revoked says how many sessions were revoked, and where.
type Revoked struct {
	Count int `json:"count"`
	mirror.Written
}

// SetRole gives a user a role.
func (c *Client) SetRole(ctx context.Context, user, role string) (Answer[mirror.Written], error) {
	return post[mirror.Written](ctx, c, map[string]string{"role": role}, "api", "users", user, "role")
}

// UserAction is what is done to a user.
type UserAction string

// The actions of [Client.ChangeUser].
const (
	Ban    UserAction = "ban"
	Unban  UserAction = "unban"
	Lock   UserAction = "lock"
	Unlock UserAction = "unlock"
)

// ChangeUser does something to a user.
func (c *Client) ChangeUser(ctx context.Context, user string, action UserAction) (Answer[mirror.Written], error) {
	return post[mirror.Written](ctx, c, nil, "api", "users", user, string(action))
}

// RevokeSessions ends all sessions of a user.
func (c *Client) RevokeSessions(ctx context.Context, user string) (Answer[Revoked], error) {
	return post[Revoked](ctx, c, nil, "api", "users", user, "revoke-sessions")
}

// RevokeSession ends a session.
func (c *Client) RevokeSession(ctx context.Context, session string) (Answer[mirror.Written], error) {
	return post[mirror.Written](ctx, c, nil, "api", "sessions", session, "revoke")
}

// Keys lists the API keys or M2M tokens of a user, an organization or a machine.
func (c *Client) Keys(ctx context.Context, subject string) (Answer[Page[mirror.Key]], error) {
	return get[Page[mirror.Key]](ctx, c, url.Values{"subject": {subject}}, "api", "keys")
}

// RevokeKey revokes an API key or a token. expires is when a JWT ends, zero if it is not known.
func (c *Client) RevokeKey(ctx context.Context, id string, expires time.Time) (Answer[mirror.Written], error) {
	var body any
	if !expires.IsZero() {
		body = map[string]time.Time{"expires_at": expires}
	}
	return post[mirror.Written](ctx, c, body, "api", "keys", id, "revoke")
}

// Revocations returns a page of what is refused here, the latest first.
func (c *Client) Revocations(ctx context.Context, f mirror.RevocationFilter) (Answer[Page[mirror.Revocation]], error) {
	v := values("id", f.ID, "after", string(f.After), "limit", limit(f.Limit))
	return get[Page[mirror.Revocation]](ctx, c, v, "api", "keys", "revocations")
}

// RevokeKeys revokes all API keys and tokens of a subject.
func (c *Client) RevokeKeys(ctx context.Context, subject string) (Answer[Revoked], error) {
	return post[Revoked](ctx, c, map[string]string{"subject": subject}, "api", "keys", "revoke-all")
}

// EraseUser deletes a user at Clerk, and erases what is stored of the user.
func (c *Client) EraseUser(ctx context.Context, user string) (Answer[mirror.Written], error) {
	return call[mirror.Written](ctx, c, writeTimeout, http.MethodDelete, url.Values{"confirm": {user}}, nil, "api", "users", user)
}

// Overrides returns a page of local overrides, newest first.
func (c *Client) Overrides(ctx context.Context, f mirror.OverrideFilter) (Answer[Page[mirror.Override]], error) {
	v := values("kind", string(f.Kind), "id", f.ID, "after", string(f.After), "limit", limit(f.Limit))
	return get[Page[mirror.Override]](ctx, c, v, "api", "overrides")
}

// RemoveOverride ends a local override.
func (c *Client) RemoveOverride(ctx context.Context, kind clerk.Kind, id string, field mirror.OverrideField) (Answer[mirror.Written], error) {
	return remove[mirror.Written](ctx, c, "api", "overrides", string(kind), id, string(field))
}
