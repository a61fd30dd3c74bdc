package clerksync

import (
	"encoding/json"
	"net/http"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/web"
)

// me is the answer of GET /api/auth/me. Its keys are a contract; private metadata is
// never among them.
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

	// Beside them stand session and organization, which are the caller's and not the user's alone.
}

type meSession struct {
	ID     string  `json:"id"`
	Status *string `json:"status"` // null: proven by the token, not seen by the mirror yet
}

type meOrganization struct {
	ID          string   `json:"id"`
	Slug        *string  `json:"slug"`
	Role        *string  `json:"role"`
	Permissions []string `json:"permissions"`
}

// MeHandler answers who calls: the stored user of the request's token, the role, the
// session and the active organization. Refusals are 401 with a code; see the HTTP
// contract in docs/ARCHITECTURE.md.
func (m *Mirror) MeHandler() http.Handler { return web.HandlerFunc(m.me) }

func (m *Mirror) me(w http.ResponseWriter, r *http.Request) error {
	caller, err := m.Authorize(r, nil)
	if err != nil {
		return m.problem(err)
	}
	user, err := caller.facts.Person.Rendered(renderMe)
	if err != nil {
		return err
	}
	body := make([]byte, 0, len(user)+256)
	body = append(body, user[:len(user)-1]...) // open for what follows
	body, err = appendMembers(body, sessionOf(caller), organizationOf(caller))
	if err != nil {
		return err
	}
	web.WriteBody(w, http.StatusOK, body)
	return nil
}

// renderMe makes the user's part of the answer, which stays the same until the user changes.
func renderMe(u *User) ([]byte, error) {
	return json.Marshal(&me{
		ID: u.ID, ClerkUserID: u.ClerkUserID, Email: orNull(u.Email), Username: orNull(u.Username),
		FirstName: orNull(u.FirstName), LastName: orNull(u.LastName), ProfileImageURL: orNull(u.ProfileImageURL),
		Role: u.Role, OrganizationID: orNull(u.OrganizationID), IsActive: u.IsActive, Banned: u.Banned, Locked: u.Locked,
		LastLoginAt: u.LastLoginAt, LastActiveAt: u.LastActiveAt, CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt,
		PublicMetadata: u.PublicMetadata,
	})
}

// appendMembers ends the open object with the caller's session and organization.
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

func sessionOf(c *Caller) *meSession {
	if c.Claims.SessionID == "" {
		return nil
	}
	answer := &meSession{ID: c.Claims.SessionID}
	if c.Session != nil {
		answer.Status = orNull(c.Session.Status)
	}
	return answer
}

// organizationOf is the token's active organization, filled up with what the mirror knows of it: unless the token is
// newer and names another role.
func organizationOf(c *Caller) *meOrganization {
	active := c.Claims.Organization
	if active == nil {
		return nil
	}
	answer := &meOrganization{ID: active.ID, Slug: orNull(active.Slug), Role: orNull(active.Role), Permissions: active.Permissions}
	if seat := c.facts.Seat; seat != nil {
		if answer.Slug == nil {
			answer.Slug = orNull(seat.Slug)
		}
		if seat.Found && (active.Role == "" || row.SameRole(active.Role, seat.Membership.Role)) {
			answer.Role, answer.Permissions = orNull(row.RoleKey(seat.Membership.Role)), seat.Membership.Permissions
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
