package apiclient

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// Page is a page of records.
type Page[T any] struct {
	Data []T `json:"data"`
	// Next is where the next page begins, empty on the last one.
	Next mirror.Cursor `json:"next_cursor"`
	// LookedBackTo is how far back the page looked if the filter has no index, else zero.
	LookedBackTo time.Time `json:"looked_back_to"`
}

// UserDetail is a user with the first page of what belongs to it.
type UserDetail struct {
	User        mirror.User          `json:"user"`
	Sessions    Page[mirror.Session] `json:"sessions"`
	Memberships Page[Membership]     `json:"memberships"`
}

// Membership is a membership of a user, with the organization. It is nil if the mirror does not
// have it.
type Membership struct {
	Membership   mirror.Membership    `json:"membership"`
	Organization *mirror.Organization `json:"organization"`
}

// OrganizationDetail is an organization with the first page of its members.
type OrganizationDetail struct {
	Organization mirror.Organization `json:"organization"`
	Members      Page[Member]        `json:"members"`
}

// Member is a membership in an organization, with the user. It is nil if the mirror does not have
// the user.
type Member struct {
	Membership mirror.Membership `json:"membership"`
	User       *mirror.User      `json:"user"`
}

// SessionDetail is a session.
type SessionDetail struct {
	Session mirror.Session `json:"session"`
}

// DeliveryDetail is a delivery with its body, which is null if it is not kept.
type DeliveryDetail struct {
	Delivery mirror.Delivery `json:"delivery"`
	Body     json.RawMessage `json:"body"`
}

// Users returns a page of users.
func (c *Client) Users(ctx context.Context, f mirror.UserFilter) (Answer[Page[mirror.User]], error) {
	v := values("q", f.Search, "role", f.Role, "organization", f.OrganizationID, "after", string(f.After), "limit", limit(f.Limit))
	if f.Active != nil {
		v.Set("active", strconv.FormatBool(*f.Active))
	}
	return get[Page[mirror.User]](ctx, c, v, "api", "users")
}

// User returns the user with an id.
func (c *Client) User(ctx context.Context, id string) (Answer[UserDetail], error) {
	return get[UserDetail](ctx, c, nil, "api", "users", id)
}

// Timeline returns a page of what happened to a user, newest first.
func (c *Client) Timeline(ctx context.Context, id string, q mirror.TimelineQuery) (Answer[Page[mirror.TimelineEntry]], error) {
	v := values("after", string(q.After), "limit", limit(q.Limit))
	for _, name := range q.Types {
		v.Add("type", string(name))
	}
	return get[Page[mirror.TimelineEntry]](ctx, c, v, "api", "users", id, "timeline")
}

// Organizations returns a page of organizations.
func (c *Client) Organizations(ctx context.Context, f mirror.OrganizationFilter) (Answer[Page[mirror.Organization]], error) {
	v := values("q", f.Search, "after", string(f.After), "limit", limit(f.Limit))
	return get[Page[mirror.Organization]](ctx, c, v, "api", "organizations")
}

// Organization returns the organization with an id.
func (c *Client) Organization(ctx context.Context, id string) (Answer[OrganizationDetail], error) {
	return get[OrganizationDetail](ctx, c, nil, "api", "organizations", id)
}

// Sessions returns a page of sessions, newest first.
func (c *Client) Sessions(ctx context.Context, f mirror.SessionFilter) (Answer[Page[mirror.Session]], error) {
	v := values("user", f.ClerkUserID, "status", string(f.Status), "after", string(f.After), "limit", limit(f.Limit))
	return get[Page[mirror.Session]](ctx, c, v, "api", "sessions")
}

// Deliveries returns a page of deliveries, the latest arrivals first.
func (c *Client) Deliveries(ctx context.Context, f mirror.DeliveryFilter) (Answer[Page[mirror.Delivery]], error) {
	v := values("state", string(f.State), "type", f.Type, "subject", f.Subject, "since", instant(f.Since), "until", instant(f.Until),
		"reason", f.Reason, "organization", f.ClerkOrganizationID, "text", f.Text, "after", string(f.After), "limit", limit(f.Limit))
	return get[Page[mirror.Delivery]](ctx, c, v, "api", "deliveries")
}

