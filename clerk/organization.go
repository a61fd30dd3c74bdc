package clerk

import "encoding/json"

// Organization is a tenant of the application.
type Organization struct {
	ID                    string          `json:"id"`
	Name                  string          `json:"name"`
	Slug                  string          `json:"slug"` // "" where the instance has no slugs
	ImageURL              string          `json:"image_url"`
	HasImage              bool            `json:"has_image"`
	MaxAllowedMemberships int64           `json:"max_allowed_memberships"` // 0 = unlimited
	AdminDeleteEnabled    bool            `json:"admin_delete_enabled"`
	PublicMetadata        json.RawMessage `json:"public_metadata"`
	PrivateMetadata       json.RawMessage `json:"private_metadata"`
	CreatedBy             string          `json:"created_by"`
	RoleSetKey            string          `json:"role_set_key"`
	CreatedAt             Time            `json:"created_at"`
	UpdatedAt             Time            `json:"updated_at"`
	Raw                   json.RawMessage `json:"-"`
}

// Membership joins a user to an organization. Permissions include the system ones
// (org:sys_…), which tokens never carry.
type Membership struct {
	ID              string          `json:"id"`
	Role            string          `json:"role"`
	RoleName        string          `json:"role_name"`
	Permissions     []string        `json:"permissions"`
	PublicMetadata  json.RawMessage `json:"public_metadata"`
	PrivateMetadata json.RawMessage `json:"private_metadata"`
	Organization    *Organization   `json:"organization"`
	PublicUserData  *PublicUserData `json:"public_user_data"`
	CreatedAt       Time            `json:"created_at"`
	UpdatedAt       Time            `json:"updated_at"`
	Raw             json.RawMessage `json:"-"`
}

// PublicUserData is the slice of a user that a membership carries. Identifier is the
// primary e-mail address, phone number or user name.
type PublicUserData struct {
	UserID     string `json:"user_id"`
	FirstName  string `json:"first_name"`
	LastName   string `json:"last_name"`
	ImageURL   string `json:"image_url"`
	HasImage   bool   `json:"has_image"`
	Identifier string `json:"identifier"`
	Username   string `json:"username"`
	Banned     bool   `json:"banned"`
}

// OrganizationInvitation asks an address into an organization. URL is a bearer secret.
type OrganizationInvitation struct {
	ID              string          `json:"id"`
	EmailAddress    string          `json:"email_address"`
	Role            string          `json:"role"`
	OrganizationID  string          `json:"organization_id"`
	InviterID       string          `json:"inviter_id"`
	UserID          string          `json:"user_id"` // who accepted
	Status          string          `json:"status"`
	URL             string          `json:"url"`
	PublicMetadata  json.RawMessage `json:"public_metadata"`
	PrivateMetadata json.RawMessage `json:"private_metadata"`
	ExpiresAt       Time            `json:"expires_at"`
	CreatedAt       Time            `json:"created_at"`
	UpdatedAt       Time            `json:"updated_at"`
	Raw             json.RawMessage `json:"-"`
}

// OrganizationDomain is a mail domain that an organization claims.
type OrganizationDomain struct {
	ID                      string          `json:"id"`
	OrganizationID          string          `json:"organization_id"`
	Name                    string          `json:"name"`
	EnrollmentMode          string          `json:"enrollment_mode"`
	AffiliationEmail        string          `json:"affiliation_email_address"`
	AffiliationVerification *Verification   `json:"affiliation_verification"`
	OwnershipVerification   *Verification   `json:"ownership_verification"`
	CreatedAt               Time            `json:"created_at"`
	UpdatedAt               Time            `json:"updated_at"`
	Raw                     json.RawMessage `json:"-"`
}

// Role is a role of organizations, with its permissions.
type Role struct {
	ID                string          `json:"id"`
	Name              string          `json:"name"`
	Key               string          `json:"key"`
	Description       string          `json:"description"`
	IsCreatorEligible bool            `json:"is_creator_eligible"`
	Permissions       []Permission    `json:"permissions"`
	CreatedAt         Time            `json:"created_at"`
	UpdatedAt         Time            `json:"updated_at"`
	Raw               json.RawMessage `json:"-"`
}

// Permission is a permission of organizations.
type Permission struct {
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Key         string          `json:"key"`
	Description string          `json:"description"`
	Type        string          `json:"type"`
	CreatedAt   Time            `json:"created_at"`
	UpdatedAt   Time            `json:"updated_at"`
	Raw         json.RawMessage `json:"-"`
}
