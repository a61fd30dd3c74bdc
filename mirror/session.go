package mirror

import (
	"encoding/json"
	"time"
)

// SessionStatus is the state of a session at Clerk.
type SessionStatus string

// The states of a session.
const (
	SessionActive    SessionStatus = "active"
	SessionPending   SessionStatus = "pending" // signed in, with a task left to do, such as choosing an organization
	SessionEnded     SessionStatus = "ended"   // signed out
	SessionExpired   SessionStatus = "expired"
	SessionRemoved   SessionStatus = "removed"
	SessionReplaced  SessionStatus = "replaced"
	SessionRevoked   SessionStatus = "revoked" // by an application or an administrator, or because the user was banned
	SessionAbandoned SessionStatus = "abandoned"
)

// Session is a mirrored session that is not deleted.
type Session struct {
	// ClerkSessionID is Clerk's id, sess_….
	ClerkSessionID string `json:"clerk_session_id"`
	// ClerkUserID is Clerk's id of the user.
	ClerkUserID string `json:"clerk_user_id"`
	// ClientID is Clerk's id of the browser or device, client_….
	ClientID string `json:"client_id"`
	// Status is the last known state. Nothing announces that a session expires: compare ExpireAt
	// and AbandonAt.
	Status SessionStatus `json:"status"`
	// ClerkOrganizationID is the organization that was active when Clerk announced the session
	// last, empty for none.
	ClerkOrganizationID string `json:"clerk_organization_id"`
	// Actor is a JSON object that names who impersonates the user, nil where nobody does.
	Actor json.RawMessage `json:"actor"`
	// LastActiveAt is when the session was active last, as far as Clerk announced it.
	LastActiveAt time.Time `json:"last_active_at"`
	// ExpireAt is when the session expires.
	ExpireAt time.Time `json:"expire_at"`
	// AbandonAt is when the session counts as abandoned. It moves without an event.
	AbandonAt time.Time `json:"abandon_at"`
	// CreatedAt is when the session was created at Clerk.
	CreatedAt time.Time `json:"created_at"`
	// UpdatedAt is when the session was changed last at Clerk.
	UpdatedAt time.Time `json:"updated_at"`
	// Overrides says that an operator revoked the session here and not at Clerk. It is empty as a
	// rule.
	Overrides []Override `json:"overrides,omitempty"`

	private *private
}

// Usable reports whether the session can be used by its status: it is active or pending. It does
// not look at the clock.
func (s *Session) Usable() bool { return s.Status == SessionActive || s.Status == SessionPending }

// RawObject returns the session as Clerk sent it, in canonical JSON, without what
// clerksync.Config.Redact removes.
func (s *Session) RawObject() json.RawMessage { return s.private.rawObject() }

// SetRawObject sets what [Session.RawObject] returns.
func (s *Session) SetRawObject(object json.RawMessage) { s.private = newPrivate(nil, object) }

// MarshalJSON writes the exported fields, and null for a zero time.
func (s Session) MarshalJSON() ([]byte, error) { return encode(s) }

// SessionFilter selects sessions. The zero value selects all.
type SessionFilter struct {
	// ClerkUserID selects the sessions of a user.
	ClerkUserID string
	// Status selects sessions in this state.
	Status SessionStatus
	// After is where the page begins: [Page.Next] of the page before.
	After Cursor
	// Limit is the size of a page: 50 for 0, at most 500.
	Limit int
}
