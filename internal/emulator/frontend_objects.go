package emulator

import "encoding/json"

// The objects of the Frontend API that differ from those of the Backend API: they have no private
// metadata, and more or fewer fields.

// frontUser is a user as the person sees it.
type frontUser struct {
	*User
	Memberships []frontMembership `json:"organization_memberships"`
	Limit       *int              `json:"create_organizations_limit,omitempty"`
	Private     *struct{}         `json:"private_metadata,omitempty"` // hides that of the user
}

// frontUser returns a user as the Frontend API shows it, encoded.
func (e *Emulator) frontUser(r *userRecord) raw {
	e.json(r) // ends a lock whose time is over
	shown := frontUser{User: &r.User, Memberships: []frontMembership{}, Limit: r.CreateOrganizationsLimit}
	for _, m := range e.organizations.ofUser[r.ID] {
		shown.Memberships = append(shown.Memberships, e.frontMembership(m))
	}
	encoded, _ := json.Marshal(shown) //nolint:errchkjson // our own types, and metadata that came as JSON
	return encoded
}

// frontPublicUserData is the part of a user that other people see.
type frontPublicUserData struct {
	UserID     string  `json:"user_id"`
	FirstName  *string `json:"first_name"`
	LastName   *string `json:"last_name"`
	ImageURL   string  `json:"image_url"`
	HasImage   bool    `json:"has_image"`
	Identifier string  `json:"identifier"`
	Username   *string `json:"username"`
	Banned     bool    `json:"banned"`
}

func (e *Emulator) frontPublicData(r *userRecord) *frontPublicUserData {
	return &frontPublicUserData{
		UserID: r.ID, FirstName: r.FirstName, LastName: r.LastName, ImageURL: r.ImageURL, HasImage: r.HasImage, Identifier: or(r.primary()),
		Username: r.Username, Banned: r.Banned,
	}
}

// frontMembership is a membership as a member sees it.
type frontMembership struct {
	Object         string               `json:"object"`
	ID             string               `json:"id"`
	Role           string               `json:"role"`
	RoleName       string               `json:"role_name"`
	Permissions    []string             `json:"permissions"`
	PublicMetadata Metadata             `json:"public_metadata"`
	Organization   *frontOrganization   `json:"organization"`
	PublicUserData *frontPublicUserData `json:"public_user_data,omitempty"`
	CreatedAt      int64                `json:"created_at"`
	UpdatedAt      int64                `json:"updated_at"`
}

func (e *Emulator) frontMembership(m *Membership) frontMembership {
	full := e.full(m)
	shown := frontMembership{
		Object: m.Object, ID: m.ID, Role: m.Role, RoleName: full.RoleName, Permissions: full.Permissions, PublicMetadata: m.PublicMetadata,
		CreatedAt: m.CreatedAt, UpdatedAt: m.UpdatedAt,
	}
	if o, ok := e.organizations.byID[m.organizationID]; ok {
		shown.Organization = e.frontOrganization(o)
	}
	if r, ok := e.users.byID[m.userID]; ok {
		shown.PublicUserData = e.frontPublicData(r)
	}
	return shown
}

// frontOrganization is an organization as its members see it.
type frontOrganization struct {
	Object                  string   `json:"object"`
	ID                      string   `json:"id"`
	Name                    string   `json:"name"`
	Slug                    string   `json:"slug"`
	ImageURL                string   `json:"image_url"`
	HasImage                bool     `json:"has_image"`
	MembersCount            int      `json:"members_count"`
	PendingInvitationsCount int      `json:"pending_invitations_count"`
	MaxAllowedMemberships   int      `json:"max_allowed_memberships"`
	AdminDeleteEnabled      bool     `json:"admin_delete_enabled"`
	SelfServeSSOEnabled     bool     `json:"self_serve_sso_enabled"`
	PublicMetadata          Metadata `json:"public_metadata"`
	CreatedAt               int64    `json:"created_at"`
	UpdatedAt               int64    `json:"updated_at"`
}

func (e *Emulator) frontOrganization(o *Organization) *frontOrganization {
	counted := e.counted(o)
	return &frontOrganization{
		Object: o.Object, ID: o.ID, Name: o.Name, Slug: o.Slug, ImageURL: o.ImageURL, HasImage: o.HasImage,
		MembersCount: or(counted.MembersCount), PendingInvitationsCount: or(counted.PendingInvitationsCount),
		MaxAllowedMemberships: o.MaxAllowedMemberships, AdminDeleteEnabled: o.AdminDeleteEnabled, PublicMetadata: o.PublicMetadata,
		CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt,
	}
}
