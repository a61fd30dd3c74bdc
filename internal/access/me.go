package access

import (
	"encoding/json"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/mirror"
)

// me is the body of GET /api/auth/me. Its keys are a contract. Private metadata is never among
// them.
type me struct {
	ID              string          `json:"id"`
	ClerkUserID     string          `json:"clerk_user_id"`
	Email           *string         `json:"email"`
	Username        *string         `json:"username"`
	FirstName       *string         `json:"first_name"`
	LastName        *string         `json:"last_name"`
	ProfileImageURL *string         `json:"profile_image_url"`
	Role            string          `json:"role"`
	OrganizationID  *string         `json:"organization_id"`
	IsActive        bool            `json:"is_active"`
	Banned          bool            `json:"banned"`
	Locked          bool            `json:"locked"`
	LastLoginAt     clerk.Time      `json:"last_login_at"`
	LastActiveAt    clerk.Time      `json:"last_active_at"`
	CreatedAt       clerk.Time      `json:"created_at"`
	UpdatedAt       clerk.Time      `json:"updated_at"`
	PublicMetadata  json.RawMessage `json:"public_metadata"`

	// session and organization follow: they belong to the caller, not to the user alone.
}

type meSession struct {
	ID     string  `json:"id"`
	Status *string `json:"status"` // null: the token proves the session, and it is not mirrored yet
}

type meOrganization struct {
	ID          string   `json:"id"`
	Slug        *string  `json:"slug"`
	Role        *string  `json:"role"`
	Permissions []string `json:"permissions"`
}

// Me returns the caller as JSON: the stored user, the session and the active organization.
func (c *Caller) Me() ([]byte, error) {
	user, err := c.Facts.User.Rendered(renderMe)
	if err != nil {
		return nil, err
	}
	body := make([]byte, 0, len(user)+256)
	body = append(body, user[:len(user)-1]...) // without the closing brace
	return appendMembers(body, c.meSession(), c.meOrganization())
}

// renderMe returns the user's part of the body, which stays the same until the user changes.
func renderMe(u *mirror.User) ([]byte, error) {
	return json.Marshal(&me{
		ID: u.ID, ClerkUserID: u.ClerkUserID, Email: orNull(u.Email), Username: orNull(u.Username),
		FirstName: orNull(u.FirstName), LastName: orNull(u.LastName), ProfileImageURL: orNull(u.ProfileImageURL),
		Role: u.Role, OrganizationID: orNull(u.OrganizationID), IsActive: u.IsActive, Banned: u.Banned, Locked: u.Locked,
		LastLoginAt: clerk.TimeOf(u.LastLoginAt), LastActiveAt: clerk.TimeOf(u.LastActiveAt),
		CreatedAt: clerk.TimeOf(u.CreatedAt), UpdatedAt: clerk.TimeOf(u.UpdatedAt),
		PublicMetadata: u.PublicMetadata,
	})
}

// appendMembers completes the open object with the caller's session and organization.
func appendMembers(body []byte, s *meSession, o *meOrganization) ([]byte, error) {
	session := []byte("null")
	organization := session
	var err error
	if s != nil {
		if session, err = json.Marshal(s); err != nil {
			return nil, err
		}
	}
	if o != nil {
		if organization, err = json.Marshal(o); err != nil {
			return nil, err
		}
	}
	body = append(append(body, `,"session":`...), session...)
	body = append(append(body, `,"organization":`...), organization...)
	return append(body, '}'), nil
}

// meSession returns the session of the token, nil if it has none.
func (c *Caller) meSession() *meSession {
	if c.Claims.SessionID == "" {
		return nil
	}
	answer := &meSession{ID: c.Claims.SessionID}
	if s := c.Facts.Session; s != nil && s.Found {
		answer.Status = orNull(string(s.Status))
	}
	return answer
}

// meOrganization returns the token's active organization, completed with what is stored of it,
// unless the token names another role: then the token is newer.
func (c *Caller) meOrganization() *meOrganization {
	active := c.Claims.Organization
	if active == nil {
		return nil
	}
	answer := &meOrganization{ID: active.ID, Slug: orNull(active.Slug), Role: orNull(active.Role), Permissions: active.Permissions}
	if seat := c.Facts.Membership; seat != nil {
		if answer.Slug == nil {
			answer.Slug = orNull(seat.Slug)
		}
		if seat.Found && (active.Role == "" || row.SameRole(active.Role, seat.Row.Role)) {
			answer.Role, answer.Permissions = orNull(row.RoleKey(seat.Row.Role)), seat.Row.Permissions
		}
	}
	if answer.Permissions == nil {
		answer.Permissions = []string{}
	}
	return answer
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