// Delivery returns a delivery with its body.
func (c *Client) Delivery(ctx context.Context, messageID string) (Answer[DeliveryDetail], error) {
	return get[DeliveryDetail](ctx, c, values("include", "body"), "api", "deliveries", messageID)
}

// DeliveryGroups returns the deliveries that could not be applied, grouped by type and reason.
func (c *Client) DeliveryGroups(ctx context.Context) (Answer[Page[mirror.DeliveryGroup]], error) {
	return get[Page[mirror.DeliveryGroup]](ctx, c, nil, "api", "deliveries", "groups")
}

// DeliveryChanges returns what a delivery changed.
func (c *Client) DeliveryChanges(ctx context.Context, messageID string) (Answer[Page[mirror.Change]], error) {
	return get[Page[mirror.Change]](ctx, c, nil, "api", "deliveries", messageID, "changes")
}

// PreviewReplay returns what a replay of a delivery would do.
func (c *Client) PreviewReplay(ctx context.Context, messageID string) (Answer[mirror.ReplayPreview], error) {
	return get[mirror.ReplayPreview](ctx, c, nil, "api", "deliveries", messageID, "preview")
}

// Session returns a session.
func (c *Client) Session(ctx context.Context, id string) (Answer[SessionDetail], error) {
	return get[SessionDetail](ctx, c, nil, "api", "sessions", id)
}

// Invitations returns a page of the invitations of an organization, newest first.
func (c *Client) Invitations(ctx context.Context, organization string, n int) (Answer[Page[mirror.Invitation]], error) {
	return get[Page[mirror.Invitation]](ctx, c, values("limit", limit(n)), "api", "organizations", organization, "invitations")
}

// Audit returns a page of the audit, newest first.
func (c *Client) Audit(ctx context.Context, f mirror.AuditFilter) (Answer[Page[mirror.AuditEntry]], error) {
	v := values("user", f.ClerkUserID, "action", string(f.Action), "actor", f.Actor, "since", instant(f.Since), "until", instant(f.Until),
		"after", string(f.After), "limit", limit(f.Limit))
	return get[Page[mirror.AuditEntry]](ctx, c, v, "api", "audit")
}

// Drift returns a page of differences from Clerk, the latest first.
func (c *Client) Drift(ctx context.Context, f mirror.DriftFilter) (Answer[Page[mirror.Drift]], error) {
	v := values("kind", string(f.Kind), "since", instant(f.Since), "after", string(f.After), "limit", limit(f.Limit))
	return get[Page[mirror.Drift]](ctx, c, v, "api", "drift")
}

// Sync returns how fresh the mirror is, and whether it is in sync.
func (c *Client) Sync(ctx context.Context) (Answer[mirror.SyncStatus], error) {
	return get[mirror.SyncStatus](ctx, c, nil, "api", "sync")
}

// changesWait is how long after the end of a long poll the answer may come.
const changesWait = 15 * time.Second

// Changes returns a page of the change feed. It waits as the query says. The error may be a
// [*mirror.CursorGoneError].
func (c *Client) Changes(ctx context.Context, q mirror.FeedQuery) (Answer[mirror.FeedPage], error) {
	v := values("after", string(q.After), "user", q.ClerkUserID, "organization", q.ClerkOrganizationID, "limit", limit(q.Limit))
	for _, kind := range q.Kinds {
		v.Add("kind", string(kind))
	}
	for _, name := range q.Types {
		v.Add("type", name)
	}
	if q.Wait > 0 {
		v.Set("wait", strconv.Itoa(int(q.Wait/time.Second)))
	}
	return call[mirror.FeedPage](ctx, c, q.Wait+changesWait, "GET", v, nil, "api", "changes")
}

// limit returns the value of the parameter of that name.
func limit(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// instant returns a time as the value of a parameter.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return clerk.TimeOf(t).String()
}
