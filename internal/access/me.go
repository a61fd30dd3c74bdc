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
	if body, err = c.appendSession(append(body, `,"session":`...)); err != nil {
		return nil, err
	}
	if body, err = c.appendOrganization(append(body, `,"organization":`...)); err != nil {
		return nil, err
	}
	return append(body, '}'), nil
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

// appendSession appends the session of the token, null if the token has none.
func (c *Caller) appendSession(body []byte) ([]byte, error) {
	if c.Claims.SessionID == "" {
		return append(body, "null"...), nil
	}
	status := ""
	if s := c.Facts.Session; s != nil && s.Found {
		status = string(s.Status)
	}
	body, err := appendText(append(body, `{"id":`...), c.Claims.SessionID)
	if err != nil {
		return nil, err
	}
	body = append(body, `,"status":`...)
	if status == "" { // the token proves the session, and it is not mirrored yet
		body = append(body, "null"...)
	} else if body, err = appendText(body, status); err != nil {
		return nil, err
	}
	return append(body, '}'), nil
}

// appendText appends a text as JSON. Ids and states, which need no escape, are copied.
func appendText(body []byte, text string) ([]byte, error) {
	for _, c := range []byte(text) {
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			quoted, err := json.Marshal(text)
			return append(body, quoted...), err
		}
	}
	return append(append(append(body, '"'), text...), '"'), nil
}

// appendOrganization appends the active organization, null if there is none.
func (c *Caller) appendOrganization(body []byte) ([]byte, error) {
	active := c.meOrganization()
	if active == nil {
		return append(body, "null"...), nil
	}
	organization, err := json.Marshal(active)
	return append(body, organization...), err
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
