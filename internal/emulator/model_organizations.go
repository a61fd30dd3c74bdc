package emulator

// Organization is a group of users.
type Organization struct {
	Object                  string   `json:"object"`
	ID                      string   `json:"id"`
	Name                    string   `json:"name"`
	Slug                    string   `json:"slug"`
	ImageURL                string   `json:"image_url"`
	HasImage                bool     `json:"has_image"`
	MembersCount            *int     `json:"members_count,omitempty"`
	PendingInvitationsCount *int     `json:"pending_invitations_count,omitempty"`
	MaxAllowedMemberships   int      `json:"max_allowed_memberships"`
	AdminDeleteEnabled      bool     `json:"admin_delete_enabled"`
	PublicMetadata          Metadata `json:"public_metadata"`
	PrivateMetadata         Metadata `json:"private_metadata"`
	CreatedBy               string   `json:"created_by"`
	CreatedAt               int64    `json:"created_at"`
	UpdatedAt               int64    `json:"updated_at"`
}

// PublicUserData is the part of a user that a membership contains.
type PublicUserData struct {
	UserID          string  `json:"user_id"`
	FirstName       *string `json:"first_name"`
	LastName        *string `json:"last_name"`
	ImageURL        string  `json:"image_url"`
	HasImage        bool    `json:"has_image"`
	ProfileImageURL string  `json:"profile_image_url"`
	Identifier      *string `json:"identifier"`
	Username        *string `json:"username"`
	Banned          bool    `json:"banned"`
}

// Membership is the membership of a user in an organization.
type Membership struct {
	Object          string          `json:"object"`
	ID              string          `json:"id"`
	Role            string          `json:"role"`
	RoleName        string          `json:"role_name"`
	Permissions     []string        `json:"permissions"`
	PublicMetadata  Metadata        `json:"public_metadata"`
	PrivateMetadata Metadata        `json:"private_metadata"`
	Organization    *Organization   `json:"organization"`
	PublicUserData  *PublicUserData `json:"public_user_data"`
	CreatedAt       int64           `json:"created_at"`
	UpdatedAt       int64           `json:"updated_at"`

	organizationID, userID string
}

// PublicOrganizationData is the part of an organization that an invitation or a domain contains.
type PublicOrganizationData struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Slug     string `json:"slug"`
	ImageURL string `json:"image_url"`
	HasImage bool   `json:"has_image"`
}

// PublicInviterData is the part of the inviting user that an invitation contains.
type PublicInviterData struct {
	UserID     string  `json:"user_id"`
	FirstName  *string `json:"first_name"`
	LastName   *string `json:"last_name"`
	ImageURL   string  `json:"image_url"`
	HasImage   bool    `json:"has_image"`
	Identifier *string `json:"identifier"`
}

// OrganizationInvitation invites an address into an organization.
type OrganizationInvitation struct {
	Object                 string                  `json:"object"`
	ID                     string                  `json:"id"`
	EmailAddress           string                  `json:"email_address"`
	Role                   string                  `json:"role"`
	RoleName               string                  `json:"role_name"`
	OrganizationID         string                  `json:"organization_id"`
	InviterID              *string                 `json:"inviter_id"`
	PublicInviterData      *PublicInviterData      `json:"public_inviter_data"`
	PublicOrganizationData *PublicOrganizationData `json:"public_organization_data,omitempty"`
	Status                 string                  `json:"status"`
	PublicMetadata         Metadata                `json:"public_metadata"`
	PrivateMetadata        Metadata                `json:"private_metadata"`
	URL                    *string                 `json:"url"`
	ExpiresAt              *int64                  `json:"expires_at"`
	CreatedAt              int64                   `json:"created_at"`
	UpdatedAt              int64                   `json:"updated_at"`
	UserID                 string                  `json:"user_id,omitempty"` // once accepted
}

// Invitation invites an address to sign up.
type Invitation struct {
	Object         string   `json:"object"`
	ID             string   `json:"id"`
	EmailAddress   string   `json:"email_address"`
	PublicMetadata Metadata `json:"public_metadata"`
	Revoked        bool     `json:"revoked"`
	Status         string   `json:"status"`
	URL            *string  `json:"url,omitempty"`
	ExpiresAt      *int64   `json:"expires_at"`
	CreatedAt      int64    `json:"created_at"`
	UpdatedAt      int64    `json:"updated_at"`
}

// OrganizationDomain is a domain whose addresses belong to an organization.
type OrganizationDomain struct {
	Object                  string                  `json:"object"`
	ID                      string                  `json:"id"`
	OrganizationID          string                  `json:"organization_id"`
	Name                    string                  `json:"name"`
	EnrollmentMode          string                  `json:"enrollment_mode"`
	AffiliationEmailAddress *string                 `json:"affiliation_email_address"`
	AffiliationVerification *DomainVerification     `json:"affiliation_verification"`
	OwnershipVerification   *DomainVerification     `json:"ownership_verification"`
	Verification            *DomainVerification     `json:"verification"`
	TotalPendingInvitations int                     `json:"total_pending_invitations"`
	TotalPendingSuggestions int                     `json:"total_pending_suggestions"`
	PublicOrganizationData  *PublicOrganizationData `json:"public_organization_data"`
	CreatedAt               int64                   `json:"created_at"`
	UpdatedAt               int64                   `json:"updated_at"`
}

// DomainVerification says how a domain was verified.
type DomainVerification struct {
	Status     string `json:"status"`
	Strategy   string `json:"strategy"`
	Attempts   *int   `json:"attempts"`
	ExpireAt   *int64 `json:"expire_at"`
	VerifiedAt *int64 `json:"verified_at"`
}

// Permission is what a role may grant.
type Permission struct {
	Object      string `json:"object"`
	ID          string `json:"id"`
	Name        string `json:"name"`
	Key         string `json:"key"`
	Description string `json:"description"`
	Type        string `json:"type"`
	CreatedAt   int64  `json:"created_at"`
	UpdatedAt   int64  `json:"updated_at"`
}

// Role is a named set of permissions in an organization.
type Role struct {
	Object            string        `json:"object"`
	ID                string        `json:"id"`
	Name              string        `json:"name"`
	Key               string        `json:"key"`
	Description       *string       `json:"description"`
	IsCreatorEligible bool          `json:"is_creator_eligible"`
	Permissions       []*Permission `json:"permissions"`
	CreatedAt         int64         `json:"created_at"`
	UpdatedAt         int64         `json:"updated_at"`

	seeded bool // exists from the start, as in each instance
}
