package clerksync

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/clerksync/clerksync/clerk"
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
	Session         *meSession      `json:"session"`
	Organization    *meOrganization `json:"organization"`
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
	id, err := m.identify(r)
	if err != nil {
		return err
	}
	u := id.user
	answer := me{
		ID: u.ID, ClerkUserID: u.ClerkUserID, Email: orNull(u.Email), Username: orNull(u.Username),
		FirstName: orNull(u.FirstName), LastName: orNull(u.LastName), ProfileImageURL: orNull(u.ProfileImageURL),
		Role: u.Role, OrganizationID: orNull(u.OrganizationID), IsActive: u.IsActive, Banned: u.Banned, Locked: u.Locked,
		LastLoginAt: u.LastLoginAt, LastActiveAt: u.LastActiveAt, CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt,
		PublicMetadata: u.PublicMetadata,
	}
	if id.claims.SessionID != "" {
		answer.Session = &meSession{ID: id.claims.SessionID}
		if id.session != nil {
			answer.Session.Status = orNull(id.session.Status)
		}
	}
	if answer.Organization, err = m.activeOrganization(r, id); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, answer)
}

// activeOrganization is the token's, filled up with what the mirror knows of it.
func (m *Mirror) activeOrganization(r *http.Request, id *identity) (*meOrganization, error) {
	active := id.claims.Organization
	if active == nil {
		return nil, nil
	}
	answer := &meOrganization{ID: active.ID, Slug: orNull(active.Slug), Role: orNull(active.Role), Permissions: active.Permissions}
	membership, err := m.db.Membership(r.Context(), id.user.ClerkUserID, active.ID)
	switch {
	case err == nil:
		answer.Role, answer.Permissions = orNull(membership.Role), membership.Permissions
	case !errors.Is(err, ErrNotFound):
		return nil, unavailable(err)
	}
	if answer.Permissions == nil {
		answer.Permissions = []string{}
	}
	return answer, nil
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
